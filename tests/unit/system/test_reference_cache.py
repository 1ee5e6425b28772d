"""Reference data is read once for many, never older than stated, and afresh when the vendor tells of a change."""

from __future__ import annotations

import asyncio

import pytest

from shared.errors.taxonomy import VendorUnavailable
from system_apis.reference_cache import ReferenceCache


class Erp:
    def __init__(self) -> None:
        self.reads = 0
        self.content = "first"
        self.is_down = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(self) -> str:
        self.reads += 1
        if self.is_down:
            raise VendorUnavailable("down")
        content = self.content
        await self.gate.wait()
        return content


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_many_who_ask_at_once_are_one_reading() -> None:
    erp, cache = Erp(), ReferenceCache(60)
    kept = await asyncio.gather(*(cache.get("harbour", "items", erp.read) for _ in range(20)))
    assert {one.content for one in kept} == {"first"}
    assert erp.reads == 1
    await cache.get("islands", "items", erp.read)
    assert erp.reads == 2, "one tenant's data is never another's"


async def test_it_is_never_older_than_stated_and_says_how_old_it_is() -> None:
    erp, clock = Erp(), Clock()
    cache = ReferenceCache(60, clock)
    await cache.get("harbour", "items", erp.read)
    clock.now += 59
    assert (await cache.get("harbour", "items", erp.read)).age == 59
    clock.now += 1
    assert (await cache.get("harbour", "items", erp.read)).age == 0
    assert erp.reads == 2


async def test_a_change_that_is_told_while_it_is_read_is_not_missed() -> None:
    erp, cache = Erp(), ReferenceCache(60)
    erp.gate.clear()
    asking = asyncio.create_task(cache.get("harbour", "items", erp.read))
    await asyncio.sleep(0)
    erp.content = "second"
    cache.forget("harbour")
    erp.gate.set()
    assert (await asking).content == "second"


async def test_an_error_is_not_kept() -> None:
    erp, cache = Erp(), ReferenceCache(60)
    erp.is_down = True
    with pytest.raises(VendorUnavailable):
        await cache.get("harbour", "items", erp.read)
    erp.is_down = False
    assert (await cache.get("harbour", "items", erp.read)).content == "first"


async def test_who_bills_may_ask_for_what_is_there_now() -> None:
    erp, clock = Erp(), Clock()
    cache = ReferenceCache(60, clock)
    await cache.get("harbour", "rates", erp.read)
    erp.content = "dearer"
    clock.now += 10
    assert (await cache.get("harbour", "rates", erp.read, at_most=30)).content == "first"
    assert (await cache.get("harbour", "rates", erp.read, at_most=0)).content == "dearer"
    assert (await cache.get("harbour", "rates", erp.read)).content == "dearer", "and the others have it as well"
    assert erp.reads == 2
