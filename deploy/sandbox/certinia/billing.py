"""Billing events: items take their sources, release bills them, invoicing closes them; each in that order only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from deploy.sandbox.certinia.switches import Switches
from deploy.sandbox.certinia.timecards import roll_up
from deploy.sandbox.certinia.words import BATCH, EVENT, HEADER, ITEM, SOURCES, SPLIT, day_of, invalid, stopped
from deploy.sandbox.salesforce.changes import Caller
from deploy.sandbox.salesforce.ids import normal_id
from deploy.sandbox.salesforce.records import Records, Row
from deploy.sandbox.salesforce.writes import Writes

Source = tuple[str, Row]


def source_of(records: Records, item: Row) -> Source | None:
    """The object and row that an item bills."""
    for sobject, lookup in SOURCES.items():
        if row := records.get(sobject, item[lookup]):
            return sobject, row
    return None


def check_item(records: Records, row: Row, before: Row | None) -> None:
    """A new item names one included, approved record of the event's project."""
    if before is not None:
        return
    event = records.get(EVENT, row["pse__Billing_Event__c"])
    found = source_of(records, row)
    if event is None or found is None or normal_id(str(row["pse__Object_Id__c"])) != found[1]["Id"]:
        raise stopped("an item needs its event, and Object_Id the record that it bills")
    source = found[1]
    if event["pse__Invoiced__c"]:
        raise stopped("the billing event is invoiced")
    if event["pse__Project__c"] != source["pse__Project__c"]:
        raise stopped("the record belongs to another project than the event")
    if not (source["pse__Approved__c"] and source["pse__Include_In_Financials__c"]):
        raise stopped("only approved records that are included in financials are billed")
    if row["pse__Project__c"] is None:
        row["pse__Project__c"] = event["pse__Project__c"]


def check_event(row: Row, before: Row | None) -> None:
    """Released before invoiced, and never back."""
    if row["pse__Invoiced__c"] and not row["pse__Is_Released__c"]:
        raise invalid("A billing event is released before it is invoiced.", "pse__Invoiced__c")
    if before is not None and before["pse__Is_Released__c"] and not row["pse__Is_Released__c"]:
        raise invalid("A released billing event stays released; remove or clear it instead.", "pse__Is_Released__c")


def check_permission(records: Records, caller: Caller, switches: Switches) -> None:
    """Who bills needs a row that grants it."""
    if not switches.needs_permission_control:
        return
    rows = records.children("pse__Permission_Control__c", "pse__User__c", caller.user_id)
    if not any(one["pse__Billing__c"] and one["pse__Invoicing__c"] for one in rows):
        raise stopped("the user has no permission control for billing")


def item_made(writes: Writes, item: Row, caller: Caller, switches: Switches) -> None:
    """The source names the first item that bills it."""
    found = source_of(writes.records, item)
    if found and switches.item_marks_source and found[1]["pse__Billing_Event_Item__c"] is None:
        mark: Row = {"pse__Billing_Event_Item__c": item["Id"]}
        writes.set_by_itself(writes.schema[found[0]], str(found[1]["Id"]), mark, caller)


def event_saved(writes: Writes, event: Row, before: Row | None, caller: Caller, switches: Switches) -> None:
    """Release bills the sources, invoicing copies flag, number and date down to them."""
    was: Row = before or {}
    if event["pse__Is_Released__c"] and not was.get("pse__Is_Released__c"):
        status: Row = {"pse__Status__c": "Released"}
        writes.set_by_itself(writes.schema[EVENT], str(event["Id"]), status, caller)
        if switches.release_bills:
            on = day_of(event, "pse__Date__c") or date.today()  # noqa: DTZ011 - the org's day
            _set_down(writes, event, {"pse__Billed__c": True, "pse__Bill_Date__c": on}, caller)
    if event["pse__Invoiced__c"] and not was.get("pse__Invoiced__c") and switches.event_copies_down:
        on = day_of(event, "pse__Date__c") or date.today()  # noqa: DTZ011 - as above
        copied: Row = {name: event[name] for name in ("pse__Invoice_Number__c", "pse__Invoice_Date__c")}
        billed: Row = {"pse__Billed__c": True, "pse__Bill_Date__c": on, "pse__Invoiced__c": True}
        _set_down(writes, event, billed | copied, caller)


def batch_saved(writes: Writes, batch: Row, before: Row | None, caller: Caller) -> None:
    """Releasing a batch releases its events."""
    if not batch["pse__Is_Released__c"] or (before and before["pse__Is_Released__c"]):
        return
    for event in writes.records.children(EVENT, "pse__Billing_Event_Batch__c", batch["Id"]):
        if not event["pse__Is_Released__c"]:
            writes.update(writes.schema[EVENT], str(event["Id"]), {"pse__Is_Released__c": True}, caller)


def source_saved(writes: Writes, sobject: str, row: Row, before: Row | None, caller: Caller) -> None:
    """A split that was billed tells its header."""
    flags = ("pse__Billed__c", "pse__Invoiced__c")
    if sobject == SPLIT and before is not None and any(row[flag] != before[flag] for flag in flags):
        roll_up(writes, str(row["pse__Timecard_Header__c"]), caller)


def check_delete(records: Records, sobject: str, row: Row) -> None:
    """What has been billed is not deleted."""
    if sobject in SOURCES and (row["pse__Billed__c"] or row["pse__Invoiced__c"]):
        raise stopped("billed records are not deleted; clear the billing data first")
    if sobject == HEADER:
        for one in records.children(SPLIT, "pse__Timecard_Header__c", row["Id"]):
            check_delete(records, SPLIT, one)
    if sobject in {EVENT, ITEM, BATCH} and row.get("pse__Invoiced__c"):
        raise stopped("invoiced billing events are not deleted")


def _sources(records: Records, event: Row) -> Iterator[Source]:
    for item in records.children(ITEM, "pse__Billing_Event__c", event["Id"]):
        if found := source_of(records, item):
            yield found


def _set_down(writes: Writes, event: Row, values: Row, caller: Caller) -> None:
    """Flags, dates and number on what the event bills; what is invoiced already stays as it is."""
    headers: dict[str, None] = {}
    for sobject, row in list(_sources(writes.records, event)):
        if row["pse__Invoiced__c"]:
            continue
        if not (row["pse__Approved__c"] and row["pse__Include_In_Financials__c"]):
            raise stopped("a record of the event is no longer approved and included in financials")
        kept = {n: v for n, v in values.items() if not (row["pse__Billed__c"] and n == "pse__Bill_Date__c")}
        writes.set_by_itself(writes.schema[sobject], str(row["Id"]), kept, caller)
        if sobject == SPLIT:
            headers[str(row["pse__Timecard_Header__c"])] = None
    for header in headers:
        roll_up(writes, header, caller)
