"""Oracle Fusion as an ERP: the port's methods and the rooms that do them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from shared.canonical.billing import BillingSchedule, ErpContract
from shared.canonical.catalog import LegalEntity, RateCard, ServiceItem
from shared.canonical.customers import Customer
from shared.canonical.invoices import Invoice, InvoiceDraft, Payment
from shared.canonical.projects import Project, ProjectPlan
from shared.canonical.references import Page, Written
from system_apis.connectors.oracle_fusion import mapping
from system_apis.connectors.oracle_fusion.account import Account
from system_apis.connectors.oracle_fusion.changes import changes
from system_apis.connectors.oracle_fusion.client import VENDOR, FusionClient
from system_apis.connectors.oracle_fusion.contracts import Contracts
from system_apis.connectors.oracle_fusion.customers import Customers
from system_apis.connectors.oracle_fusion.metadata import described
from system_apis.connectors.oracle_fusion.projects import Projects
from system_apis.connectors.oracle_fusion.receivables import Receivables
from system_apis.connectors.oracle_fusion.settings import read_settings
from system_apis.fields import load_fields
from system_apis.manifest import load_manifest
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint
from system_apis.ports.outcomes import canonical
from system_apis.ports.schema import FieldFacts

_FOLDER = Path(__file__).parent


def open_connector(binding: Binding) -> OracleFusionConnector:
    """The connector of one tenant's pod. Raises Misconfigured naming the missing key."""
    return OracleFusionConnector(binding)


class OracleFusionConnector:
    """Implements ErpPort, ChangePoll and SchemaSource."""

    def __init__(self, binding: Binding) -> None:
        self.manifest = load_manifest(_FOLDER)
        settings = read_settings(binding)
        fields = load_fields(_FOLDER, binding.overrides)
        self._client = FusionClient(binding, self.manifest)
        self._account = Account(binding, self._client, fields, settings)
        self._customers = Customers(self._account)
        self._projects = Projects(self._account)
        self._contracts = Contracts(self._account)
        self._receivables = Receivables(self._account)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def ping(self) -> None:
        """Whether the pod lets us in and answers. Raises what stands against it."""
        await self._client.page("finBusinessUnitsLOV", limit=1)

    async def describe(self, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
        """Attributes and flexfield segments of the resources."""
        return await described(self._client, objects)

    async def list_changes(self, since: datetime | None) -> Sequence[ChangeHint]:
        """Receipts, invoices and reference data changed at or after the instant."""
        return await changes(self._client, since)

    # --- reference data ------------------------------------------------------------------------------------------
    async def list_legal_entities(self) -> tuple[LegalEntity, ...]:
        """Legal entities that the firm's lookup lists."""
        found = await self._account.directory.read_entities()
        with canonical(VENDOR):
            return tuple(mapping.to_legal_entity(self._account.binding, entity) for entity in found.values())

    async def list_service_items(self) -> tuple[ServiceItem, ...]:
        """Products of the CRM with the memo lines or inventory items they are invoiced as."""
        directory = self._account.directory
        products, items = await asyncio.gather(directory.read_products(), directory.read_items())
        with canonical(VENDOR):
            return tuple(mapping.to_service_item(self._account.binding, row, items) for row in products)

    async def list_rate_cards(self) -> tuple[RateCard, ...]:
        """Rate schedules by project role with their prices."""
        schedules = await self._account.directory.read_rates()
        with canonical(VENDOR):
            return tuple(mapping.to_rate_card(self._account.binding, one, rows) for one, rows in schedules)

    # --- delivery ------------------------------------------------------------------------------------------------
    async def amend_customer(self, customer: Customer, legal_entity_code: str) -> Written:
        """Upsert; a second legal entity gets a bill-to site of its own, the first one stays."""
        return await self._customers.amend(customer, legal_entity_code)

    async def find_customer(self, customer_id: str) -> Written | None:
        """By our id."""
        return await self._customers.find(customer_id)

    async def amend_project(self, plan: ProjectPlan) -> Project:
        """Project with a task per workstream and milestone."""
        return await self._projects.amend(plan)

    async def find_project(self, project_id: str) -> Project | None:
        """By our id; a closed project counts as none."""
        return await self._projects.find(project_id)

    async def close_project(self, project_id: str) -> None:
        """Take the project out of use."""
        await self._projects.close(project_id)

    async def amend_contract(self, contract: ErpContract) -> Written:
        """Contract with its lines."""
        return await self._contracts.amend(contract)

    async def find_contract(self, contract_id: str) -> Written | None:
        """By our id."""
        return await self._contracts.find(contract_id)

    async def amend_billing_schedule(self, schedule: BillingSchedule) -> Written:
        """A billing event per entry, on hold."""
        return await self._contracts.amend_schedule(schedule)

    async def find_billing_schedule(self, schedule_id: str) -> Written | None:
        """By our id."""
        return await self._contracts.find_schedule(schedule_id)

    # --- receivables ---------------------------------------------------------------------------------------------
    async def create_invoice(self, draft: InvoiceDraft) -> Invoice:
        """Look for our id, else post and compare."""
        return await self._receivables.create(draft)

    async def find_invoice(self, invoice_id: str) -> Invoice | None:
        """By our id."""
        return await self._receivables.find(invoice_id)

    async def list_invoices(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Invoice]:
        """Completed invoices by change."""
        return await self._receivables.list(modified_since=modified_since, cursor=cursor, limit=limit)

    async def list_payments(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Payment]:
        """Standard receipts by change."""
        return await self._receivables.list_payments(modified_since=modified_since, cursor=cursor, limit=limit)
