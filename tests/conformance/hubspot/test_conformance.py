"""HubSpot's connector passes the suite every connector passes, by the classic paths and by the dated ones."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import ClassVar

import system_apis.connectors.hubspot as package
from deploy.sandbox.hubspot import simulator
from deploy.sandbox.hubspot.events import signature_v3
from deploy.sandbox.hubspot.firm import HubspotFirm
from deploy.sandbox.hubspot.setup import custom_objects
from deploy.sandbox.hubspot.vendor import WEBHOOK_URL
from deploy.sandbox.kit.control import Simulator
from system_apis.connectors.hubspot.connector import HubspotConnector, open_connector
from system_apis.connectors.hubspot.webhooks import open_intake
from system_apis.ports.binding import Binding
from system_apis.ports.changes import WebhookDelivery, WebhookIntake
from tests.conformance.conformance_suite import WEBHOOK_SECRET, Bench, Drift, Moved, Removed, Variant
from tests.conformance.crm_suite import CrmSuite
from tests.conformance.hubspot.portals import binding_for, firm_wire, people_wire
from tests.conformance.scenarios import Trace
from tests.conformance.served import Sandbox

DEALS = r"POST /crm/(v3/objects|objects/2026-03)/deals/batch/read"
SEARCH = "POST .*/search"


class TestHubspot(CrmSuite):
    folder = Path(package.__file__).parent
    read_route = DEALS
    lists_route = SEARCH
    wrong_secret = "refresh_token"
    token_route = "POST /oauth/(v3|2026-03)/token"
    variants: ClassVar[Mapping[str, Variant]] = {
        "documented": Variant(),
        "otherwise": Variant(
            settings={"api_version": "2026-03", "clear_with": "null", "batch_size": "50"},
            switches={
                "association_touches": True,
                "unknown_properties": "refused",
                "clears_with": "null",
                "batch_limit": 50,
                "archives_again": False,
                "one_parent": False,
                "association_page": 1,
                "type_member": "eventType",
            },
        ),
    }

    def simulator(self) -> Simulator:
        return simulator(target_url=WEBHOOK_URL)

    def bound(self, base_url: str) -> Binding:
        return binding_for(base_url)

    def connect(self, binding: Binding) -> HubspotConnector:
        return open_connector(binding)

    def people(self, sandbox: Sandbox) -> AbstractAsyncContextManager[HubspotFirm]:
        return firm_wire(sandbox.base_url)

    def traces(self, bench: Bench) -> Mapping[str, Trace]:
        return {
            "delivery_statuses.amend": Trace(lambda: self._delivered_deals(bench), "PATCH .*/deals/"),
            "invoice_statuses.amend": Trace(
                lambda: self._statuses(bench),
                "(POST .*/2-3.*/batch/upsert|PUT .*/associations/default/deals)",
                steps=2,
            ),
        }

    async def _delivered_deals(self, bench: Bench) -> int:
        async with firm_wire(bench.sandbox.base_url) as firm:
            deals = await firm.read_deals()
        return len([deal for deal in deals.values() if deal.project_ref == "77"])

    async def _statuses(self, bench: Bench) -> int:
        """Rows that a person finds at the deal."""
        async with firm_wire(bench.sandbox.base_url) as firm:
            return len([row for row in await firm.read_invoice_statuses() if row.opportunity_id == "D0000"])

    def drifts(self, bench: Bench) -> Sequence[Drift]:
        async def fresh() -> object:
            """Stages are kept for a while; a connector that has just been opened has none."""
            async with self._opened(bench.binding) as connector:
                return await connector.get_opportunity(bench.seeded)

        return [
            Drift(lambda: self.plain_read(bench), DEALS, "amount"),
            Drift(lambda: self.plain_read(bench), DEALS, "properties"),
            Drift(lambda: self.plain_read(bench), "POST .*/line_items/batch/read", "tl_billing_model"),
            Drift(lambda: self.plain_read(bench), "POST .*/associations/", "toObjectId"),
            Drift(fresh, "GET .*/pipelines/", "probability"),
            Drift(lambda: self.contract(bench), "POST .*/2-3.*/batch/read", "tl_approval"),
            Drift(lambda: self.customers(bench), "POST .*/companies/batch/read", "tl_po_required"),
            Drift(lambda: bench.connector.list_changes(None), SEARCH, "hs_lastmodifieddate"),
            Drift(lambda: bench.connector.list_changes(None), SEARCH, "results"),
        ]

    async def change_something(self, bench: Bench) -> str:
        async with people_wire(bench.sandbox.base_url) as wire:
            body = {"properties": {"hs_next_step": "Celebrate"}}
            await wire.call("PATCH", f"/crm/v3/objects/deals/{bench.seeded}", body)
        return "opportunity"

    def intake(self, binding: Binding) -> WebhookIntake:
        return open_intake(binding)

    def signed_again(self, delivery: WebhookDelivery, body: bytes) -> WebhookDelivery:
        stamp = str(int(time.time() * 1000))
        signed = signature_v3(WEBHOOK_SECRET, "POST", WEBHOOK_URL, body, stamp)
        headers = {"x-hubspot-signature-v3": signed, "x-hubspot-request-timestamp": stamp}
        return WebhookDelivery({**delivery.headers, **headers}, body, delivery.received_at)

    def moved(self, bench: Bench) -> Moved:
        async def prepare() -> None:
            async with people_wire(bench.sandbox.base_url) as wire:
                contract = (await custom_objects(wire))["tl_contract"]
                prop = {"name": "signature_state", "label": "Signature", "groupName": "own"}
                listed = [{"label": one, "value": one, "hidden": False} for one in ("drafted", "countersigned")]
                prop |= {"type": "enumeration", "fieldType": "select", "options": listed}
                await wire.call("POST", f"/crm/v3/properties/{contract}", prop)
                held = {"properties": {"signature_state": "countersigned", "tl_approval": "rejected"}}
                path = f"/crm/v3/objects/{contract}/SOW-0000"
                await wire.call("PATCH", path, held, idProperty="tl_reference")

        async def read(connector: HubspotConnector) -> str:
            contract = await connector.find_contract(bench.seeded)
            assert contract is not None
            return contract.approval.value

        return Moved(
            "contract",
            "approval",
            "signature_state",
            prepare,
            read,
            "approved",
            {"countersigned": "approved", "drafted": "in_review"},
        )

    def removed(self, bench: Bench) -> Removed:
        async def remove() -> None:
            async with people_wire(bench.sandbox.base_url) as wire:
                contract = (await custom_objects(wire))["tl_contract"]
                await wire.call("DELETE", f"/crm/v3/properties/{contract}/tl_rate_card")

        return Removed("contract", "rate_card_code", remove, self.contract_uses(bench))
