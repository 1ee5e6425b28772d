"""The inbox of hints: leases that lapse, troubles that count and troubles that do not, watermarks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.persistence import Database, upgrade
from system_apis.intake_store import MOST_FAILURES, IntakeStore, PendingHints
from system_apis.ports.changes import ChangeHint

HARBOUR = ("harbour", "crm_one")


def hint(ref: str, key: str = "1") -> ChangeHint:
    return ChangeHint("opportunity", ref, f"{ref}@{key}", datetime(2026, 10, 1, tzinfo=UTC))


class Inbox(IntakeStore):
    """The store with readers by name."""

    async def lease(self, reader: str, *, limit: int = 10, seconds: float = 30) -> list[PendingHints]:
        return await self.claim(*HARBOUR, reader=reader, limit=limit, seconds=seconds)

    async def done(self, hints: PendingHints) -> None:
        async with self.transaction() as connection:
            await self.settle(connection, hints)


@pytest.fixture
async def inbox(postgres_url: str) -> AsyncIterator[Inbox]:
    await asyncio.to_thread(upgrade, postgres_url, "system_apis")
    database = Database(postgres_url, pool=6)
    yield Inbox(database)
    await database.aclose()


async def test_hints_on_one_record_are_leased_together_to_one_reader(inbox: Inbox) -> None:
    assert await inbox.accept(*HARBOUR, [hint("A"), hint("B"), hint("A", "2"), hint("A")]) == 3
    claims = await asyncio.gather(*(inbox.lease(reader) for reader in ("one", "two", "three")))
    leased = [hints for claim in claims for hints in claim]
    assert sorted((each.ref, len(each.ids)) for each in leased) == [("A", 2), ("B", 1)]


async def test_a_hint_that_comes_in_while_the_record_is_read_waits_for_the_next_reading(inbox: Inbox) -> None:
    await inbox.accept(*HARBOUR, [hint("A")])
    [first] = await inbox.lease("one")
    await inbox.accept(*HARBOUR, [hint("A", "2")])
    assert await inbox.lease("two") == []
    await inbox.done(first)
    [second] = await inbox.lease("two")
    assert set(second.ids).isdisjoint(first.ids)


async def test_what_a_dead_reader_held_is_read_by_another(inbox: Inbox) -> None:
    await inbox.accept(*HARBOUR, [hint("A"), hint("B")])
    held = await inbox.lease("dead", seconds=0.2)
    assert len(held) == 2
    assert await inbox.lease("alive") == []
    await inbox.renew("dead", held[1].ids, 30)
    await asyncio.sleep(0.3)
    assert [each.ref for each in await inbox.lease("alive")] == [held[0].ref]


async def test_a_reader_that_was_too_slow_takes_nothing_from_its_successor(inbox: Inbox) -> None:
    await inbox.accept(*HARBOUR, [hint("A")])
    [slow] = await inbox.lease("slow", seconds=0)
    [quick] = await inbox.lease("quick")
    assert slow.ids == quick.ids
    await inbox.postpone(slow, "vendor_drift: too late", reader="slow", is_its_own=True, wait=0)
    await inbox.renew("slow", slow.ids, 0)
    await inbox.release("slow", slow.ids)
    assert await inbox.lease("third") == []
    await inbox.done(slow)
    await inbox.done(quick)
    assert await inbox.counts(*HARBOUR) == {"read": 1}


async def test_what_was_given_back_is_there_at_once(inbox: Inbox) -> None:
    await inbox.accept(*HARBOUR, [hint("A")])
    [held] = await inbox.lease("one")
    await inbox.release("one", held.ids)
    assert len(await inbox.lease("two")) == 1


async def test_a_vendor_that_is_away_never_uses_up_a_records_chances(inbox: Inbox) -> None:
    await inbox.accept(*HARBOUR, [hint("A")])
    for _ in range(MOST_FAILURES + 3):
        [held] = await inbox.lease("one")
        await inbox.postpone(held, "vendor_unavailable: away", reader="one", is_its_own=False, wait=0)
        await _due(inbox)
    assert await inbox.counts(*HARBOUR) == {"pending": 1}
    await inbox.lease("one")


async def test_a_record_that_cannot_be_read_fails_at_last_and_can_be_retried(inbox: Inbox) -> None:
    await inbox.accept(*HARBOUR, [hint("A"), hint("B")])
    for _ in range(MOST_FAILURES):
        [held] = [each for each in await inbox.lease("one") if each.ref == "A"]
        await inbox.postpone(held, "vendor_drift: IsWon is missing", reader="one", is_its_own=True, wait=0)
        await _due(inbox)
    assert await inbox.counts(*HARBOUR) == {"pending": 1, "failed": 1}
    [failed] = await inbox.list_failed("harbour", None, after=0, limit=10)
    assert (failed.ref, failed.reason, failed.attempts) == ("A", "vendor_drift: IsWon is missing", MOST_FAILURES)
    assert await inbox.list_failed("harbour", "other", after=0, limit=10) == []
    assert await inbox.list_failed("islands", None, after=0, limit=10) == []
    assert await inbox.retry_failed("islands", None, [failed.id]) == 0
    assert await inbox.retry_failed("harbour", None, [failed.id + 100]) == 0
    assert await inbox.retry_failed("harbour", "crm_one", [failed.id]) == 1
    assert "A" in [each.ref for each in await inbox.lease("two")]


async def test_pauses_grow_and_heed_what_the_vendor_asks_for(inbox: Inbox) -> None:
    await inbox.accept(*HARBOUR, [hint("A")])
    [held] = await inbox.lease("one")
    await inbox.postpone(held, "vendor_throttled: later", reader="one", is_its_own=False, wait=60)
    assert await inbox.lease("one") == []
    pause = await _pause(inbox)
    assert timedelta(seconds=55) < pause < timedelta(seconds=61)


async def test_new_hints_are_not_held_up_by_old_trouble(inbox: Inbox) -> None:
    await inbox.accept(*HARBOUR, [hint(f"old-{number}") for number in range(12)])
    for held in await inbox.lease("one", limit=12):
        await inbox.postpone(held, "vendor_drift: no", reader="one", is_its_own=True, wait=0)
    await inbox.accept(*HARBOUR, [hint("new")])
    assert [each.ref for each in await inbox.lease("one", limit=1)] == ["new"]


async def test_each_connection_has_its_own_queue(inbox: Inbox) -> None:
    await inbox.accept("islands", "crm_one", [hint("A")])
    await inbox.accept("harbour", "erp_one", [hint("A")])
    assert await inbox.lease("one") == []
    assert await inbox.counts(*HARBOUR) == {}


async def test_a_watermark_goes_forward_only_and_never_ahead_of_the_clock(inbox: Inbox) -> None:
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    assert await inbox.watermark(*HARBOUR, "changes") is None
    await inbox.advance(*HARBOUR, "changes", late)
    await inbox.advance(*HARBOUR, "changes", early)
    assert await inbox.watermark(*HARBOUR, "changes") == late
    await inbox.advance(*HARBOUR, "changes", datetime(2999, 1, 1, tzinfo=UTC))
    reached = await inbox.watermark(*HARBOUR, "changes")
    assert reached is not None
    assert reached <= datetime.now(UTC)


async def test_hints_answered_long_ago_are_forgotten(inbox: Inbox) -> None:
    await inbox.accept(*HARBOUR, [hint("A"), hint("B")])
    [first, _] = await inbox.lease("one")
    await inbox.done(first)
    assert await inbox.forget_read() == 0
    await _sql(inbox, "UPDATE change_hints SET received_at = now() - interval '40 days'")
    assert await inbox.forget_read() == 1
    assert await inbox.counts(*HARBOUR) == {"pending": 1}


async def _sql(inbox: Inbox, statement: str) -> list[tuple[object, ...]]:
    async with inbox.transaction() as connection:
        found = await connection.exec_driver_sql(statement)
        return [tuple(row) for row in found] if found.returns_rows else []


async def _due(inbox: Inbox) -> None:
    await _sql(inbox, "UPDATE change_hints SET due_at = now(), leased_until = NULL WHERE state = 'pending'")


async def _pause(inbox: Inbox) -> timedelta:
    [(pause,)] = await _sql(inbox, "SELECT due_at - now() FROM change_hints")
    assert isinstance(pause, timedelta)
    return pause
