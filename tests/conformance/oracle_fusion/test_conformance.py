"""The Oracle Fusion connector under the conformance suite, against the simulator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

import system_apis.connectors.oracle_fusion as package
from deploy.sandbox.kit.control import Simulator
from shared.canonical.references import Page
from system_apis.connectors.oracle_fusion.connector import OracleFusionConnector, open_connector
from system_apis.ports.binding import Binding
from tests.conformance.conformance_suite import Bench, ConformanceSuite, Drift, Moved, PagedRead, Variant, Write
from tests.conformance.oracle_fusion.pods import binding, finance, pod
from tests.conformance.oracle_fusion.samples import (
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


class TestOracleFusion(ConformanceSuite):
    folder = Path(package.__file__).parent
    writes = (
        "customers.amend",
        "projects.amend",
        "projects.close",
        "contracts.amend",
        "billing_schedules.amend",
        "invoices.create",
    )
    read_route = "GET .*/standardLookups/"
    token_route = "POST /oauth2/v1/token"
    variants: ClassVar[Mapping[str, Variant]] = {
        "documented": Variant(),
        "otherwise": Variant(
            settings={"item_kind": "inventory_item", "framework_version": "9", "auth_flow": "jwt_assertion"},
            switches={
                "keeps_line_amounts": False,
                "calculates_tax": False,
                "structured_from": 10,
                "default_framework": 4,
                "language": "de",
                "shows_children": False,
            },
        ),
    }

    def simulator(self) -> Simulator:
        return pod()

    def binding(self, base_url: str, *, is_known: bool = True) -> Binding:
        return binding(base_url, is_known=is_known)

    def connect(self, binding: Binding) -> OracleFusionConnector:
        return open_connector(binding)

    async def prepare(self, sandbox: Sandbox) -> object:
        async with finance(sandbox.base_url) as firm:
            return await firm.load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)

    async def plain_read(self, bench: Bench) -> object:
        return await bench.connector.list_service_items()

    async def write(self, bench: Bench, name: str) -> Write:
        connector: OracleFusionConnector = bench.connector
        if name != "customers.amend":
            await connector.amend_customer(customer(), "HC-DE")
        if name not in {"customers.amend", "projects.amend"}:
            await connector.amend_project(plan())
        if name == "billing_schedules.amend":
            await connector.amend_contract(contract())
        rest = "^(POST|PATCH|DELETE) /(fscm|crm)RestApi/resources/11.13.18.05"
        table: Mapping[str, tuple[Callable[[], Awaitable[object]], str, str, int, int]] = {
            "customers.amend": (
                lambda: connector.amend_customer(customer(), "HC-DE"),
                "customerAccountSitesLOV",
                f"({rest}/hubOrganizations|^POST /crmService/)",
                2,
                1,
            ),
            "projects.amend": (lambda: connector.amend_project(plan()), "projects.Tasks", f"{rest}/projects", 1, 3),
            "projects.close": (
                lambda: connector.close_project("prj_acme"),
                "projects?q=ProjectStatusCode='CLOSED'",
                f"{rest}/projects",
                1,
                1,
            ),
            "contracts.amend": (
                lambda: connector.amend_contract(contract()),
                "contracts.ContractLine",
                f"{rest}/contracts",
                1,
                2,
            ),
            "billing_schedules.amend": (
                lambda: connector.amend_billing_schedule(schedule()),
                "projectBillingEvents",
                f"{rest}/$|{rest}/projectBillingEvents|POST .*/11.13.18.05/?$",
                1,
                2,
            ),
            "invoices.create": (
                lambda: connector.create_invoice(draft()),
                "receivablesInvoices",
                f"{rest}/receivablesInvoices",
                1,
                1,
            ),
        }
        do, listed, route, steps, expected = table[name]
        return Write(do=do, count=lambda: _count(bench, listed), route=route, steps=steps, expected=expected)

    def paged_reads(self, bench: Bench) -> Mapping[str, PagedRead]:
        connector: OracleFusionConnector = bench.connector

        async def invoices(rows: int) -> Sequence[str]:
            await connector.amend_customer(customer(), "HC-DE")
            names = [f"inv_{number}" for number in range(rows)]
            for name in names:
                await connector.create_invoice(draft(name))
            return names

        async def payments(rows: int) -> Sequence[str]:
            async with finance(bench.sandbox.base_url) as firm:
                posted = (await firm.read_invoices())[:rows]
                for row in posted:
                    await firm.pay(row.record_id, Decimal("10.01"), date(2026, 11, 5), f"PAY-{row.invoice_id}")
            return [row.invoice_id for row in posted]

        async def read_payments() -> Sequence[str]:
            paid = await _pages(connector.list_payments)
            return [applied.invoice_id for payment in paid for applied in payment.applications]

        async def read_invoices() -> Sequence[str]:
            return [invoice.id for invoice in await _pages(connector.list_invoices)]

        return {
            "invoices": PagedRead(invoices, read_invoices, "GET .*/receivablesInvoices$", rows=17),
            "payments": PagedRead(payments, read_payments, "GET .*/standardReceipts$", rows=16),
        }

    def drifts(self, bench: Bench) -> Sequence[Drift]:
        connector: OracleFusionConnector = bench.connector

        async def invoice() -> object:
            await connector.amend_customer(customer(), "HC-DE")
            await connector.create_invoice(draft())
            return await connector.find_invoice("inv_acme")

        return (
            Drift(connector.list_legal_entities, "lookupCodes", "taxRate"),
            Drift(connector.list_rate_cards, "Rates", "Rate"),
            Drift(connector.list_legal_entities, "ledgersLOV", "CurrencyCode"),
            Drift(invoice, "GET .*/receivablesInvoices", "EnteredAmount"),
        )

    async def change_something(self, bench: Bench) -> str:
        async with finance(bench.sandbox.base_url) as firm:
            await firm.load(LEGAL_ENTITIES, [], [])
        return "reference_data"

    def moved(self, bench: Bench) -> Moved:
        async def prepare() -> None:
            path = "standardLookups/THROUGHLINE_LEGAL_ENTITY/child/lookupCodes/HC-DE"
            async with finance(bench.sandbox.base_url) as firm:
                body = {"lookupCodesDFF": [{"taxRate": None, "secondTaxRate": Decimal("0.07")}]}
                await firm.ask("PATCH", path, body=body)
                for code in ("HC-JP", "HC-BR"):
                    row = {"lookupCodesDFF": [{"secondTaxRate": Decimal("0.01")}]}
                    await firm.ask("PATCH", path.replace("HC-DE", code), body=row)

        async def read(connector: OracleFusionConnector) -> object:
            entities = {entity.code: entity for entity in await connector.list_legal_entities()}
            return entities["HC-DE"].standard_tax_rate

        return Moved(
            "legal_entity_terms",
            "standard_tax_rate",
            "lookupCodesDFF.secondTaxRate",
            prepare,
            read,
            Decimal("0.07"),
        )


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


async def _count(bench: Bench, listed: str) -> int:
    resource, _, query = listed.partition("?q=")
    root, _, child = resource.partition(".")
    async with finance(bench.sandbox.base_url) as firm:
        rows = await firm.rows(root, **({"q": query} if query else {}), **({"expand": child} if child else {}))
    return sum(len(row[child]["items"]) for row in rows) if child else len(rows)
