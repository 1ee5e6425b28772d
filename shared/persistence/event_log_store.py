"""EventLog: the record of every fact a tier states, appended in the transaction of the change; read for replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zlib import crc32

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.canonical.events import Event
from shared.errors.taxonomy import Defect

CHANNEL: Final = "throughline_events"
_LOCK_SPACE: Final = 0x6576  # class of the advisory locks that keep the order of a subject
_LANES: Final = 1024
_LARGEST: Final = 512 * 1024

_ORDER = text("SELECT pg_advisory_xact_lock(:space, lane) FROM unnest(CAST(:lanes AS int[])) AS lane")
_APPEND = text(
    """
    INSERT INTO event_log (tenant, source, event_id, subject, type, body)
    SELECT e->>'tenant', e->>'source', e->>'id', e->>'subject', e->>'type', e
    FROM jsonb_array_elements(CAST(:events AS jsonb)) WITH ORDINALITY AS listed (e, position)
    ORDER BY position
    ON CONFLICT (tenant, source, event_id) DO NOTHING
    """
)
_NOTIFY = text(f"SELECT pg_notify('{CHANNEL}', '')")
_LIST = text(
    """
    SELECT sequence, body, recorded_at, published_at FROM event_log
    WHERE tenant = :tenant AND sequence > :after
      AND (CAST(:types AS text[]) IS NULL OR type = ANY(CAST(:types AS text[])))
      AND (CAST(:subject AS text) IS NULL OR subject = :subject)
      AND (CAST(:since AS timestamptz) IS NULL OR recorded_at >= :since)
      AND (CAST(:before AS timestamptz) IS NULL OR recorded_at < :before)
    ORDER BY sequence LIMIT :limit
    """
)
_REPLAY = text(
    """
    UPDATE event_log SET published_at = NULL, round = round + 1
    WHERE tenant = :tenant
      AND (CAST(:ids AS text[]) IS NULL OR event_id = ANY(CAST(:ids AS text[])))
      AND (CAST(:types AS text[]) IS NULL OR type = ANY(CAST(:types AS text[])))
      AND (CAST(:subject AS text) IS NULL OR subject = :subject)
      AND (CAST(:since AS timestamptz) IS NULL OR recorded_at >= :since)
      AND (CAST(:before AS timestamptz) IS NULL OR recorded_at < :before)
    """
)


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event with its place in the log; `published_at` is None until the bus has it."""

    sequence: int
    event: Event
    recorded_at: datetime
    published_at: datetime | None


class EventLog:
    """The log of one tier's database."""

    async def append(self, conn: AsyncConnection, events: Sequence[Event]) -> None:
        """State facts in the caller's transaction, in this order; one already stated (tenant, source, id) is ignored.

        Two transactions that speak of one subject come one after the other, so the log keeps the order of commits.
        """
        if not events:
            return
        lanes = sorted({crc32(f"{event.tenant}\x1f{event.subject}".encode()) % _LANES for event in events})
        await conn.execute(_ORDER, {"space": _LOCK_SPACE, "lanes": lanes})
        bodies = [orjson.dumps(event.model_dump(mode="json", exclude_none=True)) for event in events]
        for event, body in zip(events, bodies, strict=True):
            if len(body) > _LARGEST:
                raise Defect(detail=f"event {event.type} {event.id} has {len(body)} bytes; the bus takes {_LARGEST}")
        await conn.execute(_APPEND, {"events": (b"[" + b",".join(bodies) + b"]").decode()})
        await conn.execute(_NOTIFY)

    async def list_events(
        self,
        conn: AsyncConnection,
        tenant: str,
        *,
        after: int = 0,
        types: Sequence[str] | None = None,
        subject: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int = 100,
    ) -> list[LoggedEvent]:
        """A tenant's events in log order; `after` is the sequence of the last one read."""
        rows = await conn.execute(
            _LIST,
            {"after": after, "limit": limit, **_narrowed(tenant, types, subject, since, before)},
        )
        return [
            LoggedEvent(row.sequence, Event.model_validate(row.body), row.recorded_at, row.published_at) for row in rows
        ]

    async def replay(
        self,
        conn: AsyncConnection,
        tenant: str,
        *,
        ids: Sequence[str] | None = None,
        types: Sequence[str] | None = None,
        subject: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
    ) -> int:
        """Have the relay publish these events again, in log order; how many.

        Consumers still skip what their inbox has accepted: `Inbox.forget` makes them take it in again.
        """
        chosen = {"ids": None if ids is None else list(ids), **_narrowed(tenant, types, subject, since, before)}
        result = await conn.execute(_REPLAY, chosen)
        await conn.execute(_NOTIFY)
        return result.rowcount


def _narrowed(
    tenant: str, types: Sequence[str] | None, subject: str | None, since: datetime | None, before: datetime | None
) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "types": None if types is None else list(types),
        "subject": subject,
        "since": since,
        "before": before,
    }
