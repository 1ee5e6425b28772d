"""The journal's table; lines are only ever added."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from process_apis.journal.models import Entry, WrittenEntry
from shared.canonical.money import Money
from shared.telemetry import correlation_id

_WRITE = text("""
    INSERT INTO journal_entries (tenant, subject_id, run_id, step, sentence, written_by, system, ref, amount, currency,
                                 correlation_id)
    VALUES (:tenant, :subject_id, :run_id, :step, :sentence, :by, :system, :ref, :amount, :currency, :correlation_id)
    ON CONFLICT (tenant, run_id, step) DO NOTHING
""")
_READ = text("""
    SELECT position, tenant, subject_id, run_id, step, sentence, written_by, system, ref, amount, currency,
           correlation_id, written_at
    FROM journal_entries
    WHERE tenant = :tenant AND subject_id = :subject_id
    ORDER BY position
""")


class Journal:
    """Writes and reads lines, always within the caller's transaction."""

    async def write(self, conn: AsyncConnection, entry: Entry) -> None:
        """Add a line. Repeat: the first line of (run, step) stays."""
        await conn.execute(
            _WRITE,
            {
                **entry.model_dump(exclude={"amount"}),
                "amount": entry.amount.amount if entry.amount else None,
                "currency": entry.amount.currency if entry.amount else None,
                "correlation_id": entry.correlation_id or correlation_id.get(),
            },
        )

    async def read(self, conn: AsyncConnection, tenant: str, subject_id: str) -> list[WrittenEntry]:
        """All lines about a deal, in the order they were written."""
        rows = await conn.execute(_READ, {"tenant": tenant, "subject_id": subject_id})
        return [_entry(dict(row)) for row in rows.mappings()]


def _entry(row: dict[str, Any]) -> WrittenEntry:
    amount, currency = row.pop("amount"), row.pop("currency")
    return WrittenEntry(
        **{key: value for key, value in row.items() if key not in {"written_by", "written_at"}},
        by=row["written_by"],
        at=row["written_at"],
        amount=None if amount is None else Money.of(amount, currency),
    )
