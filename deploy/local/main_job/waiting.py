"""Waiting for the house: short pauses, a patience that starts anew whenever something moved, a clear end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable

from deploy.local.failures import JobFailed

_SHORTEST, _LONGEST = 0.2, 1.0
_SHARE = 5  # of the time between two looks, at most one part in so many is spent looking


class Stalled(JobFailed):
    """Nothing moved for too long; the message says what stood where."""


class Patience:
    """Gives up when nothing has moved for `seconds`."""

    def __init__(self, what: str, seconds: float = 60.0) -> None:
        """`what` is being waited for."""
        self._what = what
        self._seconds = seconds
        self._last: Hashable = None
        self._moved_at = self._looked_at = time.monotonic()

    @property
    def still_for(self) -> float:
        """Seconds since something moved."""
        return time.monotonic() - self._moved_at

    async def pause(self, standing: Hashable, told: str) -> None:
        """Wait a moment, longer where looking was dear. Raises Stalled when `standing` stayed the same for too long."""
        if standing != self._last:
            self._last, self._moved_at = standing, time.monotonic()
        elif self.still_for > self._seconds:
            raise Stalled(f"{self._what}: nothing has moved for {self._seconds:.0f} s; {told}")
        took = time.monotonic() - self._looked_at
        await asyncio.sleep(min(_LONGEST, max(_SHORTEST, took * _SHARE)))
        self._looked_at = time.monotonic()
