"""Key figures, each one query over the read views; no figure is kept, all are counted when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from process_apis.views.models import Part

_PARTS = "region, legal_entity_code, GROUPING(region) AS no_region, GROUPING(legal_entity_code) AS no_entity"
_SETS = "GROUP BY GROUPING SETS ((), (region), (legal_entity_code))"
_ACTIVATION = text(f"""
    SELECT {_PARTS}, count(*) AS sample, avg(extract(epoch FROM activated_at - won_at)) / 3600 AS value
    FROM deals_v WHERE tenant = :tenant AND state = 'activated' {_SETS}
""")
_EXCEPTION_RATE = text(f"""
    SELECT {_PARTS}, count(*) AS sample, avg(CASE WHEN had THEN 1.0 ELSE 0.0 END) AS value
    FROM (SELECT d.*, EXISTS (SELECT 1 FROM exception_items x WHERE x.tenant = d.tenant
                              AND x.subject_id = d.opportunity_id) AS had
          FROM deals_v d WHERE d.tenant = :tenant) AS judged {_SETS}
""")
_BACKLOG = text(f"""
    SELECT {_PARTS}, count(*) AS sample, count(*) AS value
    FROM deals_v
    WHERE tenant = :tenant AND state IN ('checking', 'exception', 'awaiting_approval', 'provisioning') {_SETS}
""")
_APPROVALS = text("""
    SELECT count(*) AS sample, avg(extract(epoch FROM decided_at - requested_at)) / 3600 AS value
    FROM approvals WHERE tenant = :tenant AND state IN ('approved', 'rejected')
""")
_READINESS = text("""
    SELECT count(*) AS sample, avg(extract(epoch FROM posted_at - ready_on)) / 3600 AS value
    FROM billing_invoices_v WHERE tenant = :tenant AND posted_at IS NOT NULL
""")
_OVERDUE = text("""
    SELECT count(*) AS sample, count(*) FILTER (WHERE due_at < now()) AS value
    FROM exception_items WHERE tenant = :tenant AND state = 'open'
""")
_UNBILLED = text("""
    SELECT coalesce(sum(entries), 0) AS sample, coalesce(sum(entries), 0) AS value
    FROM billing_work_v WHERE tenant = :tenant AND state NOT IN ('billed', 'not_billable')
""")
_CENT = Decimal("0.0001")


class Figure:
    """One figure as measured: over all, by region, by legal entity."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        whole = [row for row in rows if row.get("no_region", 1) and row.get("no_entity", 1)]
        self.sample = int(whole[0]["sample"]) if whole else 0
        self.value = _number(whole[0]["value"]) if whole else None
        self.by_region = tuple(_part(row, "region") for row in rows if not row.get("no_region", 1))
        self.by_legal_entity = tuple(_part(row, "legal_entity_code") for row in rows if not row.get("no_entity", 1))


class KpiStore:
    """Counts figures, always within the caller's transaction."""

    async def activation(self, conn: AsyncConnection, tenant: str) -> Figure:
        """Hours from closed won to the active project, on average."""
        return await self._figure(conn, _ACTIVATION, tenant)

    async def exception_rate(self, conn: AsyncConnection, tenant: str) -> Figure:
        """Share of deals that had findings."""
        return await self._figure(conn, _EXCEPTION_RATE, tenant)

    async def backlog(self, conn: AsyncConnection, tenant: str) -> Figure:
        """Deals that are not active yet."""
        return await self._figure(conn, _BACKLOG, tenant)

    async def approval_turnaround(self, conn: AsyncConnection, tenant: str) -> Figure:
        """Hours an approval stays open, on average."""
        return await self._figure(conn, _APPROVALS, tenant)

    async def invoice_readiness(self, conn: AsyncConnection, tenant: str) -> Figure:
        """Hours from billable to posted, on average."""
        return await self._figure(conn, _READINESS, tenant)

    async def overdue_exceptions(self, conn: AsyncConnection, tenant: str) -> Figure:
        """Open exceptions past their day."""
        return await self._figure(conn, _OVERDUE, tenant)

    async def unbilled_work(self, conn: AsyncConnection, tenant: str) -> Figure:
        """Ledger rows that are billable and on no invoice."""
        return await self._figure(conn, _UNBILLED, tenant)

    async def _figure(self, conn: AsyncConnection, query: Any, tenant: str) -> Figure:
        rows = await conn.execute(query, {"tenant": tenant})
        return Figure([dict(row) for row in rows.mappings()])


def _number(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value).quantize(_CENT)


def _part(row: dict[str, Any], key: str) -> Part:
    return Part(key=row[key] or "", value=_number(row["value"]), sample=int(row["sample"]))
