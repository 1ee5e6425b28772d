"""Salesforce's connector passes the suite every connector passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import system_apis.connectors.salesforce as package
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.salesforce import simulator
from deploy.sandbox.salesforce.session import API
from shared.canonical.money import Money
from shared.canonical.opportunities import DeliveryStage, DeliveryStatus, InvoiceStage, InvoiceStatus
from system_apis.connectors.salesforce.connector import SalesforceConnector, open_connector
from system_apis.connectors.salesforce.webhooks import open_intake
from system_apis.ports.binding import Binding
from system_apis.ports.changes import WebhookIntake
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
from tests.conformance.salesforce.orgs import admin_wire, ask, binding_for, firm_wire, load_closed
from tests.conformance.served import Sandbox
from tests.conformance.small_firm import read_on, tables

QUERY = r"GET /services/data/v60.0/query"
STATUS = InvoiceStatus(
    invoice_ref="INV-7",
    period="2026-10",
    stage=InvoiceStage.POSTED,
    gross=Money.of("119.00", "EUR"),
    paid=Money.zero("EUR"),
)


class TestSalesforce(ConformanceSuite):
    folder = Path(package.__file__).parent
    writes = ("delivery_statuses.amend", "invoice_statuses.amend")
    read_route = QUERY
    token_route = "POST /services/oauth2/token"
    tick = 1.05  # one of the variants has stamps of whole seconds
    absent_ref = "006000000000000AAA"
    variants: ClassVar[Mapping[str, Variant]] = {
        "documented": Variant(),
        "otherwise": Variant(
            settings={
                "feed_channels": "/data/OpportunityChangeEvent, /data/OpportunityLineItemChangeEvent,"
                "/data/AccountChangeEvent, /data/ContractChangeEvent, /data/Billing_Milestone__ChangeEvent"
            },
            switches={
                "whole_seconds": True,
                "enriched": {},
                "streaming_counts": True,
                "unknown_client_code": 402,
                "refusal_status": 401,
                "forgives_old_replay": True,
                "piggybacks": True,
                "replay_lag": 0,
                "events_per_answer": 2,
            },
        ),
    }

    def simulator(self) -> Simulator:
        return simulator()

    def binding(self, base_url: str, *, is_known: bool = True) -> Binding:
        known = binding_for(base_url)
        if is_known:
            return known
        return Binding("harbour", "salesforce", known.settings, {**known.secrets, "client_secret": "wrong"})

    def connect(self, binding: Binding) -> SalesforceConnector:
        return open_connector(binding)

    async def prepare(self, sandbox: Sandbox) -> str:
        """One deal; its record id."""
        async with firm_wire(sandbox.base_url) as firm:
            await load_closed(firm, tables())
            return (await firm.read_deals())["D0000"].record_id

    async def plain_read(self, bench: Bench) -> object:
        return await bench.connector.get_opportunity(bench.seeded)

    async def write(self, bench: Bench, name: str) -> Write:
        if name == "delivery_statuses.amend":
            status = DeliveryStatus(stage=DeliveryStage.ACTIVATED, project_id="prj_1", project_ref="77")
            return Write(
                do=lambda: bench.connector.amend_delivery_status(bench.seeded, status),
                count=lambda: self._rows(bench, "Opportunity WHERE PSA_Project_Id__c = '77'"),
                route="PATCH .*/sobjects/Opportunity/",
            )
        return Write(
            do=lambda: bench.connector.amend_invoice_status(bench.seeded, "inv_1", STATUS),
            count=lambda: self._rows(bench, "Invoice_Status__c"),
            route="PATCH .*/sobjects/Invoice_Status__c/Invoice_Id__c/inv_1",
        )

    async def _rows(self, bench: Bench, of: str) -> int:
        return len(await ask(bench.sandbox.base_url, f"SELECT Id FROM {of}"))

    def paged_reads(self, bench: Bench) -> Mapping[str, PagedRead]:
        async def seed(rows: int) -> Sequence[str]:
            async with firm_wire(bench.sandbox.base_url) as firm:
                await load_closed(firm, tables(deals=rows))
            return [f"Deal {n:04d}" for n in range(rows)]

        async def read_deals() -> Sequence[str]:
            return [deal.name for deal in await read_on(bench.connector.list_opportunities)]

        async def read_customers() -> Sequence[str]:
            found = await read_on(bench.connector.list_customers)
            return [customer.name.replace("Customer", "Deal") for customer in found]

        async def read_contracts() -> Sequence[str]:
            found = await read_on(bench.connector.list_contracts)
            return [contract.reference.replace("SOW-", "Deal ") for contract in found]

        async def read_changes() -> Sequence[str]:
            bench.sandbox.simulator.configure({"page_size": 5})  # type: ignore[misc] # this vendor has switches
            hints = await bench.connector.list_changes(None)
            names = {
                row["Id"]: row["Name"] for row in await ask(bench.sandbox.base_url, "SELECT Id, Name FROM Opportunity")
            }
            return [names[hint.ref] for hint in hints if hint.entity == "opportunity"]

        return {
            "opportunities": PagedRead(seed, read_deals, QUERY, rows=25),
            "customers": PagedRead(seed, read_customers, QUERY, rows=25),
            "contracts": PagedRead(seed, read_contracts, QUERY, rows=25),
            "changes": PagedRead(seed, read_changes, QUERY, rows=25),
        }

    def drifts(self, bench: Bench) -> Sequence[Drift]:
        async def contract() -> object:
            return await bench.connector.find_contract(bench.seeded)

        async def customer() -> object:
            return await read_on(bench.connector.list_customers)

        return [
            Drift(lambda: self.plain_read(bench), QUERY, "Amount"),
            Drift(lambda: self.plain_read(bench), QUERY, "Billing_Model__c"),
            Drift(contract, QUERY, "StatusCode"),
            Drift(customer, QUERY, "PO_Required__c"),
            Drift(lambda: bench.connector.list_changes(None), QUERY, "SystemModstamp"),
        ]

    async def change_something(self, bench: Bench) -> str:
        async with admin_wire(bench.sandbox.base_url) as session:
            await session.call("PATCH", f"{API}/sobjects/Opportunity/{bench.seeded}", {"NextStep": "Celebrate"})
        return "opportunity"

    async def lose_position(self, bench: Bench) -> None:
        """Four days pass; the org keeps events for three."""
        assert bench.sandbox.simulator.configure
        bench.sandbox.simulator.configure({"clock_ahead": 4 * 86_400})
        bench.connector._feed._clock = lambda: datetime.now(UTC) + timedelta(days=4)

    def intake(self, binding: Binding) -> WebhookIntake:
        return open_intake(binding)

    def moved(self, bench: Bench) -> Moved:
        async def prepare() -> None:
            async with admin_wire(bench.sandbox.base_url) as session:
                changes = {"Tax_Id__c": None, "VAT_Number__c": "FR40303265045"}
                await session.call("PATCH", f"{API}/sobjects/Account/Reference__c/A0000", changes)

        async def read(connector: SalesforceConnector) -> str | None:
            return next(c.tax_id for c in await read_on(connector.list_customers) if c.name == "Customer 0000")

        return Moved("customer", "tax_id", "VAT_Number__c", prepare, read, "FR40303265045")

    def removed(self, bench: Bench) -> Removed:
        async def remove() -> None:
            assert bench.sandbox.simulator.configure is not None
            bench.sandbox.simulator.configure({"deleted_fields": {"Contract": ["Rate_Card__c"]}})

        return Removed("contract", "rate_card_code", remove)
