"""The package in the org: its checks before a row is saved, its code after, its actions, its approval processes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from deploy.sandbox.certinia import billing, timecards
from deploy.sandbox.certinia.formulas import FORMULAS
from deploy.sandbox.certinia.rules import CHECKS
from deploy.sandbox.certinia.switches import Switches
from deploy.sandbox.certinia.words import (
    BATCH,
    EVENT,
    EXPENSE,
    HEADER,
    ITEM,
    PROJECT,
    REPORT,
    SOURCES,
    SPLIT,
    stopped,
)
from deploy.sandbox.salesforce.automation import Automation, before_save
from deploy.sandbox.salesforce.changes import Caller
from deploy.sandbox.salesforce.org import ADMIN_USER
from deploy.sandbox.salesforce.records import Records, Row
from deploy.sandbox.salesforce.schema import OBJECTS, Schema, read_schema
from deploy.sandbox.salesforce.writes import Writes

SCHEMA: Final[Schema] = read_schema(OBJECTS, Path(__file__).with_name("objects.yaml"))
_APPROVED: Row = {"pse__Status__c": "Approved", "pse__Approved__c": True, "pse__Include_In_Financials__c": True}
_STEPS: dict[str, Row] = {
    "Submit": {"pse__Status__c": "Submitted", "pse__Submitted__c": True},
    "Approve": {**_APPROVED, "pse__Submitted__c": True},
    "Reject": {"pse__Status__c": "Rejected", "pse__Submitted__c": False},
}
_BY_STATUS = {"Saved": (False, False), "Submitted": (True, False), "Approved": (True, True), "Rejected": (False, False)}


class Package:
    """The package's code under the given switches."""

    def __init__(self, switches: Switches) -> None:
        """Reads `switches` anew with every save."""
        self.switches = switches

    def automation(self) -> Automation:
        """What the org does with rows by itself, Sales Cloud's own included."""
        return Automation(
            before=self._before,
            after=self._after,
            before_delete=billing.check_delete,
            unlocked=lambda records: frozenset(
                {str((records.find_one("User", "Username", ADMIN_USER) or {}).get("Id"))}
            ),
            formulas=FORMULAS,
            approvals={HEADER: _STEPS, REPORT: _STEPS},
        )

    def _before(self, records: Records, sobject: str, row: Row, given: Row) -> None:
        before_save(records, sobject, row, given)
        before = records.get(sobject, row.get("Id"))
        if sobject == HEADER:
            self._header(records, row, given, before)
        if sobject == SPLIT and before is None:
            raise stopped("timecard splits are made by the package only")
        if check := CHECKS.get(sobject):
            check(records, row, before)
        if sobject == ITEM:
            billing.check_item(records, row, before)
        elif sobject == EVENT:
            billing.check_event(row, before)

    def _header(self, records: Records, row: Row, given: Row, before: Row | None) -> None:
        if row["pse__Status__c"] is None:
            row["pse__Status__c"] = "Saved"
        if self.switches.status_sets_flags and "pse__Status__c" in given:
            submitted, approved = _BY_STATUS.get(str(row["pse__Status__c"]), (False, False))
            row["pse__Submitted__c"] = given.get("pse__Submitted__c", submitted)
            row["pse__Approved__c"] = given.get("pse__Approved__c", approved)
        project = records.get(PROJECT, row["pse__Project__c"]) or {}
        if before is None and (project.get("pse__Closed_for_Time_Entry__c") or not project.get("pse__Is_Active__c")):
            raise stopped("the project is not open for time entry")
        if before is not None:
            timecards.check_lock(records, row, before)

    def _after(self, writes: Writes, sobject: str, row: Row, before: Row | None, caller: Caller) -> None:
        switches = self.switches
        if sobject == HEADER:
            timecards.split(writes, row, caller)
        elif sobject == ITEM and before is None:
            billing.check_permission(writes.records, caller, switches)
            billing.item_made(writes, row, caller, switches)
        elif sobject == EVENT:
            billing.check_permission(writes.records, caller, switches)
            billing.event_saved(writes, row, before, caller, switches)
        elif sobject == BATCH:
            billing.batch_saved(writes, row, before, caller)
        elif sobject == REPORT and before is not None:
            self._report(writes, row, caller)
        elif sobject in SOURCES:
            billing.source_saved(writes, sobject, row, before, caller)

    def _report(self, writes: Writes, report: Row, caller: Caller) -> None:
        """Lines follow their report; what is billed stays."""
        names = ("pse__Status__c", "pse__Submitted__c", "pse__Approved__c", "pse__Include_In_Financials__c")
        mirrored: Row = {name: report[name] for name in names}
        for line in writes.records.children(EXPENSE, "pse__Expense_Report__c", report["Id"]):
            if not line["pse__Billed__c"]:
                writes.set_by_itself(writes.schema[EXPENSE], str(line["Id"]), mirrored, caller)
