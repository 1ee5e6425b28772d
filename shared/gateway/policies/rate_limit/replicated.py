"""Counters that several replicas share: Redis through the async side of `limits`; never blocks the event loop."""

from __future__ import annotations

from asyncio import gather
from math import ceil
from time import monotonic, time
from typing import Any, cast

from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, RateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string

from shared.gateway.policies.rate_limit.counters import Count, CountersUnreachable, Standing

_PATIENCE_SECONDS = 0.25
_PAUSE_SECONDS = 1.0


class ReplicatedCounters:
    """Each window is counted on the store; after a failure the store is left alone for a moment.

    Exactness: every admitted request was counted on the store before it was admitted, so replicas together admit no
    more than the window says (one replica alone likewise).
    """

    def __init__(self, url: str) -> None:
        storage: Any = storage_from_string(
            f"async+{url}",
            implementation="redispy",
            wrap_exceptions=True,
            socket_timeout=_PATIENCE_SECONDS,
            socket_connect_timeout=_PATIENCE_SECONDS,
        )
        self._client: Any = storage.bridge.storage
        self._strategies: dict[str, RateLimiter] = {
            "moving": MovingWindowRateLimiter(storage),
            "fixed": FixedWindowRateLimiter(storage),
        }
        self._silent_until = 0.0

    async def take(self, counts: tuple[Count, ...]) -> list[Standing]:
        """Count it; a request refused by one window may stay counted in those before it.

        Raises: CountersUnreachable.
        """
        if monotonic() < self._silent_until:
            raise CountersUnreachable
        try:
            admitted = [await self._hit(count) for count in counts]
            stands = await gather(*(self._standing(count) for count in counts))
        except (StorageError, OSError) as error:
            self._silent_until = monotonic() + _PAUSE_SECONDS
            raise CountersUnreachable from error
        now = time()
        return [
            Standing(has_room, max(0, int(remaining)), max(1, ceil(until - now)))
            for has_room, (until, remaining) in zip(admitted, stands, strict=True)
        ]

    async def aclose(self) -> None:
        """Close the connections to the store."""
        await self._client.aclose()

    async def _hit(self, count: Count) -> bool:
        return await self._strategies[count.window.algorithm].hit(count.item, *count.identity)

    async def _standing(self, count: Count) -> tuple[float, int]:
        stats = await self._strategies[count.window.algorithm].get_window_stats(count.item, *count.identity)
        return cast("tuple[float, int]", tuple(stats))
