"""Projects in Certinia: of a template still being copied, by hand, half-made and found again, closed, reopened."""

from __future__ import annotations

from contextlib import suppress

import pytest

from deploy.sandbox.certinia.words import MILESTONE, PROJECT
from deploy.sandbox.kit.faults import Fault, FaultKind
from shared.errors.taxonomy import DeadlineExceeded, NotFound, OutcomeUnknown, VendorRejected
from system_apis.connectors.certinia.connector import open_connector
from tests.conformance.certinia.conftest import Org
from tests.conformance.certinia.orgs import binding
from tests.conformance.psa_firm import plan

ACTION = "POST .*/actions/custom/apex/pse__ActionCPFTAccounts"
OURS = f"SELECT Id, Name, CurrencyIsoCode, pse__Stage__c, Throughline_Copy_Job__c FROM {PROJECT}"


async def test_a_project_of_a_template_has_its_tasks_and_our_parts(org: Org) -> None:
    project = await org.project()
    row = await org.hands.one(f"{OURS} WHERE Throughline_Id__c = 'prj_1'")
    assert (row["Id"], row["Name"], row["pse__Stage__c"]) == (project.source.ref, "Project 1", "In Progress")
    tasks = await org.hands.ask(f"SELECT Name FROM pse__Project_Task__c WHERE pse__Project__c = '{row['Id']}'")
    assert {task["Name"] for task in tasks} == {"Kick-off", "Delivery", "Hand-over"}
    assert [part.id for part in project.workstreams] == ["wks_1-1", "wks_1-2"]
    assert [part.id for part in project.milestones] == ["mil_1-1", "mil_1-2"]
    milestone = await org.hands.one(
        "SELECT pse__Milestone_Amount__c, CurrencyIsoCode, Workstream__r.Throughline_Id__c FROM pse__Milestone__c"
        " WHERE Throughline_Id__c = 'mil_1-2'"
    )
    assert (milestone["pse__Milestone_Amount__c"], milestone["CurrencyIsoCode"]) == (200, "EUR")
    assert milestone["Workstream__r"]["Throughline_Id__c"] == "wks_1-1"
    assert await org.hands.count("pse__Budget__c WHERE pse__Amount__c = 1234") == 2
    assert await org.connector.find_project("prj_1") == project
    assert await org.connector.create_project(plan()) == project


async def test_a_copy_that_runs_too_long_is_told_and_the_project_found_again(org: Org) -> None:
    org.switch(copy_steps=10_000)
    impatient = open_connector(binding(org.sandbox.base_url, copy_wait_seconds="0.2"))
    try:
        for _ in range(2):
            with pytest.raises(DeadlineExceeded, match="still copying"):
                await impatient.create_project(plan())
    finally:
        await impatient.aclose()
    half = await org.connector.find_project("prj_1")
    assert half is not None
    assert half.workstreams == ()
    job = (await org.hands.one(f"{OURS} WHERE Throughline_Id__c = 'prj_1'"))["Throughline_Copy_Job__c"]
    assert (await org.hands.one(f"SELECT Status FROM AsyncApexJob WHERE Id = '{job}'"))["Status"] == "Queued"
    assert org.sandbox.calls(ACTION) == 1


async def test_a_copy_is_waited_for_and_its_parts_come_after_it(org: Org) -> None:
    org.switch(copy_steps=8)
    project = await org.project()
    assert len(project.workstreams) == 2
    assert await org.hands.count(f"pse__Project_Task__c WHERE pse__Project__c = '{project.source.ref}'") == 3


async def test_a_copy_that_failed_is_told_with_the_orgs_reason(org: Org) -> None:
    org.switch(copy_fails=True)
    with pytest.raises(VendorRejected, match="Too many SOQL queries"):
        await org.project()


@pytest.mark.parametrize("in_string", [True, False])
async def test_the_services_own_refusal_is_a_rejection(org: Org, *, in_string: bool) -> None:
    org.switch(errors_in_string=in_string)
    short = org.connector._projects
    kept = short._account

    async def account(given: object) -> str:
        ref = await kept(given)  # type: ignore[arg-type] # a plan
        await org.hands.wire.call("DELETE", f"/services/data/v60.0/sobjects/Account/{ref}")
        return ref

    short._account = account  # type: ignore[method-assign]
    with pytest.raises(VendorRejected, match="no such Account"):
        await org.project()
    assert await org.hands.count(f"{PROJECT} WHERE pse__Is_Template__c = FALSE") == 0


async def test_a_project_whose_making_was_not_heard_of_is_recognised_by_its_name(org: Org) -> None:
    org.sandbox.fault(FaultKind.CUT_AFTER, ACTION)
    with pytest.raises(OutcomeUnknown):
        await org.project()
    row = await org.hands.one(f"{OURS} WHERE pse__Is_Template__c = FALSE")
    assert (row["Name"], row["Throughline_Copy_Job__c"]) == ("prj_1", None)
    assert await org.connector.find_project("prj_1") is None
    project = await org.project()
    assert (project.source.ref, project.name) == (row["Id"], "Project 1")
    assert (await org.hands.one(f"{OURS} WHERE Throughline_Id__c = 'prj_1'"))["Throughline_Copy_Job__c"]
    assert org.sandbox.calls(ACTION) == 1


@pytest.mark.parametrize("template", ["fixed-scope", None])
@pytest.mark.parametrize("step", range(6))
async def test_a_cut_at_any_step_leaves_one_project_with_all_its_parts(
    org: Org, step: int, template: str | None
) -> None:
    org.sandbox.fault(FaultKind.CUT_AFTER, "(POST|PATCH) .*/(actions|sobjects|composite)/", skip=step)
    with suppress(OutcomeUnknown):
        await org.project(template=template)
    org.sandbox.heal()
    project = await org.project(template=template)
    assert (len(project.workstreams), len(project.milestones)) == (2, 2)
    assert await org.hands.count(f"{PROJECT} WHERE pse__Is_Template__c = FALSE") == 1
    assert await org.hands.count("pse__Budget__c") == 2
    assert await org.hands.count("Account") == 1


async def test_a_template_counts_only_in_the_currency_of_the_deal(org: Org) -> None:
    """A project never changes its currency, and a copy has that of its template: without one it is made by hand."""
    template = (await org.hands.one(f"{OURS} WHERE Name = 'fixed-scope' AND CurrencyIsoCode = 'JPY'"))["Id"]
    await org.hands.wire.call("DELETE", f"/services/data/v60.0/sobjects/{PROJECT}/{template}")
    project = await org.project(currency="JPY", milestones=1)
    row = await org.hands.one(f"{OURS} WHERE Throughline_Id__c = 'prj_1'")
    assert (row["CurrencyIsoCode"], row["Throughline_Copy_Job__c"]) == ("JPY", None)
    assert len(project.milestones) == 1
    assert org.sandbox.calls(ACTION) == 0


async def test_parts_that_people_changed_are_kept_when_missing_ones_are_made(org: Org) -> None:
    await org.project(workstreams=1)
    await org.hands.patch(MILESTONE, (await org.connector.find_project("prj_1")).milestones[0].ref, Name="Accepted")  # type: ignore[union-attr] # made above
    project = await org.project(workstreams=2, milestones=3)
    assert (len(project.workstreams), len(project.milestones)) == (2, 3)
    assert await org.hands.count("pse__Milestone__c WHERE Name = 'Accepted'") == 1


async def test_a_customer_known_by_name_only_becomes_ours(org: Org) -> None:
    known = await org.hands.make("Account", Name="Harbour Bank")
    await org.project()
    account = await org.hands.one("SELECT Id, Throughline_Customer_Id__c FROM Account")
    assert account["Id"] == known
    assert account["Throughline_Customer_Id__c"] == "cus_1"


async def test_of_two_customers_of_one_name_neither_is_taken(org: Org) -> None:
    for _ in range(2):
        await org.hands.make("Account", Name="Harbour Bank")
    await org.project()
    assert await org.hands.count("Account") == 3
    assert await org.hands.count("Account WHERE Throughline_Customer_Id__c = 'cus_1'") == 1


async def test_closing_takes_out_of_use_and_making_again_brings_back(org: Org) -> None:
    project = await org.project()
    await org.connector.close_project("prj_1")
    flags = f"SELECT pse__Is_Active__c, pse__Closed_for_Time_Entry__c, pse__Stage__c FROM {PROJECT}"
    closed = await org.hands.one(f"{flags} WHERE Throughline_Id__c = 'prj_1'")
    assert (closed["pse__Is_Active__c"], closed["pse__Closed_for_Time_Entry__c"]) == (False, True)
    assert closed["pse__Stage__c"] == "Canceled"
    before = org.sandbox.calls("PATCH")
    await org.connector.close_project("prj_1")
    assert org.sandbox.calls("PATCH") == before
    again = await org.project()
    assert again.source.ref == project.source.ref
    assert (await org.hands.one(f"{flags} WHERE Throughline_Id__c = 'prj_1'"))["pse__Is_Active__c"] is True
    with pytest.raises(NotFound):
        await org.connector.close_project("prj_9")


async def test_long_names_are_cut_to_what_the_package_holds(org: Org) -> None:
    project = await org.project(name="N" * 200)
    assert project.name == "N" * 80


async def test_a_row_locked_by_others_is_waited_for(org: Org) -> None:
    locked = Fault(
        kind=FaultKind.STATUS,
        route="PATCH .*/sobjects/pse__Proj__c",
        status=400,
        body='[{"errorCode":"UNABLE_TO_LOCK_ROW","message":"unable to obtain exclusive access to this record"}]',
    )
    org.sandbox.simulator.wire.faults.add(locked)
    assert len((await org.project()).workstreams) == 2
    assert org.sandbox.has_struck(locked)


async def test_what_a_validation_rule_refuses_is_told_with_the_rules_words(org: Org) -> None:
    await org.project(template=None)
    ref = (await org.connector.find_project("prj_1")).source.ref  # type: ignore[union-attr] # made above
    await org.hands.patch(PROJECT, ref, pse__Is_Billable__c=False, pse__Is_Active__c=False, pse__Time_Credited__c=True)
    await org.hands.patch(PROJECT, ref, pse__End_Date__c="2026-02-01")
    late = plan(2, template=None).model_copy(update={"id": "prj_2", "name": ""})
    with pytest.raises(VendorRejected, match="REQUIRED_FIELD_MISSING"):
        await org.connector.create_project(late)
