"""Paths, cursors, pages and pauses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from shared.errors.taxonomy import InvalidRequest, VendorDrift
from shared.outbound import Answer, RetryPolicy, next_link, pack_cursor, route, unpack_cursor, walk
from shared.outbound.retry import retry_after


def test_a_part_of_a_path_never_becomes_another_path() -> None:
    assert route("/erp/v1/projects/{id}/x", id="a/../b?c") == "/erp/v1/projects/a%2F..%2Fb%3Fc/x"
    for empty in ("", ".", ".."):
        with pytest.raises(ValueError, match="id"):
            route("/projects/{id}", id=empty)


async def test_pages_are_walked_to_the_end() -> None:
    pages = {None: ([1, 2], "b"), "b": ([], "c"), "c": ([3], None)}

    async def fetch(cursor: str | None) -> tuple[list[int], str | None]:
        return pages[cursor]

    assert [item async for item in walk(fetch)] == [1, 2, 3]


async def test_a_list_that_runs_in_a_circle_is_drift() -> None:
    async def fetch(_cursor: str | None) -> tuple[list[int], str | None]:
        return [1], "again"

    with pytest.raises(VendorDrift):
        _ = [item async for item in walk(fetch, system="acme")]


def test_the_next_link_is_found() -> None:
    links = '<https://x/?page=1>; rel="prev", <https://x/?page=3>; rel="next"'
    assert next_link(Answer(200, {"link": links}, b"")) == "https://x/?page=3"
    assert next_link(Answer(200, {}, b"")) is None


def test_a_cursor_holds_where_to_read_on() -> None:
    assert unpack_cursor(pack_cursor({"after": 7, "since": "ü"})) == {"after": 7, "since": "ü"}


@pytest.mark.parametrize("cursor", ["", "x", "bnVsbA", "ä", "A" * 5, "WzFd"])
def test_a_cursor_of_somebody_else_is_an_invalid_request(cursor: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        unpack_cursor(cursor)
    assert caught.value.findings[0].field == "cursor"


def test_pauses_grow_up_to_a_longest_and_are_never_shorter_than_asked_for() -> None:
    policy = RetryPolicy(first=1, longest=4)
    for attempt, ceiling in enumerate([1, 2, 4, 4, 4], start=1):
        assert ceiling / 2 <= policy.pause(attempt) <= ceiling
    assert policy.pause(1, 10) >= 10


def test_retry_after_is_read_as_seconds_or_date() -> None:
    assert retry_after("2.5") == 2.5
    assert retry_after("-1") == 0
    assert retry_after(None) is None
    assert retry_after("soon") is None
    assert retry_after(format_datetime(datetime.now(UTC) - timedelta(hours=1))) == 0
    later = retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert later is not None
    assert 55 < later <= 60
