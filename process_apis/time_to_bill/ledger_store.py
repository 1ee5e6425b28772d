"""Rows of the billing ledger: taking source entries in, and rating them, both set-based."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from process_apis.time_to_bill.models import WorkRow
from shared.persistence.database import Database

_COLUMNS: dict[str, str] = {
    "system": "text",
    "kind": "text",
    "source_ref": "text",
    "version": "text",
    "entry_id": "text",
    "reference": "text",
    "project_id": "text",
    "workstream_id": "text",
    "milestone_id": "text",
    "resource_id": "text",
    "role": "text",
    "work_on": "date",
    "hours": "numeric",
    "source_amount": "numeric",
    "source_currency": "text",
    "is_billable": "boolean",
    "is_approved": "boolean",
    "is_billed_in_source": "boolean",
}
_FED = (
    f"unnest({', '.join(f'CAST(:{name} AS {kind}[])' for name, kind in _COLUMNS.items())}) AS f({', '.join(_COLUMNS)})"
)
_MATERIAL = (
    *("role", "work_on", "hours", "source_amount", "source_currency", "is_billable", "is_approved"),
    *("project_id", "workstream_id", "milestone_id"),
)
_REPLACED = [name for name in _COLUMNS if name not in {"system", "kind", "source_ref"}]

_TAKE_IN = f"""
INSERT INTO work_entries AS e (tenant, {", ".join(_COLUMNS)})
SELECT :tenant, f.* FROM {_FED}
ON CONFLICT (tenant, system, kind, source_ref) DO UPDATE
SET {", ".join(f"{name} = excluded.{name}" for name in _REPLACED)}, state = 'collected', updated_at = now()
WHERE e.line_id IS NULL AND e.version <> excluded.version
"""

_NOTICE_LATE_CHANGES = f"""
INSERT INTO work_adjustments (tenant, system, kind, source_ref, version, was, is_now)
SELECT e.tenant, e.system, e.kind, e.source_ref, f.version,
       jsonb_build_object({", ".join(f"'{name}', e.{name}" for name in _MATERIAL)}),
       jsonb_build_object({", ".join(f"'{name}', f.{name}" for name in _MATERIAL)})
FROM {_FED}
JOIN work_entries e ON e.tenant = :tenant AND e.system = f.system AND e.kind = f.kind AND e.source_ref = f.source_ref
WHERE e.line_id IS NOT NULL AND e.version <> f.version
  AND ({", ".join(f"e.{name}" for name in _MATERIAL)}) IS DISTINCT FROM ({", ".join(f"f.{name}" for name in _MATERIAL)})
ON CONFLICT DO NOTHING
"""

# What stands on a draft keeps what was drafted; what the source says by now waits beside it until the draft is decided.
_KEEP_LATEST = f"""
UPDATE work_entries e SET latest = to_jsonb(f)
FROM {_FED}
WHERE e.tenant = :tenant AND e.system = f.system AND e.kind = f.kind AND e.source_ref = f.source_ref
  AND e.state = 'drafted' AND coalesce(e.latest ->> 'version', e.version) <> f.version
"""

_TAKE_UP_LATEST = f"""
UPDATE work_entries e
SET {", ".join(f"{name} = (jsonb_populate_record(e, e.latest)).{name}" for name in _REPLACED)}, latest = NULL
WHERE e.tenant = :tenant AND e.line_id IS NULL AND e.latest IS NOT NULL
"""

_FORGET_TAKEN_UP = """
DELETE FROM work_adjustments a USING work_entries e
WHERE a.tenant = :tenant AND e.tenant = a.tenant AND e.system = a.system AND e.kind = a.kind
  AND e.source_ref = a.source_ref AND e.line_id IS NULL
"""

# Two runs of one tenant take in, judge and claim one after the other: both would hand out the same room under a cap,
# or claim at a price that is no longer the entry's.
LOCK_BILLING = text("SELECT pg_advisory_xact_lock(hashtextextended('billing:' || :tenant, 0))")

_FIND_CONTRACT = """
UPDATE work_entries e SET contract_id = c.contract_id
FROM billing_contracts c
WHERE e.tenant = :tenant AND e.contract_id IS NULL AND c.tenant = e.tenant AND c.project_id = e.project_id
"""

# One pass over everything not consumed: first match of the state rules wins, then the cap takes entries in order of
# day and reference (as text); the first that would lift the contract above its cap, and all after it, are over.
_RATE = """
WITH judged AS (
    SELECT e.tenant, e.system, e.kind, e.source_ref, e.contract_id, e.work_on, e.reference, c.cap,
           CASE WHEN c.contract_id IS NULL THEN 'awaiting_project'
                WHEN NOT e.is_billable THEN 'not_billable'
                WHEN NOT e.is_approved THEN 'unapproved'
                WHEN e.is_billed_in_source THEN 'billed_elsewhere'
                WHEN t.legal_entity_code IS NULL THEN 'awaiting_rate'
                WHEN e.kind = 'time' AND r.rate IS NULL THEN 'awaiting_rate'
                WHEN e.kind = 'milestone' AND m.amount IS NULL THEN 'awaiting_rate'
                WHEN e.kind = 'expense' AND e.source_currency IS DISTINCT FROM c.currency THEN 'awaiting_rate'
                ELSE 'ready' END AS state,
           CASE WHEN c.contract_id IS NULL THEN 'No activated project with this id.'
                WHEN NOT e.is_billable THEN 'Marked as not billable in the source.'
                WHEN NOT e.is_approved THEN 'Not approved yet.'
                WHEN e.is_billed_in_source THEN 'The source shows it on an invoice of its own.'
                WHEN t.legal_entity_code IS NULL THEN
                     'The ERP no longer lists legal entity ' || c.legal_entity_code || '.'
                WHEN e.kind = 'time' AND e.role IS NULL THEN 'Neither the entry nor the person has a role.'
                WHEN e.kind = 'time' AND r.rate IS NULL THEN
                     'Rate card ' || coalesce(c.rate_card_code, '(none)') || ' has no rate for ' || e.role
                     || ' on ' || e.work_on || '.'
                WHEN e.kind = 'milestone' AND m.amount IS NULL THEN 'The billing schedule has no such milestone.'
                WHEN e.kind = 'expense' AND e.source_currency IS DISTINCT FROM c.currency THEN
                     'Spent in ' || e.source_currency || ', contract is in ' || c.currency || '.'
           END AS reason,
           CASE e.kind WHEN 'time' THEN r.rate WHEN 'milestone' THEN m.amount ELSE e.source_amount END AS rate,
           CASE e.kind WHEN 'time' THEN round(e.hours * r.rate, c.minor_digits)
                       WHEN 'milestone' THEN round(m.amount, c.minor_digits)
                       ELSE round(e.source_amount, c.minor_digits) END AS amount
    FROM work_entries e
    LEFT JOIN billing_contracts c ON c.tenant = e.tenant AND c.contract_id = e.contract_id
    LEFT JOIN billing_tax t ON t.tenant = c.tenant AND t.legal_entity_code = c.legal_entity_code
    -- Where periods of a card overlap, the one that began last counts.
    LEFT JOIN LATERAL (
        SELECT b.rate FROM billing_rates b
        WHERE e.kind = 'time' AND b.tenant = c.tenant AND b.card_code = c.rate_card_code AND b.role = e.role
          AND b.currency = c.currency AND b.effective_from <= e.work_on
          AND (b.effective_to IS NULL OR b.effective_to >= e.work_on)
        ORDER BY b.effective_from DESC LIMIT 1) r ON true
    LEFT JOIN billing_milestones m ON e.kind = 'milestone' AND m.tenant = c.tenant AND m.milestone_id = e.milestone_id
         AND m.contract_id = c.contract_id
    WHERE e.tenant = :tenant AND e.line_id IS NULL
      AND (CAST(:contract_id AS text) IS NULL OR e.contract_id = :contract_id)
), consumed AS (
    SELECT contract_id, sum(amount) AS amount FROM work_entries
    WHERE tenant = :tenant AND kind = 'time' AND line_id IS NOT NULL GROUP BY contract_id
), capped AS (
    SELECT j.tenant, j.system, j.kind, j.source_ref,
           coalesce(k.amount, 0) + sum(j.amount) OVER (
               PARTITION BY j.contract_id ORDER BY j.work_on, j.reference COLLATE "C", j.source_ref COLLATE "C"
               ROWS UNBOUNDED PRECEDING) > j.cap AS is_over
    FROM judged j LEFT JOIN consumed k ON k.contract_id = j.contract_id
    WHERE j.kind = 'time' AND j.state = 'ready' AND j.cap IS NOT NULL
), settled AS (
    SELECT j.tenant, j.system, j.kind, j.source_ref, j.rate,
           CASE WHEN o.is_over THEN 'over_cap' ELSE j.state END AS state,
           CASE WHEN o.is_over THEN 'Would take the contract above its cap of ' || trim_scale(j.cap) || '.'
                ELSE j.reason END AS reason,
           CASE WHEN j.state = 'ready' THEN j.amount END AS amount
    FROM judged j LEFT JOIN capped o USING (tenant, system, kind, source_ref)
)
UPDATE work_entries e
SET state = s.state, reason = s.reason, rate = s.rate, amount = s.amount, updated_at = now()
FROM settled s
WHERE e.tenant = s.tenant AND e.system = s.system AND e.kind = s.kind AND e.source_ref = s.source_ref
  AND e.line_id IS NULL
  AND (e.state, e.reason, e.rate, e.amount) IS DISTINCT FROM (s.state, s.reason, s.rate, s.amount)
"""


class LedgerStore:
    """The billing ledger of a tier database."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database

    async def take_in(self, tenant: str, rows: Sequence[WorkRow]) -> None:
        """Keep source entries, one row each.

        A newer version replaces a row that no invoice has consumed; on a consumed one it is noted as an adjustment.
        Repeat: nothing more.
        """
        if not rows:
            return
        latest = {(row.system, row.kind, row.source_ref): row for row in rows}.values()
        columns = {name: [getattr(row, name) for row in latest] for name in _COLUMNS}
        columns["kind"] = [row.kind.value for row in latest]
        async with self._database.transaction() as connection:
            await connection.execute(LOCK_BILLING, {"tenant": tenant})
            await connection.execute(text(_NOTICE_LATE_CHANGES), {"tenant": tenant, **columns})
            await connection.execute(text(_KEEP_LATEST), {"tenant": tenant, **columns})
            await connection.execute(text(_TAKE_IN), {"tenant": tenant, **columns})

    async def rate(self, tenant: str, contract_id: str | None) -> int:
        """Give every row that is not consumed its state, rate and amount; how many changed. Repeat: none."""
        async with self._database.transaction() as connection:
            await connection.execute(LOCK_BILLING, {"tenant": tenant})
            await connection.execute(text(_FIND_CONTRACT), {"tenant": tenant})
            result = await connection.execute(text(_RATE), {"tenant": tenant, "contract_id": contract_id})
            return result.rowcount


async def take_up_corrections(connection: AsyncConnection, tenant: str) -> None:
    """Entries that no longer stand on an invoice become what the source says by now. Repeat: nothing more."""
    await connection.execute(text(_TAKE_UP_LATEST), {"tenant": tenant})
    await connection.execute(text(_FORGET_TAKEN_UP), {"tenant": tenant})
