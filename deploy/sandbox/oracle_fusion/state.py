"""The pod's memory: rows by resource with keys, indexes and an undo list; no wire and no bookkeeping may enter."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

from deploy.sandbox.oracle_fusion.errors import Refusal, no_such_item
from deploy.sandbox.oracle_fusion.filters import Condition, stamp
from deploy.sandbox.oracle_fusion.schema import CONTEXT, RESOURCES, Resource

Row = dict[str, Any]
"""Attribute → value: numbers Decimal, dates and instants their text, children lists of rows."""
FIRST_ID = 300000000000001
STATUSES = {"ACTIVE": "Active", "CLOSED": "Closed", "PENDING_CLOSE": "Pending Close"}
_STAMPED = "LastUpdateDate"


class Pod:
    """All rows of one pod."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """`clock` dates every change."""
        self.clock = clock
        self._open()

    def _open(self) -> None:
        self.resources: Mapping[str, Resource] = RESOURCES
        self.tables: dict[str, dict[Any, Row]] = {name: {} for name in RESOURCES}
        self._indexes: dict[str, dict[tuple[str, ...], dict[tuple[Any, ...], list[Row]]]] = {
            name: {fields: {} for fields in self._indexed(resource)} for name, resource in RESOURCES.items()
        }
        self._ids = count(FIRST_ID)
        self._numbers: dict[str, Iterator[int]] = {}
        self._undo: list[Callable[[], None]] | None = None

    @staticmethod
    def _indexed(resource: Resource) -> Iterable[tuple[str, ...]]:
        yield from dict.fromkeys((*resource.unique, *resource.match, *((name,) for name in resource.index)))

    def reset(self) -> None:
        """A fresh pod."""
        self._open()

    def delete_fields(self, deleted: Mapping[str, Collection[str]]) -> None:
        """These attributes, by dotted name of their resource, are gone for who asks, and all others there."""
        self.resources = {name: resource.without(deleted) for name, resource in RESOURCES.items()}

    def counts(self) -> dict[str, int]:
        """How many rows of each resource there are."""
        return {name: len(rows) for name, rows in self.tables.items()}

    def new_id(self) -> int:
        """The next surrogate key."""
        return next(self._ids)

    def number(self, series: str, first: int = 1001) -> int:
        """The next number of a document series."""
        return next(self._numbers.setdefault(series, count(first)))

    # --- looking -------------------------------------------------------------------------------------------------
    def item(self, resource: Resource, key: str) -> Row:
        """The row an address names. Raises Refusal (404)."""
        table = self.tables[resource.name]
        if resource.is_hashed:
            row = next((row for row in table.values() if self.address_key(resource, row) == key), None)
        else:
            is_number = resource.attributes[resource.key].kind == "int"
            row = table.get(int(key) if is_number and key.isascii() and key.isdigit() else key)
        if row is None:
            raise no_such_item()
        return row

    @staticmethod
    def address_key(resource: Resource, row: Row) -> str:
        """What stands in the item's address: its key, or a hash that nobody can make up."""
        plain = str(row[resource.key])
        if not resource.is_hashed:
            return plain
        if "_hash" not in row:
            row["_hash"] = hashlib.sha256(f"{resource.name}/{plain}".encode()).hexdigest().upper()
        return str(row["_hash"])

    def rows(self, resource: Resource, wanted: Condition) -> list[Row]:
        """Rows that fulfil a condition, oldest first."""
        table = self.tables[resource.name]
        if resource.key in wanted.equal:
            found = [table[wanted.equal[resource.key]]] if wanted.equal[resource.key] in table else []
            return [row for row in found if wanted.test(row)]
        for fields, index in self._indexes[resource.name].items():
            if all(name in wanted.equal for name in fields):
                return [row for row in index.get(tuple(wanted.equal[name] for name in fields), ()) if wanted.test(row)]
        return [row for row in table.values() if wanted.test(row)]

    def one(self, name: str, **values: Any) -> Row | None:
        """The row with these values, by its index where it has one."""
        test = Condition(lambda row: all(row.get(field) == value for field, value in values.items()), dict(values))
        found = self.rows(RESOURCES[name], test)
        return found[0] if found else None

    def matching(self, resource: Resource, values: Row, siblings: Sequence[Row] | None = None) -> Row | None:
        """The row an upsert means: its key, else the fields the resource is matched by."""
        rows = self.tables[resource.name].values() if siblings is None else siblings
        for fields in ((resource.key,), *resource.match):
            wanted = {name: values.get(name) for name in fields}
            if any(value is None for value in wanted.values()):
                continue
            if siblings is None and fields != (resource.key,):
                return self.one(resource.name, **wanted)
            if found := next((row for row in rows if all(row.get(n) == v for n, v in wanted.items())), None):
                return found
        return None

    # --- changing ------------------------------------------------------------------------------------------------
    def touch(self, row: Row) -> None:
        """The row changed now."""
        if _STAMPED in row:
            row[_STAMPED] = stamp(self.clock())
        row["_version"] = int(row.get("_version", 0)) + 1

    def stamped(self, resource: Resource, row: Row) -> Row:
        """A new row with key, stamp and all attributes present, nulls where nothing was given."""
        whole: Row = dict.fromkeys((*resource.attributes, *resource.deleted))
        whole.update(row)
        if resource.is_flex:
            whole[CONTEXT] = whole.get(CONTEXT) or ""
        elif whole.get(resource.key) is None:
            whole[resource.key] = self.new_id()
        if _STAMPED in resource.attributes:
            whole[_STAMPED] = stamp(self.clock())
        whole["_version"] = 1
        for name in resource.children:
            whole.setdefault(name, [])
        return whole

    def insert(self, resource: Resource, row: Row) -> Row:
        """A new root row; its unique fields must be free."""
        whole = self.stamped(resource, row)
        self._refuse_double(resource, whole)
        self.tables[resource.name][whole[resource.key]] = whole
        self._index(resource, whole)
        self._remember(lambda: self._drop(resource, whole))
        return whole

    def change(self, resource: Resource, row: Row, values: Row) -> None:
        """New values for a root row."""
        before = {name: row.get(name) for name in values}
        self._refuse_double(resource, {**row, **values}, row)
        self._unindex(resource, row)
        row.update(values)
        self._index(resource, row)
        self.touch(row)

        def undo() -> None:
            self._unindex(resource, row)
            row.update(before)
            self._index(resource, row)

        self._remember(undo)

    def remove(self, resource: Resource, row: Row) -> None:
        """The row is gone."""
        self._drop(resource, row)

        def undo() -> None:
            self.tables[resource.name][row[resource.key]] = row
            self._index(resource, row)

        self._remember(undo)

    def keep_children(self, row: Row) -> None:
        """Children of the row are about to change: a failing transaction puts them back."""
        if self._undo is not None:
            children = [name for name, value in row.items() if isinstance(value, list)]
            before: Row = {name: copy.deepcopy(row[name]) for name in children}
            self._remember(lambda: row.update(before))

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All or nothing: a refusal inside takes back whatever was done."""
        self._undo = []
        try:
            yield
        except Refusal:
            undo, self._undo = self._undo, None
            for step in reversed(undo):
                step()
            raise
        finally:
            self._undo = None

    def _remember(self, step: Callable[[], None]) -> None:
        if self._undo is not None:
            self._undo.append(step)

    def _drop(self, resource: Resource, row: Row) -> None:
        self.tables[resource.name].pop(row[resource.key], None)
        self._unindex(resource, row)

    def _refuse_double(self, resource: Resource, row: Row, itself: Row | None = None) -> None:
        for fields in resource.unique:
            key = tuple(row.get(name) for name in fields)
            held = self._indexes[resource.name][fields].get(key, ())
            if None not in key and any(other is not itself for other in held):
                raise duplicate(resource, fields, key)

    def _index(self, resource: Resource, row: Row) -> None:
        for fields, index in self._indexes[resource.name].items():
            index.setdefault(tuple(row.get(name) for name in fields), []).append(row)

    def _unindex(self, resource: Resource, row: Row) -> None:
        for fields, index in self._indexes[resource.name].items():
            key = tuple(row.get(name) for name in fields)
            index[key] = [other for other in index.get(key, ()) if other is not row]


def duplicate(resource: Resource, fields: tuple[str, ...], key: tuple[Any, ...]) -> Refusal:
    """Another row has these values."""
    if resource.name == "contracts":
        return Refusal(400, "A contract with this number, type and intent already exists.", code="OKC-195788")
    shown = ", ".join(f"{name} {value}" for name, value in zip(fields, key, strict=True))
    return Refusal(400, f"JBO-25013: Too many objects match the primary key: {shown}.", code="25013")
