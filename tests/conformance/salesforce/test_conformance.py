"""Salesforce's connector passes the suite every connector passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import system_apis.connectors.salesforce as package
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.salesforce import simulator
from deploy.sandbox.salesforce.firm import SalesforceFirm
from deploy.sandbox.salesforce.session import API
from system_apis.connectors.salesforce.connector import SalesforceConnector, open_connector
from system_apis.connectors.salesforce.webhooks import open_intake
from system_apis.ports.binding import Binding
from system_apis.ports.changes import WebhookIntake
from tests.conformance.conformance_suite import Bench, Drift, Moved, Removed, Variant
from tests.conformance.crm_suite import CrmSuite, tax_id
from tests.conformance.salesforce.orgs import admin_wire, ask, binding_for, firm_wire
from tests.conformance.scenarios import Trace
from tests.conformance.served import Sandbox

QUERY = r"GET /services/data/v60.0/query"


class TestSalesforce(CrmSuite):
    folder = Path(package.__file__).parent
    read_route = lists_route = QUERY
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

    def bound(self, base_url: str) -> Binding:
        return binding_for(base_url)

    def connect(self, binding: Binding) -> SalesforceConnector:
        return open_connector(binding)

    def people(self, sandbox: Sandbox) -> AbstractAsyncContextManager[SalesforceFirm]:
        return firm_wire(sandbox.base_url)

    def traces(self, bench: Bench) -> Mapping[str, Trace]:
        async def rows(of: str) -> int:
            return len(await ask(bench.sandbox.base_url, f"SELECT Id FROM {of}"))

        return {
            "delivery_statuses.amend": Trace(
                lambda: rows("Opportunity WHERE PSA_Project_Id__c = '77'"), "PATCH .*/sobjects/Opportunity/"
            ),
            "invoice_statuses.amend": Trace(
                lambda: rows("Invoice_Status__c"), "PATCH .*/sobjects/Invoice_Status__c/Invoice_Id__c/inv_1"
            ),
        }

    def drifts(self, bench: Bench) -> Sequence[Drift]:
        return [
            Drift(lambda: self.plain_read(bench), QUERY, "Amount"),
            Drift(lambda: self.plain_read(bench), QUERY, "Billing_Model__c"),
            Drift(lambda: self.contract(bench), QUERY, "StatusCode"),
            Drift(lambda: self.customers(bench), QUERY, "PO_Required__c"),
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

        return Moved("customer", "tax_id", "VAT_Number__c", prepare, tax_id, "FR40303265045")

    def removed(self, bench: Bench) -> Removed:
        return Removed(
            "contract",
            "rate_card_code",
            lambda: bench.delete_field("Contract", "Rate_Card__c"),
            self.contract_uses(bench),
            bench.undelete_fields,
        )
