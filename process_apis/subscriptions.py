"""Facts in and rounds made: each event acts once per consumer, each round is made again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from shared.canonical.events import Event
from shared.persistence import Bus, Database, Inbox
from shared.telemetry import get_logger

Act = Callable[[Event], Awaitable[None]]
Round = Callable[[], Awaitable[None]]
_log = get_logger(__name__)
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class _Consumer:
    name: str
    acts: dict[str, list[Act]] = field(default_factory=dict[str, "list[Act]"])


class Dispatcher:
    """Collects what the processes want to hear and do, then listens and does it until stopped."""

    def __init__(self, database: Database, *, at_once: int = 5) -> None:
        """`at_once` events are acted on together: each holds one connection, and its acts need others."""
        self._database = database
        self._places = asyncio.Semaphore(at_once)
        self._inbox = Inbox()
        self._consumers: dict[str, _Consumer] = {}
        self._rounds: list[tuple[float, str, Round]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def on(self, event_type: str, *, consumer: str, act: Act) -> None:
        """Call `act` for every event of the type; consumers are independent of each other."""
        self._consumers.setdefault(consumer, _Consumer(consumer)).acts.setdefault(event_type, []).append(act)

    def every(self, seconds: float, name: str, act: Round) -> None:
        """Call `act` again and again with that pause."""
        self._rounds.append((seconds, name, act))

    async def listen(self, bus: Bus) -> None:
        """Subscribe all consumers."""
        for consumer in self._consumers.values():
            handler = self._handler(consumer)
            await bus.subscribe(f"process-{consumer.name}", sorted(consumer.acts), handler, at_once=_AT_ONCE)

    def make_rounds(self) -> None:
        """Start the rounds."""
        self._tasks = [
            asyncio.create_task(_round(seconds, name, act), name=f"round {name}") for seconds, name, act in self._rounds
        ]

    async def stop(self) -> None:
        """End the rounds."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def deliver(self, consumer_name: str, event: Event) -> bool:
        """Let a consumer act on an event; False when it has before.

        The inbox row is committed after the act: if the process dies in between the act runs again, so acts must be
        repeatable; once it is committed no second delivery acts.
        """
        consumer = self._consumers[consumer_name]
        async with self._places, self._database.transaction() as conn:
            if not await self._inbox.accept(conn, consumer.name, f"{event.source}#{event.id}"):
                return False
            for act in consumer.acts.get(event.type, ()):
                await act(event)
        return True

    def _handler(self, consumer: _Consumer) -> Act:
        async def handle(event: Event) -> None:
            await self.deliver(consumer.name, event)

        return handle


async def _round(seconds: float, name: str, act: Round) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await act()
        except Exception:  # noqa: BLE001 - a round that fails is told and made again
            _log.exception("round_failed", round=name)
