"""Invoices and receipts: drafted amounts compared before anything falls due, payments read from standard receipts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal

from shared.canonical.invoices import Invoice, InvoiceDraft, Payment
from shared.canonical.references import Page
from shared.errors.taxonomy import OutcomeUnknown, PeriodClosed, VendorRejected
from shared.outbound import drift
from system_apis.connectors.oracle_fusion import invoices, mapping
from system_apis.connectors.oracle_fusion.account import Account, Body
from system_apis.connectors.oracle_fusion.changes import changed_page
from system_apis.connectors.oracle_fusion.client import VENDOR, Item, listed, literal, part
from system_apis.connectors.oracle_fusion.directory import below, expanded
from system_apis.connectors.oracle_fusion.payloads import (
    AccountRow,
    ApplicationRow,
    InstallmentRow,
    InvoiceRow,
    LineRow,
    PeriodRow,
    ReceiptRow,
)
from system_apis.connectors.oracle_fusion.places import Entity
from system_apis.ports.outcomes import begun, canonical, departures

INVOICES, RECEIPTS = "receivablesInvoices", "standardReceipts"
_INSTALLMENTS, _LINES, _TAXES = (
    "receivablesInvoiceInstallments", "receivablesInvoiceLines", "receivablesInvoiceLineTaxLines",
)  # fmt: skip
_RECEIVABLES = 222
_OPEN_PERIOD = "O"
_AT_ONCE = 50
"""Values in one `in` list, so that addresses stay short."""


class Receivables:
    """Invoices and receipts of one pod."""

    def __init__(self, account: Account) -> None:
        self._account = account

    # --- posting -------------------------------------------------------------------------------------------------
    async def create(self, draft: InvoiceDraft) -> Invoice:
        """Look for our id, else make it incomplete, compare its lines, and complete it; a wrong one goes again."""
        mapping.keepable(draft.id)
        entity = await self._account.directory.entity(draft.legal_entity_code)
        async with self._account.writers.of(draft.id):
            held = await self._held(draft.id)
            if held is not None and self._row(held).invoice_status != invoices.INCOMPLETE:
                invoice = await self._invoice(held)
                if differences := departures(invoice, draft):
                    raise VendorRejected(f"oracle_fusion holds another invoice under {draft.id}: {differences}")
                return invoice
            if held is not None and await self._departs(held, draft):
                await self._account.client.delete(f"{INVOICES}/{part(held.key)}")
                held = None
            body = None if held else await self._body(draft, entity)
            async with self._posting(draft, entity):
                made = held if body is None else await self._account.client.create(INVOICES, body)
                if made is None:
                    raise OutcomeUnknown(f"oracle_fusion took invoice {draft.id} but does not have it.")
                with begun(VENDOR, f"invoice {draft.id}"):
                    await self._refuse_wrong(made, draft)
                    return await self._completed(made, draft)

    async def _body(self, draft: InvoiceDraft, entity: Entity) -> Body:
        settings = self._account.settings
        party = await self._account.directory.party(draft.customer_id, entity)
        await self._account.directory.items(line.item_code for line in draft.lines)
        header = invoices.from_invoice(
            draft,
            entity=entity,
            party=party,
            source=settings.transaction_source,
            kind=settings.transaction_type,
            terms=settings.terms(draft.payment_terms_days),
        )
        taxes = invoices.shares(draft.tax.amount, [line.net.amount for line in draft.lines], draft.currency)
        rate = draft.tax_rate if draft.tax.amount else Decimal(0)
        lines = [
            {
                **self._account.give(
                    "invoice_line", invoices.from_invoice_line(line, number, item_attribute=settings.item_attribute)
                ),
                _TAXES: [self._account.give("invoice_tax", invoices.from_tax(tax, rate, entity))],
            }
            for number, (line, tax) in enumerate(zip(draft.lines, taxes, strict=True), 1)
        ]
        return {**self._account.give("invoice", header), _LINES: lines}

    @asynccontextmanager
    async def _posting(self, draft: InvoiceDraft, entity: Entity) -> AsyncGenerator[None]:
        """A refusal's words depend on the user's language, so the period itself is asked what it is."""
        try:
            yield
        except VendorRejected as error:
            if not await self._is_open(entity, draft):
                raise PeriodClosed(
                    f"oracle_fusion: the accounting period of {draft.invoice_on} is closed.", detail=error.message
                ) from error
            raise

    async def _is_open(self, entity: Entity, draft: InvoiceDraft) -> bool:
        on = literal(draft.invoice_on.isoformat())
        days = f"StartDate <= {on} and EndDate >= {on}"
        q = f"ApplicationId = {_RECEIVABLES} and LedgerId = {entity.ledger_id} and {days}"
        rows, _ = await self._account.client.page("accountingPeriodStatusLOV", q=q, limit=1)
        return not rows or drift(VENDOR, PeriodRow, rows[0].row).closing_status == _OPEN_PERIOD

    async def _departs(self, item: Item, draft: InvoiceDraft) -> str:
        """Where an incomplete invoice departs from its draft, by its lines; empty when it does not."""
        row = self._row(item)
        lines = await self._lines_of(item)
        net, tax = invoices.line_totals(lines)
        pairs = (
            ("net", net, draft.net.amount),
            ("tax", tax, draft.tax.amount),
            ("gross", row.entered_amount, draft.gross.amount),
            ("currency", row.invoice_currency_code, draft.currency),
        )
        return "; ".join(f"{name} is {there}, not {ours}" for name, there, ours in pairs if there != ours)

    async def _lines_of(self, item: Item) -> list[LineRow]:
        fields = self._account.fields
        expand = ",".join((*expanded(fields, "invoice_line"), _TAXES))
        rows = [one.row for one in await self._account.client.children(item, INVOICES, _LINES, expand=expand)]
        if any(_TAXES not in row for row in rows):  # an answer to a creation that shows lines without their taxes
            rows = await self._account.client.rows(
                f"{INVOICES}/{part(item.key)}/child/{_LINES}", expand=expand, order="CustomerTransactionLineId"
            )
        taxes, lines = fields["invoice_tax"], fields["invoice_line"]
        return [
            drift(VENDOR, LineRow, {**lines.take(row), _TAXES: [taxes.take(tax) for tax in row[_TAXES]]})
            for row in rows
        ]

    async def _refuse_wrong(self, item: Item, draft: InvoiceDraft) -> None:
        """An invoice whose amounts came out otherwise is not completed; where the pod lets it go, it goes."""
        if differences := await self._departs(item, draft):
            await self._account.client.delete(f"{INVOICES}/{part(item.key)}")
            raise VendorRejected(f"oracle_fusion made it otherwise and the invoice was deleted again: {differences}")

    async def _completed(self, item: Item, draft: InvoiceDraft) -> Invoice:
        address = f"{INVOICES}/{part(item.key)}"
        status = self._account.give("invoice", {"InvoiceStatus": invoices.COMPLETE})
        await self._account.client.patch(address, status)
        posted = await self._account.client.get(address, expand=self._expand)
        if posted is None:
            raise OutcomeUnknown(f"oracle_fusion completed invoice {draft.id} but does not have it.")
        invoice = await self._invoice(posted)
        if differences := departures(invoice, draft):
            back = self._account.give("invoice", {"InvoiceStatus": invoices.INCOMPLETE})
            await self._account.client.patch(address, back)
            await self._account.client.delete(address)
            raise VendorRejected(f"oracle_fusion posted otherwise and the invoice was deleted again: {differences}")
        return invoice

    # --- reading -------------------------------------------------------------------------------------------------
    @property
    def _expand(self) -> str:
        fields = self._account.fields
        return ",".join((*below(fields, "installment", _INSTALLMENTS), *expanded(fields, "invoice")))

    def _row(self, item: Item) -> InvoiceRow:
        """The header; its installments are read on their own."""
        row = {name: value for name, value in item.row.items() if name != _INSTALLMENTS}
        return self._account.take("invoice", row, InvoiceRow)

    async def _held(self, invoice_id: str) -> Item | None:
        """The invoice under our id; a completed one before an incomplete one."""
        if not mapping.is_keepable(invoice_id):
            return None
        place = self._account.fields["invoice"]
        q = f"{place.path('id')} = {literal(invoice_id)}"
        found = await self._account.client.items(INVOICES, q=q, expand=self._expand, order="CustomerTransactionId")
        found.sort(key=lambda item: self._row(item).invoice_status == invoices.INCOMPLETE)
        return found[0] if found else None

    async def _invoice(self, item: Item) -> Invoice:
        row = self._row(item)
        children = await self._account.client.children(item, INVOICES, _INSTALLMENTS)
        installments = [self._account.take("installment", child.row, InstallmentRow) for child in children]
        entity = await self._account.directory.entity_of_unit(row.business_unit)
        code = entity.code if entity else row.business_unit
        with canonical(VENDOR):
            return invoices.to_invoice(self._account.binding, row, installments, legal_entity_code=code)

    async def find(self, invoice_id: str) -> Invoice | None:
        """The completed invoice under our id; an incomplete one is not posted."""
        held = await self._held(invoice_id)
        if held is None or self._row(held).invoice_status == invoices.INCOMPLETE:
            return None
        return await self._invoice(held)

    async def list(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Invoice]:
        """Invoices by change; incomplete ones are not posted and are left out."""
        items, following = await changed_page(
            self._account.client,
            INVOICES,
            "CustomerTransactionId",
            modified_since,
            cursor,
            limit,
            expand=self._expand,
        )
        posted = [item for item in items if self._row(item).invoice_status != invoices.INCOMPLETE]
        return Page(items=tuple([await self._invoice(item) for item in posted]), next_cursor=following)

    # --- payments ------------------------------------------------------------------------------------------------
    async def list_payments(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Payment]:
        """Receipts by change, each with what it settles."""
        items, following = await changed_page(
            self._account.client,
            RECEIPTS,
            "StandardReceiptId",
            modified_since,
            cursor,
            limit,
            expand=",".join(expanded(self._account.fields, "receipt")),
        )
        receipts = [self._account.take("receipt", item.row, ReceiptRow) for item in items]
        applications = await self._applications(receipts)
        transactions = {
            one.reference_transaction_id
            for rows in applications.values()
            for one in rows
            if one.reference_transaction_id is not None
        }
        known = await self._ours(transactions)
        with canonical(VENDOR):
            payments = tuple(
                invoices.to_payment(
                    self._account.binding, row, applications.get(row.standard_receipt_id, ()), invoices=known
                )
                for row in receipts
            )
        return Page(items=payments, next_cursor=following)

    async def _applications(self, receipts: Sequence[ReceiptRow]) -> Mapping[int, list[ApplicationRow]]:
        """Receipt → what it is applied to; Oracle shows applications beneath the customer's account."""
        by_customer: dict[str, set[int]] = {}
        for row in receipts:
            if row.customer_account_number:
                by_customer.setdefault(row.customer_account_number, set()).add(row.standard_receipt_id)
        accounts = [
            drift(VENDOR, AccountRow, row)
            for chunk in _chunks(sorted(by_customer))
            for row in await self._account.client.rows(
                "receivablesCustomerAccountActivities", q=f"AccountNumber in {listed(chunk)}", order="AccountId"
            )
        ]
        found = await asyncio.gather(
            *(
                self._account.client.rows(
                    f"receivablesCustomerAccountActivities/{account.account_id}/child/standardReceiptApplications",
                    q=f"StandardReceiptId in {listed(chunk)}",
                    order="ApplicationId",
                )
                for account in accounts
                for chunk in _chunks(sorted(by_customer.get(account.account_number, ())))
            )
        )
        applied: dict[int, list[ApplicationRow]] = {}
        for row in (row for rows in found for row in rows):
            one = self._account.take("application", row, ApplicationRow)
            applied.setdefault(one.standard_receipt_id, []).append(one)
        return applied

    async def _ours(self, transactions: Iterable[int]) -> dict[int, str]:
        """Transaction → our id, of invoices that carry one."""
        expand = ",".join(expanded(self._account.fields, "invoice"))
        found: dict[int, str] = {}
        for chunk in _chunks(sorted(transactions)):
            q = f"CustomerTransactionId in {listed(chunk)}"
            for item in await self._account.client.items(INVOICES, q=q, expand=expand, order="CustomerTransactionId"):
                row = self._row(item)
                if invoices.is_reference_of_ours(row) and row.cross_reference:
                    found[row.customer_transaction_id] = row.cross_reference
        return found


def _chunks(values: Sequence[object]) -> Iterable[Sequence[object]]:
    for at in range(0, len(values), _AT_ONCE):
        yield values[at : at + _AT_ONCE]
