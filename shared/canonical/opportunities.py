"""Opportunities: what was sold, to whom, under which terms."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from shared.canonical.fields import (
    CustomerId,
    DealAmount,
    Gross,
    InvoiceRef,
    OpportunityReference,
    Paid,
    Period,
    ProductCode,
    ProjectId,
    Region,
    Revision,
    StartOn,
    WorkstreamName,
)
from shared.canonical.money import Money
from shared.canonical.references import CanonicalModel, Day, Entity, Name, Ref, Text


class BillingModel(StrEnum):
    """How a sold line is billed."""

    TIME_AND_MATERIALS = "time_and_materials"
    FIXED_FEE = "fixed_fee"
    MILESTONE = "milestone"
    RETAINER = "retainer"
    SUBSCRIPTION = "subscription"


class OpportunityLine(CanonicalModel):
    """One sold service."""

    ref: Ref = Field(description="Id of the line in the CRM.", examples=["00kA0000000QyTYIA0"])
    reference: Ref = Field(
        description="The line's own reference as people know it; the CRM id where it has none.",
        examples=["006BE80E02EF8F1-1"],
    )
    product_code: ProductCode
    workstream: WorkstreamName
    amount: Money = Field(
        description="What the line was sold for, before tax.", examples=[{"amount": "559.00", "currency": "EUR"}]
    )
    billing_model: BillingModel
    start_on: StartOn


class Opportunity(Entity):
    """A deal in the CRM."""

    reference: OpportunityReference
    name: Name = Field(
        description="The deal as the account team calls it.", examples=["Rangreen - Discovery workshop Mar 2017"]
    )
    customer_id: CustomerId
    customer_ref: Ref = Field(description="The customer's id in the CRM.", examples=["001FEC338EA4166"])
    is_won: bool = Field(description="Whether the stage is closed won.", examples=[True])
    amount: DealAmount
    close_on: Day = Field(description="Day it was, or is expected to be, closed.", examples=["2017-03-16"])
    region: Region | None = None
    legal_entity_code: Text | None = Field(
        default=None, description="Company of the firm that is to sign, as the CRM names it.", examples=["HC-DE"]
    )
    owner: Text | None = Field(default=None, description="Who sold it, by name.", examples=["Lajuana Vencill"])
    revision: Revision
    lines: tuple[OpportunityLine, ...] = Field(max_length=1000, description="Sold services, in the CRM's order.")


class DeliveryStage(StrEnum):
    """Where delivery stands, as the account team sees it in the CRM."""

    IN_REVIEW = "in_review"
    EXCEPTION = "exception"
    ACTIVATED = "activated"
    CANCELLED = "cancelled"


class DeliveryStatus(CanonicalModel):
    """What is written back to the CRM about a deal's delivery."""

    stage: DeliveryStage
    project_id: ProjectId | None = None
    project_ref: Ref | None = Field(default=None, description="The project's id in the PSA.", examples=["39412"])
    message: Text | None = Field(
        default=None, description="One sentence for the account team.", examples=["The project is active."]
    )


class InvoiceStage(StrEnum):
    """Where an invoice stands, as the account team sees it in the CRM."""

    POSTED = "posted"
    PARTLY_PAID = "partly_paid"
    PAID = "paid"


class InvoiceStatus(CanonicalModel):
    """What is written back to the CRM about one invoice."""

    invoice_ref: InvoiceRef
    period: Period
    stage: InvoiceStage
    gross: Gross
    paid: Paid
