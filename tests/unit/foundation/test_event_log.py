"""The event log: in the transaction of the change, once per fact, in the order of commits, per tenant."""

from __future__ import annotations

import asyncio

import pytest

from shared.errors.taxonomy import Defect
from shared.persistence import Database, EventLog
from tests.unit.foundation.facts import KIND, append, count, event


async def listed(db: Database, tenant: str = "harbour") -> list[str]:
    async with db.transaction() as conn:
        return [logged.event.id for logged in await EventLog().list_events(conn, tenant)]


async def test_a_fact_is_stated_only_if_its_change_is_committed(db: Database) -> None:
    async def change_that_fails() -> None:
        async with db.transaction() as conn:
            await EventLog().append(conn, [event(1)])
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - the test's own
        await change_that_fails()
    assert await listed(db) == []


async def test_a_fact_stated_twice_is_one(db: Database) -> None:
    await append(db, event(1), event(1))
    await append(db, event(1), event(2))
    assert await listed(db) == ["cus_1:1", "cus_1:2"]
    await append(db, event(1, tenant="other"))
    assert await listed(db, "other") == ["cus_1:1"]


async def test_the_log_keeps_the_order_of_commits_of_a_subject(db: Database) -> None:
    first_has_written = asyncio.Event()

    async def first() -> None:
        async with db.transaction() as conn:
            await EventLog().append(conn, [event(1)])
            first_has_written.set()
            await asyncio.sleep(0.3)

    async def second() -> None:
        await first_has_written.wait()
        await append(db, event(2))
        assert await listed(db) == ["cus_1:1", "cus_1:2"]

    await asyncio.gather(first(), second())


async def test_subjects_do_not_wait_for_each_other(db: Database) -> None:
    async with db.transaction() as conn:
        await EventLog().append(conn, [event(1, "cus_1")])
        async with asyncio.timeout(5):
            await append(db, event(1, "cus_2"))
        assert await listed(db) == ["cus_2:1"]


async def test_many_subjects_at_once_do_not_lock_each_other_out(db: Database) -> None:
    subjects = [f"cus_{n}" for n in range(200)]

    async def state(number: int) -> None:
        ordered = subjects if number % 2 else subjects[::-1]
        await append(db, *(event(number, subject) for subject in ordered))

    await asyncio.gather(*(state(number) for number in range(8)))
    assert await count(db, "SELECT count(*) FROM event_log") == 1600


async def test_a_fact_too_large_for_the_bus_is_refused_before_it_blocks_the_relay(db: Database) -> None:
    large = event(1).model_copy(update={"data": {"text": "x" * 600_000}})
    with pytest.raises(Defect):
        await append(db, large)


async def test_events_are_listed_by_tenant_type_subject_and_place(db: Database) -> None:
    await append(db, event(1), event(2), event(1, "cus_2"), event(9, kind="work.recorded.v1"), event(1, tenant="other"))
    async with db.transaction() as conn:
        log = EventLog()
        everything = await log.list_events(conn, "harbour")
        assert [logged.published_at for logged in everything] == [None] * 4
        assert len(await log.list_events(conn, "harbour", types=[KIND])) == 3
        assert len(await log.list_events(conn, "harbour", subject="cus_2")) == 1
        assert len(await log.list_events(conn, "harbour", after=everything[1].sequence)) == 2
        assert len(await log.list_events(conn, "harbour", limit=1)) == 1
        assert len(await log.list_events(conn, "harbour", since=everything[0].recorded_at)) == 4
        assert len(await log.list_events(conn, "harbour", before=everything[0].recorded_at)) == 0
