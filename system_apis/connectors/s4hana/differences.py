"""What of a body is new to a row: values as we write them against values as S/4HANA tells them; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from system_apis.dialects.odata import v2_moment

_DAY_LENGTH = 10


def changed(body: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """The members of the body that the row does not hold already; nested rows are left out."""
    return {
        name: value
        for name, value in body.items()
        if not isinstance(value, Mapping | list) and not _same(value, row.get(name))
    }


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return bool(ours) == bool(theirs)
    one, other = _plain(ours), _plain(theirs)
    if one == other:
        return True
    try:
        return Decimal(one or "0") == Decimal(other or "0")
    except InvalidOperation:
        return False


def _plain(value: Any) -> str:
    """A value as a text: days by their day, nothing as nothing."""
    if value is None:
        return ""
    text = str(value)
    if text.startswith("/Date("):
        return v2_moment(text).date().isoformat()
    if text.endswith("T00:00:00"):
        return date.fromisoformat(text[:_DAY_LENGTH]).isoformat()
    return text
