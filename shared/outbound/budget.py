"""What we may ask of a system: so many requests per window, so many at once; kept by waiting in line.

Within one process by itself; among replicas through a ledger in Redis, per owner (tenant) and system. While the ledger
is away every replica keeps the whole budget for itself, which is told in the log and in a metric.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol
from weakref import WeakSet

from shared.errors.taxonomy import VendorThrottled
from shared.outbound.budget_ledger import GRANTED, WINDOW_FULL, BudgetLedger, LedgerLost
from shared.telemetry.logging import get_logger
from shared.telemetry.metrics import gauge

_log = get_logger("throughline.outbound")
_shared = gauge("throughline_outbound_budgets_shared", (), "1 while replicas share their budgets, 0 while they cannot.")
_REST: Final = 2.0
_PAUSE: Final = 0.02
_LONGEST_REST: Final = 300.0


class BudgetFacts(Protocol):
    """The manifest's `budget`."""

    @property
    def requests(self) -> int:
        """Requests per window."""
        ...

    @property
    def per_seconds(self) -> float:
        """Length of the window."""
        ...

    @property
    def at_once(self) -> int:
        """Requests in flight at the same moment."""
        ...


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """How much of a budget (`of`) is in use: of all replicas where they share it, else of this process."""

    in_flight: int
    in_window: int
    is_shared: bool
    of: BudgetFacts | None = None


class Office:
    """Every budget of this process, and the ledger they share with other replicas."""

    def __init__(self) -> None:
        self._ledger: BudgetLedger | None = None
        self._lost_until = 0.0
        self.budgets: WeakSet[Budget] = WeakSet()

    def share(self, url: str) -> None:
        """From now on budgets are shared with whoever uses the same Redis; an address of another kind shares none."""
        self._ledger = BudgetLedger(url) if url.startswith(("redis://", "rediss://", "unix://")) else None
        _shared.set(1 if self._ledger else 0)

    async def aclose(self) -> None:
        """Stop sharing."""
        if self._ledger:
            await self._ledger.aclose()
        self._ledger = None

    @property
    def ledger(self) -> BudgetLedger | None:
        """The ledger, unless there is none or it was lost a moment ago."""
        return self._ledger if time.monotonic() >= self._lost_until else None

    def lost(self, error: LedgerLost) -> None:
        """The ledger did not answer: everybody keeps to himself for a moment."""
        self._lost_until = time.monotonic() + _REST
        _shared.set(0)
        _log.warning("budget_ledger_lost", said=str(error))

    def found(self) -> None:
        """The ledger answered."""
        _shared.set(1)

    async def use_of(self, owner: str, system: str, facts: BudgetFacts) -> BudgetUse:
        """How much of an owner's budget for a system is in use.

        `facts` are those the connector declares; the owner's own may differ, and a connector may keep further,
        narrower ones for single calls: the widest of the declared window counts.
        """
        kept = [one for one in self.budgets if (one.owner, one.system) == (owner, system)]
        if not kept:
            return BudgetUse(0, 0, is_shared=False)
        wide = {id(one): one.facts.requests / one.facts.per_seconds for one in kept}
        widest = max(kept, key=lambda one: (one.facts.per_seconds == facts.per_seconds, wide[id(one)]))
        return replace(await widest.use(), of=widest.facts)


OFFICE: Final = Office()


class Budget:
    """Keeps to a system's budget: never more than `requests` sends in any window, sliding, and `at_once` in flight."""

    def __init__(
        self, facts: BudgetFacts, *, system: str, owner: str = "", lease: float = 60.0, office: Office = OFFICE
    ) -> None:
        """`lease`: seconds after which a place that nobody gave back is free again; longer than any request."""
        self.facts = facts
        self.system = system
        self.owner = owner
        self._lease = lease
        self._office = office
        self._sent: deque[float] = deque()
        self._queue = asyncio.Lock()
        self._places = asyncio.Semaphore(facts.at_once)
        self._in_flight = 0
        self._rests_until = 0.0
        office.budgets.add(self)

    def rest(self, seconds: float) -> None:
        """The system said when to come again: until then nobody of this process sends. Many of them punish who does."""
        self._rests_until = max(self._rests_until, time.monotonic() + min(seconds, _LONGEST_REST))

    async def use(self) -> BudgetUse:
        """How much is in use now."""
        if self.owner and (ledger := self._office.ledger):
            with suppress(LedgerLost):
                taken = await ledger.look(self._key, per_seconds=self.facts.per_seconds)
                return BudgetUse(taken.in_flight, taken.in_window, is_shared=True)
        self._forget_old(time.monotonic())
        return BudgetUse(self._in_flight, len(self._sent), is_shared=False)

    @asynccontextmanager
    async def place(self, deadline: float) -> AsyncGenerator[None]:
        """Hold a place for one send; `deadline` is in `time.monotonic()` seconds.

        Raises VendorThrottled when no place comes free in time: nothing was sent then.
        """
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                await self._places.acquire()
        except TimeoutError as error:
            raise self._no_place() from error
        held = ""
        self._in_flight += 1
        try:
            await self._rested(deadline)
            held = await self._from_ledger(deadline)
            if not held:
                await self._wait_for_window(deadline)
            yield
        finally:
            self._in_flight -= 1
            self._places.release()
            if held and (ledger := self._office.ledger):
                with suppress(LedgerLost):
                    await ledger.give_back(self._key, held)

    async def _rested(self, deadline: float) -> None:
        while (wait := self._rests_until - time.monotonic()) > 0:
            if time.monotonic() + wait > deadline:
                raise VendorThrottled(f"{self.system} asked us to come back later.", retry_after=wait)
            await asyncio.sleep(wait)

    @property
    def _key(self) -> str:
        return f"{self.owner}/{self.system}/{self.facts.requests}/{self.facts.per_seconds:g}"

    async def _from_ledger(self, deadline: float) -> str:
        """A place that all replicas know of; "" where nothing is shared."""
        facts = self.facts
        while self.owner and (ledger := self._office.ledger):
            try:
                taken = await ledger.take(
                    self._key,
                    at_once=facts.at_once,
                    requests=facts.requests,
                    per_seconds=facts.per_seconds,
                    lease=self._lease,
                )
            except LedgerLost as error:
                self._office.lost(error)
                return ""
            self._office.found()
            if taken.state == GRANTED:
                return taken.place
            pause = taken.wait if taken.state == WINDOW_FULL else _PAUSE * (0.5 + random.random())  # noqa: S311 - jitter
            if time.monotonic() + pause > deadline:
                raise self._window_full(pause) if taken.state == WINDOW_FULL else self._no_place()
            await asyncio.sleep(pause)
        return ""

    def _no_place(self) -> VendorThrottled:
        told = f"The budget for {self.system} is used up: {self.facts.at_once} requests at once."
        return VendorThrottled(told, retry_after=1.0)

    def _window_full(self, wait: float) -> VendorThrottled:
        facts = self.facts
        told = f"The budget for {self.system} is used up: {facts.requests} requests per {facts.per_seconds:g} s."
        return VendorThrottled(told, retry_after=wait)

    def _forget_old(self, now: float) -> None:
        while self._sent and self._sent[0] <= now - self.facts.per_seconds:
            self._sent.popleft()

    async def _wait_for_window(self, deadline: float) -> None:
        async with self._queue:
            now = time.monotonic()
            self._forget_old(now)
            if len(self._sent) >= self.facts.requests:
                wait = self._sent[0] + self.facts.per_seconds - now
                if now + wait > deadline:
                    raise self._window_full(wait)
                await asyncio.sleep(wait)
                self._sent.popleft()
            self._sent.append(time.monotonic())
