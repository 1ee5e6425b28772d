"""Tryton's JSON: what JSON lacks travels as objects with a `__class__`; used by whoever speaks the wire here."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, cast


def encoded(value: Any) -> Any:  # noqa: PLR0911 - one per kind of value
    """A Python value as Tryton takes it."""
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    if isinstance(value, dt.datetime):
        clock = ("hour", "minute", "second", "microsecond")
        return {**_day(value), "__class__": "datetime", **{part: getattr(value, part) for part in clock}}
    if isinstance(value, dt.date):
        return {"__class__": "date", **_day(value)}
    if isinstance(value, dt.timedelta):
        return {"__class__": "timedelta", "seconds": value.total_seconds()}
    if isinstance(value, Mapping):
        return {str(key): encoded(entry) for key, entry in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [encoded(entry) for entry in cast("Sequence[Any]", value)]
    return value


def _day(value: dt.date) -> dict[str, Any]:
    return {"year": value.year, "month": value.month, "day": value.day}


def _decoded(node: dict[str, Any]) -> Any:
    kind = node.get("__class__")
    if kind == "Decimal":
        return Decimal(node["decimal"])
    if kind == "date":
        return dt.date(node["year"], node["month"], node["day"])
    if kind == "datetime":
        moment = [int(node[part]) for part in ("year", "month", "day", "hour", "minute", "second", "microsecond")]
        return dt.datetime(*moment, tzinfo=dt.UTC)  # type: ignore[misc, arg-type] # seven parts
    if kind == "timedelta":
        return dt.timedelta(seconds=node["seconds"])
    if kind == "bytes":
        return base64.b64decode(node["base64"])
    return node


def dumps(value: Any) -> str:
    """JSON text for the wire."""
    return json.dumps(encoded(value))


def loads(text: str | bytes) -> Any:
    """The value of an answer."""
    return json.loads(text, object_hook=_decoded)
