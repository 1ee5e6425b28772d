"""Drafts that wait are posted together, and what befalls one of them befalls none of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from shared.errors.taxonomy import PeriodClosed, VendorUnavailable
from system_apis.connectors.tryton.posting import Poster


class Books:
    """Takes what it is told to post, all or nothing; `closed` drafts are refused, the gate holds everybody up."""

    def __init__(self, *closed: int) -> None:
        self.closed = set(closed)
        self.pressed: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.began = asyncio.Event()
        self.is_down = False

    def foreseen(self, kind: str, model: str, ids: Sequence[int]) -> list[str]:
        del kind, model, ids
        return []

    async def press(self, model: str, button: str, ids: Sequence[int], *, company: int) -> None:
        assert (model, button, company) == ("account.invoice", "post", 1)
        self.pressed.append(list(ids))
        self.began.set()
        await self.gate.wait()
        if self.is_down:
            raise VendorUnavailable("away")
        if self.closed & set(ids):
            raise PeriodClosed("The period is closed.")


def poster(books: Any) -> Poster:
    return Poster(books, 1)


async def test_those_that_wait_are_posted_together_and_each_once() -> None:
    books = Books()
    desk = poster(books)
    await asyncio.gather(*(desk.post(number, is_past=False) for number in range(24)))
    assert [number for batch in books.pressed for number in batch] == list(range(24))
    assert [len(batch) for batch in books.pressed] == [10, 10, 4]


async def test_who_is_refused_is_told_and_the_others_are_posted() -> None:
    books = Books(2)
    desk = poster(books)
    told = await asyncio.gather(*(desk.post(number, is_past=False) for number in range(4)), return_exceptions=True)
    assert [type(one) for one in told] == [type(None), type(None), PeriodClosed, type(None)]
    assert books.pressed == [[0, 1, 2, 3], [0], [1], [2], [3]]


async def test_who_runs_out_of_time_ends_it_for_nobody_else() -> None:
    books = Books()
    desk = poster(books)
    books.gate.clear()
    hurried = asyncio.create_task(desk.post(1, is_past=False))
    patient = asyncio.create_task(desk.post(2, is_past=False))
    await asyncio.sleep(0)
    late = asyncio.create_task(desk.post(3, is_past=False))
    gave_up = asyncio.create_task(desk.post(4, is_past=False))
    await books.began.wait()
    hurried.cancel()
    gave_up.cancel()
    await asyncio.sleep(0)
    books.gate.set()
    await asyncio.gather(patient, late)
    posted = [number for batch in books.pressed for number in batch]
    assert posted[:2] == [1, 2]
    assert sorted(posted) in ([1, 2, 3], [1, 2, 3, 4])
    assert hurried.cancelled()
    await desk.post(5, is_past=False)
    assert books.pressed[-1] == [5]


async def test_a_server_that_is_away_is_told_to_all_and_the_next_are_tried() -> None:
    books = Books()
    desk = poster(books)
    books.is_down = True
    told = await asyncio.gather(*(desk.post(number, is_past=False) for number in (1, 2)), return_exceptions=True)
    assert [type(one) for one in told] == [VendorUnavailable, VendorUnavailable]
    books.is_down = False
    await desk.post(3, is_past=False)
    assert books.pressed == [[1, 2], [3]]


async def test_nobody_waits_for_ever_when_it_is_closed() -> None:
    books = Books()
    desk = poster(books)
    books.gate.clear()
    waiting = asyncio.create_task(desk.post(1, is_past=False))
    await books.began.wait()
    await desk.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_who_gave_up_before_its_turn_is_not_posted() -> None:
    books = Books()
    desk = poster(books)
    books.gate.clear()
    first = asyncio.create_task(desk.post(1, is_past=False))
    await books.began.wait()
    second, third = (asyncio.create_task(desk.post(number, is_past=False)) for number in (2, 3))
    await asyncio.sleep(0)
    second.cancel()
    books.gate.set()
    await asyncio.gather(first, third)
    assert books.pressed == [[1], [3]]
    assert second.cancelled()
