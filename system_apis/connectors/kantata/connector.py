"""Kantata behind the PSA port: projects made part by part, work read as feeds, marks looked up before they are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

from shared.canonical.billing import BillingMark
from shared.canonical.projects import Project, ProjectPlan
from shared.canonical.references import Page, Written
from shared.canonical.time import Expense, MilestoneCompletion, TimeEntry
from shared.errors.taxonomy import NotFound
from shared.outbound import Outbound, StaticHeaders
from system_apis.connectors.kantata import mapping, payloads
from system_apis.connectors.kantata.changes import Told, list_hints
from system_apis.connectors.kantata.client import (
    Found,
    KantataWire,
    Touched,
    budget_of,
    error_of,
)
from system_apis.connectors.kantata.directory import Directory
from system_apis.connectors.kantata.payloads import SERVICE, our_id, our_ids
from system_apis.manifest import Manifest, load_manifest
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint

COMPLETED = "completed"
_BULK, _STORIES_BULK = 100, 300
Item = TypeVar("Item")


def _batched(items: Sequence[Item], size: int) -> Iterable[Sequence[Item]]:
    return (items[first : first + size] for first in range(0, len(items), size))


def open_connector(binding: Binding) -> KantataConnector:
    """The connector of a tenant. Raises Misconfigured naming a missing setting or secret."""
    manifest = load_manifest(Path(__file__).parent)
    outbound = Outbound(
        system=binding.system,
        base_url=binding.setting("base_url"),
        auth=StaticHeaders.bearer(binding.secret("access_token")),
        errors=manifest.errors,
        budget=budget_of(binding, manifest.budget),
        read_body_code=error_of,
    )
    return KantataConnector(binding, manifest, outbound)


class KantataConnector:
    """PsaPort and ChangePoll of one tenant's account."""

    def __init__(self, binding: Binding, manifest: Manifest, outbound: Outbound) -> None:
        self.manifest = manifest
        self._binding = binding
        self._outbound = outbound
        self._wire = KantataWire(outbound)
        settings = binding.settings
        self._completed_on_field = settings.get("completed_on_field", "Completed on")
        self._acceptance_field = settings.get("acceptance_field", "Acceptance")
        self._accepted = settings.get("accepted_value", "accepted").casefold()
        self._directory = Directory(self._wire)
        self._told = Told()
        self._workspace_ids: dict[str, str] = {}  # by our project id; a workspace never changes its id

    async def ping(self) -> None:
        """Raises VendorTrouble or Misconfigured when the account cannot be used."""
        await self._wire.find("roles", per_page=1)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._outbound.aclose()

    # --- projects --------------------------------------------------------------------------------------------------
    async def find_project(self, project_id: str) -> Project | None:
        """The workspace that carries our id, archived or not."""
        workspace = await self._find_workspace(project_id)
        return None if workspace is None else await self._placed(workspace, project_id)

    async def create_project(self, plan: ProjectPlan) -> Project:
        """Workspace, deliverables, milestones, amounts: each kind is looked up first and only missing ones are made."""
        workspace = await self._find_workspace(plan.id)
        if workspace is None:
            body = mapping.from_plan(plan, await self._find_template(plan.template))
            made = await self._wire.create("workspaces", "workspace", body, include="external_references")
            workspace = made.all(payloads.Workspace)[0]
        elif workspace.archived:
            await self._wire.amend("workspaces", workspace.id, "workspace", {"archived": False})
            workspace = workspace.model_copy(update={"archived": False})
        await self._create_parts(plan, workspace)
        return await self._placed(workspace, plan.id)

    async def close_project(self, project_id: str) -> None:
        """Archive the workspace."""
        workspace = await self._get_workspace(project_id)
        if not workspace.archived:
            await self._wire.amend("workspaces", workspace.id, "workspace", {"archived": True})

    async def _find_workspace(self, project_id: str) -> payloads.Workspace | None:
        found = await self._wire.find_ours(
            "workspaces", payloads.PROJECT, [project_id], archived="include", include="external_references"
        )
        return min(found.all(payloads.Workspace), key=lambda one: int(one.id), default=None)

    async def _get_workspace_id(self, project_id: str) -> str:
        if project_id not in self._workspace_ids:
            self._workspace_ids[project_id] = (await self._get_workspace(project_id)).id
        return self._workspace_ids[project_id]

    async def _get_workspace(self, project_id: str) -> payloads.Workspace:
        workspace = await self._find_workspace(project_id)
        if workspace is None:
            raise NotFound(f"{self._binding.system} has no project {project_id}.")
        return workspace

    async def _find_template(self, title: str | None) -> str | None:
        """The project template of that title; without one the project is made by hand."""
        if not title:
            return None
        found = await self._wire.find_all("project_templates", search=title)
        return next((str(row["id"]) for row in found.rows if row.get("title") == title), None)

    async def _find_parts(self, workspace: payloads.Workspace) -> Found:
        shown = {"show_from_archived_workspaces": True} if workspace.archived else {}
        return await self._wire.find_all(
            "stories",
            **shown,
            workspace_id=workspace.id,
            external_reference_service_name=SERVICE,
            include="workspace,external_references",
            order="created_at:asc",
        )

    async def _placed(self, workspace: payloads.Workspace, project_id: str) -> Project:
        parts = await self._find_parts(workspace)
        stories, references = parts.all(payloads.Story), parts.references()
        return mapping.to_project(self._binding, workspace, project_id, stories, references)

    async def _create_parts(self, plan: ProjectPlan, workspace: payloads.Workspace) -> None:
        parts = await self._find_parts(workspace)
        stories, references = parts.all(payloads.Story), parts.references()
        streams = our_ids(stories, references, payloads.WORKSTREAM)
        missing = [mapping.from_workstream(one, workspace) for one in plan.workstreams if one.id not in streams]
        streams |= await self._create_stories(missing, payloads.WORKSTREAM)
        planned = [(stream, milestone) for stream in plan.workstreams for milestone in stream.milestones]
        if not planned:
            return
        placed = our_ids(stories, references, payloads.MILESTONE)
        missing = [
            mapping.from_milestone(milestone, workspace, streams[stream.id])
            for stream, milestone in planned
            if milestone.id not in placed
        ]
        placed |= await self._create_stories(missing, payloads.MILESTONE)
        due = await self._wire.find_all(
            "billing_milestones",
            workspace_ids=workspace.id,
            external_reference_service_name=SERVICE,
            include="story,external_references",
        )
        amounts = our_ids(due.all(payloads.BillingMilestone), due.references(), payloads.BILLING_MILESTONE)
        bodies = [
            mapping.from_milestone_amount(milestone, workspace, placed[milestone.id])
            for _, milestone in planned
            if milestone.id not in amounts
        ]
        for some in _batched(bodies, _BULK):
            await self._wire.create("billing_milestones", "billing_milestones", some)

    async def _create_stories(self, bodies: Sequence[dict[str, Any]], model: str) -> dict[str, str]:
        """Make stories in bulk; our id → the vendor's."""
        made: dict[str, str] = {}
        for some in _batched(bodies, _STORIES_BULK):
            found = await self._wire.create("stories", "stories", some, include="workspace,external_references")
            made |= our_ids(found.all(payloads.Story), found.references(), model)
        return made

    # --- work ------------------------------------------------------------------------------------------------------
    async def list_time_entries(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[TimeEntry]:
        """Entries by their own change, and those whose approval changed without touching them."""
        fed = await self._wire.feed(
            "time_entries",
            {"include": "workspace,story,user,role,external_references", "from_archived_workspaces": True},
            lambda low, high: self._resubmitted("timesheet_submissions", "time_entries", low, high),
            since=modified_since,
            cursor=cursor,
            limit=limit,
        )
        entries, references = fed.found.all(payloads.TimeEntry), fed.found.references()
        roles = fed.found.side("roles", payloads.Role)
        projects = await self._directory.projects(entry.workspace_id for entry in entries)
        entries = [entry for entry in entries if entry.workspace_id in projects]
        streams = await self._directory.workstreams(entry.story_id for entry in entries)
        people = await self._directory.people(entry.user_id for entry in entries)

        def role_of(entry: payloads.TimeEntry) -> str | None:
            person = people.get(entry.user_id)
            return roles[entry.role_id].name if entry.role_id else person.role if person else None

        items = [
            mapping.to_time_entry(
                self._binding,
                entry,
                references,
                project_id=projects[entry.workspace_id],
                workstream_id=streams.get(entry.story_id or ""),
                person=people[entry.user_id].name if entry.user_id in people else None,
                role=role_of(entry),
                changed_at=fed.changed_at.get(entry.id),
            )
            for entry in entries
        ]
        return self._told.page(items, fed)

    async def list_expenses(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Expense]:
        """Expenses by their own change, and those whose report was approved without touching them."""
        fed = await self._wire.feed(
            "expenses",
            {"include": "workspace,user,active_submission,external_references", "from_archived_workspaces": True},
            lambda low, high: self._resubmitted("expense_report_submissions", "expenses", low, high),
            since=modified_since,
            cursor=cursor,
            limit=limit,
        )
        expenses, references = fed.found.all(payloads.Expense), fed.found.references()
        reports = fed.found.side("expense_report_submissions", payloads.Submission)
        projects = await self._directory.projects(expense.workspace_id for expense in expenses)
        items = [
            mapping.to_expense(
                self._binding,
                expense,
                references,
                project_id=projects[expense.workspace_id],
                is_approved=bool(expense.active_submission_id)
                and reports[expense.active_submission_id or ""].status == "approved",
                changed_at=fed.changed_at.get(expense.id),
            )
            for expense in expenses
            if expense.workspace_id in projects
        ]
        return self._told.page(items, fed)

    async def list_milestones(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[MilestoneCompletion]:
        """Completed milestone stories by their own or their custom fields' change; reopened ones are not approved."""
        fed = await self._wire.feed(
            "stories",
            {
                "include": "workspace,external_references,custom_field_values",
                "all_on_account": True,
                "external_reference_service_name": SERVICE,
                "external_reference_service_model": payloads.MILESTONE,
            },
            self._revalued,
            since=modified_since,
            cursor=cursor,
            limit=limit,
        )
        references = fed.found.references()
        rows = fed.found.all(payloads.Story)
        stories = [one for one in rows if our_id(one.external_reference_ids, references, payloads.MILESTONE)]
        values = fed.found.side("custom_field_values", payloads.FieldValue)
        told = {
            story.id: {values[v].custom_field_name: values[v].value for v in story.custom_field_value_ids}
            for story in stories
        }
        days = await self._days_of(stories, told)
        stories = [story for story in stories if story.id in days]
        projects = await self._directory.projects(story.workspace_id for story in stories)
        billed = await self._billed_among([story.id for story in stories])
        items = [
            mapping.to_completion(
                self._binding,
                story,
                next(r for n in story.external_reference_ids if (r := references[n]).service_name == SERVICE),
                project_id=projects[story.workspace_id],
                completed_on=days[story.id],
                is_approved=story.state == COMPLETED
                and str(told[story.id].get(self._acceptance_field, "")).casefold() == self._accepted,
                is_billed=story.id in billed,
                changed_at=fed.changed_at.get(story.id),
            )
            for story in stories
            if story.workspace_id in projects
        ]
        return self._told.page(items, fed)

    async def _resubmitted(
        self, submissions: str, lines: str, low: datetime, high: datetime | None
    ) -> Sequence[Touched]:
        """Lines of the submissions that changed in between; each says when it last changed itself."""
        found = await self._wire.find_all(submissions, updated_after=low, updated_before=high)
        changed = [one.id for one in found.all(payloads.Changed)]
        touched: list[Touched] = []
        for some in _batched(changed, 10):  # a submission may hold hundreds of lines
            whole = await self._wire.find_only(submissions, some, include=lines)
            own = whole.side(lines, payloads.Line)
            for one in whole.all(payloads.Submission):
                held = (line for line in (*one.time_entry_ids, *one.expense_ids) if line in own)
                touched += [Touched(line, one.updated_at, own[line].updated_at) for line in held]
        return touched

    async def _revalued(self, low: datetime, high: datetime | None) -> Sequence[Touched]:
        """Stories whose custom fields changed in between."""
        found = await self._wire.find_all(
            "custom_field_values", subject_type="Story", order="updated_at:asc", updated_after=low, updated_before=high
        )
        return [Touched(value.subject_id, value.updated_at) for value in found.all(payloads.FieldValue)]

    async def _days_of(
        self, stories: Sequence[payloads.Story], told: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, date]:
        """The day each story was completed on: its custom field, else when its state became so; none: never was."""
        noted = {story.id: value for story in stories if (value := told[story.id].get(self._completed_on_field))}
        untold = [story for story in stories if story.state != COMPLETED or story.id not in noted]
        found = await self._wire.find_only("stories", [one.id for one in untold], include="story_state_changes")
        changes = found.side("story_state_changes", payloads.StateChange)
        moved = {one.id: one.story_state_change_ids for one in found.all(payloads.Reached)}
        days: dict[str, date] = {}
        for story in stories:
            reached = [changes[n].created_at for n in moved.get(story.id, ()) if changes[n].state == COMPLETED]
            if story.state != COMPLETED and not reached:
                continue
            days[story.id] = max(reached, default=story.updated_at).date()
            if story.id in noted:
                days[story.id] = mapping.to_day(self._binding.system, self._completed_on_field, noted[story.id])
        return days

    async def _billed_among(self, stories: Sequence[str]) -> set[str]:
        """Those of the stories whose amount stands on an invoice."""
        return {one.story_id or "" for one in await self._amounts_of(stories) if one.invoice_ids}

    async def _amounts_of(self, stories: Sequence[str]) -> list[payloads.BillingMilestone]:
        amounts: list[payloads.BillingMilestone] = []
        for some in _batched(stories, _BULK):
            found = await self._wire.find_all("billing_milestones", story_ids=",".join(some), include="story,invoices")
            amounts += found.all(payloads.BillingMilestone)
        return amounts

    # --- billing marks ---------------------------------------------------------------------------------------------
    async def mark_billed(self, mark: BillingMark) -> Written:
        """An invoice with these lines; `is_invoiced` of each follows from it."""
        if written := await self.find_billing_mark(mark.invoice_id):
            return written
        workspace_id = await self._get_workspace_id(mark.project_id)
        if strange := [ref for ref in mapping.refs_of(mark) if not (ref.isascii() and ref.isdigit())]:
            raise NotFound(f"{self._binding.system} has no record {strange[0]}.")
        amounts = {one.story_id: one.id for one in await self._amounts_of(mark.milestone_refs)}
        if lacking := sorted(set(mark.milestone_refs) - amounts.keys()):
            raise NotFound(f"{self._binding.system} has no billing milestone for story {lacking[0]}.")
        body = mapping.from_mark(mark, workspace_id, [amounts[ref] for ref in mark.milestone_refs])
        made = await self._wire.create("invoices", "invoice", body, include="external_references")
        return self._written(mark.invoice_id, made.all(payloads.Invoice)[0], was_created=True)

    async def find_billing_mark(self, invoice_id: str) -> Written | None:
        """The invoice that carries our id; a cancelled one marks nothing."""
        found = await self._wire.find_ours("invoices", payloads.INVOICE, [invoice_id], include="external_references")
        standing = [one for one in found.all(payloads.Invoice) if one.status != "cancelled"]
        return self._written(invoice_id, standing[0], was_created=False) if standing else None

    def _written(self, invoice_id: str, invoice: payloads.Invoice, *, was_created: bool) -> Written:
        moment = invoice.updated_at.astimezone(UTC)
        source = self._binding.source(invoice.id, mapping.instant(moment), moment)
        return mapping.to_written(invoice_id, source, was_created=was_created)

    # --- changes ---------------------------------------------------------------------------------------------------
    async def list_changes(self, since: datetime | None) -> Sequence[ChangeHint]:
        """The newest 200 changes of each kind; they stand for older ones, since work is re-read by watermark."""
        return await list_hints(self._wire, since)
