"""Shapes of `/webhooks/v1`: endpoints, secrets, deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from experience_apis.desk.models import Code, Id, Sentence, Shaped
from experience_apis.webhooks.records import DeliveryState, EndpointState
from shared.serving.parameters import Instant

TypeName = Literal["project.activated", "invoice.posted", "invoice.paid"]
Url = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[^\s#]+$", min_length=10, max_length=2000),
    Field(
        description="Where to post to: https, at a public address; no redirect is followed.",
        examples=["https://partner.example/hooks/throughline"],
    ),
]
Note = Annotated[
    str | None,
    StringConstraints(max_length=500, pattern=r"^[^\x00]*$"),
    Field(description="For people.", examples=["Billing inbox"]),
]
Types = Annotated[
    tuple[TypeName, ...],
    Field(
        min_length=1,
        max_length=10,
        description="What is told there; each needs one of its scopes.",
        examples=[["project.activated"]],
    ),
]
EndpointId = Annotated[Id, Field(description="Id of the endpoint.", examples=["wep_5f2c91aa0c1d4e6f8a7b3c2d"])]
DeliveryId = Annotated[Id, Field(description="Id of the delivery.", examples=["wdl_5f2c91aa0c1d4e6f8a7b3c2d9e1f0a2b"])]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


class WebhookTypeCard(Shaped):
    """A kind of fact that can be told."""

    name: Annotated[str, Field(max_length=80, description="Its `type` in the message.", examples=["project.activated"])]
    description: Sentence
    one_of_scopes: Annotated[
        tuple[Annotated[str, Field(max_length=80)], ...],
        Field(max_length=20, description="One of these is needed to hear of it.", examples=[["partner.read"]]),
    ]
    members: Annotated[
        tuple[Annotated[str, Field(max_length=80)], ...],
        Field(max_length=50, description="What its `data` says.", examples=[["project_id", "opportunity_id"]]),
    ]


class WebhookTypes(Shaped):
    """All that can be told to the caller."""

    types: Annotated[
        tuple[WebhookTypeCard, ...], Field(max_length=100, description="Kinds of facts the caller may hear of.")
    ]
    message: Annotated[Sentence, Field(examples=["3 kinds of facts."])]


class EndpointOrder(Shaped):
    """An endpoint to be told of facts."""

    url: Url
    event_types: Types
    description: Note = None


class EndpointChange(EndpointOrder):
    """The endpoint as it is to be; `active` takes it up again after it was paused or disabled."""

    state: Annotated[
        Literal["active", "paused"], Field(description="Whether it is told of facts.", examples=["active"])
    ] = "active"


class EndpointCard(Shaped):
    """An endpoint and how it does."""

    id: EndpointId
    url: Url
    description: Note
    event_types: Annotated[
        tuple[Annotated[str, Field(max_length=80)], ...],
        Field(max_length=10, description="What is told there.", examples=[["project.activated"]]),
    ]
    state: Annotated[EndpointState, Field(description="Whether it is told of facts.", examples=["active"])]
    disabled_because: Annotated[
        str | None,
        Field(max_length=500, description="Why it is told nothing any more.", examples=["It answered 410 Gone."]),
    ]
    failing_since: Annotated[
        datetime | None,
        Field(description="Since when it has taken nothing (UTC); null: all is well.", examples=[None]),
    ]
    version: Annotated[int, Field(ge=1, le=1_000_000_000, description="For `If-Match`.", examples=[1])]
    created_at: Annotated[datetime, Field(description="When it was made (UTC).", examples=["2017-03-16T09:00:00Z"])]
    changed_at: Annotated[datetime, Field(description="When it last changed (UTC).", examples=["2017-03-16T09:00:00Z"])]
    message: Annotated[Sentence, Field(examples=["Is told of facts."])]


class SecretCard(Shaped):
    """A secret that signs."""

    secret: Annotated[
        str,
        Field(
            max_length=200,
            description="As Standard Webhooks writes it; keep it to yourself.",
            examples=["whsec_bm90IGEgc2VjcmV0OiBvbmx5IGFuIGV4YW1wbGUgISE="],
        ),
    ]
    created_at: Annotated[datetime, Field(description="When it was made (UTC).", examples=["2017-03-16T09:00:00Z"])]
    expires_at: Annotated[
        datetime | None,
        Field(description="Until when it signs beside its successor (UTC); null: the current one.", examples=[None]),
    ]


class SigningSecrets(Shaped):
    """The secrets that sign now."""

    secrets: Annotated[
        tuple[SecretCard, ...],
        Field(max_length=10, description="The current one first, then predecessors that still sign beside it."),
    ]
    message: Annotated[Sentence, Field(examples=["One secret signs."])]


class RotationOrder(Shaped):
    """How long the secrets so far go on signing."""

    overlap_hours: Annotated[
        int, Field(ge=0, le=168, description="0: the old one leaked and ends at once.", examples=[24])
    ] = 24


class DeliveryCard(Shaped):
    """The telling of one message."""

    id: DeliveryId
    message_id: Annotated[
        str,
        Field(
            max_length=400,
            description="`webhook-id` of the message: the same in every attempt and redelivery.",
            examples=["msg_harbour_evt_m5xk3ta4r7c2"],
        ),
    ]
    type: Annotated[str, Field(max_length=80, description="`type` of the message.", examples=["project.activated"])]
    state: Annotated[DeliveryState, Field(description="How it stands.", examples=["delivered"])]
    round: Annotated[int, Field(ge=1, le=1_000_000, description="1, and one more per redelivery.", examples=[1])]
    attempts: Annotated[Count, Field(description="Attempts so far.", examples=[1])]
    next_at: Annotated[
        datetime | None, Field(description="When it is tried next (UTC); null once it has ended.", examples=[None])
    ]
    last_status: Annotated[
        int | None, Field(ge=100, le=999, description="Status of the last answer, if one came.", examples=[204])
    ]
    last_error: Annotated[
        str | None, Field(max_length=500, description="Why the last attempt did not do.", examples=["Answered 500."])
    ]
    created_at: Annotated[datetime, Field(description="When it fell due (UTC).", examples=["2017-03-17T08:40:02Z"])]
    delivered_at: Annotated[
        datetime | None, Field(description="When it was taken (UTC).", examples=["2017-03-17T08:40:03Z"])
    ]


class AttemptRow(Shaped):
    """One attempt."""

    number: Annotated[int, Field(ge=1, le=1000, description="From 1.", examples=[1])]
    at: Annotated[datetime, Field(description="When (UTC).", examples=["2017-03-17T08:40:03Z"])]
    status: Annotated[int | None, Field(ge=100, le=999, description="Status of the answer.", examples=[204])]
    ms: Annotated[Count, Field(description="How long it took, in milliseconds.", examples=[41])]
    error: Annotated[str | None, Field(max_length=500, description="Why it did not do.", examples=[None])]
    answer: Annotated[
        str | None, Field(max_length=1000, description="How the receiver's answer began.", examples=["ok"])
    ]


class DeliveryView(DeliveryCard):
    """A delivery with its attempts."""

    tried: Annotated[tuple[AttemptRow, ...], Field(max_length=100, description="Attempts, oldest first.")]


class RecoveryOrder(Shaped):
    """Which facts to tell again: those of this time that the endpoint has not taken."""

    since: Annotated[Instant, Field(description="From then on (UTC).", examples=["2017-03-16T00:00:00Z"])]
    until: Annotated[
        Instant | None, Field(description="Up to then (UTC); null: until now.", examples=["2017-03-18T00:00:00Z"])
    ] = None


class Owed(Shaped):
    """What will be told now."""

    delivery_ids: Annotated[
        tuple[DeliveryId, ...], Field(max_length=1, description="The delivery; empty for a recovery.")
    ] = ()
    owed: Annotated[Count, Field(description="How many messages.", examples=[1])]
    state: Annotated[Code, Field(description="They are under way.", examples=["pending"])] = "pending"
