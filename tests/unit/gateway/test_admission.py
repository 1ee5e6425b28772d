"""Load shedding and concurrency: places are bounded, taken in turn, and given back on every path."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from time import perf_counter, sleep
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from pydantic import ValidationError

from shared.errors.taxonomy import Conflict, Overloaded, TooManyAtOnce
from shared.gateway.kit import Kit
from shared.gateway.places import Places, Pool
from shared.gateway.policies.concurrency.config import Concurrency
from shared.gateway.policies.concurrency.handler import ConcurrencyHandler
from shared.gateway.policies.load_shedding.config import LoadShedding
from shared.gateway.policies.load_shedding.handler import LoadSheddingHandler
from tests.unit.gateway.door import Door
from tests.unit.gateway.stand import declared, kit_of, standing, supplies


def shedding(places: Places | None = None, **facts: Any) -> LoadSheddingHandler:
    declared = {"in_progress": 1, "waiting": 1, "max_wait_ms": 50} | facts
    return LoadSheddingHandler(LoadShedding.model_validate(declared), places or Places())


def ended(kit: Kit) -> None:
    """What the gate does when a request has ended."""
    for release in kit.releases or ():
        release()


async def test_the_first_in_line_gets_the_place_and_the_next_one_is_sent_away() -> None:
    handler, kits = shedding(), [kit_of() for _ in range(3)]
    assert handler.enter(kits[0]) is None
    second = asyncio.ensure_future(handler.enter(kits[1]) or asyncio.sleep(0))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as refused:
        handler.enter(kits[2])
    assert refused.value.retry_after == 1
    ended(kits[0])
    await second
    ended(kits[1])
    assert handler.enter(kits[2]) is None


async def test_nobody_waits_longer_than_declared() -> None:
    handler = shedding(max_wait_ms=30)
    handler.enter(kit_of())
    began = perf_counter()
    with pytest.raises(Overloaded):
        await (handler.enter(kit_of()) or asyncio.sleep(0))
    assert 0.02 < perf_counter() - began < 3


async def test_whoever_hangs_up_in_line_leaves_it() -> None:
    places = Places()
    handler, first = shedding(places, waiting=5, max_wait_ms=60_000), kit_of()
    pool: Pool = next(iter(places.pools.values()))
    handler.enter(first)
    gone = asyncio.ensure_future(handler.enter(kit_of()) or asyncio.sleep(0))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert not pool.line
    caught = asyncio.ensure_future(handler.enter(kit_of()) or asyncio.sleep(0))
    await asyncio.sleep(0)
    ended(first)  # hands the place over …
    caught.cancel()  # … in the moment its taker hangs up
    await asyncio.gather(caught, return_exceptions=True)
    assert pool.at_work == 0


async def test_a_late_event_loop_refuses_and_recovers() -> None:
    handler = shedding(in_progress=10, max_lag_ms=300)
    kit = kit_of()
    handler.enter(kit)
    await asyncio.sleep(0)
    sleep(0.6)  # noqa: ASYNC251 - somebody holds up the loop: that is the point
    await asyncio.sleep(0.01)
    with pytest.raises(Overloaded):
        handler.enter(kit_of())
    await asyncio.sleep(0.15)
    assert handler.enter(kit_of()) is None


async def test_operations_with_the_same_pool_share_its_places_also_after_a_reload() -> None:
    places = Places()
    shedding(places).enter(kit_of())
    with pytest.raises(Overloaded):
        await (shedding(places, max_wait_ms=1).enter(kit_of()) or asyncio.sleep(0))
    assert shedding(places, pool="reports").enter(kit_of()) is None


@pytest.mark.parametrize(
    "wrong", [{"in_progress": 0}, {"waiting": -1}, {"max_wait_ms": 0}, {"pool": "No"}, {"more": 1}]
)
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LoadShedding.model_validate({"in_progress": 1, "waiting": 1, "max_wait_ms": 1} | wrong)


def concurrency(plans: dict[str, Any] | None = None, **facts: Any) -> ConcurrencyHandler:
    return ConcurrencyHandler(Concurrency.model_validate(facts), supplies(plans), "GET /things")


def test_a_client_has_as_many_in_progress_as_its_plan_says() -> None:
    handler = concurrency({"trial": 2, "standard": 5})
    kits = [kit_of(plan="trial") for _ in range(3)]
    handler.enter(kits[0])
    handler.enter(kits[1])
    with pytest.raises(TooManyAtOnce) as refused:
        handler.enter(kits[2])
    assert refused.value.status == 429
    assert refused.value.extra["max_at_once"] == 2
    handler.enter(kit_of(plan="trial", client_id="other"))
    handler.enter(kit_of(plan="trial", tenant="orchard"))
    ended(kits[0])
    handler.enter(kits[2])


def test_an_unknown_plan_counts_as_standard_and_nobody_by_address() -> None:
    handler = concurrency({"standard": 1, "anonymous": 1})
    handler.enter(kit_of(plan="platinum"))
    with pytest.raises(TooManyAtOnce):
        handler.enter(kit_of(plan="platinum"))
    handler.enter(kit_of(address="192.0.2.1", plan=None))
    handler.enter(kit_of(address="192.0.2.2", plan=None))
    with pytest.raises(TooManyAtOnce):
        handler.enter(kit_of(address="192.0.2.2", plan=None))


def test_an_operation_may_bound_each_client_and_all_of_them() -> None:
    handler = concurrency(per_client=1, per_operation=2)
    handler.enter(kit_of())
    with pytest.raises(TooManyAtOnce):
        handler.enter(kit_of())
    handler.enter(kit_of(client_id="b"))
    third = kit_of(client_id="c")
    with pytest.raises(Overloaded):
        handler.enter(third)
    ended(third)  # its place as a client
    with pytest.raises(Overloaded):
        handler.enter(kit_of(client_id="c"))


class Slow:
    """An API whose work takes a while, and which remembers how much of it there was at once."""

    def __init__(self, seconds: float) -> None:
        self.most_at_once = self._at_once = 0
        self.router = APIRouter(prefix="/slow/v1")

        @self.router.get("/work", operation_id="work")
        async def work(how: str = "answer") -> dict[str, str]:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            try:
                await asyncio.sleep(seconds)
            finally:
                self._at_once -= 1
            if how == "refusal":
                raise Conflict
            if how == "defect":
                raise RuntimeError("on purpose")
            return {"how": how}

    def opened(self, **policies: Any) -> AbstractAsyncContextManager[Door]:
        """The API behind the gate with these policies."""
        operations = {"GET /work": {"scopes": ["things.read"]}}
        return standing(self.router, declared("/slow/v1", operations, rate_limit=None, **policies))


SLOW = {"in_progress": 4, "waiting": 8, "max_wait_ms": 1000}


async def _flood(ask: Callable[[], Awaitable[httpx.Response]], many: int) -> list[tuple[int, float, httpx.Response]]:
    async def one() -> tuple[int, float, httpx.Response]:
        began = perf_counter()
        answer = await ask()
        return answer.status_code, perf_counter() - began, answer

    return await asyncio.gather(*(one() for _ in range(many)))


async def test_a_flood_is_shed_and_whoever_is_admitted_is_answered_in_bounded_time() -> None:
    """40 at once for work of 0.2 s at 4 places would take the last one 2 s; behind a line of 8 nobody takes that."""
    slow = Slow(seconds=0.2)
    async with slow.opened(load_shedding=SLOW, concurrency={}) as door:
        probing = asyncio.ensure_future(door.get("/health", token=None))
        told = await _flood(lambda: door.get("/slow/v1/work"), 40)
        assert (await probing).status_code == 200
    served = sorted(seconds for status, seconds, _ in told if status == 200)
    shed = [answer for status, _, answer in told if status == 503]
    assert (len(served), len(shed)) == (12, 28)
    assert served[-1] < 0.6 + 0.9  # three times the work, and what 40 requests cost on a busy machine
    assert {answer.json()["code"] for answer in shed} == {"overloaded"}
    assert {answer.headers["retry-after"] for answer in shed} == {"1"}
    assert slow.most_at_once <= SLOW["in_progress"]


@pytest.mark.parametrize("how", ["answer", "refusal", "defect", "deadline", "hang-up"])
async def test_places_are_given_back_however_a_request_ends(how: str) -> None:
    slow = Slow(seconds=0.0 if how in {"answer", "refusal", "defect"} else 5.0)
    deadline = {"seconds": 0.05} if how == "deadline" else None
    policies = {"load_shedding": SLOW | {"in_progress": 1}, "concurrency": {"per_client": 1}, "deadline": deadline}
    async with slow.opened(**policies) as door:
        for _ in range(3):
            asking = asyncio.ensure_future(door.get(f"/slow/v1/work?how={how}"))
            if how == "hang-up":
                await asyncio.sleep(0.02)
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                continue
            expected = {"answer": 200, "refusal": 409, "defect": 500, "deadline": 504}[how]
            assert (await asking).status_code == expected
        places = door.app.gateway.board.compiler.handlers.supplies.places
        assert not places.held
        assert all(pool.at_work == 0 and not pool.line for pool in places.pools.values())


async def test_a_client_with_too_much_in_progress_is_told_so() -> None:
    slow = Slow(seconds=0.1)
    async with slow.opened(concurrency={"per_client": 2}) as door:
        told = await _flood(lambda: door.get("/slow/v1/work"), 3)
        refused = [answer for status, _, answer in told if status == 429]
        assert sorted(status for status, _, _ in told) == [200, 200, 429]
        assert refused[0].json()["code"] == "too_many_at_once"
        assert refused[0].json()["max_at_once"] == 2
        assert (await door.get("/slow/v1/work")).status_code == 200


async def test_dry_run_admits_what_it_would_have_shed() -> None:
    slow = Slow(seconds=0.1)
    async with slow.opened(concurrency={"per_client": 1, "dry_run": True}) as door:
        assert [status for status, _, _ in await _flood(lambda: door.get("/slow/v1/work"), 3)] == [200, 200, 200]
