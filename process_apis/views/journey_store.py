"""Reads for journeys: the deal's row and, where billing keeps them, its work and invoices."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from process_apis.views.models import JourneyDeal, JourneyInvoice, JourneyWork
from shared.canonical.money import Money
from shared.errors.taxonomy import NotFound

_DEAL = text("""
    SELECT tenant, opportunity_id, revision, run_id, state, reference, name, customer_id, customer_name, contract_id,
           project_id, legal_entity_code, region, amount, currency, won_at, started_at, changed_at, activated_at,
           findings
    FROM deals_v WHERE tenant = :tenant AND opportunity_id = :id
""")
_INVOICES = text("""
    SELECT invoice_id, period, state, currency, net, tax, gross, paid, posted_at
    FROM billing_invoices_v WHERE tenant = :tenant AND opportunity_id = :id ORDER BY period, invoice_id
""")
_WORK = text("""
    SELECT state, sum(entries) AS entries, sum(hours) AS hours, sum(amount) AS amount, currency
    FROM billing_work_v WHERE tenant = :tenant AND opportunity_id = :id GROUP BY state, currency ORDER BY state
""")
_WAITS = {
    "checking": "It is being checked.",
    "exception": "It waits until its findings are gone.",
    "awaiting_approval": "It waits for approval.",
    "provisioning": "It is being set up in PSA and ERP.",
    "activated": "Nothing: the project is active.",
    "rejected": "Nothing: an approval was declined.",
    "cancelled": "Nothing: it was cancelled.",
}


class JourneyStore:
    """What is known of one deal, always within the caller's transaction."""

    async def deal(self, conn: AsyncConnection, tenant: str, opportunity_id: str) -> JourneyDeal:
        """The deal's latest revision. Raises NotFound."""
        row = (await conn.execute(_DEAL, {"tenant": tenant, "id": opportunity_id})).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no deal for opportunity {opportunity_id}.")
        facts: dict[str, Any] = dict(row)
        amount, currency = facts.pop("amount"), facts.pop("currency")
        money = None if amount is None else Money.of(amount, currency)
        return JourneyDeal(**facts, amount=money, waits_for=_WAITS[facts["state"]])

    async def invoices(self, conn: AsyncConnection, tenant: str, opportunity_id: str) -> list[JourneyInvoice]:
        """Its invoices by period."""
        rows = await conn.execute(_INVOICES, {"tenant": tenant, "id": opportunity_id})
        return [_invoice(dict(row)) for row in rows.mappings()]

    async def work(self, conn: AsyncConnection, tenant: str, opportunity_id: str) -> list[JourneyWork]:
        """Its booked work by state."""
        rows = await conn.execute(_WORK, {"tenant": tenant, "id": opportunity_id})
        return [_work(dict(row)) for row in rows.mappings()]


def _invoice(row: dict[str, Any]) -> JourneyInvoice:
    currency = row.pop("currency")
    for name in ("net", "tax", "gross", "paid"):
        row[name] = Money.of(row[name] or 0, currency)
    return JourneyInvoice(**row)


def _work(row: dict[str, Any]) -> JourneyWork:
    currency, amount = row.pop("currency"), row.pop("amount")
    row["hours"] = row["hours"] or 0
    return JourneyWork(**row, amount=None if amount is None else Money.of(amount, currency))
