"""Rows of the intake: change hints waiting to be read, and the watermarks of polls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.persistence.database import Database
from system_apis.ports.changes import ChangeHint

MAX_ATTEMPTS = 12


@dataclass(frozen=True, slots=True)
class PendingHints:
    """Hints on one record, to be answered by one re-read."""

    ids: tuple[int, ...]
    tenant: str
    system: str
    entity: str
    ref: str
    attempts: int


class IntakeStore:
    """Inbox of hints and watermarks."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database

    async def accept(self, tenant: str, system: str, hints: Sequence[ChangeHint]) -> int:
        """Keep hints not seen before; how many were new."""
        if not hints:
            return 0
        async with self._database.transaction() as connection:
            result = await connection.execute(
                text(
                    "INSERT INTO change_hints (tenant, system, entity, ref, key, occurred_at)"
                    " SELECT :tenant, :system, h.entity, h.ref, h.key, h.occurred_at FROM unnest("
                    " CAST(:entities AS text[]), CAST(:refs AS text[]), CAST(:keys AS text[]),"
                    " CAST(:times AS timestamptz[]))"
                    " AS h(entity, ref, key, occurred_at)"
                    " ON CONFLICT (tenant, system, entity, key) DO NOTHING"
                ),
                {
                    "tenant": tenant,
                    "system": system,
                    "entities": [h.entity for h in hints],
                    "refs": [h.ref for h in hints],
                    "keys": [h.key for h in hints],
                    "times": [h.occurred_at for h in hints],
                },
            )
            return result.rowcount

    async def claim(self, connection: AsyncConnection, limit: int) -> list[PendingHints]:
        """Hints that are due, grouped by record and locked until the caller's transaction ends."""
        found = await connection.execute(
            text(
                "WITH due AS (SELECT id, tenant, system, entity, ref, attempts FROM change_hints"
                "  WHERE state = 'pending' AND due_at <= now() ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED)"
                " SELECT array_agg(id ORDER BY id), tenant, system, entity, ref, max(attempts) FROM due"
                " GROUP BY tenant, system, entity, ref ORDER BY min(id)"
            ),
            {"limit": limit},
        )
        return [PendingHints(tuple(r[0]), r[1], r[2], r[3], r[4], r[5]) for r in found]

    @staticmethod
    async def settle(connection: AsyncConnection, hints: PendingHints) -> None:
        """The record was re-read; its hints are done."""
        await connection.execute(
            text("UPDATE change_hints SET state = 'read', reason = NULL WHERE id = ANY(:ids)"), {"ids": list(hints.ids)}
        )

    @staticmethod
    async def postpone(connection: AsyncConnection, hints: PendingHints, reason: str) -> None:
        """Reading failed: try later with growing pauses, at last give up visibly."""
        await connection.execute(
            text(
                "UPDATE change_hints SET attempts = attempts + 1, reason = :reason,"
                " state = CASE WHEN attempts + 1 >= :most THEN 'failed' ELSE 'pending' END,"
                " due_at = now() + make_interval(secs => least(60, 0.25 * power(2, attempts))::float8)"
                " WHERE id = ANY(:ids)"
            ),
            {"ids": list(hints.ids), "reason": reason[:500], "most": MAX_ATTEMPTS},
        )

    async def counts(self, tenant: str, system: str) -> dict[str, int]:
        """Hints by state."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                text(
                    "SELECT state, count(*) FROM change_hints WHERE tenant = :tenant AND system = :system"
                    " GROUP BY state"
                ),
                {"tenant": tenant, "system": system},
            )
            return {row[0]: row[1] for row in found}

    async def watermark(self, tenant: str, system: str, name: str) -> datetime | None:
        """Up to when that feed was read, or None at first."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                text("SELECT at FROM watermarks WHERE tenant = :tenant AND system = :system AND name = :name"),
                {"tenant": tenant, "system": system, "name": name},
            )
            return found.scalar_one_or_none()

    async def advance(self, tenant: str, system: str, name: str, at: datetime) -> None:
        """Move a watermark forward; never back."""
        async with self._database.transaction() as connection:
            await self.advance_within(connection, tenant, system, name, at)

    @staticmethod
    async def advance_within(connection: AsyncConnection, tenant: str, system: str, name: str, at: datetime) -> None:
        """The same inside a caller's transaction."""
        await connection.execute(
            text(
                "INSERT INTO watermarks (tenant, system, name, at) VALUES (:tenant, :system, :name, :at)"
                " ON CONFLICT (tenant, system, name) DO UPDATE"
                " SET at = greatest(watermarks.at, excluded.at), updated_at = now()"
            ),
            {"tenant": tenant, "system": system, "name": name, "at": at},
        )


OVERLAP = timedelta(minutes=2)
