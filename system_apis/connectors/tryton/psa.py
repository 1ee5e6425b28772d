"""Tryton as a PSA: projects, timesheet lines, milestones, and notes that mark what was billed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

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
from system_apis.connectors.tryton.records import Library
from system_apis.connectors.tryton.tags import holds, led_by
from system_apis.ports.binding import Binding

_AGAIN = 200


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
        self._marks = Marks(client, library)

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
        await self._marks.refresh()
        entries = tuple(
            mapping.to_time_entry(
                self._binding,
                line,
                project_id=places[line.work].project_id,
                workstream_id=places[line.work].workstream_id,
                role=roles.get(line.employee.party.id),
                billed=str(line.id) in self._marks.time,
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
        await self._marks.refresh()
        done = tuple(
            mapping.to_completion(
                self._binding,
                work,
                project_id=places[work.id].project_id,
                accepted=self._accepted,
                billed=str(work.id) in self._marks.milestones,
            )
            for work in works
            if work.id in places
        )
        return Page(items=done, next_cursor=following)

    # --- marks -----------------------------------------------------------------------------------------------------
    async def mark_billed(self, mark: BillingMark) -> Written:
        """A note on the project, looked up before it is made: Tryton's own link to an invoice line cannot be set."""
        async with self._client.alone(mark.invoice_id):
            if held := await self._find_mark(mark.invoice_id):
                return mapping.to_written(self._binding, mark.invoice_id, held, was_created=False)
            project = (await self._projects.get(mark.project_id))[0]
            records = self._library["note"]
            await self._client.create(records.model, [records.give(mapping.from_mark(mark, project.id))])
            written = await self.find_billing_mark(mark.invoice_id)
            if written is None:
                raise mapping.vanished("note", mark.invoice_id)
            return written.model_copy(update={"was_created": True})

    async def find_billing_mark(self, invoice_id: str) -> Written | None:
        """The note that names the invoice first."""
        held = await self._find_mark(invoice_id)
        return mapping.to_written(self._binding, invoice_id, held, was_created=False) if held else None

    async def _find_mark(self, invoice_id: str) -> Note | None:
        records = self._library["note"]
        wanted = [[records.folded, *led_by("mark", invoice_id)]]
        rows = await self._client.find(records.model, wanted, ["resource", records.folded, "last_modified_at"], limit=1)
        return parsed(Note, records.take_all(rows))[0] if rows else None


class Marks:
    """What the billing marks say, read on from the last one seen; marks are never changed."""

    def __init__(self, client: TrytonClient, library: Library) -> None:
        self._client = client
        self._records = library["note"]
        self._last = 0
        self.time: set[str] = set()
        self.milestones: set[str] = set()

    async def refresh(self) -> None:
        """Read what is new, and the last ones again: a transaction may become visible after a younger one."""
        folded = self._records.folded
        wanted = [["id", ">", max(0, self._last - _AGAIN)], [folded, *led_by("mark")]]
        rows = await self._client.find_all(self._records.model, wanted, ["resource", folded, "last_modified_at"])
        notes: Sequence[Note] = parsed(Note, self._records.take_all(rows))
        for note in notes:
            self.time.update((note.message.time or "").split())
            self.milestones.update((note.message.milestones or "").split())
        self._last = max([self._last, *(note.id for note in notes)])
