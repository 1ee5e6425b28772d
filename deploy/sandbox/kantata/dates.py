"""Days in the bodies of requests; nothing else may stand here."""

from __future__ import annotations

from datetime import date

from deploy.sandbox.kantata.errors import invalid
from deploy.sandbox.kantata.state import Row


def day(given: Row, *fields: str) -> None:
    """Raises 422 where a date is not one."""
    for field in fields:
        value = given.get(field)
        if value is None:
            continue
        try:
            date.fromisoformat(str(value)[:10])
        except ValueError:
            raise invalid(field, f"{field} is not a valid date") from None
