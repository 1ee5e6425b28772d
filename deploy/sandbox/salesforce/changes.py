"""Change events as change data capture words them, and who hears of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

from deploy.sandbox.salesforce.bus import replay_ids
from deploy.sandbox.salesforce.records import Row
from deploy.sandbox.salesforce.schema import SObject
from deploy.sandbox.salesforce.values import to_json

Payload = dict[str, Any]
# The objects an administrator selected for change data capture; five is what an org may select without an add-on.
CAPTURED = frozenset({"Account", "Opportunity", "OpportunityLineItem", "Contract", "Billing_Milestone__c"})
NO_RECORD = "000000000000000AAA"  # what an overflow event names
_SYSTEM = {"Id", "IsDeleted", "SystemModstamp"}
_MOST_CHANGES = 100_000
# Fields the org adds to every event of an object ("enriched" events), so that a reader finds the parent.
ENRICHED = {"OpportunityLineItem": ("OpportunityId",), "Billing_Milestone__c": ("Contract__c",)}


def event_name(sobject: str) -> str:
    """What events of an object are called, on channels and by themselves."""
    return sobject.removesuffix("__c") + ("__ChangeEvent" if sobject.endswith("__c") else "ChangeEvent")


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a request is served: user, client name it gave, API version it asked for."""

    user_id: str
    client: str = ""
    version: str = "60.0"

    @property
    def origin(self) -> str:
        """`changeOrigin` of the events the request causes."""
        base = f"com/salesforce/api/rest/{self.version}"
        return f"{base};client={self.client}" if self.client else base


@dataclass(slots=True)
class ChangeFeed:
    """Collects the events of a request and hands them on when it is committed; drops them when it is rolled back.

    `hear` is given object and message. `gaps`: events tell no fields; `most_changes` of a transaction are told one by
    one, what is beyond by an overflow event per object; `clock` dates commits where stamps of rows are too coarse to.
    """

    hear: Callable[[str, Payload], None]
    gaps: bool = False
    captured: frozenset[str] = CAPTURED
    enriched: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict(ENRICHED))
    most_changes: int = _MOST_CHANGES
    clock: Callable[[], datetime] | None = None
    replays: Iterator[int] = field(default_factory=replay_ids)
    _numbers: count[int] = field(default_factory=lambda: count(10_000))
    _open: list[tuple[str, Payload]] = field(default_factory=list[tuple[str, Payload]])

    def note(self, sobject: SObject, change: str, caller: Caller, row: Row, changed: list[str]) -> None:
        """A row was created, updated or deleted."""
        if sobject.name not in self.captured:
            return
        nulled = [name for name in changed if row[name] is None] if change == "UPDATE" else []
        header: Payload = {
            "entityName": sobject.name,
            "recordIds": [row["Id"]],
            "changeType": f"GAP_{change}" if self.gaps else change,
            "changeOrigin": caller.origin,
            "commitTimestamp": self._committed_ms(row["SystemModstamp"]),
            "commitNumber": next(self._numbers),
            "commitUser": caller.user_id,
            "nulledFields": [] if self.gaps else nulled,
            "diffFields": [],
            "changedFields": changed if change == "UPDATE" and not self.gaps else [],
        }
        enriched = self.enriched.get(sobject.name, ())
        names = (
            []
            if self.gaps or change == "DELETE"
            else changed
            if change == "UPDATE"
            else [f.name for f in sobject.shown]
        )
        names = [*names, *(name for name in enriched if not self.gaps and name not in names)]
        body = {name: to_json(row[name]) for name in names if name not in _SYSTEM}
        if change == "CREATE":
            body = {name: value for name, value in body.items() if value is not None}
        self._open.append((sobject.name, {"ChangeEventHeader": header, **body}))

    def mark(self) -> int:
        """How many events are waiting for the commit."""
        return len(self._open)

    def roll_back(self, mark: int) -> None:
        """Forget events since the mark."""
        del self._open[mark:]

    def commit(self) -> None:
        """Send what was collected; the events of one transaction share its key."""
        key = secrets.token_hex(16)
        for number, (sobject, payload) in enumerate(self._without_overflow(), 1):
            payload["ChangeEventHeader"] |= {"transactionKey": key, "sequenceNumber": number}
            name = event_name(sobject)
            event = {"replayId": next(self.replays), "EventApiName": name}
            data = {"schema": f"schema-{sobject}", "payload": payload, "event": event}
            self.hear(sobject, {"channel": f"/data/{name}", "data": data})
        self._open.clear()

    def _committed_ms(self, stamped: object) -> int:
        """Commits are dated to the millisecond, whatever rows show."""
        moment = self.clock() if self.clock else stamped
        return round(moment.timestamp() * 1000) if isinstance(moment, datetime) else 0

    def _without_overflow(self) -> list[tuple[str, Payload]]:
        """The transaction's events; beyond the threshold one per object that names no record."""
        told = self._open[: self.most_changes]
        overflown: dict[str, Payload] = {}
        for sobject, payload in self._open[self.most_changes :]:
            changes = {"recordIds": [NO_RECORD], "changeType": "GAP_OVERFLOW", "changedFields": [], "nulledFields": []}
            overflown[sobject] = {"ChangeEventHeader": payload["ChangeEventHeader"] | changes}
        return [*told, *overflown.items()]
