"""The tenant's books: tables with indexes, number ranges, a clock that never stands still, and undoing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy.sandbox.s4hana.customizing import Customizing
from deploy.sandbox.s4hana.schema import EntitySet, Property, Service, entity_sets, load_services
from deploy.sandbox.s4hana.values import initial

Row = dict[str, Any]
Key = tuple[Any, ...]
Clock = Callable[[], datetime]
Emit = Callable[[str, str, Mapping[str, str]], None]
_TICK = timedelta(microseconds=1)
_RANGES = {
    "partner": 10_100_001,
    "address": 22_001,
    "order": 1,
    "request": 70_000_001,
    "billing": 90_000_001,
    "plan": 101,
    "condition": 1_001,
    "lockbox": 1,
    "wbs": 1_001,
    "RV": 9_400_000_001,
    "DZ": 1_400_000_001,
}


class Table:
    """Rows of one set by key; an index is made for every field that was ever asked for."""

    def __init__(self, entity: EntitySet, undo: list[Callable[[], None]]) -> None:
        self.entity = entity
        self.rows: dict[Key, Row] = {}
        self._indexes: dict[str, dict[Any, dict[Key, Row]]] = {}
        self._undo = undo

    def key_of(self, row: Mapping[str, Any]) -> Key:
        """The key of a row."""
        return tuple(row[name] for name in self.entity.key)

    def get(self, *key: Any) -> Row | None:
        """The row with that key."""
        return self.rows.get(key)

    def where(self, **equal: Any) -> list[Row]:
        """Rows with these values, in the order they were made."""
        (field, value), *others = equal.items()
        found = self._index(field).get(value, {}).values()
        return [row for row in found if all(row[name] == other for name, other in others)]

    def holding(self, field: str, values: Iterable[Any]) -> list[Row]:
        """Rows with one of these values in the field."""
        index = self._index(field)
        return [row for value in dict.fromkeys(values) for row in index.get(value, {}).values()]

    def size(self, field: str, values: Iterable[Any]) -> int:
        """How many rows `holding` would give."""
        index = self._index(field)
        return sum(len(index.get(value, ())) for value in values)

    def _index(self, field: str) -> dict[Any, dict[Key, Row]]:
        if field not in self._indexes:
            index: dict[Any, dict[Key, Row]] = {}
            for key, row in self.rows.items():
                index.setdefault(row[field], {})[key] = row
            self._indexes[field] = index
        return self._indexes[field]

    def insert(self, row: Row) -> Row:
        """Add a row; its key must be free. Deleted fields hold their initial value, should they come back."""
        for prop in self.entity.deleted.values():
            row.setdefault(prop.name, initial(prop))
        key = self.key_of(row)
        self._put(key, row)
        self._undo.append(lambda: self._take(key))
        return row

    def change(self, row: Row, values: Mapping[str, Any]) -> None:
        """Set fields of a row that is in the table; key fields never change."""
        key, before = self.key_of(row), {name: row[name] for name in values}
        self._set(key, row, values)
        self._undo.append(lambda: self._set(key, row, before))

    def remove(self, row: Row) -> None:
        """Take a row out."""
        key = self.key_of(row)
        self._take(key)
        self._undo.append(lambda: self._put(key, row))

    def _put(self, key: Key, row: Row) -> None:
        self.rows[key] = row
        for field, index in self._indexes.items():
            index.setdefault(row[field], {})[key] = row

    def _take(self, key: Key) -> None:
        row = self.rows.pop(key)
        for field, index in self._indexes.items():
            index[row[field]].pop(key, None)

    def _set(self, key: Key, row: Row, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            index = self._indexes.get(name)
            if index is not None and row[name] != value:
                index[row[name]].pop(key, None)
                index.setdefault(value, {})[key] = row
            row[name] = value


class Tenant:
    """Everything the tenant knows."""

    def __init__(self, clock: Clock | None = None, emit: Emit | None = None) -> None:
        self._clock: Clock = clock or (lambda: datetime.now(UTC))
        self.emit: Emit = emit or (lambda _kind, _object, _keys: None)
        self.customizing = Customizing()
        self.reset()

    def reset(self) -> None:
        """Empty books; customizing, custom fields too, as delivered."""
        self.services: dict[str, Service] = load_services()
        self.sets: dict[str, EntitySet] = entity_sets(self.services.values())
        self._undo: list[Callable[[], None]] = []
        self._depth = 0
        self._tables = {name: Table(entity, self._undo) for name, entity in self.sets.items()}
        self._numbers = dict(_RANGES)
        self.unfinished: set[str] = set()
        self._last = datetime(1970, 1, 1, tzinfo=UTC)
        self.customizing.reset()

    def table(self, name: str) -> Table:
        """The rows of a set."""
        return self._tables[name]

    def counts(self) -> dict[str, int]:
        """Rows by set, where there are any."""
        return {name: len(table.rows) for name, table in self._tables.items() if table.rows}

    def number(self, kind: str) -> str:
        """The next number of a range."""
        self._numbers[kind] += 1
        return str(self._numbers[kind] - 1)

    def now(self) -> datetime:
        """An instant later than all before."""
        self._last = max(self._clock(), self._last + _TICK)
        return self._last

    @contextmanager
    def unit(self) -> Generator[None]:
        """All or nothing: what is changed within is undone when it ends in an error."""
        mark = len(self._undo)
        self._depth += 1
        try:
            yield
        except BaseException:
            while len(self._undo) > mark:
                self._undo.pop()()
            raise
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._undo.clear()

    def add_field(self, set_name: str, prop: Property) -> None:
        """A key user's custom field; rows that are there hold its initial value."""
        self.sets[set_name].properties[prop.name] = prop
        for row in self.table(set_name).rows.values():
            row.setdefault(prop.name, "" if prop.kind == "String" else None)

    def delete_fields(self, deleted: Mapping[str, Collection[str]]) -> None:
        """These custom fields, by set, are gone for who asks, and all others there."""
        for name, entity in self.sets.items():
            entity.properties.update(entity.deleted)
            entity.deleted.clear()
            entity.deleted.update({gone: entity.properties.pop(gone) for gone in deleted.get(name, ())})
