"""What a vendor refuses for good waits for a person, and goes on where it stood."""

from __future__ import annotations

from typing import Any

import pytest

from tests.durability.shift import Shift
from tests.factories.little_deals import LittleDeal

MONTHS = ["2025-05", "2025-06"]


@pytest.mark.parametrize("name", ["REFUSED"])
async def test_an_invoice_into_a_closed_period_waits_and_is_posted_once_it_is_open(shift: Shift, name: str) -> None:
    deal = LittleDeal(name)
    await shift.win(deal)
    await shift.until_active(deal)
    await shift.book(deal)
    before = await shift.auditor.count()
    await shift.switch("netsuite", {"closed_periods": MONTHS})
    await shift.desk.start_billing()

    async def both_wait() -> bool:
        return len(await waiting(shift)) == 2

    async with shift.approving():
        await shift.until("both invoices wait for a person", both_wait)
    assert not await shift.auditor.is_billed(deal)
    items = await waiting(shift)
    assert {code for item in items for code in item["codes"]} == {"period_closed"}
    await shift.switch("netsuite", {"open_periods": MONTHS})
    for item in items:
        await shift.desk.paul.post(f"/pmo/v1/exceptions/{item['id']}/retry", {})
    await shift.until_billed(deal)
    await shift.auditor.assert_billed_once([deal], before)

    async def nobody_waits() -> bool:
        return not await waiting(shift)

    await shift.until("the items are resolved", nobody_waits)


async def waiting(shift: Shift) -> list[dict[str, Any]]:
    return [dict(item) for item in await shift.desk.parked()]
