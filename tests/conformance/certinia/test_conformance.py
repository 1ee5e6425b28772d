"""Certinia's connector passes the suite every connector passes, however the package may turn out to behave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import system_apis.connectors.certinia as package
from deploy.sandbox.certinia import simulator
from deploy.sandbox.certinia.words import EVENT, HEADER, PROJECT
from deploy.sandbox.kit.control import Simulator
from shared.canonical.billing import BillingMark
from shared.canonical.projects import Project
from system_apis.connectors.certinia.connector import CertiniaConnector, open_connector
from system_apis.connectors.certinia.mapping import entry_ref
from system_apis.ports.binding import Binding
from tests.conformance.certinia.orgs import binding, hands
from tests.conformance.conformance_suite import (
    Bench,
    ConformanceSuite,
    Drift,
    Moved,
    PagedRead,
    Removed,
    Variant,
    Write,
)
from tests.conformance.psa_firm import USERS, plan, read_whole
from tests.conformance.served import Sandbox

QUERY = r"GET /services/data/v60.0/query"
TUESDAY = date(2026, 2, 3)


@dataclass(frozen=True)
class Seeded:
    """One project of ours with an approved timecard."""

    project: Project
    card: str


class TestCertinia(ConformanceSuite):
    folder = Path(package.__file__).parent
    writes = ("projects.create", "projects.close", "billing_marks.create")
    read_route = QUERY
    token_route = "POST /services/oauth2/token"
    variants: ClassVar[Mapping[str, Variant]] = {
        "documented": Variant(),
        "otherwise": Variant(
            switches={
                "item_marks_source": False,
                "release_bills": False,
                "event_copies_down": False,
                "status_sets_flags": False,
                "copy_is_queued": False,
                "errors_in_string": False,
            }
        ),
    }

    def simulator(self) -> Simulator:
        return simulator()

    def binding(self, base_url: str, *, is_known: bool = True) -> Binding:
        return binding(base_url) if is_known else binding(base_url, secret="wrong")

    def connect(self, binding: Binding) -> CertiniaConnector:
        return open_connector(binding)

    async def prepare(self, sandbox: Sandbox) -> Seeded:
        async with hands(sandbox.base_url) as people:
            await people.firm.load_users(USERS)
            connector = open_connector(binding(sandbox.base_url))
            try:
                project = await connector.create_project(plan())
            finally:
                await connector.aclose()
            return Seeded(project, await people.card(project.source.ref, {TUESDAY: 7.5}))

    @asynccontextmanager
    async def _hands(self, bench: Bench) -> Any:
        async with hands(bench.sandbox.base_url) as people:
            yield people

    async def _count(self, bench: Bench, of: str) -> int:
        async with self._hands(bench) as people:
            return await people.count(of)

    async def plain_read(self, bench: Bench) -> object:
        return await bench.connector.list_time_entries(modified_since=None, cursor=None, limit=50)

    async def write(self, bench: Bench, name: str) -> Write:
        seeded: Seeded = bench.seeded
        if name == "projects.create":
            return Write(
                do=lambda: bench.connector.create_project(plan(2)),
                count=lambda: self._count(bench, f"{PROJECT} WHERE pse__Is_Template__c = FALSE"),
                route="(POST|PATCH) .*/(actions|sobjects|composite)/",
                steps=2,  # the action is not asked again by itself; whatever follows it is
            )
        if name == "projects.close":
            return Write(
                do=lambda: bench.connector.close_project("prj_1"),
                count=lambda: self._count(bench, f"{PROJECT} WHERE pse__Stage__c = 'Canceled'"),
                route=f"PATCH .*/sobjects/{PROJECT}/",
            )
        mark = BillingMark(
            invoice_id="inv_1",
            invoice_ref="48213",
            project_id="prj_1",
            invoice_on=date(2026, 2, 28),
            time_entry_refs=(entry_ref(seeded.card, TUESDAY),),
        )
        return Write(
            do=lambda: bench.connector.mark_billed(mark),
            count=lambda: self._count(bench, f"{EVENT} WHERE pse__Invoiced__c = TRUE"),
            route="(POST|PATCH) .*/(sobjects|composite)/",
        )

    def paged_reads(self, bench: Bench) -> Mapping[str, PagedRead]:
        ref = bench.seeded.project.source.ref

        async def cards(rows: int) -> Sequence[str]:
            async with self._hands(bench) as people:
                person, days = await people.person(), [TUESDAY + timedelta(weeks=n) for n in range(1, rows)]
                assignment = await people.assignment(ref, person)
                for day in days:
                    await people.card(ref, {day: 1}, person=person, assignment=assignment)
            return [day.isoformat() for day in (TUESDAY, *days)]

        async def read_entries() -> Sequence[str]:
            found = await read_whole(bench.connector.list_time_entries, limit=15)
            return [one.work_on.isoformat() for one in found]

        async def expenses(rows: int) -> Sequence[str]:
            async with self._hands(bench) as people:
                for n in range(rows):
                    await people.expense(ref, pse__Mobile_Expense_Reference_ID__c=f"X-{n}")
            return [f"X-{n}" for n in range(rows)]

        async def read_expenses() -> Sequence[str]:
            return [one.reference for one in await read_whole(bench.connector.list_expenses, limit=5)]

        async def milestones(rows: int) -> Sequence[str]:
            await bench.connector.create_project(plan(3, milestones=rows))
            async with self._hands(bench) as people:
                for n in range(1, rows + 1):
                    await people.complete(f"mil_3-{n}")
            return [f"OPP3-M{n}" for n in range(1, rows + 1)]

        async def read_milestones() -> Sequence[str]:
            return [one.reference for one in await read_whole(bench.connector.list_milestones, limit=5)]

        return {
            "time": PagedRead(cards, read_entries, QUERY, rows=21),
            "expenses": PagedRead(expenses, read_expenses, QUERY, rows=21),
            "milestones": PagedRead(milestones, read_milestones, QUERY, rows=21),
        }

    def drifts(self, bench: Bench) -> Sequence[Drift]:
        return [
            Drift(lambda: self.plain_read(bench), QUERY, "pse__Approved__c"),
            Drift(lambda: self.plain_read(bench), QUERY, "pse__Tuesday_Hours__c"),
            Drift(lambda: self.plain_read(bench), QUERY, "pse__Exclude_From_Billing__c"),
            Drift(lambda: bench.connector.find_project("prj_1"), QUERY, "Throughline_Id__c"),
            Drift(lambda: bench.connector.list_changes(None), QUERY, "SystemModstamp"),
        ]

    async def change_something(self, bench: Bench) -> str:
        async with self._hands(bench) as people:
            await people.patch(HEADER, bench.seeded.card, pse__Timecard_Notes__c="Looked at again")
        return "time"

    async def lose_position(self, bench: Bench) -> None:
        """Four days pass; the org keeps events for three."""
        assert bench.sandbox.simulator.configure
        bench.sandbox.simulator.configure({"clock_ahead": 4 * 86_400})
        bench.connector._feed._clock = lambda: datetime.now(UTC) + timedelta(days=4)

    def moved(self, bench: Bench) -> Moved:
        async def prepare() -> None:
            async with self._hands(bench) as people:
                await people.patch(HEADER, bench.seeded.card, Work_Role__c="Bauleitung")

        async def read(connector: CertiniaConnector) -> str | None:
            (entry,) = await read_whole(connector.list_time_entries)
            return entry.role

        words = {"Bauleitung": "Project Manager"}
        return Moved("time_entry", "role", "Work_Role__c", prepare, read, "Project Manager", words)

    def removed(self, bench: Bench) -> Removed:
        uses = {
            "create_project": lambda: bench.connector.create_project(plan(2)),
            "find_project": lambda: bench.connector.find_project("prj_1"),
        }
        return Removed(
            "project",
            "copy_job",
            lambda: bench.delete_field(PROJECT, "Throughline_Copy_Job__c"),
            uses,
            bench.undelete_fields,
        )
