"""Shapes of the PMO board: deals, their way, what is parked."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from experience_apis.desk.models import (
    ApprovalCard,
    Code,
    Comment,
    FindingNote,
    Id,
    Label,
    Sentence,
    Shaped,
    ShapedPage,
)
from shared.canonical.money import Amount, Money


class DealCard(Shaped):
    """A deal on its way from won to active."""

    opportunity_id: Id
    reference: Annotated[str | None, Field(max_length=1000, description="As people know it.")]
    name: Annotated[str | None, Field(max_length=1000)]
    customer: Annotated[str | None, Field(max_length=1000)]
    amount: Money | None
    region: Annotated[str | None, Field(max_length=1000)]
    legal_entity: Annotated[str | None, Field(max_length=1000)]
    state: Annotated[Code, Field(examples=["awaiting_approval"])]
    state_label: Label
    won_at: datetime | None
    changed_at: datetime | None
    activated_at: datetime | None
    project_id: Id | None
    findings: Annotated[int, Field(ge=0, le=10_000, description="Things to be fixed before it can go on.")]
    waits_for: Annotated[tuple[Code, ...], Field(max_length=10, description="Kinds of approval asked for.")]
    message: Sentence


class BoardColumn(Shaped):
    """A state as a column, and where its deals are."""

    state: Code
    label: Label
    deals: Annotated[str, Field(max_length=300, description="Path and query.")]


class Board(ShapedPage[DealCard]):
    """The board: its columns, and a page of deals."""

    columns: Annotated[tuple[BoardColumn, ...], Field(max_length=20)]


class JourneyStep(Shaped):
    """One thing that happened."""

    at: datetime
    step: Annotated[str, Field(max_length=255)]
    message: Sentence
    system: Annotated[str | None, Field(max_length=255, description="Kind of system touched: crm, psa, erp.")]
    reference: Annotated[str | None, Field(max_length=255, description="The record's id there.")]
    by: Annotated[str, Field(max_length=255)]
    amount: Money | None


class JourneyView(Shaped):
    """One deal's whole way."""

    opportunity_id: Id
    state: Code
    state_label: Label
    steps: Annotated[tuple[JourneyStep, ...], Field(max_length=10_000)]
    message: Sentence


class WorkPart(Shaped):
    """Booked work of the deal in one state."""

    state: Code
    state_label: Label
    entries: Annotated[int, Field(ge=0)]
    hours: Amount
    amount: Money | None


class DealView(DealCard):
    """A deal with what it waits for."""

    why: Annotated[str, Field(max_length=1000, description="The process tier's own words.")]
    notes: Annotated[tuple[FindingNote, ...], Field(max_length=2000)]
    work: Annotated[tuple[WorkPart, ...], Field(max_length=50, description="Booked work by state.")]
    approvals: Annotated[tuple[ApprovalCard, ...], Field(max_length=500)]
    journey: Annotated[str, Field(max_length=300, description="Where to read the whole way (path).")]


class ExceptionCard(Shaped):
    """A parked deal."""

    id: Id
    title: Annotated[str, Field(max_length=1000)]
    process: Annotated[str, Field(max_length=255)]
    opportunity_id: Id
    state: Annotated[Code, Field(examples=["open"])]
    state_label: Label
    owner: Code
    owner_label: Label
    assigned_to: Annotated[str | None, Field(max_length=255)]
    region: Annotated[str | None, Field(max_length=1000)]
    opened_at: datetime
    due_at: datetime
    is_overdue: bool
    times_checked: Annotated[int, Field(ge=0, le=1_000_000)]
    codes: Annotated[tuple[Code, ...], Field(max_length=2000)]
    message: Sentence


class ExceptionView(ExceptionCard):
    """A parked deal with everything that stands in its way."""

    notes: Annotated[tuple[FindingNote, ...], Field(max_length=2000)]


class RetryOrder(Shaped):
    """Why it is worth another try."""

    note: Comment = None


class AssignmentOrder(Shaped):
    """Who takes care of it."""

    assignee: Annotated[
        str,
        StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$"),
        Field(description="Subject of the person.", examples=["fiona"]),
    ]
