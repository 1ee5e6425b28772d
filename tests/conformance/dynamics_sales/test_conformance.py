"""Dynamics 365 Sales' connector passes the suite every connector passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import ClassVar

import system_apis.connectors.dynamics_sales as package
from deploy.sandbox.dynamics_sales import simulator
from deploy.sandbox.dynamics_sales.simulator import KEY_HEADER
from deploy.sandbox.kit.control import Simulator
from shared.canonical.money import Money
from shared.canonical.opportunities import DeliveryStage, DeliveryStatus, InvoiceStage, InvoiceStatus
from system_apis.connectors.dynamics_sales.connector import DynamicsSalesConnector, open_connector
from system_apis.connectors.dynamics_sales.webhooks import open_intake
from system_apis.ports.binding import Binding
from system_apis.ports.changes import WebhookDelivery, WebhookIntake
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
from tests.conformance.dynamics_sales.environments import ask, binding_for, change, load_closed
from tests.conformance.served import Sandbox
from tests.conformance.small_firm import read_on, tables

DEALS = r"POST /api/data/v9\.2/\$batch"
LISTS = rf"GET /api/data/v9\.2/|{DEALS}"
STATUS = InvoiceStatus(
    invoice_ref="INV-7",
    period="2026-10",
    stage=InvoiceStage.POSTED,
    gross=Money.of("119.00", "EUR"),
    paid=Money.zero("EUR"),
)
_numbers = count(1)


class TestDynamicsSales(ConformanceSuite):
    folder = Path(package.__file__).parent
    writes = ("delivery_statuses.amend", "invoice_statuses.amend")
    read_route = DEALS
    token_route = "POST /.*/oauth2/v2.0/token"
    tick = 1.05  # stamps are whole seconds
    absent_ref = "00000000-0000-4000-8000-000000000001"
    variants: ClassVar[Mapping[str, Variant]] = {
        "documented": Variant(),
        "otherwise": Variant(
            settings={"delivery_on": "opportunity", "lines_touch_deal": "false"},
            switches={
                "closed_rows": "writable",
                "lines_touch_deal": False,
                "expired_delta_status": 410,
                "bare_401": True,
            },
        ),
    }

    def simulator(self) -> Simulator:
        return simulator()

    def binding(self, base_url: str, *, is_known: bool = True) -> Binding:
        known = binding_for(base_url)
        if is_known:
            return known
        return Binding("harbour", "dynamics_sales", known.settings, {**known.secrets, "client_secret": "wrong"})

    def connect(self, binding: Binding) -> DynamicsSalesConnector:
        return open_connector(binding)

    async def prepare(self, sandbox: Sandbox) -> str:
        """One deal; its record id."""
        await load_closed(sandbox.base_url, tables())
        return str((await ask(sandbox.base_url, "opportunities", select="opportunityid"))[0]["opportunityid"])

    async def plain_read(self, bench: Bench) -> object:
        return await bench.connector.get_opportunity(bench.seeded)

    async def write(self, bench: Bench, name: str) -> Write:
        if name == "delivery_statuses.amend":
            status = DeliveryStatus(stage=DeliveryStage.ACTIVATED, project_id="prj_1", project_ref="77")

            async def count_both() -> int:
                found = [
                    await ask(bench.sandbox.base_url, of, filter="thl_psaprojectid eq '77'")
                    for of in ("opportunities", "thl_deliverystatuses")
                ]
                return sum(map(len, found))

            return Write(
                do=lambda: bench.connector.amend_delivery_status(bench.seeded, status),
                count=count_both,
                route=r"PATCH /api/data/v9\.2/(opportunities|thl_deliverystatuses)",
            )

        async def count_rows() -> int:
            return len(await ask(bench.sandbox.base_url, "thl_invoicestatuses"))

        return Write(
            do=lambda: bench.connector.amend_invoice_status(bench.seeded, "inv_1", STATUS),
            count=count_rows,
            route=r"PATCH /api/data/v9\.2/thl_invoicestatuses\(thl_invoiceid='inv_1'\)",
        )

    def paged_reads(self, bench: Bench) -> Mapping[str, PagedRead]:
        async def seed(rows: int) -> Sequence[str]:
            await load_closed(bench.sandbox.base_url, tables(deals=rows))
            return [f"Deal {n:04d}" for n in range(rows)]

        async def read_deals() -> Sequence[str]:
            return [deal.name for deal in await read_on(bench.connector.list_opportunities)]

        async def read_customers() -> Sequence[str]:
            found = await read_on(bench.connector.list_customers)
            return [customer.name.replace("Customer", "Deal") for customer in found]

        async def read_contracts() -> Sequence[str]:
            found = await read_on(bench.connector.list_contracts)
            return [contract.reference.replace("SOW-", "Deal ") for contract in found]

        async def names_of(hints: Sequence[object]) -> Sequence[str]:
            rows = await ask(bench.sandbox.base_url, "opportunities", select="name")
            names = {row["opportunityid"]: row["name"] for row in rows}
            return [names[hint.ref] for hint in hints if hint.entity == "opportunity"]  # type: ignore[attr-defined]

        async def read_changes() -> Sequence[str]:
            bench.sandbox.simulator.configure({"page_size": 5})  # type: ignore[misc] # this vendor has switches
            return await names_of(await bench.connector.list_changes(None))

        async def read_feed() -> Sequence[str]:
            bench.sandbox.simulator.configure({"page_size": 5})  # type: ignore[misc] # this vendor has switches
            return await names_of((await bench.connector.read_feed(None)).hints)

        return {
            "opportunities": PagedRead(seed, read_deals, LISTS, rows=25),
            "customers": PagedRead(seed, read_customers, LISTS, rows=25),
            "contracts": PagedRead(seed, read_contracts, LISTS, rows=25),
            "changes": PagedRead(seed, read_changes, LISTS, rows=25),
            "feed": PagedRead(seed, read_feed, LISTS, rows=25),
        }

    def drifts(self, bench: Bench) -> Sequence[Drift]:
        async def contract() -> object:
            return await bench.connector.find_contract(bench.seeded)

        async def customer() -> object:
            return await read_on(bench.connector.list_customers)

        return [
            Drift(lambda: self.plain_read(bench), LISTS, "estimatedvalue"),
            Drift(lambda: self.plain_read(bench), LISTS, "isocurrencycode"),
            Drift(lambda: self.plain_read(bench), LISTS, "thl_billingmodel"),
            Drift(contract, LISTS, "thl_paymenttermsdays"),
            Drift(contract, LISTS, "thl_dueon"),
            Drift(customer, LISTS, "thl_porequired"),
            Drift(lambda: bench.connector.list_changes(None), LISTS, "versionnumber"),
            Drift(lambda: bench.connector.read_feed(None), LISTS, "modifiedon"),
        ]

    async def change_something(self, bench: Bench) -> str:
        await change(bench.sandbox.base_url, "accounts(accountnumber='A0000')", telephone1=f"+49 {next(_numbers)}")
        return "customer"

    def intake(self, binding: Binding) -> WebhookIntake:
        return open_intake(binding)

    def signed_again(self, delivery: WebhookDelivery, body: bytes) -> WebhookDelivery:
        return WebhookDelivery({**delivery.headers, KEY_HEADER: WEBHOOK_SECRET}, body, delivery.received_at)

    def moved(self, bench: Bench) -> Moved:
        async def prepare() -> None:
            own = {"thl_taxid": None, "harb_vatnumber": "FR40303265045"}
            await change(bench.sandbox.base_url, "accounts(accountnumber='A0000')", **own)

        async def read(connector: DynamicsSalesConnector) -> str | None:
            return next(c.tax_id for c in await read_on(connector.list_customers) if c.name == "Customer 0000")

        return Moved("customer", "tax_id", "harb_vatnumber", prepare, read, "FR40303265045")

    async def lose_position(self, bench: Bench) -> None:
        assert bench.sandbox.simulator.configure
        bench.sandbox.simulator.configure({"advance_days": 8})
