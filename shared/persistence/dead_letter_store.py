"""DeadLetters: events a consumer gave up on, kept with the reason until an operator replays or dismisses them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text

from shared.canonical.events import Event
from shared.persistence.database import Database

_LONGEST_REASON: Final = 2000

_BURY = text(
    """
    INSERT INTO dead_letters (consumer, tenant, source, event_id, subject, type, body, attempts, error_code, error)
    VALUES (:consumer, :tenant, :source, :event_id, :subject, :type, CAST(:body AS jsonb), :attempts, :code, :error)
    ON CONFLICT (consumer, tenant, source, event_id) DO UPDATE
    SET attempts = dead_letters.attempts + EXCLUDED.attempts, error_code = EXCLUDED.error_code,
        error = EXCLUDED.error, died_at = now(), resolved_at = NULL, resolution = NULL
    """
)
_LIST = text(
    """
    SELECT id, consumer, body, attempts, error_code, error, died_at, resolved_at FROM dead_letters
    WHERE tenant = :tenant AND id > :after AND (:with_resolved OR resolved_at IS NULL)
    ORDER BY id LIMIT :limit
    """
)
_RESOLVE = text(
    """
    UPDATE dead_letters SET resolved_at = now(), resolution = :resolution
    WHERE tenant = :tenant AND id = :id AND resolved_at IS NULL
    """
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that one consumer could not take in."""

    consumer: str
    event: Event
    attempts: int
    error_code: str
    error: str
    id: int = 0
    died_at: datetime | None = None
    resolved_at: datetime | None = None


class DeadLetters:
    """The dead letters of one tier's database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def bury(self, letter: DeadLetter) -> None:
        """Keep a letter; one that died before is opened again."""
        event = letter.event
        async with self._db.transaction() as conn:
            await conn.execute(
                _BURY,
                {
                    "consumer": letter.consumer,
                    "tenant": event.tenant,
                    "source": event.source,
                    "event_id": event.id,
                    "subject": event.subject,
                    "type": event.type,
                    "body": event.model_dump_json(exclude_none=True),
                    "attempts": letter.attempts,
                    "code": letter.error_code,
                    "error": letter.error[:_LONGEST_REASON].replace("\x00", ""),
                },
            )

    async def list_letters(
        self, tenant: str, *, after: int = 0, with_resolved: bool = False, limit: int = 100
    ) -> list[DeadLetter]:
        """A tenant's dead letters in the order they first died."""
        asked = {"tenant": tenant, "after": after, "with_resolved": with_resolved, "limit": limit}
        async with self._db.transaction() as conn:
            rows = await conn.execute(_LIST, asked)
            return [
                DeadLetter(
                    consumer=row.consumer,
                    event=Event.model_validate(row.body),
                    attempts=row.attempts,
                    error_code=row.error_code,
                    error=row.error,
                    id=row.id,
                    died_at=row.died_at,
                    resolved_at=row.resolved_at,
                )
                for row in rows
            ]

    async def resolve(self, tenant: str, letter_id: int, resolution: str) -> bool:
        """Close a letter (`replayed`, `dismissed: …`); False when it is not open."""
        async with self._db.transaction() as conn:
            result = await conn.execute(_RESOLVE, {"tenant": tenant, "id": letter_id, "resolution": resolution})
            return result.rowcount == 1
