"""Rows of invoices after drafting: their way to posted, marked and told, and how finance reads them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from process_apis.time_to_bill.ledger_store import LOCK_BILLING, take_up_corrections
from process_apis.time_to_bill.models import BilledInvoice, BilledInvoiceDetail, BilledInvoiceLine, BilledInvoiceState
from shared.canonical.billing import BillingMark
from shared.canonical.invoices import InvoiceDraft, InvoiceLine, LineKind
from shared.canonical.money import Money
from shared.canonical.references import Page
from shared.errors.taxonomy import NotFound
from shared.identity.principal import Principal
from shared.persistence.database import Database

_SELECT = """
SELECT i.*, c.contract_reference, c.opportunity_id, c.opportunity_reference, c.project_id, c.customer_id,
       c.customer_name, c.legal_entity_code, c.payment_terms_days, c.purchase_order,
       coalesce((SELECT sum(entries) FROM invoice_lines l WHERE l.tenant = i.tenant AND l.invoice_id = i.invoice_id
                 AND l.kind = 'time'), 0) AS time_entries,
       (SELECT count(*) FROM invoice_lines l WHERE l.tenant = i.tenant AND l.invoice_id = i.invoice_id
        AND l.kind = 'milestone') AS milestones
FROM invoices i JOIN billing_contracts c ON c.tenant = i.tenant AND c.contract_id = i.contract_id
WHERE i.tenant = :tenant
"""


@dataclass(frozen=True, slots=True)
class Consumed:
    """Source ids of what stands on an invoice, by kind."""

    time: list[str]
    expenses: list[str]
    milestones: list[str]


def _money(row: Mapping[str, Any], name: str) -> Money:
    return Money.of(row[name], row["currency"])


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    named = (
        "contract_id contract_reference opportunity_id opportunity_reference project_id customer_id customer_name"
        " legal_entity_code period sequence state invoice_on erp_ref time_entries milestones requested_by drafted_at"
        " approved_at posted_at problem"
    )
    return {
        **{name: row[name] for name in named.split()},
        **{name: _money(row, name) for name in ("net", "tax", "gross", "paid")},
        "id": row["invoice_id"],
        "is_marked_in_psa": row["marked_at"] is not None,
        "is_told_to_crm": row["told_at"] is not None,
        "approval_id": approval_id(row["invoice_id"]),
    }


def approval_id(invoice_id: str) -> str:
    """The id of an invoice's approval."""
    return f"apr-{invoice_id}"


async def _lines(connection: AsyncConnection, tenant: str, invoice_id: str) -> list[Mapping[str, Any]]:
    found = await connection.execute(
        text("SELECT * FROM invoice_lines WHERE tenant = :tenant AND invoice_id = :id ORDER BY position"),
        {"tenant": tenant, "id": invoice_id},
    )
    return [dict(row) for row in found.mappings()]


class InvoiceStore:
    """Invoices of a tier database."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database

    async def _row(self, connection: AsyncConnection, tenant: str, invoice_id: str) -> Mapping[str, Any]:
        found = await connection.execute(
            text(_SELECT + " AND i.invoice_id = :id"), {"tenant": tenant, "id": invoice_id}
        )
        row = found.mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no invoice {invoice_id}.")
        return dict(row)

    async def get(self, tenant: str, invoice_id: str, *, seen_by: Principal | None = None) -> BilledInvoiceDetail:
        """One invoice with its lines, if it exists for whoever sees it. Raises NotFound."""
        async with self._database.transaction() as connection:
            row = await self._row(connection, tenant, invoice_id)
            if seen_by is not None and seen_by.customers is not None:
                is_out = row["state"] == BilledInvoiceState.POSTED
                if not (is_out and seen_by.sees_customer(row["customer_id"])):
                    raise NotFound(f"There is no invoice {invoice_id}.")
            lines = await _lines(connection, tenant, invoice_id)
        shown = tuple(
            BilledInvoiceLine(
                id=line["line_id"],
                kind=line["kind"],
                workstream_id=line["workstream_id"],
                item_code=line["item_code"],
                description=line["description"],
                quantity=line["quantity"],
                rate=line["rate"],
                net=Money.of(line["net"], row["currency"]),
                entries=line["entries"],
            )
            for line in lines
        )
        return BilledInvoiceDetail(**_fields(row), lines=shown)

    async def get_within(self, connection: AsyncConnection, tenant: str, invoice_id: str) -> BilledInvoice:
        """One invoice without its lines, inside a caller's transaction. Raises NotFound."""
        return BilledInvoice(**_fields(await self._row(connection, tenant, invoice_id)))

    async def list_page(
        self,
        tenant: str,
        *,
        state: str | None,
        contract_id: str | None,
        after: str | None,
        limit: int,
        customers: Collection[str] | None = None,
    ) -> Page[BilledInvoice]:
        """Invoices by id, optionally of one state or contract; `customers`: of these only, and only once posted."""
        query = (
            _SELECT + " AND (CAST(:state AS text) IS NULL OR i.state = :state)"
            " AND (CAST(:contract_id AS text) IS NULL OR i.contract_id = :contract_id)"
            " AND (CAST(:customers AS text[]) IS NULL"
            " OR (c.customer_id = ANY(:customers) AND i.state = 'posted'))"
            " AND (CAST(:after AS text) IS NULL OR i.invoice_id > :after) ORDER BY i.invoice_id LIMIT :limit"
        )
        bound = {
            "tenant": tenant,
            "state": state,
            "contract_id": contract_id,
            "customers": None if customers is None else sorted(customers),
            "after": after,
            "limit": limit + 1,
        }
        async with self._database.transaction() as connection:
            found = await connection.execute(text(query), bound)
            rows = [dict(row) for row in found.mappings()]
        items = tuple(BilledInvoice(**_fields(row)) for row in rows[:limit])
        return Page(items=items, next_cursor=items[-1].id if len(rows) > limit else None)

    async def draft_of(self, tenant: str, invoice_id: str) -> InvoiceDraft:
        """The invoice as the ERP is to post it. Raises NotFound."""
        async with self._database.transaction() as connection:
            row = await self._row(connection, tenant, invoice_id)
            lines = await _lines(connection, tenant, invoice_id)
        return InvoiceDraft(
            id=row["invoice_id"],
            contract_id=row["contract_id"],
            contract_reference=row["contract_reference"],
            project_id=row["project_id"],
            customer_id=row["customer_id"],
            legal_entity_code=row["legal_entity_code"],
            period=row["period"],
            invoice_on=row["invoice_on"],
            payment_terms_days=row["payment_terms_days"],
            purchase_order=row["purchase_order"],
            currency=row["currency"],
            lines=tuple(
                InvoiceLine(
                    id=line["line_id"],
                    kind=LineKind(line["kind"]),
                    item_code=line["item_code"],
                    workstream_id=line["workstream_id"],
                    description=line["description"],
                    quantity=line["quantity"],
                    rate=line["rate"],
                    net=Money.of(line["net"], row["currency"]),
                )
                for line in lines
            ),
            tax_rate=row["tax_rate"],
            net=_money(row, "net"),
            tax=_money(row, "tax"),
            gross=_money(row, "gross"),
        )

    async def mark_of(self, tenant: str, invoice_id: str) -> BillingMark:
        """What the PSA is to be told about a posted invoice."""
        async with self._database.transaction() as connection:
            row = await self._row(connection, tenant, invoice_id)
            found = await connection.execute(
                text(
                    "SELECT e.kind, array_agg(e.source_ref ORDER BY e.source_ref) FROM work_entries e"
                    " JOIN invoice_lines l ON l.tenant = e.tenant AND l.line_id = e.line_id"
                    " WHERE l.tenant = :tenant AND l.invoice_id = :id GROUP BY e.kind"
                ),
                {"tenant": tenant, "id": invoice_id},
            )
            refs: dict[str, Sequence[str]] = {kind: tuple(listed) for kind, listed in found}
        return BillingMark(
            invoice_id=invoice_id,
            invoice_ref=row["erp_ref"],
            project_id=row["project_id"],
            invoice_on=row["invoice_on"],
            purchase_order=row["purchase_order"],
            time_entry_refs=tuple(refs.get("time", ())),
            expense_refs=tuple(refs.get("expense", ())),
            milestone_refs=tuple(refs.get("milestone", ())),
        )

    async def approve(self, tenant: str, invoice_id: str) -> None:
        """The draft may be posted. Repeat: nothing more."""
        async with self._database.transaction() as connection:
            await connection.execute(
                text(
                    "UPDATE invoices SET state = 'approved', approved_at = now()"
                    " WHERE tenant = :tenant AND invoice_id = :id AND state = 'draft'"
                ),
                {"tenant": tenant, "id": invoice_id},
            )

    async def reject(self, connection: AsyncConnection, tenant: str, invoice_id: str, reason: str) -> None:
        """Let the draft's work go again, as the source has it by now, for the next run. Repeat: nothing more."""
        await connection.execute(LOCK_BILLING, {"tenant": tenant})
        await connection.execute(
            text(
                "UPDATE work_entries e SET state = 'collected', line_id = NULL, reason = NULL, updated_at = now()"
                " FROM invoice_lines l JOIN invoices i USING (tenant, invoice_id)"
                " WHERE i.tenant = :tenant AND i.invoice_id = :id AND i.state IN ('draft', 'approved')"
                " AND e.tenant = l.tenant AND e.line_id = l.line_id"
            ),
            {"tenant": tenant, "id": invoice_id},
        )
        await connection.execute(
            text(
                "UPDATE invoices SET state = 'rejected', problem = :reason"
                " WHERE tenant = :tenant AND invoice_id = :id AND state IN ('draft', 'approved')"
            ),
            {"tenant": tenant, "id": invoice_id, "reason": reason[:1000]},
        )
        await take_up_corrections(connection, tenant)

    async def post(self, connection: AsyncConnection, tenant: str, invoice_id: str, system: str, ref: str) -> bool:
        """Record that the ERP holds the invoice; its work is billed. False: was recorded before."""
        result = await connection.execute(
            text(
                "UPDATE invoices SET state = 'posted', erp_system = :system, erp_ref = :ref, posted_at = now(),"
                " problem = NULL WHERE tenant = :tenant AND invoice_id = :id AND state IN ('draft', 'approved')"
            ),
            {"tenant": tenant, "id": invoice_id, "system": system, "ref": ref},
        )
        if not result.rowcount:
            return False
        await connection.execute(
            text(
                "UPDATE work_entries e SET state = 'billed', updated_at = now() FROM invoice_lines l"
                " WHERE l.tenant = :tenant AND l.invoice_id = :id AND e.tenant = l.tenant AND e.line_id = l.line_id"
            ),
            {"tenant": tenant, "id": invoice_id},
        )
        return True

    async def note(
        self, connection: AsyncConnection, tenant: str, invoice_id: str, *, marked: bool = False, told: bool = False
    ) -> None:
        """Record that the PSA holds the mark, or that the CRM was told. Repeat: the first instant stays."""
        await connection.execute(
            text(
                "UPDATE invoices SET"
                " marked_at = CASE WHEN :marked THEN coalesce(marked_at, now()) ELSE marked_at END,"
                " told_at = CASE WHEN :told THEN coalesce(told_at, now()) ELSE told_at END"
                " WHERE tenant = :tenant AND invoice_id = :id"
            ),
            {"tenant": tenant, "id": invoice_id, "marked": marked, "told": told},
        )

    async def note_problem(self, tenant: str, invoice_id: str, problem: str | None) -> None:
        """What keeps the invoice from going on, for people to see; None clears it."""
        async with self._database.transaction() as connection:
            await connection.execute(
                text("UPDATE invoices SET problem = :problem WHERE tenant = :tenant AND invoice_id = :id"),
                {"tenant": tenant, "id": invoice_id, "problem": problem[:1000] if problem else None},
            )
