"""Rules of webhooks: what may be told to whom, how it is signed, when it is tried again; pure, no machinery."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the prefix of Standard Webhooks, no secret
_SECRET_BYTES: Final = 32
_GONE: Final = 410
_LONGEST_WAIT: Final = timedelta(hours=24)

# Standard Webhooks: at once, then ever more patiently, over more than three days in all.
PAUSES: Final = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
ATTEMPTS: Final = len(PAUSES) + 1
ENDS_AFTER: Final = timedelta(days=5)
"""An endpoint that has taken nothing for so long is disabled."""


@dataclass(frozen=True, slots=True)
class WebhookType:
    """A kind of fact that can be told: one of the scopes is needed to hear of it."""

    name: str
    event_type: str | None
    one_of: frozenset[str]
    members: tuple[str, ...]
    description: str


TEST: Final = "webhook.test"
TYPES: Final[Mapping[str, WebhookType]] = {
    one.name: one
    for one in (
        WebhookType(
            "project.activated",
            "project.activated.v1",
            frozenset({"partner.read", "customer.read", "deals.read", "accounts.read"}),
            ("project_id", "opportunity_id"),
            "A deal's project stands and can be worked on.",
        ),
        WebhookType(
            "invoice.posted",
            "invoice.posted.v1",
            frozenset({"customer.read", "billing.read", "accounts.read"}),
            ("invoice_id", "contract_id", "customer_id", "period", "gross"),
            "An invoice was entered in the firm's accounts and sent.",
        ),
        WebhookType(
            "invoice.paid",
            "invoice.paid.v1",
            frozenset({"customer.read", "billing.read", "accounts.read"}),
            ("invoice_id", "customer_id", "paid", "gross"),
            "An invoice was paid, in part or whole.",
        ),
        WebhookType(
            TEST, None, frozenset(), ("endpoint_id",), "Sent on request, to see that an endpoint receives and verifies."
        ),
    )
}
BY_EVENT: Final[Mapping[str, WebhookType]] = {one.event_type: one for one in TYPES.values() if one.event_type}


def may_hear(kind: str, scopes: frozenset[str]) -> bool:
    """Whether a caller with these scopes may be told of this."""
    needed = TYPES[kind].one_of
    return not needed or bool(needed & scopes)


def told(kind: WebhookType, fact: Mapping[str, Any]) -> dict[str, Any]:
    """What of a fact leaves the house: the members of its type, nothing else."""
    return {name: fact[name] for name in kind.members if fact.get(name) is not None}


def new_secret() -> str:
    """A secret as Standard Webhooks writes it: 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signature(keys: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` field: one `v1,…` per secret, the newest first (Standard Webhooks, HMAC-SHA256)."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    made: list[str] = []
    for key in keys:
        digest = hmac.digest(base64.b64decode(key.removeprefix(SECRET_PREFIX)), signed, hashlib.sha256)
        made.append(f"v1,{base64.b64encode(digest).decode()}")
    return " ".join(made)


def is_taken(status: int | None) -> bool:
    """Whether the receiver took it: any 2xx."""
    return status is not None and 200 <= status < 300  # noqa: PLR2004 - the class of statuses


def is_gone(status: int | None) -> bool:
    """Whether the receiver wants nothing more: 410."""
    return status == _GONE


def pause_after(attempts: int, asked: float | None, jitter: float) -> timedelta | None:
    """How long to wait after so many attempts; None: it was the last.

    `asked` are the seconds of the receiver's Retry-After, believed up to a day; `jitter` between 0 and 1 spreads
    receivers that failed together by up to a tenth.
    """
    if attempts > len(PAUSES):
        return None
    pause = PAUSES[attempts - 1]
    if asked is not None:
        pause = max(pause, min(timedelta(seconds=asked), _LONGEST_WAIT))
    return pause * (1 + jitter / 10)
