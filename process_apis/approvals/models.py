"""Approvals as asked for, as they stand, and as decided."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.canonical.fields import Tenant
from shared.canonical.money import Money
from shared.canonical.references import Identifier, Name, Text


class ApprovalModel(BaseModel):
    """Root of this room's models."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ApprovalKind(StrEnum):
    """Whose consent it is."""

    DELIVERY = "delivery"
    FINANCE = "finance"
    INVOICE = "invoice"


class ApprovalState(StrEnum):
    """Where an approval stands."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class ApprovalRequest(ApprovalModel):
    """What a run asks; the id is the run's own, so asking twice is asking once."""

    tenant: Tenant
    id: Identifier = Field(description="Our id of the approval.", examples=["apr_4r7c2m5xk3ta"])
    kind: ApprovalKind = Field(description="Whose consent is asked for.")
    group_id: Name = Field(description="One person decides at most once per group (a deal, an invoice).")
    subject_id: Identifier = Field(description="The opportunity it belongs to.")
    run_id: Name = Field(
        description="Run that waits for the decision.", examples=["quote-to-project:harbour:opp_uowvshkezju2kbbqurcu:1"]
    )
    topic: Name = Field(default="decision", description="Signal that wakes the run.", examples=["decision"])
    title: Text = Field(
        description="What is to be decided, in one line.", examples=["Set up Rangreen - Discovery workshop Mar 2017"]
    )
    requested_by: Name = Field(description="Subject of whoever asked; may not decide it.", examples=["olive"])
    amount: Money | None = Field(
        default=None, description="Sum the decision is about.", examples=[{"amount": "5757.30", "currency": "EUR"}]
    )
    snapshot: dict[str, Any] = Field(
        max_length=200,
        description="What the decider is shown, kept with the decision.",
        examples=[{"customer": "Rangreen", "legal_entity": "HC-DE"}],
    )
    expires_at: datetime | None = Field(
        default=None,
        description="When the question lapses undecided (UTC); null: never.",
        examples=["2017-04-15T09:12:30Z"],
    )


class Approval(ApprovalModel):
    """An approval as it stands."""

    tenant: Tenant
    id: Identifier = Field(description="Our id of the approval.", examples=["apr_4r7c2m5xk3ta"])
    kind: ApprovalKind = Field(description="Whose consent is asked for.")
    group_id: Name = Field(
        description="A deal or an invoice; one person decides at most once per group.",
        examples=["opp_uowvshkezju2kbbqurcu:1"],
    )
    subject_id: Identifier = Field(
        description="Our id of the opportunity it belongs to.", examples=["opp_uowvshkezju2kbbqurcu"]
    )
    run_id: Name = Field(
        description="Run that waits for the decision.", examples=["quote-to-project:harbour:opp_uowvshkezju2kbbqurcu:1"]
    )
    title: Text = Field(
        description="What is to be decided, in one line.", examples=["Set up Rangreen - Discovery workshop Mar 2017"]
    )
    requested_by: Name = Field(description="Subject of whoever asked; may not decide it.", examples=["olive"])
    amount: Money | None = Field(
        default=None,
        description="Sum the decision is about; null where it is about none.",
        examples=[{"amount": "5757.30", "currency": "EUR"}],
    )
    snapshot: dict[str, Any] = Field(
        max_length=200,
        description="What the decider is shown, kept with the decision; members depend on the kind.",
        examples=[{"customer": "Rangreen", "legal_entity": "HC-DE"}],
    )
    state: ApprovalState
    requested_at: datetime = Field(description="When it was asked for (UTC).", examples=["2017-03-16T09:12:30Z"])
    expires_at: datetime | None = Field(
        default=None,
        description="When the question lapses undecided (UTC); null: never.",
        examples=["2017-04-15T09:12:30Z"],
    )
    decided_at: datetime | None = Field(
        default=None, description="When it was decided (UTC); null while open.", examples=["2017-03-17T08:40:00Z"]
    )
    decided_by: Name | None = Field(default=None, description="Subject of whoever decided.", examples=["fiona"])
    comment: Text | None = Field(
        default=None, description="Why, in the words of whoever decided.", examples=["Margin is fine."]
    )


class Decider(ApprovalModel):
    """The person who decides, the client they came through, and the kinds they may decide."""

    who: Name
    through: Name
    kinds: frozenset[ApprovalKind]


class DecisionBody(ApprovalModel):
    """What a person decides."""

    decision: Literal["approve", "reject"] = Field(
        description="What is decided; it cannot be taken back.", examples=["approve"]
    )
    comment: Text | None = Field(
        default=None,
        description="Why; kept with the decision and shown to whoever asked.",
        examples=["Margin is fine."],
    )


class BulkDecision(DecisionBody):
    """One decision of many."""

    approval_id: Identifier = Field(description="Our id of the approval to decide.", examples=["apr_4r7c2m5xk3ta"])


class BulkDecisions(ApprovalModel):
    """Up to 200 decisions; each succeeds or fails for itself."""

    decisions: tuple[BulkDecision, ...] = Field(
        min_length=1, max_length=200, description="Decisions, taken one after the other."
    )


class BulkOutcome(ApprovalModel):
    """What became of one decision."""

    approval_id: Identifier = Field(
        description="Our id of the approval that was to be decided.", examples=["apr_4r7c2m5xk3ta"]
    )
    status: int = Field(ge=100, le=599, description="HTTP status the single decision would have had.", examples=[200])
    state: ApprovalState | None = None
    code: Text | None = Field(default=None, description="Error code where it failed.", examples=["already_decided"])
    detail: Text | None = Field(
        default=None, description="Why it failed, in one sentence.", examples=["This was decided already."]
    )


class BulkOutcomes(ApprovalModel):
    """Outcomes in the order asked."""

    outcomes: tuple[BulkOutcome, ...] = Field(max_length=200, description="One per decision, in the order asked.")
    decided: int = Field(ge=0, le=200, description="How many were taken.", examples=[1])
    refused: int = Field(ge=0, le=200, description="How many were refused.", examples=[0])


class Notice(ApprovalModel):
    """Tells which run waits for which approval."""

    tenant: Tenant
    approval_id: Identifier
    run_id: Name
    topic: Name
