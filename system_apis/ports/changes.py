"""How a connected system tells that something changed: a hint to re-read, by webhook, feed or poll."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

ChangedEntity = Literal[
    "opportunity", "customer", "contract", "time", "expense", "milestone", "payment", "invoice", "reference_data"
]


@dataclass(frozen=True, slots=True)
class ChangeHint:
    """Record `ref` of that kind may have changed; `key` de-duplicates the hint (delivery id or ref + version)."""

    entity: ChangedEntity
    ref: str
    key: str
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """What arrived on the wire, headers in lower case."""

    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


class WebhookIntake(Protocol):
    """Connectors whose vendor can push implement it (`webhooks.py`)."""

    def read(self, delivery: WebhookDelivery) -> Sequence[ChangeHint]:
        """The hints of one delivery.

        Raises NotAuthenticated (signature missing, wrong, or outside the replay window) and InvalidRequest
        (a signed body that cannot be read), each naming the field.
        """
        ...


class ChangePoll(Protocol):
    """Every connector can be asked what changed since a watermark."""

    async def list_changes(self, since: datetime | None) -> Sequence[ChangeHint]:
        """All hints at or after the instant, oldest first; `key` is ref + version.

        None: as far back as the vendor tells at once. The caller has taken its overlap off the instant already.
        """
        ...


@dataclass(frozen=True, slots=True)
class FeedReading:
    """What a change feed told, and where it is read on; None: the feed gave no position, ask from the beginning again.

    `was_reset`: the vendor no longer knew the position (a token expired, a replay id fell out of its window), and the
    hints are those of a full scan.
    """

    hints: Sequence[ChangeHint]
    position: str | None
    was_reset: bool = False


class ChangeFeed(Protocol):
    """Connectors whose vendor keeps a feed implement it beside `list_changes`; the intake keeps the position."""

    async def read_feed(self, position: str | None) -> FeedReading:
        """Hints after the position, in the feed's order; None begins: a full scan, and the position from before it.

        Repeat: the same position gives the same hints again, and later ones. A position that the vendor has forgotten
        is answered by a full scan, never by silence.
        """
        ...
