"""The process tier is killed between a vendor's deed and our record of it, all along quote-to-project."""

from __future__ import annotations

import pytest

from deploy.sandbox.kit.faults import FaultKind
from tests.durability.shift import Point, Shift
from tests.factories.little_deals import LittleDeal

POINTS = (
    Point("reading_the_deal", "salesforce", r"^GET .*/query\?.*FROM(\+|%20)Contract(\+|%20)WHERE(\+|%20)Opportunity__c"),
    Point("customer_in_the_erp", "netsuite", r"^PUT .*/customer/"),
    Point("project_in_the_psa", "kantata", r"^POST .*/workspaces"),
    Point("workstreams_in_the_psa", "kantata", r"^POST .*/stories"),
    Point("milestones_in_the_psa", "kantata", r"^POST .*/stories", skip=1),
    Point("billing_milestones_in_the_psa", "kantata", r"^POST .*/billing_milestones"),
    Point("project_in_the_erp", "netsuite", r"^PUT .*/job/"),
    Point("project_tasks_in_the_erp", "netsuite", r"^PUT .*/projectTask/"),
    Point("contract_in_the_erp", "netsuite", r"^PUT .*/salesOrder/"),
    Point("billing_schedule_in_the_erp", "netsuite", r"^PUT .*/billingSchedule/"),
    Point("write_back_to_the_crm", "salesforce", r"^PATCH .*/sobjects/Opportunity/"),
)
UNDER_WAY = tuple(
    Point(act, "kantata", route, kind=FaultKind.LATENCY)
    for act, route in (
        ("project", r"^POST .*/workspaces"),
        ("workstreams", r"^POST .*/stories"),
        ("billing_milestones", r"^POST .*/billing_milestones"),
    )
)


@pytest.mark.parametrize("point", POINTS, ids=[point.act for point in POINTS])
async def test_a_deal_is_set_up_once_when_the_process_tier_dies_at(point: Point, shift: Shift) -> None:
    deal = LittleDeal(f"KILL-{point.act.upper()}")
    before = await shift.auditor.count()
    await shift.kill_at("process", [point], lambda: shift.win(deal))
    await shift.until_active(deal)
    await shift.auditor.assert_set_up_once([deal], before)


async def test_what_a_vendor_is_still_about_to_do_is_not_done_again_beside_it(shift: Shift) -> None:
    deals = [LittleDeal(f"GHOST-{point.act.upper()}") for point in UNDER_WAY]
    before = await shift.auditor.count()
    await shift.kill_at("process", UNDER_WAY, lambda: shift.win(*deals), seconds=15)
    await shift.until_active(*deals)
    await shift.auditor.assert_set_up_once(deals, before)
