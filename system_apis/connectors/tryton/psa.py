"""Tryton as a PSA: projects, timesheet lines, milestones, and notes that mark what was billed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.canonical.billing import BillingMark
from shared.canonical.projects import Project, ProjectPlan
from shared.canonical.references import Page, Written
from shared.canonical.time import Expense, MilestoneCompletion, TimeEntry
from system_apis.connectors.tryton import mapping
from system_apis.connectors.tryton.changes import changed_page
from system_apis.connectors.tryton.client import TrytonClient, parsed
from system_apis.connectors.tryton.directory import Directory
from system_apis.connectors.tryton.payloads import Note, TimesheetLine, Work
from system_apis.connectors.tryton.projects import Projects
from system_apis.connectors.tryton.records import STAMP, Library
from system_apis.connectors.tryton.tags import holds, led_by
from system_apis.ports.binding import Binding

_RESOURCES = 200


class Psa:
    """Implements PsaPort."""

    def __init__(
        self, binding: Binding, client: TrytonClient, library: Library, directory: Directory, projects: Projects
    ) -> None:
        self._binding = binding
        self._client = client
        self._library = library
        self._directory = directory
        self._projects = projects
        self._accepted = binding.settings.get("accepted_status", "Accepted")

    # --- projects --------------------------------------------------------------------------------------------------
    async def find_project(self, project_id: str) -> Project | None:
        """By the tag in its comment, closed or not."""
        tree = await self._projects.find(project_id)
        return mapping.to_project(self._binding, project_id, tree, with_milestones=True) if tree else None

    async def create_project(self, plan: ProjectPlan) -> Project:
        """The whole tree in one call; of one that is there only what is missing."""
        tree = await self._projects.bring_up(plan, with_milestones=True)
        return mapping.to_project(self._binding, plan.id, tree, with_milestones=True)

    async def close_project(self, project_id: str) -> None:
        """Into the status of closed works."""
        await self._projects.close(project_id)

    # --- work ------------------------------------------------------------------------------------------------------
    async def list_time_entries(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[TimeEntry]:
        """Timesheet lines by change; those of works that are not ours are left out."""
        records = self._library["time_entry"]
        rows, following = await changed_page(self._client, records, [], modified_since, cursor, limit)
        lines = parsed(TimesheetLine, records.take_all(rows))
        places = await self._directory.places(line.work for line in lines)
        ours = [line for line in lines if line.work in places]
        roles = await self._directory.roles(line.employee.party.id for line in ours)
        marked = await self._marked(place.root for place in places.values())
        entries = tuple(
            mapping.to_time_entry(
                self._binding,
                line,
                project_id=places[line.work].project_id,
                workstream_id=places[line.work].workstream_id,
                role=roles.get(line.employee.party.id),
                billed=str(line.id) in marked.time,
            )
            for line in ours
        )
        return Page(items=entries, next_cursor=following)

    async def list_expenses(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Expense]:
        """None: these modules of Tryton keep no expenses of projects."""
        del modified_since, cursor, limit
        return Page(items=())

    async def list_milestones(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[MilestoneCompletion]:
        """Milestone tasks that were reached (progress 1, or a day of completion in the comment), by change."""
        records = self._library["project"]
        comment, progress = records.folded, records.column("progress")
        reached = ["OR", [progress, ">=", 1.0], [comment, *holds("completed")]]
        rows, following = await changed_page(
            self._client, records, [[comment, *led_by("milestone")], reached], modified_since, cursor, limit
        )
        works = parsed(Work, records.take_all(rows))
        places = await self._directory.lineage({work.id for work in works})
        marked = await self._marked(place.root for place in places.values())
        done = tuple(
            mapping.to_completion(
                self._binding,
                work,
                project_id=places[work.id].project_id,
                accepted=self._accepted,
                billed=str(work.id) in marked.milestones,
            )
            for work in works
            if work.id in places
        )
        return Page(items=done, next_cursor=following)

    # --- marks -----------------------------------------------------------------------------------------------------
    async def mark_billed(self, mark: BillingMark) -> Written:
        """A note on the project, looked up before it is made: Tryton's own link to an invoice line cannot be set."""
        async with self._client.alone(mark.invoice_id):
            project = (await self._projects.get(mark.project_id))[0]
            held = await self._notes([project.id], led_by("mark", mark.invoice_id))
            if held:
                return mapping.to_written(self._binding, mark.invoice_id, held[0], was_created=False)
            records = self._library["note"]
            await self._client.create(records.model, [records.give(mapping.from_mark(mark, project.id))])
            made = await self._notes([project.id], led_by("mark", mark.invoice_id))
            if not made:
                raise mapping.vanished("note", mark.invoice_id)
            return mapping.to_written(self._binding, mark.invoice_id, made[0], was_created=True)

    async def find_billing_mark(self, invoice_id: str) -> Written | None:
        """The note that names the invoice first, asked of every project of ours: a search of works sees no notes."""
        held = await self._notes(await self._projects.numbers(), led_by("mark", invoice_id))
        return mapping.to_written(self._binding, invoice_id, held[0], was_created=False) if held else None

    async def _marked(self, projects: Iterable[int]) -> Marked:
        """What the marks of these projects say."""
        marked = Marked()
        for note in await self._notes(sorted(set(projects)), led_by("mark")):
            marked.time.update((note.message.time or "").split())
            marked.milestones.update((note.message.milestones or "").split())
        return marked

    async def _notes(self, projects: Sequence[int], which: list[Any]) -> list[Note]:
        """Notes of these projects: Tryton shows notes only to those who name the records."""
        records = self._library["note"]
        columns = ["resource", records.folded, STAMP]
        notes: list[Note] = []
        for first in range(0, len(projects), _RESOURCES):
            resources = [f"project.work,{number}" for number in projects[first : first + _RESOURCES]]
            wanted = [["resource", "in", resources], [records.folded, *which]]
            rows = await self._client.find_all(records.model, wanted, columns)
            notes += parsed(Note, records.take_all(rows))
        return notes


@dataclass(slots=True)
class Marked:
    """The ids that stand on an invoice."""

    time: set[str] = field(default_factory=set[str])
    milestones: set[str] = field(default_factory=set[str])
