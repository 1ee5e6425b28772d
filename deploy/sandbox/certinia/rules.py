"""The package's validation rules: what must hold of a row before it is saved; nothing is changed here."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from deploy.sandbox.certinia.words import DAYS, PROJECT, REPORT, WEEK, day_of, invalid, number_of
from deploy.sandbox.salesforce.records import Records, Row

_DAY_HOURS = Decimal(24)
Check = Callable[[Records, Row, Row | None], None]


def _parent(records: Records, sobject: str, row: Row, field: str) -> Row:
    return records.get(sobject, row.get(field)) or {}


def _constant(row: Row, before: Row | None, field: str, what: str, *, admin: Row | None = None) -> None:
    """Set once for all, unless an administrator says so and why."""
    if row[field] is None:
        raise invalid(f"{what} is required.", field)
    holder = admin or row
    by_admin = holder.get("pse__Admin_Global_Edit__c") and holder.get("pse__Audit_Notes__c")
    if before is not None and before[field] not in {None, row[field]} and not by_admin:
        raise invalid(f"{what} may not be changed.", field)


def _same_project(records: Records, row: Row, sobject: str, field: str, what: str) -> None:
    other = _parent(records, sobject, row, field)
    if other and other["pse__Project__c"] != row["pse__Project__c"]:
        raise invalid(f"{what} belongs to another project.", field)


def _billing_order(row: Row, before: Row | None, what: str) -> None:
    """Included and approved, then billed, then invoiced; dates and number do not stand alone and do not change."""
    ready = row["pse__Include_In_Financials__c"] and row["pse__Approved__c"]
    if row["pse__Billed__c"] and not ready:
        raise invalid(f"{what} must be approved and included in financials before it is billed.", "pse__Billed__c")
    if row["pse__Invoiced__c"] and not row["pse__Billed__c"]:
        raise invalid(f"{what} must be billed before it is invoiced.", "pse__Invoiced__c")
    _invoice_fields(row)
    if before is None:
        return
    if (before["pse__Billed__c"] or before["pse__Invoiced__c"]) and row["pse__Bill_Date__c"] != before[
        "pse__Bill_Date__c"
    ]:
        raise invalid("The bill date is locked once billed.", "pse__Bill_Date__c")
    if before["pse__Invoiced__c"] and row["pse__Invoice_Date__c"] != before["pse__Invoice_Date__c"]:
        raise invalid("The invoice date is locked once invoiced.", "pse__Invoice_Date__c")


def _invoice_fields(row: Row) -> None:
    if not row["pse__Invoiced__c"] and (row["pse__Invoice_Number__c"] or row["pse__Invoice_Date__c"]):
        raise invalid("Invoice number and date need Invoiced.")


def _project(records: Records, row: Row, before: Row | None) -> None:
    del records
    start, end = day_of(row, "pse__Start_Date__c"), day_of(row, "pse__End_Date__c")
    if start and end and start > end:
        raise invalid("The start date must be before the end date.", "pse__Start_Date__c")
    if before is not None and before["CurrencyIsoCode"] != row["CurrencyIsoCode"]:
        raise invalid("The currency of a project is constant.", "CurrencyIsoCode")
    for flag in ("pse__Time_Credited__c", "pse__Time_Excluded__c"):
        if row["pse__Is_Billable__c"] and row[flag]:
            raise invalid("A billable project can be neither credited nor excluded.", flag)


def _header(records: Records, row: Row, before: Row | None) -> None:
    start, end = day_of(row, "pse__Start_Date__c"), day_of(row, "pse__End_Date__c")
    if start is None or end is None or end - start != WEEK:
        raise invalid("A timecard is one week long.")
    if any(number_of(row, f"pse__{day}_Hours__c") > _DAY_HOURS for day in DAYS):
        raise invalid("A day has no more than 24 hours.")
    if row["pse__Approved__c"] and not row["pse__Submitted__c"]:
        raise invalid("Approval requires submission.", "pse__Approved__c")
    if row["pse__Billed__c"] and not (row["pse__Include_In_Financials__c"] and row["pse__Approved__c"]):
        raise invalid("Billing requires approval and inclusion in financials.", "pse__Billed__c")
    _header_parents(records, row, before)


def _header_parents(records: Records, row: Row, before: Row | None) -> None:
    _constant(row, before, "pse__Project__c", "The project of a timecard")
    _constant(row, before, "pse__Resource__c", "The resource of a timecard")
    project = _parent(records, PROJECT, row, "pse__Project__c")
    resource = _parent(records, "Contact", row, "pse__Resource__c")
    assignment = _parent(records, "pse__Assignment__c", row, "pse__Assignment__c")
    if assignment and assignment["pse__Project__c"] != row["pse__Project__c"]:
        raise invalid("The assignment belongs to another project.", "pse__Assignment__c")
    if assignment and assignment["pse__Resource__c"] != row["pse__Resource__c"]:
        raise invalid("The assignment belongs to another resource.", "pse__Assignment__c")
    allowed = "pse__Allow_Timecards_Without_Assignment__c"
    if not assignment and not project.get(allowed) and not resource.get(allowed):
        raise invalid("A timecard needs an assignment.", "pse__Assignment__c")
    may_be_billed = project.get("pse__Is_Billable__c") and (not assignment or assignment["pse__Is_Billable__c"])
    if row["pse__Billable__c"] and not may_be_billed:
        raise invalid("Neither project nor assignment lets this be billable.", "pse__Billable__c")
    for flag in ("pse__Time_Credited__c", "pse__Time_Excluded__c"):
        if row["pse__Billable__c"] and row[flag]:
            raise invalid("Billable time can be neither credited nor excluded.", flag)
    _same_project(records, row, "pse__Milestone__c", "pse__Milestone__c", "The milestone")
    _same_project(records, row, "pse__Project_Phase__c", "pse__Project_Phase_Object__c", "The phase")


def _split(records: Records, row: Row, before: Row | None) -> None:
    header = _parent(records, "pse__Timecard_Header__c", row, "pse__Timecard_Header__c")
    _constant(row, before, "pse__Project__c", "The project of a split", admin=header)
    _constant(row, before, "pse__Resource__c", "The resource of a split", admin=header)
    _billing_order(row, before, "A timecard split")


def _milestone(records: Records, row: Row, before: Row | None) -> None:
    del records
    _constant(row, before, "pse__Project__c", "The project of a milestone")
    _billing_order(row, before, "A milestone")


def _expense(records: Records, row: Row, before: Row | None) -> None:
    _constant(row, before, "pse__Project__c", "The project of an expense")
    _constant(row, before, "pse__Resource__c", "The resource of an expense")
    if (row["pse__Submitted__c"] or row["pse__Include_In_Financials__c"]) and not row["pse__Expense_Report__c"]:
        raise invalid("A line needs its expense report before it is submitted.", "pse__Expense_Report__c")
    _same_project(records, row, REPORT, "pse__Expense_Report__c", "The expense report")
    if row["pse__Billable__c"] and not _parent(records, PROJECT, row, "pse__Project__c").get("pse__Is_Billable__c"):
        raise invalid("The project does not let this be billable.", "pse__Billable__c")
    _billing_order(row, before, "An expense")


def _assignment(records: Records, row: Row, before: Row | None) -> None:
    _constant(row, before, "pse__Project__c", "The project of an assignment")
    if row["pse__Bill_Rate__c"] is None:
        raise invalid("The bill rate is required.", "pse__Bill_Rate__c")
    if not row["pse__Is_Billable__c"] and row["pse__Bill_Rate__c"]:
        raise invalid("The bill rate of what is not billable is zero.", "pse__Bill_Rate__c")
    project = _parent(records, PROJECT, row, "pse__Project__c")
    if row["pse__Is_Billable__c"] and not project.get("pse__Is_Billable__c"):
        raise invalid("The project does not let this be billable.", "pse__Is_Billable__c")
    resource = _parent(records, "Contact", row, "pse__Resource__c")
    if resource and not (resource["pse__Is_Resource__c"] and resource["pse__Is_Resource_Active__c"]):
        raise invalid("Select an active resource.", "pse__Resource__c")
    if before is not None and before["CurrencyIsoCode"] != row["CurrencyIsoCode"]:
        raise invalid("The currency of an assignment is constant.", "CurrencyIsoCode")


def _dated(records: Records, row: Row, before: Row | None) -> None:
    del records, before
    start, end = day_of(row, "pse__Start_Date__c"), day_of(row, "pse__End_Date__c")
    if start and end and start > end:
        raise invalid("The end date must not be before the start date.", "pse__End_Date__c")


def _phase(records: Records, row: Row, before: Row | None) -> None:
    if row["pse__Project__c"] is None:
        raise invalid("A phase needs its project.", "pse__Project__c")
    _dated(records, row, before)


def _task(records: Records, row: Row, before: Row | None) -> None:
    _constant(row, before, "pse__Project__c", "The project of a task")
    _same_project(records, row, "pse__Project_Task__c", "pse__Parent_Task__c", "The parent task")
    _same_project(records, row, "pse__Milestone__c", "pse__Milestone__c", "The milestone")


def _event(records: Records, row: Row, before: Row | None) -> None:
    del records, before
    _invoice_fields(row)


CHECKS: dict[str, Check] = {
    "pse__Proj__c": _project,
    "pse__Timecard_Header__c": _header,
    "pse__Timecard__c": _split,
    "pse__Milestone__c": _milestone,
    "pse__Expense__c": _expense,
    "pse__Assignment__c": _assignment,
    "pse__Schedule__c": _dated,
    "pse__Project_Phase__c": _phase,
    "pse__Project_Task__c": _task,
    "pse__Billing_Event__c": _event,
}
