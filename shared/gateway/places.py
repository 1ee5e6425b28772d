"""Places: who is at work and who waits, counted in this process; numbers enter, no policy."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable

_TICK_SECONDS = 0.1
_MOST_IDLE = 10_000


class Pool:
    """At most `most` requests at work and `waiting` in line behind them, first come first served."""

    def __init__(self, most: int, waiting: int) -> None:
        self.most = most
        self.waiting = waiting
        self.at_work = 0
        self.line: deque[asyncio.Future[bool]] = deque()
        self.lag = 0.0
        self._ticking_in: asyncio.AbstractEventLoop | None = None

    def take(self) -> bool:
        """Take a free place at once."""
        if self.at_work >= self.most or self.line:
            return False
        if not self.at_work:
            self._watch()
        self.at_work += 1
        return True

    async def wait(self, seconds: float) -> bool:
        """Stand in line for a place; False when the line is full or the time is over."""
        if len(self.line) >= self.waiting:
            return False
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        self.line.append(turn)
        bell = loop.call_later(seconds, self._give_up, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(turn)
            elif turn.result():  # the place was handed over in the very moment of the cancellation
                self.release()
            raise
        finally:
            bell.cancel()

    def release(self) -> None:
        """Give the place back: to the first in line, else to whoever comes."""
        while self.line:
            turn = self.line.popleft()
            if not turn.done():
                turn.set_result(True)
                return
        self.at_work -= 1

    def _give_up(self, turn: asyncio.Future[bool]) -> None:
        if not turn.done():
            self._leave(turn)
            turn.set_result(False)

    def _leave(self, turn: asyncio.Future[bool]) -> None:
        if turn in self.line:
            self.line.remove(turn)

    def _watch(self) -> None:
        """Measure, while there is work, how late the event loop is with what is due."""
        loop = asyncio.get_running_loop()
        if self._ticking_in is not loop:
            self._ticking_in = loop
            loop.call_later(_TICK_SECONDS, self._tick, loop, loop.time() + _TICK_SECONDS)

    def _tick(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        if self._ticking_in is not loop:
            return
        now = loop.time()
        if not self.at_work and not self.line:
            self.lag, self._ticking_in = 0.0, None
            return
        self.lag = max(0.0, now - due)
        loop.call_later(_TICK_SECONDS, self._tick, loop, now + _TICK_SECONDS)


class Holder:
    """How many places one caller, or one operation, holds."""

    __slots__ = ("held", "release")

    def __init__(self) -> None:
        self.held = 0
        self.release = self._release
        """Gives one place back; bound once, for every request hands it on."""

    def take(self, most: int) -> bool:
        """One more place; False when there are `most` already."""
        if self.held >= most:
            return False
        self.held += 1
        return True

    def _release(self) -> None:
        self.held -= 1


class Places:
    """All pools and counts of one tier in this process; they outlive a reload of the documents."""

    def __init__(self) -> None:
        self.pools: dict[Hashable, Pool] = {}
        self._held: dict[Hashable, Holder] = {}

    def pool(self, name: Hashable, most: int, waiting: int) -> Pool:
        """The pool of that name and size."""
        return self.pools.setdefault((name, most, waiting), Pool(most, waiting))

    @property
    def held(self) -> dict[Hashable, int]:
        """Who holds how many places; whoever holds none is left out."""
        return {name: one.held for name, one in self._held.items() if one.held}

    def holder(self, name: Hashable) -> Holder:
        """Whoever that name means; those without places are forgotten when there are many."""
        found = self._held.get(name)
        if found is None:
            if len(self._held) >= _MOST_IDLE:
                self._held = {known: one for known, one in self._held.items() if one.held}
            found = self._held[name] = Holder()
        return found
