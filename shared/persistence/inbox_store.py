"""Inbox: what a consumer has taken in; accepted in the transaction of the effect, so each event acts once."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_ACCEPT = text(
    "INSERT INTO inbox (consumer, event_id) VALUES (:consumer, :event_id) ON CONFLICT DO NOTHING RETURNING event_id"
)
_FORGET = text(
    "DELETE FROM inbox WHERE consumer = :consumer "
    "AND (CAST(:ids AS text[]) IS NULL OR event_id = ANY(CAST(:ids AS text[])))"
)


class Inbox:
    """The inbox of one tier's database."""

    async def accept(self, conn: AsyncConnection, consumer: str, event_id: str) -> bool:
        """Take an event in; False when this consumer has done so before.

        `event_id` must be unique for the consumer: ids are unique per source, so one that listens to several
        sources passes `f"{event.source}#{event.id}"`. A second transaction waits for the first one's end.
        """
        result = await conn.execute(_ACCEPT, {"consumer": consumer, "event_id": event_id})
        return result.first() is not None

    async def forget(self, conn: AsyncConnection, consumer: str, event_ids: Sequence[str] | None = None) -> int:
        """Let the consumer take these events (None: all) in again when they are replayed; how many."""
        ids = None if event_ids is None else list(event_ids)
        result = await conn.execute(_FORGET, {"consumer": consumer, "ids": ids})
        return result.rowcount
