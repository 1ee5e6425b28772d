"""The system tier is killed amid its calls, and each vendor is away for a while: nothing is lost or doubled."""

from __future__ import annotations

import pytest

from deploy.sandbox.kit.faults import Fault, FaultKind
from tests.durability.shift import Point, Shift
from tests.factories.little_deals import LittleDeal

SETTING_UP = (
    Point("reading_a_change", "salesforce", r"^GET .*/query\?.*FROM(\+|%20)Opportunity(\+|%20)WHERE(\+|%20)Id"),
    Point("milestones_in_the_psa", "kantata", r"^POST .*/stories", skip=1),
    Point("contract_in_the_erp", "netsuite", r"^PUT .*/salesOrder/"),
)
BILLING = (
    Point("posting_the_invoice", "netsuite", r"^PUT .*/invoice/"),
    Point("marking_as_billed", "kantata", r"^POST .*/invoices"),
)
ENOUGH = 8
"""So many calls must have failed before a vendor comes back: more than one call repeats within itself."""


@pytest.mark.parametrize("point", SETTING_UP, ids=[point.act for point in SETTING_UP])
async def test_a_deal_is_set_up_once_when_the_system_tier_dies_at(point: Point, shift: Shift) -> None:
    deal = LittleDeal(f"SYS-{point.act.upper()}")
    before = await shift.auditor.count()
    await shift.kill_at(["system"], [point], lambda: shift.win(deal))
    await shift.until_active(deal)
    await shift.auditor.assert_set_up_once([deal], before)


@pytest.mark.parametrize("tiers", [("system",), ("system", "process", "experience")], ids=["system", "all"])
async def test_work_is_billed_once_when_tiers_die_posting_and_marking(tiers: tuple[str, ...], shift: Shift) -> None:
    deals = [LittleDeal(f"BILL{len(tiers)}-{point.act.upper()}") for point in BILLING]
    await shift.win(*deals)
    await shift.until_active(*deals)
    await shift.book(*deals)
    before = await shift.auditor.count()
    await shift.kill_at(tiers, BILLING, shift.desk.start_billing)
    await shift.until_billed(*deals)
    await shift.auditor.assert_billed_once(deals, before)


@pytest.mark.parametrize("vendor", ["salesforce", "kantata", "netsuite"])
async def test_everything_drains_when_a_vendor_was_away(vendor: str, shift: Shift) -> None:
    deal = LittleDeal(f"AWAY-{vendor.upper()}")
    before = await shift.auditor.count()
    refuses = Fault(kind=FaultKind.STATUS, status=503, times=None)
    if vendor == "salesforce":
        await shift.win(deal)
        await shift.faults((vendor, refuses))
    else:
        await shift.faults((vendor, refuses))
        await shift.win(deal)
    async with shift.approving():
        await _until_felt(shift, vendor)
    await shift.heal(vendor)
    await shift.until_active(deal)
    await shift.auditor.assert_set_up_once([deal], before)

    await shift.book(deal)
    before = await shift.auditor.count()
    await shift.faults((vendor, Fault(kind=FaultKind.CUT_BEFORE, times=None)))
    await shift.desk.start_billing()
    async with shift.approving():
        await _until_felt(shift, vendor)
    await shift.heal(vendor)
    await shift.until_billed(deal)
    await shift.auditor.assert_billed_once([deal], before)


async def _until_felt(shift: Shift, vendor: str) -> None:
    async def is_felt() -> bool:
        return sum(await shift.struck(vendor)) >= ENOUGH

    await shift.until(f"{vendor} was called in vain", is_felt)
