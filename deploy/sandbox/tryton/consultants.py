"""Consultants at Tryton and the managers who approve: people, hours, milestones, and what is shown as billed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from deploy.sandbox.kit.firm import Progress, ProjectRow, PsaInvoiceRow
from deploy.sandbox.tryton.markings import marked, markings, remarked
from deploy.sandbox.tryton.seed import ACCEPTED, CLOSED, Ground
from deploy.sandbox.tryton.session import TrytonSession

Row = Mapping[str, str]
Json = dict[str, Any]
_LINES, _TASKS = 500, 40
_DONE = "Done"
_OWN_COMPANY = ("FIRM", "The firm", "EUR")


class TrytonConsultants:
    """Booking twice books nothing twice."""

    def __init__(self, session: TrytonSession) -> None:
        self._tryton = session
        self._ground = Ground(session)

    async def load_users(self, users: Sequence[Row]) -> None:
        """A party per person, the role among its identifiers; where there is no company yet, one to work in."""
        if not await self._tryton.count("company.company"):
            await self._ground.company(*_OWN_COMPANY)
        held = await self._tryton.find("party.party", [["code", "like", "USER-%"]], ["code"])
        known = {row["code"] for row in held}
        rows = [
            {
                "name": row["name"],
                "code": f"USER-{row['user_id']}",
                "identifiers": [["create", [{"code": marked(role=row["role"])}]]] if row["role"] else [],
            }
            for row in users
            if f"USER-{row['user_id']}" not in known
        ]
        await self._tryton.create("party.party", rows)

    async def book(
        self,
        projects: Mapping[str, str],
        entries: Sequence[Row],
        completions: Sequence[Row],
        progress: Progress | None = None,
    ) -> int:
        """Hours on the workstreams' timesheets, then milestones; how many hours rows."""
        mine = [row for row in entries if row["opportunity_id"] in projects]
        done = [row for row in completions if row["opportunity_id"] in projects]
        tree = await self._tree([int(number) for number in set(projects.values())])
        booked = await self._booked(tree)
        fresh = [row for row in mine if row["entry_id"] not in booked]
        places = {(str(work["root"]), work["name"]): work for work in tree if "workstream" in work["facts"]}
        employees = await self._employees(
            {
                (int(places[projects[row["opportunity_id"]], row["workstream"]]["company"]), row["user_id"])
                for row in fresh
            }
        )
        total, told = len(fresh) + len(done), count(0)
        made = next(told)

        def tell(more: int) -> None:
            nonlocal made
            made += more
            if progress is not None:
                progress(made, total)

        bodies: dict[int, list[Json]] = defaultdict(list)
        for row in fresh:
            work = places[projects[row["opportunity_id"]], row["workstream"]]
            company = int(work["company"])
            bodies[company].append(_line(row, work, employees[company, row["user_id"]]))

        async def create(company: int, rows: Sequence[Json]) -> None:
            await self._tryton.create("timesheet.line", rows, company=company)
            tell(len(rows))

        await asyncio.gather(
            *(create(company, some) for company, rows in bodies.items() for some in _slices(rows, _LINES))
        )
        await self._complete(tree, done)
        tell(len(done))
        return len(fresh)

    async def _tree(self, projects: Sequence[int]) -> list[Json]:
        """Every work of these projects, with its root and the facts of its comment."""
        columns = ["name", "parent", "comment", "company", "timesheet_works", "progress"]
        rows: list[Json] = []
        for some in _slices(sorted(projects), 50):
            rows += await self._tryton.find("project.work", [["parent", "child_of", list(some)]], columns)
        parents = {row["id"]: row["parent"] for row in rows}
        for row in rows:
            root = row["id"]
            while parents.get(root):
                root = parents[root]
            row |= {"root": root, "facts": markings(row["comment"])}
        return rows

    async def _booked(self, tree: Sequence[Json]) -> set[str]:
        """Entries that stand there already."""
        works = [number for work in tree for number in work["timesheet_works"]]
        rows = await self._tryton.find("timesheet.line", [["work", "in", works]], ["description"]) if works else []
        return {entry for row in rows if (entry := markings(row["description"]).get("entry"))}

    async def _employees(self, wanted: set[tuple[int, str]]) -> dict[tuple[int, str], int]:
        """A person is an employee of every company they work for; (company, user) → employee."""
        parties = await self._tryton.find("party.party", [["code", "like", "USER-%"]], ["code"])
        people = {str(row["code"]).removeprefix("USER-"): row["id"] for row in parties}
        held = await self._tryton.find(
            "company.employee", [["party.code", "like", "USER-%"]], ["company", "party.code"]
        )
        known = {(row["company"], row["party."]["code"].removeprefix("USER-")): row["id"] for row in held}
        missing = sorted(wanted - known.keys())
        for company in sorted({company for company, _ in missing}):
            users = [user for one, user in missing if one == company]
            rows = [{"party": people[user], "company": company} for user in users]
            made = await self._tryton.create("company.employee", rows, company=company)
            known |= {(company, user): number for user, number in zip(users, made, strict=True)}
        return known

    async def _complete(self, tree: Sequence[Json], done: Sequence[Row]) -> None:
        """A reached milestone has progress 1 and its day in the comment; an accepted one the status that says so."""
        rows = await self._tryton.find("project.work.status", [["name", "in", [ACCEPTED, _DONE]]], ["name"])
        statuses = {row["name"]: row["id"] for row in rows}
        held = {work["facts"]["reference"]: work for work in tree if "milestone" in work["facts"]}

        async def complete(some: Sequence[Row]) -> None:
            given: list[Any] = []
            for row in some:
                work = held[row["milestone_id"]]
                status = statuses[ACCEPTED if row["approved"] == "true" else _DONE]
                comment = remarked(work["comment"], completed=row["completed_on"])
                given += [[work["id"]], {"progress": 1.0, "status": status, "comment": comment}]
            await self._tryton.call("model.project.work.write", *given)

        fresh = [row for row in done if "completed" not in held[row["milestone_id"]]["facts"]]
        await asyncio.gather(*(complete(some) for some in _slices(fresh, _TASKS)))

    # --- reading back ----------------------------------------------------------------------------------------------
    async def read_projects(self) -> dict[str, ProjectRow]:
        """Every project of ours, closed ones too."""
        wanted = [["comment", "like", "[%"]]
        rows = await self._tryton.find("project.work", wanted, ["name", "parent", "comment", "type", "status.name"])
        parents = {row["id"]: row["parent"] for row in rows}
        parts: dict[tuple[int, str], list[str]] = defaultdict(list)
        for row in rows:
            root = row["id"]
            while parents.get(root):
                root = parents[root]
            for kind, value in markings(row["comment"]).items():
                parts[root, kind].append(value)
        return {
            str(row["id"]): ProjectRow(
                project_id=markings(row["comment"])["project"],
                title=row["name"],
                workstreams=tuple(parts[row["id"], "workstream"]),
                milestones=tuple(parts[row["id"], "milestone"]),
                is_archived=row["status."]["name"] == CLOSED,
            )
            for row in rows
            if row["type"] == "project"
        }

    async def read_invoices(self) -> list[PsaInvoiceRow]:
        """The notes that mark what was billed."""
        rows = await self._tryton.find("ir.note", [["message", "like", "[mark: %"]], ["resource", "message"])
        told = [(row["resource"], markings(row["message"])) for row in rows]
        return [
            PsaInvoiceRow(
                invoice_id=facts["mark"],
                workspace_id=resource.partition(",")[2],
                time_entries=len(facts.get("time", "").split()),
                milestones=len(facts.get("milestones", "").split()),
            )
            for resource, facts in told
        ]


def _line(row: Row, work: Json, employee: int) -> Json:
    facts = {"entry": row["entry_id"], "role": row["role"]}
    flags = {"billable": row["billable"] == "true", "approved": row["approved"] == "true"}
    return {
        "work": work["timesheet_works"][0],
        "employee": employee,
        "date": date.fromisoformat(row["work_date"]),
        "duration": timedelta(seconds=int(Decimal(row["hours"]) * 3600)),
        "description": marked(" ", **facts, **flags),
    }


def _slices(rows: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [rows[first : first + size] for first in range(0, len(rows), size)]
