"""Counters of one process: a storage for slowapi's Limiter that neither waits nor starts threads."""

from __future__ import annotations

from collections import deque
from math import ceil
from time import time
from typing import Any, cast

from limits.storage import MovingWindowSupport, Storage
from slowapi import Limiter

from shared.gateway.policies.rate_limit.counters import Count, Standing

SCHEME = "throughline+memory"
_SWEEP_EVERY = 20_000


class ProcessStorage(Storage, MovingWindowSupport):
    """Exact counters in dictionaries; the event loop is their only writer, so they need no lock.

    The stock memory storage of `limits` starts a timer thread on use and its async twin a task per request; both cost
    more than the rest of the policy chain together.
    """

    STORAGE_SCHEME: list[str] | None = [SCHEME]  # noqa: RUF012 - the library reads it from the class

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **options: Any) -> None:  # noqa: FBT001, FBT002 - the library's signature
        super().__init__(uri, wrap_exceptions, **options)
        self._fixed: dict[str, tuple[int, float]] = {}
        self._moving: dict[str, tuple[int, deque[float]]] = {}
        self._until_sweep = _SWEEP_EVERY

    @property
    def base_exceptions(self) -> type[Exception]:
        """Nothing of ours fails; the library wants a class."""
        return ValueError

    def take(self, counts: tuple[Count, ...]) -> list[Standing]:
        """Count a request in all windows, or in none when one of them is full."""
        now = time()
        cost = 1
        used: list[tuple[Count, int, float]] = []
        for count in counts:
            spent, until = self._used(count, now)
            if spent >= count.window.requests:
                cost = 0
            used.append((count, spent, until))
        stands: list[Standing] = []
        for count, spent, until in used:
            if cost:
                self._add(count, spent, until, now)
            most = count.window.requests
            stands.append(Standing(spent < most, most - spent - cost, max(1, ceil(until - now))))
        self._until_sweep -= 1
        if self._until_sweep <= 0:
            self._sweep(now)
        return stands

    def _used(self, count: Count, now: float) -> tuple[int, float]:
        window = count.window
        if window.algorithm == "moving":
            kept = self._moving.get(count.key)
            if kept is None:
                return 0, now + window.per_seconds
            events = kept[1]
            horizon = now - window.per_seconds
            while events and events[0] <= horizon:
                events.popleft()
            return len(events), (events[0] if events else now) + window.per_seconds
        spent, until = self._fixed.get(count.key, (0, 0.0))
        if until > now:
            return spent, until
        if window.algorithm == "aligned":
            return 0, (now // window.per_seconds + 1) * window.per_seconds
        return 0, now + window.per_seconds

    def _add(self, count: Count, spent: int, until: float, now: float) -> None:
        if count.window.algorithm == "moving":
            kept = self._moving.get(count.key)
            if kept is None:
                kept = self._moving[count.key] = (count.window.per_seconds, deque())
            kept[1].append(now)
        else:
            self._fixed[count.key] = (spent + 1, until)

    def _sweep(self, now: float) -> None:
        self._until_sweep = _SWEEP_EVERY
        self._fixed = {key: kept for key, kept in self._fixed.items() if kept[1] > now}
        self._moving = {
            key: (seconds, events)
            for key, (seconds, events) in self._moving.items()
            if events and events[-1] > now - seconds
        }

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count in a fixed window."""
        now = time()
        spent, until = self._fixed.get(key, (0, 0.0))
        self._fixed[key] = kept = (spent + amount, until) if until > now else (amount, now + expiry)
        return kept[0]

    def get(self, key: str) -> int:
        """How much of a fixed window is spent."""
        spent, until = self._fixed.get(key, (0, 0.0))
        return spent if until > time() else 0

    def get_expiry(self, key: str) -> float:
        """When a fixed window ends."""
        return self._fixed.get(key, (0, time()))[1]

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count in a moving window if there is room."""
        now = time()
        _, events = self._moving.setdefault(key, (expiry, deque()))
        while events and events[0] <= now - expiry:
            events.popleft()
        if len(events) + amount > limit:
            return False
        events.extend([now] * amount)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - the library's signature
        """Where a moving window starts and how much of it is spent."""
        now = time()
        recent = [at for at in self._moving.get(key, (expiry, deque[float]()))[1] if at > now - expiry]
        return (recent[0], len(recent)) if recent else (now, 0)

    def check(self) -> bool:
        """Always there."""
        return True

    def reset(self) -> int | None:
        """Forget everything."""
        gone = len(self._fixed) + len(self._moving)
        self._fixed.clear()
        self._moving.clear()
        return gone

    def clear(self, key: str) -> None:
        """Forget one counter."""
        self._fixed.pop(key, None)
        self._moving.pop(key, None)


def process_counters() -> ProcessStorage:
    """The counters of a new slowapi Limiter of this process."""
    limiter = Limiter(
        key_func=_no_request, storage_uri=f"{SCHEME}://", strategy="moving-window", key_prefix="throughline"
    )
    return cast("ProcessStorage", limiter.limiter.storage)


def _no_request() -> str:
    return ""
