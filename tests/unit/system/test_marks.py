"""Lists by change go on behind a place, give each record once, and leave what changes meanwhile to a later page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.errors.taxonomy import InvalidRequest
from shared.outbound import pack_cursor
from system_apis.dialects.marks import Mark, page_by_change, start

NOON = datetime(2026, 10, 28, 12, 0, 0, 5000, tzinfo=UTC)


def mark(second: int, ref: str) -> Mark:
    return Mark(NOON + timedelta(seconds=second), ref)


class Vendor:
    """Records with the second of their last change; a search sees only the first `reach` of those that are due."""

    def __init__(self, seconds: dict[str, int], *, reach: int = 2) -> None:
        self.seconds = seconds
        self.reach = reach
        self.changing: dict[str, int] = {}
        """Changes that come between search and reading."""

    async def candidates(self, after: Mark | None) -> tuple[list[Mark], Mark | None]:
        due = sorted(mark(second, ref) for ref, second in self.seconds.items())
        due = [one for one in due if after is None or one > after]
        self.seconds |= self.changing
        self.changing = {}
        return due[: self.reach], due[self.reach - 1] if len(due) > self.reach else None

    async def read(self, refs: list[str]) -> list[tuple[Mark, str]]:
        return [(mark(self.seconds[ref], ref), ref) for ref in reversed(refs) if self.seconds[ref] >= 0]

    async def page(self, cursor: str | None = None) -> tuple[tuple[str, ...], str | None]:
        page = await page_by_change(start(None, cursor), self.candidates, self.read, ours)
        return page.items, page.next_cursor

    async def whole(self) -> list[tuple[str, ...]]:
        pages: list[tuple[str, ...]] = []
        cursor: str | None = None
        while True:
            items, cursor = await self.page(cursor)
            pages.append(items)
            if cursor is None:
                return pages


def ours(ref: str) -> str | None:
    return None if ref.startswith("x") else ref


async def test_records_come_once_the_oldest_change_first() -> None:
    assert await Vendor({"c": 3, "a": 1, "b": 2, "d": 4, "e": 5}).whole() == [("a", "b"), ("c", "d"), ("e",)]


async def test_a_record_that_changes_while_it_is_read_is_told_later_and_once() -> None:
    vendor = Vendor({"a": 1, "b": 2, "c": 3})
    vendor.changing = {"a": 9}
    assert await vendor.whole() == [("b",), ("c", "a")]


async def test_a_page_without_anything_of_ours_is_not_the_end() -> None:
    vendor = Vendor({"x1": 1, "x2": 2, "a": 3, "x3": 4, "b": 5})
    assert await vendor.whole() == [("a",), ("b",)]
    assert await Vendor({"x1": 1}).whole() == [()]


async def test_a_candidate_that_is_gone_when_it_is_read_is_left_out() -> None:
    vendor = Vendor({"a": 1, "b": 2, "c": 3})
    vendor.changing = {"b": -1}
    assert await vendor.whole() == [("a",), ("c",)]


def test_a_list_begins_behind_its_cursor_else_at_the_instant() -> None:
    assert start(None, None) is None
    there = start(NOON.astimezone(timezone(timedelta(hours=9))), None)
    assert there == Mark(NOON, "")
    assert str(there.at) == "2026-10-28 12:00:00.005000+00:00"
    assert start(NOON, mark(7, "006A").packed()) == mark(7, "006A")


@pytest.mark.parametrize("state", [{}, {"at": "soon", "ref": "a"}, {"at": NOON.isoformat()}])
def test_a_cursor_of_another_list_is_refused(state: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest) as told:
        start(None, pack_cursor(state))
    assert [one.field for one in told.value.findings] == ["cursor"]
