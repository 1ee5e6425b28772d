"""Rows of invoice drafts: grouping rated work into invoices and lines, set-based, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from process_apis.time_to_bill.ledger_store import LOCK_BILLING
from process_apis.time_to_bill.rules import invoice_id, last_day, tax_amount, tax_rate
from shared.persistence.database import Database

# Contract and month with ready work and no undecided draft; the next free sequence number; what tax needs.
_GROUPS = """
WITH ready AS (
    SELECT e.tenant, e.contract_id, to_char(e.work_on, 'YYYY-MM') AS period, sum(e.amount) AS net
    FROM work_entries e
    WHERE e.tenant = :tenant AND e.state = 'ready' AND e.line_id IS NULL
      AND (CAST(:contract_id AS text) IS NULL OR e.contract_id = :contract_id)
      AND (CAST(:through AS text) IS NULL OR to_char(e.work_on, 'YYYY-MM') <= :through)
    GROUP BY e.tenant, e.contract_id, to_char(e.work_on, 'YYYY-MM')
)
SELECT r.contract_id, r.period, r.net, c.currency, t.country, t.standard_rate, b.country AS customer_country,
       1 + coalesce(max(i.sequence), 0) AS sequence
FROM ready r
JOIN billing_contracts c ON c.tenant = r.tenant AND c.contract_id = r.contract_id
JOIN billing_tax t ON t.tenant = c.tenant AND t.legal_entity_code = c.legal_entity_code
LEFT JOIN billing_customers b ON b.tenant = c.tenant AND b.customer_id = c.customer_id
LEFT JOIN invoices i ON i.tenant = r.tenant AND i.contract_id = r.contract_id AND i.period = r.period
GROUP BY r.contract_id, r.period, r.net, c.currency, t.country, t.standard_rate, b.country
HAVING count(*) FILTER (WHERE i.state IN ('draft', 'approved')) = 0
ORDER BY r.contract_id, r.period
"""

_INVOICES = """
INSERT INTO invoices (tenant, invoice_id, contract_id, period, sequence, run_id, requested_by, currency, invoice_on,
                      tax_rate, net, tax, gross)
SELECT :tenant, i.invoice_id, i.contract_id, i.period, i.sequence, :run_id, :requested_by, i.currency, i.invoice_on,
       i.tax_rate, i.net, i.tax, i.net + i.tax
FROM unnest(CAST(:invoice_ids AS text[]), CAST(:contract_ids AS text[]), CAST(:periods AS text[]),
            CAST(:sequences AS integer[]), CAST(:currencies AS text[]), CAST(:dates AS date[]),
            CAST(:tax_rates AS numeric[]), CAST(:nets AS numeric[]), CAST(:taxes AS numeric[]))
     AS i(invoice_id, contract_id, period, sequence, currency, invoice_on, tax_rate, net, tax)
"""

# One line per workstream, role and rate for time; one per milestone; one per expense.
_CHOSEN = """
CREATE TEMPORARY TABLE chosen ON COMMIT DROP AS
SELECT e.system, e.kind, e.source_ref, e.version, i.invoice_id, e.workstream_id, e.role, e.rate, e.hours, e.amount,
       m.name,
       dense_rank() OVER (
           PARTITION BY i.invoice_id
           ORDER BY e.kind DESC, w.name COLLATE "C" NULLS LAST, e.role COLLATE "C", e.rate,
                    CASE WHEN e.kind = 'time' THEN '' ELSE e.reference END COLLATE "C",
                    CASE WHEN e.kind = 'time' THEN '' ELSE e.source_ref END COLLATE "C") AS position,
       coalesce(w.item_code, (SELECT min(item_code) FROM billing_workstreams x
                              WHERE x.tenant = e.tenant AND x.contract_id = e.contract_id)) AS item_code,
       w.name AS workstream
FROM work_entries e
JOIN invoices i ON i.tenant = e.tenant AND i.contract_id = e.contract_id AND i.period = to_char(e.work_on, 'YYYY-MM')
     AND i.run_id = :run_id AND i.state = 'draft'
LEFT JOIN billing_milestones m ON e.kind = 'milestone' AND m.tenant = e.tenant AND m.milestone_id = e.milestone_id
LEFT JOIN billing_workstreams w ON w.tenant = e.tenant AND w.workstream_id = coalesce(e.workstream_id, m.workstream_id)
WHERE e.tenant = :tenant AND e.state = 'ready' AND e.line_id IS NULL AND i.invoice_id = ANY(:invoice_ids)
"""

_LINES = """
INSERT INTO invoice_lines (tenant, line_id, invoice_id, position, kind, workstream_id, item_code, description,
                           quantity, rate, net, entries)
SELECT :tenant, invoice_id || '-' || position, invoice_id, position, min(kind), min(workstream_id), min(item_code),
       CASE min(kind) WHEN 'time' THEN concat_ws(', ', min(workstream), min(role))
                      WHEN 'milestone' THEN concat_ws(', ', min(workstream), min(name))
                      ELSE concat_ws(', ', min(workstream), 'expense') END,
       CASE min(kind) WHEN 'time' THEN sum(hours) ELSE 1 END, min(rate), sum(amount), count(*)
FROM chosen GROUP BY invoice_id, position
"""

_CLAIM = """
UPDATE work_entries e SET state = 'drafted', line_id = k.invoice_id || '-' || k.position, updated_at = now()
FROM chosen k
WHERE e.tenant = :tenant AND e.system = k.system AND e.kind = k.kind AND e.source_ref = k.source_ref
  AND e.version = k.version AND e.state = 'ready' AND e.line_id IS NULL
"""


@dataclass(frozen=True, slots=True)
class _Draft:
    invoice_id: str
    contract_id: str
    period: str
    sequence: int
    currency: str
    invoice_on: date
    tax_rate: Decimal
    net: Decimal
    tax: Decimal


class DraftStore:
    """Drafting of a tier database."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database

    async def draft(
        self, tenant: str, run_id: str, requested_by: str, through: str | None, contract_id: str | None
    ) -> list[str]:
        """Group ready work into invoices, one per contract and month, and claim it; the run's invoice ids.

        Repeat: the drafts this run made before, nothing new.
        """
        async with self._database.transaction() as connection:
            await connection.execute(LOCK_BILLING, {"tenant": tenant})
            made = await connection.execute(
                text("SELECT invoice_id FROM invoices WHERE tenant = :tenant AND run_id = :run_id ORDER BY invoice_id"),
                {"tenant": tenant, "run_id": run_id},
            )
            before = [row[0] for row in made]
            if before:
                return before
            drafts = await _grouped(connection, tenant, through, contract_id)
            if drafts:
                await _written(connection, tenant, run_id, requested_by, drafts)
            return sorted(d.invoice_id for d in drafts)

    async def list_undecided(self, tenant: str) -> list[str]:
        """Drafts that are not posted yet, of any run: each must have somebody who carries it on."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                text(
                    "SELECT invoice_id FROM invoices WHERE tenant = :tenant AND state IN ('draft', 'approved')"
                    " ORDER BY invoice_id"
                ),
                {"tenant": tenant},
            )
            return [row[0] for row in found]


async def _grouped(
    connection: AsyncConnection, tenant: str, through: str | None, contract_id: str | None
) -> list[_Draft]:
    found = await connection.execute(text(_GROUPS), {"tenant": tenant, "through": through, "contract_id": contract_id})
    drafts: list[_Draft] = []
    for row in found.mappings():
        rate = tax_rate(row["country"], row["customer_country"], row["standard_rate"])
        drafts.append(
            _Draft(
                invoice_id(tenant, row["contract_id"], row["period"], row["sequence"]),
                row["contract_id"],
                row["period"],
                row["sequence"],
                row["currency"],
                last_day(row["period"]),
                rate,
                row["net"],
                tax_amount(row["net"], rate, row["currency"]),
            )
        )
    return drafts


async def _written(
    connection: AsyncConnection, tenant: str, run_id: str, requested_by: str, drafts: list[_Draft]
) -> None:
    scope = {"tenant": tenant, "run_id": run_id}
    ids = [d.invoice_id for d in drafts]
    await connection.execute(
        text(_INVOICES),
        {
            **scope,
            "requested_by": requested_by,
            "invoice_ids": ids,
            "contract_ids": [d.contract_id for d in drafts],
            "periods": [d.period for d in drafts],
            "sequences": [d.sequence for d in drafts],
            "currencies": [d.currency for d in drafts],
            "dates": [d.invoice_on for d in drafts],
            "tax_rates": [d.tax_rate for d in drafts],
            "nets": [d.net for d in drafts],
            "taxes": [d.tax for d in drafts],
        },
    )
    await connection.execute(text(_CHOSEN), {**scope, "invoice_ids": ids})
    await connection.execute(text(_LINES), {"tenant": tenant})
    await connection.execute(text(_CLAIM), {"tenant": tenant})
