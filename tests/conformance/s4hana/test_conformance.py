"""The S/4HANA connector under the conformance suite, against the simulator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import httpx

import system_apis.connectors.s4hana as package
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.s4hana.firm import S4Firm
from deploy.sandbox.s4hana.simulator import CONNECTOR_USER, FIRM_USER, simulator
from system_apis.connectors.s4hana.connector import S4Connector, open_connector
from system_apis.connectors.s4hana.webhooks import open_intake
from system_apis.ports.binding import Binding
from system_apis.ports.changes import WebhookIntake
from tests.conformance.conformance_suite import WEBHOOK_SECRET, Bench, Drift, Moved, Removed, Variant
from tests.conformance.erp_suite import ErpSuite
from tests.conformance.scenarios import Trace
from tests.conformance.served import Sandbox

ODATA = "/sap/opu/odata/sap"
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


class TestS4Hana(ErpSuite):
    folder = Path(package.__file__).parent
    read_route = r"GET /sap/opu/odata/sap/YY1_TLLEGALENTITY_CDS"
    token_route = "POST /sap/bc/sec/oauth2/token"
    invoices_route = f"GET {ODATA}/API_BILLING_DOCUMENT_SRV"
    payments_route = f"GET {ODATA}/API_GLACCOUNTLINEITEM"
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

    @asynccontextmanager
    async def people(self, sandbox: Sandbox) -> AsyncGenerator[S4Firm]:
        async with httpx.AsyncClient(trust_env=False) as client:
            yield S4Firm(sandbox.base_url, client, FIRM_USER)

    def traces(self, bench: Bench) -> Mapping[str, Trace]:
        projects = "API_ENTERPRISE_PROJECT_SRV;v=0002"

        def trace(rows: str, route: str, *, where: str = "", expected: int = 1) -> Trace:
            async def count() -> int:
                async with self.people(bench.sandbox) as firm:
                    return await firm.count(rows, where)

            return Trace(count, route, expected=expected)

        return {
            "customers.amend": trace(
                "API_BUSINESS_PARTNER/A_BusinessPartner", f"POST {ODATA}/API_BUSINESS_PARTNER/A_BusinessPartner"
            ),
            "projects.amend": trace(f"{projects}/A_EnterpriseProjectElement", f"POST {ODATA}/{projects}/", expected=5),
            "projects.close": trace(
                f"{projects}/A_EnterpriseProject",
                f"POST {ODATA}/{projects}/ChangeEntProjProcgStatus",
                where="ProcessingStatus eq '42'",
            ),
            "contracts.amend": trace(
                "API_SALES_ORDER_SRV/A_SalesOrder", f"POST {ODATA}/API_SALES_ORDER_SRV/A_SalesOrder"
            ),
            "billing_schedules.amend": trace(
                "API_SALES_ORDER_SRV/A_SlsOrderItemBillingPlanItem",
                rf"POST {ODATA}/API_SALES_ORDER_SRV/\$batch",
                expected=2,
            ),
            "invoices.create": trace(
                "API_BILLING_DOCUMENT_SRV/A_BillingDocument",
                "(POST|PATCH) .*(A_DebitMemoRequest|CreateFromSDDocument)",
            ),
        }

    def drifts(self, bench: Bench) -> Sequence[Drift]:
        connector: S4Connector = bench.connector
        return (
            Drift(connector.list_legal_entities, "YY1_TLLEGALENTITY", "IsApproved"),
            Drift(connector.list_rate_cards, "YY1_TLRATE", "Rate_V"),
            Drift(lambda: self.billed(bench), "GET .*/A_BillingDocument", "TaxAmount"),
        )

    async def change_something(self, bench: Bench) -> str:
        async with self.people(bench.sandbox) as firm:
            product = (await firm.rows("API_PRODUCT_SRV/A_Product"))[0]
            path = f"API_PRODUCT_SRV/A_Product('{product['Product']}')"
            body = {"YY1_TLRevenueAccount_PRD": "40099"}
            await firm.ask("PATCH", path, body=body, version=product["__metadata"]["etag"])
        return "reference_data"

    def moved(self, bench: Bench) -> Moved:
        async def prepare() -> object:
            assert bench.sandbox.simulator.configure is not None
            bench.sandbox.simulator.configure({"custom_fields": {"A_Product": {"YY1_SoldAs_PRD": "String(80)"}}})
            async with self.people(bench.sandbox) as firm:
                for row in await firm.rows("API_PRODUCT_SRV/A_Product"):
                    body = {"YY1_SoldAs_PRD": "17", "YY1_TLProductCodes_PRD": ""}
                    path = f"API_PRODUCT_SRV/A_Product('{row['Product']}')"
                    await firm.ask("PATCH", path, body=body, version=row["__metadata"]["etag"])
            return None

        async def read(connector: Any) -> object:
            return {item.product_code for item in await connector.list_service_items()}

        return Moved("service_item", "product_codes", "YY1_SoldAs_PRD", prepare, read, {"GTX Pro"}, {"17": "GTX Pro"})

    def removed(self, bench: Bench) -> Removed:
        return Removed(
            "invoice",
            "period",
            lambda: bench.delete_field("A_BillingDocument", "YY1_TLPeriod_BDH"),
            self.invoice_uses(bench),
            bench.undelete_fields,
        )
