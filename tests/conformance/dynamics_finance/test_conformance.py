"""The Dynamics 365 Finance connector under the conformance suite, against the simulator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

import system_apis.connectors.dynamics_finance as package
from deploy.sandbox.dynamics_finance.firm import DynamicsFinanceFirm
from deploy.sandbox.dynamics_finance.schema import NAMESPACE
from deploy.sandbox.kit.control import Simulator
from system_apis.connectors.dynamics_finance.connector import DynamicsFinanceConnector, open_connector
from system_apis.connectors.dynamics_finance.webhooks import open_intake
from system_apis.ports.binding import Binding
from system_apis.ports.changes import WebhookIntake
from tests.conformance.conformance_suite import Bench, Drift, Moved, Removed, Variant
from tests.conformance.dynamics_finance.conftest import bound, environment, people
from tests.conformance.erp_firm import customer
from tests.conformance.erp_suite import ErpSuite
from tests.conformance.scenarios import Trace
from tests.conformance.served import Sandbox


class TestDynamicsFinance(ErpSuite):
    folder = Path(package.__file__).parent
    read_route = "GET /data/LegalEntities"
    token_route = "POST /.*/oauth2/v2.0/token"
    invoices_route = payments_route = "GET /data/CustTransactions"
    tick = 1.05  # stamps are whole seconds
    variants: Mapping[str, Variant] = {
        "documented": Variant(),
        "otherwise": Variant(
            settings={
                "customer_numbers": "automatic",
                "posting": "batch",
                "line_amounts": "priced",
                "settlements": "transactions",
                "service_items": "released_products",
                "set_names": "ProjectCategoryEntities=ProjectCategories",
                "invoice_by": "project_proposal",
            },
            switches={
                "customer_numbers": "automatic",
                "project_operations": True,
                "posting_service": False,
                "batch_every": 3,
                "line_amounts": "priced",
                "settled_lines": "dropped",
                "set_names": {"ProjectCategoryEntities": "ProjectCategories"},
            },
        ),
    }

    def simulator(self) -> Simulator:
        return environment()

    def binding(self, base_url: str, *, is_known: bool = True) -> Binding:
        return bound(base_url) if is_known else bound(base_url, secret="not the secret")

    def connect(self, binding: Binding) -> DynamicsFinanceConnector:
        return open_connector(binding)

    def intake(self, binding: Binding) -> WebhookIntake:
        return open_intake(binding)

    @asynccontextmanager
    async def people(self, sandbox: Sandbox) -> AsyncGenerator[DynamicsFinanceFirm]:
        async with httpx.AsyncClient(trust_env=False) as client:
            yield people(sandbox.base_url, client)

    def traces(self, bench: Bench) -> Mapping[str, Trace]:
        is_new = bench.binding.settings.get("invoice_by") == "project_proposal"
        projects = "ProjectsV2" if is_new else "Projects"
        contracts = "ProjectContractHeaders" if is_new else "ProjectContracts"
        documents = "ProjectInvoiceProposalHeaders" if is_new else "FreeTextInvoiceHeaders"
        ours = "TLInvoiceId" if is_new else "ExternalInvoiceId"
        stage = f"TLExternalId eq 'prj_acme' and ProjectStage eq {NAMESPACE}.ProjStatus'Completed'"
        last = rf"{documents}\(" if is_new else "never"

        def trace(name: str, wanted: str, route: str, *, steps: int = 1, expected: int = 1) -> Trace:
            async def count() -> int:
                async with self.people(bench.sandbox) as firm:
                    return await firm.count(name, wanted)

            return Trace(count, rf"^(PUT|POST|PATCH|DELETE) /{route}", steps, expected)

        return {
            "customers.amend": trace("CustomersV3", "TLExternalId eq 'cus_acme'", "data/CustomersV3"),
            "projects.amend": trace(
                projects,
                "TLExternalId ne ''",
                f"data/({contracts}|ProjectFundingSources|{projects})",
                steps=2,
                expected=3,
            ),
            "projects.close": trace(projects, stage, r"data/\$batch"),
            "contracts.amend": trace(
                contracts, "TLExternalId eq 'con_acme'", f"data/({contracts}|ProjectFundingSources)", steps=2
            ),
            "billing_schedules.amend": trace(
                "ProjectOnAccForecasts", "TLExternalId ne ''", rf"data/(\$batch|{contracts})", steps=2, expected=2
            ),
            "invoices.create": trace(
                documents,
                f"{ours} eq 'inv_acme'",
                rf"(data/{documents}|data/\$batch|api/services|data/{last})",
                steps=3,
            ),
        }

    async def pay(self, bench: Bench, rows: int) -> Sequence[str]:
        bench.sandbox.simulator.configure({"posting_service": True})  # type: ignore[misc] # it has switches
        return await super().pay(bench, rows)

    def drifts(self, bench: Bench) -> Sequence[Drift]:
        connector: DynamicsFinanceConnector = bench.connector
        return (
            Drift(connector.list_legal_entities, "LegalEntities", "TLIsApproved"),
            Drift(connector.list_rate_cards, "ProjHourSalesPricesV2", "SalesPricing"),
            Drift(lambda: self.billed(bench), "GET .*/CustTransactions", "SettleAmountCur"),
        )

    async def change_something(self, bench: Bench) -> str:
        await self.bill(bench)
        await self.pay(bench, 1)
        return "payment"

    def moved(self, bench: Bench) -> Moved:
        async def prepare() -> object:
            async with self.people(bench.sandbox) as firm:
                path = "/data/LegalEntities('hcde')"
                return await firm.ask("PATCH", path, body={"NameAlias": "GERMANY", "TLCode": ""})

        async def read(connector: DynamicsFinanceConnector) -> object:
            codes = {one.code: one.name for one in await connector.list_legal_entities()}
            return codes.get("HC-DE")

        values = {"GERMANY": "HC-DE", "HC-JP": "HC-JP", "HC-BR": "HC-BR"}
        return Moved("legal_entity", "code", "NameAlias", prepare, read, "Harbour GmbH", values)

    def removed(self, bench: Bench) -> Removed:
        uses = {
            "amend_customer": lambda: bench.connector.amend_customer(customer(), "HC-DE"),
            "find_customer": lambda: bench.connector.find_customer("cus_acme"),
        }
        return Removed(
            "customer", "industry", lambda: bench.delete_field("CustomersV3", "TLIndustry"), uses, bench.undelete_fields
        )
