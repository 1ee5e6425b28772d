"""Invoices and payments as the ERP holds them."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from shared.canonical.catalog import TaxRate
from shared.canonical.money import Amount, Currency, Money
from shared.canonical.references import CanonicalModel, Entity, Identifier, Name, Ref, Text


class LineKind(StrEnum):
    """What an invoice line bills."""

    TIME = "time"
    EXPENSE = "expense"
    MILESTONE = "milestone"


class InvoiceLine(CanonicalModel):
    """One line of an invoice."""

    id: Identifier
    kind: LineKind
    item_code: Name
    workstream_id: Identifier | None = None
    description: Text
    quantity: Amount = Field(description="Hours for time, 1 otherwise.")
    rate: Amount = Field(
        description="Price of one unit; net is the sum of the rounded entries, not quantity times rate."
    )
    net: Money


class InvoiceDraft(CanonicalModel):
    """An invoice as it is to be posted; its id is our reference in the ERP and the guard against doubles."""

    id: Identifier
    contract_id: Identifier
    contract_reference: Ref
    project_id: Identifier
    customer_id: Identifier
    legal_entity_code: Name
    period: str = Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2026-10"])
    invoice_on: date
    payment_terms_days: int = Field(ge=0, le=365)
    purchase_order: Text | None = None
    currency: Currency
    lines: tuple[InvoiceLine, ...] = Field(min_length=1, max_length=5_000)
    tax_rate: TaxRate
    net: Money
    tax: Money
    gross: Money

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if {line.net.currency for line in self.lines} | {m.currency for m in (self.net, self.tax, self.gross)} != {
            self.currency
        }:
            message = "all amounts of an invoice are in its currency"
            raise ValueError(message)
        if sum(line.net.amount for line in self.lines) != self.net.amount:
            message = "net is not the sum of the lines"
            raise ValueError(message)
        if self.net.amount + self.tax.amount != self.gross.amount:
            message = "gross is not net plus tax"
            raise ValueError(message)
        return self


class InvoiceState(StrEnum):
    """Where an invoice stands in the ERP."""

    OPEN = "open"
    PAID = "paid"
    PENDING_APPROVAL = "pending_approval"
    REJECTED = "rejected"
    VOIDED = "voided"


class Invoice(Entity):
    """A posted invoice; `id` is ours where we posted it."""

    number: Text | None = None
    period: str | None = None
    customer_id: Identifier | None = None
    legal_entity_code: Name
    invoice_on: date
    state: InvoiceState
    net: Money
    tax: Money
    gross: Money
    paid: Money


class PaymentApplication(CanonicalModel):
    """Part of a payment that settles one invoice."""

    invoice_id: Identifier
    invoice_ref: Ref
    amount: Money


class Payment(Entity):
    """Money received from a customer, as the ERP booked it."""

    customer_id: Identifier | None = None
    received_on: date
    amount: Money
    applications: tuple[PaymentApplication, ...]
