"""Budgets that replicas share, kept in Redis: places in flight and requests per window, taken in one atomic script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast
from uuid import uuid4

from redis.asyncio import Redis
from redis.exceptions import RedisError

_PATIENCE: Final = 1.0
_BUCKETS: Final = 20
_TAKE: Final = """
-- a window is twenty buckets; the one that is being left still counts whole
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local at_once, requests = tonumber(ARGV[1]), tonumber(ARGV[2])
local width, lease = tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local held = redis.call('ZCARD', KEYS[1])
local bucket, sum, oldest = math.floor(now / width), 0, nil
local kept = redis.call('HGETALL', KEYS[2])
for i = 1, #kept, 2 do
  local number = tonumber(kept[i])
  if number <= bucket - 20 - 1 then
    redis.call('HDEL', KEYS[2], kept[i])
  else
    sum = sum + tonumber(kept[i + 1])
    if oldest == nil or number < oldest then oldest = number end
  end
end
if ARGV[5] == '' then return {0, 0, held, sum} end
if held >= at_once then return {1, 0, held, sum} end
if sum >= requests then return {2, math.max(1, (oldest + 20 + 1) * width - now), held, sum} end
redis.call('HINCRBY', KEYS[2], bucket, 1)
redis.call('PEXPIRE', KEYS[2], (20 + 2) * width)
redis.call('ZADD', KEYS[1], now + lease, ARGV[5])
redis.call('PEXPIRE', KEYS[1], lease)
return {0, 0, held + 1, sum + 1}
"""

GRANTED, NO_PLACE, WINDOW_FULL = 0, 1, 2


class LedgerLost(Exception):
    """The ledger does not answer."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What the ledger said: granted or not, how many seconds until the window has room, and how it stands."""

    state: int
    wait: float
    in_flight: int
    in_window: int
    place: str = ""


class BudgetLedger:
    """One for a process. A window is counted in twentieths and never exceeded, at the price of a twentieth unused.

    A place is leased: what a killed process held is free again after `lease` seconds.
    """

    def __init__(self, url: str) -> None:
        self._redis: Any = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE
        )
        self._take: Any = self._redis.register_script(_TAKE)

    async def take(self, key: str, *, at_once: int, requests: int, per_seconds: float, lease: float) -> Taken:
        """Ask for a place. Raises LedgerLost."""
        return await self._ask(key, at_once, requests, per_seconds, lease, uuid4().hex)

    async def look(self, key: str, *, per_seconds: float) -> Taken:
        """How a budget stands, without taking of it. Raises LedgerLost."""
        return await self._ask(key, 0, 0, per_seconds, 1.0, "")

    async def give_back(self, key: str, place: str) -> None:
        """The place is free again; a ledger that is away frees it by itself later."""
        try:
            await self._redis.zrem(f"budget/{{{key}}}/places", place)
        except (RedisError, OSError) as error:
            raise LedgerLost(type(error).__name__) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _ask(self, key: str, at_once: int, requests: int, per_seconds: float, lease: float, place: str) -> Taken:
        width = max(1, round(per_seconds * 1000 / _BUCKETS))
        try:
            told = await self._take(
                keys=[f"budget/{{{key}}}/places", f"budget/{{{key}}}/window"],
                args=[at_once, requests, width, round(lease * 1000), place],
            )
        except (RedisError, OSError) as error:
            raise LedgerLost(type(error).__name__) from error
        state, wait, held, spent = (int(cast("int", one)) for one in told)
        return Taken(state, wait / 1000, held, spent, place)
