"""From the header of a week to its splits: one for each month the week touches, always in step with the header."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from deploy.sandbox.certinia.formulas import amount_of
from deploy.sandbox.certinia.words import DAYS, HEADER, SPLIT, day_of, hours_field, invalid, notes_field, number_of
from deploy.sandbox.salesforce.changes import Caller
from deploy.sandbox.salesforce.records import Records, Row
from deploy.sandbox.salesforce.writes import Writes

_ONE = timedelta(days=1)
_MIRRORED = (
    *("pse__Project__c", "pse__Resource__c", "pse__Assignment__c", "pse__Milestone__c", "pse__Billable__c"),
    *("pse__Status__c", "pse__Submitted__c", "pse__Approved__c", "pse__Include_In_Financials__c"),
    *("pse__Exclude_from_Billing__c", "pse__Time_Credited__c", "pse__Time_Excluded__c", "CurrencyIsoCode"),
)
_LOCKED = (
    *(f"pse__{day}_Hours__c" for day in DAYS),
    *("pse__Billable__c", "pse__Assignment__c", "pse__Milestone__c", "pse__Project_Phase_Object__c"),
    *("pse__Status__c", "pse__Submitted__c", "pse__Approved__c", "pse__Include_In_Financials__c"),
    *("pse__Bill_Rate__c", "pse__Start_Date__c", "pse__End_Date__c"),
)


def periods(start: date, end: date) -> Iterator[tuple[date, date]]:
    """The parts of a week that lie in one month each."""
    first = start
    while first <= end:
        next_month = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
        last = min(end, next_month - _ONE)
        yield first, last
        first = last + _ONE


def check_lock(records: Records, row: Row, before: Row) -> None:
    """Billed time stands as it is, unless an administrator says so and why."""
    if row["pse__Admin_Global_Edit__c"] and row["pse__Audit_Notes__c"]:
        return
    moved = next((name for name in _LOCKED if row[name] != before[name]), None)
    if moved is None:
        return
    splits = records.children(SPLIT, "pse__Timecard_Header__c", row["Id"])
    if any(split["pse__Billed__c"] or split["pse__Invoiced__c"] for split in splits):
        raise invalid("A timecard that has been billed or invoiced may not be changed.", moved)


def split(writes: Writes, header: Row, caller: Caller) -> None:
    """Bring the splits of a header to what it says: new ones are made, those of months without hours go."""
    start, end = day_of(header, "pse__Start_Date__c"), day_of(header, "pse__End_Date__c")
    if start is None or end is None:
        return
    table = writes.schema[SPLIT]
    there = {
        one["pse__Start_Date__c"]: one
        for one in writes.records.children(SPLIT, "pse__Timecard_Header__c", header["Id"])
    }
    for first, last in periods(start, end):
        values = _of_period(header, first, last)
        stands = there.pop(first, None)
        if stands is not None:
            writes.set_by_itself(table, str(stands["Id"]), values, caller)
        elif values["pse__Total_Hours__c"]:
            writes.create_by_itself(table, {**values, "pse__Timecard_Header__c": header["Id"]}, caller)
    for gone in there.values():
        writes.delete(table, str(gone["Id"]), caller)


def _of_period(header: Row, first: date, last: date) -> Row:
    days = [first + _ONE * number for number in range((last - first).days + 1)]
    values: Row = {name: header[name] for name in _MIRRORED}
    values |= {f"pse__{day}_Hours__c": Decimal(0) for day in DAYS} | {f"pse__{day}_Notes__c": None for day in DAYS}
    values |= {hours_field(day): number_of(header, hours_field(day)) for day in days}
    values |= {notes_field(day): header[notes_field(day)] for day in days}
    values |= {"pse__Start_Date__c": first, "pse__End_Date__c": last}
    week: Row = {**header, **values}
    hours = sum((number_of(values, hours_field(day)) for day in days), Decimal(0))
    return values | {"pse__Total_Hours__c": hours, "pse__Total_Billable_Amount__c": amount_of(week)}


def roll_up(writes: Writes, header_id: str, caller: Caller) -> None:
    """The header counts as billed, and as invoiced, once all its splits are."""
    header = writes.records.get(HEADER, header_id)
    splits = writes.records.children(SPLIT, "pse__Timecard_Header__c", header_id)
    if header is None or not splits:
        return
    flags: Row = {name: all(one[name] for one in splits) for name in ("pse__Billed__c", "pse__Invoiced__c")}
    writes.set_by_itself(writes.schema[HEADER], header_id, flags, caller)
