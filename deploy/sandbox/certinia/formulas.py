"""The package's formula fields: computed with every look, so that they change without a stamp."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal

from deploy.sandbox.certinia.words import DAYS, EVENT, ITEM, PROJECT, number_of
from deploy.sandbox.salesforce.records import Records, Row
from deploy.sandbox.salesforce.values import Value

_CENT = Decimal("0.01")


def _eligible(records: Records, row: Row) -> bool:
    project = records.get(PROJECT, row["pse__Project__c"]) or {}
    taken = row["pse__Billed__c"] or row["pse__Invoiced__c"] or row["pse__Billing_Event_Item__c"]
    stopped = row["pse__Billing_Hold__c"] or row["pse__Exclude_from_Billing__c"]
    of_project = bool(project.get("pse__Account__c")) and not project.get("pse__Exclude_From_Billing__c")
    return bool(row["pse__Include_In_Financials__c"]) and not taken and not stopped and of_project


def milestone_eligible(records: Records, row: Row) -> Value:
    """Whether a milestone may be billed; the flag Billable is not asked of it."""
    return "Yes" if _eligible(records, row) else "No"


def billable_eligible(records: Records, row: Row) -> Value:
    """Whether a split or an expense may be billed."""
    return "Yes" if row["pse__Billable__c"] and _eligible(records, row) else "No"


def event_status(records: Records, row: Row) -> Value:
    """The status of the event that the record stands on."""
    item = records.get(ITEM, row["pse__Billing_Event_Item__c"]) or {}
    event = records.get(EVENT, item.get("pse__Billing_Event__c"))
    return event["pse__Status__c"] if event else None


def total_hours(records: Records, row: Row) -> Value:
    """Hours of the week."""
    del records
    return sum((number_of(row, f"pse__{day}_Hours__c") for day in DAYS), Decimal(0))


def amount_of(row: Row) -> Decimal:
    """Hours, or days with hours, at the rate of the timecard; nothing when it is not billable."""
    if not row["pse__Billable__c"]:
        return Decimal(0)
    worked = [number_of(row, f"pse__{day}_Hours__c") for day in DAYS]
    count = Decimal(sum(1 for hours in worked if hours)) if row["pse__Daily_Bill_Rate__c"] else sum(worked, Decimal(0))
    return (count * number_of(row, "pse__Bill_Rate__c")).quantize(_CENT, ROUND_HALF_UP)


def total_billable(records: Records, row: Row) -> Value:
    """The amount of a timecard."""
    del records
    return amount_of(row)


def _of_schedule(field: str) -> Callable[[Records, Row], Value]:
    def value(records: Records, row: Row) -> Value:
        schedule = records.get("pse__Schedule__c", row["pse__Schedule__c"])
        return schedule[field] if schedule else None

    return value


def expense_billable(records: Records, row: Row) -> Value:
    """What of an expense the customer pays."""
    del records
    return number_of(row, "pse__Amount__c") if row["pse__Billable__c"] else Decimal(0)


def budget_total(records: Records, row: Row) -> Value:
    """Amount and expenses of a budget."""
    del records
    return number_of(row, "pse__Amount__c") + number_of(row, "pse__Expense_Amount__c")


FORMULAS: Mapping[str, Callable[[Records, Row], Value]] = {
    "milestone_eligible": milestone_eligible,
    "billable_eligible": billable_eligible,
    "event_status": event_status,
    "total_hours": total_hours,
    "total_billable": total_billable,
    "schedule_start": _of_schedule("pse__Start_Date__c"),
    "schedule_end": _of_schedule("pse__End_Date__c"),
    "schedule_hours": _of_schedule("pse__Scheduled_Hours__c"),
    "expense_billable": expense_billable,
    "budget_total": budget_total,
}
