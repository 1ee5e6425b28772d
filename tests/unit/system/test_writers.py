"""Of one record there is one writer at a time, of others there may be more; a refusal empties what was kept."""

from __future__ import annotations

import asyncio

import pytest

from shared.errors.taxonomy import VendorRejected, VendorUnavailable
from system_apis.ports.writers import Writers


class Desk:
    """Writes to one vendor, and who is at it."""

    def __init__(self) -> None:
        self.forgotten = 0
        self.inside: list[str] = []
        self.most = 0
        self.writers = Writers(self.forget)

    def forget(self) -> None:
        self.forgotten += 1

    async def write(self, identifier: str) -> None:
        async with self.writers.of(identifier):
            self.inside.append(identifier)
            self.most = max(self.most, len(self.inside))
            await asyncio.sleep(0.001)
            self.inside.remove(identifier)


async def test_writes_of_one_record_are_made_one_at_a_time() -> None:
    desk = Desk()
    await asyncio.gather(*(desk.write("inv_1") for _ in range(5)))
    assert desk.most == 1


async def test_writes_of_several_records_do_not_wait_for_each_other() -> None:
    desk = Desk()
    await asyncio.gather(*(desk.write(f"inv_{number}") for number in range(5)))
    assert desk.most == 5


async def test_a_refusal_empties_what_was_kept_and_is_told() -> None:
    desk = Desk()
    with pytest.raises(VendorRejected):
        async with desk.writers.of("inv_1"):
            raise VendorRejected("No such customer.")
    assert desk.forgotten == 1
    await desk.write("inv_1")


async def test_silence_says_nothing_against_what_was_kept() -> None:
    desk = Desk()
    with pytest.raises(VendorUnavailable):
        async with desk.writers.of("inv_1"):
            raise VendorUnavailable("acme cannot be reached.")
    assert desk.forgotten == 0
