"""Dynamics 365 Finance as an ERP: what each port method asks, one writer per record, and what is kept meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from shared.canonical.billing import BillingSchedule, ErpContract
from shared.canonical.catalog import LegalEntity, RateCard, ServiceItem
from shared.canonical.customers import Customer
from shared.canonical.invoices import Invoice, InvoiceDraft, Payment
from shared.canonical.projects import Project, ProjectPlan
from shared.canonical.references import Page, Written
from system_apis.connectors.dynamics_finance import mapping, metadata
from system_apis.connectors.dynamics_finance.client import FinanceClient
from system_apis.connectors.dynamics_finance.delivery import Delivery
from system_apis.connectors.dynamics_finance.directory import Directory
from system_apis.connectors.dynamics_finance.documents import Documents
from system_apis.connectors.dynamics_finance.invoicing import Invoicing
from system_apis.connectors.dynamics_finance.ledger import Ledger
from system_apis.connectors.dynamics_finance.options import read_options
from system_apis.connectors.dynamics_finance.payloads import LedgerRow, PriceRow
from system_apis.connectors.dynamics_finance.rows import VENDOR
from system_apis.manifest import load_manifest
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint
from system_apis.ports.outcomes import canonical
from system_apis.ports.schema import FieldFacts
from system_apis.ports.writers import Writers


def open_connector(binding: Binding) -> DynamicsFinanceConnector:
    """The connector of one tenant's environment. Raises Misconfigured naming the missing key."""
    return DynamicsFinanceConnector(binding)


class DynamicsFinanceConnector:
    """Implements ErpPort, ChangePoll and SchemaSource."""

    def __init__(self, binding: Binding) -> None:
        self.manifest = load_manifest(Path(__file__).parent)
        self._binding = binding
        options = read_options(binding)
        self._client = FinanceClient(binding, self.manifest, options)
        self._directory = Directory(self._client, options)
        documents = Documents(self._client, self._directory, options)
        self._delivery = Delivery(binding, self._client, self._directory, options)
        self._ledger = Ledger(binding, self._client, self._directory, documents, options)
        self._invoicing = Invoicing(self._client, documents, self._ledger, options)
        self._writers = Writers(self._directory.forget)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def ping(self) -> None:
        """Whether the environment lets us in and answers. Raises what stands against it."""
        await self._client.select("ledger", LedgerRow, top=1)

    async def list_changes(self, since: datetime | None) -> Sequence[ChangeHint]:
        """Payments, invoices and reference data changed at or after the instant."""
        return await self._ledger.changes(since)

    async def describe(self, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
        """What `$metadata` and the metadata service tell of these sets."""
        return await metadata.describe(self._client, objects)

    # --- reference data ----------------------------------------------------------------------------------------------
    async def list_legal_entities(self) -> tuple[LegalEntity, ...]:
        """Companies that carry a code of ours."""
        companies = await self._directory.read_companies()
        with canonical(VENDOR):
            return tuple(mapping.to_legal_entity(self._binding, row, currency) for row, currency in companies.values())

    async def list_service_items(self) -> tuple[ServiceItem, ...]:
        """What companies of ours sell services as, once per product code."""
        rows, codes = await self._directory.read_items(), await self._directory.codes()
        with canonical(VENDOR):
            return mapping.to_service_items(self._binding, rows, codes)

    async def list_rate_cards(self) -> tuple[RateCard, ...]:
        """Price groups with their effective-dated hourly prices by role."""
        rows = await self._client.select("rate", PriceRow)
        with canonical(VENDOR):
            return mapping.to_rate_cards(self._binding, rows)

    # --- delivery ----------------------------------------------------------------------------------------------------
    async def amend_customer(self, customer: Customer, legal_entity_code: str) -> Written:
        """Looked up by our id in that company, else made."""
        async with self._writers.of(customer.id):
            return await self._delivery.amend_customer(customer, legal_entity_code)

    async def find_customer(self, customer_id: str) -> Written | None:
        """By our id."""
        return await self._delivery.find_customer(customer_id)

    async def amend_project(self, plan: ProjectPlan) -> Project:
        """Project with a sub-project per workstream; its contract is made bare where there is none yet."""
        async with self._writers.of(plan.id), self._writers.of(plan.contract_id):
            return await self._delivery.amend_project(plan)

    async def find_project(self, project_id: str) -> Project | None:
        """By our id; a project taken out of use counts as none."""
        return await self._delivery.find_project(project_id)

    async def close_project(self, project_id: str) -> None:
        """To the stage that takes no more postings."""
        async with self._writers.of(project_id):
            await self._delivery.close_project(project_id)

    async def amend_contract(self, contract: ErpContract) -> Written:
        """The project contract with its terms, and its billing rules where Project Operations keeps them."""
        async with self._writers.of(contract.id):
            return await self._delivery.amend_contract(contract)

    async def find_contract(self, contract_id: str) -> Written | None:
        """By our id; a bare one that only carries a project counts as none."""
        return await self._delivery.find_contract(contract_id)

    async def amend_billing_schedule(self, schedule: BillingSchedule) -> Written:
        """On-account forecasts of the contract."""
        async with self._writers.of(schedule.contract_id):
            return await self._delivery.amend_billing_schedule(schedule)

    async def find_billing_schedule(self, schedule_id: str) -> Written | None:
        """By our id."""
        return await self._delivery.find_billing_schedule(schedule_id)

    # --- receivables -------------------------------------------------------------------------------------------------
    async def create_invoice(self, draft: InvoiceDraft) -> Invoice:
        """Post once; recognised by our id."""
        async with self._writers.of(draft.id):
            return await self._invoicing.create(draft)

    async def find_invoice(self, invoice_id: str) -> Invoice | None:
        """By our id."""
        return await self._invoicing.find(invoice_id)

    async def list_invoices(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Invoice]:
        """Posted invoices by change of the customer's account: a payment changes it too."""
        return await self._ledger.list_invoices(modified_since, cursor, limit)

    async def list_payments(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Payment]:
        """Posted customer payments by change."""
        return await self._ledger.list_payments(modified_since, cursor, limit)
