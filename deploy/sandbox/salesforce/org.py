"""One org: rows, writes, pages, change feed and switches, with what every new org comes with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from deploy.sandbox.kit.switches import DELETED_FIELDS, deletable, flag, taken
from deploy.sandbox.salesforce.automation import SALES_CLOUD, Automation
from deploy.sandbox.salesforce.bus import EventBus, replay_ids
from deploy.sandbox.salesforce.changes import CAPTURED, Caller, ChangeFeed
from deploy.sandbox.salesforce.pages import Pages
from deploy.sandbox.salesforce.records import Records, Row
from deploy.sandbox.salesforce.schema import Schema, org_schema
from deploy.sandbox.salesforce.streams import Streams
from deploy.sandbox.salesforce.writes import Writes

INTEGRATION_USER = "integration@harbour.example"
ADMIN_USER = "admin@harbour.example"
STAGES = (
    ("Prospecting", 10, "Pipeline", False, False),
    ("Qualification", 10, "Pipeline", False, False),
    ("Proposal/Price Quote", 75, "Best Case", False, False),
    ("Negotiation/Review", 90, "Commit", False, False),
    ("Closed Won", 100, "Closed", True, True),
    ("Closed Lost", 0, "Omitted", True, False),
)


Json = dict[str, Any]
# An invocable action of a package: the org, one of the inputs and the caller; its outputs. Raises SalesforceError.
Action = Callable[["Org", Json, Caller], Json]


@dataclass(slots=True)
class Jobs:
    """Work that goes on after the answer; each request to the org brings every job one step on."""

    waiting: list[tuple[int, Callable[[], None]]] = field(default_factory=list[tuple[int, Callable[[], None]]])

    def queue(self, steps: int, run: Callable[[], None]) -> None:
        """Do it after so many further requests."""
        self.waiting.append((steps, run))

    def step(self) -> None:
        """One request has come: run what is due."""
        due = [run for steps, run in self.waiting if steps <= 1]
        self.waiting = [(steps - 1, run) for steps, run in self.waiting if steps > 1]
        for run in due:
            run()


class Org:
    """State of the simulator; `switch` changes how it behaves, `reset` brings back the new org."""

    def __init__(
        self,
        hear: Callable[[dict[str, Any]], None],
        *,
        schema: Schema | None = None,
        automation: Automation = SALES_CLOUD,
        actions: Mapping[str, Action] | None = None,
        captured: frozenset[str] = CAPTURED,
    ) -> None:
        """A new org whose change events go to `hear`; what is not given is that of the sample firm's Sales Cloud."""
        self._hear = hear
        self.schema = (schema or org_schema()).of_one_org()
        self.automation = automation
        self.actions = actions or {}
        self._captured = captured
        self._replays = replay_ids()
        self.reset()

    def reset(self) -> None:
        """Everything back to how a new org is."""
        self.schema.delete_fields({})
        self.records = Records(self.schema, self.automation.formulas)
        self.bus = EventBus(self.records.clock)
        self.streams = Streams(self.bus, self.schema)
        self.feed = ChangeFeed(self._heard, captured=self._captured, replays=self._replays)
        self.writes = Writes(self.records, self.feed, self.automation)
        self.jobs = Jobs()
        self.pages = Pages(self.records)
        self.calls_used = 0
        self.calls_allowed = 100_000
        self._seed()

    def switch(self, name: str, value: Any) -> None:
        """Change behaviour. Raises UnknownSwitch, or what `Simulator` says for a value that is not taken."""
        if name in {"page_size", "child_page_size"}:
            setattr(self.pages, name, (taken(name, value, int) or None) if value is not None else None)
        elif name == "locators_expire":
            self.pages.expiries = taken(name, value, int)
        elif name == "whole_seconds":
            self.records.whole_seconds = flag(name, value)
            self.feed.clock = self.records.clock if value else None
        elif name == "clock_ahead":
            self.records.ahead = timedelta(seconds=taken(name, value, float))
        elif name == "calls_allowed":
            self.calls_allowed = taken(name, value, int)
        elif name == DELETED_FIELDS:
            self.schema.delete_fields(deletable(value, self.schema.custom()))
        else:
            self._switch_events(name, value)

    def _switch_events(self, name: str, value: Any) -> None:
        if name == "gap_events":
            self.feed.gaps = flag(name, value)
        elif name == "captured":
            self.feed.captured = frozenset(map(str, value))
        elif name == "enriched":
            self.feed.enriched = {str(sobject): tuple(map(str, names)) for sobject, names in dict(value).items()}
        elif name == "most_changes":
            self.feed.most_changes = taken(name, value, int)
        elif name == "forget_events":
            if flag(name, value):
                self.bus.forget()
        else:
            self.streams.switch(name, value)

    def counts(self) -> dict[str, int]:
        """Living rows per object."""
        return self.records.counts()

    def user_id(self, username: str) -> str | None:
        """The id of an active user, or None."""
        user = self.records.find_one("User", "Username", username)
        return str(user["Id"]) if user and user["IsActive"] else None

    @property
    def org_id(self) -> str:
        """The org's own id."""
        return next(iter(self.records.tables["Organization"].rows))

    def _heard(self, sobject: str, message: Json) -> None:
        """A change was committed: it goes on the bus, and to whoever relays the bus."""
        self.bus.publish(sobject, message["data"])
        self._hear(message)

    def _seed(self) -> None:
        self._put("Organization", Name="Harbour Consulting", OrganizationType="Enterprise Edition", InstanceName="SBX1")
        for username, first in ((ADMIN_USER, "Admin"), (INTEGRATION_USER, "Integration")):
            name = {"Username": username, "FirstName": first, "LastName": "User", "Name": f"{first} User"}
            self._put("User", **name, Email=username, Alias=first[:8].lower(), IsActive=True)
        for order, (label, percent, forecast, is_closed, is_won) in enumerate(STAGES, 1):
            stage: Row = {"MasterLabel": label, "ApiName": label, "IsActive": True, "SortOrder": Decimal(order)}
            stage |= {"IsClosed": is_closed, "IsWon": is_won, "DefaultProbability": Decimal(percent)}
            stage |= {"ForecastCategory": forecast.replace(" ", ""), "ForecastCategoryName": forecast}
            self._put("OpportunityStage", **stage)
        self._put("Pricebook2", Name="Standard Price Book", IsActive=True, IsStandard=True, IsDeleted=False)
        self.writes.commit()

    def _put(self, name: str, **values: Any) -> None:
        sobject = self.schema[name]
        now = self.records.now()
        user = next(iter(self.records.tables["User"].rows), None)
        stamps: Row = {"CreatedDate": now, "LastModifiedDate": now, "SystemModstamp": now}
        row: Row = {f.name: False if f.kind == "boolean" else None for f in sobject.fields.values()}
        row |= values | stamps | {"Id": self.records.new_id(sobject), "CreatedById": user, "LastModifiedById": user}
        if name == "Organization":
            row |= {"IsSandbox": True, "DefaultCurrencyIsoCode": "USD", "LanguageLocaleKey": "en_US"}
            row |= {"TimeZoneSidKey": "UTC", "FiscalYearStartMonth": Decimal(1)}
        self.records.insert(name, row)
