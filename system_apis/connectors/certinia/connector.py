"""Certinia behind the PSA port: projects made part by part, work read by its latest change, marks as billing events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from shared.canonical.billing import BillingMark
from shared.canonical.projects import Project, ProjectPlan
from shared.canonical.references import Page, Written
from shared.canonical.time import Expense, MilestoneCompletion, TimeEntry
from system_apis.connectors.certinia import mapping
from system_apis.connectors.certinia.billing import Billing
from system_apis.connectors.certinia.client import open_wire
from system_apis.connectors.certinia.payloads import (
    EXPENSE,
    HEADER,
    MILESTONE,
    SPLIT,
    EventPayload,
    ExpensePayload,
    MilestonePayload,
    Payload,
)
from system_apis.connectors.certinia.projects import Projects, patience_of
from system_apis.connectors.certinia.timecards import Timecards
from system_apis.dialects.marks import Mark, page_by_change, start
from system_apis.dialects.salesforce.capture import Followed
from system_apis.dialects.salesforce.feed import Feed, FeedSettings, follows
from system_apis.dialects.salesforce.marks import Family
from system_apis.dialects.salesforce.soql import columns, soql_instant
from system_apis.dialects.salesforce.stamps import hint_key
from system_apis.fields import FieldMap, load_fields
from system_apis.manifest import Manifest, load_manifest
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangedEntity, ChangeHint, FeedReading
from system_apis.ports.outcomes import canonical_record
from system_apis.ports.schema import FieldFacts

Row = TypeVar("Row", bound=Payload)
Item = TypeVar("Item")
_OVERLAP: Final = 60
_OURS: Final = "pse__Project__r.Throughline_Id__c"


def open_connector(binding: Binding) -> CertiniaConnector:
    """The connector of a tenant. Raises Misconfigured naming a missing setting or secret."""
    manifest = load_manifest(Path(__file__).parent)
    return (FollowingConnector if follows(binding) else CertiniaConnector)(binding, manifest)


class CertiniaConnector:
    """PsaPort, ChangePoll and SchemaSource of one org."""

    def __init__(self, binding: Binding, manifest: Manifest) -> None:
        self.manifest = manifest
        self._binding = binding
        self._fields = fields = load_fields(Path(__file__).parent, binding.overrides)
        self._wire = open_wire(binding, manifest, fields)
        self._projects = Projects(binding, self._wire, fields, patience=patience_of(binding))
        self._billing = Billing(self._wire, fields)
        self._timecards = Timecards(binding, self._wire, fields, self._billing)
        self._expenses = _family(EXPENSE, fields, "expense")
        self._milestones = _family(MILESTONE, fields, "milestone")
        self._overlap = timedelta(seconds=binding.number("overlap_seconds", _OVERLAP))

    async def ping(self) -> None:
        """Whether the org lets us in."""
        await self._wire.ping()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._wire.aclose()

    async def describe(self, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
        """The org's metadata of these objects."""
        return await self._wire.describe(objects)

    # --- projects --------------------------------------------------------------------------------------------------
    async def find_project(self, project_id: str) -> Project | None:
        """The project that carries our id, in use or not."""
        row = await self._projects.find(project_id)
        return None if row is None else await self._projects.placed(row, project_id)

    async def create_project(self, plan: ProjectPlan) -> Project:
        """Of the template, or by hand; then phases, budgets and milestones. Raises DeadlineExceeded: still copying."""
        return await self._projects.create(plan)

    async def close_project(self, project_id: str) -> None:
        """Inactive, and closed for time and expenses."""
        await self._projects.close(project_id)

    # --- work ------------------------------------------------------------------------------------------------------
    async def list_time_entries(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[TimeEntry]:
        """The hours of each day, by the latest change of their timecard or one of its splits."""
        return await self._timecards.page(modified_since, cursor, limit)

    async def list_expenses(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Expense]:
        """Expense lines by their latest change."""

        def make(row: ExpensePayload) -> Expense:
            return mapping.to_expense(row, self._binding)

        return await self._page(self._expenses, ExpensePayload, make, start(modified_since, cursor), limit)

    async def list_milestones(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[MilestoneCompletion]:
        """Our milestones that have an actual date, by their latest change."""

        def make(row: MilestonePayload) -> MilestoneCompletion | None:
            if row.our_id is None or row.completed_on is None:
                return None
            return mapping.to_completion(row, row.our_id, row.completed_on, self._binding)

        return await self._page(self._milestones, MilestonePayload, make, start(modified_since, cursor), limit)

    async def _page(
        self, family: Family, model: type[Row], make: Callable[[Row], Item | None], after: Mark | None, limit: int
    ) -> Page[Item]:
        """Rows by their own change."""
        head = f"SELECT {columns(model, self._fields)} FROM {family.sobject}"

        async def candidates(mark: Mark | None) -> tuple[list[Mark], Mark | None]:
            return await self._wire.changed(family, mark, limit)

        async def rows(refs: list[str]) -> list[tuple[Mark, Row]]:
            found = await self._wire.rows_by_id(head, refs, model, family.where)
            return [(Mark(row.system_modstamp, row.id), row) for row in found]

        def made(row: Row) -> Item | None:
            with canonical_record(self._binding.system, f"record {row.id}"):
                return make(row)

        return await page_by_change(after, candidates, rows, made)

    # --- billing ---------------------------------------------------------------------------------------------------
    async def mark_billed(self, mark: BillingMark) -> Written:
        """A billing event with an item for each record: released, then invoiced with the ERP's number."""
        before = await self._billing.find(mark.invoice_id)
        project = await self._projects.get(mark.project_id)
        event = await self._billing.mark(mark, project, before)
        return self._written(mark.invoice_id, event, was_created=before is None or not before.is_invoiced)

    async def find_billing_mark(self, invoice_id: str) -> Written | None:
        """The event of the invoice, once it is invoiced; a half-made one is finished by marking again."""
        event = await self._billing.find(invoice_id)
        return self._written(invoice_id, event, was_created=False) if event and event.is_invoiced else None

    def _written(self, invoice_id: str, event: EventPayload, *, was_created: bool) -> Written:
        source = self._binding.source(event.id, mapping.event_version(event), event.system_modstamp)
        return Written(id=invoice_id, source=source, was_created=was_created)

    # --- changes ---------------------------------------------------------------------------------------------------
    async def list_changes(self, since: datetime | None) -> Sequence[ChangeHint]:
        """One hint per record, at its latest change; splits count for their timecard."""
        return await self._polled(since, None)

    async def _polled(self, since: datetime | None, objects: frozenset[str] | None) -> Sequence[ChangeHint]:
        """What changed in these objects; None: in all of them."""
        recent = f"SystemModstamp >= {soql_instant(since - self._overlap)}" if since else ""
        polled: tuple[tuple[ChangedEntity, str, str, str], ...] = (
            ("time", HEADER, self._timecards.family.where, "Id"),
            ("time", SPLIT, self._timecards.family.child_where, "pse__Timecard_Header__c"),
            ("expense", EXPENSE, self._expenses.where, "Id"),
            ("milestone", MILESTONE, self._milestones.where, "Id"),
        )
        latest: dict[tuple[ChangedEntity, str], datetime] = {}
        for entity, sobject, ours, key in polled:
            if objects is not None and sobject not in objects:
                continue
            where = " AND ".join(filter(None, (ours, recent)))
            for mark in await self._wire.stamps(sobject, where, key):
                known = latest.get((entity, mark.ref))
                latest[entity, mark.ref] = mark.at if known is None else max(known, mark.at)
        ordered = sorted(latest.items(), key=lambda item: (item[1], item[0][1]))
        return [ChangeHint(entity, ref, hint_key(ref, at), at) for (entity, ref), at in ordered]


class FollowingConnector(CertiniaConnector):
    """The same with a ChangeFeed: the org's change events are followed."""

    def __init__(self, binding: Binding, manifest: Manifest) -> None:
        super().__init__(binding, manifest)
        cards = self._timecards.family
        followed = (
            Followed(HEADER, "time", where=cards.where),
            Followed(SPLIT, "time", parent=cards.lookup, where=cards.child_where),
            Followed(EXPENSE, "expense", where=self._expenses.where),
            Followed(MILESTONE, "milestone", where=self._milestones.where),
        )
        self._feed = Feed(self._wire, FeedSettings.of(binding, self._overlap), followed, self._polled)

    async def read_feed(self, position: str | None) -> FeedReading:
        """Hints of change events behind the position; a full scan where the org has forgotten it."""
        return await self._feed.read(position)


def _family(sobject: str, fields: FieldMap, entity: str) -> Family:
    """Rows of our projects."""
    return Family(sobject, f"{fields[entity].column(_OURS)} != null")
