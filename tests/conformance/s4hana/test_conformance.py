"""The S/4HANA connector under the conformance suite, against the simulator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import httpx

import system_apis.connectors.s4hana as package
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.s4hana.firm import S4Firm
from deploy.sandbox.s4hana.simulator import CONNECTOR_USER, FIRM_USER, simulator
from shared.canonical.references import Page
from system_apis.connectors.s4hana.connector import S4Connector, open_connector
from system_apis.connectors.s4hana.webhooks import open_intake
from system_apis.ports.binding import Binding
from system_apis.ports.changes import WebhookIntake
from tests.conformance.conformance_suite import (
    WEBHOOK_SECRET,
    Bench,
    ConformanceSuite,
    Drift,
    Moved,
    PagedRead,
    Variant,
    Write,
)
from tests.conformance.s4hana.samples import (
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
ODATA = "/sap/opu/odata/sap"
Item = TypeVar("Item")
OTHERWISE = Variant(
    settings={"price_condition": "YTLA", "price_is_fixed_amount": "true", "tax_condition": "YTLT"},
    switches={
        "pads_numbers": True,
        "if_match": "optional",
        "tax_rounding": "item",
        "request_is_blocked": True,
        "closed_period_creates_document": True,
        "payment_points_at_invoice": False,
        "head_is_refused": True,
        "page_size": 7,
    },
)


class TestS4Hana(ConformanceSuite):
    folder = Path(package.__file__).parent
    writes = (
        "customers.amend",
        "projects.amend",
        "projects.close",
        "contracts.amend",
        "billing_schedules.amend",
        "invoices.create",
    )
    read_route = r"GET /sap/opu/odata/sap/YY1_TLLEGALENTITY_CDS"
    token_route = "POST /sap/bc/sec/oauth2/token"
    variants: ClassVar[Mapping[str, Variant]] = {"documented": Variant(), "otherwise": OTHERWISE}

    def simulator(self) -> Simulator:
        return simulator()

    def binding(self, base_url: str, *, is_known: bool = True) -> Binding:
        settings = {"base_url": base_url, "user": CONNECTOR_USER.name, "auth": "oauth"}
        secrets = {"password": CONNECTOR_USER.password if is_known else "wrong", "webhook_secret": WEBHOOK_SECRET}
        return Binding("harbour", "s4hana", settings, secrets)

    def connect(self, binding: Binding) -> S4Connector:
        return open_connector(binding)

    def intake(self, binding: Binding) -> WebhookIntake:
        return open_intake(binding)

    async def prepare(self, sandbox: Sandbox) -> object:
        async with _firm(sandbox) as firm:
            return await firm.load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)

    async def plain_read(self, bench: Bench) -> object:
        return await bench.connector.list_legal_entities()

    async def write(self, bench: Bench, name: str) -> Write:
        connector: S4Connector = bench.connector
        if name != "customers.amend":
            await connector.amend_customer(customer(), "HC-DE")
        if name in {"contracts.amend", "billing_schedules.amend", "invoices.create", "projects.close"}:
            await connector.amend_project(plan())
        if name == "billing_schedules.amend":
            await connector.amend_contract(contract())
        projects = f"{ODATA}/API_ENTERPRISE_PROJECT_SRV;v=0002"
        table: Mapping[str, tuple[Callable[[], Awaitable[object]], Callable[[], Awaitable[int]], str, int, int]] = {
            "customers.amend": (
                lambda: connector.amend_customer(customer(), "HC-DE"),
                lambda: _count(bench, "API_BUSINESS_PARTNER/A_BusinessPartner"),
                f"POST {ODATA}/API_BUSINESS_PARTNER/A_BusinessPartner",
                1,
                1,
            ),
            "projects.amend": (
                lambda: connector.amend_project(plan()),
                lambda: _count(bench, "API_ENTERPRISE_PROJECT_SRV;v=0002/A_EnterpriseProjectElement"),
                f"POST {projects}/",
                1,
                5,
            ),
            "projects.close": (
                lambda: connector.close_project("prj_acme"),
                lambda: _count(
                    bench, "API_ENTERPRISE_PROJECT_SRV;v=0002/A_EnterpriseProject", "ProcessingStatus eq '42'"
                ),
                f"POST {projects}/ChangeEntProjProcgStatus",
                1,
                1,
            ),
            "contracts.amend": (
                lambda: connector.amend_contract(contract()),
                lambda: _count(bench, "API_SALES_ORDER_SRV/A_SalesOrder"),
                f"POST {ODATA}/API_SALES_ORDER_SRV/A_SalesOrder",
                1,
                1,
            ),
            "billing_schedules.amend": (
                lambda: connector.amend_billing_schedule(schedule()),
                lambda: _count(bench, "API_SALES_ORDER_SRV/A_SlsOrderItemBillingPlanItem"),
                rf"POST {ODATA}/API_SALES_ORDER_SRV/\$batch",
                1,
                2,
            ),
            "invoices.create": (
                lambda: connector.create_invoice(draft()),
                lambda: _count(bench, "API_BILLING_DOCUMENT_SRV/A_BillingDocument"),
                "(POST|PATCH) .*(A_DebitMemoRequest|CreateFromSDDocument)",
                1,
                1,
            ),
        }
        do, count, route, steps, expected = table[name]
        return Write(do=do, count=count, route=route, steps=steps, expected=expected)

    def paged_reads(self, bench: Bench) -> Mapping[str, PagedRead]:
        connector: S4Connector = bench.connector

        async def invoices(rows: int) -> Sequence[str]:
            await connector.amend_customer(customer(), "HC-DE")
            await connector.amend_project(plan())
            names = [f"inv_{number}" for number in range(rows)]
            for name in names:
                await connector.create_invoice(draft(name))
            return names

        async def payments(rows: int) -> Sequence[str]:
            async with _firm(bench.sandbox) as firm:
                posted = (await firm.read_invoices())[:rows]
                for number, row in enumerate(posted):
                    amount = row.gross if number % 2 else Decimal("10.01")
                    await firm.pay(row.record_id, amount, date(2026, 11, 5), f"PAY-{row.invoice_id}")
            return [row.invoice_id for row in posted]

        async def read_payments() -> Sequence[str]:
            paid = await _pages(connector.list_payments)
            return [applied.invoice_id for payment in paid for applied in payment.applications]

        async def read_invoices() -> Sequence[str]:
            return [invoice.id for invoice in await _pages(connector.list_invoices)]

        return {
            "invoices": PagedRead(invoices, read_invoices, f"GET {ODATA}/API_BILLING_DOCUMENT_SRV", rows=17),
            "payments": PagedRead(payments, read_payments, f"GET {ODATA}/API_GLACCOUNTLINEITEM", rows=16),
        }

    def drifts(self, bench: Bench) -> Sequence[Drift]:
        connector: S4Connector = bench.connector

        async def invoice() -> object:
            await connector.amend_customer(customer(), "HC-DE")
            await connector.amend_project(plan())
            await connector.create_invoice(draft())
            return await connector.find_invoice("inv_acme")

        return (
            Drift(connector.list_legal_entities, "YY1_TLLEGALENTITY", "IsApproved"),
            Drift(connector.list_rate_cards, "YY1_TLRATE", "Rate_V"),
            Drift(invoice, "GET .*/A_BillingDocument", "TaxAmount"),
        )

    async def change_something(self, bench: Bench) -> str:
        async with _firm(bench.sandbox) as firm:
            product = (await firm.rows("API_PRODUCT_SRV/A_Product"))[0]
            path = f"API_PRODUCT_SRV/A_Product('{product['Product']}')"
            body = {"YY1_TLRevenueAccount_PRD": "40099"}
            await firm.ask("PATCH", path, body=body, version=product["__metadata"]["etag"])
        return "reference_data"

    def moved(self, bench: Bench) -> Moved:
        async def prepare() -> object:
            assert bench.sandbox.simulator.configure is not None
            bench.sandbox.simulator.configure({"custom_fields": {"A_Product": {"YY1_SoldAs_PRD": "String(80)"}}})
            async with _firm(bench.sandbox) as firm:
                for row in await firm.rows("API_PRODUCT_SRV/A_Product"):
                    body = {"YY1_SoldAs_PRD": "17", "YY1_TLProductCodes_PRD": ""}
                    path = f"API_PRODUCT_SRV/A_Product('{row['Product']}')"
                    await firm.ask("PATCH", path, body=body, version=row["__metadata"]["etag"])
            return None

        async def read(connector: Any) -> object:
            return {item.product_code for item in await connector.list_service_items()}

        return Moved("service_item", "product_codes", "YY1_SoldAs_PRD", prepare, read, {"GTX Pro"}, {"17": "GTX Pro"})


@asynccontextmanager
async def _firm(sandbox: Sandbox) -> AsyncGenerator[S4Firm]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield S4Firm(sandbox.base_url, client, FIRM_USER)


async def _count(bench: Bench, path: str, where: str = "") -> int:
    async with _firm(bench.sandbox) as firm:
        return await firm.count(path, where)


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
