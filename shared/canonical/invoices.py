"""Invoices and payments as the ERP holds them."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from shared.canonical.catalog import TaxRate
from shared.canonical.fields import (
    ContractId,
    ContractReference,
    CustomerId,
    Gross,
    InvoiceId,
    InvoiceOn,
    InvoiceRef,
    ItemCode,
    LegalEntityCode,
    Net,
    Paid,
    PaymentTermsDays,
    Period,
    ProjectId,
    PurchaseOrder,
    Tax,
    WorkstreamId,
)
from shared.canonical.money import Amount, Currency, Money
from shared.canonical.references import CanonicalModel, Day, Entity, Identifier, Text


class LineKind(StrEnum):
    """What an invoice line bills."""

    TIME = "time"
    EXPENSE = "expense"
    MILESTONE = "milestone"


class InvoiceLine(CanonicalModel):
    """One line of an invoice."""

    id: Identifier = Field(description="Our id of the line.", examples=["inv_fzlqoebb7e3kgqd7oyvq-1"])
    kind: LineKind = Field(description="What the line bills.", examples=["milestone"])
    item_code: ItemCode
    workstream_id: WorkstreamId | None = None
    description: Text = Field(description="The line as printed.", examples=["Acceptance (006BE80E02EF8F1-1-M1)"])
    quantity: Amount = Field(description="Hours for time, 1 otherwise.", examples=["1"])
    rate: Amount = Field(
        description="Price of one unit in the invoice's currency; net is the sum of the rounded entries, not quantity "
        "times rate.",
        examples=["503.10"],
    )
    net: Money = Field(description="What the line adds to the net.", examples=[{"amount": "503.10", "currency": "EUR"}])


class InvoiceDraft(CanonicalModel):
    """An invoice as it is to be posted; its id is our reference in the ERP and the guard against doubles."""

    id: InvoiceId
    contract_id: ContractId
    contract_reference: ContractReference
    project_id: ProjectId
    customer_id: CustomerId
    legal_entity_code: LegalEntityCode
    period: Period
    invoice_on: InvoiceOn
    payment_terms_days: PaymentTermsDays
    purchase_order: PurchaseOrder | None = None
    currency: Currency
    lines: tuple[InvoiceLine, ...] = Field(
        min_length=1, max_length=5_000, description="All in the invoice's currency; their nets add up to its net."
    )
    tax_rate: TaxRate
    net: Net
    tax: Tax
    gross: Gross

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

    number: Text | None = Field(
        default=None, description="Number the ERP printed on it; null before it has one.", examples=["INV-2017-0412"]
    )
    period: Text | None = Field(
        default=None,
        description="Month it bills, as the ERP keeps it; null on invoices that are not ours.",
        examples=["2017-04"],
    )
    customer_id: CustomerId | None = None
    legal_entity_code: LegalEntityCode
    invoice_on: InvoiceOn
    state: InvoiceState
    net: Net
    tax: Tax
    gross: Gross
    paid: Paid


class PaymentApplication(CanonicalModel):
    """Part of a payment that settles one invoice."""

    invoice_id: InvoiceId
    invoice_ref: InvoiceRef
    amount: Money = Field(
        description="What of the payment goes to this invoice.", examples=[{"amount": "598.69", "currency": "EUR"}]
    )


class Payment(Entity):
    """Money received from a customer, as the ERP booked it."""

    customer_id: CustomerId | None = None
    received_on: Day = Field(description="Day the money arrived.", examples=["2017-06-27"])
    amount: Money = Field(
        description="What was received, applied or not.", examples=[{"amount": "598.69", "currency": "EUR"}]
    )
    applications: tuple[PaymentApplication, ...] = Field(
        max_length=10_000, description="Invoices it settles; what is left over is unapplied cash."
    )
