"""The NetSuite connector under the conformance suite, against the simulator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import httpx

import system_apis.connectors.netsuite as package
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.netsuite.firm import NetSuiteFirm
from deploy.sandbox.netsuite.simulator import simulator
from deploy.sandbox.netsuite.tokens import new_credentials
from system_apis.connectors.netsuite.connector import NetSuiteConnector, open_connector
from system_apis.connectors.netsuite.webhooks import open_intake
from system_apis.ports.binding import Binding
from system_apis.ports.changes import WebhookIntake
from tests.conformance.conformance_suite import WEBHOOK_SECRET, Bench, Drift, Moved, Removed, Variant
from tests.conformance.erp_firm import LEGAL_ENTITIES, draft
from tests.conformance.erp_suite import ErpSuite
from tests.conformance.scenarios import Trace
from tests.conformance.served import Sandbox

CREDENTIALS = new_credentials()
STRANGER = new_credentials()


class TestNetSuite(ErpSuite):
    folder = Path(package.__file__).parent
    read_route = "POST /services/rest/query/v1/suiteql"
    token_route = "POST /services/rest/auth/oauth2/v1/token"
    invoices_route = payments_route = "POST /services/rest/query/v1/suiteql"
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

    @asynccontextmanager
    async def people(self, sandbox: Sandbox) -> AsyncGenerator[NetSuiteFirm]:
        async with httpx.AsyncClient(trust_env=False) as client:
            yield NetSuiteFirm(sandbox.base_url, client, CREDENTIALS)

    def traces(self, bench: Bench) -> Mapping[str, Trace]:
        def trace(record: str, of: str, query: str = "", *, steps: int = 1, expected: int = 1) -> Trace:
            async def count() -> int:
                async with self.people(bench.sandbox) as firm:
                    return await firm.count(record, query)

            return Trace(count, rf"^(PUT|POST|PATCH|DELETE) /services/rest/record/v1{of}", steps, expected)

        return {
            "customers.amend": trace("customer", "/customer/"),
            "projects.amend": trace("projectTask", "/(job|projectTask)/", steps=3, expected=2),
            "projects.close": trace("job", "/job/", "isInactive IS true"),
            "contracts.amend": trace("salesOrder", "/salesOrder/"),
            "billing_schedules.amend": trace("billingSchedule", "/billingSchedule/"),
            "invoices.create": trace("invoice", "/invoice/"),
        }

    def drifts(self, bench: Bench) -> Sequence[Drift]:
        connector: NetSuiteConnector = bench.connector
        return (
            Drift(connector.list_legal_entities, "suiteql", "custrecord_tl_approved"),
            Drift(connector.list_rate_cards, "suiteql", "custrecord_tl_rate"),
            Drift(lambda: self.billed(bench), "GET .*/invoice/", "taxTotal"),
        )

    async def change_something(self, bench: Bench) -> str:
        async with self.people(bench.sandbox) as firm:
            await firm.load(LEGAL_ENTITIES, [], [])
        return "reference_data"

    async def touch(self, bench: Bench) -> None:
        await bench.connector.create_invoice(draft("inv_later"))

    def moved(self, bench: Bench) -> Moved:
        async def state() -> None:
            async with self.people(bench.sandbox) as firm:
                for row in LEGAL_ENTITIES:
                    told = "released" if row["code"] == "HC-DE" else "blocked"
                    body = {"custrecord_firm_state": told, "custrecord_tl_approved": row["code"] != "HC-DE"}
                    await firm.ask("PATCH", f"/record/v1/subsidiary/eid:{row['code']}", body=body)

        async def approved(opened: Any) -> object:
            return {entity.code: entity.is_approved for entity in await opened.list_legal_entities()}

        expected = {"HC-DE": True, "HC-JP": False, "HC-BR": False}
        values = {"released": "T", "blocked": "F"}
        return Moved("legal_entity", "is_approved", "custrecord_firm_state", state, approved, expected, values)

    def removed(self, bench: Bench) -> Removed:
        remove = partial(bench.delete_field, "invoice", "custbody_tl_period")
        return Removed("invoice", "period", remove, self.invoice_uses(bench), bench.undelete_fields)
