"""How values of data entities look on the wire and in memory; defaults of what is left out; no rule enters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, cast

import orjson

from deploy.sandbox.dynamics_finance.errors import Refusal, bad_request
from deploy.sandbox.dynamics_finance.schema import ENUMS, EntitySet, Field

Row = dict[str, Any]
EMPTY_DATE: Final = datetime(1900, 1, 1, 12, tzinfo=UTC)
_INSTANTS: Final = frozenset({"TLModifiedDateTime"})
_PLAIN: Final[Mapping[str, Any]] = {
    "text": "",
    "decimal": Decimal(0),
    "date": EMPTY_DATE,
    "int": 0,
    "long": 0,
    "flag": False,
}


def default(field: Field) -> Any:
    """What stands in a field nobody filled."""
    return ENUMS[field.kind][0] if field.is_enum else _PLAIN.get(field.kind, "")


def noon(moment: datetime) -> datetime:
    """A day as the product shows it: noon, so that no time zone moves it."""
    return moment.replace(hour=12, minute=0, second=0, microsecond=0)


def _taken(field: Field, value: Any) -> Any:
    if field.is_enum:
        if value in ENUMS[field.kind]:
            return value
        raise ValueError(f"{value!r} is not a member of {field.kind}")
    if field.kind in {"text", "date"}:
        return _text(field, value) if field.kind == "text" else _moment(field, str(value))
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _not_a("number", value)
    if field.kind in {"int", "long"} and Decimal(value) != int(value):
        raise _not_a("whole number", value)
    return int(value) if field.kind in {"int", "long"} else Decimal(value)


def _not_a(kind: str, value: Any) -> ValueError:
    return ValueError(f"{value!r} is not a {kind}")


def _text(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise _not_a("text", value)
    if field.length is not None and len(value) > field.length:
        raise ValueError(f"The value is longer than {field.length} characters")
    return value


def _moment(field: Field, text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment if field.name in _INSTANTS else noon(moment.astimezone(UTC))


def taken(entity: EntitySet, body: Any, *, is_new: bool, lenient: bool = False) -> Row:
    """A body's values in memory's form. Raises Refusal naming the field.

    `lenient`: from a package file, where fields nobody sets are skipped.
    """
    if not isinstance(body, dict):
        raise bad_request("The request body is not a JSON object.")
    given = {name: value for name, value in cast("Row", body).items() if not name.startswith("@odata.")}
    values: Row = {}
    for name, value in given.items():
        field = entity.fields.get(name)
        if field is None:
            raise bad_request(f"The property '{name}' does not exist on type '{entity.entity}'.")
        if not field.is_read_only and (is_new or not field.is_create_only):
            values[name] = _value(entity, field, value)
        elif not lenient:
            raise _field_refused(entity, name, "The field is not editable.")
    if is_new:
        _demand_filled(entity, values)
    return values


def _value(entity: EntitySet, field: Field, value: Any) -> Any:
    try:
        return default(field) if value is None else _taken(field, value)
    except (ValueError, InvalidOperation) as error:
        raise _field_refused(entity, field.name, str(error)) from error


def _demand_filled(entity: EntitySet, values: Row) -> None:
    for name, field in entity.fields.items():
        if field.is_mandatory and not field.is_read_only and values.get(name) in {None, "", EMPTY_DATE}:
            raise _field_refused(entity, name, f"Field '{name}' must be filled in.")


def _field_refused(entity: EntitySet, name: str, reason: str) -> Refusal:
    inner = f"Write failed for table row of type '{entity.entity}'. Infolog: Warning: {name}: {reason}."
    return Refusal(400, "An error has occurred.", inner, kind="System.InvalidOperationException")


def instant(moment: datetime) -> str:
    """An instant as text: whole seconds, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def shown(entity: EntitySet, row: Row, fields: list[str] | None = None) -> Row:
    """A row as JSON shows it, with its ETag."""
    body: Row = {"@odata.etag": row["@etag"]}
    for name in fields or entity.fields:
        value = row[name]
        body[name] = instant(value) if isinstance(value, datetime) else value
    return body


def written(document: Any) -> bytes:
    """JSON with amounts in exactly their digits."""
    return orjson.dumps(document, default=_exact)


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(type(value).__name__)
