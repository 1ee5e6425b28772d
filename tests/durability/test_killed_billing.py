"""The process tier is killed between a vendor's deed and our record of it, from the hours to the payment."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from deploy.sandbox.kit.faults import FaultKind
from tests.durability.shift import Point, Shift
from tests.factories.little_deals import LittleDeal

POINTS = (
    Point("collecting_time", "kantata", r"^GET .*/time_entries\?.*updated_at(:|%3A)asc"),
    Point("collecting_milestones", "kantata", r"^GET .*/stories\?.*updated_at(:|%3A)asc"),
    Point("posting_the_invoice", "netsuite", r"^PUT .*/invoice/"),
    Point("marking_as_billed", "kantata", r"^POST .*/invoices"),
    Point("invoice_status_in_the_crm", "salesforce", r"^PATCH .*/sobjects/Invoice_Status__c/"),
)
UNDER_WAY = (
    Point("posting", "netsuite", r"^PUT .*/invoice/", kind=FaultKind.LATENCY),
    Point("marking", "kantata", r"^POST .*/invoices", kind=FaultKind.LATENCY),
)
LOCKS = {
    "rating": "SELECT pg_advisory_xact_lock(hashtextextended('billing:harbour', 0))",
    "drafting": "LOCK TABLE invoice_lines IN EXCLUSIVE MODE",
}
PAYMENT = Point("payment_status_in_the_crm", "salesforce", r"^PATCH .*/sobjects/Invoice_Status__c/")
NAMES = [
    *(point.act for point in POINTS),
    *LOCKS,
    "under_way",
    "waiting_for_approval",
    "just_approved",
    PAYMENT.act,
]
_set_up: set[int] = set()


@pytest.fixture
async def active(shift: Shift) -> Shift:
    """All deals of this module are active; each test bills its own."""
    if id(shift.house) not in _set_up:
        deals = [_deal(name) for name in NAMES]
        await shift.win(*deals)
        await shift.until_active(*deals)
        _set_up.add(id(shift.house))
    return shift


def _deal(name: str) -> LittleDeal:
    return LittleDeal(f"BILL-{name.upper()}")


@asynccontextmanager
async def _booked(shift: Shift, name: str) -> AsyncGenerator[tuple[LittleDeal, Counter[str]]]:
    """The deal's work is booked; afterwards it must be billed, once."""
    deal = _deal(name)
    await shift.book(deal)
    before = await shift.auditor.count()
    yield deal, before
    await shift.until_billed(deal)
    await shift.auditor.assert_billed_once([deal], before)


@pytest.mark.parametrize("point", POINTS, ids=[point.act for point in POINTS])
async def test_work_is_billed_once_when_the_process_tier_dies_at(point: Point, active: Shift) -> None:
    async with _booked(active, point.act):
        await active.kill_at(["process"], [point], active.desk.start_billing)


async def test_what_a_vendor_is_still_about_to_do_is_not_billed_again_beside_it(active: Shift) -> None:
    async with _booked(active, "under_way"):
        await active.kill_at(["process"], UNDER_WAY, active.desk.start_billing, seconds=active.long_enough())


@pytest.mark.parametrize("doing", LOCKS)
async def test_work_is_billed_once_when_the_process_tier_dies_while(doing: str, active: Shift) -> None:
    async with _booked(active, doing):
        await active.kill_while_held_up(LOCKS[doing], active.desk.start_billing)


async def test_work_is_billed_once_when_the_process_tier_dies_waiting_for_approval(active: Shift) -> None:
    async with _booked(active, "waiting_for_approval"):
        await active.desk.start_billing()
        await active.until("two drafts ask for approval", lambda: _asked(active, 2))
        active.house.kill("process")
        await active.restart("process")
        assert await _asked(active, 2)


async def test_work_is_billed_once_when_the_process_tier_dies_just_approved(active: Shift) -> None:
    async with _booked(active, "just_approved"):
        await active.desk.start_billing()
        await active.until("two drafts ask for approval", lambda: _asked(active, 2))
        assert await active.desk.approve_invoices() == 2
        active.house.kill("process")
        await active.restart("process")


async def test_a_payment_is_applied_once_when_the_process_tier_dies_telling_it(active: Shift) -> None:
    async with _booked(active, PAYMENT.act) as (deal, before):
        await active.desk.start_billing()
        await active.until_billed(deal)
    await active.pay(deal)
    await active.kill_at(["process"], [PAYMENT], active.desk.poll)
    await active.until("the CRM shows the invoices as paid", lambda: active.auditor.is_paid(deal))
    await active.settled()
    payments = Counter({"netsuite customerPayment": 2})
    await active.auditor.assert_billed_once([deal], before + payments, is_paid=True)


async def test_a_second_billing_run_finds_nothing_left_to_bill(active: Shift) -> None:
    before = await active.auditor.count()
    run = await active.desk.start_billing()

    async def has_ended() -> bool:
        return (await active.desk.billing_run(run))["state"] == "drafted"

    await active.until("the run has ended", has_ended)
    assert (await active.desk.billing_run(run))["invoices"] == 0
    assert await active.auditor.count() == before


async def _asked(shift: Shift, number: int) -> bool:
    return len(await shift.desk.fiona.all("/finance/v1/approvals", status="open", kind="invoice")) == number
