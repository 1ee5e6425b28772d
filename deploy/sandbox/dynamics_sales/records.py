"""The environment's rows in memory: indexes, row versions, what changed since when, and work that can be undone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from uuid import uuid4

from deploy.sandbox.dynamics_sales.schema import LOOKUPS, Schema, Table, tables

Value = str | bool | int | Decimal | date | datetime | None
Row = dict[str, Value]
OF_TABLE = ""  # where a row keeps the name of its table


def comparable(value: Value) -> Value:
    """How keys are compared: texts whatever their case."""
    return value.casefold() if isinstance(value, str) else value


@dataclass(slots=True)
class Rows:
    """Rows of one table in the order of their last change, and the versions at which rows went."""

    table: Table
    rows: OrderedDict[str, Row] = field(default_factory=OrderedDict[str, Row])
    gone: OrderedDict[str, int] = field(default_factory=OrderedDict[str, int])
    indexes: dict[str, dict[Value, dict[str, None]]] = field(default_factory=dict[str, dict[Value, dict[str, None]]])

    def find(self, column: str, value: Value) -> list[str]:
        """Ids of the rows with that value in an indexed column."""
        return list(self.indexes[column].get(comparable(value), ()))


class Records:
    """All tables, the version counter, and the journal of the open transaction."""

    def __init__(self) -> None:
        """An empty environment; rows keep what deleted columns held."""
        self.schema = Schema()
        self.tables = {
            table.name: Rows(table, indexes={name: {} for name in _indexed(table)}) for table in tables().values()
        }
        self.version = 1_000_000
        self._undo: list[Callable[[], None]] = []
        self._shuffled: set[str] = set()

    def next_version(self) -> int:
        """A row version later than every one before."""
        self.version += 1
        return self.version

    def get(self, table: str, row_id: Value) -> Row | None:
        """The row, or None."""
        return self.tables[table].rows.get(row_id) if isinstance(row_id, str) else None

    def find_by(self, table: str, wanted: Mapping[str, Value]) -> Row | None:
        """The row with these values in the columns of an alternate key."""
        rows = self.tables[table]
        first, *rest = wanted
        for row_id in rows.find(first, wanted[first]):
            row = rows.rows[row_id]
            if all(comparable(row.get(name)) == comparable(wanted[name]) for name in rest):
                return row
        return None

    def children(self, table: str, lookup: str, parent_id: Value) -> list[Row]:
        """Rows whose lookup points at the parent, as they were made."""
        rows = self.tables[table]
        return [rows.rows[row_id] for row_id in rows.find(lookup, parent_id)]

    def new_id(self) -> str:
        """A fresh id."""
        return str(uuid4())

    def insert(self, table: str, row_id: str, row: Row) -> None:
        """Put a new row in."""
        rows = self.tables[table]
        row[OF_TABLE] = table
        rows.rows[row_id] = row
        was_gone = rows.gone.pop(row_id, None)
        self._index(rows, row_id, row, row)

        def undo() -> None:
            self._take_out(rows, row_id)
            if was_gone is not None:
                rows.gone[row_id] = was_gone

        self._undo.append(undo)

    def change(self, table: str, row_id: str, changes: Row, *, touch: bool = True) -> None:
        """Set columns of a row; `touch` moves it to the end of the order of change."""
        rows = self.tables[table]
        row = rows.rows[row_id]
        before: Row = {name: row.get(name) for name in changes}
        self._unindex(rows, row_id, before)
        row.update(changes)
        self._index(rows, row_id, row, changes)
        if touch:
            rows.rows.move_to_end(row_id)

        def undo() -> None:
            self._unindex(rows, row_id, {name: row.get(name) for name in before})
            row.update(before)
            self._index(rows, row_id, row, before)
            self._shuffled.add(table)

        self._undo.append(undo)

    def remove(self, table: str, row_id: str) -> None:
        """Take a row out for good."""
        rows = self.tables[table]
        row = self._take_out(rows, row_id)
        rows.gone[row_id] = self.next_version()

        def undo() -> None:
            rows.gone.pop(row_id, None)
            rows.rows[row_id] = row
            self._shuffled.add(table)
            self._index(rows, row_id, row, row)

        self._undo.append(undo)

    def changed_since(self, table: str, version: int) -> tuple[list[Row], list[str]]:
        """Rows changed after that version, oldest change first, and ids of rows that went after it."""
        rows = self.tables[table]
        found: list[Row] = []
        for row in reversed(rows.rows.values()):
            if version_of(row) <= version:
                break
            found.append(row)
        gone: list[str] = []
        for row_id, at in reversed(rows.gone.items()):
            if at <= version:
                break
            gone.append(row_id)
        return found[::-1], gone[::-1]

    def mark(self) -> int:
        """A point to roll back to."""
        return len(self._undo)

    def roll_back(self, mark: int) -> None:
        """Undo everything since the point, last first."""
        while len(self._undo) > mark:
            self._undo.pop()()
        for name in self._shuffled:
            rows = self.tables[name]
            rows.rows = OrderedDict(sorted(rows.rows.items(), key=lambda item: version_of(item[1])))
        self._shuffled.clear()

    def commit(self) -> None:
        """Forget how to undo."""
        self._undo.clear()

    def counts(self) -> dict[str, int]:
        """Rows per table."""
        return {name: len(rows.rows) for name, rows in self.tables.items()}

    def _take_out(self, rows: Rows, row_id: str) -> Row:
        row = rows.rows.pop(row_id)
        self._unindex(rows, row_id, row)
        return row

    @staticmethod
    def _index(rows: Rows, row_id: str, row: Row, names: Iterable[str]) -> None:
        for name in names:
            if (index := rows.indexes.get(name)) is not None and (value := row.get(name)) is not None:
                index.setdefault(comparable(value), {})[row_id] = None

    @staticmethod
    def _unindex(rows: Rows, row_id: str, before: Row) -> None:
        for name, value in before.items():
            if value is not None and (index := rows.indexes.get(name)) is not None:
                index.get(comparable(value), {}).pop(row_id, None)


def version_of(row: Row) -> int:
    """The row's version."""
    version = row["versionnumber"]
    return version if isinstance(version, int) else 0


def _indexed(table: Table) -> set[str]:
    keyed = {name for names in table.keys.values() for name in names}
    pointing = {column.name for column in table.columns.values() if column.kind in LOOKUPS}
    return keyed | pointing - {"createdby", "modifiedby", "ownerid"}
