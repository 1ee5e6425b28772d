"""Usage in PostgreSQL: calls, refusals, failures and limit hits per client, operation and hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import text

from shared.persistence.database import Database

_ADD: Final = text(
    "INSERT INTO api_usage (tenant, client_id, api, version, operation, hour, calls, refused, failed, limited) "
    "VALUES (:tenant, :client_id, :api, :version, :operation, :hour, :calls, :refused, :failed, :limited) "
    "ON CONFLICT (tenant, client_id, api, version, operation, hour) DO UPDATE SET "
    "calls = api_usage.calls + excluded.calls, refused = api_usage.refused + excluded.refused, "
    "failed = api_usage.failed + excluded.failed, limited = api_usage.limited + excluded.limited"
)
_OF_CLIENT: Final = text(
    "SELECT tenant, client_id, api, version, operation, hour, calls, refused, failed, limited FROM api_usage "
    "WHERE tenant = :tenant AND client_id = :client_id AND hour >= date_trunc('hour', CAST(:since AS timestamptz)) "
    "ORDER BY hour, api, version, operation"
)
_OF_API: Final = text(
    "SELECT tenant, client_id, sum(calls) AS calls, sum(refused) AS refused, sum(failed) AS failed, "
    "sum(limited) AS limited, max(hour) AS last_hour FROM api_usage WHERE api = :api AND version = :version "
    "AND hour >= date_trunc('hour', CAST(:since AS timestamptz)) "
    "GROUP BY tenant, client_id ORDER BY sum(calls) DESC, tenant, client_id"
)
_FORGET: Final = text("DELETE FROM api_usage WHERE hour < :moment")
_KEPT: Final = timedelta(days=400)  # a year can be compared with the one before, month by month
_FORGET_EVERY: Final = 5000


@dataclass(frozen=True, slots=True)
class UsageKey:
    """Whose usage of what, in the hour that began then (UTC); calls without a token have no tenant and no client."""

    tenant: str
    client_id: str
    api: str
    version: str
    operation: str
    hour: datetime


@dataclass(frozen=True, slots=True)
class UsageCounts:
    """Calls in all; of them refused (4xx), failed (5xx); of the refused those that met a limit (429)."""

    calls: int
    refused: int
    failed: int
    limited: int


@dataclass(frozen=True, slots=True)
class UsageOfHour:
    """Counts of one key."""

    key: UsageKey
    counts: UsageCounts


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who uses a version of an API, how much, and when last."""

    tenant: str
    client_id: str
    counts: UsageCounts
    last_hour: datetime


class PostgresUsageStore:
    """The table of one tier's database; it comes with the shared migrations. Hours are kept for 400 days."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._added = 0

    async def add(self, rows: Sequence[UsageOfHour]) -> None:
        """Add these counts to those kept, all or none. Repeat: adds them again."""
        if not rows:
            return
        ordered = sorted(rows, key=lambda row: astuple(row.key))  # replicas never wait for each other in a circle
        async with self._database.transaction() as connection:
            await connection.execute(_ADD, [{**asdict(row.key), **asdict(row.counts)} for row in ordered])
        self._added += 1
        if self._added % _FORGET_EVERY == 0:
            await self.forget_before(datetime.now(UTC) - _KEPT)

    async def of_client(self, tenant: str, client_id: str, since: datetime) -> list[UsageOfHour]:
        """What one client did from the hour of `since` on, oldest first."""
        asked = {"tenant": tenant, "client_id": client_id, "since": since}
        async with self._database.transaction() as connection:
            rows = (await connection.execute(_OF_CLIENT, asked)).all()
        return [
            UsageOfHour(
                UsageKey(row.tenant, row.client_id, row.api, row.version, row.operation, row.hour), _counts(row)
            )
            for row in rows
        ]

    async def of_api(self, api: str, version: str, since: datetime) -> list[Consumer]:
        """Who used a version of an API from the hour of `since` on, the busiest first."""
        async with self._database.transaction() as connection:
            rows = (await connection.execute(_OF_API, {"api": api, "version": version, "since": since})).all()
        return [Consumer(row.tenant, row.client_id, _counts(row), row.last_hour) for row in rows]

    async def forget_before(self, moment: datetime) -> int:
        """Remove what is older; how many rows."""
        async with self._database.transaction() as connection:
            return (await connection.execute(_FORGET, {"moment": moment})).rowcount


def _counts(row: Any) -> UsageCounts:
    return UsageCounts(int(row.calls), int(row.refused), int(row.failed), int(row.limited))
