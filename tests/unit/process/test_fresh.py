"""Readings that count for a few seconds."""

from __future__ import annotations

import asyncio

import pytest

from process_apis.systems.fresh import Fresh
from shared.errors.taxonomy import VendorUnavailable


async def test_many_who_ask_at_once_cause_one_reading() -> None:
    readings: list[int] = []

    async def read() -> int:
        readings.append(1)
        await asyncio.sleep(0.01)
        return len(readings)

    fresh = Fresh(read)
    assert await asyncio.gather(*(fresh.get() for _ in range(20))) == [1] * 20


async def test_what_was_forgotten_while_being_read_is_read_again() -> None:
    going, answers = asyncio.Event(), iter(["old", "new"])

    async def read() -> str:
        answer = next(answers)
        going.set()
        await asyncio.sleep(0.01)
        return answer

    fresh = Fresh(read)
    asking = asyncio.create_task(fresh.get())
    await going.wait()
    fresh.forget()
    assert await asking == "new"


async def test_a_failed_reading_is_not_kept() -> None:
    async def read() -> str:
        if not failed:
            failed.append(1)
            raise VendorUnavailable
        return "there"

    failed: list[int] = []
    fresh = Fresh(read)
    with pytest.raises(VendorUnavailable):
        await fresh.get()
    assert await fresh.get() == "there"
