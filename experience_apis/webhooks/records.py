"""What is remembered of endpoints and deliveries; plain records, no machinery."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class EndpointState(StrEnum):
    """Whether an endpoint is told of facts: yes; no, as its owner wants it; no, because it would not take them."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


class DeliveryState(StrEnum):
    """How the telling of one message to one endpoint stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose endpoints are meant; `customers` bounds what they may hear of (None: the whole tenant)."""

    tenant: str
    subject: str
    client_id: str
    scopes: frozenset[str]
    customers: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to, and what of."""

    endpoint_id: str
    url: str
    description: str | None
    event_types: tuple[str, ...]
    state: EndpointState
    disabled_because: str | None
    failing_since: datetime | None
    version: int
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that signs; `expires_at`: until when it signs beside its successor."""

    value: str = field(repr=False)
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Message:
    """A fact as it is told to everybody who may hear it."""

    message_id: str
    tenant: str
    event_type: str
    customer_id: str | None
    body: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """The telling of one message to one endpoint; `round` counts redeliveries."""

    delivery_id: str
    position: int
    message_id: str
    event_type: str
    round: int
    state: DeliveryState
    attempts: int
    next_at: datetime | None
    last_status: int | None
    last_error: str | None
    last_attempt_at: datetime | None
    delivered_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try."""

    number: int
    attempted_at: datetime
    status: int | None
    ms: int
    error: str | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery taken in hand: everything its attempt needs."""

    delivery_id: str
    endpoint_id: str
    url: str
    message_id: str
    body: str
    attempts: int
    keys: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt, and what follows: `next_at` None ends the delivery."""

    status: int | None
    ms: int
    error: str | None
    answer: str
    state: DeliveryState
    next_at: datetime | None
    disable_because: str | None = None
