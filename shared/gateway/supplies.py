"""What handlers are made from: addresses, clocks and stores behind narrow protocols; no vendor of any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from time import time
from typing import Any, Protocol

from shared.gateway.places import Places
from shared.gateway.plans import Plan
from shared.identity.revocations import RevocationList
from shared.identity.trust import KeySource, TrustedIssuer
from shared.persistence.kept_answers import Claim, KeptAnswer, RequestKey
from shared.persistence.once import Once, OnceHere

Line = Callable[[Mapping[str, Any]], None]
"""Takes one structured line of a log."""
LineForm = Callable[[Mapping[str, Any]], Line]
"""Makes a log of lines that all say the same first."""


class IdempotencyStore(Protocol):
    """Remembers which requests were answered how."""

    async def claim(self, key: RequestKey, fingerprint: bytes, *, claim: timedelta) -> Claim:
        """Take the key for this request unless it is taken.

        Repeat: one of any number of concurrent calls gets the ticket; a claim older than `claim` without an answer is
        void.
        """
        ...

    async def renew(self, key: RequestKey, ticket: str, *, claim: timedelta) -> None:
        """The work still goes on: the claim holds for another `claim`."""
        ...

    async def complete(self, key: RequestKey, ticket: str, answer: KeptAnswer, *, keep: timedelta) -> None:
        """Keep the answer for `keep`, provided the ticket is still the valid one."""
        ...

    async def release(self, key: RequestKey, ticket: str) -> None:
        """Give the key back: nothing was done, the next request may try."""
        ...


class UsageTallies(Protocol):
    """Where usage is counted in memory; the policy `usage` knows what a tally is."""

    def tallies(self, api: str, version: str, operation: str) -> dict[tuple[str, str, int], Any]:
        """The tallies of an operation by tenant, client and hour; the same object each time."""
        ...

    def has_room(self) -> bool:
        """Whether one more client may have a tally of its own."""
        ...


def drop_line(_line: Mapping[str, Any]) -> None:
    """A log that forgets."""


def drop_form(_said: Mapping[str, Any]) -> Line:
    """Lines of a log that forgets."""
    return drop_line


@dataclass(frozen=True, slots=True)
class Supplies:
    """Everything the handlers of one tier are made from."""

    tier: str
    issuer: str
    audience: str
    keys: KeySource
    idempotency: IdempotencyStore | None
    counters_url: str = "memory://"
    plans: Mapping[str, Plan] = field(default_factory=dict[str, Plan])
    now: Callable[[], float] = time
    is_traced: bool = False
    public_url: str = ""
    """Where callers reach this tier; empty: as the request's Host header says."""
    trusted: tuple[TrustedIssuer, ...] = ()
    """Other issuers whose access tokens are taken at this door."""
    revocations: RevocationList = field(default_factory=RevocationList)
    used: Once = field(default_factory=OnceHere)
    places: Places = field(default_factory=Places)
    usage: UsageTallies | None = None
    access_form: LineForm = drop_form
    audit_line: Line = drop_line
    warn_line: Line = drop_line
