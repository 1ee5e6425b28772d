"""Reading long lists: walking pages without running in circles, and cursors of our own making."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

import httpx

from shared.errors.taxonomy import FieldFinding, InvalidRequest, VendorDrift
from shared.outbound.answer import Answer

Item = TypeVar("Item")


async def walk(
    fetch: Callable[[str | None], Awaitable[tuple[Sequence[Item], str | None]]],
    *,
    system: str = "A connected system",
    most_pages: int = 100_000,
) -> AsyncIterator[Item]:
    """Every item of a paged list; `fetch(cursor)` answers (items, next cursor or None).

    Raises VendorDrift when a cursor comes twice: such a list would never end.
    """
    seen: set[str] = set()
    cursor: str | None = None
    for _ in range(most_pages):
        items, cursor = await fetch(cursor)
        for item in items:
            yield item
        if cursor is None:
            return
        if cursor in seen:
            raise VendorDrift(f"{system} gives the same next page again and again.", detail=cursor[:100])
        seen.add(cursor)
    raise VendorDrift(f"{system} gives a list without end.")


def next_link(answer: Answer) -> str | None:
    """The address of the next page in a Link header (RFC 8288), or None."""
    links = httpx.Response(answer.status, headers={"link": answer.headers.get("link", "")}).links
    return links.get("next", {}).get("url")


def pack_cursor(state: dict[str, Any]) -> str:
    """An opaque cursor that holds where to read on."""
    text = json.dumps(state, separators=(",", ":"), sort_keys=True, default=str)
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def unpack_cursor(cursor: str) -> dict[str, Any]:
    """What `pack_cursor` held. Raises InvalidRequest for anything else."""
    try:
        state: Any = json.loads(urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except ValueError as error:
        raise foreign_cursor() from error
    if not isinstance(state, dict):
        raise foreign_cursor()
    return cast("dict[str, Any]", state)


def foreign_cursor() -> InvalidRequest:
    """Whoever gave the cursor out, it was not this list."""
    return InvalidRequest(
        "The cursor is not one that this list gave out.",
        findings=[FieldFinding("cursor", "must be the next_cursor of an earlier answer")],
    )
