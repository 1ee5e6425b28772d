"""Load shedding: a bounded line before the work, and an early no instead of a late answer; counts, nothing else."""

from __future__ import annotations

from collections.abc import Awaitable

from shared.errors.taxonomy import Overloaded
from shared.gateway.kit import Kit
from shared.gateway.places import Places
from shared.gateway.policies.load_shedding.config import LoadShedding


class LoadSheddingHandler:
    """Takes a place for the request; the gate gives it back when the request has ended, however it ended."""

    def __init__(self, config: LoadShedding, places: Places) -> None:
        self._pool = places.pool(config.pool, config.in_progress, config.waiting)
        self._wait_seconds = config.max_wait_ms / 1000
        self._most_lag = None if config.max_lag_ms is None else config.max_lag_ms / 1000
        self._retry_after = config.retry_after_seconds
        self._release = self._pool.release

    def enter(self, kit: Kit) -> Awaitable[None] | None:
        """Pass while there is room; wait in line while there is room in it; else refuse."""
        pool = self._pool
        if self._most_lag is not None and pool.lag > self._most_lag:
            raise self._overloaded("the event loop is late")
        if pool.take():
            kit.hold(self._release)
            return None
        if len(pool.line) >= pool.waiting:
            raise self._overloaded("the line is full")
        return self._wait(kit)

    async def _wait(self, kit: Kit) -> None:
        if not await self._pool.wait(self._wait_seconds):
            raise self._overloaded("no place became free in time")
        kit.hold(self._release)

    def _overloaded(self, detail: str) -> Overloaded:
        return Overloaded(retry_after=self._retry_after, detail=detail)
