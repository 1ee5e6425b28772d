"""The ERP through the system tier: reference data, delivery set-up, receivables; ids are ours."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from process_apis.systems.fresh import Fresh
from process_apis.systems.wire import SystemWire
from shared.canonical.billing import BillingSchedule, ErpContract
from shared.canonical.catalog import LegalEntity, RateCard, ServiceItem
from shared.canonical.customers import Customer
from shared.canonical.invoices import Invoice, InvoiceDraft, Payment
from shared.canonical.projects import Project, ProjectPlan
from shared.canonical.references import Page, Written


class ErpReference(Protocol):
    """Reference data, read whole."""

    async def list_legal_entities(self, *, now: bool = False) -> tuple[LegalEntity, ...]:
        """All legal entities, approved or not; `now`: as the ERP has them at this moment, for what is billed."""
        ...

    async def list_service_items(self) -> tuple[ServiceItem, ...]:
        """The service catalog."""
        ...

    async def list_rate_cards(self) -> tuple[RateCard, ...]:
        """All rate cards with all their effective dates, as the ERP has them at this moment."""
        ...

    def forget_reference_data(self) -> None:
        """What was read lately no longer counts."""
        ...


class ErpDelivery(Protocol):
    """Customer, project, contract, schedule. Repeat of an `amend_`: the same record, brought to the given state."""

    async def amend_customer(self, customer: Customer, legal_entity_code: str) -> Written:
        """The customer, usable by that legal entity."""
        ...

    async def find_customer(self, customer_id: str) -> Written | None:
        """Where the customer stands, or None."""
        ...

    async def amend_project(self, plan: ProjectPlan) -> Project:
        """Project with one child per workstream."""
        ...

    async def find_project(self, project_id: str) -> Project | None:
        """Where the project stands, or None."""
        ...

    async def close_project(self, project_id: str) -> None:
        """Undo of `amend_project`. Repeat: nothing more."""
        ...

    async def amend_contract(self, contract: ErpContract) -> Written:
        """The contract with its lines."""
        ...

    async def amend_billing_schedule(self, schedule: BillingSchedule) -> Written:
        """The schedule of agreed amounts."""
        ...


class ErpReceivables(Protocol):
    """Invoices and payments."""

    async def create_invoice(self, draft: InvoiceDraft) -> Invoice:
        """Post the invoice. Repeat: the invoice already posted under our id. Raises PeriodClosed, VendorRejected."""
        ...

    async def find_invoice(self, invoice_id: str) -> Invoice | None:
        """The invoice posted under our id, or None."""
        ...

    async def list_invoices(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[Invoice]:
        """Invoices changed at or after the instant, oldest change first."""
        ...

    async def list_payments(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[Payment]:
        """Payments changed at or after the instant, oldest change first."""
        ...


class Erp(ErpReference, ErpDelivery, ErpReceivables, Protocol):
    """What the processes ask of the ERP."""


class ErpApi:
    """The ERP over the system tier's `/erp/v1`."""

    def __init__(self, wire: SystemWire) -> None:
        self._wire = wire
        self._entities = Fresh(lambda: wire.whole(LegalEntity, "/erp/v1/legal-entities"))
        self._items = Fresh(lambda: wire.whole(ServiceItem, "/erp/v1/service-items"))

    def forget_reference_data(self) -> None:
        """It changed: the next question goes to the ERP."""
        self._entities.forget()
        self._items.forget()

    async def list_legal_entities(self, *, now: bool = False) -> tuple[LegalEntity, ...]:
        """All legal entities, approved or not."""
        if now:
            return await self._wire.whole(LegalEntity, "/erp/v1/legal-entities", at_most=0)
        return await self._entities.get()

    async def list_service_items(self) -> tuple[ServiceItem, ...]:
        """The service catalog."""
        return await self._items.get()

    async def list_rate_cards(self) -> tuple[RateCard, ...]:
        """All rate cards with all their effective dates."""
        return await self._wire.whole(RateCard, "/erp/v1/rate-cards", at_most=0)

    async def amend_customer(self, customer: Customer, legal_entity_code: str) -> Written:
        """The customer, usable by that legal entity."""
        body = {"customer": customer.model_dump(mode="json"), "legal_entity_code": legal_entity_code}
        return await self._wire.put(Written, body, "/erp/v1/customers/{id}", id=customer.id)

    async def find_customer(self, customer_id: str) -> Written | None:
        """Where the customer stands, or None."""
        return await self._wire.find(Written, "/erp/v1/customers/{id}", id=customer_id)

    async def amend_project(self, plan: ProjectPlan) -> Project:
        """Project with one child per workstream."""
        return await self._wire.put(Project, plan, "/erp/v1/projects/{id}", id=plan.id)

    async def find_project(self, project_id: str) -> Project | None:
        """Where the project stands, or None."""
        return await self._wire.find(Project, "/erp/v1/projects/{id}", id=project_id)

    async def close_project(self, project_id: str) -> None:
        """Undo of `amend_project`. Repeat: nothing more."""
        await self._wire.delete("/erp/v1/projects/{id}", id=project_id)

    async def amend_contract(self, contract: ErpContract) -> Written:
        """The contract with its lines."""
        return await self._wire.put(Written, contract, "/erp/v1/contracts/{id}", id=contract.id)

    async def amend_billing_schedule(self, schedule: BillingSchedule) -> Written:
        """The schedule of agreed amounts."""
        return await self._wire.put(Written, schedule, "/erp/v1/billing-schedules/{id}", id=schedule.id)

    async def create_invoice(self, draft: InvoiceDraft) -> Invoice:
        """Post the invoice. Repeat: the invoice already posted under our id. Raises PeriodClosed, VendorRejected."""
        return await self._wire.put(Invoice, draft, "/erp/v1/invoices/{id}", id=draft.id)

    async def find_invoice(self, invoice_id: str) -> Invoice | None:
        """The invoice posted under our id, or None."""
        return await self._wire.find(Invoice, "/erp/v1/invoices/{id}", id=invoice_id)

    async def list_invoices(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[Invoice]:
        """Invoices changed at or after the instant, oldest change first."""
        return await self._wire.page(Invoice, "/erp/v1/invoices", since=modified_since, cursor=cursor, limit=limit)

    async def list_payments(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[Payment]:
        """Payments changed at or after the instant, oldest change first."""
        return await self._wire.page(Payment, "/erp/v1/payments", since=modified_since, cursor=cursor, limit=limit)
