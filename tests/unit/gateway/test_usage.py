"""Usage: who called what, how often, with what outcome; nothing is lost on an orderly stop, nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors.taxonomy import OutcomeUnknown, PlatformError, VendorUnavailable
from shared.gateway.policies.usage.handler import UsageHandler
from shared.gateway.policies.usage.recorder import UsageRecorder
from shared.persistence import Database, upgrade
from shared.persistence.usage_store import PostgresUsageStore, UsageCounts, UsageKey, UsageOfHour
from tests.unit.gateway.door import OPERATIONS, Things, routes
from tests.unit.gateway.stand import declared, kit_of, standing

Row = UsageOfHour
HOUR = datetime(2026, 11, 20, 14, tzinfo=UTC)


class Sink:
    """Keeps rows in a list; may be away for a while."""

    def __init__(self) -> None:
        self.rows: list[UsageOfHour] = []
        self.trouble: list[PlatformError] = []
        self.came = asyncio.Event()

    async def add(self, rows: list[UsageOfHour]) -> None:
        if self.trouble:
            raise self.trouble.pop(0)
        self.rows += rows
        self.came.set()

    def counts(self) -> dict[tuple[str, str, str], UsageCounts]:
        return {(row.key.tenant, row.key.client_id, row.key.operation): row.counts for row in self.rows}


def answered(handler: UsageHandler, *statuses: int, client_id: str = "desk") -> None:
    for status in statuses:
        kit = kit_of(client_id=client_id)
        kit.status = status
        handler.after(kit)


async def test_calls_are_counted_by_outcome() -> None:
    sink = Sink()
    recorder = UsageRecorder(sink)
    handler = UsageHandler(recorder, "things", "v1", "GET /things")
    answered(handler, 200, 204, 304, 400, 404, 429, 429, 500, 503)
    unknown = kit_of(plan=None)
    unknown.status = 401
    handler.after(unknown)
    await recorder.flush()
    assert sink.counts() == {
        ("harbour", "desk", "GET /things"): UsageCounts(calls=9, refused=4, failed=2, limited=2),
        ("", "", "GET /things"): UsageCounts(calls=1, refused=1, failed=0, limited=0),
    }
    assert {row.key.hour.minute for row in sink.rows} == {0}
    await recorder.flush()
    assert len(sink.rows) == 2


async def test_counts_wait_while_the_store_is_away_and_are_not_added_twice_when_it_is_unsure() -> None:
    sink = Sink()
    recorder = UsageRecorder(sink)
    handler = UsageHandler(recorder, "things", "v1", "GET /things")
    sink.trouble = [VendorUnavailable()]
    answered(handler, 200)
    await recorder.flush()
    answered(handler, 200)
    await recorder.flush()
    assert sink.counts()["harbour", "desk", "GET /things"].calls == 2
    sink.rows, sink.trouble = [], [OutcomeUnknown()]
    answered(handler, 200)
    await recorder.flush()
    await recorder.flush()
    assert not sink.rows


async def test_memory_is_bounded_and_nothing_goes_uncounted() -> None:
    sink = Sink()
    recorder = UsageRecorder(sink, most=10)
    handler = UsageHandler(recorder, "things", "v1", "GET /things")
    for number in range(50):
        answered(handler, 200, 200, client_id=f"c-{number}")
    await recorder.flush()
    assert len(sink.rows) == 11
    assert sum(row.counts.calls for row in sink.rows) == 100
    assert sink.counts()["", "(others)", "GET /things"].calls == 80


async def test_it_flushes_by_itself_and_at_the_end() -> None:
    sink = Sink()
    recorder = UsageRecorder(sink, every=0.02)
    handler = UsageHandler(recorder, "things", "v1", "GET /things")
    await recorder.start()
    answered(handler, 200)
    async with asyncio.timeout(5):
        await sink.came.wait()
    answered(handler, 200)
    await recorder.aclose()
    assert sum(row.counts.calls for row in sink.rows) == 2


async def test_the_gate_counts_every_request_of_an_operation() -> None:
    sink = Sink()
    async with standing(routes(Things()), declared("/things/v1", OPERATIONS), usage=sink) as door:
        await door.get("/things/v1/things")
        await door.get("/things/v1/things?limit=0")
        await door.get("/things/v1/things/1", token=door.issuer.token(client_id="shop"))
        await door.get("/things/v1/things", token=None)
        await door.get("/health", token=None)
    assert sink.counts() == {
        ("harbour", "desk", "GET /things/v1/things"): UsageCounts(2, 1, 0, 0),
        ("harbour", "shop", "GET /things/v1/things/{id}"): UsageCounts(1, 0, 0, 0),
        ("", "", "GET /things/v1/things"): UsageCounts(1, 1, 0, 0),
    }
    assert {(row.key.api, row.key.version) for row in sink.rows} == {("things", "v1")}


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresUsageStore]:
    await asyncio.to_thread(upgrade, postgres_url, "shared.gateway")
    database = Database(postgres_url, pool=6)
    yield PostgresUsageStore(database)
    await database.aclose()


def row(client_id: str, hours_ago: int = 0, operation: str = "GET /a", *, api: str = "pmo", calls: int = 1) -> Row:
    key = UsageKey("harbour", client_id, api, "v1", operation, HOUR - timedelta(hours=hours_ago))
    return UsageOfHour(key, UsageCounts(calls=calls, refused=1, failed=0, limited=0))


async def test_replicas_add_up_and_clients_and_consumers_are_read_back(store: PostgresUsageStore) -> None:
    rows = [row("desk"), row("desk", 1), row("desk", 30), row("desk", 1, "GET /b"), row("shop", calls=7)]
    await asyncio.gather(*(store.add(rows if n % 2 else rows[::-1]) for n in range(8)))
    await store.add([row("desk", api="finance")])

    since = HOUR - timedelta(hours=2)
    mine = await store.of_client("harbour", "desk", since)
    assert [(one.key.hour, one.key.api, one.key.operation) for one in mine] == [
        (HOUR - timedelta(hours=1), "pmo", "GET /a"),
        (HOUR - timedelta(hours=1), "pmo", "GET /b"),
        (HOUR, "finance", "GET /a"),
        (HOUR, "pmo", "GET /a"),
    ]
    assert {one.counts.calls for one in mine} == {1, 8}
    assert await store.of_client("orchard", "desk", since) == []

    consumers = await store.of_api("pmo", "v1", since)
    assert [(one.client_id, one.counts.calls, one.last_hour) for one in consumers] == [
        ("shop", 56, HOUR),
        ("desk", 24, HOUR),
    ]
    assert await store.of_api("pmo", "v2", since) == []

    assert await store.forget_before(HOUR - timedelta(hours=24)) == 1
    await store.add([])
