"""Opportunities: what was sold, to whom, under which terms."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import Field

from shared.canonical.money import Money
from shared.canonical.references import CanonicalModel, Entity, Identifier, Name, Ref, Text


class BillingModel(StrEnum):
    """How a sold line is billed."""

    TIME_AND_MATERIALS = "time_and_materials"
    FIXED_FEE = "fixed_fee"
    MILESTONE = "milestone"
    RETAINER = "retainer"
    SUBSCRIPTION = "subscription"


class OpportunityLine(CanonicalModel):
    """One sold service."""

    ref: Ref = Field(description="Id of the line in the CRM.")
    reference: Ref = Field(description="The line's own reference as people know it; the CRM id where it has none.")
    product_code: Name = Field(description="Product code as sold; may need a mapping to the ERP's catalog.")
    workstream: Name = Field(examples=["WS1"])
    amount: Money
    billing_model: BillingModel
    start_on: date


class Opportunity(Entity):
    """A deal in the CRM."""

    reference: Ref = Field(description="Reference people know the deal by; the CRM id where it has none.")
    name: Name
    customer_id: Identifier
    customer_ref: Ref
    is_won: bool
    amount: Money
    close_on: date
    region: Text | None = None
    legal_entity_code: Text | None = None
    owner: Text | None = None
    revision: int = Field(ge=1, le=1_000_000)
    lines: tuple[OpportunityLine, ...]


class DeliveryStage(StrEnum):
    """Where delivery stands, as the account team sees it in the CRM."""

    IN_REVIEW = "in_review"
    EXCEPTION = "exception"
    ACTIVATED = "activated"
    CANCELLED = "cancelled"


class DeliveryStatus(CanonicalModel):
    """What is written back to the CRM about a deal's delivery."""

    stage: DeliveryStage
    project_id: Identifier | None = None
    project_ref: Ref | None = Field(default=None, description="The project's id in the PSA.")
    message: Text | None = Field(default=None, description="One sentence for the account team.")


class InvoiceStage(StrEnum):
    """Where an invoice stands, as the account team sees it in the CRM."""

    POSTED = "posted"
    PARTLY_PAID = "partly_paid"
    PAID = "paid"


class InvoiceStatus(CanonicalModel):
    """What is written back to the CRM about one invoice."""

    invoice_ref: Ref = Field(description="The invoice's id in the ERP.")
    period: str = Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2026-10"])
    stage: InvoiceStage
    gross: Money
    paid: Money
