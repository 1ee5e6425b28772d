"""Dynamics 365 Sales' connector passes the suite every connector passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import ClassVar

import system_apis.connectors.dynamics_sales as package
from deploy.sandbox.dynamics_sales import simulator
from deploy.sandbox.dynamics_sales.firm import DataverseFirm
from deploy.sandbox.dynamics_sales.simulator import KEY_HEADER
from deploy.sandbox.kit.control import Simulator
from system_apis.connectors.dynamics_sales.connector import DynamicsSalesConnector, open_connector
from system_apis.connectors.dynamics_sales.webhooks import open_intake
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint, FeedReading, WebhookDelivery, WebhookIntake
from tests.conformance.conformance_suite import WEBHOOK_SECRET, Bench, Drift, Moved, PagedRead, Removed, Variant
from tests.conformance.crm_suite import CrmSuite, tax_id
from tests.conformance.dynamics_sales.environments import ask, binding_for, change, firm_wire
from tests.conformance.port_rules import INVOICE
from tests.conformance.scenarios import Trace
from tests.conformance.served import Sandbox

DEALS = r"POST /api/data/v9\.2/\$batch"
LISTS = rf"GET /api/data/v9\.2/|{DEALS}"
_numbers = count(1)


class TestDynamicsSales(CrmSuite):
    folder = Path(package.__file__).parent
    read_route = DEALS
    lists_route = LISTS
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

    def bound(self, base_url: str) -> Binding:
        return binding_for(base_url)

    def connect(self, binding: Binding) -> DynamicsSalesConnector:
        return open_connector(binding)

    def people(self, sandbox: Sandbox) -> AbstractAsyncContextManager[DataverseFirm]:
        return firm_wire(sandbox.base_url)

    def traces(self, bench: Bench) -> Mapping[str, Trace]:
        async def delivered() -> int:
            found = [
                await ask(bench.sandbox.base_url, of, filter="thl_psaprojectid eq '77'")
                for of in ("opportunities", "thl_deliverystatuses")
            ]
            return sum(map(len, found))

        async def invoiced() -> int:
            return len(await ask(bench.sandbox.base_url, "thl_invoicestatuses"))

        return {
            "delivery_statuses.amend": Trace(delivered, r"PATCH /api/data/v9\.2/(opportunities|thl_deliverystatuses)"),
            "invoice_statuses.amend": Trace(
                invoiced, r"PATCH /api/data/v9\.2/thl_invoicestatuses\(thl_invoiceid='inv_1'\)"
            ),
        }

    def paged_reads(self, bench: Bench) -> Mapping[str, PagedRead]:
        async def told() -> Sequence[ChangeHint]:
            reading: FeedReading = await bench.connector.read_feed(None)
            return reading.hints

        lists = super().paged_reads(bench)
        return {**lists, "feed": replace(lists["changes"], read=lambda: self.hinted(bench, told))}

    def drifts(self, bench: Bench) -> Sequence[Drift]:
        return [
            Drift(lambda: self.plain_read(bench), LISTS, "estimatedvalue"),
            Drift(lambda: self.plain_read(bench), LISTS, "isocurrencycode"),
            Drift(lambda: self.plain_read(bench), LISTS, "thl_billingmodel"),
            Drift(lambda: self.contract(bench), LISTS, "thl_paymenttermsdays"),
            Drift(lambda: self.contract(bench), LISTS, "thl_dueon"),
            Drift(lambda: self.customers(bench), LISTS, "thl_porequired"),
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

        return Moved("customer", "tax_id", "harb_vatnumber", prepare, tax_id, "FR40303265045")

    def removed(self, bench: Bench) -> Removed:
        uses = {"amend_invoice_status": lambda: bench.connector.amend_invoice_status(bench.seeded, "inv_1", INVOICE)}
        return Removed(
            "invoice_status",
            "period",
            lambda: bench.delete_field("thl_invoicestatus", "thl_period"),
            uses,
            bench.undelete_fields,
        )

    async def lose_position(self, bench: Bench) -> None:
        assert bench.sandbox.simulator.configure
        bench.sandbox.simulator.configure({"advance_days": 8})
