"""The process tier is killed between a vendor's deed and our record of it, all along quote-to-project."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from deploy.sandbox.kit.faults import FaultKind
from tests.durability.shift import Point, Shift
from tests.factories.little_deals import LittleDeal

POINTS = (
    Point(
        "reading_the_deal",
        "salesforce",
        r"^GET .*/query\?.*FROM(\+|%20)Contract(\+|%20)WHERE(\+|%20)Opportunity__c(\+|%20)(=|%3D)",
    ),
    Point("customer_in_the_erp", "netsuite", r"^PUT .*/customer/"),
    Point("project_in_the_psa", "kantata", r"^POST .*/workspaces"),
    Point("workstreams_in_the_psa", "kantata", r"^POST .*/stories"),
    Point("milestones_in_the_psa", "kantata", r"^POST .*/stories", skip=1),
    Point("billing_milestones_in_the_psa", "kantata", r"^POST .*/billing_milestones"),
    Point("project_in_the_erp", "netsuite", r"^PUT .*/job/"),
    Point("project_tasks_in_the_erp", "netsuite", r"^PUT .*/projectTask/"),
    Point("contract_in_the_erp", "netsuite", r"^PUT .*/salesOrder/"),
    Point("billing_schedule_in_the_erp", "netsuite", r"^PUT .*/billingSchedule/"),
    Point("write_back_to_the_crm", "salesforce", r"^PATCH /services/data/v[0-9.]+/sobjects/Opportunity/"),
)
UNDER_WAY = tuple(
    Point(act, "kantata", route, kind=FaultKind.LATENCY)
    for act, route in (
        ("project", r"^POST .*/workspaces"),
        ("workstreams", r"^POST .*/stories"),
        ("billing_milestones", r"^POST .*/billing_milestones"),
    )
)


LOCKS = {"taking_in_the_event": "LOCK TABLE inbox", "activating": "LOCK TABLE event_log"}
_survivors: list[LittleDeal] = []


@asynccontextmanager
async def _won(shift: Shift, *names: str) -> AsyncGenerator[list[LittleDeal]]:
    """Deals to be won within; afterwards they must be set up, once."""
    deals = [LittleDeal(f"KILL-{name.upper()}") for name in names]
    before = await shift.auditor.count()
    yield deals
    await shift.until_active(*deals)
    await shift.auditor.assert_set_up_once(deals, before)
    _survivors.extend(deals)


@pytest.mark.parametrize("point", POINTS, ids=[point.act for point in POINTS])
async def test_a_deal_is_set_up_once_when_the_process_tier_dies_at(point: Point, shift: Shift) -> None:
    async with _won(shift, point.act) as deals:
        await shift.kill_at(["process"], [point], lambda: shift.win(*deals))


@pytest.mark.parametrize("doing", LOCKS)
async def test_a_deal_is_set_up_once_when_the_process_tier_dies_while(doing: str, shift: Shift) -> None:
    async with _won(shift, doing) as deals:
        await shift.kill_while_held_up(f"{LOCKS[doing]} IN EXCLUSIVE MODE", lambda: shift.win(*deals))


async def test_what_a_vendor_is_still_about_to_do_is_not_done_again_beside_it(shift: Shift) -> None:
    async with _won(shift, *(f"{point.act}_under_way" for point in UNDER_WAY)) as deals:
        await shift.kill_at(["process"], UNDER_WAY, lambda: shift.win(*deals), seconds=shift.long_enough())


async def test_a_deal_is_set_up_once_when_the_process_tier_dies_waiting_for_approval(shift: Shift) -> None:
    async with _won(shift, "waiting_for_approval") as deals:
        await shift.win(*deals)
        await shift.until("two approvals are asked for", lambda: _asked(shift))
        shift.house.kill("process")
        await shift.restart("process")
        assert await _asked(shift)


async def test_a_deal_is_set_up_once_when_the_process_tier_dies_just_approved(shift: Shift) -> None:
    async with _won(shift, "just_approved") as deals:
        await shift.win(*deals)
        await shift.until("two approvals are asked for", lambda: _asked(shift))
        assert await shift.desk.approve_deals() == 2
        shift.house.kill("process")
        await shift.restart("process")


async def test_all_deals_that_survived_are_billed_once(shift: Shift) -> None:
    assert _survivors
    await shift.book(*_survivors)
    before = await shift.auditor.count()
    await shift.desk.start_billing()
    await shift.until_billed(*_survivors)
    await shift.auditor.assert_billed_once(_survivors, before)


async def _asked(shift: Shift) -> bool:
    """Delivery and finance are asked about the one deal that waits."""
    delivery = await shift.desk.dan.all("/pmo/v1/approvals", status="open", kind="delivery")
    finance = await shift.desk.fiona.all("/finance/v1/approvals", status="open", kind="finance")
    return len(delivery) == len(finance) == 1
