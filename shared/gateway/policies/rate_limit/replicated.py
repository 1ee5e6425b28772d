"""Counters that several replicas share: this replica's purses, its exchanges with the ledger, and its absence."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context
from time import monotonic
from typing import Any

from redis.exceptions import RedisError

from shared.gateway.plans import Window
from shared.gateway.policies.rate_limit.counters import CountersUnreachable
from shared.gateway.policies.rate_limit.leases import LeasePurse
from shared.gateway.policies.rate_limit.ledger import Ask, Grant, LedgerStorage, ledger
from shared.gateway.supplies import Line, drop_line
from shared.telemetry import gauge

PATIENCE_SECONDS = 0.25
"""The longest a request waits for the ledger; then the ledger counts as lost."""
_PAUSE_SECONDS = 1.0
_RETURN_SECONDS = 0.25
_PURSES = 20_000
_AT_ONCE = 256


class ReplicatedCounters:
    """Purses of all callers seen by this replica.

    A ledger that does not answer is lost for everybody at once: whoever waits is told, whoever comes is told without
    waiting, and a task of its own knocks once a second until somebody opens.
    """

    def __init__(self, url: str, *, tier: str = "gateway", warn: Line = drop_line) -> None:
        self._ledger: LedgerStorage = ledger(url, PATIENCE_SECONDS)
        self._warn = warn
        self._purses: dict[tuple[str, float], LeasePurse] = {}
        self._asking: list[LeasePurse] = []
        self._pump: asyncio.Task[None] | None = None
        self._knocking: asyncio.Task[None] | None = None
        self._returning: asyncio.TimerHandle | None = None
        self._lost_at: float | None = None
        self.outages = 0
        self.exchanges = 0
        self._is_up = gauge(f"throughline_{tier}_counters_up", (), "Whether the shared counters answer.")
        self._is_up.set(1)

    def purse(self, key: str, windows: tuple[Window, ...], *, share: float, seconds: float) -> LeasePurse:
        """The purse of the caller `key`; with `share` 0 every request is asked for."""
        found = self._purses.get((key, share))
        if found is None:
            if len(self._purses) >= _PURSES:
                self._purses = {name: purse for name, purse in self._purses.items() if not purse.is_idle}
            found = LeasePurse(key, windows, share=share, seconds=seconds, wants=self._ask_for)
            self._purses[(key, share)] = found
        return found

    async def aclose(self) -> None:
        """Give back what is held, as far as the ledger answers, and close the connections."""
        for handle in (self._knocking, self._returning):
            if handle is not None:
                handle.cancel()
        if self._pump is not None:
            await self._pump
        if self._lost_at is None:
            asks = [purse.ask(monotonic()) for purse in self._purses.values() if purse.surrender()]
            with suppress(RedisError, OSError, TimeoutError):
                await self._settled([Ask(ask.key, ask.windows, 0, 0, 0, ask.returns) for ask in asks])
        with suppress(RedisError, OSError):
            await self._ledger.aclose()

    def _ask_for(self, purse: LeasePurse) -> None:
        if self._lost_at is not None:
            raise CountersUnreachable
        self._asking.append(purse)
        if self._pump is None:
            self._pump = _started(self._pumped())
        if self._returning is None:
            self._returning = asyncio.get_running_loop().call_later(_RETURN_SECONDS, self._return)

    async def _pumped(self) -> None:
        try:
            while self._asking:
                purses, self._asking = self._asking[:_AT_ONCE], self._asking[_AT_ONCE:]
                await self._exchanged(purses)
        finally:
            self._pump = None

    async def _exchanged(self, purses: list[LeasePurse]) -> None:
        self.exchanges += 1
        began = monotonic()
        asks = [purse.ask(began) for purse in purses]
        try:
            grants = await self._settled(asks)
        except (RedisError, OSError, TimeoutError) as error:
            self._lose(error)
            for purse, ask in zip(purses, asks, strict=True):
                purse.fail(ask)
            rest, self._asking = self._asking, []
            for purse in rest:
                purse.fail(None)
            return
        now = monotonic()
        for purse, ask, grant in zip(purses, asks, grants, strict=True):
            purse.receive(ask, grant, began, now)

    async def _settled(self, asks: Sequence[Ask]) -> list[Grant]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._ledger.settle(asks)

    def _return(self) -> None:
        """What ran out unspent goes back, also when nobody asks any more."""
        self._returning = None
        now = monotonic()
        is_held = False
        for purse in self._purses.values():
            if purse.is_idle:
                continue
            is_held = True
            if purse.expire(now):
                with suppress(CountersUnreachable):
                    purse.give_back()
        if is_held and self._returning is None:
            self._returning = asyncio.get_running_loop().call_later(_RETURN_SECONDS, self._return)

    def _lose(self, error: Exception) -> None:
        self._lost_at = monotonic()
        self.outages += 1
        self._is_up.set(0)
        self._warn({"event": "counters are lost", "reason": str(error) or type(error).__name__})
        self._knocking = _started(self._knock())

    async def _knock(self) -> None:
        assert self._lost_at is not None  # noqa: S101 - started by the loss
        while True:
            await asyncio.sleep(_PAUSE_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - replicas knock apart
            with suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._ledger.disconnect()
                    await self._ledger.answer()
                break
        self._warn({"event": "counters are back", "seconds": round(monotonic() - self._lost_at, 2)})
        self._lost_at = None
        self._is_up.set(1)


def _started(work: Any) -> asyncio.Task[None]:
    """A task that carries nothing of the request that happened to start it."""
    return asyncio.get_running_loop().create_task(work, context=Context())
