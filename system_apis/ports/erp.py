"""What an ERP can be asked."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from shared.canonical.billing import BillingSchedule, ErpContract
from shared.canonical.catalog import LegalEntity, RateCard, ServiceItem
from shared.canonical.customers import Customer
from shared.canonical.invoices import Invoice, InvoiceDraft, Payment
from shared.canonical.projects import Project, ProjectPlan
from shared.canonical.references import Page, Written


class ErpReferencePort(Protocol):
    """Reference data; small, read whole."""

    async def list_legal_entities(self) -> tuple[LegalEntity, ...]:
        """All legal entities, approved or not."""
        ...

    async def list_service_items(self) -> tuple[ServiceItem, ...]:
        """The service catalog."""
        ...

    async def list_rate_cards(self) -> tuple[RateCard, ...]:
        """All rate cards with all their effective dates."""
        ...


class ErpDeliveryPort(Protocol):
    """Customer, project, contract and schedule, each keyed by our id as the ERP's external reference.

    Every `amend_*` creates the record or brings it to the given state. Repeat: the same record, `was_created` False.
    Every `find_*` looks up by our id and answers None where there is none.
    """

    async def amend_customer(self, customer: Customer, legal_entity_code: str) -> Written:
        """The customer, usable by that legal entity."""
        ...

    async def find_customer(self, customer_id: str) -> Written | None:
        """Where the customer stands."""
        ...

    async def amend_project(self, plan: ProjectPlan) -> Project:
        """Project with one child per workstream."""
        ...

    async def find_project(self, project_id: str) -> Project | None:
        """Where the project and its children stand."""
        ...

    async def amend_contract(self, contract: ErpContract) -> Written:
        """The contract (sales order) with its lines."""
        ...

    async def find_contract(self, contract_id: str) -> Written | None:
        """Where the contract stands."""
        ...

    async def amend_billing_schedule(self, schedule: BillingSchedule) -> Written:
        """The schedule of agreed amounts."""
        ...

    async def find_billing_schedule(self, schedule_id: str) -> Written | None:
        """Where the schedule stands."""
        ...

    async def close_project(self, project_id: str) -> None:
        """Take the project out of use (undo of `amend_project`). Repeat: nothing more. Raises NotFound."""
        ...


class ErpReceivablesPort(Protocol):
    """Invoices and payments."""

    async def create_invoice(self, draft: InvoiceDraft) -> Invoice:
        """Post the invoice. Repeat: the invoice already posted under our id is returned, nothing is posted again.

        Raises PeriodClosed, VendorRejected, OutcomeUnknown.
        """
        ...

    async def find_invoice(self, invoice_id: str) -> Invoice | None:
        """The invoice posted under our id, or None."""
        ...

    async def list_invoices(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Invoice]:
        """Invoices changed at or after the instant, oldest change first."""
        ...

    async def list_payments(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Payment]:
        """Customer payments changed at or after the instant, oldest change first."""
        ...


class ErpPort(ErpReferencePort, ErpDeliveryPort, ErpReceivablesPort, Protocol):
    """An ERP is all three."""
