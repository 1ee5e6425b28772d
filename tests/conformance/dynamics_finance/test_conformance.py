"""The Dynamics 365 Finance connector under the conformance suite, against the simulator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Protocol, TypeVar

import httpx

import system_apis.connectors.dynamics_finance as package
from deploy.sandbox.dynamics_finance.schema import NAMESPACE
from deploy.sandbox.kit.control import Simulator
from shared.canonical.references import Page
from system_apis.connectors.dynamics_finance.connector import DynamicsFinanceConnector, open_connector
from system_apis.connectors.dynamics_finance.webhooks import open_intake
from system_apis.ports.binding import Binding
from system_apis.ports.changes import WebhookIntake
from tests.conformance.conformance_suite import Bench, ConformanceSuite, Drift, Moved, PagedRead, Variant, Write
from tests.conformance.dynamics_finance.conftest import bound, environment, people
from tests.conformance.dynamics_finance.samples import (
    LEGAL_ENTITIES,
    RATE_CARDS,
    SERVICE_ITEMS,
    contract,
    customer,
    draft,
    plan,
    schedule,
)
from tests.conformance.served import Sandbox

PAGE = 5
Item = TypeVar("Item")


class TestDynamicsFinance(ConformanceSuite):
    folder = Path(package.__file__).parent
    writes = (
        "customers.amend",
        "projects.amend",
        "projects.close",
        "contracts.amend",
        "billing_schedules.amend",
        "invoices.create",
    )
    read_route = "GET /data/LegalEntities"
    token_route = "POST /.*/oauth2/v2.0/token"
    tick = 1.05  # stamps are whole seconds
    variants: Mapping[str, Variant] = {
        "documented": Variant(),
        "otherwise": Variant(
            settings={
                "customer_numbers": "automatic",
                "posting": "batch",
                "line_amounts": "priced",
                "settlements": "transactions",
                "service_items": "released_products",
                "set_names": "ProjectCategoryEntities=ProjectCategories",
                "invoice_by": "project_proposal",
            },
            switches={
                "customer_numbers": "automatic",
                "project_operations": True,
                "posting_service": False,
                "batch_every": 3,
                "line_amounts": "priced",
                "settled_lines": "dropped",
                "set_names": {"ProjectCategoryEntities": "ProjectCategories"},
            },
        ),
    }

    def simulator(self) -> Simulator:
        return environment()

    def binding(self, base_url: str, *, is_known: bool = True) -> Binding:
        return bound(base_url) if is_known else bound(base_url, secret="not the secret")

    def connect(self, binding: Binding) -> DynamicsFinanceConnector:
        return open_connector(binding)

    def intake(self, binding: Binding) -> WebhookIntake:
        return open_intake(binding)

    async def prepare(self, sandbox: Sandbox) -> object:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await people(sandbox.base_url, client).load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)

    async def plain_read(self, bench: Bench) -> object:
        return await bench.connector.list_legal_entities()

    async def write(self, bench: Bench, name: str) -> Write:
        connector: DynamicsFinanceConnector = bench.connector
        if name != "customers.amend":
            await connector.amend_customer(customer(), "HC-DE")
        if name in {"contracts.amend", "billing_schedules.amend", "invoices.create", "projects.close"}:
            await connector.amend_project(plan())
        is_new = bench.binding.settings.get("invoice_by") == "project_proposal"
        projects = "ProjectsV2" if is_new else "Projects"
        contracts = "ProjectContractHeaders" if is_new else "ProjectContracts"
        documents = "ProjectInvoiceProposalHeaders" if is_new else "FreeTextInvoiceHeaders"
        ours = "TLInvoiceId" if is_new else "ExternalInvoiceId"
        stage = f"TLExternalId eq 'prj_acme' and ProjectStage eq {NAMESPACE}.ProjStatus'Completed'"
        last = rf"{documents}\(" if is_new else "never"
        table: Mapping[str, tuple[Callable[[], Awaitable[object]], tuple[str, str], str, int, int]] = {
            "customers.amend": (
                lambda: connector.amend_customer(customer(), "HC-DE"),
                ("CustomersV3", "TLExternalId eq 'cus_acme'"),
                "data/CustomersV3",
                1,
                1,
            ),
            "projects.amend": (
                lambda: connector.amend_project(plan()),
                (projects, "TLExternalId ne ''"),
                f"data/({contracts}|ProjectFundingSources|{projects})",
                2,
                3,
            ),
            "projects.close": (lambda: connector.close_project("prj_acme"), (projects, stage), r"data/\$batch", 1, 1),
            "contracts.amend": (
                lambda: connector.amend_contract(contract()),
                (contracts, "TLExternalId eq 'con_acme'"),
                f"data/({contracts}|ProjectFundingSources)",
                2,
                1,
            ),
            "billing_schedules.amend": (
                lambda: connector.amend_billing_schedule(schedule()),
                ("ProjectOnAccForecasts", "TLExternalId ne ''"),
                rf"data/(\$batch|{contracts})",
                2,
                2,
            ),
            "invoices.create": (
                lambda: connector.create_invoice(draft()),
                (documents, f"{ours} eq 'inv_acme'"),
                rf"(data/{documents}|data/\$batch|api/services|data/{last})",
                3,
                1,
            ),
        }
        do, (name_of_set, wanted), route, steps, expected = table[name]
        return Write(
            do=do,
            count=lambda: _count(bench, name_of_set, wanted),
            route=rf"^(PUT|POST|PATCH|DELETE) /{route}",
            steps=steps,
            expected=expected,
        )

    def paged_reads(self, bench: Bench) -> Mapping[str, PagedRead]:
        connector: DynamicsFinanceConnector = bench.connector

        async def invoices(rows: int) -> Sequence[str]:
            await connector.amend_customer(customer(), "HC-DE")
            await connector.amend_project(plan())
            names = [f"inv_{number}" for number in range(rows)]
            for name in names:
                await connector.create_invoice(draft(name))
            return names

        async def payments(rows: int) -> Sequence[str]:
            bench.sandbox.simulator.configure({"posting_service": True})  # type: ignore[misc] # it has switches
            async with httpx.AsyncClient(trust_env=False) as client:
                firm = people(bench.sandbox.base_url, client)
                posted = (await firm.read_invoices())[:rows]
                for row in posted:
                    await firm.pay(row.record_id, Decimal("10.01"), date(2026, 11, 5), f"PAY-{row.invoice_id}")
            return [row.invoice_id for row in posted]

        async def read_payments() -> Sequence[str]:
            paid = await _pages(connector.list_payments)
            return [applied.invoice_id for payment in paid for applied in payment.applications]

        async def read_invoices() -> Sequence[str]:
            return [invoice.id for invoice in await _pages(connector.list_invoices)]

        route = "GET /data/CustTransactions"
        return {
            "invoices": PagedRead(invoices, read_invoices, route, rows=17),
            "payments": PagedRead(payments, read_payments, route, rows=16),
        }

    def drifts(self, bench: Bench) -> Sequence[Drift]:
        connector: DynamicsFinanceConnector = bench.connector

        async def invoice() -> object:
            await connector.amend_customer(customer(), "HC-DE")
            await connector.amend_project(plan())
            await connector.create_invoice(draft())
            return await connector.find_invoice("inv_acme")

        return (
            Drift(connector.list_legal_entities, "LegalEntities", "TLIsApproved"),
            Drift(connector.list_rate_cards, "ProjHourSalesPricesV2", "SalesPricing"),
            Drift(invoice, "GET .*/CustTransactions", "SettleAmountCur"),
        )

    async def change_something(self, bench: Bench) -> str:
        connector: DynamicsFinanceConnector = bench.connector
        bench.sandbox.simulator.configure({"posting_service": True})  # type: ignore[misc] # it has switches
        await connector.amend_customer(customer(), "HC-DE")
        await connector.amend_project(plan())
        await connector.create_invoice(draft())
        async with httpx.AsyncClient(trust_env=False) as client:
            firm = people(bench.sandbox.base_url, client)
            row = (await firm.read_invoices())[0]
            await firm.pay(row.record_id, Decimal("1.00"), date(2026, 11, 5), "PAY-1")
        return "payment"

    def moved(self, bench: Bench) -> Moved:
        async def prepare() -> object:
            async with httpx.AsyncClient(trust_env=False) as client:
                firm = people(bench.sandbox.base_url, client)
                path = "/data/LegalEntities('hcde')"
                return await firm.ask("PATCH", path, body={"NameAlias": "GERMANY", "TLCode": ""})

        async def read(connector: DynamicsFinanceConnector) -> object:
            codes = {one.code: one.name for one in await connector.list_legal_entities()}
            return codes.get("HC-DE")

        values = {"GERMANY": "HC-DE", "HC-JP": "HC-JP", "HC-BR": "HC-BR"}
        return Moved("legal_entity", "code", "NameAlias", prepare, read, "Harbour GmbH", values)


class ListMethod(Protocol[Item]):
    """A paged list of the port."""

    async def __call__(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Item]: ...


async def _pages(method: ListMethod[Item]) -> list[Item]:
    page = await method(modified_since=None, cursor=None, limit=PAGE)
    items = list(page.items)
    while page.next_cursor:
        page = await method(modified_since=None, cursor=page.next_cursor, limit=PAGE)
        items += page.items
    return items


async def _count(bench: Bench, name: str, wanted: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await people(bench.sandbox.base_url, client).count(name, wanted)
