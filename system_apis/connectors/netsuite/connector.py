"""NetSuite as an ERP: the port, each act in its room; how repeats are recognised stands there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.canonical.billing import BillingSchedule, ErpContract
from shared.canonical.catalog import LegalEntity, RateCard, ServiceItem
from shared.canonical.customers import Customer
from shared.canonical.invoices import Invoice, InvoiceDraft, Payment
from shared.canonical.projects import Project, ProjectPlan
from shared.canonical.references import Page, Written
from shared.errors.taxonomy import Misconfigured
from system_apis.connectors.netsuite import mapping
from system_apis.connectors.netsuite.bodies import TaxIds
from system_apis.connectors.netsuite.changes import changes
from system_apis.connectors.netsuite.client import NetSuiteClient
from system_apis.connectors.netsuite.delivery import Delivery
from system_apis.connectors.netsuite.desk import Desk
from system_apis.connectors.netsuite.door import VENDOR
from system_apis.connectors.netsuite.metadata import described
from system_apis.connectors.netsuite.payloads import ExternalRow
from system_apis.connectors.netsuite.receivables import Receivables
from system_apis.fields import load_fields
from system_apis.manifest import load_manifest
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint
from system_apis.ports.outcomes import canonical
from system_apis.ports.schema import FieldFacts

_FOLDER = Path(__file__).parent
_MILESTONE_SCHEDULE = "4"


def open_connector(binding: Binding) -> NetSuiteConnector:
    """The connector of one tenant's account. Raises Misconfigured naming the missing key."""
    return NetSuiteConnector(binding)


class NetSuiteConnector:
    """Implements ErpPort, ChangePoll and SchemaSource."""

    def __init__(self, binding: Binding) -> None:
        self.manifest = load_manifest(_FOLDER)
        self._binding = binding
        self._client = NetSuiteClient(binding, self.manifest)
        self._desk = Desk(self._client, load_fields(_FOLDER, binding.overrides))
        self._zone = _zone(binding)
        kind = binding.settings.get("milestone_schedule_type") or _MILESTONE_SCHEDULE
        self._delivery = Delivery(binding, self._desk, kind)
        self._receivables = Receivables(binding, self._desk, self._zone, _taxes(binding))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def ping(self) -> None:
        """Whether the account lets us in and answers; learns how much it bears. Raises what stands against it."""
        await self._client.page("SELECT id FROM subsidiary ORDER BY id", ExternalRow, limit=1)
        await self._client.learn_limit()

    async def describe(self, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
        """The metadata catalog's fields of records and of the lines of their sublists."""
        return await described(self._client, objects)

    async def list_changes(self, since: datetime | None) -> Sequence[ChangeHint]:
        """Payments, invoices and reference data changed at or after the instant."""
        await self._client.learn_limit()
        return await changes(self._client, since, self._zone)

    # --- reference data ------------------------------------------------------------------------------------------
    async def list_legal_entities(self) -> tuple[LegalEntity, ...]:
        """Active subsidiaries that carry a code of ours."""
        rows = await self._desk.directory.legal_entities()
        with canonical(VENDOR):
            return tuple(mapping.to_legal_entity(self._binding, row, self._zone) for row in rows)

    async def list_service_items(self) -> tuple[ServiceItem, ...]:
        """Active service items, once per product code."""
        rows = await self._desk.directory.service_items()
        with canonical(VENDOR):
            return tuple(item for row in rows for item in mapping.to_service_items(self._binding, row, self._zone))

    async def list_rate_cards(self) -> tuple[RateCard, ...]:
        """Billing rate cards with their effective-dated prices."""
        rows = await self._desk.directory.rates()
        with canonical(VENDOR):
            return mapping.to_rate_cards(self._binding, rows, self._zone)

    # --- delivery ------------------------------------------------------------------------------------------------
    async def amend_customer(self, customer: Customer, legal_entity_code: str) -> Written:
        """Upsert; a second legal entity is related to the customer, its first one stays."""
        return await self._delivery.customer(customer, legal_entity_code)

    async def find_customer(self, customer_id: str) -> Written | None:
        """By our id."""
        return await self._delivery.find("customer", customer_id)

    async def amend_project(self, plan: ProjectPlan) -> Project:
        """Upsert of the job, then of one task per workstream."""
        return await self._delivery.project(plan)

    async def find_project(self, project_id: str) -> Project | None:
        """By our id; a project taken out of use counts as none."""
        return await self._delivery.find_project(project_id)

    async def close_project(self, project_id: str) -> None:
        """Take the job out of use; its records stay for the auditors."""
        await self._delivery.close_project(project_id)

    async def amend_contract(self, contract: ErpContract) -> Written:
        """Upsert of the sales order; its lines are replaced whole."""
        return await self._delivery.contract(contract)

    async def find_contract(self, contract_id: str) -> Written | None:
        """By our id."""
        return await self._delivery.find("salesOrder", contract_id)

    async def amend_billing_schedule(self, schedule: BillingSchedule) -> Written:
        """Upsert; lines are merged by their number so that reached milestones stay reached."""
        return await self._delivery.schedule(schedule)

    async def find_billing_schedule(self, schedule_id: str) -> Written | None:
        """By our id."""
        return await self._delivery.find("billingSchedule", schedule_id)

    # --- receivables ---------------------------------------------------------------------------------------------
    async def create_invoice(self, draft: InvoiceDraft) -> Invoice:
        """Look for our id, else post once and compare; an invoice that came out otherwise is deleted again."""
        return await self._receivables.create_invoice(draft)

    async def find_invoice(self, invoice_id: str) -> Invoice | None:
        """By our id."""
        return await self._receivables.find_invoice(invoice_id)

    async def list_invoices(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Invoice]:
        """Invoices by change."""
        return await self._receivables.list_invoices(modified_since, cursor, limit)

    async def list_payments(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Payment]:
        """Payments by change, each with what it is applied to."""
        return await self._receivables.list_payments(modified_since, cursor, limit)


def _zone(binding: Binding) -> ZoneInfo:
    name = binding.settings.get("account_time_zone") or "UTC"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Misconfigured(f"connector netsuite: setting account_time_zone: {name!r} is not a time zone") from error


def _taxes(binding: Binding) -> TaxIds | None:
    kind, code = binding.settings.get("suite_tax_type"), binding.settings.get("suite_tax_code")
    if bool(kind) != bool(code):
        raise Misconfigured("connector netsuite: settings suite_tax_type and suite_tax_code belong together")
    return TaxIds(kind, code) if kind and code else None
