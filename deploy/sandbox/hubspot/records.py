"""Records of one object: rows, unique values, and what the search index has heard of them so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deploy.sandbox.hubspot.kinds import Kind
from deploy.sandbox.hubspot.values import iso

Json = dict[str, Any]
_FIRST_ID = 51_000_000_001


@dataclass(frozen=True, slots=True)
class Record:
    """One state of a record; a change makes another."""

    id: int
    properties: Mapping[str, str]
    created: int
    modified: int
    archived_at: int | None = None


@dataclass(slots=True)
class Table:
    """All records of an object. Every object counts its own ids, so that ids of two objects may be alike."""

    kind: Kind
    rows: dict[int, Record] = field(default_factory=dict[int, Record])
    archived: dict[int, Record] = field(default_factory=dict[int, Record])
    unique: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    index: dict[int, Record] = field(default_factory=dict[int, Record])
    found: dict[Any, list[Record]] = field(default_factory=dict[Any, list[Record]])
    _news: deque[tuple[int, int, Record | None]] = field(default_factory=deque[tuple[int, int, "Record | None"]])
    _last: int = _FIRST_ID - 1
    _newest: int = 0

    def new_id(self) -> int:
        """The next record's id."""
        self._last += 1
        return self._last

    def put(self, record: Record) -> None:
        """A new record, or a new state of one."""
        before = self.rows.get(record.id)
        for name, taken in self.unique.items():
            if before is not None and (old := before.properties.get(name)):
                taken.pop(old, None)
            if new := record.properties.get(name):
                taken[new] = record.id
        self.rows[record.id] = record
        self._news.append((record.modified, record.id, record))

    def archive(self, record_id: int, at: int) -> Record | None:
        """Take a record away; None when there is none."""
        record = self.rows.pop(record_id, None)
        if record is None:
            return None
        for name, taken in self.unique.items():
            taken.pop(record.properties.get(name, ""), None)
        self.archived[record_id] = replace(record, archived_at=at, modified=at)
        self._news.append((at, record_id, None))
        return record

    def make_unique(self, name: str) -> None:
        """Look after a property whose values may not repeat."""
        self.unique[name] = {}

    def by_unique(self, name: str, value: str) -> int | None:
        """The record with that unique value."""
        return self.unique.get(name, {}).get(value)

    def searchable(self, now: int, lag: int) -> dict[int, Record]:
        """What the index knows: states older than the lag, in the order of their changes."""
        disordered = False
        while self._news and self._news[0][0] + lag <= now:
            _, record_id, record = self._news.popleft()
            self.index.pop(record_id, None)
            if record is not None:
                self.index[record_id] = record
                disordered = disordered or record.modified < self._newest
                self._newest = max(self._newest, record.modified)
            self.found.clear()
        if disordered:  # a batch was taken back
            self.index = dict(sorted(self.index.items(), key=lambda item: item[1].modified))
        return self.index

    def value(self, record: Record, name: str) -> str | None:
        """A property of a record, the vendor's own among them."""
        if name == "hs_object_id":
            return str(record.id)
        if name == "hs_lastmodifieddate":
            return iso(record.modified)
        if name == self.kind.created_property:
            return iso(record.created)
        return record.properties.get(name)

    def shown(self, record: Record, wanted: list[str]) -> Json:
        """The record as an answer shows it: unasked properties, and those asked for that exist."""
        names = dict.fromkeys([*self.kind.shown, *(name for name in wanted if name in self.kind.properties)])
        rendered: Json = {
            "id": str(record.id),
            "properties": {name: self.value(record, name) for name in names},
            "createdAt": iso(record.created),
            "updatedAt": iso(record.modified),
            "archived": record.archived_at is not None,
        }
        if record.archived_at is not None:
            rendered["archivedAt"] = iso(record.archived_at)
        return rendered
