"""Work in Kantata: hours, expenses and milestones read as feeds, with what changes them from beside."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from shared.canonical.references import Page
from shared.canonical.time import Expense, MilestoneCompletion, TimeEntry
from system_apis.connectors.kantata import mapping, payloads
from system_apis.connectors.kantata.changes import Told
from system_apis.connectors.kantata.client import KantataWire, Touched
from system_apis.connectors.kantata.custom_fields import demand, included, taken
from system_apis.connectors.kantata.directory import Directory, Person
from system_apis.connectors.kantata.payloads import SERVICE, our_id
from system_apis.connectors.kantata.projects import BULK, batched
from system_apis.fields import FieldMap
from system_apis.ports.binding import Binding

COMPLETED, ACCEPTED = "completed", "accepted"
_SUBMISSIONS_AT_ONCE = 10  # a submission may hold hundreds of lines


class Work:
    """Lists of the work done on our projects."""

    def __init__(self, binding: Binding, wire: KantataWire, fields: FieldMap) -> None:
        self._binding = binding
        self._wire = wire
        self._fields = fields
        self._directory = Directory(binding, wire, fields["resource"])
        self._told = Told()

    async def time_entries(self, since: datetime | None, cursor: str | None, limit: int) -> Page[TimeEntry]:
        """Entries by their own change, and those whose approval changed without touching them."""
        places = self._fields["time_entry"]
        fed = await self._wire.feed(
            "time_entries",
            {"include": included(places, "story", "role", "external_references"), "from_archived_workspaces": True},
            lambda low, high: self._resubmitted("timesheet_submissions", "time_entries", low, high),
            since=since,
            cursor=cursor,
            limit=limit,
        )
        entries, references = taken(fed.found, places, payloads.TimeEntry), fed.found.references()
        roles = fed.found.side("roles", payloads.Role)
        projects, streams, people = await asyncio.gather(
            self._directory.projects(entry.workspace_id for entry in entries),
            self._directory.workstreams(entry.story_id for entry in entries),
            self._directory.people(entry.user_id for entry in entries),
        )

        items: list[TimeEntry] = []
        for entry in entries:
            if (project_id := projects.get(entry.workspace_id)) is None:
                continue
            item = mapping.to_time_entry(
                self._binding,
                entry,
                references,
                project_id=project_id,
                workstream_id=streams.get(entry.story_id or ""),
                worker=self._worker(entry, people.get(entry.user_id), roles),
                changed_at=fed.changed_at.get(entry.id),
            )
            items.append(item)
        return self._told.page(items, fed)

    def _worker(
        self, entry: payloads.TimeEntry, person: Person | None, roles: Mapping[str, payloads.Role]
    ) -> mapping.Worker:
        """The person, in the entry's own role or else the person's."""
        role = payloads.role_name(entry.role_id, roles)
        if person is None:
            return mapping.Worker(self._binding.identify("resource", entry.user_id), None, role)
        return mapping.Worker(person.id, person.name, role or person.role)

    async def expenses(self, since: datetime | None, cursor: str | None, limit: int) -> Page[Expense]:
        """Expenses by their own change, and those whose report was approved without touching them."""
        places = self._fields["expense"]
        include = included(places, "workspace", "user", "active_submission", "external_references")
        fed = await self._wire.feed(
            "expenses",
            {"include": include, "from_archived_workspaces": True},
            lambda low, high: self._resubmitted("expense_report_submissions", "expenses", low, high),
            since=since,
            cursor=cursor,
            limit=limit,
        )
        expenses, references = taken(fed.found, places, payloads.Expense), fed.found.references()
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

    async def milestones(self, since: datetime | None, cursor: str | None, limit: int) -> Page[MilestoneCompletion]:
        """Completed milestone stories by their own or their custom fields' change; reopened ones are not approved."""
        places = self._fields["milestone"]
        fed = await self._wire.feed(
            "stories",
            {
                "include": included(places, "workspace", "external_references"),
                "all_on_account": True,
                "external_reference_service_name": SERVICE,
                "external_reference_service_model": payloads.MILESTONE,
            },
            self._revalued,
            since=since,
            cursor=cursor,
            limit=limit,
        )
        await demand(self._wire, "Story", fed.found, places)
        references = fed.found.references()
        rows = taken(fed.found, places, payloads.Story)
        stories = [one for one in rows if our_id(one.external_reference_ids, references, payloads.MILESTONE)]
        days = await self._days_of(stories)
        stories = [story for story in stories if story.id in days]
        projects, billed = await asyncio.gather(
            self._directory.projects(story.workspace_id for story in stories),
            self._billed_among([story.id for story in stories]),
        )
        items = [
            mapping.to_completion(
                self._binding,
                story,
                next(r for n in story.external_reference_ids if (r := references[n]).service_name == SERVICE),
                project_id=projects[story.workspace_id],
                completed_on=days[story.id],
                is_approved=story.state == COMPLETED and str(story.acceptance or "").casefold() == ACCEPTED,
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
        for whole in await asyncio.gather(
            *(self._wire.find_only(submissions, some, include=lines) for some in batched(changed, _SUBMISSIONS_AT_ONCE))
        ):
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

    async def _days_of(self, stories: Sequence[payloads.Story]) -> Mapping[str, date]:
        """The day each story was completed on: its custom field, else when its state became so; none: never was."""
        untold = [story.id for story in stories if story.state != COMPLETED or not story.completed_on]
        found = await self._wire.find_only("stories", untold, include="story_state_changes")
        changes = found.side("story_state_changes", payloads.StateChange)
        moved = {one.id: one.story_state_change_ids for one in found.all(payloads.Reached)}
        where = self._fields["milestone"].path("completed_on").removeprefix(f"{payloads.CUSTOM}.")
        days: dict[str, date] = {}
        for story in stories:
            reached = [changes[n].created_at for n in moved.get(story.id, ()) if changes[n].state == COMPLETED]
            if story.state != COMPLETED and not reached:
                continue
            days[story.id] = max(reached, default=story.updated_at).date()
            if story.completed_on:
                days[story.id] = mapping.to_day(self._binding.system, where, story.completed_on)
        return days

    async def _billed_among(self, stories: Sequence[str]) -> set[str]:
        """Those of the stories whose amount stands on an invoice."""
        return {one.story_id or "" for one in await self.amounts_of(stories) if one.invoice_ids}

    async def amounts_of(self, stories: Sequence[str]) -> list[payloads.BillingMilestone]:
        """The amounts that fall due when these stories are reached."""
        found = await asyncio.gather(
            *(
                self._wire.find_all("billing_milestones", story_ids=",".join(some), include="story,invoices")
                for some in batched(stories, BULK)
            )
        )
        return [amount for one in found for amount in one.all(payloads.BillingMilestone)]
