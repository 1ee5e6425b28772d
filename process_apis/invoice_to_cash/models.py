"""Words of invoice-to-cash."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import Field

from shared.canonical.fields import (
    ContractReference,
    CustomerName,
    Gross,
    InvoiceId,
    OpportunityReference,
    Paid,
    Period,
    Tenant,
)
from shared.canonical.invoices import Payment
from shared.canonical.money import Amount, Currency
from shared.canonical.references import CanonicalModel, Identifier, Text


class ApplyPayment(CanonicalModel):
    """Settle invoices with one payment as the ERP booked it."""

    tenant: Tenant
    payment: Payment


class CollectPayments(CanonicalModel):
    """Ask the ERP for payments since the watermark."""

    tenant: Tenant
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

    invoice_id: InvoiceId
    contract_reference: ContractReference
    opportunity_reference: OpportunityReference
    customer_name: CustomerName
    period: Period
    state: PaymentState
    gross: Gross
    paid: Paid
    due_on: date = Field(description="Last day of payment under the contract terms.", examples=["2017-06-14"])


class UnappliedCash(CanonicalModel):
    """Money received that settles no invoice of ours."""

    currency: Currency
    amount: Amount = Field(description="Sum of what is left of payments in this currency.", examples=["120.00"])


class CollectionRun(CanonicalModel):
    """A collection of payments as its starter sees it."""

    id: Identifier = Field(
        description="Id of the run; ask for it to see how it ended.", examples=["collect-20170627081500-9f2c11ab"]
    )
    state: Text = Field(description="Where the run stands: queued, running, done, failed.", examples=["done"])
    payments: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000_000,
        description="Payments read, seen before or not; null until it ended.",
        examples=[4],
    )
    problem: Text | None = Field(
        default=None,
        description="Why it ended without doing its work.",
        examples=["A connected system is unavailable."],
    )
