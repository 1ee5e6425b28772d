"""What is kept of a system is read once for many, is never older than stated, and afresh where it falls short."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from shared.errors.taxonomy import VendorUnavailable
from system_apis.ports.kept import FRESH_SECONDS, Kept, keep


class Clock:
    """Time that passes only when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Vendor:
    """Codes that a vendor holds, and how often they were read."""

    def __init__(self, clock: Clock) -> None:
        self.codes: Mapping[str, int] = {"HC-DE": 1}
        self.reads = 0
        self.is_down = False
        self.open = asyncio.Event()
        self.open.set()
        self.kept = Kept(self.read, now=clock)

    async def read(self) -> Mapping[str, int]:
        self.reads += 1
        if self.is_down:
            raise VendorUnavailable("acme cannot be reached.")
        codes = self.codes
        await self.open.wait()
        return codes


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vendor(clock: Clock) -> Vendor:
    return Vendor(clock)


async def test_many_who_ask_at_once_are_one_reading(vendor: Vendor) -> None:
    vendor.open.clear()
    asking = [asyncio.create_task(vendor.kept.get()) for _ in range(20)]
    await asyncio.sleep(0)
    vendor.open.set()
    assert {id(one) for one in await asyncio.gather(*asking)} == {id(vendor.codes)}
    assert vendor.reads == 1


async def test_it_is_read_again_when_it_is_old_and_not_before(vendor: Vendor, clock: Clock) -> None:
    await vendor.kept.get()
    clock.now += FRESH_SECONDS
    await vendor.kept.get()
    assert vendor.reads == 1
    clock.now += 1
    await vendor.kept.get()
    assert vendor.reads == 2
    clock.now += 10
    await vendor.kept.get(younger_than=9)
    assert vendor.reads == 3


async def test_its_age_counts_from_where_reading_began(vendor: Vendor, clock: Clock) -> None:
    vendor.open.clear()
    asking = asyncio.create_task(vendor.kept.get())
    await asyncio.sleep(0)
    clock.now += FRESH_SECONDS + 1
    vendor.open.set()
    await asking
    await vendor.kept.get()
    assert vendor.reads == 2


async def test_who_wants_it_as_it_is_now_gets_no_reading_that_began_before(vendor: Vendor, clock: Clock) -> None:
    vendor.open.clear()
    asking = asyncio.create_task(vendor.kept.get())
    await asyncio.sleep(0)
    vendor.codes = {"HC-DE": 1, "HC-JP": 2}
    clock.now += 1
    fresh = asyncio.create_task(vendor.kept.get(younger_than=0.0))
    vendor.open.set()
    assert "HC-JP" not in await asking
    assert "HC-JP" in await fresh


async def test_what_is_not_found_is_looked_for_once_more_as_it_is_now(vendor: Vendor, clock: Clock) -> None:
    await vendor.kept.get()
    clock.now += 1
    assert await vendor.kept.find(lambda held: held.get("HC-DE")) == 1
    assert vendor.reads == 1
    vendor.codes = {"HC-DE": 1, "HC-JP": 2}
    clock.now += 1
    assert await vendor.kept.find(lambda held: held.get("HC-JP")) == 2
    assert vendor.reads == 2
    clock.now += 1
    assert await vendor.kept.find(lambda held: held.get("HC-BR")) is None
    assert vendor.reads == 3, "once more, and no oftener"


async def test_what_falls_short_is_read_now_and_given_as_it_is(vendor: Vendor, clock: Clock) -> None:
    wanted = {"HC-DE", "HC-JP"}
    await vendor.kept.get()
    clock.now += 1
    assert await vendor.kept.holding(lambda held: wanted <= held.keys()) == {"HC-DE": 1}
    assert vendor.reads == 2
    vendor.codes = {"HC-DE": 1, "HC-JP": 2}
    clock.now += 1
    assert (await vendor.kept.holding(lambda held: wanted <= held.keys())).keys() == wanted
    assert (await vendor.kept.holding(lambda held: wanted <= held.keys())).keys() == wanted
    assert vendor.reads == 3


async def test_an_error_is_not_kept_and_takes_nothing_away(vendor: Vendor, clock: Clock) -> None:
    await vendor.kept.get()
    clock.now += FRESH_SECONDS + 1
    vendor.is_down = True
    with pytest.raises(VendorUnavailable):
        await vendor.kept.get()
    vendor.is_down = False
    assert await vendor.kept.get() == {"HC-DE": 1}
    assert vendor.reads == 3


async def test_nothing_is_trusted_after_it_was_forgotten_not_even_what_was_being_read(
    vendor: Vendor, clock: Clock
) -> None:
    await vendor.kept.get()
    clock.now += FRESH_SECONDS + 1
    vendor.open.clear()
    asking = asyncio.create_task(vendor.kept.get())
    await asyncio.sleep(0)
    clock.now += 1
    vendor.kept.forget()
    vendor.codes = {"HC-JP": 2}
    vendor.open.set()
    assert await asking == {"HC-DE": 1}
    assert await vendor.kept.get() == {"HC-JP": 2}


def test_a_memory_that_is_full_begins_anew() -> None:
    known: dict[str, int] = {}
    assert [keep(known, key, number, most=2) for number, key in enumerate("abc")] == [0, 1, 2]
    assert known == {"c": 2}
