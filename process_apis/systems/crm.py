"""The CRM through the system tier: deals, customers, contracts, and what is told back; ids are ours."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from process_apis.systems.wire import SystemWire
from shared.canonical.contracts import Contract
from shared.canonical.customers import Customer
from shared.canonical.opportunities import DeliveryStatus, InvoiceStatus, Opportunity
from shared.canonical.references import Page


class Crm(Protocol):
    """What the processes ask of the CRM."""

    async def get_opportunity(self, opportunity_id: str) -> Opportunity:
        """The deal with all its lines. Raises NotFound."""
        ...

    async def list_opportunities(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 200
    ) -> Page[Opportunity]:
        """Deals changed at or after the instant, oldest change first."""
        ...

    async def get_customer(self, customer_id: str) -> Customer:
        """One customer. Raises NotFound."""
        ...

    async def list_customers(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[Customer]:
        """Customers changed at or after the instant, oldest change first."""
        ...

    async def find_contract(self, opportunity_id: str) -> Contract | None:
        """The deal's contract with its milestones, or None while there is none."""
        ...

    async def amend_delivery_status(self, opportunity_id: str, status: DeliveryStatus) -> None:
        """Tell the account team where delivery stands. Repeat: the same values again."""
        ...

    async def amend_invoice_status(self, opportunity_id: str, invoice_id: str, status: InvoiceStatus) -> None:
        """Tell the account team where an invoice stands. Repeat: one row per invoice, latest values."""
        ...


class CrmApi:
    """The CRM over the system tier's `/crm/v1`."""

    def __init__(self, wire: SystemWire) -> None:
        self._wire = wire

    async def list_customers(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[Customer]:
        """Customers changed at or after the instant, oldest change first."""
        return await self._wire.page(Customer, "/crm/v1/customers", since=modified_since, cursor=cursor, limit=limit)

    async def get_opportunity(self, opportunity_id: str) -> Opportunity:
        """The deal with all its lines. Raises NotFound."""
        return await self._wire.get(Opportunity, "/crm/v1/opportunities/{id}", id=opportunity_id)

    async def list_opportunities(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 200
    ) -> Page[Opportunity]:
        """Deals changed at or after the instant, oldest change first."""
        path = "/crm/v1/opportunities"
        return await self._wire.page(Opportunity, path, since=modified_since, cursor=cursor, limit=limit)

    async def get_customer(self, customer_id: str) -> Customer:
        """One customer. Raises NotFound."""
        return await self._wire.get(Customer, "/crm/v1/customers/{id}", id=customer_id)

    async def find_contract(self, opportunity_id: str) -> Contract | None:
        """The deal's contract with its milestones, or None while there is none."""
        return await self._wire.find(Contract, "/crm/v1/opportunities/{id}/contract", id=opportunity_id)

    async def amend_delivery_status(self, opportunity_id: str, status: DeliveryStatus) -> None:
        """Tell the account team where delivery stands. Repeat: the same values again."""
        await self._wire.put_status(status, "/crm/v1/opportunities/{id}/delivery-status", id=opportunity_id)

    async def amend_invoice_status(self, opportunity_id: str, invoice_id: str, status: InvoiceStatus) -> None:
        """Tell the account team where an invoice stands. Repeat: one row per invoice, latest values."""
        template = "/crm/v1/opportunities/{id}/invoices/{invoice_id}"
        await self._wire.put_status(status, template, id=opportunity_id, invoice_id=invoice_id)
