"""Rows of the intake: change hints waiting to be read, and the watermarks of polls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from sqlalchemy import text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.errors.taxonomy import VendorUnavailable
from shared.persistence.database import Database
from system_apis.ports.changes import ChangeHint

OVERLAP: Final = timedelta(minutes=2)
MOST_FAILURES: Final = 10
_LONGEST_WAIT: Final = 30.0  # between looks at a vendor that is away
_LONGEST_PAUSE: Final = 300.0  # between looks at a record that cannot be read
_KEPT: Final = timedelta(days=30)
_WINDOW: Final = 400  # due hints looked at to find the next records

_CLAIM = text(
    """
    WITH busy AS (
      SELECT DISTINCT entity, ref FROM change_hints
      WHERE tenant = :tenant AND system = :system AND state = 'pending' AND leased_until > now()
    ), due AS (
      SELECT entity, ref, due_at, id FROM change_hints h
      WHERE tenant = :tenant AND system = :system AND state = 'pending' AND due_at <= now()
        AND NOT EXISTS (SELECT 1 FROM busy WHERE busy.entity = h.entity AND busy.ref = h.ref)
      ORDER BY due_at, id LIMIT :window
    ), chosen AS (
      SELECT entity, ref FROM due GROUP BY entity, ref ORDER BY min(due_at), min(id) LIMIT :limit
    )
    UPDATE change_hints h SET leased_by = :reader, leased_until = now() + make_interval(secs => :seconds)
    FROM chosen WHERE h.tenant = :tenant AND h.system = :system AND h.state = 'pending'
      AND h.entity = chosen.entity AND h.ref = chosen.ref
    RETURNING h.id, h.entity, h.ref, h.failures, h.attempts
    """
)


@dataclass(frozen=True, slots=True)
class PendingHints:
    """Hints on one record, to be answered by one re-read."""

    ids: tuple[int, ...]
    tenant: str
    system: str
    entity: str
    ref: str
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class FailedHint:
    """A hint that was given up, and why."""

    id: int
    system: str
    entity: str
    ref: str
    reason: str
    attempts: int
    received_at: datetime
    failed_at: datetime


class NoticedChange(Protocol):
    """What a store needs to know of a change."""

    @property
    def entity(self) -> str:
        """Kind of record."""
        ...

    @property
    def id(self) -> str:
        """Our id of it."""
        ...

    @property
    def digest(self) -> str:
        """Of its content."""
        ...


class IntakeStore:
    """Inbox of hints and watermarks; every call is within one tenant."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction of the tier's database. Raises VendorUnavailable also when it breaks off midway."""
        try:
            async with self._database.transaction() as connection:
                yield connection
        except (OperationalError, InterfaceError) as error:
            raise VendorUnavailable("The database is unavailable.", detail=type(error).__name__) from error

    async def accept(self, tenant: str, system: str, hints: Sequence[ChangeHint]) -> int:
        """Keep hints not seen before; how many were new."""
        if not hints:
            return 0
        async with self.transaction() as connection:
            result = await connection.execute(
                text(
                    "INSERT INTO change_hints (tenant, system, entity, ref, key, occurred_at)"
                    " SELECT :tenant, :system, h.entity, h.ref, h.key, h.occurred_at FROM unnest("
                    " CAST(:entities AS text[]), CAST(:refs AS text[]), CAST(:keys AS text[]),"
                    " CAST(:times AS timestamptz[])) WITH ORDINALITY"
                    " AS h(entity, ref, key, occurred_at, place) ORDER BY h.place"
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

    async def claim(self, tenant: str, system: str, *, reader: str, limit: int, seconds: float) -> list[PendingHints]:
        """Lease the records whose hints are due, longest due first, each with all its hints.

        A record is leased to one reader at a time; hints that come in meanwhile wait for the next reading.
        """
        async with self.transaction() as connection:
            key = {"key": f"claim/{tenant}/{system}"}
            await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), key)
            found = await connection.execute(
                _CLAIM,
                {
                    "tenant": tenant,
                    "system": system,
                    "reader": reader,
                    "limit": limit,
                    "seconds": seconds,
                    "window": _WINDOW,
                },
            )
            rows = sorted(found, key=lambda row: row[0])
        ids: dict[tuple[str, str], list[int]] = {}
        attempts: dict[tuple[str, str], int] = {}
        for number, entity, ref, _, tried in rows:
            ids.setdefault((entity, ref), []).append(number)
            attempts[entity, ref] = max(attempts.get((entity, ref), 0), tried)
        return [
            PendingHints(tuple(numbers), tenant, system, entity, ref, attempts[entity, ref])
            for (entity, ref), numbers in ids.items()
        ]

    async def renew(self, reader: str, ids: Collection[int], seconds: float) -> None:
        """Hold on to what is still being read."""
        async with self.transaction() as connection:
            await connection.execute(
                text(
                    "UPDATE change_hints SET leased_until = now() + make_interval(secs => :seconds)"
                    " WHERE id = ANY(:ids) AND leased_by = :reader AND state = 'pending'"
                ),
                {"reader": reader, "ids": list(ids), "seconds": seconds},
            )

    async def release(self, reader: str, ids: Collection[int]) -> None:
        """Give back what will not be read by this reader."""
        async with self.transaction() as connection:
            await connection.execute(
                text(
                    "UPDATE change_hints SET leased_by = NULL, leased_until = NULL"
                    " WHERE id = ANY(:ids) AND leased_by = :reader AND state = 'pending'"
                ),
                {"reader": reader, "ids": list(ids)},
            )

    @staticmethod
    async def settle(connection: AsyncConnection, hints: PendingHints, note: str | None = None) -> None:
        """The record was re-read; its hints are done."""
        await connection.execute(
            text(
                "UPDATE change_hints SET state = 'read', reason = :note, settled_at = now(),"
                " leased_by = NULL, leased_until = NULL WHERE id = ANY(:ids)"
            ),
            {"ids": list(hints.ids), "note": note},
        )

    async def postpone(self, hints: PendingHints, reason: str, *, reader: str, is_its_own: bool, wait: float) -> None:
        """Reading failed: try later with growing pauses.

        Only what is the record's own trouble (`is_its_own`) counts against it and makes it fail for good at last;
        a vendor that is away is waited for as long as it takes. `wait` is the least pause.
        """
        async with self.transaction() as connection:
            await connection.execute(
                text(
                    "UPDATE change_hints SET attempts = attempts + 1, failures = failures + :charged,"
                    " reason = :reason, leased_by = NULL, leased_until = NULL,"
                    " state = CASE WHEN failures + :charged >= :most THEN 'failed' ELSE 'pending' END,"
                    " settled_at = CASE WHEN failures + :charged >= :most THEN now() END,"
                    " due_at = now() + make_interval(secs => greatest(:wait, least(:longest,"
                    "   0.25 * power(2, least(CASE WHEN :charged = 1 THEN failures + 1 ELSE attempts END, 12))))"
                    "   ::float8)"
                    " WHERE id = ANY(:ids) AND leased_by = :reader"
                ),
                {
                    "ids": list(hints.ids),
                    "reason": reason[:500],
                    "reader": reader,
                    "charged": int(is_its_own),
                    "most": MOST_FAILURES,
                    "wait": wait,
                    "longest": _LONGEST_PAUSE if is_its_own else _LONGEST_WAIT,
                },
            )

    async def list_failed(self, tenant: str, system: str | None, *, after: int, limit: int) -> list[FailedHint]:
        """Hints that were given up, oldest first."""
        async with self.transaction() as connection:
            found = await connection.execute(
                text(
                    "SELECT id, system, entity, ref, coalesce(reason, ''), attempts, received_at,"
                    " coalesce(settled_at, due_at) FROM change_hints"
                    " WHERE tenant = :tenant AND state = 'failed' AND id > :after"
                    " AND (CAST(:system AS text) IS NULL OR system = :system) ORDER BY id LIMIT :limit"
                ),
                {"tenant": tenant, "system": system, "after": after, "limit": limit},
            )
            return [FailedHint(*row) for row in found]

    async def retry_failed(self, tenant: str, system: str | None, ids: Sequence[int] | None) -> int:
        """Let hints that were given up be read once more, as if they were new; how many."""
        async with self.transaction() as connection:
            result = await connection.execute(
                text(
                    "UPDATE change_hints SET state = 'pending', attempts = 0, failures = 0, due_at = now(),"
                    " settled_at = NULL WHERE tenant = :tenant AND state = 'failed'"
                    " AND (CAST(:system AS text) IS NULL OR system = :system)"
                    " AND (CAST(:ids AS bigint[]) IS NULL OR id = ANY(CAST(:ids AS bigint[])))"
                ),
                {"tenant": tenant, "system": system, "ids": None if ids is None else list(ids)},
            )
            return result.rowcount

    async def forget_read(self) -> int:
        """Drop hints that were answered long ago; how many. A vendor that tells them again is read again."""
        async with self.transaction() as connection:
            result = await connection.execute(
                text("DELETE FROM change_hints WHERE state = 'read' AND received_at < :before"),
                {"before": datetime.now(UTC) - _KEPT},
            )
            return result.rowcount

    async def counts(self, tenant: str, system: str) -> dict[str, int]:
        """Hints by state."""
        async with self.transaction() as connection:
            found = await connection.execute(
                text(
                    "SELECT state, count(*) FROM change_hints WHERE tenant = :tenant AND system = :system"
                    " GROUP BY state"
                ),
                {"tenant": tenant, "system": system},
            )
            return {row[0]: row[1] for row in found}

    @staticmethod
    async def is_news(connection: AsyncConnection, tenant: str, change: NoticedChange) -> bool:
        """Whether the record's content differs from what was last told; from now on this content counts as told."""
        found = await connection.execute(
            text(
                "INSERT INTO told_contents (tenant, entity, id, digest) VALUES (:tenant, :entity, :id, :digest)"
                " ON CONFLICT (tenant, entity, id) DO UPDATE SET digest = excluded.digest, told_at = now()"
                " WHERE told_contents.digest <> excluded.digest RETURNING 1"
            ),
            {"tenant": tenant, "entity": change.entity, "id": change.id, "digest": change.digest},
        )
        return found.first() is not None

    async def watermark(self, tenant: str, system: str, name: str) -> datetime | None:
        """Up to when that feed was read, or None at first."""
        async with self.transaction() as connection:
            found = await connection.execute(
                text("SELECT at FROM watermarks WHERE tenant = :tenant AND system = :system AND name = :name"),
                {"tenant": tenant, "system": system, "name": name},
            )
            return found.scalar_one_or_none()

    async def position(self, tenant: str, system: str) -> str | None:
        """Where the system's change feed is read on, or None at first."""
        async with self.transaction() as connection:
            found = await connection.execute(
                text("SELECT position FROM feed_positions WHERE tenant = :tenant AND system = :system"),
                {"tenant": tenant, "system": system},
            )
            return found.scalar_one_or_none()

    async def keep_position(self, tenant: str, system: str, position: str | None, *, was_reset: bool) -> None:
        """The feed was read up to there."""
        async with self.transaction() as connection:
            await connection.execute(
                text(
                    "INSERT INTO feed_positions (tenant, system, position, resets)"
                    " VALUES (:tenant, :system, :position, :resets) ON CONFLICT (tenant, system) DO UPDATE"
                    " SET position = excluded.position, resets = feed_positions.resets + excluded.resets,"
                    " updated_at = now()"
                ),
                {"tenant": tenant, "system": system, "position": position, "resets": int(was_reset)},
            )

    async def advance(self, tenant: str, system: str, name: str, at: datetime) -> None:
        """Move a watermark forward; never back, and never ahead of our own clock."""
        async with self.transaction() as connection:
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
            {"tenant": tenant, "system": system, "name": name, "at": min(at, datetime.now(UTC))},
        )
