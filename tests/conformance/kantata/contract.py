"""The contract read: what an answer or a request of Kantata may look like, and where one departs from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, cast

import yaml

import deploy.sandbox.kantata as package

CONTRACT: dict[str, Any] = yaml.safe_load((Path(package.__file__).parent / "contract.yaml").read_text(encoding="utf-8"))
COLLECTIONS: dict[str, Any] = CONTRACT["collections"]
_JSON: Mapping[str, tuple[type, ...]] = {"text": (str,), "int": (int,), "bool": (bool,), "object": (dict,)}


def _is_day(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(date.fromisoformat(value))
    except ValueError:
        return False


def _is_instant(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def fits(kind: str, value: Any) -> bool:
    """Whether a value is of that type of the contract."""
    if kind == "any":
        return True
    if kind == "ids":
        return isinstance(value, list) and all(str(one).isdigit() for one in cast("list[object]", value))
    if kind == "id":
        return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value.isdigit())
    if kind in {"day", "instant"}:
        return _is_day(value) if kind == "day" else _is_instant(value)
    if kind in _JSON:
        return isinstance(value, _JSON[kind]) and (kind != "int" or not isinstance(value, bool))
    return value in kind.split("|")


def departures_of_row(name: str, row: Mapping[str, Any]) -> Iterator[str]:
    """Where a row of an answer departs from the contract."""
    told = COLLECTIONS[name]
    members = told["members"]
    keys = {key: "ids" if key.endswith("_ids") else "text" for key in told.get("includes", {}).values()}
    for member in members:
        if member not in row:
            yield f"{name}.{member} is missing"
    for member, value in row.items():
        kind = members.get(member) or keys.get(member)
        if kind is None:
            yield f"{name}.{member} is not in the contract"
        elif not (fits(kind, value) or (value is None and member != "id")):
            yield f"{name}.{member} is {value!r}, not {kind}"


def departures_of_answer(document: Mapping[str, Any]) -> Iterator[str]:
    """Where a list's answer departs: envelope, order of results, every row of every map."""
    envelope = CONTRACT["envelope"]
    if sorted(document["meta"]) != sorted(envelope["meta"]) or not fits("int", document["count"]):
        yield "the envelope"
    for result in document["results"]:
        if set(result) != set(envelope["results"]) or result["id"] not in document[result["key"]]:
            yield f"result {result}"
    for name, rows in document.items():
        if isinstance(rows, dict) and name != "meta":
            for row in cast("dict[str, dict[str, Any]]", rows).values():
                yield from departures_of_row(name, row)


def departures_of_query(name: str, query: Mapping[str, str]) -> Iterator[str]:
    """Where a query departs: strange filters, includes that add nothing, orders that are not known."""
    told = COLLECTIONS[name]
    for key, value in query.items():
        if key not in {*CONTRACT["common"]["filters"], *told.get("filters", ())}:
            yield f"{name}?{key}"
        if key == "include":
            yield from (f"{name}?include={one}" for one in value.split(",") if one not in told.get("includes", ()))
        if key == "order" and value.rpartition(":")[0] not in told["orders"]:
            yield f"{name}?order={value}"


def departures_of_body(name: str, body: Mapping[str, Any], *, is_new: bool) -> Iterator[str]:
    """Where an object that is written departs."""
    yield from _written(name, COLLECTIONS[name]["writes"], body, is_new=is_new)


def _written(name: str, members: Mapping[str, str], body: Mapping[str, Any], *, is_new: bool) -> Iterator[str]:
    for member, kind in members.items():
        if is_new and kind.endswith("!") and body.get(member) in (None, ""):
            yield f"{name}.{member} is required"
    for member, value in body.items():
        kind = members.get(member, "").removesuffix("!")
        if not kind:
            yield f"{name}.{member} cannot be written"
        elif kind == "reference":
            yield from _written(f"{name}.{member}", CONTRACT["reference"], value, is_new=True)
        elif kind == "ids":
            yield from (f"{name}.{member}: {one!r}" for one in value if not fits("id", one))
        elif value is not None and not fits(kind, value):
            yield f"{name}.{member} is {value!r}, not {kind}"
