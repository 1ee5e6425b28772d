"""Typing of values: on the wire every one is a string or null; what a property takes and how it is compared."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from deploy.sandbox.hubspot.errors import Problem

_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_MILLIS = re.compile(r"^-?\d{1,15}$")
_DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Property:
    """A property of an object as its definition tells it."""

    name: str
    type: str = "string"
    field_type: str = "text"
    label: str = ""
    group: str = ""
    options: tuple[str, ...] = ()
    is_unique: bool = False
    is_read_only: bool = False
    is_custom: bool = False
    is_calculated: bool = False


@lru_cache(8192)
def iso(millis: int) -> str:
    """An instant as the API writes it."""
    moment = _EPOCH + timedelta(milliseconds=millis)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{millis % 1000:03d}Z" if millis % 1000 else f"{text}Z"


def read_instant(text: str) -> int | None:
    """Milliseconds of an instant given as such, as a day, or in ISO 8601; None when it is none."""
    if _MILLIS.match(text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round((moment - _EPOCH) / timedelta(milliseconds=1))


def _number(wanted: Property, text: str) -> str | Problem:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        return Problem("INVALID_INTEGER", wanted.name, f"{text} was not a valid number.")
    return text


def _date(wanted: Property, text: str) -> str | Problem:
    if _MILLIS.match(text) and int(text) % _DAY_MS == 0:
        return (date(1970, 1, 1) + timedelta(days=int(text) // _DAY_MS)).isoformat()
    try:
        return date.fromisoformat(text).isoformat() if _DAY.match(text) else _no_date(wanted, text)
    except ValueError:
        return _no_date(wanted, text)


def _no_date(wanted: Property, text: str) -> Problem:
    return Problem("INVALID_DATE", wanted.name, f"{text} was not a valid date.")


def _datetime(wanted: Property, text: str) -> str | Problem:
    millis = read_instant(text)
    return _no_date(wanted, text) if millis is None else iso(millis)


def _option(wanted: Property, text: str) -> str | Problem:
    allowed = ("true", "false") if wanted.type == "bool" else wanted.options
    if allowed and text not in allowed:
        message = f"{text} was not one of the allowed options: [{', '.join(allowed)}]"
        return Problem("INVALID_OPTION", wanted.name, message)
    return text


_READERS = {"number": _number, "date": _date, "datetime": _datetime, "enumeration": _option, "bool": _option}


def stored(wanted: Property, given: Any) -> str | Problem:
    """The text that is kept of a value; scalars of JSON are taken too."""
    if isinstance(given, bool):
        given = "true" if given else "false"
    if isinstance(given, dict | list):
        return Problem("INVALID_STRING", wanted.name, "The value must be a string.")
    reader = _READERS.get(wanted.type)
    text = str(given)
    return reader(wanted, text) if reader else text


def comparable(wanted: Property, text: str) -> Any:
    """What two values of the property are compared by; None for a text that is no value of it."""
    if wanted.type == "number":
        try:
            return Decimal(text)
        except InvalidOperation:
            return None
    if wanted.type in {"datetime", "date"}:
        return read_instant(text)
    return text.lower()
