"""Bodies and parameters of requests, written so that no digit of an amount is lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

import orjson
from pydantic import BaseModel

Params = Mapping[str, Any] | Sequence[tuple[str, Any]]


def as_json(value: Any) -> bytes:
    """The value as JSON; Decimals become numbers with exactly their digits, models their JSON form."""
    return orjson.dumps(value, default=_written)


def _written(value: Any) -> Any:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise TypeError(f"{value} is not a number that JSON knows")
        return orjson.Fragment(format(value, "f"))
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, set | frozenset | tuple):
        return list(cast("Iterable[Any]", value))
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def as_params(params: Params | None) -> list[tuple[str, str | int | float | bool | None]]:
    """Query parameters in order: lists repeat their name, None is left out, instants are ISO 8601."""
    pairs = params.items() if isinstance(params, Mapping) else params or ()
    written: list[tuple[str, str | int | float | bool | None]] = []
    for name, value in pairs:
        values = cast("Sequence[Any]", value) if isinstance(value, list | tuple) else [value]
        written.extend((name, _text(entry)) for entry in values if entry is not None)
    return written


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)
