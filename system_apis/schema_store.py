"""Rows of what vendors' schemas looked like, and of where mappings did not fit them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from shared.persistence.database import Database
from system_apis.schema_drift import DriftFinding, DriftKind


@dataclass(frozen=True, slots=True)
class StandingFinding:
    """A finding and since when it stands."""

    finding: DriftFinding
    found_at: datetime


class SchemaStore:
    """Snapshots and findings; every call is within one tenant."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database

    async def snapshot(self, tenant: str, system: str) -> dict[str, dict[str, str]]:
        """Object → field → kind, as kept by the last check; nothing before the first."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                text("SELECT object, fields FROM schema_snapshots WHERE tenant = :tenant AND system = :system"),
                {"tenant": tenant, "system": system},
            )
            return {row[0]: dict(row[1]) for row in found}

    async def keep(
        self,
        tenant: str,
        system: str,
        findings: Sequence[DriftFinding],
        kinds: Mapping[str, Mapping[str, str]],
        *,
        checked_at: datetime,
    ) -> list[DriftFinding]:
        """Findings as they stand now: new ones are added, others keep their day, those that are gone go.

        A type that changed once more has a new day. Answers the new ones. `kinds` (object → field → kind) replaces what
        was kept of these objects; objects that are not in it are remembered as they were.
        """
        key = {"tenant": tenant, "system": system}
        rows = {
            "entities": [one.entity for one in findings],
            "fields": [one.field for one in findings],
            "kinds": [one.kind.value for one in findings],
            "reasons": [one.reason for one in findings],
        }
        listed = (
            "unnest(CAST(:entities AS text[]), CAST(:fields AS text[]), CAST(:kinds AS text[]),"
            " CAST(:reasons AS text[])) AS f(entity, field, kind, reason)"
        )
        async with self._database.transaction() as connection:
            await connection.execute(
                text(
                    "DELETE FROM schema_findings s WHERE tenant = :tenant AND system = :system AND NOT EXISTS"
                    f" (SELECT 1 FROM {listed} WHERE (f.entity, f.field, f.kind) = (s.entity, s.field, s.kind))"
                ),
                key | rows,
            )
            added = await connection.execute(
                text(
                    "INSERT INTO schema_findings (tenant, system, entity, field, kind, reason)"
                    f" SELECT :tenant, :system, f.entity, f.field, f.kind, f.reason FROM {listed}"
                    " ON CONFLICT (tenant, system, entity, field, kind) DO UPDATE SET reason = excluded.reason,"
                    " found_at = CASE WHEN excluded.kind <> :changed OR schema_findings.reason = excluded.reason"
                    " THEN schema_findings.found_at ELSE excluded.found_at END"
                    " RETURNING entity, field, kind, reason, (xmax = 0) AS is_new"
                ),
                key | rows | {"changed": DriftKind.TYPE_CHANGED.value},
            )
            fresh = [DriftFinding(row[0], row[1], DriftKind(row[2]), row[3]) for row in added if row[4]]
            await connection.execute(
                text(
                    "INSERT INTO schema_snapshots (tenant, system, object, fields, seen_at)"
                    " SELECT :tenant, :system, o.key, o.value, :at FROM jsonb_each(CAST(:kinds_of AS jsonb)) AS o"
                    " ON CONFLICT (tenant, system, object) DO UPDATE"
                    " SET fields = excluded.fields, seen_at = excluded.seen_at"
                ),
                key | {"kinds_of": json.dumps(kinds), "at": checked_at},
            )
            await connection.execute(
                text(
                    "INSERT INTO schema_checks (tenant, system, checked_at) VALUES (:tenant, :system, :at)"
                    " ON CONFLICT (tenant, system) DO UPDATE SET checked_at = excluded.checked_at"
                ),
                key | {"at": checked_at},
            )
        return fresh

    async def standing(self, tenant: str, system: str) -> list[StandingFinding]:
        """What does not fit at present, oldest first."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                text(
                    "SELECT entity, field, kind, reason, found_at FROM schema_findings"
                    " WHERE tenant = :tenant AND system = :system ORDER BY found_at, entity, field, kind LIMIT 500"
                ),
                {"tenant": tenant, "system": system},
            )
            return [StandingFinding(DriftFinding(row[0], row[1], DriftKind(row[2]), row[3]), row[4]) for row in found]

    async def checked_at(self, tenant: str, system: str) -> datetime | None:
        """When the schema was last compared, or None before the first time."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                text("SELECT checked_at FROM schema_checks WHERE tenant = :tenant AND system = :system"),
                {"tenant": tenant, "system": system},
            )
            return found.scalar_one_or_none()
