"""Kantata keeps the promises every connector makes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from deploy.sandbox.kantata import simulator
from deploy.sandbox.kit.control import Simulator
from shared.canonical.billing import BillingMark
from system_apis.connectors.kantata import connector
from system_apis.ports.binding import Binding
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
from tests.conformance.kantata.account import Account, binding
from tests.conformance.psa_firm import plan, read_whole
from tests.conformance.served import Sandbox


@dataclass(frozen=True)
class Seeded:
    account: Account
    workspace: str
    stories: dict[str, str]


class TestKantata(ConformanceSuite):
    folder = Path(connector.__file__).parent
    writes = ("projects.create", "projects.close", "billing_marks.create")
    read_route = r"^GET /api/v1/time_entries"
    tick = 1.05  # stamps are whole seconds
    variants: ClassVar[Mapping[str, Variant]] = {
        "documented": Variant(),
        "otherwise": Variant(
            switches={
                "approval_touches_entries": False,
                "invoicing_touches_entries": False,
                "value_touches_subject": False,
                "reference_touches_subject": True,
                "updated_after_is_inclusive": True,
                "events_are_disordered": True,
            }
        ),
    }

    @pytest.fixture(autouse=True)
    async def _by_hand(self) -> AsyncIterator[None]:
        async with httpx.AsyncClient(trust_env=False) as self.client:
            yield

    def simulator(self) -> Simulator:
        return simulator(strict_filters=True)

    def binding(self, base_url: str, *, is_known: bool = True) -> Binding:
        return binding(base_url) if is_known else binding(base_url, token="nobody")

    def connect(self, binding: Binding) -> connector.KantataConnector:
        return connector.open_connector(binding)

    async def prepare(self, sandbox: Sandbox) -> Seeded:
        opened = connector.open_connector(self.binding(sandbox.base_url))
        try:
            project = await opened.create_project(plan())
        finally:
            await opened.aclose()
        account = Account(sandbox.base_url, self.client)
        await account.field("Completed on", "date")
        await account.field("Acceptance")
        stories = {part.id: part.ref for part in (*project.workstreams, *project.milestones)}
        return Seeded(account, project.source.ref, stories)

    async def plain_read(self, bench: Bench) -> object:
        return await bench.connector.list_time_entries(modified_since=None, cursor=None, limit=10)

    async def write(self, bench: Bench, name: str) -> Write:
        account: Account = bench.seeded.account
        if name == "projects.create":
            other = plan(2, workstreams=3, milestones=3)

            async def parts() -> int:
                names = ("workspaces", "stories", "billing_milestones", "external_references")
                return sum([len(await account.rows(name)) for name in names])

            async def create() -> object:
                return await bench.connector.create_project(other)

            # cuts at the other three calls: test_projects_and_marks, with a fresh project each
            return Write(create, parts, r"^POST /api/v1/workspaces", expected=1 + 6 + 3 + 10)
        if name == "projects.close":

            async def archived() -> int:
                return len(await account.rows("workspaces", archived="only"))

            async def close() -> object:
                return await bench.connector.close_project("prj_1")

            return Write(close, archived, r"^PUT /api/v1/workspaces")
        entries = await account.entries(bench.seeded.workspace, 3)
        await account.approve(bench.seeded.workspace, entries)
        mark = BillingMark(
            invoice_id="inv_1",
            invoice_ref="4711",
            project_id="prj_1",
            invoice_on=date(2026, 2, 28),
            time_entry_refs=tuple(entries),
            milestone_refs=(bench.seeded.stories["mil_1-1"],),
        )

        async def invoices() -> int:
            return len(await account.rows("invoices"))

        async def bill() -> object:
            return await bench.connector.mark_billed(mark)

        return Write(bill, invoices, r"^POST /api/v1/invoices")

    def paged_reads(self, bench: Bench) -> Mapping[str, PagedRead]:
        account: Account = bench.seeded.account

        async def book(rows: int) -> Sequence[str]:
            return await account.entries(bench.seeded.workspace, rows)

        async def booked() -> Sequence[str]:
            return [entry.source.ref for entry in await read_whole(bench.connector.list_time_entries)]

        async def spend(rows: int) -> Sequence[str]:
            body = {
                "workspace_id": bench.seeded.workspace,
                "date": "2026-02-01",
                "category": "Travel",
                "amount_in_cents": 1250,
            }
            made: list[str] = []
            for first in range(0, rows, 100):
                document = await account.post("expenses", "expenses", [body] * min(100, rows - first))
                made += [result["id"] for result in document["results"]]
            return made

        async def spent() -> Sequence[str]:
            return [expense.source.ref for expense in await read_whole(bench.connector.list_expenses, 150)]

        return {
            "time_entries": PagedRead(book, booked, r"GET /api/v1/time_entries", rows=901),
            "expenses": PagedRead(spend, spent, r"GET /api/v1/expenses", rows=601),
        }

    def drifts(self, bench: Bench) -> Sequence[Drift]:
        account: Account = bench.seeded.account

        async def entries() -> object:
            await account.entries(bench.seeded.workspace, 1)
            return await bench.connector.list_time_entries(modified_since=None, cursor=None, limit=10)

        async def project() -> object:
            return await bench.connector.find_project("prj_1")

        return [
            Drift(entries, r"GET /api/v1/time_entries", "time_in_minutes"),
            Drift(entries, r"GET /api/v1/time_entries", "approved"),
            Drift(entries, r"GET /api/v1/time_entries", "results"),
            Drift(project, r"GET /api/v1/workspaces", "currency_base_unit"),
        ]

    async def change_something(self, bench: Bench) -> str:
        await bench.seeded.account.entries(bench.seeded.workspace, 1)
        return "time"

    async def lose_position(self, bench: Bench) -> None:
        """Ten days pass at the vendor, who keeps events for nine."""
        assert bench.sandbox.simulator.configure
        bench.sandbox.simulator.configure({"clock_ahead": 10 * 86_400})

    def moved(self, bench: Bench) -> Moved:
        account: Account = bench.seeded.account
        story = bench.seeded.stories["mil_1-1"]

        async def sign() -> None:
            field = await account.field("Sign-off", "single", choices=["Signed", "Refused"])
            (choice,) = [row["id"] for row in await account.choices(field) if row["label"] == "Signed"]
            await account.value(field, story, [int(choice)])
            await account.put(f"stories/{story}", "story", {"state": "completed"})

        async def approved(opened: Any) -> object:
            return [one.is_approved for one in await read_whole(opened.list_milestones)]

        values = {"Signed": "accepted", "Refused": "not accepted"}
        return Moved("milestone", "acceptance", "custom_fields.Sign-off", sign, approved, [True], values)

    def removed(self, bench: Bench) -> Removed:
        account: Account = bench.seeded.account

        async def remove() -> None:
            (field,) = [row for row in await account.rows("custom_fields") if row["name"] == "Completed on"]
            answer = await account.call("DELETE", f"custom_fields/{field['id']}")
            assert answer.status_code == 204, answer.text

        uses = {"list_milestones": lambda: read_whole(bench.connector.list_milestones)}
        return Removed("milestone", "completed_on", remove, uses)
