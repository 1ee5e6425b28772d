"""Creating, changing and deleting rows with the vendor's checks; each write can be undone until it is committed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from deploy.sandbox.dynamics_sales.automation import Habits, before_save, totals
from deploy.sandbox.dynamics_sales.errors import (
    bad_payload,
    bad_query,
    does_not_exist,
    duplicate_key,
    missing,
    no_segment,
    no_such_key,
)
from deploy.sandbox.dynamics_sales.events import Caller, Events
from deploy.sandbox.dynamics_sales.records import Records, Row, Value, comparable
from deploy.sandbox.dynamics_sales.schema import LOOKUPS, Column, Table, sets, tables
from deploy.sandbox.dynamics_sales.values import from_json
from deploy.sandbox.kit.odata import ODataRefused
from deploy.sandbox.kit.odata_options import Key, parse_key

Body = dict[str, Any]
_ROOT = re.compile(r"^.*/api/data/v\d+\.\d+/")
_SET_BY_PLATFORM = {"createdon", "modifiedon", "createdby", "modifiedby", "versionnumber"}
# Rows that go with the row they belong to.
_PARENTAL = {
    ("opportunityproduct", "opportunityid"),
    ("opportunityclose", "opportunityid"),
    ("thl_milestone", "thl_contractid"),
    ("thl_deliverystatus", "thl_opportunityid"),
    ("thl_invoicestatus", "thl_opportunityid"),
}


class Writes:
    """The only hands on the rows."""

    def __init__(self, records: Records, events: Events, habits: Habits, now: Callable[[], datetime]) -> None:
        """Writes go to `records`, what they cause to `events`."""
        self.records = records
        self.events = events
        self.habits = habits
        self.now = now
        self.base_currency_id = ""

    def mark(self) -> tuple[int, int]:
        """A point to roll back to."""
        return self.records.mark(), self.events.mark()

    def roll_back(self, mark: tuple[int, int]) -> None:
        """Undo everything since the point, events included."""
        self.records.roll_back(mark[0])
        self.events.roll_back(mark[1])

    def commit(self) -> None:
        """Make everything since the last commit final and send its events."""
        self.records.commit()
        self.events.commit(self.now())

    def find(self, table: Table, key: Key) -> Row | None:
        """The row with that id or those values of an alternate key. Raises DataverseError for keys there are not."""
        wanted = self.wanted(table, key)
        if table.id_column in wanted:
            return self.records.get(table.name, wanted[table.id_column])
        return self.records.find_by(table.name, wanted)

    def need(self, table: Table, key: Key) -> Row:
        """The row. Raises DataverseError."""
        row = self.find(table, key)
        if row is None:
            wanted = self.wanted(table, key)
            known = wanted.get(table.id_column)
            raise does_not_exist(table.name, str(known)) if known else no_such_key(table.schema)
        return row

    def wanted(self, table: Table, key: Key) -> Row:
        """The key as column values. Raises DataverseError."""
        if "" in key:
            return {table.id_column: self._read(table.columns[table.id_column], table, str(key[""]))}
        names = tuple(sorted(key))
        if names == (table.id_column,):
            return {names[0]: self._read(table.columns[names[0]], table, str(key[names[0]]))}
        if names not in {tuple(sorted(columns)) for columns in table.keys.values()}:
            raise bad_query(f"The specified key properties {', '.join(names)} are no key of {table.schema}.")
        return {name: self._read(table.columns[name], table, value) for name, value in key.items()}

    def create(self, table: Table, body: Body, caller: Caller, key: Row | None = None) -> Row:
        """A new row. Raises DataverseError."""
        given = self._given(table, body, key)
        row_id = str(given.get(table.id_column) or self.records.new_id())
        if self.records.get(table.name, row_id):
            raise duplicate_key()
        row: Row = {**_defaults(tables()[table.name]), **given, table.id_column: row_id}
        row["ownerid"] = row.get("ownerid") or caller.user_id
        if empty := [column.name for column in table.columns.values() if column.is_needed and row[column.name] is None]:
            raise missing(empty[0])
        before_save(self.records, table, row, {}, given, self.habits, self.base_currency_id)
        self._check_keys(table, row)
        moment = self.now()
        row |= {"createdon": moment, "createdby": caller.user_id, "versionnumber": self.records.next_version()}
        row |= {"modifiedon": moment, "modifiedby": caller.user_id}
        self.records.insert(table.name, row_id, row)
        self.events.note("Create", table, row, list(given), caller)
        if table.name == "opportunityproduct":
            self._sum_up(row["opportunityid"], caller)
        return row

    def update(self, table: Table, row: Row, body: Body, caller: Caller) -> Row:
        """Change a row. Raises DataverseError."""
        given = self._given(table, body, None)
        frozen = {column.name for column in table.columns.values() if column.is_createonly}
        given = {name: value for name, value in given.items() if name not in frozen}
        return self.change(table, row, given, caller)

    def change(self, table: Table, row: Row, given: Row, caller: Caller, *, is_ruled: bool = True) -> Row:
        """Set columns of a row, with the product's rules or in the product's own name."""
        target = {**row, **given}
        if is_ruled:
            before_save(self.records, table, target, row, given, self.habits, self.base_currency_id)
        self._check_keys(table, target)
        changes: Row = {name: value for name, value in target.items() if row.get(name) != value}
        stamped: Row = {"modifiedon": self.now(), "modifiedby": caller.user_id}
        stamped["versionnumber"] = self.records.next_version()
        self.records.change(table.name, str(row[table.id_column]), changes | stamped)
        self.events.note("Update", table, row, sorted(changes.keys() | given.keys()), caller)
        if table.name == "opportunityproduct":
            self._sum_up(row["opportunityid"], caller)
        return row

    def delete(self, table: Table, row: Row, caller: Caller) -> None:
        """Take a row out, with the rows that belong to it."""
        if table.name in {"systemuser", "businessunit", "transactioncurrency"}:
            raise bad_payload(f"Rows of {table.name} cannot be deleted.")
        row_id = str(row[table.id_column])
        for child, column in table.children.values():
            for dependent in self.records.children(child, column.name, row_id):
                if (child, column.name) in _PARENTAL:
                    self.delete(tables()[child], dependent, caller)
                else:
                    self.change(tables()[child], dependent, {column.name: None}, caller, is_ruled=False)
        self.records.remove(table.name, row_id)
        self.events.note("Delete", table, row, [], caller)
        if table.name == "opportunityproduct" and self.records.get("opportunity", row["opportunityid"]):
            self._sum_up(row["opportunityid"], caller)

    def target(self, url: str, targets: tuple[str, ...]) -> str:
        """The id of the row an `@odata.bind` points at. Raises DataverseError."""
        segment = unquote(_ROOT.sub("", url).lstrip("/"))
        try:
            name, key = parse_key(segment)
        except ODataRefused as error:
            raise bad_query(str(error)) from None
        table = sets().get(name)
        if table is None or key is None:
            raise no_segment(segment)
        if table.name not in targets:
            raise bad_payload(f"A row of {table.name} cannot stand where one of {', '.join(targets)} is wanted.")
        return str(self.need(table, key)[table.id_column])

    def _given(self, table: Table, body: Body, key: Row | None) -> Row:
        given: Row = dict(key or {})
        for name, value in body.items():
            column_name, at, annotation = name.partition("@")
            if at and annotation == "odata.bind":
                column, target = self._navigated(table, column_name)
                given[column.name] = None if value is None else self.target(str(value), (target,))
            elif at or name in _SET_BY_PLATFORM or name.endswith("_base"):
                continue
            else:
                column = table.columns.get(name)
                if column is None or column.kind in LOOKUPS:
                    raise bad_payload(
                        f"An undeclared property '{name}' which only has property annotations in the payload but no "
                        f"property value was found on type 'Microsoft.Dynamics.CRM.{table.name}'."
                    )
                if key and name in key:
                    raise bad_payload(f"The key attribute '{name}' must not be repeated in the body.")
                if not column.is_readonly:
                    given[name] = self._read(column, table, value)
        return given

    @staticmethod
    def _navigated(table: Table, name: str) -> tuple[Column, str]:
        found = table.parents.get(name)
        if found is None:
            raise bad_payload(f"An undeclared property '{name}' was found; navigation properties are spelled exactly.")
        return found

    @staticmethod
    def _read(column: Column, table: Table, value: Any) -> Value:
        return from_json(column, table.name, value)

    def _check_keys(self, table: Table, row: Row) -> None:
        for names in table.keys.values():
            values: Row = {name: row.get(name) for name in names}
            if any(value is None for value in values.values()):
                continue
            holder = self.records.find_by(table.name, values)
            if holder is not None and comparable(holder[table.id_column]) != row[table.id_column]:
                raise duplicate_key()

    def _sum_up(self, deal_id: Value, caller: Caller) -> None:
        """A deal's sums follow its lines; whether that counts as a change of the deal is a habit."""
        deal = self.records.get("opportunity", deal_id)
        if deal is None:
            return
        sums = totals(self.records, deal)
        if self.habits.lines_touch_deal:
            self.change(tables()["opportunity"], deal, sums, caller, is_ruled=False)
        else:
            self.records.change("opportunity", str(deal_id), sums, touch=False)


def _defaults(table: Table) -> Row:
    """A new row of the table, deleted columns included."""
    row: Row = dict.fromkeys(table.columns)
    for column in table.columns.values():
        if column.kind == "boolean":
            row[column.name] = column.default == "true"
        elif column.kind == "state":
            row[column.name] = 0
        elif column.kind == "status":
            row[column.name] = next(iter(column.options))
        elif column.default is not None:
            row[column.name] = int(column.default)
    return row
