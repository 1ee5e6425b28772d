"""Contracts: approved terms of a deal, its cap, its milestones."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from shared.canonical.fields import (
    ContractReference,
    DueOn,
    MilestoneAmount,
    MilestoneId,
    MilestoneName,
    MilestoneReference,
    OpportunityId,
    PaymentTermsDays,
    PurchaseOrder,
    RateCardCode,
    Revision,
    WorkstreamName,
)
from shared.canonical.money import Money
from shared.canonical.references import CanonicalModel, Day, Entity, Ref


class ContractApproval(StrEnum):
    """Whether the contract may be worked under."""

    IN_REVIEW = "in_review"
    APPROVED = "approved"
    REJECTED = "rejected"


class ContractMilestone(CanonicalModel):
    """A billing milestone of a fixed-fee or milestone line: the amount falls due when it is reached and approved."""

    id: MilestoneId
    reference: MilestoneReference
    line_reference: Ref = Field(description="Sold line it belongs to.", examples=["006BE80E02EF8F1-1"])
    workstream: WorkstreamName
    name: MilestoneName
    amount: MilestoneAmount
    due_on: DueOn


class Contract(Entity):
    """The statement of work of one opportunity."""

    reference: ContractReference
    opportunity_id: OpportunityId
    approval: ContractApproval
    signed_on: Day | None = Field(
        default=None, description="Day the customer signed; null: not yet.", examples=["2017-03-16"]
    )
    payment_terms_days: PaymentTermsDays
    cap: Money | None = Field(
        default=None,
        description="Not-to-exceed sum for time; null: no cap.",
        examples=[{"amount": "20000.00", "currency": "EUR"}],
    )
    purchase_order: PurchaseOrder | None = None
    rate_card_code: RateCardCode | None = None
    revision: Revision
    milestones: tuple[ContractMilestone, ...] = Field(
        default=(), max_length=10_000, description="In the order they fall due; none for work billed by time."
    )
