"""The event bus: what was published, kept for three days under ids that only grow, and who listens."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import cycle
from typing import Any

import orjson

KEPT = timedelta(hours=72)
_MOST = 20_000  # the sandbox's own bound; the vendor has none
_GAPS = (1, 3, 1, 2, 26, 1, 7)


def replay_ids() -> Iterator[int]:
    """Ids as the vendor gives them: each higher than the one before, seldom by one, never the same again."""
    number = int(time.time() * 10_000)
    for gap in cycle(_GAPS):
        number += gap
        yield number


@dataclass(frozen=True, slots=True)
class Published:
    """An event on the bus: its place, when it came there, the object it is about, and `data` as it is sent."""

    replay_id: int
    at: datetime
    sobject: str
    data: bytes


class EventBus:
    """Events of one org, oldest first; `clock` is the org's."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """Nothing was published yet."""
        self._clock = clock
        self._events: deque[Published] = deque()
        self._listeners: list[Callable[[Published], None]] = []

    def listen(self, hear: Callable[[Published], None]) -> None:
        """Tell of every event from now on."""
        self._listeners.append(hear)

    def publish(self, sobject: str, data: dict[str, Any]) -> None:
        """Keep an event and tell it."""
        event = Published(data["event"]["replayId"], self._clock(), sobject, orjson.dumps(data))
        self._purge()
        self._events.append(event)
        for hear in self._listeners:
            hear(event)

    def knows(self, replay_id: int) -> bool:
        """Whether the id is that of a retained event."""
        found = self.after(replay_id - 1)
        return bool(found) and found[0].replay_id == replay_id

    def after(self, replay_id: int) -> list[Published]:
        """Retained events behind a place (0: all of them)."""
        self._purge()
        events = list(self._events)
        return events[bisect_right(events, replay_id, key=lambda event: event.replay_id) :]

    def today(self) -> date:
        """The day it is in the org."""
        return self._clock().date()

    def forget(self) -> None:
        """Lose everything that is retained."""
        self._events.clear()

    def _purge(self) -> None:
        oldest = self._clock() - KEPT
        while self._events and (self._events[0].at < oldest or len(self._events) > _MOST):
            self._events.popleft()
