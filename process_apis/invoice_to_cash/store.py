"""Rows of payments and their applications; an invoice's paid sum is always the sum of its applications."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from process_apis.invoice_to_cash.models import Receivable, UnappliedCash
from process_apis.invoice_to_cash.rules import payment_state
from shared.canonical.invoices import Payment
from shared.canonical.money import Money
from shared.canonical.references import Page
from shared.persistence.database import Database

_RECEIVABLES = """
SELECT i.invoice_id, c.contract_reference, c.opportunity_reference, c.opportunity_id, c.customer_id,
       c.customer_name, i.period, i.currency, i.gross, i.paid, i.erp_ref, i.invoice_on, c.payment_terms_days
FROM invoices i JOIN billing_contracts c ON c.tenant = i.tenant AND c.contract_id = i.contract_id
WHERE i.tenant = :tenant AND i.state = 'posted'
"""


@dataclass(frozen=True, slots=True)
class Owed:
    """What the CRM is told of an invoice."""

    invoice_id: str
    opportunity_id: str
    customer_id: str
    erp_ref: str
    period: str
    gross: Money
    paid: Money


class PaymentStore:
    """Payments of a tier database."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database

    async def settle(self, connection: AsyncConnection, tenant: str, payment: Payment) -> list[str]:
        """Record the payment as the ERP holds it now; every invoice that any version of it ever settled.

        A later version replaces the applications of the earlier one, an earlier one that comes late changes nothing.
        Repeat: the same rows, the same answer.
        """
        touched = await self._record(connection, tenant, payment)
        await connection.execute(
            text(
                "WITH sums AS (SELECT i.invoice_id, coalesce(sum(a.amount), 0) AS paid FROM invoices i"
                " LEFT JOIN payment_applications a ON a.tenant = i.tenant AND a.invoice_id = i.invoice_id"
                " WHERE i.tenant = :tenant AND i.invoice_id = ANY(:ids) GROUP BY i.invoice_id)"
                " UPDATE invoices i SET paid = s.paid FROM sums s"
                " WHERE i.tenant = :tenant AND i.invoice_id = s.invoice_id AND i.paid <> s.paid"
            ),
            {"tenant": tenant, "ids": touched},
        )
        return touched

    async def _record(self, connection: AsyncConnection, tenant: str, payment: Payment) -> list[str]:
        scope = {"tenant": tenant, "payment_id": payment.id}
        await connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended('payment:' || :tenant || :payment_id, 0))"), scope
        )
        found = await connection.execute(
            text("SELECT touched, modified_at FROM payments WHERE tenant = :tenant AND payment_id = :payment_id"), scope
        )
        known = found.one_or_none()
        touched = sorted({*(known[0] if known else ()), *(a.invoice_id for a in payment.applications)})
        moment = payment.source.modified_at
        if known and known[1] and moment and known[1] > moment:
            return list(known[0])
        await connection.execute(
            text(
                "SELECT 1 FROM invoices WHERE tenant = :tenant AND invoice_id = ANY(:ids)"
                " ORDER BY invoice_id FOR UPDATE"
            ),
            {"tenant": tenant, "ids": touched},
        )
        await connection.execute(
            text(
                "INSERT INTO payments"
                " (tenant, payment_id, system, ref, version, received_on, currency, amount, applied,"
                " modified_at, touched)"
                " VALUES (:tenant, :payment_id, :system, :ref, :version, :received_on, :currency, :amount, :applied,"
                " :modified_at, :touched)"
                " ON CONFLICT (tenant, payment_id) DO UPDATE SET version = excluded.version,"
                " received_on = excluded.received_on, amount = excluded.amount, applied = excluded.applied,"
                " modified_at = excluded.modified_at, touched = excluded.touched"
            ),
            {
                **scope,
                "system": payment.source.system,
                "ref": payment.source.ref,
                "version": payment.source.version,
                "received_on": payment.received_on,
                "currency": payment.amount.currency,
                "amount": payment.amount.amount,
                "applied": sum(a.amount.amount for a in payment.applications),
                "modified_at": moment,
                "touched": touched,
            },
        )
        await connection.execute(
            text("DELETE FROM payment_applications WHERE tenant = :tenant AND payment_id = :payment_id"), scope
        )
        for application in payment.applications:
            await connection.execute(
                text(
                    "INSERT INTO payment_applications (tenant, payment_id, invoice_id, amount)"
                    " SELECT :tenant, :payment_id, i.invoice_id, :amount FROM invoices i"
                    " WHERE i.tenant = :tenant AND i.invoice_id = :invoice_id"
                    " ON CONFLICT (tenant, payment_id, invoice_id)"
                    " DO UPDATE SET amount = payment_applications.amount + excluded.amount"
                ),
                {**scope, "invoice_id": application.invoice_id, "amount": application.amount.amount},
            )
        return touched

    async def owed(self, connection: AsyncConnection, tenant: str, invoice_ids: Sequence[str]) -> list[Owed]:
        """What the CRM is to be told of these invoices."""
        found = await connection.execute(
            text(_RECEIVABLES + " AND i.invoice_id = ANY(:ids) ORDER BY i.invoice_id"),
            {"tenant": tenant, "ids": list(invoice_ids)},
        )
        return [
            Owed(
                row["invoice_id"],
                row["opportunity_id"],
                row["customer_id"],
                row["erp_ref"],
                row["period"],
                Money.of(row["gross"], row["currency"]),
                Money.of(row["paid"], row["currency"]),
            )
            for row in found.mappings()
        ]

    async def list_receivables(
        self,
        tenant: str,
        *,
        open_only: bool,
        after: str | None,
        limit: int,
        customers: Collection[str] | None = None,
    ) -> Page[Receivable]:
        """Posted invoices by id; `open_only` leaves out what is paid, `customers` all but theirs."""
        query = (
            _RECEIVABLES + " AND (NOT :open_only OR i.paid < i.gross)"
            " AND (CAST(:customers AS text[]) IS NULL OR c.customer_id = ANY(:customers))"
            " AND (CAST(:after AS text) IS NULL OR i.invoice_id > :after) ORDER BY i.invoice_id LIMIT :limit"
        )
        bound = {
            "tenant": tenant,
            "open_only": open_only,
            "customers": None if customers is None else sorted(customers),
            "after": after,
            "limit": limit + 1,
        }
        async with self._database.transaction() as connection:
            found = await connection.execute(text(query), bound)
            rows = [dict(row) for row in found.mappings()]
        items = tuple(map(_receivable, rows[:limit]))
        return Page(items=items, next_cursor=items[-1].invoice_id if len(rows) > limit else None)

    async def unapplied(self, tenant: str) -> tuple[UnappliedCash, ...]:
        """Money received that settles no invoice of ours, by currency."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                text(
                    "SELECT p.currency, sum(p.amount - coalesce(a.applied, 0)) AS amount FROM payments p LEFT JOIN ("
                    " SELECT tenant, payment_id, sum(amount) AS applied FROM payment_applications"
                    " GROUP BY tenant, payment_id) a USING (tenant, payment_id)"
                    " WHERE p.tenant = :tenant GROUP BY p.currency"
                    " HAVING sum(p.amount - coalesce(a.applied, 0)) > 0 ORDER BY p.currency"
                ),
                {"tenant": tenant},
            )
            return tuple(UnappliedCash(**dict(row)) for row in found.mappings())

    async def watermark(self, tenant: str) -> datetime | None:
        """Up to when payments were read, or None at first."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                text("SELECT at FROM billing_watermarks WHERE tenant = :tenant AND feed = 'payments'"),
                {"tenant": tenant},
            )
            return found.scalar_one_or_none()

    async def advance(self, tenant: str, at: datetime) -> None:
        """Move the watermark forward; never back."""
        async with self._database.transaction() as connection:
            await connection.execute(
                text(
                    "INSERT INTO billing_watermarks (tenant, feed, at) VALUES (:tenant, 'payments', :at)"
                    " ON CONFLICT (tenant, feed) DO UPDATE SET at = greatest(billing_watermarks.at, excluded.at)"
                ),
                {"tenant": tenant, "at": at},
            )


def _receivable(row: Mapping[str, Any]) -> Receivable:
    return Receivable(
        invoice_id=row["invoice_id"],
        contract_reference=row["contract_reference"],
        opportunity_reference=row["opportunity_reference"],
        customer_name=row["customer_name"],
        period=row["period"],
        state=payment_state(row["gross"], row["paid"]),
        gross=Money.of(row["gross"], row["currency"]),
        paid=Money.of(row["paid"], row["currency"]),
        due_on=row["invoice_on"] + timedelta(days=row["payment_terms_days"]),
    )
