"""Rows as finance reads them: ledger rows, sums by state, billing runs, and deals that wait to come under billing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import text

from process_apis.time_to_bill.ledger_store import LOCK_BILLING
from process_apis.time_to_bill.models import BillingRun, BillingTerms, BillWork, WorkItem, WorkStateSum
from process_apis.time_to_bill.terms_store import keep_terms
from shared.canonical.contracts import Contract
from shared.canonical.customers import Customer
from shared.canonical.money import Money
from shared.canonical.projects import ProjectPlan
from shared.canonical.references import Page
from shared.errors.taxonomy import NotFound
from shared.persistence.database import Database


def _terms(snapshot: Mapping[str, Any]) -> BillingTerms:
    """What billing keeps of an activated deal."""
    plan = ProjectPlan.model_validate(snapshot["plan"])
    contract = Contract.model_validate(snapshot["contract"])
    customer = Customer.model_validate(snapshot["customer"])
    return BillingTerms(
        contract_id=contract.id,
        contract_reference=contract.reference,
        opportunity_id=plan.opportunity_id,
        opportunity_reference=plan.opportunity_reference,
        project_id=plan.id,
        customer_id=customer.id,
        customer_name=customer.name,
        customer_country=customer.bill_to.country,
        legal_entity_code=plan.legal_entity_code,
        currency=plan.budget.currency,
        payment_terms_days=contract.payment_terms_days,
        purchase_order=contract.purchase_order,
        rate_card_code=contract.rate_card_code,
        cap=contract.cap.amount if contract.cap else None,
        workstreams=tuple(
            BillingTerms.Workstream(id=w.id, name=w.name, item_code=w.item_code) for w in plan.workstreams
        ),
        milestones=tuple(
            BillingTerms.Milestone(
                id=m.id,
                workstream_id=w.id,
                reference=m.reference,
                name=m.name,
                amount=m.amount.amount,
                due_on=m.due_on,
            )
            for w in plan.workstreams
            for m in w.milestones
        ),
    )


class WorkStore:
    """Readers of a tier database's billing."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database

    async def adopt_activated(self, tenant: str) -> int:
        """Bring every activated deal under billing; how many were new. Repeat: none."""
        async with self._database.transaction() as connection:
            await connection.execute(LOCK_BILLING, {"tenant": tenant})
            found = await connection.execute(
                text(
                    "SELECT a.snapshot FROM activated_deals_v a WHERE a.tenant = :tenant AND NOT EXISTS ("
                    " SELECT 1 FROM billing_contracts c WHERE c.tenant = a.tenant AND c.contract_id = a.contract_id)"
                ),
                {"tenant": tenant},
            )
            snapshots = [row[0] for row in found]
            for snapshot in snapshots:
                await keep_terms(
                    connection, tenant, _terms(json.loads(snapshot) if isinstance(snapshot, str) else snapshot)
                )
            return len(snapshots)

    async def begin(self, request: BillWork) -> None:
        """Record that a run was asked for. Repeat: nothing more."""
        async with self._database.transaction() as connection:
            await connection.execute(
                text(
                    "INSERT INTO billing_runs (tenant, run_id, requested_by, through, contract_id)"
                    " VALUES (:tenant, :run_id, :requested_by, :through, :contract_id) ON CONFLICT DO NOTHING"
                ),
                request.model_dump(),
            )

    async def report(self, tenant: str, run_id: str, *, collected: int) -> None:
        """How far a run is, for people who watch it."""
        async with self._database.transaction() as connection:
            await connection.execute(
                text("UPDATE billing_runs SET collected = :rows WHERE tenant = :tenant AND run_id = :id"),
                {"tenant": tenant, "id": run_id, "rows": collected},
            )

    async def finish(self, tenant: str, run_id: str, *, invoices: int, failed: str | None) -> None:
        """How the run ended. Repeat: the first end stays."""
        async with self._database.transaction() as connection:
            await connection.execute(
                text(
                    "UPDATE billing_runs SET state = :state, invoices = :invoices, message = :message,"
                    " finished_at = coalesce(finished_at, now()) WHERE tenant = :tenant AND run_id = :id"
                ),
                {
                    "tenant": tenant,
                    "id": run_id,
                    "state": "failed" if failed else "drafted",
                    "invoices": invoices,
                    "message": failed,
                },
            )

    async def get_run(self, tenant: str, run_id: str) -> BillingRun:
        """One run. Raises NotFound."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                text("SELECT * FROM billing_runs WHERE tenant = :tenant AND run_id = :id"),
                {"tenant": tenant, "id": run_id},
            )
            row = found.mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no billing run {run_id}.")
        return _run(dict(row))

    async def list_runs(self, tenant: str, *, before: datetime | None, limit: int) -> Page[BillingRun]:
        """Runs, newest first."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                text(
                    "SELECT * FROM billing_runs WHERE tenant = :tenant"
                    " AND (CAST(:before AS timestamptz) IS NULL OR requested_at < :before)"
                    " ORDER BY requested_at DESC LIMIT :limit"
                ),
                {"tenant": tenant, "before": before, "limit": limit + 1},
            )
            rows = [dict(row) for row in found.mappings()]
        more = str(int(rows[limit - 1]["requested_at"].timestamp() * 1_000_000)) if len(rows) > limit else None
        return Page(items=tuple(map(_run, rows[:limit])), next_cursor=more)

    async def list_work(
        self, tenant: str, *, state: str | None, contract_id: str | None, after: str | None, limit: int
    ) -> Page[WorkItem]:
        """Ledger rows by id, optionally of one state or contract."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                text(
                    "SELECT e.*, l.invoice_id, c.currency FROM work_entries e"
                    " LEFT JOIN billing_contracts c ON c.tenant = e.tenant AND c.contract_id = e.contract_id"
                    " LEFT JOIN invoice_lines l ON l.tenant = e.tenant AND l.line_id = e.line_id"
                    " WHERE e.tenant = :tenant AND (CAST(:state AS text) IS NULL OR e.state = :state)"
                    " AND (CAST(:contract_id AS text) IS NULL OR e.contract_id = :contract_id)"
                    " AND (CAST(:after AS text) IS NULL OR e.entry_id > :after) ORDER BY e.entry_id LIMIT :limit"
                ),
                {"tenant": tenant, "state": state, "contract_id": contract_id, "after": after, "limit": limit + 1},
            )
            rows = [dict(row) for row in found.mappings()]
        items = tuple(map(_item, rows[:limit]))
        return Page(items=items, next_cursor=items[-1].id if len(rows) > limit else None)

    async def sums(self, tenant: str, contract_id: str | None) -> tuple[WorkStateSum, ...]:
        """Ledger rows and hours by kind and state."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                text(
                    "SELECT kind, state, count(*) AS entries, sum(hours) AS hours FROM work_entries"
                    " WHERE tenant = :tenant AND (CAST(:contract_id AS text) IS NULL OR contract_id = :contract_id)"
                    " GROUP BY kind, state ORDER BY kind, state"
                ),
                {"tenant": tenant, "contract_id": contract_id},
            )
            return tuple(WorkStateSum(**dict(row)) for row in found.mappings())


def _item(row: Mapping[str, Any]) -> WorkItem:
    names = "kind reference project_id contract_id work_on hours role state reason rate invoice_id".split()
    amount = Money.of(row["amount"], row["currency"]) if row["amount"] is not None and row["currency"] else None
    return WorkItem(id=row["entry_id"], amount=amount, **{name: row[name] for name in names})


def _run(row: Mapping[str, Any]) -> BillingRun:
    names = "requested_by requested_at through contract_id state collected invoices message finished_at".split()
    return BillingRun(id=row["run_id"], **{name: row[name] for name in names})
