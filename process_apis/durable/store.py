"""Heartbeats of the engine's executors: who is alive, and who takes over from the dead."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from shared.errors.taxonomy import PlatformError, VendorUnavailable
from shared.persistence import Database

_BEAT = text("""
    INSERT INTO executors (executor_id, app_version, seen_at, adopted_by) VALUES (:me, :version, now(), NULL)
    ON CONFLICT (executor_id) DO UPDATE SET seen_at = now(), app_version = excluded.app_version, adopted_by = NULL
""")
_CLAIM = text("""
    UPDATE executors SET adopted_by = :me
    WHERE executor_id <> :me AND app_version = :version AND seen_at < now() - make_interval(secs => :silent_for)
      AND (adopted_by IS NULL OR adopted_by = :me OR adopted_by NOT IN (
           SELECT executor_id FROM executors WHERE seen_at >= now() - make_interval(secs => :silent_for)))
    RETURNING executor_id
""")
_FORGET = text("DELETE FROM executors WHERE executor_id = ANY(:dead) AND adopted_by = :me")


class Heartbeats:
    """Says that this executor lives, and claims those that have fallen silent."""

    def __init__(self, database: Database, *, executor_id: str, app_version: str) -> None:
        self._database = database
        self._me = {"me": executor_id, "version": app_version}

    async def beat(self) -> None:
        """I am alive."""
        async with self._database.transaction() as conn:
            await conn.execute(_BEAT, self._me)

    async def claim_silent(self, silent_for: float) -> list[str]:
        """Executors of this version that have said nothing for so many seconds and that I am to take over."""
        async with self._database.transaction() as conn:
            rows = await conn.execute(_CLAIM, {**self._me, "silent_for": silent_for})
            return [row.executor_id for row in rows]

    async def forget(self, dead: list[str]) -> None:
        """Their work is mine now. Repeat: nothing more."""
        async with self._database.transaction() as conn:
            await conn.execute(_FORGET, {"me": self._me["me"], "dead": dead})


def as_database_trouble(error: BaseException) -> PlatformError | None:
    """A broken connection to our own database, which passes, as VendorUnavailable; None for anything else."""
    passes = isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )
    return VendorUnavailable("The database is unavailable.", detail=type(error).__name__) if passes else None
