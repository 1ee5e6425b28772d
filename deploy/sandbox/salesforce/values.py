"""Field values: from JSON into the store and back out, refused with the vendor's words when they do not fit."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from deploy.sandbox.salesforce.errors import SalesforceError, malformed_json
from deploy.sandbox.salesforce.ids import normal_id
from deploy.sandbox.salesforce.schema import NUMBERS, Field

Value = str | bool | Decimal | date | datetime | None
_DATE = re.compile(r"^\d{4}-\d\d-\d\d$")
_OFFSET = re.compile(r"([+-]\d\d)(\d\d)$")
_MOST_DIGITS = 18


def _misfit(kind: str, value: Any) -> SalesforceError:
    token = "VALUE_NUMBER" if isinstance(value, (int, Decimal)) else "VALUE_STRING"
    text = (
        f"Cannot deserialize instance of {kind} from {token} value {value} or request may be missing a required field"
    )
    return malformed_json(f"{text} at [line:1, column:1]")


def read_date(text: str) -> date | None:
    """`2026-01-31`, also from the front of a date and time."""
    if not _DATE.match(text[:10]) or (len(text) > len("2026-01-31") and text[10] != "T"):
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def read_datetime(text: str) -> datetime | None:
    """`2026-01-31T10:00:00Z`, with milliseconds, and with `+02:00` or `+0200`; UTC comes out."""
    try:
        moment = datetime.fromisoformat(_OFFSET.sub(r"\1:\2", text.replace("Z", "+00:00")))
    except ValueError:
        return None
    if "T" not in text or moment.tzinfo is None:
        return None
    return moment.astimezone(UTC)


def _number(field: Field, value: Any) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise _misfit("double", value) from None
    if isinstance(value, bool) or not number.is_finite():
        raise _misfit("double", value)
    if number.adjusted() >= _MOST_DIGITS:
        raise SalesforceError(
            400, "NUMBER_OUTSIDE_VALID_RANGE", f"{field.name}: value outside of valid range", [field.name]
        )
    if field.kind == "percent":
        return number
    return number.quantize(Decimal(1).scaleb(-field.scale), ROUND_HALF_UP)


def _text(field: Field, value: Any) -> str | None:
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
            raise _misfit("string", value)
        value = str(value)
    value = value.strip()
    if not value:
        return None
    if field.length and len(value) > field.length:
        text = f"{field.name}: data value too large: {value} (max length={field.length})"
        raise SalesforceError(400, "STRING_TOO_LONG", text, [field.name])
    if field.restricted and value not in field.values:
        text = f"{field.name}: bad value for restricted picklist field: {value}"
        raise SalesforceError(400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", text, [field.name])
    return value


def _currency_code(value: str) -> str:
    if not re.fullmatch("[A-Z]{3}", value):
        text = f"Currency ISO Code: bad value for restricted picklist field: {value}"
        raise SalesforceError(400, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", text, ["CurrencyIsoCode"])
    return value


def _claim(value: Any) -> bool:
    if value not in {True, False, "true", "false"} or isinstance(value, (int, Decimal)) is not isinstance(value, bool):
        raise _misfit("boolean", value)
    return value in {True, "true"}


def _moment(field: Field, value: Any) -> date | datetime:
    read = read_date if field.kind == "date" else read_datetime
    moment = read(value) if isinstance(value, str) else None
    if moment is None:
        raise _misfit(field.kind, value)
    return moment


def from_json(field: Field, value: Any) -> Value:
    """The value as the store keeps it. Raises SalesforceError."""
    if value is None or value == "":
        return False if field.kind == "boolean" else None
    if field.kind in NUMBERS:
        return _number(field, value)
    if field.kind == "boolean":
        return _claim(value)
    if field.kind in {"date", "datetime"}:
        return _moment(field, value)
    if field.kind in {"reference", "id"}:
        found = normal_id(value) if isinstance(value, str) else None
        if found is None:
            raise SalesforceError(
                400, "MALFORMED_ID", f"{field.name}: id value of incorrect type: {value}", [field.name]
            )
        return found
    text = _text(field, value)
    return _currency_code(text) if text and field.name == "CurrencyIsoCode" else text


def stamp(moment: datetime) -> str:
    """`2026-03-01T10:11:12.000+0000`, the vendor's form."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def to_json(value: Value) -> Any:
    """The value as answers carry it; numbers as JSON numbers, as the vendor sends them."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, date):
        return value.isoformat()
    return float(value)


def sort_key(value: Value) -> tuple[int, Any]:
    """Nulls first."""
    return (0, 0) if value is None else (1, value)
