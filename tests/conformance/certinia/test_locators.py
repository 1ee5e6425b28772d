"""Locators that expire while work is read: lists begin anew, and every entry is told once."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from shared.errors.taxonomy import CursorExpired
from tests.conformance.certinia.conftest import Org
from tests.conformance.psa_firm import read_whole

MONDAY = date(2026, 2, 2)
READ_ON = "GET .*/query/"


async def booked(org: Org, weeks: int) -> None:
    ref = (await org.project()).source.ref
    assignment = await org.hands.assignment(ref, await org.hands.person())
    for week in range(weeks):
        days = [MONDAY + timedelta(days=7 * week + day) for day in range(2)]
        await org.hands.card(ref, dict.fromkeys(days, 4), assignment=assignment)
        await org.hands.expense(ref)


@pytest.mark.parametrize("expiries", [1, 4])
async def test_work_is_told_once_when_locators_expire(org: Org, expiries: int) -> None:
    await booked(org, 5)
    lists = (org.connector.list_time_entries, org.connector.list_expenses)
    told = [await read_whole(one) for one in lists]
    hints = list(await org.connector.list_changes(None))
    assert [len({item.source.ref for item in items}) for items in told] == [10, 5]
    org.switch(page_size=1)
    for read, items in zip(lists, told, strict=True):
        org.switch(locators_expire=expiries if read is org.connector.list_time_entries else 1)
        assert await read_whole(read) == items
    org.switch(locators_expire=expiries)
    before = org.sandbox.calls(READ_ON)
    assert list(await org.connector.list_changes(None)) == hints
    assert org.sandbox.calls(READ_ON) > before + expiries


async def test_an_org_that_forgets_every_time_is_told_as_one_to_wait_for(org: Org) -> None:
    await booked(org, 2)
    org.switch(page_size=1, locators_expire=10_000)
    with pytest.raises(CursorExpired):
        await org.connector.list_time_entries(modified_since=None, cursor=None, limit=100)
