"""Approvals as asked for, as they stand, and as decided."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

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

    tenant: Identifier
    id: Identifier
    kind: ApprovalKind
    group_id: Name = Field(description="One person decides at most once per group (a deal, an invoice).")
    subject_id: Identifier = Field(description="The opportunity it belongs to.")
    run_id: Name
    topic: Name = "decision"
    title: Text
    requested_by: Name
    amount: Money | None = None
    snapshot: dict[str, Any] = Field(description="What the decider is shown, kept with the decision.")
    expires_at: datetime | None = None


class Approval(ApprovalModel):
    """An approval as it stands."""

    tenant: Identifier
    id: Identifier
    kind: ApprovalKind
    group_id: Name
    subject_id: Identifier
    run_id: Name
    title: Text
    requested_by: Name
    amount: Money | None = None
    snapshot: dict[str, Any]
    state: ApprovalState
    requested_at: datetime
    expires_at: datetime | None = None
    decided_at: datetime | None = None
    decided_by: Name | None = None
    comment: Text | None = None


class Decider(ApprovalModel):
    """The person who decides, the client they came through, and the kinds they may decide."""

    who: Name
    through: Name
    kinds: frozenset[ApprovalKind]


class DecisionBody(ApprovalModel):
    """What a person decides."""

    decision: Literal["approve", "reject"]
    comment: Text | None = Field(default=None, examples=["Margin is fine."])


class BulkDecision(DecisionBody):
    """One decision of many."""

    approval_id: Identifier


class BulkDecisions(ApprovalModel):
    """Up to 200 decisions; each succeeds or fails for itself."""

    decisions: tuple[BulkDecision, ...] = Field(min_length=1, max_length=200)


class BulkOutcome(ApprovalModel):
    """What became of one decision."""

    approval_id: Identifier
    status: int = Field(description="HTTP status the single decision would have had.")
    state: ApprovalState | None = None
    code: str | None = Field(default=None, description="Error code where it failed.")
    detail: str | None = None


class BulkOutcomes(ApprovalModel):
    """Outcomes in the order asked."""

    outcomes: tuple[BulkOutcome, ...]
    decided: int
    refused: int


class Notice(ApprovalModel):
    """Tells which run waits for which approval."""

    tenant: Identifier
    approval_id: Identifier
    run_id: Name
    topic: Name
