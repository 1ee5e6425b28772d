"""Shapes that more than one audience sees: pages, findings, approvals and decisions; no decision is made here."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.canonical.money import Money
from shared.canonical.references import Identifier

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,199}$"
Id = Annotated[
    str,
    StringConstraints(pattern=ID_PATTERN, max_length=200),
    Field(description="Opaque identifier.", examples=["opp_4r7c2m5xk3ta"]),
]
Sentence = Annotated[str, Field(max_length=4000, description="For people, in the language asked for.")]
Label = Annotated[str, Field(max_length=300, description="For people, in the language asked for.")]
Code = Annotated[str, Field(max_length=80, description="For programs; stable.", examples=["exception"])]
Comment = Annotated[
    str | None,
    StringConstraints(max_length=1000, pattern=r"^[^\x00]*$"),
    Field(description="Why; kept with the decision.", examples=["Margin is fine."]),
]
Row = TypeVar("Row")


class Shaped(BaseModel):
    """Root of everything shown: immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ShapedPage(Shaped, Generic[Row]):
    """A page of a list, with a sentence for people that is useful when it is empty, too."""

    items: Annotated[tuple[Row, ...], Field(max_length=500)]
    next_cursor: Annotated[
        str | None, Field(max_length=2000, description="Pass as `cursor` to read on; null on the last page.")
    ] = None
    message: Sentence


class FindingNote(Shaped):
    """One thing to be fixed: what, where, by whom, how."""

    code: Annotated[Code, Field(examples=["tax_id_missing"])]
    message: Sentence
    field: Annotated[str, Field(max_length=200, examples=["customer.tax_id"])]
    reason: Annotated[str, Field(max_length=1000, description="The process tier's own words.")]
    owner: Code
    owner_label: Label
    remedy: Annotated[str, Field(max_length=1000, description="What to do about it.")]


class ApprovalCard(Shaped):
    """A decision that is or was asked for."""

    id: Id
    kind: Annotated[Code, Field(examples=["delivery"])]
    kind_label: Label
    title: Annotated[str, Field(max_length=1000)]
    opportunity_id: Id
    amount: Money | None
    requested_by: Annotated[str, Field(max_length=255)]
    requested_at: datetime
    expires_at: datetime | None
    state: Annotated[Code, Field(examples=["open"])]
    state_label: Label
    decided_by: Annotated[str | None, Field(max_length=255)]
    decided_at: datetime | None
    comment: Annotated[str | None, Field(max_length=1000)]
    can_be_mine: Annotated[
        bool, Field(description="Whether the caller's scopes reach this kind and it is open; the process tier decides.")
    ]
    message: Sentence


class ApprovalDetail(ApprovalCard):
    """The same with everything its decider should see."""

    shown: Annotated[dict[str, Any], Field(description="The facts the decision is about, as they stood.")]


class DecisionOrder(Shaped):
    """What a person decides."""

    decision: Annotated[Literal["approve", "reject"], Field(description="The decision.", examples=["approve"])]
    comment: Comment = None


class DecisionOfMany(DecisionOrder):
    """One decision of many."""

    approval_id: Identifier


class DecisionOrders(Shaped):
    """Up to 200 decisions; each is taken or refused for itself."""

    decisions: Annotated[tuple[DecisionOfMany, ...], Field(min_length=1, max_length=200)]


class DecisionResult(Shaped):
    """What became of one decision."""

    approval_id: Id
    status: Annotated[int, Field(ge=100, le=599, description="Status the single decision would have had.")]
    state: Code | None
    code: Annotated[Code | None, Field(description="Error code where it was refused.")]
    message: Sentence


class DecisionResults(Shaped):
    """What became of all of them, in the order asked."""

    items: Annotated[tuple[DecisionResult, ...], Field(max_length=200)]
    decided: Annotated[int, Field(ge=0, le=200)]
    refused: Annotated[int, Field(ge=0, le=200)]
    message: Sentence
