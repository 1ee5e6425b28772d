"""S/4HANA as an ERP: the port's methods handed to the rooms that know them."""

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
from shared.outbound import drift
from system_apis.connectors.s4hana import mapping
from system_apis.connectors.s4hana.changes import changes
from system_apis.connectors.s4hana.client import COMPANIES, PAGE, PRODUCTS, RATES, Query, S4Client, nested
from system_apis.connectors.s4hana.contracts import Contracts
from system_apis.connectors.s4hana.customers import Customers
from system_apis.connectors.s4hana.directory import VENDOR, Directory, selected, taken
from system_apis.connectors.s4hana.metadata import describe
from system_apis.connectors.s4hana.payloads import DescriptionRow, ProductRow, RateRow
from system_apis.connectors.s4hana.payments import Payments
from system_apis.connectors.s4hana.projects import Projects
from system_apis.connectors.s4hana.receivables import Invoices
from system_apis.connectors.s4hana.settings import read_settings
from system_apis.fields import load_fields
from system_apis.manifest import load_manifest
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint
from system_apis.ports.outcomes import canonical
from system_apis.ports.schema import FieldFacts

_FOLDER = Path(__file__).parent
_SERVICES = "ProductType eq 'SERV' and IsMarkedForDeletion eq false"


def open_connector(binding: Binding) -> S4Connector:
    """The connector of one tenant. Raises Misconfigured naming the missing key."""
    return S4Connector(binding)


class S4Connector:
    """Implements ErpPort, ChangePoll and SchemaSource."""

    def __init__(self, binding: Binding) -> None:
        self.manifest = load_manifest(_FOLDER)
        self._binding = binding
        self._fields = load_fields(_FOLDER, binding.overrides)
        settings = read_settings(binding)
        self._client = S4Client(binding, self.manifest)
        self._directory = Directory(self._client, self._fields, settings)
        parts = (binding, self._client, self._directory, self._fields)
        self._customers = Customers(*parts, settings)
        self._projects = Projects(*parts, settings)
        self._contracts = Contracts(*parts, settings)
        self._invoices = Invoices(*parts, settings)
        self._payments = Payments(*parts, self._invoices)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def ping(self) -> None:
        """Whether the tenant lets us in and answers. Raises what stands against it."""
        await self._client.page(COMPANIES, "A_CompanyCode", Query(select=("CompanyCode",), top=1))

    async def list_changes(self, since: datetime | None) -> Sequence[ChangeHint]:
        """Payments, invoices and reference data changed at or after the instant."""
        return await changes(self._client, self._fields, since)

    async def describe(self, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
        """Fields of these sets, from the services' metadata."""
        return await describe(self._client, objects)

    # --- reference data ------------------------------------------------------------------------------------------
    async def list_legal_entities(self) -> tuple[LegalEntity, ...]:
        """Legal entities whose company code is there, read afresh."""
        organisations = await self._directory.organisations()
        with canonical(VENDOR):
            return tuple(mapping.to_legal_entity(self._binding, one) for one in organisations)

    async def list_service_items(self) -> tuple[ServiceItem, ...]:
        """Service products, once per product code."""
        fields = self._fields["service_item"]
        query = Query(where=_SERVICES, expand=("to_Description",), order="Product")
        rows = await self._client.rows(PRODUCTS, fields.object, query)
        found: list[ServiceItem] = []
        for row in taken(rows, fields):
            names = [drift(VENDOR, DescriptionRow, one) for one in nested(row, "to_Description")]
            with canonical(VENDOR):
                found += mapping.to_service_items(self._binding, drift(VENDOR, ProductRow, row), names)
        return tuple(found)

    async def list_rate_cards(self) -> tuple[RateCard, ...]:
        """Rate cards with their effective-dated prices."""
        fields = self._fields["rate_card"]
        query = Query(select=selected(RateRow, fields), order="RateCard,Role,ValidFrom")
        rows = [
            drift(VENDOR, RateRow, row) for row in taken(await self._client.rows(RATES, fields.object, query), fields)
        ]
        with canonical(VENDOR):
            return mapping.to_rate_cards(self._binding, rows)

    # --- delivery ------------------------------------------------------------------------------------------------
    async def amend_customer(self, customer: Customer, legal_entity_code: str) -> Written:
        """A business partner with customer role, ledger and sales area."""
        return await self._customers.amend(customer, legal_entity_code)

    async def find_customer(self, customer_id: str) -> Written | None:
        """By our id."""
        return await self._customers.find(customer_id)

    async def amend_project(self, plan: ProjectPlan) -> Project:
        """An enterprise project, released, with elements for workstreams and milestones."""
        return await self._projects.amend(plan)

    async def find_project(self, project_id: str) -> Project | None:
        """By our id; a completed one counts as none."""
        return await self._projects.find(project_id)

    async def close_project(self, project_id: str) -> None:
        """Complete the project."""
        await self._projects.close(project_id)

    async def amend_contract(self, contract: ErpContract) -> Written:
        """A sales order with an item per line."""
        return await self._contracts.amend(contract)

    async def find_contract(self, contract_id: str) -> Written | None:
        """By our id."""
        return await self._contracts.find(contract_id)

    async def amend_billing_schedule(self, schedule: BillingSchedule) -> Written:
        """The billing plans of the order's items."""
        return await self._contracts.amend_schedule(schedule)

    async def find_billing_schedule(self, schedule_id: str) -> Written | None:
        """By our id."""
        return await self._contracts.find_schedule(schedule_id)

    # --- receivables ---------------------------------------------------------------------------------------------
    async def create_invoice(self, draft: InvoiceDraft) -> Invoice:
        """A billing document made of a debit memo request."""
        return await self._invoices.create(draft)

    async def find_invoice(self, invoice_id: str) -> Invoice | None:
        """By our id."""
        return await self._invoices.find(invoice_id)

    async def list_invoices(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Invoice]:
        """Billing documents by change; what payments do to them is told by the payments."""
        return await self._payments.invoices(modified_since, cursor, min(limit, PAGE))

    async def list_payments(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Payment]:
        """Incoming payments by change."""
        return await self._payments.payments(modified_since, cursor, min(limit, PAGE))
