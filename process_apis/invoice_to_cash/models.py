"""Words of invoice-to-cash."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import Field

from shared.canonical.invoices import Payment
from shared.canonical.money import Amount, Currency, Money
from shared.canonical.references import CanonicalModel, Identifier, Name, Ref, Text


class ApplyPayment(CanonicalModel):
    """Settle invoices with one payment as the ERP booked it."""

    tenant: Identifier
    payment: Payment


class CollectPayments(CanonicalModel):
    """Ask the ERP for payments since the watermark."""

    tenant: Identifier
    run_id: Identifier


class Settled(CanonicalModel):
    """Invoices whose paid sum changed."""

    invoice_ids: tuple[Identifier, ...]


class CollectOutcome(CanonicalModel):
    """What a collection found."""

    payments: int = Field(ge=0, description="Payments read, seen before or not.")


class PaymentState(StrEnum):
    """How much of an invoice is paid."""

    OPEN = "open"
    PARTLY_PAID = "partly_paid"
    PAID = "paid"


class Receivable(CanonicalModel):
    """A posted invoice and what is still owed on it."""

    invoice_id: Identifier
    contract_reference: Ref
    opportunity_reference: Ref
    customer_name: Name
    period: str
    state: PaymentState
    gross: Money
    paid: Money
    due_on: date


class UnappliedCash(CanonicalModel):
    """Money received that settles no invoice of ours."""

    currency: Currency
    amount: Amount


class CollectionRun(CanonicalModel):
    """A collection of payments as its starter sees it."""

    id: Identifier
    state: Text
    payments: int | None = None
    problem: Text | None = None
