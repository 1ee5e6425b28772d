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

    opportunity_id: Annotated[
        Id,
        Field(
            description="Our id of the opportunity: how one deal is asked for.", examples=["opp_uowvshkezju2kbbqurcu"]
        ),
    ]
    reference: Annotated[
        str | None,
        Field(max_length=1000, description="Reference people know the deal by.", examples=["006BE80E02EF8F1"]),
    ]
    name: Annotated[
        str | None,
        Field(
            max_length=1000,
            description="The deal as the account team calls it.",
            examples=["Rangreen - Discovery workshop Mar 2017"],
        ),
    ]
    customer: Annotated[
        str | None, Field(max_length=1000, description="The customer as the CRM calls it.", examples=["Rangreen"])
    ]
    amount: Annotated[
        Money | None,
        Field(
            description="What the deal was sold for, before tax.", examples=[{"amount": "5757.30", "currency": "EUR"}]
        ),
    ]
    region: Annotated[str | None, Field(max_length=1000, description="Sales region of the deal.", examples=["Central"])]
    legal_entity: Annotated[
        str | None,
        Field(
            max_length=1000, description="Company of the firm that signs and invoices, by its code.", examples=["HC-DE"]
        ),
    ]
    state: Annotated[Code, Field(description="Where the deal stands, for programs.", examples=["awaiting_approval"])]
    state_label: Annotated[Label, Field(examples=["Waits for approval"])]
    won_at: Annotated[
        datetime | None, Field(description="When the deal was closed won (UTC).", examples=["2017-03-16T09:12:30Z"])
    ]
    changed_at: Annotated[
        datetime | None, Field(description="When the deal last moved (UTC).", examples=["2017-03-17T08:40:02Z"])
    ]
    activated_at: Annotated[
        datetime | None,
        Field(
            description="When its project stood in PSA and ERP (UTC); null until then.",
            examples=["2017-03-17T08:40:02Z"],
        ),
    ]
    contract_id: Annotated[
        Id | None,
        Field(
            description="Our id of the contract: how its billing is asked for.", examples=["con_lbrnl2pkbpchp6ss2ffg"]
        ),
    ]
    project_id: Annotated[
        Id | None,
        Field(description="Our id of the project; null until there is one.", examples=["prj_h4yvivbriyviclnaeuyy"]),
    ]
    findings: Annotated[
        int, Field(ge=0, le=10_000, description="Things to be fixed before it can go on.", examples=[0])
    ]
    waits_for: Annotated[
        tuple[Code, ...], Field(max_length=10, description="Kinds of approval asked for.", examples=[["delivery"]])
    ]
    message: Annotated[Sentence, Field(examples=["Waits for delivery."])]


class BoardColumn(Shaped):
    """A state as a column, and where its deals are."""

    state: Annotated[Code, Field(description="State the column stands for.", examples=["exception"])]
    label: Annotated[Label, Field(examples=["Parked"])]
    deals: Annotated[
        str,
        Field(
            max_length=300,
            description="Where to read its deals (path and query).",
            examples=["/pmo/v1/board?state=exception"],
        ),
    ]


class Board(ShapedPage[DealCard]):
    """The board: its columns, and a page of deals."""

    columns: Annotated[
        tuple[BoardColumn, ...],
        Field(max_length=20, description="All states a deal can be in, in the order of its way."),
    ]


class JourneyStep(Shaped):
    """One thing that happened."""

    at: Annotated[datetime, Field(description="When the step ended (UTC).", examples=["2017-03-16T09:12:30Z"])]
    step: Annotated[
        str, Field(max_length=255, description="Name of the step, as in the workflow.", examples=["open_project"])
    ]
    message: Annotated[Sentence, Field(examples=["The project stands in the PSA as 39412."])]
    system: Annotated[
        str | None, Field(max_length=255, description="Kind of system touched: crm, psa, erp.", examples=["psa"])
    ]
    reference: Annotated[str | None, Field(max_length=255, description="The record's id there.", examples=["39412"])]
    by: Annotated[
        str,
        Field(max_length=255, description="Who did it: a person, or the platform itself.", examples=["throughline"]),
    ]
    amount: Annotated[
        Money | None,
        Field(description="Sum the step moved or decided about.", examples=[{"amount": "5757.30", "currency": "EUR"}]),
    ]


class JourneyView(Shaped):
    """One deal's whole way."""

    opportunity_id: Annotated[
        Id,
        Field(
            description="Our id of the opportunity: how one deal is asked for.", examples=["opp_uowvshkezju2kbbqurcu"]
        ),
    ]
    state: Annotated[Code, Field(description="Where the deal stands, for programs.", examples=["activated"])]
    state_label: Annotated[Label, Field(examples=["Active"])]
    steps: Annotated[
        tuple[JourneyStep, ...], Field(max_length=10_000, description="Every step in every system, oldest first.")
    ]
    message: Annotated[Sentence, Field(examples=["The project is active."])]


class WorkPart(Shaped):
    """Booked work of the deal in one state."""

    state: Annotated[Code, Field(description="State the entries are in, for programs.", examples=["billed"])]
    state_label: Annotated[Label, Field(examples=["Billed"])]
    entries: Annotated[
        int, Field(ge=0, le=1_000_000_000, description="Entries of the ledger in that state.", examples=[12])
    ]
    hours: Annotated[Amount, Field(description="Their hours together.", examples=["91.20"])]
    amount: Annotated[
        Money | None,
        Field(
            description="What they add to invoices before tax; null while unrated.",
            examples=[{"amount": "463.14", "currency": "EUR"}],
        ),
    ]


class DealView(DealCard):
    """A deal with what it waits for."""

    why: Annotated[
        str,
        Field(
            max_length=1000,
            description="Why it stands where it stands, in the process tier's own words.",
            examples=["Nothing: the project is active."],
        ),
    ]
    notes: Annotated[tuple[FindingNote, ...], Field(max_length=2000, description="Everything that stands in its way.")]
    work: Annotated[tuple[WorkPart, ...], Field(max_length=50, description="Booked work by state.")]
    approvals: Annotated[
        tuple[ApprovalCard, ...], Field(max_length=500, description="Decisions asked for, oldest first.")
    ]
    journey: Annotated[
        str,
        Field(
            max_length=300,
            description="Where to read the whole way (path).",
            examples=["/pmo/v1/journeys/opp_uowvshkezju2kbbqurcu"],
        ),
    ]


class ExceptionCard(Shaped):
    """A parked deal."""

    id: Annotated[Id, Field(description="Our id of the exception.", examples=["exc_4r7c2m5xk3ta"])]
    title: Annotated[
        str,
        Field(
            max_length=1000,
            description="What is parked, in one line.",
            examples=["Rangreen - Discovery workshop Mar 2017"],
        ),
    ]
    process: Annotated[
        str, Field(max_length=255, description="Process that is held up.", examples=["quote-to-project"])
    ]
    opportunity_id: Annotated[
        Id, Field(description="Our id of the opportunity it belongs to.", examples=["opp_uowvshkezju2kbbqurcu"])
    ]
    state: Annotated[Code, Field(description="Where the exception stands, for programs.", examples=["open"])]
    state_label: Annotated[Label, Field(examples=["Open"])]
    owner: Annotated[Code, Field(description="Who is asked to act first, for programs.", examples=["account_team"])]
    owner_label: Annotated[Label, Field(examples=["Account team"])]
    assigned_to: Annotated[
        str | None,
        Field(
            max_length=255,
            description="Subject of the person who takes care of it; null: nobody yet.",
            examples=["fiona"],
        ),
    ]
    region: Annotated[str | None, Field(max_length=1000, description="Sales region of the deal.", examples=["Central"])]
    opened_at: Annotated[
        datetime, Field(description="When the deal was parked (UTC).", examples=["2017-03-16T09:12:30Z"])
    ]
    due_at: Annotated[
        datetime, Field(description="When it should be resolved (UTC).", examples=["2017-03-18T09:12:30Z"])
    ]
    is_overdue: Annotated[bool, Field(description="Whether it is open past its day.", examples=[False])]
    times_checked: Annotated[
        int,
        Field(ge=0, le=1_000_000, description="How often the deal was validated since it was parked.", examples=[2]),
    ]
    codes: Annotated[
        tuple[Code, ...],
        Field(max_length=2000, description="Kinds of finding that stand in its way.", examples=[["tax_id_missing"]]),
    ]
    message: Annotated[Sentence, Field(examples=["Waits for the account team."])]


class ExceptionView(ExceptionCard):
    """A parked deal with everything that stands in its way."""

    notes: Annotated[
        tuple[FindingNote, ...], Field(max_length=2000, description="Every finding with its owner and remedy.")
    ]


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
