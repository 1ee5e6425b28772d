"""What the rate limit asks of its counters; where they live stays open."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from limits import RateLimitItem, RateLimitItemPerSecond

from shared.gateway.plans import Window

SLOTS = 128
"""Slots a moving window is kept in: a request leaves it at most 1/128 of the window late, never early."""


class CountersUnreachable(Exception):
    """The shared counters did not answer in time."""


class Standing(NamedTuple):
    """How a window stands after a request was counted, or was not for lack of room."""

    has_room: bool
    remaining: int
    resets_in: int


@dataclass(frozen=True, slots=True)
class Count:
    """One window of one caller."""

    window: Window
    identity: tuple[str, ...]
    item: RateLimitItem
    key: str


def count_of(window: Window, *identity: str) -> Count:
    """The counter of a window for whoever `identity` names."""
    item = RateLimitItemPerSecond(window.requests, window.per_seconds, namespace=f"THROUGHLINE:{window.name}")
    return Count(window, identity, item, item.key_for(*identity))


class Purse(Protocol):
    """A caller's account with shared counters, as one replica holds it."""

    def take(self) -> list[Standing] | Awaitable[list[Standing]]:
        """Count one request in all windows at once, or in none when one of them is full; waits only when it must.

        Raises: CountersUnreachable, at once or when awaited.
        """
        ...


class LocalPurse(Protocol):
    """A caller's account with counters of this process."""

    def take(self) -> list[Standing]:
        """Count one request in all windows at once, or in none when one of them is full."""
        ...


class LocalCounters(Protocol):
    """Counts requests in windows of this process, without waiting."""

    def purse(self, counts: tuple[Count, ...]) -> LocalPurse:
        """The account of the caller those windows belong to."""
        ...


class SharedCounters(Protocol):
    """Counts requests in windows that several replicas share."""

    outages: int
    """How many times the counters were lost; a new number is a new outage."""

    def purse(self, key: str, windows: tuple[Window, ...], *, share: float, seconds: float) -> Purse:
        """The account of the caller `key`; `share` and `seconds` bound what is taken ahead of need, 0 is nothing."""
        ...
