"""The functions a `$filter` may call, by version of OData."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any, Final


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _day(value: Any) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, str):
        return date.fromisoformat(value[:10])
    return value


def _part(name: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return None if moment is None else Decimal(getattr(moment, name))

    return read


def _substring(text: Any, start: Any, length: Any = None) -> str:
    first = int(start)
    return _text(text)[first:] if length is None else _text(text)[first : first + int(length)]


def _whole(mode: str) -> Callable[[Any], Any]:
    return lambda value: None if value is None else Decimal(value).to_integral_value(mode)


def _starts(text: Any, part: Any) -> bool:
    return _text(text).lower().startswith(_text(part).lower())


def _ends(text: Any, part: Any) -> bool:
    return _text(text).lower().endswith(_text(part).lower())


def _contains(text: Any, part: Any) -> bool:
    return _text(part).lower() in _text(text).lower()


def _within(part: Any, text: Any) -> bool:
    return _contains(text, part)


def _position(text: Any, part: Any) -> Decimal:
    return Decimal(_text(text).find(_text(part)))


def _joined(one: Any, other: Any) -> str:
    return _text(one) + _text(other)


def _size(text: Any) -> Decimal:
    return Decimal(len(_text(text)))


def _changed(how: Callable[[str], str]) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:
        return None if value is None else how(_text(value))

    return change


_BOTH: Final[Mapping[str, Callable[..., Any]]] = {
    "startswith": _starts,
    "endswith": _ends,
    "tolower": _changed(str.lower),
    "toupper": _changed(str.upper),
    "trim": _changed(str.strip),
    "length": _size,
    "indexof": _position,
    "concat": _joined,
    "substring": _substring,
    "year": _part("year"),
    "month": _part("month"),
    "day": _part("day"),
    "hour": _part("hour"),
    "minute": _part("minute"),
    "second": _part("second"),
    "round": _whole(ROUND_HALF_UP),
    "floor": _whole(ROUND_FLOOR),
    "ceiling": _whole(ROUND_CEILING),
}
FUNCTIONS: Final[Mapping[int, Mapping[str, Callable[..., Any]]]] = {
    2: {**_BOTH, "substringof": _within},
    4: {**_BOTH, "contains": _contains, "date": _day},
}
"""Texts compare without regard to case, as the vendors' default collations do."""
