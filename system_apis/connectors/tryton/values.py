"""Tryton's JSON to Python and back: what JSON lacks travels as objects with a `__class__`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

_CLOCK = ("hour", "minute", "second", "microsecond")


def from_python(value: Any) -> Any:  # noqa: PLR0911 - one per kind of value
    """A value as Tryton takes it; instants are UTC without a zone there."""
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": f"{value:f}"}
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return {"__class__": "datetime", **_day(moment), **{part: getattr(moment, part) for part in _CLOCK}}
    if isinstance(value, date):
        return {"__class__": "date", **_day(value)}
    if isinstance(value, timedelta):
        return {"__class__": "timedelta", "seconds": int(value.total_seconds())}
    if isinstance(value, Mapping):
        return {str(key): from_python(entry) for key, entry in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [from_python(entry) for entry in cast("Sequence[Any]", value)]
    return value


def to_python(value: Any) -> Any:
    """An answer's value; `party.` (related data) becomes `party`, in the place of the bare id beside it.

    An object whose parts are missing stays as it is, so that the payload model names the field it stands in.
    """
    if isinstance(value, list):
        return [to_python(entry) for entry in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    node = cast("dict[str, Any]", value)
    if "__class__" in node:
        return _object(node)
    plain = {key: to_python(entry) for key, entry in node.items() if not key.endswith(".")}
    return plain | {key[:-1]: to_python(entry) for key, entry in node.items() if key.endswith(".")}


def _day(value: date) -> dict[str, int]:
    return {"year": value.year, "month": value.month, "day": value.day}


def _object(node: dict[str, Any]) -> Any:
    try:
        match node["__class__"]:
            case "Decimal":
                return Decimal(str(node["decimal"]))
            case "date":
                return date(int(node["year"]), int(node["month"]), int(node["day"]))
            case "datetime":
                day = (int(node["year"]), int(node["month"]), int(node["day"]))
                hour, minute, second, micro = (int(node[part]) for part in _CLOCK)
                return datetime(*day, hour, minute, second, micro, tzinfo=UTC)
            case "timedelta":
                return timedelta(seconds=float(node["seconds"]))
            case _:
                return node
    except (KeyError, ValueError, ArithmeticError):
        return node
