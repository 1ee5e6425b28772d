"""Billing marks: event, release, invoice in the package's order; parts of a timecard; locks; cuts at every step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from deploy.sandbox.certinia.words import EVENT, EXPENSE, HEADER, ITEM, MILESTONE, SPLIT
from deploy.sandbox.kit.faults import FaultKind
from shared.canonical.billing import BillingMark
from shared.errors.taxonomy import NotFound, OutcomeUnknown, ScopeMissing, VendorRejected
from system_apis.connectors.certinia.mapping import entry_ref
from tests.conformance.certinia.conftest import Org
from tests.conformance.psa_firm import read_whole

TUESDAY, WEDNESDAY = date(2026, 2, 3), date(2026, 2, 4)
OTHERWISE = {"item_marks_source": False, "release_bills": False, "event_copies_down": False}
FLAGS = "pse__Billed__c, pse__Bill_Date__c, pse__Invoiced__c, pse__Invoice_Number__c, pse__Invoice_Date__c"
INVOICED = (True, "2026-02-28", True, "48213", "2026-02-28")


def mark(entries: Sequence[str] = (), **given: Any) -> BillingMark:
    about = {"invoice_id": "inv_1", "invoice_ref": "48213", "project_id": "prj_1", "invoice_on": date(2026, 2, 28)}
    return BillingMark(**{**about, "time_entry_refs": tuple(entries), **given})


async def flags(org: Org, sobject: str) -> list[tuple[Any, ...]]:
    return [tuple(row[n] for n in FLAGS.split(", ")) for row in await org.hands.ask(f"SELECT {FLAGS} FROM {sobject}")]


@pytest.mark.parametrize("switches", [{}, OTHERWISE], ids=["documented", "otherwise"])
async def test_time_expenses_and_milestones_end_invoiced_with_the_erps_number(
    org: Org, switches: dict[str, object]
) -> None:
    org.switch(**switches)
    ref = (await org.project()).source.ref
    card = await org.hands.card(ref, {TUESDAY: 8, WEDNESDAY: 6})
    spent = await org.hands.expense(ref)
    reached = await org.hands.complete("mil_1-1")
    whole = mark(
        [entry_ref(card, TUESDAY), entry_ref(card, WEDNESDAY)],
        expense_refs=(spent,),
        milestone_refs=(reached,),
        purchase_order="PO-7",
    )
    written = await org.connector.mark_billed(whole)
    assert written.was_created
    for sobject in (SPLIT, EXPENSE):
        assert await flags(org, sobject) == [INVOICED], sobject
    assert INVOICED in await flags(org, MILESTONE)
    items = await org.hands.ask(
        f"SELECT pse__Category__c, pse__Quantity__c, pse__Amount__c, pse__Description__c FROM {ITEM}"
    )
    assert {row["pse__Category__c"] for row in items} == {"Timecard", "Expense", "Milestone"}
    assert {row["pse__Quantity__c"] for row in items if row["pse__Category__c"] == "Timecard"} == {14}
    assert {row["pse__Amount__c"] for row in items} == {None}  # sums are the ERP's: none is made up
    assert all("PO-7" in row["pse__Description__c"] for row in items)
    event = await org.hands.one(f"SELECT Id, pse__Status__c, pse__Is_Released__c, {FLAGS.split(', ')[2]} FROM {EVENT}")
    assert (event["Id"], event["pse__Is_Released__c"]) == (written.source.ref, True)
    assert await org.connector.find_billing_mark("inv_1") == (await org.connector.mark_billed(whole))
    assert {one.is_billed for one in await read_whole(org.connector.list_time_entries)} == {True}
    assert [one.is_billed for one in await read_whole(org.connector.list_expenses)] == [True]
    assert [one.is_billed for one in await read_whole(org.connector.list_milestones)] == [True]
    header = await org.hands.one(f"SELECT pse__Billed__c, pse__Invoiced__c FROM {HEADER}")
    assert (header["pse__Billed__c"], header["pse__Invoiced__c"]) == (True, True)


async def test_days_over_the_cap_stay_unbilled_and_can_be_billed_later(org: Org) -> None:
    """A split is billed whole or not at all; which of its days are ours is kept with the event's item."""
    ref = (await org.project()).source.ref
    card = await org.hands.card(ref, {TUESDAY: 8, WEDNESDAY: 6})
    await org.connector.mark_billed(mark([entry_ref(card, TUESDAY)]))
    seen = {one.work_on: one.is_billed for one in await read_whole(org.connector.list_time_entries)}
    assert seen == {TUESDAY: True, WEDNESDAY: False}
    later = mark([entry_ref(card, WEDNESDAY)], invoice_id="inv_2", invoice_ref="48300", invoice_on=date(2026, 3, 31))
    assert (await org.connector.mark_billed(later)).was_created
    seen = {one.work_on: one.is_billed for one in await read_whole(org.connector.list_time_entries)}
    assert seen == {TUESDAY: True, WEDNESDAY: True}
    rows = await org.hands.firm.read_invoices()
    assert {(row.invoice_id, row.time_entries) for row in rows} == {("inv_1", 1), ("inv_2", 1)}
    assert await flags(org, SPLIT) == [INVOICED]


async def test_what_the_package_billed_itself_is_billed_whole(org: Org) -> None:
    ref = (await org.project()).source.ref
    await org.hands.card(ref, {TUESDAY: 8, WEDNESDAY: 6})
    split = (await org.hands.one(f"SELECT Id FROM {SPLIT}"))["Id"]
    await org.hands.patch(SPLIT, split, pse__Billed__c=True, pse__Bill_Date__c="2026-02-28")
    assert {one.is_billed for one in await read_whole(org.connector.list_time_entries)} == {True}


@pytest.mark.parametrize("switches", [{}, OTHERWISE], ids=["documented", "otherwise"])
@pytest.mark.parametrize("step", range(6))
@pytest.mark.parametrize("kind", [FaultKind.CUT_AFTER, FaultKind.CUT_BEFORE])
async def test_a_mark_whose_call_is_cut_at_any_step_is_made_once(
    org: Org, kind: FaultKind, step: int, switches: dict[str, object]
) -> None:
    org.switch(**switches)
    ref = (await org.project()).source.ref
    card = await org.hands.card(ref, {TUESDAY: 8})
    whole = mark([entry_ref(card, TUESDAY)])
    struck = org.sandbox.fault(kind, "(POST|PATCH) .*/(sobjects|composite)/", skip=step, times=1)
    written = await org.connector.mark_billed(whole)
    assert written.was_created
    assert org.sandbox.has_struck(struck) or step == 5
    org.sandbox.heal()
    assert not (await org.connector.mark_billed(whole)).was_created
    assert await org.hands.count(EVENT) == await org.hands.count(ITEM) == 1
    assert await flags(org, SPLIT) == [INVOICED]


async def test_a_released_event_that_nobody_invoiced_is_no_mark_and_is_finished(org: Org) -> None:
    ref = (await org.project()).source.ref
    card = await org.hands.card(ref, {TUESDAY: 8})
    org.sandbox.fault(FaultKind.STATUS, f"PATCH .*/sobjects/{EVENT}/", skip=2, times=None)
    with pytest.raises(OutcomeUnknown):
        await org.connector.mark_billed(mark([entry_ref(card, TUESDAY)]))
    org.sandbox.heal()
    assert (await org.hands.one(f"SELECT pse__Is_Released__c FROM {EVENT}"))["pse__Is_Released__c"] is True
    assert await org.connector.find_billing_mark("inv_1") is None
    assert (await org.connector.mark_billed(mark([entry_ref(card, TUESDAY)]))).was_created
    assert await flags(org, SPLIT) == [INVOICED]


async def test_billed_time_is_locked_against_changes(org: Org) -> None:
    ref = (await org.project()).source.ref
    card = await org.hands.card(ref, {TUESDAY: 8})
    await org.connector.mark_billed(mark([entry_ref(card, TUESDAY)]))
    for change in ({"pse__Tuesday_Hours__c": 9}, {"pse__Status__c": "Rejected"}, {"pse__Billable__c": False}):
        told = await org.hands.refused(HEADER, card, **change)
        assert "FIELD_CUSTOM_VALIDATION_EXCEPTION" in told
    split = (await org.hands.one(f"SELECT Id FROM {SPLIT}"))["Id"]
    assert "locked" in await org.hands.refused(SPLIT, split, pse__Bill_Date__c="2026-03-01")
    assert "locked" in await org.hands.refused(SPLIT, split, pse__Invoice_Date__c="2026-03-01")
    await org.hands.patch(
        HEADER, card, pse__Tuesday_Hours__c=9, pse__Admin_Global_Edit__c=True, pse__Audit_Notes__c="customer agreed"
    )
    assert [one.hours for one in await read_whole(org.connector.list_time_entries)] == [9]


async def test_time_that_is_no_longer_approved_cannot_be_billed(org: Org) -> None:
    ref = (await org.project()).source.ref
    card = await org.hands.card(ref, {TUESDAY: 8})
    await org.hands.patch(HEADER, card, pse__Include_In_Financials__c=False)
    with pytest.raises(VendorRejected, match="only approved records"):
        await org.connector.mark_billed(mark([entry_ref(card, TUESDAY)]))
    assert await org.connector.find_billing_mark("inv_1") is None
    assert await org.hands.count(ITEM) == 0


async def test_refs_that_are_not_there_are_not_found_before_anything_is_written(org: Org) -> None:
    ref = (await org.project()).source.ref
    card = await org.hands.card(ref, {TUESDAY: 8})
    for wrong in ("nonsense", entry_ref(card, TUESDAY + timedelta(days=60)), entry_ref("a0UHb0000000999MAA", TUESDAY)):
        with pytest.raises(NotFound):
            await org.connector.mark_billed(mark([wrong]))
    with pytest.raises(NotFound):
        await org.connector.mark_billed(mark(milestone_refs=("a0MHb0000000999MAA",)))
    with pytest.raises(NotFound):
        await org.connector.mark_billed(mark([entry_ref(card, TUESDAY)], project_id="prj_9"))
    assert await org.hands.count(EVENT) == 0


async def test_a_user_without_permission_control_is_told_as_a_missing_permission(org: Org) -> None:
    ref = (await org.project()).source.ref
    card = await org.hands.card(ref, {TUESDAY: 8})
    org.switch(needs_permission_control=True)
    with pytest.raises(ScopeMissing, match="permission control"):
        await org.connector.mark_billed(mark([entry_ref(card, TUESDAY)]))
    user = (await org.hands.one("SELECT Id FROM User WHERE FirstName = 'Integration'"))["Id"]
    await org.hands.make("pse__Permission_Control__c", pse__User__c=user, pse__Billing__c=True, pse__Invoicing__c=True)
    assert (await org.connector.mark_billed(mark([entry_ref(card, TUESDAY)]))).was_created


async def test_many_records_are_told_in_lists(org: Org) -> None:
    ref = (await org.project()).source.ref
    person = await org.hands.person()
    assignment = await org.hands.assignment(ref, person)
    days = [TUESDAY + timedelta(weeks=week) for week in range(60)]
    cards = [await org.hands.card(ref, {day: 1}, person=person, assignment=assignment) for day in days]
    await org.connector.mark_billed(mark([entry_ref(card, day) for card, day in zip(cards, days, strict=True)]))
    assert await org.hands.count(f"{SPLIT} WHERE pse__Invoiced__c = TRUE") == 60
    assert org.sandbox.calls(f"PATCH .*/composite/sobjects/{ITEM}/") == 2
