"""The Oracle Fusion connector under the conformance suite, against the simulator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import system_apis.connectors.oracle_fusion as package
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.oracle_fusion.firm import OracleFusionFirm
from system_apis.connectors.oracle_fusion.connector import OracleFusionConnector, open_connector
from system_apis.ports.binding import Binding
from tests.conformance.conformance_suite import Bench, Drift, Moved, Removed, Variant
from tests.conformance.erp_firm import LEGAL_ENTITIES
from tests.conformance.erp_suite import ErpSuite
from tests.conformance.oracle_fusion.pods import binding, finance, pod
from tests.conformance.scenarios import Trace
from tests.conformance.served import Sandbox


class TestOracleFusion(ErpSuite):
    folder = Path(package.__file__).parent
    read_route = "GET .*/standardLookups/"
    token_route = "POST /oauth2/v1/token"
    invoices_route = "GET .*/receivablesInvoices$"
    payments_route = "GET .*/standardReceipts$"
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

    def people(self, sandbox: Sandbox) -> AbstractAsyncContextManager[OracleFusionFirm]:
        return finance(sandbox.base_url)

    async def plain_read(self, bench: Bench) -> object:
        return await bench.connector.list_service_items()

    def traces(self, bench: Bench) -> Mapping[str, Trace]:
        rest = "^(POST|PATCH|DELETE) /(fscm|crm)RestApi/resources/11.13.18.05"

        def trace(
            resource: str, route: str, *, steps: int = 1, expected: int = 1, child: str = "", q: str = ""
        ) -> Trace:
            async def count() -> int:
                asked = {"expand": child} if child else {"q": q} if q else {}
                async with finance(bench.sandbox.base_url) as firm:
                    rows = await firm.rows(resource, **asked)
                return sum(len(row[child]["items"]) for row in rows) if child else len(rows)

            return Trace(count, route, steps, expected)

        return {
            "customers.amend": trace(
                "customerAccountSitesLOV", f"({rest}/hubOrganizations|^POST /crmService/)", steps=2
            ),
            "projects.amend": trace("projects", f"{rest}/projects", child="Tasks", expected=4),
            "projects.close": trace("projects", f"{rest}/projects", q="ProjectStatusCode='CLOSED'"),
            "contracts.amend": trace("contracts", f"{rest}/contracts", child="ContractLine", expected=2),
            "billing_schedules.amend": trace(
                "projectBillingEvents", f"{rest}/$|{rest}/projectBillingEvents|POST .*/11.13.18.05/?$", expected=2
            ),
            "invoices.create": trace("receivablesInvoices", f"{rest}/receivablesInvoices"),
        }

    def drifts(self, bench: Bench) -> Sequence[Drift]:
        connector: OracleFusionConnector = bench.connector
        return (
            Drift(connector.list_legal_entities, "lookupCodes", "taxRate"),
            Drift(connector.list_rate_cards, "Rates", "Rate"),
            Drift(connector.list_legal_entities, "ledgersLOV", "CurrencyCode"),
            Drift(lambda: self.billed(bench), "GET .*/receivablesInvoices", "EnteredAmount"),
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

    def removed(self, bench: Bench) -> Removed:
        return Removed(
            "invoice",
            "period",
            lambda: bench.delete_field("receivablesInvoices.receivablesInvoiceDFF", "throughlinePeriod"),
            self.invoice_uses(bench),
            bench.undelete_fields,
        )
