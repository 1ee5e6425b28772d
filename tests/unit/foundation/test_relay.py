"""From log to bus: at least once, in order, by one replica, whatever breaks in between."""

from __future__ import annotations

import asyncio

from sqlalchemy import text

from shared.persistence import Bus, Database, EventLog, Inbox
from tests.unit.foundation.facts import KIND, QUICK, Taken, append, count, event, relaying, until

UNPUBLISHED = "SELECT count(*) FROM event_log WHERE published_at IS NULL"


async def test_four_thousand_events_pass_in_order_of_their_subjects(db: Database, bus: Bus) -> None:
    taken = Taken()
    await append(db, *(event(n, f"cus_{n % 500}") for n in range(4000)))
    await bus.subscribe("views", [KIND], taken)
    async with relaying(db, bus):
        await until(lambda: len(taken.ids) == 4000, 60)
    assert len(set(taken.ids)) == 4000
    for n in range(500):
        of_one = [int(name.split(":")[1]) for name in taken.ids if name.startswith(f"cus_{n}:")]
        assert of_one == sorted(of_one)
    assert await count(db, UNPUBLISHED) == 0


async def test_a_transaction_that_commits_late_is_published_too(db: Database, bus: Bus) -> None:
    taken = Taken()
    await bus.subscribe("views", [KIND], taken)
    async with relaying(db, bus):
        async with db.transaction() as conn:
            await EventLog().append(conn, [event(1, "cus_slow")])
            await append(db, event(1, "cus_quick"))
            await until(lambda: taken.ids == ["cus_quick:1"])
        await until(lambda: taken.ids == ["cus_quick:1", "cus_slow:1"])


async def test_of_several_relays_one_works_and_another_takes_over(db: Database, bus: Bus) -> None:
    taken = Taken()
    await bus.subscribe("views", [KIND], taken)
    async with relaying(db, bus) as first, relaying(db, bus):
        await append(db, event(1))
        await until(lambda: len(taken.ids) == 1)
        await first.stop()
        await append(db, event(2))
        await until(lambda: len(taken.ids) == 2)
    assert taken.ids == ["cus_1:1", "cus_1:2"]


async def test_an_event_published_twice_is_on_the_bus_once(db: Database, bus: Bus) -> None:
    taken = Taken()
    await bus.subscribe("views", [KIND], taken)
    async with relaying(db, bus):
        await append(db, event(1))
        await until(lambda: len(taken.ids) == 1)
        async with db.transaction() as conn:  # as if the relay had died before it marked what it published
            await conn.execute(text("UPDATE event_log SET published_at = NULL"))
        await append(db, event(2))
        await until(lambda: len(taken.ids) == 2)
    assert taken.ids == ["cus_1:1", "cus_1:2"]


async def test_a_replayed_event_comes_again_and_the_inbox_decides(db: Database, bus: Bus) -> None:
    outcomes: list[bool] = []

    async def take(fact: object) -> None:
        async with db.transaction() as conn:
            outcomes.append(await Inbox().accept(conn, "views", getattr(fact, "id", "")))

    await bus.subscribe("views", [KIND], take)
    async with relaying(db, bus):
        await append(db, event(1), event(1, "cus_2"), event(1, tenant="other"))
        await until(lambda: len(outcomes) == 3)
        outcomes.clear()
        async with db.transaction() as conn:
            assert await EventLog().replay(conn, "harbour", ids=["cus_1:1"]) == 1
        await until(lambda: outcomes == [False])
        async with db.transaction() as conn:
            assert await Inbox().forget(conn, "views", ["cus_1:1"]) == 1
            await EventLog().replay(conn, "harbour", subject="cus_1")
        await until(lambda: outcomes == [False, True])


async def test_lost_database_connections_are_waited_out(db: Database, bus: Bus) -> None:
    taken = Taken()
    await bus.subscribe("views", [KIND], taken)
    async with relaying(db, bus):
        await append(db, event(1))
        await until(lambda: len(taken.ids) == 1)
        async with db.transaction() as conn:
            ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            await conn.execute(text(f"{ours} AND pid <> pg_backend_pid()"))
        await append(db, event(2))
        await until(lambda: len(taken.ids) == 2)


async def test_the_inbox_accepts_an_event_once_per_consumer(db: Database) -> None:
    async def accept(consumer: str) -> bool:
        async with db.transaction() as conn:
            return await Inbox().accept(conn, consumer, "e1")

    assert sorted(await asyncio.gather(*(accept("views") for _ in range(5)))) == [False] * 4 + [True]
    assert await accept("other")


async def test_an_event_whose_effect_was_rolled_back_is_accepted_again(db: Database, bus: Bus) -> None:
    tries: list[bool] = []

    async def take(_fact: object) -> None:
        async with db.transaction() as conn:
            tries.append(await Inbox().accept(conn, "views", "e1"))
            if len(tries) == 1:
                raise ValueError("after accepting")

    await bus.subscribe("views", [KIND], take, patience=QUICK)
    async with relaying(db, bus):
        await append(db, event(1))
        await until(lambda: len(tries) == 2)
    assert tries == [True, True]
