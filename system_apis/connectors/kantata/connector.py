"""Kantata behind the PSA port: projects, work and billing marks, each in its room; changes by event or by poll."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from shared.canonical.billing import BillingMark
from shared.canonical.projects import Project, ProjectPlan
from shared.canonical.references import Page, Written
from shared.canonical.time import Expense, MilestoneCompletion, TimeEntry
from shared.errors.taxonomy import NotFound
from shared.outbound import Outbound, StaticHeaders
from system_apis.connectors.kantata import mapping, payloads
from system_apis.connectors.kantata.changes import list_hints
from system_apis.connectors.kantata.client import KantataWire, budget_of, error_of
from system_apis.connectors.kantata.custom_fields import taken
from system_apis.connectors.kantata.events import Events
from system_apis.connectors.kantata.metadata import described
from system_apis.connectors.kantata.projects import Projects
from system_apis.connectors.kantata.quiet import quiet_of
from system_apis.connectors.kantata.work import Work
from system_apis.fields import FieldMap, load_fields
from system_apis.manifest import Manifest, load_manifest
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint, FeedReading
from system_apis.ports.schema import FieldFacts

_FOLDER = Path(__file__).parent


def open_connector(binding: Binding) -> KantataConnector:
    """The connector of a tenant. Raises Misconfigured naming a missing setting or secret."""
    manifest = load_manifest(_FOLDER)
    fields = load_fields(_FOLDER, binding.overrides)
    outbound = Outbound(
        system=binding.system,
        base_url=binding.setting("base_url"),
        auth=StaticHeaders.bearer(binding.secret("access_token")),
        errors=manifest.errors,
        budget=budget_of(binding, manifest.budget),
        read_body_code=error_of,
        owner=binding.tenant,
    )
    return KantataConnector(binding, manifest, outbound, fields)


class KantataConnector:
    """PsaPort, ChangePoll, ChangeFeed and SchemaSource of one tenant's account."""

    def __init__(self, binding: Binding, manifest: Manifest, outbound: Outbound, fields: FieldMap) -> None:
        self.manifest = manifest
        self._binding = binding
        self._outbound = outbound
        self._fields = fields
        self._wire = KantataWire(outbound, quiet_of(binding))
        self._projects = Projects(binding, self._wire, fields)
        self._work = Work(binding, self._wire, fields)
        self._events = Events(self._wire)

    async def ping(self) -> None:
        """Raises VendorTrouble or Misconfigured when the account cannot be used."""
        await self._wire.find("roles", per_page=1)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._outbound.aclose()

    async def describe(self, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
        """Members of rows and events, and the account's custom fields; the vendor demands nothing it tells of."""
        return await described(self._wire, objects)

    # --- projects --------------------------------------------------------------------------------------------------
    async def find_project(self, project_id: str) -> Project | None:
        """The workspace that carries our id, archived or not."""
        return await self._projects.find(project_id)

    async def create_project(self, plan: ProjectPlan) -> Project:
        """Workspace, deliverables, milestones, amounts: each kind is looked up first and only missing ones are made."""
        return await self._projects.create(plan)

    async def close_project(self, project_id: str) -> None:
        """Archive the workspace."""
        await self._projects.close(project_id)

    # --- work ------------------------------------------------------------------------------------------------------
    async def list_time_entries(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[TimeEntry]:
        """Entries by their own change, and those whose approval changed without touching them."""
        return await self._work.time_entries(modified_since, cursor, limit)

    async def list_expenses(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Expense]:
        """Expenses by their own change, and those whose report was approved without touching them."""
        return await self._work.expenses(modified_since, cursor, limit)

    async def list_milestones(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[MilestoneCompletion]:
        """Completed milestone stories by their own or their custom fields' change; reopened ones are not approved."""
        return await self._work.milestones(modified_since, cursor, limit)

    # --- billing marks ---------------------------------------------------------------------------------------------
    async def mark_billed(self, mark: BillingMark) -> Written:
        """An invoice with these lines; `is_invoiced` of each follows from it."""
        if written := await self.find_billing_mark(mark.invoice_id):
            return written
        workspace_id = await self._projects.workspace_id(mark.project_id)
        if strange := [ref for ref in mapping.refs_of(mark) if not (ref.isascii() and ref.isdigit())]:
            raise NotFound(f"{self._binding.system} has no record {strange[0]}.")
        due = await self._work.amounts_of(mark.milestone_refs)
        amounts = {one.story_id: one.id for one in sorted(due, key=lambda one: -int(one.id))}  # the oldest is the one
        if lacking := sorted(set(mark.milestone_refs) - amounts.keys()):
            raise NotFound(f"{self._binding.system} has no billing milestone for story {lacking[0]}.")
        body = mapping.from_mark(mark, workspace_id, [amounts[ref] for ref in mark.milestone_refs])
        places = self._fields["billing_mark"]
        made = await self._wire.create("invoices", "invoice", places.give(body), include="external_references")
        return self._written(mark.invoice_id, taken(made, places, payloads.Invoice)[0], was_created=True)

    async def find_billing_mark(self, invoice_id: str) -> Written | None:
        """The invoice that carries our id; a cancelled one marks nothing."""
        found = await self._wire.find_ours("invoices", payloads.INVOICE, [invoice_id], include="external_references")
        invoices = taken(found, self._fields["billing_mark"], payloads.Invoice)
        standing = [one for one in invoices if one.status != "cancelled"]
        return self._written(invoice_id, standing[0], was_created=False) if standing else None

    def _written(self, invoice_id: str, invoice: payloads.Invoice, *, was_created: bool) -> Written:
        moment = invoice.updated_at.astimezone(UTC)
        source = self._binding.source(invoice.id, mapping.instant(moment), moment)
        return mapping.to_written(invoice_id, source, was_created=was_created)

    # --- changes ---------------------------------------------------------------------------------------------------
    async def list_changes(self, since: datetime | None) -> Sequence[ChangeHint]:
        """The newest 200 changes of each kind; they stand for older ones, since work is re-read by watermark."""
        return await list_hints(self._wire, since)

    async def read_feed(self, position: str | None) -> FeedReading:
        """Subscribed events since the position; where the account has none, what the poll tells since then."""
        return await self._events.read(position)
