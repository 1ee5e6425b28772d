"""Lists in the order of change, over wires that tell when a record changed: places, cursors, and pages between them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from shared.canonical.references import Page
from shared.outbound import foreign_cursor, pack_cursor, unpack_cursor

Row = TypeVar("Row")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in the order of change: instant, then record."""

    at: datetime
    ref: str

    def packed(self) -> str:
        """As an opaque cursor."""
        return pack_cursor({"at": self.at.isoformat(), "ref": self.ref})


def start(since: datetime | None, cursor: str | None) -> Mark | None:
    """Where a list begins: behind the cursor, else at the instant, else at the beginning. Raises InvalidRequest."""
    if cursor is None:
        return Mark(since.astimezone(UTC), "") if since else None
    state = unpack_cursor(cursor)
    try:
        return Mark(datetime.fromisoformat(str(state["at"])), str(state["ref"]))
    except (KeyError, ValueError) as error:
        raise foreign_cursor() from error


async def page_by_change(
    after: Mark | None,
    candidates: Callable[[Mark | None], Awaitable[tuple[Sequence[Mark], Mark | None]]],
    read: Callable[[list[str]], Awaitable[Iterable[tuple[Mark, Row]]]],
    make: Callable[[Row], Item | None],
) -> Page[Item]:
    """Records by the latest change of themselves and what belongs to them, each once.

    `candidates` are the records that changed after a mark, and how far the search saw (None: to the end); `read` gives
    each as it is now with its own mark. One that turns out to have changed after the end of the search is left for a
    later page; one that `make` gives up is none of ours.
    """
    while True:
        marks, horizon = await candidates(after)
        placed = sorted(await read([mark.ref for mark in marks]), key=lambda pair: pair[0])
        made = [make(row) for mark, row in placed if horizon is None or mark <= horizon]
        items = tuple(item for item in made if item is not None)
        if horizon is None:
            return Page(items=items)
        after = horizon
        if items:
            return Page(items=items, next_cursor=after.packed())
