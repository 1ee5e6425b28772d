"""The NetSuite connector under the conformance suite, against the simulator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import httpx

import system_apis.connectors.netsuite as package
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.netsuite.firm import NetSuiteFirm
from deploy.sandbox.netsuite.simulator import simulator
from deploy.sandbox.netsuite.tokens import new_credentials
from shared.canonical.references import Page
from system_apis.connectors.netsuite.connector import NetSuiteConnector, open_connector
from system_apis.connectors.netsuite.webhooks import open_intake
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
from tests.conformance.netsuite.samples import (
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

CREDENTIALS = new_credentials()
STRANGER = new_credentials()
PAGE = 5
Item = TypeVar("Item")


class TestNetSuite(ConformanceSuite):
    folder = Path(package.__file__).parent
    writes = (
        "customers.amend",
        "projects.amend",
        "projects.close",
        "contracts.amend",
        "billing_schedules.amend",
        "invoices.create",
    )
    read_route = "POST /services/rest/query/v1/suiteql"
    token_route = "POST /services/rest/auth/oauth2/v1/token"
    tick = 1.05  # stamps are whole seconds
    variants: ClassVar[Mapping[str, Variant]] = {
        "documented": Variant(),
        "otherwise": Variant(
            settings={
                "suite_tax_type": "7",
                "suite_tax_code": "18",
                "milestone_schedule_type": "3",
                "async_from_lines": "1",
            },
            switches={
                "put_replaces": False,
                "suite_tax": True,
                "status_as": "label",
                "milestone_type": "3",
                "batch_expands": False,
                "tells_limits": False,
                "job_polls": 2,
            },
        ),
    }

    def simulator(self) -> Simulator:
        return simulator(certificates={CREDENTIALS.certificate_id: CREDENTIALS.certificate})

    def binding(self, base_url: str, *, is_known: bool = True) -> Binding:
        credentials = CREDENTIALS if is_known else STRANGER
        settings = {
            "base_url": base_url,
            "client_id": credentials.client_id,
            "certificate_id": credentials.certificate_id,
        }
        secrets = {"private_key": credentials.private_key, "webhook_secret": WEBHOOK_SECRET}
        return Binding("harbour", "netsuite", settings, secrets)

    def connect(self, binding: Binding) -> NetSuiteConnector:
        return open_connector(binding)

    def intake(self, binding: Binding) -> WebhookIntake:
        return open_intake(binding)

    async def prepare(self, sandbox: Sandbox) -> object:
        async with httpx.AsyncClient(trust_env=False) as client:
            firm = NetSuiteFirm(sandbox.base_url, client, CREDENTIALS)
            return await firm.load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)

    async def plain_read(self, bench: Bench) -> object:
        return await bench.connector.list_legal_entities()

    async def write(self, bench: Bench, name: str) -> Write:
        connector: NetSuiteConnector = bench.connector
        if name != "customers.amend":
            await connector.amend_customer(customer(), "HC-DE")
        if name in {"contracts.amend", "billing_schedules.amend", "invoices.create", "projects.close"}:
            await connector.amend_project(plan())
        table: Mapping[str, tuple[Callable[[], Awaitable[object]], str, str, int, int]] = {
            "customers.amend": (lambda: connector.amend_customer(customer(), "HC-DE"), "customer", "/customer/", 1, 1),
            "projects.amend": (lambda: connector.amend_project(plan()), "projectTask", "/(job|projectTask)/", 3, 2),
            "projects.close": (lambda: connector.close_project("prj_acme"), "job?q=isInactive IS true", "/job/", 1, 1),
            "contracts.amend": (lambda: connector.amend_contract(contract()), "salesOrder", "/salesOrder/", 1, 1),
            "billing_schedules.amend": (
                lambda: connector.amend_billing_schedule(schedule()),
                "billingSchedule",
                "/billingSchedule/",
                1,
                1,
            ),
            "invoices.create": (lambda: connector.create_invoice(draft()), "invoice", "/invoice/", 1, 1),
        }
        do, listed, route, steps, expected = table[name]
        return Write(
            do=do,
            count=lambda: _count(bench, listed),
            route=rf"^(PUT|POST|PATCH|DELETE) /services/rest/record/v1{route}",
            steps=steps,
            expected=expected,
        )

    def paged_reads(self, bench: Bench) -> Mapping[str, PagedRead]:
        connector: NetSuiteConnector = bench.connector

        async def invoices(rows: int) -> Sequence[str]:
            await connector.amend_customer(customer(), "HC-DE")
            await connector.amend_project(plan())
            names = [f"inv_{number}" for number in range(rows)]
            for name in names:
                await connector.create_invoice(draft(name))
            return names

        async def payments(rows: int) -> Sequence[str]:
            async with httpx.AsyncClient(trust_env=False) as client:
                firm = NetSuiteFirm(bench.sandbox.base_url, client, CREDENTIALS)
                posted = (await firm.read_invoices())[:rows]
                for row in posted:
                    await firm.pay(row.record_id, Decimal("10.01"), date(2026, 11, 5), f"PAY-{row.invoice_id}")
            return [row.invoice_id for row in posted]

        async def read_payments() -> Sequence[str]:
            paid = await _pages(connector.list_payments)
            return [applied.invoice_id for payment in paid for applied in payment.applications]

        async def read_invoices() -> Sequence[str]:
            return [invoice.id for invoice in await _pages(connector.list_invoices)]

        route = "POST /services/rest/query/v1/suiteql"
        return {
            "invoices": PagedRead(invoices, read_invoices, route, rows=17),
            "payments": PagedRead(payments, read_payments, route, rows=16),
        }

    def drifts(self, bench: Bench) -> Sequence[Drift]:
        connector: NetSuiteConnector = bench.connector

        async def invoice() -> object:
            await connector.amend_customer(customer(), "HC-DE")
            await connector.amend_project(plan())
            await connector.create_invoice(draft())
            return await connector.find_invoice("inv_acme")

        return (
            Drift(connector.list_legal_entities, "suiteql", "custrecord_tl_approved"),
            Drift(connector.list_rate_cards, "suiteql", "custrecord_tl_rate"),
            Drift(invoice, "GET .*/invoice/", "taxTotal"),
        )

    async def change_something(self, bench: Bench) -> str:
        async with httpx.AsyncClient(trust_env=False) as client:
            firm = NetSuiteFirm(bench.sandbox.base_url, client, CREDENTIALS)
            await firm.load(LEGAL_ENTITIES, [], [])
        return "reference_data"

    async def touch(self, bench: Bench) -> None:
        await bench.connector.create_invoice(draft("inv_later"))

    def moved(self, bench: Bench) -> Moved:
        async def state() -> None:
            async with httpx.AsyncClient(trust_env=False) as client:
                firm = NetSuiteFirm(bench.sandbox.base_url, client, CREDENTIALS)
                for row in LEGAL_ENTITIES:
                    told = "released" if row["code"] == "HC-DE" else "blocked"
                    body = {"custrecord_firm_state": told, "custrecord_tl_approved": row["code"] != "HC-DE"}
                    await firm.ask("PATCH", f"/record/v1/subsidiary/eid:{row['code']}", body=body)

        async def approved(opened: Any) -> object:
            return {entity.code: entity.is_approved for entity in await opened.list_legal_entities()}

        expected = {"HC-DE": True, "HC-JP": False, "HC-BR": False}
        values = {"released": "T", "blocked": "F"}
        return Moved("legal_entity", "is_approved", "custrecord_firm_state", state, approved, expected, values)


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
    record, _, query = listed.partition("?q=")
    async with httpx.AsyncClient(trust_env=False) as client:
        firm = NetSuiteFirm(bench.sandbox.base_url, client, CREDENTIALS)
        return await firm.count(record, query)
