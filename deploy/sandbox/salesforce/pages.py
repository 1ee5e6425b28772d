"""Query answers: rows rendered with parents and child results, cut into pages behind opaque locators."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from deploy.sandbox.salesforce.errors import SalesforceError
from deploy.sandbox.salesforce.ids import make_id
from deploy.sandbox.salesforce.queries import Path, Plan, Planner
from deploy.sandbox.salesforce.records import Records, Row
from deploy.sandbox.salesforce.schema import Field, SObject
from deploy.sandbox.salesforce.soql import read_soql
from deploy.sandbox.salesforce.values import to_json

Json = dict[str, Any]
_LARGEST, _SMALLEST = 2000, 200
_KEPT = 2000


@dataclass(slots=True)
class _Cursor:
    plan: Plan
    rows: list[Row]
    size: int


@dataclass(slots=True)
class Pages:
    """Answers of queries and what is left of them; `page_size` and `child_page_size` make pages smaller than asked.

    So many of the next reads behind a locator as `expiries` says find that all locators have expired.
    """

    records: Records
    page_size: int | None = None
    child_page_size: int | None = None
    expiries: int = 0
    _cursors: OrderedDict[str, _Cursor] = field(default_factory=OrderedDict[str, _Cursor])
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def ask(self, text: str, version: str, *, batch: int | None, with_deleted: bool = False) -> Json:
        """The first page of a query. Raises SalesforceError."""
        planner = Planner(self.records)
        plan = planner.plan(read_soql(text))
        rows = planner.run(plan, with_deleted=with_deleted)
        if plan.counts:
            return {"totalSize": len(rows), "done": True, "records": []}
        asked = min(_LARGEST, max(_SMALLEST, batch or _LARGEST))
        return self._page(_Cursor(plan, rows, self.page_size or asked), None, 0, version)

    def read_on(self, locator: str, version: str) -> Json:
        """The page behind a locator. Raises SalesforceError INVALID_QUERY_LOCATOR."""
        if self.expiries:
            self.expiries -= 1
            self._cursors.clear()
        name, _, place = locator.rpartition("-")
        cursor = self._cursors.get(name)
        if cursor is None or not place.isdigit():
            raise SalesforceError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(cursor, name, int(place), version)

    def row(self, sobject: SObject, row: Row, version: str, names: list[str] | None = None) -> Json:
        """A row as the row resource shows it."""
        shown = [sobject.fields[name] for name in names] if names else sobject.shown
        return {"attributes": _attributes(sobject, row, version)} | {f.name: self._shown(f, row) for f in shown}

    def _page(self, cursor: _Cursor, name: str | None, start: int, version: str) -> Json:
        end = start + cursor.size
        answer: Json = {"totalSize": len(cursor.rows), "done": end >= len(cursor.rows)}
        if not answer["done"]:
            name = name or self._keep(cursor)
            answer["nextRecordsUrl"] = f"/services/data/v{version}/query/{name}-{end}"
        answer["records"] = [self._render(cursor.plan, row, version) for row in cursor.rows[start:end]]
        return answer

    def _keep(self, cursor: _Cursor) -> str:
        name = make_id("0r8", next(self._numbers))
        self._cursors[name] = cursor
        while len(self._cursors) > _KEPT:
            self._cursors.popitem(last=False)
        return name

    def _render(self, plan: Plan, row: Row, version: str) -> Json:
        shown: Json = {"attributes": _attributes(plan.sobject, row, version)}
        for path in plan.paths:
            self._place(shown, path, row, version)
        planner = Planner(self.records)
        for name, reference, child in plan.children:
            rows = planner.run_child(child, reference, row)
            size = self.child_page_size or _LARGEST
            shown[name] = self._page(_Cursor(child, rows, size), None, 0, version) if rows else None
        return shown

    def _place(self, shown: Json, path: Path, row: Row, version: str) -> None:
        current: Row | None = row
        for hop in path.hops:
            current = self.records.get(hop.target or "", current[hop.name]) if current else None
            parent = hop.parent or ""
            if current is None:
                shown[parent] = None
                return
            target = self.records.tables[hop.target or ""].sobject
            shown = shown.setdefault(parent, {"attributes": _attributes(target, current, version)})
        shown[path.field.name] = self._shown(path.field, current or {})

    def _shown(self, listed: Field, row: Row) -> Any:
        return _address(listed, row) if listed.kind == "address" else to_json(self.records.value(listed, row))


def _attributes(sobject: SObject, row: Row, version: str) -> Json:
    return {"type": sobject.name, "url": f"/services/data/v{version}/sobjects/{sobject.name}/{row['Id']}"}


def _address(listed: Field, row: Row) -> Any:
    parts = {part.lower(): row.get(listed.pattern + part) for part in ("Street", "City", "State", "Country")}
    parts["postalCode"] = row.get(listed.pattern + "PostalCode")
    if not any(parts.values()):
        return None
    return {**parts, "geocodeAccuracy": None, "latitude": None, "longitude": None}
