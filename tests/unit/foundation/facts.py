"""Made-up events and the small steps that the tests of log, relay and bus share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from sqlalchemy import text

from shared.canonical.events import Event
from shared.persistence import Bus, Database, EventLog, Relay
from shared.persistence.consumer import Patience

KIND = "customer.changed.v1"
QUICK = Patience(attempts=3, waiting=6, first=0.01, longest=0.02)


def event(number: int, subject: str = "cus_1", tenant: str = "harbour", kind: str = KIND) -> Event:
    """The fact number `number` about a subject."""
    return Event(
        id=f"{subject}:{number}",
        source="/system/salesforce",
        type=kind,
        subject=subject,
        time=datetime(2026, 11, 20, tzinfo=UTC),
        tenant=tenant,
        data={"customer_id": subject},
    )


async def append(db: Database, *events: Event) -> None:
    """State facts in a transaction of their own."""
    async with db.transaction() as conn:
        await EventLog().append(conn, events)


async def count(db: Database, query: str) -> int:
    """The number a query answers."""
    async with db.transaction() as conn:
        return (await conn.execute(text(query))).scalar_one()


@asynccontextmanager
async def relaying(db: Database, bus: Bus) -> AsyncIterator[Relay]:
    """A relay at work."""
    relay = Relay(db, bus, poll=0.1)
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        await relay.stop()
        await task


async def until(is_true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something that happens elsewhere."""
    async with asyncio.timeout(seconds):
        while not is_true():  # noqa: ASYNC110 - what is waited for knows nothing of the test
            await asyncio.sleep(0.01)


class Taken:
    """A handler that remembers, and fails as often as told for an id (-1: always)."""

    def __init__(self, failing: dict[str, int] | None = None, error: Exception | None = None) -> None:
        self.ids: list[str] = []
        self.failures = 0
        self._failing = failing or {}
        self._error = error or ValueError("no")

    async def __call__(self, fact: Event) -> None:
        await asyncio.sleep(0)
        left = self._failing.get(fact.id, 0)
        if left:
            self._failing[fact.id] = left - 1
            self.failures += 1
            raise self._error
        self.ids.append(fact.id)
