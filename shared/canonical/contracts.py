"""Contracts: approved terms of a deal, its cap, its milestones."""

from __future__ import annotations

from datetime import date
from enum import StrEnum

from pydantic import Field

from shared.canonical.money import Money
from shared.canonical.references import CanonicalModel, Entity, Identifier, Name, Ref, Text


class ContractApproval(StrEnum):
    """Whether the contract may be worked under."""

    IN_REVIEW = "in_review"
    APPROVED = "approved"
    REJECTED = "rejected"


class ContractMilestone(CanonicalModel):
    """A billing milestone of a fixed-fee or milestone line: the amount falls due when it is reached and approved."""

    id: Identifier
    reference: Ref = Field(description="The milestone's own reference as people know it.")
    line_reference: Ref
    workstream: Name
    name: Name
    amount: Money
    due_on: date


class Contract(Entity):
    """The statement of work of one opportunity."""

    reference: Ref = Field(examples=["SOW-2026-014"])
    opportunity_id: Identifier
    approval: ContractApproval
    signed_on: date | None = None
    payment_terms_days: int = Field(ge=0, le=365)
    cap: Money | None = Field(default=None, description="Not-to-exceed sum for time; None: no cap.")
    purchase_order: Text | None = None
    rate_card_code: Text | None = None
    revision: int = Field(ge=1, le=1_000_000)
    milestones: tuple[ContractMilestone, ...] = ()
