"""A caller's purse in one replica: units taken from the ledger ahead of need, who waits for more, what goes back."""

from __future__ import annotations

from asyncio import Future, get_running_loop
from collections import deque
from collections.abc import Awaitable, Callable
from math import ceil
from time import monotonic

from shared.gateway.plans import Window
from shared.gateway.policies.rate_limit.counters import CountersUnreachable, Standing
from shared.gateway.policies.rate_limit.ledger import Ask, Grant, Return, Stand

_PACE_SECONDS = 0.05
_WORTH_A_LEASE = 2
_REFUSED_FOR_SECONDS = 1.0


class _Lease:
    __slots__ = ("marks", "units", "until")

    def __init__(self, units: int, until: float, marks: tuple[int, ...]) -> None:
        self.units = units
        self.until = until
        self.marks = marks


class LeasePurse:
    """Spends leased units first; asks when there are none, and in the background when they run low.

    All times are this process's monotonic clock: a lease is measured from before it was asked for, so that it ends here
    before it ends on the ledger, whatever the wall clocks say.
    """

    def __init__(
        self,
        key: str,
        windows: tuple[Window, ...],
        *,
        share: float,
        seconds: float,
        wants: Callable[[LeasePurse], None],
    ) -> None:
        """`wants` is called when the ledger must be asked; it raises CountersUnreachable when there is no use."""
        self.key = key
        self._windows = windows
        self._lengths = tuple(window.per_seconds for window in windows)
        self._most = int(min(window.requests for window in windows) * share)
        self._lasts = min(seconds, min(window.per_seconds for window in windows) * share)
        self._wants = wants
        self._lease = _Lease(0, 0.0, ())
        self._later: deque[_Lease] = deque()
        self._returns: list[Return] = []
        self._waiting: deque[Future[list[Standing]]] = deque()
        self._stands: tuple[Stand, ...] = ()
        self._stood_at = 0.0
        self._refused_until = 0.0
        self._is_asked = False
        self._low = 0
        self._rate = 0.0
        self._spent = 0
        self._paced_at = monotonic()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is lost when it is forgotten."""
        return not (self._waiting or self._is_asked or self._lease.units or self._later or self._returns)

    def take(self) -> list[Standing] | Awaitable[list[Standing]]:
        """Spend one unit, wait for one, or be told that there is none.

        Raises: CountersUnreachable.
        """
        now = monotonic()
        self._spent += 1
        lease = self._lease
        if lease.units and now < lease.until:
            lease.units -= 1
            if lease.units <= self._low and not self._is_asked and not self._later:
                self._renew(now)
            return self._standings(now, has_room=True)
        if self._next_lease(now):
            self._lease.units -= 1
            return self._standings(now, has_room=True)
        if now < self._refused_until:
            return self._standings(now, has_room=False)
        self._want()
        waiter: Future[list[Standing]] = get_running_loop().create_future()
        self._waiting.append(waiter)
        return waiter

    def ask(self, now: float) -> Ask:
        """What to ask the ledger for now."""
        self._next_lease(now)
        self._is_asked = True
        self._waiting = deque(waiter for waiter in self._waiting if not waiter.done())
        returns, self._returns = tuple(self._returns), []
        extra = self._expected(now) - self._held()
        self._refused_until = 0.0
        return Ask(self.key, self._windows, len(self._waiting), max(0, extra), int(self._lasts * 1000), returns)

    def receive(self, asked: Ask, grant: Grant, asked_at: float, now: float) -> None:
        """Serve those who waited, keep the rest; whoever came after the asking is served from what is left."""
        self._is_asked = False
        self._stands, self._stood_at = grant.stands, now
        units = grant.units
        is_short = units < asked.must
        while units and self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                units -= 1
                waiter.set_result(self._standings(now, has_room=True))
        if units:
            marks = tuple(stand.mark for stand in grant.stands)
            self._later.append(_Lease(units, asked_at + grant.life_ms / 1000, marks))
            self._next_lease(now)
        if is_short:
            full = [stand.resets_in_ms for stand in grant.stands if not stand.remaining] or [0]
            pause = max(self._lasts, _PACE_SECONDS) if self._most else _REFUSED_FOR_SECONDS
            self._refused_until = asked_at + min(max(full) / 1000, pause)
            while self._waiting:
                waiter = self._waiting.popleft()
                if not waiter.done():
                    waiter.set_result(self._standings(now, has_room=False))
        elif self._waiting:
            self._want()

    def fail(self, asked: Ask | None) -> None:
        """The ledger did not answer: those who wait are told so; what was to go back goes with the next asking."""
        self._is_asked = False
        if asked is not None:
            self._returns.extend(asked.returns)
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(CountersUnreachable())

    def expire(self, now: float) -> bool:
        """Lay aside what ran out unspent; true when something waits to go back."""
        self._next_lease(now)
        return bool(self._returns) and not self._is_asked

    def give_back(self) -> None:
        """Ask for nothing but to return what was laid aside.

        Raises: CountersUnreachable.
        """
        self._want()

    def surrender(self) -> bool:
        """Lay everything aside, at the end of the process."""
        for lease in (self._lease, *self._later):
            if lease.units:
                self._returns.append(Return(lease.units, lease.marks))
                lease.units = 0
        self._later.clear()
        return bool(self._returns)

    def _want(self) -> None:
        if not self._is_asked:
            self._wants(self)
            self._is_asked = True

    def _renew(self, now: float) -> None:
        if now - self._paced_at >= _PACE_SECONDS or self._low:
            try:
                self._want()
            except CountersUnreachable:
                return

    def _expected(self, now: float) -> int:
        passed = now - self._paced_at
        if passed >= _PACE_SECONDS:
            measured = self._spent / passed
            self._rate = measured if passed > self._lasts * 4 else (self._rate + measured) / 2
            self._spent, self._paced_at = 0, now
        expected = min(self._most, int(self._rate * self._lasts))
        if expected < _WORTH_A_LEASE:
            expected = 0
        self._low = expected // 2
        return expected

    def _held(self) -> int:
        return self._lease.units + sum(lease.units for lease in self._later)

    def _next_lease(self, now: float) -> bool:
        """Whether there is a unit to spend, in the lease at hand or the next that still holds."""
        while True:
            lease = self._lease
            if lease.units and now < lease.until:
                return True
            if lease.units:
                self._returns.append(Return(lease.units, lease.marks))
                lease.units = 0
            if not self._later:
                return False
            self._lease = self._later.popleft()

    def _standings(self, now: float, *, has_room: bool) -> list[Standing]:
        """How the windows stand; what this replica still holds is room too."""
        held = self._lease.units
        if self._later:
            held = self._held()
        passed = (now - self._stood_at) * 1000
        told: list[Standing] = []
        for stand, longest in zip(self._stands, self._lengths, strict=True):
            resets_in = max(1, ceil((stand.resets_in_ms - passed) / 1000))
            if has_room or stand.remaining:
                told.append(Standing(True, stand.remaining + held, min(resets_in, longest)))
            else:
                told.append(Standing(False, 0, resets_in))
        return told
