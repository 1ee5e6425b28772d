"""How many requests may be in flight: the account's limit is shared, so ours gives way and comes back slowly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

_GIVES_WAY = 0.6
_HELD_SECONDS = 1.0  # refusals of one moment have one cause
_PASSED_A_LANE = 20


class Lanes:
    """Places for requests. One refused for too many at once: fewer lanes; many passed: one more, up to the ceiling."""

    def __init__(self, ceiling: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._ceiling = float(ceiling)
        self._open = float(ceiling)
        self._in_flight = 0
        self._clock = clock
        self._narrowed_at: float | None = None
        self._free = asyncio.Condition()

    @property
    def open(self) -> int:
        """How many requests may be in flight now."""
        return max(1, int(self._open))

    @asynccontextmanager
    async def lane(self) -> AsyncGenerator[None]:
        """One request's place; waits for it."""
        async with self._free:
            await self._free.wait_for(lambda: self._in_flight < self.open)
            self._in_flight += 1
        try:
            yield
        finally:
            async with self._free:
                self._in_flight -= 1
                self._free.notify_all()

    def blocked(self) -> None:
        """The vendor refused one for too many at once."""
        now = self._clock()
        if self._narrowed_at is not None and now - self._narrowed_at < _HELD_SECONDS:
            return
        self._narrowed_at = now
        self._open = max(1.0, self._open * _GIVES_WAY)

    def passed(self) -> None:
        """One was answered."""
        self._open = min(self._ceiling, self._open + 1 / (_PASSED_A_LANE * max(1.0, self._open)))

    def told(self, limit: int) -> None:
        """The vendor says how many there are in all."""
        self._ceiling = float(max(1, limit))
        self._open = self._ceiling if self._narrowed_at is None else min(self._open, self._ceiling)
