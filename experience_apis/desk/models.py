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
Sentence = Annotated[
    str,
    Field(
        max_length=4000,
        description="For people, in the language asked for.",
        examples=["The project is active."],
    ),
]
Label = Annotated[str, Field(max_length=300, description="For people, in the language asked for.", examples=["Active"])]
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

    model_config = ConfigDict(
        json_schema_extra={"description": "A page of a list; its message is useful when it is empty, too."}
    )

    items: Annotated[
        tuple[Row, ...], Field(max_length=500, description="Rows of this page, in the order the list promises.")
    ]
    next_cursor: Annotated[
        str | None,
        Field(max_length=2000, description="Pass as `cursor` to read on; null on the last page.", examples=["1042"]),
    ] = None
    message: Sentence


class FindingNote(Shaped):
    """One thing to be fixed: what, where, by whom, how."""

    code: Annotated[Code, Field(description="Kind of finding; stable.", examples=["tax_id_missing"])]
    message: Annotated[Sentence, Field(examples=["Rangreen needs a tax id."])]
    field: Annotated[
        str, Field(max_length=200, description="Path in the canonical record.", examples=["customer.tax_id"])
    ]
    reason: Annotated[
        str,
        Field(
            max_length=1000,
            description="The process tier's own words.",
            examples=["Rangreen is billed in the European Union and has no tax id."],
        ),
    ]
    owner: Annotated[Code, Field(description="Who is asked to act, for programs.", examples=["account_team"])]
    owner_label: Annotated[Label, Field(examples=["Account team"])]
    remedy: Annotated[
        str,
        Field(
            max_length=1000,
            description="What to do about it, in one sentence.",
            examples=["Enter the tax id at the account in the CRM."],
        ),
    ]


class ApprovalCard(Shaped):
    """A decision that is or was asked for."""

    id: Annotated[Id, Field(description="Our id of the approval.", examples=["apr_4r7c2m5xk3ta"])]
    kind: Annotated[Code, Field(description="Whose consent is asked for.", examples=["delivery"])]
    kind_label: Annotated[Label, Field(examples=["Delivery"])]
    title: Annotated[
        str,
        Field(
            max_length=1000,
            description="What is to be decided, in one line.",
            examples=["Set up Rangreen - Discovery workshop Mar 2017"],
        ),
    ]
    opportunity_id: Annotated[
        Id, Field(description="Our id of the opportunity it belongs to.", examples=["opp_uowvshkezju2kbbqurcu"])
    ]
    amount: Annotated[
        Money | None,
        Field(
            description="Sum the decision is about; null where it is about none.",
            examples=[{"amount": "5757.30", "currency": "EUR"}],
        ),
    ]
    requested_by: Annotated[
        str, Field(max_length=255, description="Subject of whoever asked; may not decide it.", examples=["olive"])
    ]
    requested_at: Annotated[
        datetime, Field(description="When it was asked for (UTC).", examples=["2017-03-16T09:12:30Z"])
    ]
    expires_at: Annotated[
        datetime | None,
        Field(description="When the question lapses undecided (UTC); null: never.", examples=["2017-04-15T09:12:30Z"]),
    ]
    state: Annotated[Code, Field(description="Where the approval stands, for programs.", examples=["open"])]
    state_label: Annotated[Label, Field(examples=["Open"])]
    decided_by: Annotated[
        str | None,
        Field(max_length=255, description="Subject of whoever decided; null while open.", examples=["fiona"]),
    ]
    decided_at: Annotated[
        datetime | None,
        Field(description="When it was decided (UTC); null while open.", examples=["2017-03-17T08:40:00Z"]),
    ]
    comment: Annotated[
        str | None,
        Field(max_length=1000, description="Why, in the words of whoever decided.", examples=["Margin is fine."]),
    ]
    can_be_mine: Annotated[
        bool,
        Field(
            description="Whether the caller's scopes reach this kind and it is open; the process tier decides.",
            examples=[True],
        ),
    ]
    message: Annotated[Sentence, Field(examples=["Waits for delivery."])]


class ApprovalDetail(ApprovalCard):
    """The same with everything its decider should see."""

    shown: Annotated[
        dict[str, Any],
        Field(
            max_length=200,
            description="The facts it is about, as they stood when it was asked for; members depend on the kind.",
            examples=[{"customer": "Rangreen", "legal_entity": "HC-DE"}],
        ),
    ]


class DecisionOrder(Shaped):
    """What a person decides."""

    decision: Annotated[
        Literal["approve", "reject"],
        Field(description="What is decided; it cannot be taken back.", examples=["approve"]),
    ]
    comment: Comment = None


class DecisionOfMany(DecisionOrder):
    """One decision of many."""

    approval_id: Annotated[
        Identifier, Field(description="Our id of the approval to decide.", examples=["apr_4r7c2m5xk3ta"])
    ]


class DecisionOrders(Shaped):
    """Up to 200 decisions; each is taken or refused for itself."""

    decisions: Annotated[
        tuple[DecisionOfMany, ...],
        Field(min_length=1, max_length=200, description="Decisions, taken one after the other."),
    ]


class DecisionResult(Shaped):
    """What became of one decision."""

    approval_id: Annotated[
        Id, Field(description="Our id of the approval that was to be decided.", examples=["apr_4r7c2m5xk3ta"])
    ]
    status: Annotated[
        int, Field(ge=100, le=599, description="HTTP status the single decision would have had.", examples=[200])
    ]
    state: Annotated[
        Code | None,
        Field(description="Where the approval stands now; null where it could not be decided.", examples=["approved"]),
    ]
    code: Annotated[Code | None, Field(description="Error code where it was refused.", examples=["already_decided"])]
    message: Annotated[Sentence, Field(examples=["Approved."])]


class DecisionResults(Shaped):
    """What became of all of them, in the order asked."""

    items: Annotated[
        tuple[DecisionResult, ...], Field(max_length=200, description="One per decision, in the order asked.")
    ]
    decided: Annotated[int, Field(ge=0, le=200, description="How many were taken.", examples=[1])]
    refused: Annotated[int, Field(ge=0, le=200, description="How many were refused.", examples=[0])]
    message: Annotated[Sentence, Field(examples=["1 decided, none refused."])]
