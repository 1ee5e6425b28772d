"""Counters of one process: a storage for slowapi's Limiter that neither waits nor starts threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import ceil
from time import time
from typing import Any, cast

from limits.storage import MovingWindowSupport, Storage
from slowapi import Limiter

from shared.gateway.policies.rate_limit.counters import SLOTS, Count, Standing

SCHEME = "throughline+memory"
_SWEEP_EVERY = 20_000
_standing = cast("Callable[[type[Standing], tuple[bool, int, int]], Standing]", tuple.__new__)
"""A named tuple at the price of a tuple."""


class _Fixed:
    """One fixed or aligned window."""

    __slots__ = ("is_aligned", "seconds", "spent", "until")

    def __init__(self, seconds: int, *, is_aligned: bool = False) -> None:
        self.seconds = seconds
        self.is_aligned = is_aligned
        self.spent = 0
        self.until = 0.0

    def used(self, now: float) -> int:
        if self.until <= now:
            self.spent = 0
            started = now // self.seconds * self.seconds if self.is_aligned else now
            self.until = started + self.seconds
        return self.spent

    def add(self, _now: float, amount: int = 1) -> None:
        self.spent += amount

    def frees_at(self, _now: float) -> float:
        return self.until

    def is_over(self, now: float) -> bool:
        return self.until <= now


class _Moving:
    """One moving window in slots: a request is forgotten at most one slot late, never early."""

    __slots__ = ("seconds", "slot", "slots", "spent")

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self.slot = seconds / SLOTS
        self.slots: deque[list[float]] = deque()
        self.spent = 0

    def used(self, now: float) -> int:
        slots, horizon = self.slots, now - self.seconds
        while slots and slots[0][0] <= horizon:
            self.spent -= int(slots.popleft()[1])
        return self.spent

    def add(self, now: float, amount: int = 1) -> None:
        self.spent += amount
        slots = self.slots
        if slots and now <= slots[-1][0]:
            slots[-1][1] += amount
        else:
            slots.append([ceil(now / self.slot) * self.slot, amount])

    def frees_at(self, now: float) -> float:
        return (self.slots[0][0] if self.slots else now) + self.seconds

    def is_over(self, now: float) -> bool:
        return not self.used(now)


class LocalPurse:
    """All windows of one caller, at hand."""

    __slots__ = ("_counts", "_generation", "_storage", "_windows")

    def __init__(self, storage: ProcessStorage, counts: tuple[Count, ...]) -> None:
        self._storage = storage
        self._counts = counts
        self._generation = -1
        self._windows: list[tuple[_Fixed | _Moving, int, int]] = []

    def take(self) -> list[Standing]:
        """Count a request in all windows, or in none when one of them is full."""
        storage, now = self._storage, time()
        storage.until_sweep -= 1
        if storage.until_sweep <= 0:
            storage.sweep(now)
        if self._generation != storage.generation:
            self._generation = storage.generation
            self._windows = [(storage.window(one), one.window.requests, one.window.per_seconds) for one in self._counts]
        windows, cost = self._windows, 1
        for window, most, _ in windows:
            if window.used(now) >= most:
                cost = 0
        told: list[Standing] = []
        for window, most, longest in windows:
            spent = window.spent
            if cost:
                window.add(now)
            resets_in = ceil(window.frees_at(now) - now)
            if resets_in < 1:
                resets_in = 1
            elif cost and resets_in > longest:
                resets_in = longest
            told.append(_standing(Standing, (spent < most, most - spent - cost, resets_in)))
        return told


class ProcessStorage(Storage, MovingWindowSupport):
    """Counters in dictionaries; the event loop is their only writer, so they need no lock.

    The stock memory storage of `limits` starts a timer thread on use and its async twin a task per request; both cost
    more than the rest of the policy chain together.
    """

    STORAGE_SCHEME: list[str] | None = [SCHEME]  # noqa: RUF012 - the library reads it from the class

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **options: Any) -> None:  # noqa: FBT001, FBT002 - the library's signature
        super().__init__(uri, wrap_exceptions, **options)
        self._fixed: dict[str, _Fixed] = {}
        self._moving: dict[str, _Moving] = {}
        self.generation = 0
        """Changes with every sweep; whoever holds windows asks for them anew then."""
        self.until_sweep = _SWEEP_EVERY

    @property
    def base_exceptions(self) -> type[Exception]:
        """Nothing of ours fails; the library wants a class."""
        return ValueError

    def purse(self, counts: tuple[Count, ...]) -> LocalPurse:
        """The windows of one caller, to be taken from again and again."""
        return LocalPurse(self, counts)

    def window(self, count: Count) -> _Fixed | _Moving:
        """The window of that name, new when nobody counted in it lately."""
        kind, seconds = count.window.algorithm, count.window.per_seconds
        if kind == "moving":
            return self._moving.get(count.key) or self._moving.setdefault(count.key, _Moving(seconds))
        return self._fixed.get(count.key) or self._fixed.setdefault(
            count.key, _Fixed(seconds, is_aligned=kind == "aligned")
        )

    def sweep(self, now: float) -> None:
        """Forget windows that count nothing any more."""
        self.until_sweep = _SWEEP_EVERY
        self.generation += 1
        self._fixed = {key: one for key, one in self._fixed.items() if not one.is_over(now)}
        self._moving = {key: one for key, one in self._moving.items() if not one.is_over(now)}

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count in a fixed window."""
        window, now = self._fixed.setdefault(key, _Fixed(expiry)), time()
        window.used(now)
        window.add(now, amount)
        return window.spent

    def get(self, key: str) -> int:
        """How much of a fixed window is spent."""
        window = self._fixed.get(key)
        return 0 if window is None else window.used(time())

    def get_expiry(self, key: str) -> float:
        """When a fixed window ends."""
        window = self._fixed.get(key)
        return time() if window is None else window.until

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count in a moving window if there is room."""
        window, now = self._moving.setdefault(key, _Moving(expiry)), time()
        if window.used(now) + amount > limit:
            return False
        window.add(now, amount)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - the library's signature
        """Where a moving window starts and how much of it is spent."""
        window, now = self._moving.get(key) or _Moving(expiry), time()
        return (window.slots[0][0], window.spent) if window.used(now) else (now, 0)

    def check(self) -> bool:
        """Always there."""
        return True

    def reset(self) -> int | None:
        """Forget everything."""
        gone = len(self._fixed) + len(self._moving)
        self._fixed.clear()
        self._moving.clear()
        self.generation += 1
        return gone

    def clear(self, key: str) -> None:
        """Forget one counter."""
        self._fixed.pop(key, None)
        self._moving.pop(key, None)
        self.generation += 1


def process_counters() -> ProcessStorage:
    """The counters of a new slowapi Limiter of this process."""
    limiter = Limiter(
        key_func=_no_request, storage_uri=f"{SCHEME}://", strategy="moving-window", key_prefix="throughline"
    )
    return cast("ProcessStorage", limiter.limiter.storage)


def _no_request() -> str:
    return ""
