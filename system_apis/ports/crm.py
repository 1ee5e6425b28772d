"""What a CRM can be asked."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from shared.canonical.contracts import Contract
from shared.canonical.customers import Customer
from shared.canonical.opportunities import DeliveryStatus, InvoiceStatus, Opportunity
from shared.canonical.references import Page


class CrmPort(Protocol):
    """Deals, customers and contracts, and what is told back to the account team. All `ref`s are the CRM's own ids."""

    async def list_opportunities(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[Opportunity]:
        """Opportunities changed at or after the instant, oldest change first; children's changes count."""
        ...

    async def get_opportunity(self, ref: str) -> Opportunity:
        """The deal with all its lines. Raises NotFound."""
        ...

    async def list_customers(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[Customer]:
        """Customers changed at or after the instant, oldest change first."""
        ...

    async def get_customer(self, ref: str) -> Customer:
        """One customer. Raises NotFound."""
        ...

    async def find_contract(self, opportunity_ref: str) -> Contract | None:
        """The deal's contract with its milestones, or None while there is none."""
        ...

    async def list_contracts(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[Contract]:
        """Contracts changed at or after the instant, oldest change first; milestones' changes count."""
        ...

    async def get_contract(self, ref: str) -> Contract:
        """One contract with its milestones. Raises NotFound."""
        ...

    async def amend_delivery_status(self, opportunity_ref: str, status: DeliveryStatus) -> None:
        """Write the delivery fields of the deal. Repeat: writes the same values again. Raises NotFound."""
        ...

    async def amend_invoice_status(self, opportunity_ref: str, invoice_id: str, status: InvoiceStatus) -> None:
        """Write where one invoice stands, keyed by our invoice id. Repeat: one row, latest values.

        Raises NotFound when the deal is not there.
        """
        ...
