"""Withdrawals as the issuer keeps them: written once, read by every tier in order; rows stay in here."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import text

from shared.identity.revocations import TokenMarks, Withdrawn
from shared.persistence.database import Database, Transaction
from shared.serving.revocations import RevocationEntry, RevocationPage
from shared.telemetry.logging import get_logger
from shared.telemetry.metrics import counter

LONGEST_LIFE: Final = timedelta(hours=2)
"""No access token lives longer; after that an entry has nothing left to withdraw."""
_CLOCKS_DIFFER: Final = timedelta(seconds=5)
_withdrawals = counter("throughline_experience_withdrawals_total", ["kind"], "Entries written into the feed.")
_log = get_logger("throughline.identity")

# Entries become visible in the order of their places: a reader's cursor never passes one that is yet to be committed.
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('throughline.oauth_revocations'))")
_FORGET_ENDED = text("DELETE FROM oauth_revocations WHERE until_at < now() - interval '1 hour'")
_WITHDRAW = text("""
INSERT INTO oauth_revocations (kind, value, tenant, before_at, until_at, reason)
VALUES (:kind, :value, :tenant, :before_at, :until_at, :reason)
""")
_COVERS = text("""
SELECT 1 FROM oauth_revocations r
JOIN unnest(CAST(:kinds AS text[]), CAST(:tenants AS text[]), CAST(:values AS text[])) AS mark (kind, tenant, value)
  ON r.kind = mark.kind AND r.tenant = mark.tenant AND r.value = mark.value
WHERE r.before_at >= to_timestamp(:issued_at)
LIMIT 1
""")
_AFTER = text("""
SELECT place, kind, value, tenant, extract(epoch FROM before_at)::float8 AS before,
       extract(epoch FROM until_at)::float8 AS until
FROM oauth_revocations WHERE place > :after AND until_at > now() ORDER BY place LIMIT :most
""")


class Revocations:
    """What no longer counts, and the feed of it."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database

    async def withdraw(
        self,
        kind: Withdrawn | str,
        value: str,
        *,
        reason: str,
        tenant: str = "",
        until: datetime | None = None,
        keeps_later: bool = False,
        within: Transaction | None = None,
    ) -> None:
        """Take back every token of that kind and value that was issued until now.

        `tenant` is needed for a subject. `until` is when the last of them ends by itself. `keeps_later`: tokens issued
        from this very second on count (the holder is known good and asks anew); otherwise clocks are allowed to differ
        by some seconds. `within` writes in the caller's transaction. Repeat: another entry, no other effect.
        """
        kind, now = Withdrawn(kind), datetime.now(UTC)
        ends = until or now + LONGEST_LIFE
        if kind in {Withdrawn.CLIENT, Withdrawn.SUBJECT}:
            before = now - timedelta(seconds=1) if keeps_later else now + _CLOCKS_DIFFER
        else:
            before = ends
        entry = {
            "kind": str(kind),
            "value": value,
            "tenant": tenant if kind is Withdrawn.SUBJECT else "",
            "before_at": before,
            "until_at": ends,
            "reason": reason[:200],
        }
        async with AsyncExitStack() as held:
            connection = within or await held.enter_async_context(self._database.transaction())
            await connection.execute(_ONE_AT_A_TIME)
            await connection.execute(_FORGET_ENDED)
            await connection.execute(_WITHDRAW, entry)
        _withdrawals.labels(str(kind)).inc()
        _log.info("withdrawn", kind=str(kind), value=value[:80], reason=reason[:200])

    async def covers(self, marks: TokenMarks) -> bool:
        """Whether a token with these marks has been withdrawn, as of now."""
        kinds, tenants, values = zip(*marks.named(), strict=True)
        asked = {"kinds": list(kinds), "tenants": list(tenants), "values": list(values), "issued_at": marks.issued_at}
        async with self._database.transaction() as connection:
            return (await connection.execute(_COVERS, asked)).first() is not None

    async def read(self, cursor: str = "0", *, limit: int = 500) -> RevocationPage:
        """The entries after a cursor, oldest first."""
        async with self._database.transaction() as connection:
            found = (await connection.execute(_AFTER, {"after": int(cursor), "most": limit + 1})).mappings().all()
        shown = found[:limit]
        return RevocationPage(
            items=[
                RevocationEntry(
                    kind=Withdrawn(row["kind"]),
                    value=row["value"],
                    tenant=row["tenant"],
                    before=row["before"],
                    until=row["until"],
                )
                for row in shown
            ],
            next_cursor=str(shown[-1]["place"]) if shown else cursor,
            has_more=len(found) > limit,
        )
