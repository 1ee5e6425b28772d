"""Request bodies in, response bodies out: values checked against the schema; no bookkeeping may enter."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, cast

from deploy.sandbox.netsuite.errors import invalid_content
from deploy.sandbox.netsuite.schema import RECORD_TYPES, FieldType, RecordType, pointed_at
from deploy.sandbox.netsuite.state import Account, Row

SUBLIST_KEYS = {
    "item": "line",
    "apply": "doc",
    "milestone": "milestoneId",
    "recurrence": "recurrenceId",
    "addressBook": "internalId",
    "assignee": "resource",
    "predecessor": "predecessor",
    "currencyList": "currency",
    "taxRegistration": "id",
    "taxDetails": "taxDetailsReference",
}
STATUS_LABELS = {"A": "Open", "B": "Paid In Full", "D": "Pending Approval", "E": "Rejected", "V": "Voided"}
NUMBERED = ("line", "milestoneId", "recurrenceId", "internalId", "id")
_KINDS: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "duration": (str,),
    "number": (int, float, Decimal),
    "money": (int, float, Decimal),
    "boolean": (bool,),
}


def read_body(account: Account, record: RecordType, body: Any, unknown: list[str]) -> Row:
    """The values of a request body; names not in the schema are collected in `unknown`."""
    if not isinstance(body, dict):
        raise invalid_content("The request body must be a JSON object.", "")
    values: Row = {}
    for name, value in cast("dict[str, Any]", body).items():
        if lines := record.sublists.get(name):
            values[name] = _lines(account, name, lines, value, unknown)
        elif (kind := record.fields.get(name)) is None:
            if name != "links":
                unknown.append(name)
        elif not kind.is_read_only:
            values[name] = _value(account, kind, value, name)
    return values


def _lines(
    account: Account, sublist: str, fields: Mapping[str, FieldType], value: Any, unknown: list[str]
) -> list[Row]:
    items = cast("dict[str, Any]", value).get("items") if isinstance(value, dict) else None
    if not isinstance(items, list):
        raise invalid_content("A sublist is given as an object with items.", sublist)
    lines: list[Row] = []
    for position, item in enumerate(cast("list[Any]", items)):
        path = f"{sublist}.items[{position}]"
        if not isinstance(item, dict):
            raise invalid_content("A line is an object.", path)
        line: Row = {}
        for name, inner in cast("dict[str, Any]", item).items():
            if (kind := fields.get(name)) is None:
                if name != "links":
                    unknown.append(f"{path}.{name}")
            elif not kind.is_read_only:
                line[name] = _value(account, kind, inner, f"{path}.{name}")
        lines.append(line)
    return lines


def _value(account: Account, kind: FieldType, value: Any, path: str) -> Any:
    if value is None:
        return None
    if kind.kind == "reference":
        return _reference(account, kind, value, path)
    if kind.kind == "enum":
        chosen = cast("dict[str, Any]", value).get("id") if isinstance(value, dict) else value
        if not isinstance(chosen, str) or (kind.options and chosen not in kind.options):
            raise invalid_content(f"Invalid value for the field {kind.name}.", path)
        return chosen
    if kind.kind in {"date", "datetime"}:
        return _moment(kind, value, path)
    if kind.kind == "subrecord":
        if not isinstance(value, dict):
            raise invalid_content(f"Invalid value for the field {kind.name}.", path)
        return cast("dict[str, Any]", value)
    if not isinstance(value, _KINDS[kind.kind]) or (isinstance(value, bool) and kind.kind != "boolean"):
        raise invalid_content(f"Invalid value for the field {kind.name}: expected {kind.kind}.", path)
    return Decimal(str(value)) if kind.kind in {"number", "money"} else value


def _moment(kind: FieldType, value: Any, path: str) -> date | datetime:
    try:
        if kind.kind == "date":
            return date.fromisoformat(value)
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError) as error:
        raise invalid_content(f"Invalid {kind.kind} in the field {kind.name}.", path) from error


def _reference(account: Account, kind: FieldType, value: Any, path: str) -> int:
    key: str | None = None
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        key = f"eid:{named['externalId']}" if named.get("externalId") else str(named.get("id", ""))
    elif isinstance(value, (str, int)) and not isinstance(value, bool):
        key = str(value)
    if key:
        for record in pointed_at(kind.target):
            if row := account.find(record, key):
                return int(row["id"])
    raise invalid_content(f"Invalid reference {key or ''} for the field {kind.name}.", path)


def merged(sublist: str, old: list[Row], new: list[Row], *, replaces: bool) -> list[Row]:
    """The lines after a change: without `replaces`, lines with a known key are merged and the others appended."""
    key = SUBLIST_KEYS[sublist]
    lines = [] if replaces else [dict(line) for line in old]
    index = {line[key]: line for line in lines if line.get(key) is not None}
    for line in new:
        known = index.get(line.get(key)) if line.get(key) is not None else None
        if known is not None:
            known.update(line)
        else:
            lines.append(dict(line))
    if key in NUMBERED:
        taken = {line[key] for line in lines if line.get(key) is not None}
        following = max((int(number) for number in taken), default=0)
        for line in lines:
            if line.get(key) is None:
                following += 1
                line[key] = Decimal(following)
    return lines


class Renderer:
    """Rows as response bodies of one account address."""

    def __init__(self, account: Account, root: str) -> None:
        """`root` is the URL of record/v1."""
        self._account = account
        self._root = root

    def href(self, record: str, key: Any, tail: str = "") -> str:
        """A record's URL."""
        return f"{self._root}/{record}/{key}{tail}"

    def stub(self, record: RecordType, row: Row) -> dict[str, Any]:
        """An item of a collection: links and id."""
        return {"links": [{"rel": "self", "href": self.href(record.name, row["id"])}], "id": str(row["id"])}

    def full(self, record: RecordType, row: Row, *, expands: bool, only: frozenset[str]) -> dict[str, Any]:
        """The record; sublists as links unless expanded."""
        body: dict[str, Any] = {"links": [{"rel": "self", "href": self.href(record.name, row["id"])}]}
        for name, value in row.items():
            if only and name not in only and name != "id":
                continue
            if fields := record.sublists.get(name):
                body[name] = self._sublist(record, row, name, fields, expands=expands)
            elif value is not None and name in record.fields:
                body[name] = self._plain(record.fields[name], value)
        if record.name == "invoice" and "status" in body and self._account.behaviour.status_as == "label":
            label = STATUS_LABELS[row["status"]]
            body["status"] = {"id": label, "refName": label}
        return body

    def _sublist(
        self, record: RecordType, row: Row, name: str, fields: Mapping[str, FieldType], *, expands: bool
    ) -> dict[str, Any]:
        links = [{"rel": "self", "href": self.href(record.name, row["id"], f"/{name}")}]
        if not expands:
            return {"links": links}
        items: list[dict[str, Any]] = []
        for line in row[name]:
            shown: dict[str, Any] = {"links": []}
            shown.update(
                (field, self._plain(fields[field], value))
                for field, value in line.items()
                if value is not None and field in fields
            )
            items.append(shown)
        size = len(items)
        return {"links": links, "items": items, "totalResults": size, "count": size, "hasMore": False, "offset": 0}

    def _plain(self, kind: FieldType, value: Any) -> Any:
        if kind.kind == "reference":
            return self._pointer(kind, value)
        if kind.kind == "enum":
            return {"id": value, "refName": value}
        if isinstance(value, Decimal):
            return int(value) if value == value.to_integral_value() and kind.kind == "number" else float(value)
        if isinstance(value, datetime):
            return f"{value:%Y-%m-%dT%H:%M:%SZ}"
        if isinstance(value, date):
            return value.isoformat()
        return str(value) if kind.name == "id" else value

    def _pointer(self, kind: FieldType, number: int) -> dict[str, Any]:
        target = self._account.target(kind.target, number)
        record = self._account.type_of[pointed_at(kind.target)[0].family].get(number)
        name = record.name if record else kind.target
        title = str((target or {}).get(RECORD_TYPES[name].title, "")) if name in RECORD_TYPES else ""
        links = [{"rel": "self", "href": self.href(name, number)}]
        return {"links": links, "id": str(number), "refName": title}
