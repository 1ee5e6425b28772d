"""Projects from templates: the package's invocable actions, and the copy of child records that goes on after them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from deploy.sandbox.certinia.switches import Switches
from deploy.sandbox.certinia.words import MILESTONE, PROJECT, day_of
from deploy.sandbox.salesforce.changes import Caller
from deploy.sandbox.salesforce.errors import SalesforceError, malformed_id, missing_fields
from deploy.sandbox.salesforce.ids import normal_id
from deploy.sandbox.salesforce.org import Action, Org
from deploy.sandbox.salesforce.records import Row
from deploy.sandbox.salesforce.values import Value, read_date

Json = dict[str, Any]
TASK, BUDGET, JOB = "pse__Project_Task__c", "pse__Budget__c", "AsyncApexJob"
_SYSTEM = {"Id", "IsDeleted", "CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById", "SystemModstamp"}
_CLEARED = (
    *("pse__Approved__c", "pse__Billed__c", "pse__Bill_Date__c", "pse__Invoiced__c", "pse__Invoice_Number__c"),
    *("pse__Invoice_Date__c", "pse__Billing_Event_Item__c", "pse__Actual_Date__c", "pse__Include_In_Financials__c"),
    *("pse__Task_Key__c", "pse__Billings__c", "pse__Total_Submitted_Hours__c"),
)


class ServiceRefused(Exception):
    """The package's service says no in words of its own."""


def actions(switches: Switches) -> dict[str, Action]:
    """The package's actions that make projects from templates, by their names."""
    return {
        "pse__ActionCPFTAccounts": _action("AccountId", "Account", switches),
        "pse__ActionCPFTOpportunities": _action("OpportunityId", "Opportunity", switches),
    }


def _action(key: str, sobject: str, switches: Switches) -> Action:
    def act(org: Org, given: Json, caller: Caller) -> Json:
        if missing := [name for name in (key, "TemplateProjectId", "StartDate") if not given.get(name)]:
            raise missing_fields(missing)
        try:
            project_id, job_id = _create(org, given, sobject, str(given[key]), caller, switches)
        except ServiceRefused as refused:
            if not switches.errors_in_string:
                raise SalesforceError(400, "UNKNOWN_EXCEPTION", str(refused)) from None
            return {"NewProjectId": None, "QueuedJobId": None, "ErrorString": str(refused)}
        return {"NewProjectId": project_id, "QueuedJobId": job_id, "ErrorString": None}

    return act


def _create(org: Org, given: Json, sobject: str, of: str, caller: Caller, switches: Switches) -> tuple[str, str | None]:
    records = org.records
    template = records.get(PROJECT, _id(str(given["TemplateProjectId"])))
    holder = records.get(sobject, _id(of))
    start = read_date(str(given["StartDate"]))
    if template is None or not template["pse__Is_Template__c"]:
        raise ServiceRefused("The project is not a template.")
    if holder is None:
        raise ServiceRefused(f"There is no such {sobject}.")
    if start is None:
        raise ServiceRefused("The start date is not a date.")
    name = str(given.get("ProjectName") or template["Name"])
    if len(name) > 80:  # noqa: PLR2004 - the length of a name
        raise ServiceRefused("The project name is longer than 80 characters.")
    shift = start - (day_of(template, "pse__Start_Date__c") or start)
    opportunity = holder["Id"] if sobject == "Opportunity" else None
    values: Row = {
        **_cloned(template, shift),
        "Name": name,
        "OwnerId": _id(str(given["ProjectOwnerId"])) if given.get("ProjectOwnerId") else caller.user_id,
        "pse__Account__c": holder["AccountId"] if opportunity else holder["Id"],
        "pse__Opportunity__c": opportunity,
        "pse__Start_Date__c": start,
        "pse__Is_Active__c": bool(given.get("IsActive", False)),
        "pse__Is_Template__c": bool(given.get("IsTemplate", False)),
    }
    project_id = org.writes.create_by_itself(org.schema[PROJECT], values, caller)
    if opportunity and switches.links_opportunity:
        link: Row = {"pse__Primary_Project__c": project_id}
        org.writes.set_by_itself(org.schema["Opportunity"], str(opportunity), link, caller)
    template_id = str(template["Id"])
    if not switches.copy_is_queued:
        copy_children(org, template_id, project_id, shift, caller)
        return project_id, None
    facts: Row = {"JobType": "Queueable", "Status": "Queued", "NumberOfErrors": None}
    job_id = org.writes.create_by_itself(org.schema[JOB], facts, caller)
    org.jobs.queue(switches.copy_steps, _copy_job(org, job_id, template_id, project_id, shift, caller, switches))
    return project_id, job_id


def _copy_job(
    org: Org, job_id: str, template_id: str, project_id: str, shift: timedelta, caller: Caller, switches: Switches
) -> Callable[[], None]:
    def run() -> None:
        done: Row = {"Status": "Completed", "NumberOfErrors": Decimal(0), "CompletedDate": org.records.now()}
        if switches.copy_fails:
            done |= {"Status": "Failed", "NumberOfErrors": Decimal(1)}
            done["ExtendedStatus"] = "First error: pse: Too many SOQL queries: 101"
        else:
            copy_children(org, template_id, project_id, shift, caller)
        org.writes.set_by_itself(org.schema[JOB], job_id, done, caller)

    return run


def copy_children(org: Org, template_id: str, project_id: str, shift: timedelta, caller: Caller) -> None:
    """Milestones, tasks with their tree, and budgets of a template, their days shifted, nothing of them billed."""
    made: dict[Value, str] = {}
    for sobject in (MILESTONE, TASK, BUDGET):
        for row in org.records.children(sobject, "pse__Project__c", template_id):
            values = {**_cloned(row, shift), "pse__Project__c": project_id}
            for link in ("pse__Milestone__c", "pse__Parent_Task__c", "pse__Top_level_Parent_Task__c"):
                if link in values:
                    values[link] = made.get(values[link])
            made[row["Id"]] = org.writes.create_by_itself(org.schema[sobject], values, caller)


def _cloned(row: Row, shift: timedelta) -> Row:
    """What a copy takes over; fields of the firm's own are not the package's to copy."""
    taken = {name: value for name, value in row.items() if name == "Name" or name.startswith(("pse__", "Currency"))}
    cleared: Row = {name: False if isinstance(taken[name], bool) else None for name in _CLEARED if name in taken}
    kept = {name: _shifted(value, shift) for name, value in taken.items() if name not in _SYSTEM}
    kept.pop("pse__Project_ID__c", None)
    return kept | cleared


def _shifted(value: Value, shift: timedelta) -> Value:
    return value + shift if isinstance(value, (date, datetime)) else value


def _id(text: str) -> str:
    found = normal_id(text)
    if found is None:
        raise malformed_id(text)
    return found
