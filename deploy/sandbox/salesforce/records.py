"""The org's rows in memory: tables, indexes on lookups and unique fields, and transactions that can be undone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from deploy.sandbox.salesforce.ids import make_id
from deploy.sandbox.salesforce.schema import Field, Schema, SObject
from deploy.sandbox.salesforce.values import Value

Row = dict[str, Value]
Formula = Callable[["Records", Row], Value]


def comparable(listed: Field, value: Value) -> Value:
    """How a value is looked up and compared: texts whatever their case, ids and `cased` ones with it."""
    return value.casefold() if isinstance(value, str) and not listed.cased else value


@dataclass(slots=True)
class Table:
    """Rows of one object, kept in the order of their last change."""

    sobject: SObject
    rows: OrderedDict[str, Row] = field(default_factory=OrderedDict[str, Row])
    deleted: dict[str, Row] = field(default_factory=dict[str, Row])
    indexes: dict[str, dict[Value, dict[str, None]]] = field(default_factory=dict[str, dict[Value, dict[str, None]]])
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    names: Iterator[int] = field(default_factory=lambda: count(1))

    def find(self, name: str, value: Value) -> list[str]:
        """Ids of the rows with that value in an indexed field."""
        return list(self.indexes[name].get(comparable(self.sobject.fields[name], value), ()))


class Records:
    """All tables, the clock, and the journal of the open transaction."""

    def __init__(self, schema: Schema, formulas: Mapping[str, Formula] | None = None) -> None:
        """An empty org; `formulas` compute the fields that name them."""
        self.schema = schema
        self.formulas = formulas or {}
        self.locked: dict[str, str] = {}  # rows in an approval process → their work item
        self.work_items: dict[str, str] = {}  # work item → its row
        self.tables: dict[str, Table] = {}
        for sobject in schema.values():
            indexed = [f for f in sobject.fields.values() if _is_indexed(f)]
            self.tables[sobject.name] = Table(sobject, indexes={f.name: {} for f in indexed})
        self._undo: list[Callable[[], None]] = []
        self._shuffled: set[str] = set()
        self._last = datetime.fromtimestamp(0, UTC)
        self.whole_seconds = False
        self.ahead = timedelta(0)

    def clock(self) -> datetime:
        """What time it is in the org."""
        return datetime.now(UTC) + self.ahead

    def now(self) -> datetime:
        """The next stamp: later than every one before (equal within a second when `whole_seconds`)."""
        current = self.clock()
        current = current.replace(microsecond=current.microsecond // 1000 * 1000)
        if self.whole_seconds:
            current = current.replace(microsecond=0)
            self._last = max(current, self._last)
        else:
            self._last = max(current, self._last + timedelta(milliseconds=1))
        return self._last

    def value(self, field: Field, row: Row) -> Value:
        """What a field shows; formulas are computed anew with every look."""
        return self.formulas[field.formula](self, row) if field.formula else row.get(field.name)

    def get(self, sobject: str, record_id: Value) -> Row | None:
        """The living row, or None."""
        return self.tables[sobject].rows.get(record_id) if isinstance(record_id, str) else None

    def find_one(self, sobject: str, name: str, value: Value) -> Row | None:
        """The first row with that value in an indexed field."""
        table = self.tables[sobject]
        return next((table.rows[i] for i in table.find(name, value)), None)

    def children(self, sobject: str, reference: str, parent_id: Value) -> list[Row]:
        """Rows whose lookup points at the parent, oldest first."""
        table = self.tables[sobject]
        return sorted((table.rows[i] for i in table.find(reference, parent_id)), key=lambda row: str(row["Id"]))

    def new_id(self, sobject: SObject) -> str:
        """A fresh id."""
        return make_id(sobject.prefix, next(self.tables[sobject.name].numbers))

    def insert(self, sobject: str, row: Row) -> None:
        """Put a new row in."""
        table = self.tables[sobject]
        record_id = str(row["Id"])
        table.rows[record_id] = row
        self._index(table, record_id, row, row)

        def undo() -> None:
            self._take_out(table, record_id)

        self._undo.append(undo)

    def change(self, sobject: str, record_id: str, changes: Row, *, touch: bool = True) -> None:
        """Set fields of a row; `touch` moves it to the end of the order of change."""
        table = self.tables[sobject]
        row = table.rows[record_id]
        before = {name: row.get(name) for name in changes}
        self._unindex(table, record_id, before)
        row.update(changes)
        self._index(table, record_id, row, changes)
        if touch:
            table.rows.move_to_end(record_id)
        self._undo.append(lambda: self._put_back(table, record_id, before))

    def remove(self, sobject: str, record_id: str, changes: Row) -> None:
        """Move a row to the recycle bin, stamped with the changes."""
        table = self.tables[sobject]
        row = self._take_out(table, record_id)
        table.deleted[record_id] = {**row, **changes}

        def undo() -> None:
            del table.deleted[record_id]
            table.rows[record_id] = row
            self._shuffled.add(sobject)
            self._index(table, record_id, row, row)

        self._undo.append(undo)

    def lock(self, record_id: str, work_item: str) -> None:
        """The row waits for approval."""
        self.locked[record_id], self.work_items[work_item] = work_item, record_id
        self._undo.append(lambda: self._let_go(record_id))

    def unlock(self, record_id: str) -> None:
        """The row waits for nobody any more."""
        if record_id in self.locked:
            item = self.locked[record_id]
            self._let_go(record_id)
            self._undo.append(lambda: self._put_under(record_id, item))

    def _let_go(self, record_id: str) -> None:
        self.work_items.pop(self.locked.pop(record_id), None)

    def _put_under(self, record_id: str, work_item: str) -> None:
        self.locked[record_id], self.work_items[work_item] = work_item, record_id

    def savepoint(self) -> int:
        """A mark to roll back to."""
        return len(self._undo)

    def roll_back(self, mark: int) -> None:
        """Undo everything since the mark, last first."""
        while len(self._undo) > mark:
            self._undo.pop()()
        for name in self._shuffled:
            table = self.tables[name]
            table.rows = OrderedDict(sorted(table.rows.items(), key=lambda item: str(item[1]["SystemModstamp"])))
        self._shuffled.clear()

    def commit(self) -> None:
        """Forget how to undo."""
        self._undo.clear()

    def counts(self) -> dict[str, int]:
        """Living rows per object."""
        return {name: len(table.rows) for name, table in self.tables.items()}

    def _take_out(self, table: Table, record_id: str) -> Row:
        row = table.rows.pop(record_id)
        self._unindex(table, record_id, row)
        return row

    def _put_back(self, table: Table, record_id: str, before: Row) -> None:
        row = table.rows[record_id]
        self._unindex(table, record_id, {name: row.get(name) for name in before})
        row.update(before)
        self._index(table, record_id, row, before)
        self._shuffled.add(table.sobject.name)

    @staticmethod
    def _index(table: Table, record_id: str, row: Row, names: Iterable[str]) -> None:
        for name in names:
            if (index := table.indexes.get(name)) is not None and (value := row.get(name)) is not None:
                index.setdefault(comparable(table.sobject.fields[name], value), {})[record_id] = None

    @staticmethod
    def _unindex(table: Table, record_id: str, before: Row) -> None:
        for name, value in before.items():
            if value is not None and (index := table.indexes.get(name)) is not None:
                index.get(comparable(table.sobject.fields[name], value), {}).pop(record_id, None)


def _is_indexed(listed: Field) -> bool:
    points = listed.kind == "reference" and (listed.target != "User" or listed.children is not None)
    return listed.external or listed.unique or points
