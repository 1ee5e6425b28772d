"""Pages of lists that are short enough to be read whole; rows and their keys enter, no business word."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from shared.canonical.references import Page
from shared.errors.taxonomy import FieldFinding, InvalidRequest
from shared.outbound import pack_cursor, unpack_cursor

_Row = TypeVar("_Row")


def page_of(rows: Iterable[_Row], key: Callable[[_Row], str], cursor: str | None, limit: int) -> Page[_Row]:
    """The page after `cursor`, in the order of the keys: rows that come or go meanwhile shift no other.

    Raises: InvalidRequest for a cursor that no such list gave out.
    """
    after = _after(cursor)
    found = sorted((row for row in rows if key(row) > after), key=key)[: limit + 1]
    more = pack_cursor({"after": key(found[limit - 1])}) if len(found) > limit else None
    return Page(items=tuple(found[:limit]), next_cursor=more)


def _after(cursor: str | None) -> str:
    if cursor is None:
        return ""
    after = unpack_cursor(cursor).get("after")
    if not isinstance(after, str):
        raise InvalidRequest(findings=[FieldFinding("query.cursor", "must be the next_cursor of an earlier answer")])
    return after
