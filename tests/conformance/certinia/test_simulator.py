"""The package in the sandbox's org refuses, completes and counts as its metadata and documents say, on the raw wire."""

from __future__ import annotations

from datetime import date
from typing import Any

import httpx
import pytest

from deploy.sandbox.certinia import simulator
from deploy.sandbox.certinia.words import BATCH, EVENT, EXPENSE, HEADER, ITEM, MILESTONE, PROJECT, REPORT, SPLIT
from deploy.sandbox.kit.firm import WireRefused
from deploy.sandbox.salesforce.session import API, SalesforceSession
from deploy.sandbox.salesforce.simulator import CONNECTOR_CLIENT
from tests.conformance.certinia.conftest import Org

TUESDAY = date(2026, 2, 3)
RULE = "FIELD_CUSTOM_VALIDATION_EXCEPTION"
CODE = "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"


@pytest.fixture
async def ref(org: Org) -> str:
    return (await org.project()).source.ref


async def test_the_error_names_the_field_of_its_rule(org: Org, ref: str) -> None:
    card = await org.hands.card(ref, {TUESDAY: 8}, approved=False)
    told = await org.hands.refused(HEADER, card, pse__Billed__c=True)
    assert told.startswith(f"PATCH {API}/sobjects/{HEADER}/{card}: 400")
    assert f'"errorCode":"{RULE}"' in told
    assert '"fields":["pse__Billed__c"]' in told


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"pse__End_Date__c": "2026-02-08"}, "one week"),
        ({"pse__Monday_Hours__c": 24.5}, "24 hours"),
        ({"pse__Submitted__c": False, "pse__Approved__c": True}, "submission"),
        ({"pse__Billed__c": True}, "inclusion in financials"),
        ({"pse__Time_Credited__c": True}, "credited"),
        ({"pse__Project__c": None}, "required"),
        ({"pse__Assignment__c": None}, "needs an assignment"),
    ],
)
async def test_rules_of_timecards(org: Org, ref: str, change: dict[str, Any], part: str) -> None:
    card = await org.hands.card(ref, {TUESDAY: 8}, approved=False)
    told = await org.hands.refused(HEADER, card, **change)
    assert RULE in told
    assert part in told


async def test_a_timecards_project_and_resource_are_constant_but_for_an_audited_edit(org: Org, ref: str) -> None:
    card = await org.hands.card(ref, {TUESDAY: 8}, approved=False)
    other = await org.hands.person("8")
    assert "may not be changed" in await org.hands.refused(HEADER, card, pse__Resource__c=other)
    assignment = await org.hands.assignment(ref, other)
    await org.hands.patch(
        HEADER,
        card,
        pse__Resource__c=other,
        pse__Assignment__c=assignment,
        pse__Admin_Global_Edit__c=True,
        pse__Audit_Notes__c="booked for the wrong person",
    )


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"pse__Invoiced__c": True}, "billed before"),
        ({"pse__Invoice_Number__c": "1"}, "need Invoiced"),
        ({"pse__Invoice_Date__c": "2026-02-28"}, "need Invoiced"),
    ],
)
@pytest.mark.parametrize("sobject", [SPLIT, MILESTONE, EXPENSE])
async def test_billed_comes_before_invoiced_and_number_not_without_flag(
    org: Org, ref: str, sobject: str, change: dict[str, Any], part: str
) -> None:
    await org.hands.card(ref, {TUESDAY: 8})
    await org.hands.expense(ref)
    await org.hands.complete("mil_1-1")
    row = await org.hands.ask(f"SELECT Id FROM {sobject} WHERE pse__Approved__c = TRUE")
    assert part in await org.hands.refused(sobject, row[0]["Id"], **change)
    both = {"pse__Billed__c": True, "pse__Bill_Date__c": "2026-02-28"}
    invoiced = {"pse__Invoiced__c": True, "pse__Invoice_Number__c": "1", "pse__Invoice_Date__c": "2026-02-28"}
    await org.hands.patch(sobject, row[0]["Id"], **both, **invoiced)
    with pytest.raises(WireRefused, match=CODE):
        await org.hands.wire.call("DELETE", f"{API}/sobjects/{sobject}/{row[0]['Id']}")


async def test_nobody_makes_splits_by_hand(org: Org, ref: str) -> None:
    card = await org.hands.card(ref, {TUESDAY: 8})
    assert CODE in await org.hands.refused(SPLIT, pse__Timecard_Header__c=card, pse__Project__c=ref)


async def test_splits_follow_their_header(org: Org, ref: str) -> None:
    card = await org.hands.card(ref, {TUESDAY: 8})
    shown = f"SELECT pse__Approved__c, pse__Status__c, pse__Total_Hours__c, pse__Tuesday_Notes__c FROM {SPLIT}"
    row = await org.hands.one(shown)
    assert (row["pse__Approved__c"], row["pse__Status__c"], row["pse__Total_Hours__c"]) == (True, "Approved", 8)
    await org.hands.patch(HEADER, card, pse__Tuesday_Hours__c=4, pse__Tuesday_Notes__c="Half a day")
    row = await org.hands.one(shown)
    assert (row["pse__Total_Hours__c"], row["pse__Tuesday_Notes__c"]) == (4, "Half a day")
    await org.hands.wire.call("DELETE", f"{API}/sobjects/{HEADER}/{card}")
    assert await org.hands.count(SPLIT) == 0


async def test_an_approval_process_locks_the_row_for_all_but_administrators(org: Org, ref: str) -> None:
    card = await org.hands.card(ref, {TUESDAY: 8}, approved=False)
    step = {"requests": [{"actionType": "Submit", "contextId": card}]}
    (submitted,) = await org.hands.wire.call("POST", f"{API}/process/approvals", step)
    assert submitted["instanceStatus"] == "Pending"
    async with httpx.AsyncClient(trust_env=False) as http:
        known = {"client_id": CONNECTOR_CLIENT.client_id, "client_secret": CONNECTOR_CLIENT.secret}
        other = SalesforceSession(org.sandbox.base_url, http, **known)
        with pytest.raises(WireRefused, match="ENTITY_IS_LOCKED"):
            await other.call("PATCH", f"{API}/sobjects/{HEADER}/{card}", {"pse__Tuesday_Hours__c": 1})
    with pytest.raises(WireRefused, match="ALREADY_IN_PROCESS"):
        await org.hands.wire.call("POST", f"{API}/process/approvals", step)
    approve = {"requests": [{"actionType": "Approve", "contextId": submitted["newWorkitemIds"][0]}]}
    (approved,) = await org.hands.wire.call("POST", f"{API}/process/approvals", approve)
    assert (approved["instanceStatus"], approved["entityId"]) == ("Approved", card)
    flags = "pse__Status__c, pse__Approved__c, pse__Include_In_Financials__c"
    row = await org.hands.one(f"SELECT {flags} FROM {HEADER}")
    assert [row[name] for name in flags.split(", ")] == ["Approved", True, True]


async def test_a_project_that_is_closed_takes_no_time(org: Org, ref: str) -> None:
    assignment = await org.hands.assignment(ref, await org.hands.person())
    await org.connector.close_project("prj_1")
    with pytest.raises(WireRefused, match="not open for time entry"):
        await org.hands.card(ref, {TUESDAY: 8}, assignment=assignment)


async def test_billing_events_go_from_item_to_release_to_invoice(org: Org, ref: str) -> None:
    card = await org.hands.card(ref, {TUESDAY: 8})
    split = (await org.hands.one(f"SELECT Id FROM {SPLIT}"))["Id"]
    batch = await org.hands.make(BATCH, Name="February", pse__Batch_Key__c="b-1")
    event = await org.hands.make(EVENT, pse__Event_Key__c="e-1", pse__Project__c=ref, pse__Billing_Event_Batch__c=batch)
    wrong = {"pse__Billing_Event__c": event, "pse__Object_Id__c": card, "pse__Timecard_Split__c": split}
    assert CODE in await org.hands.refused(ITEM, **wrong)
    item = await org.hands.make(ITEM, **{**wrong, "pse__Object_Id__c": split})
    shown = f"SELECT pse__Billing_Event_Item__c, pse__Eligible_for_Billing__c, pse__Billed__c FROM {SPLIT}"
    row = await org.hands.one(shown)
    assert (row["pse__Billing_Event_Item__c"], row["pse__Eligible_for_Billing__c"]) == (item, "No")
    invoiced = {"pse__Invoiced__c": True, "pse__Invoice_Number__c": "1", "pse__Invoice_Date__c": "2026-02-28"}
    assert "released before" in await org.hands.refused(EVENT, event, **invoiced)
    assert "need Invoiced" in await org.hands.refused(EVENT, event, pse__Invoice_Number__c="1")
    await org.hands.patch(BATCH, batch, pse__Is_Released__c=True)
    assert (await org.hands.one(shown))["pse__Billed__c"] is True
    assert "stays released" in await org.hands.refused(EVENT, event, pse__Is_Released__c=False)
    await org.hands.patch(EVENT, event, **invoiced)
    row = await org.hands.one(f"SELECT pse__Invoice_Number__c, pse__Billing_Event_Status__c FROM {SPLIT}")
    assert (row["pse__Invoice_Number__c"], row["pse__Billing_Event_Status__c"]) == ("1", "Released")
    with pytest.raises(WireRefused, match="not deleted"):
        await org.hands.wire.call("DELETE", f"{API}/sobjects/{EVENT}/{event}")


async def test_a_formula_changes_without_a_stamp(org: Org, ref: str) -> None:
    await org.hands.card(ref, {TUESDAY: 8})
    shown = f"SELECT SystemModstamp, pse__Eligible_for_Billing__c FROM {SPLIT}"
    before = await org.hands.one(shown)
    await org.hands.patch(PROJECT, ref, pse__Exclude_From_Billing__c=True)
    after = await org.hands.one(shown)
    assert before["SystemModstamp"] == after["SystemModstamp"]
    assert (before["pse__Eligible_for_Billing__c"], after["pse__Eligible_for_Billing__c"]) == ("Yes", "No")
    eligible = f"{SPLIT} WHERE pse__Eligible_for_Billing__c = 'Yes'"
    assert await org.hands.count(eligible) == 0
    told = await org.hands.refused(
        SPLIT, (await org.hands.one(f"SELECT Id FROM {SPLIT}"))["Id"], pse__Eligible_for_Billing__c="Yes"
    )
    assert "INVALID_FIELD_FOR_INSERT_UPDATE" in told


async def test_amounts_are_hours_or_days_at_the_rate(org: Org, ref: str) -> None:
    card = await org.hands.card(ref, {TUESDAY: 7.5}, pse__Bill_Rate__c=100.5)
    shown = f"SELECT pse__Total_Hours__c, pse__Total_Billable_Amount__c FROM {HEADER}"
    assert (await org.hands.one(shown))["pse__Total_Billable_Amount__c"] == 753.75
    await org.hands.patch(HEADER, card, pse__Daily_Bill_Rate__c=True)
    assert (await org.hands.one(shown))["pse__Total_Billable_Amount__c"] == 100.5
    assert (await org.hands.one(shown))["pse__Total_Hours__c"] == 7.5


async def test_assignments_need_an_active_resource_and_a_rate(org: Org, ref: str) -> None:
    person = await org.hands.person()
    about = {"Name": "A", "pse__Project__c": ref, "pse__Resource__c": person, "CurrencyIsoCode": "EUR"}
    assert "bill rate" in await org.hands.refused("pse__Assignment__c", **about)
    assert "zero" in await org.hands.refused("pse__Assignment__c", **about, pse__Bill_Rate__c=5)
    await org.hands.patch("Contact", person, pse__Is_Resource_Active__c=False)
    assert "active resource" in await org.hands.refused("pse__Assignment__c", **about, pse__Bill_Rate__c=0)


async def test_an_expense_line_needs_its_report_before_it_counts(org: Org, ref: str) -> None:
    lone = await org.hands.make(
        EXPENSE,
        pse__Project__c=ref,
        pse__Resource__c=await org.hands.person(),
        pse__Amount__c=5,
        pse__Expense_Date__c="2026-02-03",
    )
    assert "expense report" in await org.hands.refused(EXPENSE, lone, pse__Submitted__c=True)
    assert await org.hands.count(REPORT) == 0


async def test_the_currency_of_a_project_is_constant(org: Org, ref: str) -> None:
    assert "constant" in await org.hands.refused(PROJECT, ref, CurrencyIsoCode="USD")


async def test_a_copy_shifts_days_keeps_the_tree_and_bills_nothing(org: Org) -> None:
    template = await org.hands.make(
        PROJECT, Name="Own", CurrencyIsoCode="EUR", pse__Is_Template__c=True, pse__Start_Date__c="2026-01-05"
    )
    reached = {"pse__Actual_Date__c": "2026-01-20", "pse__Milestone_Amount__c": 10, "pse__Target_Date__c": "2026-01-12"}
    await org.hands.make(MILESTONE, Name="M", pse__Project__c=template, Throughline_Id__c="own", **reached)
    above = await org.hands.make("pse__Project_Task__c", Name="Above", pse__Project__c=template)
    await org.hands.make("pse__Project_Task__c", Name="Below", pse__Project__c=template, pse__Parent_Task__c=above)
    account = await org.hands.make("Account", Name="Customer")
    deal = await org.hands.make(
        "Opportunity", Name="Deal", StageName="Closed Won", CloseDate="2026-02-01", AccountId=account
    )
    org.switch(copy_is_queued=False)
    inputs = {"OpportunityId": deal, "TemplateProjectId": template, "StartDate": "2026-02-02"}
    path = f"{API}/actions/custom/apex/pse__ActionCPFTOpportunities"
    (result,) = await org.hands.wire.call("POST", path, {"inputs": [inputs]})
    made = result["outputValues"]["NewProjectId"]
    assert (result["isSuccess"], result["outputValues"]["QueuedJobId"]) == (True, None)
    milestone = await org.hands.one(
        f"SELECT pse__Target_Date__c, pse__Actual_Date__c, Throughline_Id__c FROM {MILESTONE}"
        f" WHERE pse__Project__c = '{made}'"
    )
    assert (milestone["pse__Target_Date__c"], milestone["pse__Actual_Date__c"]) == ("2026-02-09", None)
    assert milestone["Throughline_Id__c"] is None
    below = await org.hands.one(
        f"SELECT pse__Parent_Task__r.Name FROM pse__Project_Task__c WHERE pse__Project__c = '{made}' AND Name = 'Below'"
    )
    assert below["pse__Parent_Task__r"]["Name"] == "Above"
    project = await org.hands.one(f"SELECT pse__Account__c, pse__Opportunity__c FROM {PROJECT} WHERE Id = '{made}'")
    assert (project["pse__Account__c"], project["pse__Opportunity__c"]) == (account, deal)
    assert (await org.hands.one("SELECT pse__Primary_Project__c FROM Opportunity"))["pse__Primary_Project__c"] == made
    with pytest.raises(WireRefused, match="REQUIRED_FIELD_MISSING"):
        await org.hands.wire.call("POST", path, {"inputs": [{"OpportunityId": deal}]})
    listed = await org.hands.wire.call("GET", f"{API}/actions/custom/apex")
    assert "pse__ActionCPFTAccounts" in {one["name"] for one in listed["actions"]}


def test_a_switch_that_is_not_there_is_refused() -> None:
    made = simulator()
    assert made.configure is not None
    with pytest.raises(ValueError, match="weather"):
        made.configure({"weather": "fair"})
