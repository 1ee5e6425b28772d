"""Time, expenses and milestones as the package counts them: header and splits, eligibility, days that were emptied."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from deploy.sandbox.certinia.words import EXPENSE, HEADER, MILESTONE, PROJECT, SPLIT
from shared.canonical.money import Money
from shared.canonical.time import TimeEntry
from shared.errors.taxonomy import InvalidRequest, VendorDrift
from system_apis.connectors.certinia.mapping import to_time_entries
from system_apis.connectors.certinia.payloads import TimecardPayload
from tests.conformance.certinia.conftest import Org
from tests.conformance.certinia.orgs import binding
from tests.conformance.psa_firm import read_whole

SATURDAY, SUNDAY, TUESDAY = date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 3)


async def entries(org: Org, since: datetime | None = None) -> dict[date, TimeEntry]:
    return {one.work_on: one for one in await read_whole(org.connector.list_time_entries, since=since)}


async def test_a_week_across_two_months_stands_in_two_splits_and_comes_by_the_day(org: Org) -> None:
    ref = (await org.project()).source.ref
    phase = (await org.connector.find_project("prj_1")).workstreams[1].ref  # type: ignore[union-attr] # made above
    person = await org.hands.person()
    first, last = date(2026, 3, 31), date(2026, 4, 1)
    card = await org.hands.card(
        ref,
        {first: 7.25, last: 0.05},
        person=person,
        assignment=await org.hands.assignment(ref, person, "Architect"),
        pse__Project_Phase_Object__c=phase,
        pse__Tuesday_Notes__c="Interviews",
        Tuesday_Reference__c="E-1",
    )
    splits = await org.hands.ask(
        f"SELECT pse__Start_Date__c, pse__Total_Hours__c FROM {SPLIT} ORDER BY pse__Start_Date__c"
    )
    assert [(s["pse__Start_Date__c"], s["pse__Total_Hours__c"]) for s in splits] == [
        ("2026-03-29", 7.25),
        ("2026-04-01", 0.05),
    ]
    seen = await entries(org)
    assert set(seen) == {first, last}
    booked = seen[first]
    assert (booked.hours, booked.role, booked.resource_name) == (Decimal("7.25"), "Architect", "Ada")
    assert (booked.project_id, booked.workstream_id) == ("prj_1", "wks_1-2")
    assert (booked.reference, booked.notes) == ("E-1", "Interviews")
    assert (booked.is_billable, booked.is_approved, booked.is_billed) == (True, True, False)
    assert seen[last].hours == Decimal("0.05")
    assert seen[last].source.ref == f"{card}:2026-04-01"
    assert seen[last].reference.startswith("TCH-")
    assert {one.source.ref for one in seen.values()} == {f"{card}:2026-03-31", f"{card}:2026-04-01"}


async def test_the_role_is_the_assignments_else_the_persons_else_unknown(org: Org) -> None:
    ref = (await org.project()).source.ref
    await org.hands.card(ref, {TUESDAY: 1})
    assert (await entries(org))[TUESDAY].role == "Engineer"
    ben = await org.hands.person("8")
    wednesday = TUESDAY + timedelta(days=1)
    await org.hands.card(ref, {wednesday: 1}, person=ben)
    assert (await entries(org))[wednesday].role is None


@pytest.mark.parametrize(
    ("sobject", "change", "billable", "approved"),
    [
        (HEADER, {"pse__Billable__c": False}, False, True),
        (HEADER, {"pse__Exclude_from_Billing__c": True}, False, True),
        (HEADER, {"pse__Include_In_Financials__c": False}, True, False),
        (SPLIT, {"pse__Billing_Hold__c": True}, True, False),
        (SPLIT, {"pse__Exclude_from_Billing__c": True}, False, True),
        (PROJECT, {"pse__Exclude_From_Billing__c": True}, False, True),
        (PROJECT, {"pse__Account__c": None}, False, True),
    ],
)
async def test_what_the_package_would_not_bill_is_not_billable_or_not_approved(
    org: Org, sobject: str, change: dict[str, object], *, billable: bool, approved: bool
) -> None:
    """Ours agrees with the package's own formula, and a change of a project alone makes another version."""
    ref = (await org.project()).source.ref
    card = await org.hands.card(ref, {TUESDAY: 8})
    before = (await entries(org))[TUESDAY]
    split = await org.hands.one(f"SELECT Id, pse__Eligible_for_Billing__c FROM {SPLIT}")
    assert split["pse__Eligible_for_Billing__c"] == "Yes"
    row = {HEADER: card, SPLIT: split["Id"], PROJECT: ref}[sobject]
    await org.hands.patch(sobject, row, **change)
    formula = f"SELECT pse__Eligible_for_Billing__c FROM {SPLIT}"
    assert (await org.hands.one(formula))["pse__Eligible_for_Billing__c"] == "No"
    after = (await entries(org))[TUESDAY]
    assert (after.is_billable, after.is_approved) == (billable, approved)
    assert after.source.version != before.source.version


async def test_submitted_time_is_told_and_not_approved(org: Org) -> None:
    ref = (await org.project()).source.ref
    card = await org.hands.card(ref, {TUESDAY: 8}, approved=False)
    assert (await entries(org))[TUESDAY].is_approved is False
    await org.hands.patch(HEADER, card, pse__Status__c="Submitted", pse__Submitted__c=True)
    assert (await entries(org))[TUESDAY].is_approved is False
    await org.hands.approve([card])
    assert (await entries(org))[TUESDAY].is_approved is True


async def test_a_day_that_is_emptied_is_told_with_no_hours_to_who_may_have_seen_it(org: Org) -> None:
    ref = (await org.project()).source.ref
    card = await org.hands.card(ref, {SUNDAY: 2, TUESDAY: 8})
    booked = await entries(org)
    assert set(booked) == {SUNDAY, TUESDAY}
    seen = booked[TUESDAY].source.modified_at
    assert seen
    await org.hands.patch(HEADER, card, pse__Sunday_Hours__c=0)
    assert set(await entries(org)) == {TUESDAY}
    told = await entries(org, seen + timedelta(milliseconds=1))
    assert told[SUNDAY].hours == 0
    assert (told[SUNDAY].is_billable, told[TUESDAY].is_billable) == (False, True)
    assert told[SUNDAY].source.ref == f"{card}:2026-02-01"


async def test_hours_keep_their_id_when_the_package_splits_anew(org: Org) -> None:
    ref = (await org.project()).source.ref
    card = await org.hands.card(ref, {date(2026, 3, 31): 8}, approved=False)
    first = (await entries(org))[date(2026, 3, 31)]
    await org.hands.patch(HEADER, card, pse__Tuesday_Hours__c=0, pse__Wednesday_Hours__c=3)
    await org.hands.patch(HEADER, card, pse__Tuesday_Hours__c=6)
    again = (await entries(org))[date(2026, 3, 31)]
    assert (again.id, again.hours) == (first.id, 6)


async def test_projects_that_are_not_ours_are_left_alone(org: Org) -> None:
    await org.project()
    other = await org.hands.make(
        PROJECT,
        Name="Elsewhere",
        pse__Is_Active__c=True,
        pse__Is_Billable__c=True,
        pse__Allow_Timecards_Without_Assignment__c=True,
    )
    await org.hands.card(other, {TUESDAY: 8}, assignment=await org.hands.assignment(other, await org.hands.person()))
    await org.hands.expense(other)
    assert await entries(org) == {}
    assert await read_whole(org.connector.list_expenses) == []
    hints = await org.connector.list_changes(None)
    assert {hint.entity for hint in hints} == {"milestone"}


async def test_a_timecard_with_more_days_than_a_page_holds_is_told_in_parts(org: Org) -> None:
    ref = (await org.project()).source.ref
    days = [SUNDAY + timedelta(days=n) for n in range(7)]
    await org.hands.card(ref, dict.fromkeys(days, 1))
    found = await read_whole(org.connector.list_time_entries, limit=3)
    assert [one.work_on for one in found] == days
    first = await org.connector.list_time_entries(modified_since=None, cursor=None, limit=3)
    await org.hands.patch(HEADER, (await org.hands.one(f"SELECT Id FROM {HEADER}"))["Id"], Work_Role__c="Changed")
    rest = await org.connector.list_time_entries(modified_since=None, cursor=first.next_cursor, limit=50)
    assert [one.work_on for one in rest.items] == days
    with pytest.raises(InvalidRequest):
        await org.connector.list_time_entries(modified_since=None, cursor="bm9uc2Vuc2U", limit=3)


async def test_an_expense_is_told_in_what_the_customer_is_billed(org: Org) -> None:
    ref = (await org.project()).source.ref
    row = await org.hands.expense(ref, pse__Mobile_Expense_Reference_ID__c="X-1")
    (expense,) = await read_whole(org.connector.list_expenses)
    assert expense.amount == Money.of("84.20", "EUR")
    assert (expense.reference, expense.category, expense.spent_on) == ("X-1", "Taxi", TUESDAY)
    assert (expense.is_approved, expense.is_billable, expense.is_billed) == (True, True, False)
    await org.hands.patch(EXPENSE, row, pse__Billing_Hold__c=True)
    (held,) = await read_whole(org.connector.list_expenses)
    assert held.is_approved is False


async def test_an_amount_with_more_digits_than_its_currency_knows_is_drift(org: Org) -> None:
    ref = (await org.project()).source.ref
    await org.hands.expense(ref, pse__Billing_Amount__c=10.5, pse__Billing_Currency__c="JPY")
    with pytest.raises(VendorDrift, match="amount"):
        await read_whole(org.connector.list_expenses)


async def test_a_milestone_is_told_once_it_is_reached_and_approved_with_its_flags(org: Org) -> None:
    project = await org.project()
    assert await read_whole(org.connector.list_milestones) == []
    await org.hands.patch(MILESTONE, project.milestones[1].ref, pse__Actual_Date__c="2026-02-10")
    (reached,) = await read_whole(org.connector.list_milestones)
    assert (reached.reference, reached.completed_on, reached.is_approved) == ("OPP1-M2", date(2026, 2, 10), False)
    await org.hands.complete("mil_1-2", "2026-02-11")
    (approved,) = await read_whole(org.connector.list_milestones)
    assert (approved.milestone_id, approved.completed_on, approved.is_approved) == ("mil_1-2", date(2026, 2, 11), True)
    await org.hands.patch(MILESTONE, project.milestones[1].ref, pse__Billing_Hold__c=True)
    (held,) = await read_whole(org.connector.list_milestones)
    assert held.is_approved is False


def test_hours_outside_of_a_splits_days_are_drift() -> None:
    """Hours that no day of the split covers would be billed to nobody."""
    split = {
        **{f"pse__{day}_Hours__c": 0 for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")},
        **{f"pse__{day}_Notes__c": None for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")},
        **{f"pse__{day}_Notes__c": None for day in ("Saturday", "Sunday")},
        **dict.fromkeys(("pse__Approved__c", "pse__Include_In_Financials__c", "pse__Billable__c"), True),
        **dict.fromkeys(("pse__Billing_Hold__c", "pse__Exclude_from_Billing__c", "pse__Billed__c"), False),
        **dict.fromkeys(("pse__Bill_Date__c", "pse__Invoice_Number__c", "pse__Invoice_Date__c")),
        "Id": "a0V1",
        "SystemModstamp": "2026-02-03T10:00:00Z",
        "pse__Invoiced__c": False,
        "pse__Billing_Event_Item__c": None,
        "pse__Sunday_Hours__c": 4,
        "pse__Start_Date__c": "2026-03-30",
        "pse__End_Date__c": "2026-03-31",
    }
    card = {
        **{f"{day}_Reference__c": None for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")},
        **{f"{day}_Reference__c": None for day in ("Saturday", "Sunday")},
        "Id": "a0U1",
        "SystemModstamp": "2026-02-03T10:00:00Z",
        "CreatedDate": "2026-02-03T10:00:00Z",
        "Name": "TCH-1",
        "pse__Resource__c": "003",
        "pse__Resource__r": None,
        "pse__Assignment__r": None,
        "pse__Project_Phase_Object__r": None,
        "pse__Start_Date__c": "2026-03-29",
        "pse__End_Date__c": "2026-04-04",
        "pse__Project__r": {
            "Throughline_Id__c": "prj_1",
            "pse__Account__c": "001",
            "pse__Exclude_From_Billing__c": False,
        },
        "pse__TimecardSplits__r": {"records": [split]},
    }
    with pytest.raises(VendorDrift, match="outside of its days"):
        to_time_entries(TimecardPayload.model_validate(card), binding("http://unused"), {}, with_emptied=False)
