"""Values on the wire of OData 2 and 4: JSON in and out, literals in addresses, numbers with and without zeros."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from deploy.sandbox.s4hana.schema import Property

V2 = 2
_MOMENT = re.compile(r"^/Date\((-?\d+)(?:([+-])(\d{4}))?\)/$")
_LITERAL = re.compile(r"^(?:(guid|datetimeoffset|datetime|time)?'((?:[^']|'')*)'|(true|false)|(-?[\d.]+)[MmLlDdFf]?)$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Unreadable(ValueError):
    """A value that does not fit its field."""


def initial(prop: Property) -> Any:
    """What a field holds before anybody fills it: the database knows no nulls but for dates."""
    return {"String": "", "Decimal": Decimal(0), "Boolean": False, "Int32": 0}.get(prop.kind)


def read(prop: Property, raw: Any, version: int) -> Any:
    """A JSON value as the field holds it. Raises Unreadable."""
    if raw is None:
        if not prop.nullable:
            raise Unreadable(f"Property '{prop.name}' must not be null")
        return initial(prop)
    try:
        return _READERS[prop.kind](prop, raw, version)
    except (ValueError, InvalidOperation, TypeError, OverflowError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(f"Failed to read property '{prop.name}': {raw!r} is not an Edm.{prop.kind}") from error


def _text(prop: Property, raw: Any, version: int) -> str:
    del version
    if not isinstance(raw, str):
        raise TypeError
    if prop.length is not None and len(raw) > prop.length:
        raise Unreadable(f"Property '{prop.name}' has invalid value: longer than {prop.length} characters")
    return unpadded(raw) if prop.is_padded else raw


def _decimal(prop: Property, raw: Any, version: int) -> Decimal:
    if not isinstance(raw, str) and (version == V2 or isinstance(raw, bool) or not isinstance(raw, int | Decimal)):
        raise TypeError
    amount = Decimal(raw)
    if not amount.is_finite():
        raise ValueError
    if prop.scale is not None:
        exponent = amount.normalize().as_tuple().exponent
        if isinstance(exponent, int) and -exponent > prop.scale:
            raise Unreadable(f"Property '{prop.name}' has invalid value: more than {prop.scale} decimals")
        if prop.length is not None and abs(amount) >= Decimal(10) ** (prop.length - prop.scale):
            raise Unreadable(f"Property '{prop.name}' has invalid value: too large")
    return amount


def _moment(raw: Any) -> datetime:
    if not isinstance(raw, str):
        raise TypeError
    if match := _MOMENT.match(raw):
        return _EPOCH + int(match[1]) * _MILLISECOND
    moment = datetime.fromisoformat(raw)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _flag(prop: Property, raw: Any, version: int) -> bool:
    del prop, version
    if not isinstance(raw, bool):
        raise TypeError
    return raw


def _whole(prop: Property, raw: Any, version: int) -> int:
    del prop, version
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise TypeError
    return raw


def _guid(prop: Property, raw: Any, version: int) -> UUID:
    del prop, version
    return UUID(raw)


def _date(prop: Property, raw: Any, version: int) -> date:
    del prop, version
    return date.fromisoformat(raw)


def _day(prop: Property, raw: Any, version: int) -> date:
    del prop, version
    return _moment(raw).date()


def _instant(prop: Property, raw: Any, version: int) -> datetime:
    del prop, version
    return _moment(raw)


_READERS: Mapping[str, Callable[[Property, Any, int], Any]] = {
    "String": _text,
    "Decimal": _decimal,
    "Boolean": _flag,
    "Int32": _whole,
    "Guid": _guid,
    "Date": _date,
    "DateTime": _day,
    "DateTimeOffset": _instant,
    "Time": _text,
}


def literal(prop: Property, text: str) -> Any:
    """A literal of an address, such as `guid'…'`. Raises Unreadable."""
    match = _LITERAL.match(text)
    if match is None:
        raise Unreadable(f"Malformed URI literal syntax: {text}")
    prefix, inner, flag, number = match.groups()
    if prefix is None and prop.kind in {"Guid", "DateTime", "DateTimeOffset"}:
        raise Unreadable(f"Invalid literal for {prop.name}: {text}")
    raw: Any = inner.replace("''", "'") if inner is not None else (flag == "true" if flag else number)
    return read(prop, raw, V2)


def write(prop: Property, value: Any, version: int, *, pads: bool) -> Any:
    """A field's value as JSON of that version."""
    if isinstance(value, Decimal):
        return format(value, "f") if version == V2 else value
    if isinstance(value, date):
        return _written_moment(value, version) if isinstance(value, datetime) else _written_day(value, version)
    if isinstance(value, UUID):
        return str(value)
    return padded(prop, value) if prop.is_padded and pads and isinstance(value, str) else value


def _written_day(value: date, version: int) -> str:
    if version != V2:
        return value.isoformat()
    return f"/Date({(datetime(value.year, value.month, value.day, tzinfo=UTC) - _EPOCH) // _MILLISECOND})/"


def _written_moment(value: datetime, version: int) -> str:
    if version != V2:
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
    return f"/Date({(value - _EPOCH) // _MILLISECOND}+0000)/"


def key_literal(value: Any) -> str:
    """A key's value as it stands in an address of version 2."""
    if isinstance(value, UUID):
        return f"guid'{value}'"
    if isinstance(value, date):
        return f"datetime'{value.isoformat()}T00:00:00'"
    return "'" + str(value).replace("'", "''") + "'"


def unpadded(text: str) -> str:
    """A number without its leading zeros; texts stay."""
    return (text.lstrip("0") or "0") if text.isdigit() else text


def padded(prop: Property, text: str) -> str:
    """A number as the database keeps it; texts stay."""
    return text.zfill(prop.length or 0) if text.isdigit() else text


def etag_of(value: Any) -> str:
    """The weak ETag of a row's version field."""
    if isinstance(value, datetime):
        return f"W/\"datetimeoffset'{value:%Y-%m-%dT%H:%M:%S.%f}Z'\""
    return f"W/\"'{value}'\""
