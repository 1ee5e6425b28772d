"""Tryton through the conformance suite, on the real server behind the sandbox's wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.firm import WireRefused
from deploy.sandbox.tryton.seed import CLOSED
from deploy.sandbox.tryton.session import TrytonSession
from deploy.sandbox.tryton.simulator import Site, simulator
from shared.canonical.money import Money
from shared.canonical.opportunities import DeliveryStage, DeliveryStatus, InvoiceStage, InvoiceStatus
from system_apis.connectors.tryton.connector import TrytonConnector, open_connector
from system_apis.ports.binding import Binding
from tests.conformance import erp_firm
from tests.conformance.conformance_suite import Bench, ConformanceSuite, Drift, Moved, PagedRead, Removed, Write
from tests.conformance.served import Sandbox
from tests.conformance.small_firm import read_on
from tests.conformance.tryton import samples
from tests.conformance.tryton.conftest import binding_for, integration, person

ROOT = Path(__file__).parents[3]
_ALL_WORKERS = 12


@dataclass(frozen=True)
class Seeded:
    """Somebody of the firm, and the deal that was won."""

    session: TrytonSession
    deal: str


def rpc(method: str) -> str:
    """The route of calls of a method."""
    return rf"/rpc/{method}".replace(".", r"\.")


class TestTryton(ConformanceSuite):
    folder = ROOT / "system_apis" / "connectors" / "tryton"
    writes = (
        "customers.amend",
        "contracts.amend",
        "delivery_statuses.amend",
        "invoice_statuses.amend",
        "projects.create",
        "projects.amend",
        "projects.close",
        "billing_marks.create",
        "billing_schedules.amend",
        "invoices.create",
    )
    read_route = rpc("model.company.company.search_read")
    token_route = rpc("common.db.login")

    @pytest.fixture(autouse=True)
    def _tryton(self, tryton_site: Site) -> None:
        self.site = tryton_site

    def simulator(self) -> Simulator:
        self.site.reset()
        return simulator(site=self.site)

    def binding(self, base_url: str, *, is_known: bool = True) -> Binding:
        return binding_for(base_url) if is_known else binding_for(base_url, password="somebody else's")

    def connect(self, binding: Binding) -> TrytonConnector:
        return open_connector(binding)

    async def prepare(self, sandbox: Sandbox) -> Seeded:
        self.clients.append(httpx.AsyncClient(timeout=60, trust_env=False))
        session = person(sandbox.base_url, self.clients[0])
        deals = await session.find("sale.opportunity", [["state", "=", "won"]])
        return Seeded(session, str(deals[0]["id"]))

    @pytest.fixture(autouse=True)
    async def _closed(self) -> AsyncIterator[None]:
        self.clients: list[httpx.AsyncClient] = []
        yield
        for client in self.clients:
            await client.aclose()

    async def plain_read(self, bench: Bench) -> object:
        return await bench.connector.for_role("erp").list_legal_entities()

    async def write(self, bench: Bench, name: str) -> Write:  # noqa: PLR0911 - one scenario per write
        session, deal = bench.seeded.session, bench.seeded.deal
        crm, psa, erp = (bench.connector.for_role(role) for role in ("crm", "psa", "erp"))

        def counts(model: str, *domain: Any) -> Callable[[], Awaitable[int]]:
            return lambda: session.count(model, list(domain))

        if name == "customers.amend":
            count = counts("party.party", ["code", "=", "cus_acme"])
            return Write(
                lambda: erp.amend_customer(erp_firm.customer(), "HC-DE"), count, rpc("model.party.party.create")
            )
        if name in {"delivery_statuses.amend", "invoice_statuses.amend"}:
            return self._told(crm, deal, name, counts)
        if name != "projects.create":
            await erp.amend_customer(erp_firm.customer(), "HC-DE")
        if name in {"projects.create", "projects.amend"}:
            act = psa.create_project if name == "projects.create" else erp.amend_project
            count = counts("project.work", ["comment", "like", "[project: prj_acme]%"])
            return Write(lambda: act(erp_firm.plan()), count, rpc("model.project.work.create"))
        await psa.create_project(erp_firm.plan())
        if name == "projects.close":
            count = counts("project.work", ["status.name", "=", CLOSED])
            return Write(lambda: psa.close_project("prj_acme"), count, rpc("model.project.work.write"))
        if name == "billing_marks.create":
            count = counts("ir.note", ["message", "like", "[mark: inv_acme]%"])
            return Write(lambda: psa.mark_billed(samples.mark()), count, rpc("model.ir.note.create"))
        if name == "billing_schedules.amend":
            count = counts("project.work", ["comment", "like", "[milestone: mil_%"])
            act = erp.amend_billing_schedule
            return Write(lambda: act(erp_firm.schedule()), count, rpc("model.project.work.create"), expected=2)
        if name == "contracts.amend":
            count = counts("sale.sale", ["comment", "like", "%[contract_id: con_acme]%"])
            return Write(lambda: erp.amend_contract(erp_firm.contract()), count, rpc("model.sale.sale.create"))
        count = counts("account.invoice", ["reference", "=", "inv_acme"], ["state", "=", "posted"])
        return Write(lambda: erp.create_invoice(erp_firm.draft()), count, rpc("model.account.invoice.create"))

    def _told(self, crm: Any, deal: str, name: str, counts: Any) -> Write:
        route = rpc("model.ir.note.create")
        if name == "delivery_statuses.amend":
            status = DeliveryStatus(
                stage=DeliveryStage.ACTIVATED, project_id="prj_acme", project_ref="7", message="On."
            )
            count = counts("ir.note", ["message", "like", "[delivery: activated]%"])
            return Write(lambda: crm.amend_delivery_status(deal, status), count, route)
        money = Money.of("10.50", "EUR")
        told = InvoiceStatus(
            invoice_ref="5", period="2026-10", stage=InvoiceStage.POSTED, gross=money, paid=Money.zero("EUR")
        )
        count = counts("ir.note", ["message", "like", "[invoice: inv_acme]%"])
        return Write(lambda: crm.amend_invoice_status(deal, "inv_acme", told), count, route)

    async def test_a_mark_is_found_by_its_invoice(self, bench: Bench) -> None:
        psa = bench.connector.for_role("psa")
        await bench.connector.for_role("erp").amend_customer(erp_firm.customer(), "HC-DE")
        await psa.create_project(erp_firm.plan())
        made = await psa.mark_billed(samples.mark())
        found = await psa.find_billing_mark("inv_acme")
        assert found is not None
        assert (found.id, found.source) == (made.id, made.source)
        assert await psa.find_billing_mark("inv_acm") is None

    def paged_reads(self, bench: Bench) -> Mapping[str, PagedRead]:
        psa, session = bench.connector.for_role("psa"), bench.seeded.session

        async def seed(rows: int) -> list[str]:
            await psa.create_project(erp_firm.plan())
            works = await session.find("timesheet.work", [["origin", "like", "project.work,%"]], ["company"])
            party = (await session.find("party.party", [["code", "=", "USER-1"]]))[0]["id"]
            company = works[-1]["company"]
            (employee,) = await session.create(
                "company.employee", [{"party": party, "company": company}], company=company
            )
            line = {"work": works[-1]["id"], "employee": employee, "duration": timedelta(hours=1.5)}
            names = [f"E-{number}" for number in range(rows)]
            for some in (names[: rows // 2], names[rows // 2 :]):  # of one call all have the same instant
                lines = [{**line, "date": date(2026, 9, 2), "description": f"[entry: {name}]"} for name in some]
                await session.create("timesheet.line", lines, company=company)
            return names

        async def read() -> list[str]:
            return [entry.reference for entry in await read_on(psa.list_time_entries, 5)]

        return {"time entries": PagedRead(seed, read, rpc("model.timesheet.line.search_read"), 18)}

    def drifts(self, bench: Bench) -> Sequence[Drift]:
        crm, erp = bench.connector.for_role("crm"), bench.connector.for_role("erp")
        deal = bench.seeded.deal
        return (
            Drift(erp.list_service_items, rpc("model.product.product.search_read"), "default_uom"),
            Drift(erp.list_rate_cards, rpc("model.product.price_list.line.search_read"), "formula"),
            Drift(lambda: crm.get_opportunity(deal), rpc("model.sale.opportunity.search_read"), "amount"),
        )

    async def change_something(self, bench: Bench) -> str:
        session = bench.seeded.session
        sale = (await session.find("sale.sale", [["origin", "=", f"sale.opportunity,{bench.seeded.deal}"]]))[0]["id"]
        await session.write("sale.sale", [sale], {"reference": "PO-1"})
        return "opportunity"

    def moved(self, bench: Bench) -> Moved:
        session, deal = bench.seeded.session, bench.seeded.deal

        async def prepare() -> None:
            sale = (await session.find("sale.sale", [["origin", "=", f"sale.opportunity,{deal}"]], ["comment"]))[0]
            comment = sale["comment"].replace("[rate_card: RC-DE]", "[price_level: gold]")
            await session.write("sale.sale", [sale["id"]], {"comment": comment})

        async def read(connector: Any) -> object:
            return (await connector.for_role("crm").find_contract(deal)).rate_card_code

        return Moved("contract", "rate_card", "comment.price_level", prepare, read, "RC-DE", {"gold": "RC-DE"})

    def removed(self, bench: Bench) -> Removed:
        crm, deal, people = bench.connector.for_role("crm"), bench.seeded.deal, bench.seeded.session
        withheld = {"model": "sale.opportunity", "field": "description"}

        async def told(*, is_refused: bool) -> None:
            ours = integration(bench.sandbox.base_url, self.clients[0])
            in_a_row = 0
            while in_a_row < _ALL_WORKERS:  # they tell each other a moment later
                in_a_row = in_a_row + 1 if await _is_refused(ours, **withheld) == is_refused else 0

        async def withhold() -> None:
            access = {**withheld, "perm_read": False, "perm_write": False}
            await people.create("ir.model.field.access", [access])
            await told(is_refused=True)

        async def give_back() -> None:
            (access,) = await people.find("ir.model.field.access", [["field", "=", withheld["field"]]])
            await people.call("model.ir.model.field.access.delete", [access["id"]])
            await told(is_refused=False)

        uses = {
            "get_opportunity": lambda: crm.get_opportunity(deal),
            "list_opportunities": lambda: read_on(crm.list_opportunities),
        }
        return Removed("opportunity", "name", withhold, uses, give_back)


async def _is_refused(session: TrytonSession, model: str, field: str) -> bool:
    try:
        await session.call(f"model.{model}.read", [], [field])
    except WireRefused as error:
        return "not allowed to access" in str(error)
    return False
