"""The idempotency store of one process: for tests and for tiers without a database; forgets on restart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_hex
from time import time

from shared.persistence.kept_answers import Claim, KeptAnswer, RequestKey

_SWEEP_EVERY = 1000


@dataclass(slots=True)
class _Entry:
    ticket: str
    fingerprint: bytes
    valid_until: float
    answer: KeptAnswer | None = None


class MemoryIdempotencyStore:
    """A dictionary with expiry."""

    def __init__(self, now: Callable[[], float] = time) -> None:
        self._now = now
        self._entries: dict[RequestKey, _Entry] = {}
        self._claims = 0

    async def claim(self, key: RequestKey, fingerprint: bytes, *, claim: timedelta) -> Claim:
        """Take the key unless it is taken."""
        now = self._now()
        self._claims += 1
        if self._claims % _SWEEP_EVERY == 0:
            self._entries = {known: entry for known, entry in self._entries.items() if entry.valid_until > now}
        entry = self._entries.get(key)
        if entry is not None and entry.valid_until > now:
            if entry.fingerprint != fingerprint:
                return Claim(fingerprint_differs=True)
            return Claim(answer=entry.answer)
        ticket = token_hex(8)
        self._entries[key] = _Entry(ticket, fingerprint, now + claim.total_seconds())
        return Claim(ticket=ticket)

    async def renew(self, key: RequestKey, ticket: str, *, claim: timedelta) -> None:
        """Hold the claim longer."""
        entry = self._entries.get(key)
        if entry is not None and entry.ticket == ticket and entry.answer is None:
            entry.valid_until = self._now() + claim.total_seconds()

    async def complete(self, key: RequestKey, ticket: str, answer: KeptAnswer, *, keep: timedelta) -> None:
        """Keep the answer while the ticket holds."""
        entry = self._entries.get(key)
        if entry is not None and entry.ticket == ticket:
            entry.answer = answer
            entry.valid_until = self._now() + keep.total_seconds()

    async def release(self, key: RequestKey, ticket: str) -> None:
        """Give the key back while the ticket holds."""
        entry = self._entries.get(key)
        if entry is not None and entry.ticket == ticket:
            del self._entries[key]
