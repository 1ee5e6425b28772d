"""Search: groups of filters over what the index has heard of, sorted, cut into pages, never beyond the window."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable
from typing import Any, cast

from deploy.sandbox.hubspot.calls import Call, Reply, page
from deploy.sandbox.hubspot.errors import invalid
from deploy.sandbox.hubspot.portal import Portal
from deploy.sandbox.hubspot.records import Record, Table
from deploy.sandbox.hubspot.values import Property, comparable

Json = dict[str, Any]
Test = Callable[[Record], bool]
_MOST_GROUPS, _MOST_IN_GROUP, _MOST_FILTERS = 5, 10, 25
_LONGEST_PAGE = 200
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "EQ": lambda have, want: have == want,
    "LT": lambda have, want: have < want,
    "LTE": lambda have, want: have <= want,
    "GT": lambda have, want: have > want,
    "GTE": lambda have, want: have >= want,
}


def _property(table: Table, name: Any) -> Property:
    found = table.kind.properties.get(str(name))
    if found is None:
        raise invalid(f"There was a problem with the request: property {name} does not exist")
    return found


def _wanted(prop: Property, value: Any) -> Any:
    if not isinstance(value, str):
        raise invalid(f"Invalid filter on {prop.name}: a value must be given as a string")
    found = comparable(prop, value)
    if found is None:
        raise invalid(f"Invalid filter on {prop.name}: {value} is not a {prop.type}")
    return found


def _having(table: Table, prop: Property) -> Callable[[Record], Any]:
    """What a record is compared by; the vendor's own stamps and ids need no reading."""
    if prop.name == "hs_lastmodifieddate":
        return lambda record: record.modified
    if prop.name == "hs_object_id":
        return lambda record: record.id

    def have(record: Record) -> Any:
        text = table.value(record, prop.name)
        return None if text is None else comparable(prop, text)

    return have


def _test(table: Table, given: Json) -> Test:
    prop, operator = _property(table, given.get("propertyName")), given.get("operator")
    have = _having(table, prop)
    if operator in _ORDERS:
        order, want = _ORDERS[operator], _wanted(prop, given.get("value"))
        return lambda record: (found := have(record)) is not None and order(found, want)
    if operator == "NEQ":
        other = _wanted(prop, given.get("value"))
        return lambda record: have(record) != other
    if operator == "BETWEEN":
        low, high = _wanted(prop, given.get("value")), _wanted(prop, given.get("highValue"))
        return lambda record: (found := have(record)) is not None and low <= found <= high
    if operator in {"IN", "NOT_IN"}:
        listed = {_wanted(prop, value) for value in cast("list[Any]", given.get("values") or [])}
        return lambda record: (have(record) in listed) == (operator == "IN")
    if operator in {"HAS_PROPERTY", "NOT_HAS_PROPERTY"}:
        return lambda record: (table.value(record, prop.name) is not None) == (operator == "HAS_PROPERTY")
    if operator in {"CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"}:
        token = str(given.get("value", "")).lower().strip("*")
        contains = operator == "CONTAINS_TOKEN"
        return lambda record: (token in (table.value(record, prop.name) or "").lower()) == contains
    raise invalid(f"Invalid operator: {operator}")


def _tests(table: Table, groups: list[Json]) -> list[list[Test]]:
    listed = [cast("list[Json]", group.get("filters") or []) for group in groups]
    if len(listed) > _MOST_GROUPS or any(len(group) > _MOST_IN_GROUP for group in listed):
        raise invalid(f"A search takes {_MOST_GROUPS} groups of {_MOST_IN_GROUP} filters at most")
    if sum(map(len, listed)) > _MOST_FILTERS:
        raise invalid(f"A search takes {_MOST_FILTERS} filters at most")
    return [[_test(table, one) for one in group] for group in listed]


def _sort(table: Table, given: Any) -> tuple[str, bool]:
    """Property and whether it falls; one sort is all a search takes."""
    if not given:
        return "hs_object_id", False
    if not isinstance(given, list) or len(cast("list[Any]", given)) > 1:
        raise invalid("A search takes one sort at most")
    one = cast("list[Any]", given)[0]
    if isinstance(one, dict):
        told = cast("Json", one)
        name, falls = str(told.get("propertyName")), told.get("direction") == "DESCENDING"
    else:
        name, falls = str(one).removeprefix("-"), str(one).startswith("-")
    return _property(table, name).name, falls


def _earliest(given: list[Json]) -> int:
    """The stamp before which no group can match."""
    bounds = [
        max(
            (
                int(one["value"])
                for one in cast("list[Json]", group.get("filters") or [])
                if one.get("propertyName") == "hs_lastmodifieddate"
                and one.get("operator") in {"EQ", "GT", "GTE"}
                and str(one.get("value", "")).isdigit()
            ),
            default=0,
        )
        for group in given
    ]
    return min(bounds, default=0)


def _matching(table: Table, given: Json, known: dict[int, Record]) -> list[Record]:
    asked = cast("list[Json]", given.get("filterGroups") or [])
    groups = _tests(table, asked)
    rows = list(known.values())
    rows = rows[bisect_left(rows, _earliest(asked), key=lambda record: record.modified) :]
    found = [r for r in rows if any(all(t(r) for t in group) for group in groups)] if groups else rows
    if query := str(given.get("query") or "").lower():
        found = [r for r in found if any(query in value.lower() for value in r.properties.values())]
    name, falls = _sort(table, given.get("sorts"))
    prop = table.kind.properties[name]
    if name == "hs_lastmodifieddate" and not falls:
        return found  # the index is in this order; rows of one instant stand in no particular one
    have = _having(table, prop)
    keyed = [(have(record), record) for record in found]
    empty = [r for key, r in keyed if key is None]
    full = sorted((pair for pair in keyed if pair[0] is not None), key=lambda pair: pair[0], reverse=falls)
    return [r for _, r in full] + empty


def search(portal: Portal, table: Table, call: Call) -> Reply:
    """`POST …/search`. Raises HubspotError."""
    given = call.document()
    limit = int(given.get("limit") or 10)
    after = str(given.get("after") or "0")
    if not 1 <= limit <= _LONGEST_PAGE or not after.isdigit():
        raise invalid(f"Invalid limit or after: limit must be between 1 and {_LONGEST_PAGE}")
    start = int(after)
    if start + limit > portal.ways.search_window:
        raise invalid(f"The search window of {portal.ways.search_window} results is exceeded")
    known = table.searchable(call.at, portal.ways.index_lag_ms)
    asked = {name: value for name, value in given.items() if name not in {"after", "limit", "properties"}}
    key = json.dumps(asked, sort_keys=True)
    if key not in table.found:
        if len(table.found) >= 8:  # noqa: PLR2004 - enough for readers that page side by side
            table.found.clear()
        table.found[key] = _matching(table, given, known)
    matching = table.found[key]
    end = start + min(limit, portal.ways.page_size)
    wanted = [str(name) for name in given.get("properties") or ()]
    rows = [table.shown(record, wanted) for record in matching[start:end]]
    body = page(rows, str(end) if end < len(matching) else None, call.link)
    return Reply(200, {"total": len(matching), **body})
