"""Budgets that replicas share on a real Redis: together never over, tenants apart, each alone when it is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from shared.errors.taxonomy import VendorThrottled
from shared.outbound.budget import Budget, Office
from tests.unit.foundation.test_outbound import Facts
from tests.unit.gateway.redis_store import RedisStore, redis_program

PROGRAM = redis_program()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Redis: neither redis-server on the PATH nor the wheel")


@pytest.fixture
def store() -> Iterator[RedisStore]:
    assert PROGRAM is not None
    made = RedisStore(PROGRAM)
    yield made
    made.end()


@pytest.fixture
async def offices(store: RedisStore) -> AsyncIterator[list[Office]]:
    """Three replicas."""
    made = [Office() for _ in range(3)]
    for office in made:
        office.share(store.url)
    yield made
    for office in made:
        await office.aclose()


def budgets(offices: list[Office], facts: Facts, owner: str = "harbour") -> list[Budget]:
    return [Budget(facts, system="vendor", owner=owner, office=office) for office in offices]


async def sends(budget: Budget, count: int, stamps: list[float], *, hold: float = 0.0) -> None:
    async def send() -> None:
        async with budget.place(time.monotonic() + 20):
            stamps.append(time.monotonic())
            await asyncio.sleep(hold)

    await asyncio.gather(*(send() for _ in range(count)))


async def test_replicas_together_keep_the_window(offices: list[Office]) -> None:
    stamps: list[float] = []
    replicas = budgets(offices, Facts(requests=10, per_seconds=0.5, at_once=50))
    await asyncio.gather(*(sends(one, 10, stamps) for one in replicas))
    stamps.sort()
    assert len(stamps) == 30
    most = max(sum(1 for other in stamps if at <= other < at + 0.49) for at in stamps)
    assert most <= 10


async def test_replicas_together_keep_the_number_in_flight(offices: list[Office]) -> None:
    running = most = 0

    async def send(budget: Budget) -> None:
        nonlocal running, most
        async with budget.place(time.monotonic() + 20):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.02)
            running -= 1

    replicas = budgets(offices, Facts(requests=1000, per_seconds=1, at_once=4))
    await asyncio.gather(*(send(one) for one in replicas for _ in range(8)))
    assert most == 4


async def test_one_tenant_never_waits_for_another(offices: list[Office]) -> None:
    facts = Facts(requests=2, per_seconds=60, at_once=5)
    ours, theirs = budgets(offices[:1], facts)[0], budgets(offices[1:2], facts, owner="islands")[0]
    await sends(ours, 2, [])
    with pytest.raises(VendorThrottled) as full:
        async with ours.place(time.monotonic() + 0.1):
            pass
    assert full.value.retry_after
    assert full.value.retry_after > 50
    await sends(theirs, 2, [])


async def test_every_replica_sees_how_much_is_used(offices: list[Office]) -> None:
    facts = Facts(requests=100, per_seconds=60, at_once=5)
    first, second, _ = budgets(offices, facts)
    async with first.place(time.monotonic() + 1):
        use = await second.use()
        assert (use.in_flight, use.in_window, use.is_shared) == (1, 1, True)
        assert await offices[1].use_of("harbour", "vendor", facts) == replace(use, of=facts)
    assert (await second.use()).in_flight == 0


async def test_the_use_told_is_of_the_widest_budget_whatever_the_owner_set_it_to(offices: list[Office]) -> None:
    declared = Facts(requests=190, per_seconds=10, at_once=5)
    own = budgets(offices[:1], Facts(requests=50, per_seconds=10, at_once=5))[0]
    searches = budgets(offices[:1], Facts(requests=4, per_seconds=1, at_once=4))[0]
    async with own.place(time.monotonic() + 1), searches.place(time.monotonic() + 1):
        pass
    async with own.place(time.monotonic() + 1):
        use = await offices[0].use_of("harbour", "vendor", declared)
    assert (use.in_flight, use.in_window, use.of) == (1, 2, own.facts)
    assert (await offices[0].use_of("islands", "vendor", declared)).in_window == 0


async def test_a_place_of_a_killed_replica_is_free_after_its_lease(offices: list[Office]) -> None:
    facts = Facts(requests=100, per_seconds=60, at_once=1)
    dead = Budget(facts, system="vendor", owner="harbour", lease=0.3, office=offices[0])
    held = dead.place(time.monotonic() + 1)
    await held.__aenter__()
    started = time.monotonic()
    await sends(budgets(offices[1:2], facts)[0], 1, [])
    assert 0.2 <= time.monotonic() - started < 5
    await held.__aexit__(None, None, None)


async def test_without_its_ledger_a_replica_goes_on_alone(store: RedisStore, offices: list[Office]) -> None:
    budget = budgets(offices[:1], Facts(requests=3, per_seconds=60, at_once=5))[0]
    await sends(budget, 1, [])
    store.kill()
    await sends(budget, 3, [])
    assert not (await budget.use()).is_shared
    with pytest.raises(VendorThrottled):
        async with budget.place(time.monotonic() + 0.1):
            pass


async def test_a_frozen_ledger_holds_nobody_up(store: RedisStore, offices: list[Office]) -> None:
    budget = budgets(offices[:1], Facts(requests=50, per_seconds=60, at_once=5))[0]
    await sends(budget, 1, [])
    store.freeze()
    started = time.monotonic()
    await sends(budget, 10, [])
    assert time.monotonic() - started < 3
    store.thaw()


async def test_who_was_told_to_come_later_sends_nothing_until_then(offices: list[Office]) -> None:
    budget = budgets(offices[:1], Facts(requests=50, per_seconds=60, at_once=5))[0]
    budget.rest(0.3)
    started = time.monotonic()
    await sends(budget, 3, [])
    assert time.monotonic() - started >= 0.3
    budget.rest(30)
    with pytest.raises(VendorThrottled) as later:
        async with budget.place(time.monotonic() + 0.1):
            pass
    assert later.value.retry_after
    assert later.value.retry_after > 20
