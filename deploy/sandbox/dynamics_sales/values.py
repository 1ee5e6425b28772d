"""Column values: from JSON into the store and back out, with the texts people see; refused in the vendor's words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import orjson

from deploy.sandbox.dynamics_sales.errors import bad_payload, out_of_range, too_long
from deploy.sandbox.dynamics_sales.records import Value
from deploy.sandbox.dynamics_sales.schema import CHOICES, EDM, Column

_MOST = {"money": Decimal(922337203685477), "decimal": Decimal(100000000000)}
_DAY = re.compile(r"^\d{4}-\d\d-\d\d$")
_INT = 2**31
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "BRL": "R$"}


def read_json(content: bytes) -> Any:
    """A body with its fractions as decimals. Raises DataverseError."""
    try:
        return json.loads(content, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise bad_payload("Unable to parse the request body as JSON.") from None


def write_json(value: Any) -> bytes:
    """The value as JSON; decimals keep their digits."""
    return orjson.dumps(value, default=_written)


def _written(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(type(value).__name__)


def _misfit(column: Column, value: Any) -> Exception:
    return bad_payload(
        f"Cannot convert the literal '{value}' to the expected type '{EDM[column.kind]}' of property '{column.name}'."
    )


def _text(column: Column, table: str, value: Any) -> Value:
    if not isinstance(value, str):
        raise _misfit(column, value)
    if len(value) > column.length:
        raise too_long(column.name, table, column.length)
    return value or None  # a blank text is kept as no value


def _int(column: Column, table: str, value: Any) -> Value:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _misfit(column, value)
    if not -_INT <= value < _INT:
        raise out_of_range(column.name, table, "whole numbers of 32 bits")
    return value


def _choice(column: Column, table: str, value: Any) -> Value:
    chosen = _int(column, table, value)
    if chosen not in column.options:
        raise out_of_range(column.name, table, ",".join(map(str, column.options)))
    return chosen


def _number(column: Column, table: str, value: Any) -> Value:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _misfit(column, value)
    try:
        number = Decimal(value)
        if not number.is_finite() or abs(number) > _MOST[column.kind]:
            raise out_of_range(column.name, table, f"-{_MOST[column.kind]} to {_MOST[column.kind]}")
        return number.quantize(Decimal(1).scaleb(-column.digits), rounding=ROUND_HALF_EVEN)
    except InvalidOperation:
        raise _misfit(column, value) from None


def _boolean(column: Column, table: str, value: Any) -> Value:
    del table
    if not isinstance(value, bool):
        raise _misfit(column, value)
    return value


def _date(column: Column, table: str, value: Any) -> Value:
    del table
    if not isinstance(value, str) or not _DAY.match(value):
        raise _misfit(column, value)
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise _misfit(column, value) from None


def _datetime(column: Column, table: str, value: Any) -> Value:
    del table
    try:
        moment = datetime.fromisoformat(value if "T" in value else f"{value}T00:00:00Z")
    except (TypeError, ValueError):
        raise _misfit(column, value) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)


def _guid(column: Column, table: str, value: Any) -> Value:
    del table
    try:
        return str(UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise _misfit(column, value) from None


_READ: Mapping[str, Callable[[Column, str, Any], Value]] = {
    "string": _text,
    "memo": _text,
    "int": _int,
    "bigint": _int,
    "decimal": _number,
    "money": _number,
    "boolean": _boolean,
    "picklist": _choice,
    "state": _choice,
    "status": _choice,
    "date": _date,
    "datetime": _datetime,
    "guid": _guid,
}


def from_json(column: Column, table: str, value: Any) -> Value:
    """The value as it is kept. Raises DataverseError."""
    return None if value is None else _READ[column.kind](column, table, value)


def to_json(value: Value) -> Any:
    """The value as rows carry it."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else value


def formatted(column: Column, value: Value, currency: str | None) -> str | None:
    """The text people see, or None for values that are shown as they are."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if column.kind in CHOICES and isinstance(value, int):
        return column.options.get(value)
    if column.kind == "money" and isinstance(value, Decimal):
        return f"{SYMBOLS.get(currency or '', '')}{value:,.2f}"
    if isinstance(value, datetime):
        return f"{value.month}/{value.day}/{value.year} {value:%I:%M %p}"
    if isinstance(value, date):
        return f"{value.month}/{value.day}/{value.year}"
    return f"{value:,}" if isinstance(value, int | Decimal) else None
