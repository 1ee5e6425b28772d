"""Invoices: a debit memo request and the billing document made of it; taken back when it departs from its draft."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import cast

from shared.canonical.invoices import Invoice, InvoiceDraft, InvoiceState
from shared.errors.taxonomy import OutcomeUnknown, PeriodClosed, VendorDrift, VendorRejected
from shared.outbound import drift
from system_apis.connectors.s4hana import bodies
from system_apis.connectors.s4hana.client import (
    BILLING,
    LEDGER,
    MAKING,
    REQUESTS,
    Change,
    Json,
    Query,
    etag,
    nested,
    path_of,
    quoted,
)
from system_apis.connectors.s4hana.directory import AT_ONCE, VENDOR, kept_id, selected
from system_apis.connectors.s4hana.mapping import (
    CLEARED,
    is_keepable,
    is_keepable_object,
    to_invoice,
)
from system_apis.connectors.s4hana.payloads import InvoiceRow, LineRow, MadeRow, RequestItemRow, RequestRow
from system_apis.connectors.s4hana.writing import Desk
from system_apis.dialects.odata import any_of
from system_apis.ports.outcomes import begun, canonical, departures, reading_back

_ACTION = f"{MAKING}/BillingDocument/SAP__self.CreateFromSDDocument"
_REJECTED = "C"
_PERIOD = "F5/201"


class Invoices(Desk):
    """The port's invoice methods."""

    async def create(self, draft: InvoiceDraft) -> Invoice:
        """Look for our id, else bill a request once and compare; what came out otherwise is cancelled and rejected."""
        kept_id(draft.id, is_good=is_keepable(draft.id))
        for line in draft.lines:
            if line.workstream_id:
                kept_id(line.workstream_id, is_good=is_keepable_object(line.workstream_id))
        async with self._writers.of(draft.id):
            if held := await self.find(draft.id):
                if wrong := _differences(held, draft):
                    raise VendorRejected(f"{VENDOR} holds another invoice under {draft.id}: {wrong}")
                return held
            request = await self._request(draft)
            with begun(VENDOR, f"the request of invoice {draft.id}"):
                return await self._bill(draft, request)

    async def _request(self, draft: InvoiceDraft) -> RequestRow:
        """The open request under our id, as an earlier attempt left it, or a new one; free of any block."""
        held = await self._open_request(draft.id)
        if held is not None:
            row, request = held
            if request.net == draft.net.amount:
                return await self._unblocked(row, request)
            await self._reject(draft.id)
        at = await self._directory.organisation(draft.legal_entity_code)
        customer = (await self._directory.partner(draft.customer_id)).partner
        body = bodies.from_invoice(draft, customer, at, self._fields, self._settings)
        made = await self._client.create(REQUESTS, "A_DebitMemoRequest", body)
        with begun(VENDOR, f"the request of invoice {draft.id}"):
            return await self._unblocked(made, drift(VENDOR, RequestRow, made))

    async def _open_request(self, invoice_id: str) -> tuple[Json, RequestRow] | None:
        for row in await self._requests(invoice_id, ()):
            request = drift(VENDOR, RequestRow, row)
            if request.rejection != _REJECTED:
                return row, request
        return None

    async def _requests(self, invoice_id: str, expand: Sequence[str]) -> list[Json]:
        where = f"{self._fields['invoice_request'].column('YY1_TLInvoice_SDH')} eq {quoted(invoice_id)}"
        query = Query(where=where, order="DebitMemoRequest", expand=expand)
        return await self._client.rows(REQUESTS, "A_DebitMemoRequest", query)

    async def _unblocked(self, row: Json, request: RequestRow) -> RequestRow:
        """Where requests are born with a billing block, ours is lifted: the approval was given on our side."""
        if request.block:
            path = path_of("A_DebitMemoRequest", request.request)
            await self._client.change(REQUESTS, path, {"HeaderBillingBlockReason": ""}, etag(row))
        return request

    async def _bill(self, draft: InvoiceDraft, request: RequestRow) -> Invoice:
        day = draft.invoice_on.isoformat()
        reference = {
            "SDDocument": request.request,
            "BillingDocumentType": self._settings.billing_type,
            "BillingDocumentDate": day,
        }
        control = {
            "DefaultBillingDocumentDate": day,
            "DefaultBillingDocumentType": self._settings.billing_type,
            "AutomPostingToAcctgIsDisabled": False,
        }
        made = await self._client.act(_ACTION, {"_Control": control, "_Reference": [reference]})
        if len(made) != 1:
            raise OutcomeUnknown(f"{VENDOR} made {len(made)} billing documents of one request.")
        number = _made(made[0])
        with begun(VENDOR, f"invoice {draft.id}"):
            with reading_back(VENDOR, f"invoice {draft.id}"):
                row = await self._read_back(number)
                posted = await self._shown(row, Decimal(0))
            if row.posting != CLEARED:
                await self._cancel(number)
                raise _unposted(made[0], number)
            if wrong := _differences(posted, draft):
                await self._cancel(number)
                await self._reject(draft.id)
                raise VendorRejected(f"{VENDOR} billed otherwise and the invoice was cancelled again: {wrong}")
            return posted

    async def _read_back(self, number: str) -> InvoiceRow:
        fields = self._fields["invoice"]
        row = await self._client.find(BILLING, fields.object, number, Query(select=selected(InvoiceRow, fields)))
        if row is None:
            raise OutcomeUnknown(f"{VENDOR} made billing document {number} but does not have it.")
        return drift(VENDOR, InvoiceRow, fields.take(row))

    async def _cancel(self, number: str) -> None:
        await self._client.call(BILLING, "Cancel", BillingDocument=number)

    async def _reject(self, invoice_id: str) -> None:
        """Every item of our open requests: nobody bills them again."""
        for row in await self._requests(invoice_id, ("to_Item",)):
            request = drift(VENDOR, RequestRow, row)
            if request.rejection == _REJECTED:
                continue
            key = {"DebitMemoRequest": request.request}
            items = [drift(VENDOR, RequestItemRow, one).item for one in nested(row, "to_Item")]
            body = {"SalesDocumentRjcnReason": self._settings.rejection_reason}
            paths = [path_of("A_DebitMemoRequestItem", key | {"DebitMemoRequestItem": item}) for item in items]
            await self._client.change_set(REQUESTS, [Change("PATCH", path, body) for path in paths])

    # --- reading -------------------------------------------------------------------------------------------------
    async def find(self, invoice_id: str) -> Invoice | None:
        """By our id; one that finance cancelled is voided, one that we took back ourselves was never there."""
        if not is_keepable(invoice_id):
            return None
        fields = self._fields["invoice"]
        ours = f"{fields.column('YY1_TLInvoice_BDH')} eq {quoted(invoice_id)}"
        where = f"{ours} and CancelledBillingDocument eq ''"
        rows = await self.rows(Query(where=where, order="BillingDocument desc"))
        standing = [row for row in rows if not row.is_cancelled]
        if not standing:
            voided = [row for row in rows if row.entry]
            if not voided or await self._open_request(invoice_id) is None:
                return None
            standing = voided
        paid = await self.paid(standing[:1])
        return await self._shown(standing[0], paid[standing[0].document])

    async def rows(self, query: Query) -> list[InvoiceRow]:
        """Billing documents, every page."""
        fields = self._fields["invoice"]
        asked = Query(query.where, selected(InvoiceRow, fields), (), query.order, query.top, query.skip)
        found = await self._client.rows(BILLING, fields.object, asked)
        return [drift(VENDOR, InvoiceRow, fields.take(row)) for row in found]

    async def shown(self, rows: Sequence[InvoiceRow]) -> list[Invoice]:
        """Billing documents of our legal entities in our words, with what was paid on them."""
        known = [row for row in rows if await self._directory.code_of(row.company, row.sales_organization)]
        paid = await self.paid(known)
        return [await self._shown(row, paid[row.document]) for row in known]

    async def _shown(self, row: InvoiceRow, paid: Decimal) -> Invoice:
        code = await self._directory.code_of(row.company, row.sales_organization)
        if code is None:
            raise VendorDrift(f"{VENDOR} billed from company code {row.company}, which no legal entity names")
        with canonical(VENDOR):
            return to_invoice(self._binding, row, legal_entity=code, paid=paid)

    async def paid(self, rows: Sequence[InvoiceRow]) -> dict[str, Decimal]:
        """What payments have taken off each billing document: all of it once it is cleared, else what points at it."""
        paid = {row.document: row.gross if row.clearing == CLEARED else Decimal(0) for row in rows}
        waiting = {
            (row.company, row.entry): row.document
            for row in rows
            if row.entry and row.clearing != CLEARED and not row.is_cancelled
        }
        entries = sorted({entry for _, entry in waiting})
        groups = [entries[at : at + AT_ONCE] for at in range(0, len(entries), AT_ONCE)]
        for lines in await asyncio.gather(*(self.lines(any_of("InvoiceReference", group, 2)) for group in groups)):
            for line in lines:
                document = waiting.get((line.company, line.invoice or ""))
                if document is not None:
                    paid[document] -= line.amount
        return paid

    async def lines(self, where: str, order: str = "") -> list[LineRow]:
        """Lines of incoming payments on customers' accounts."""
        fields = self._fields["payment"]
        query = Query(where=f"{PAYMENTS} and {where}", select=selected(LineRow, fields), order=order)
        found = await self._client.rows(LEDGER, fields.object, query)
        return [drift(VENDOR, LineRow, fields.take(row)) for row in found]


PAYMENTS = (
    "Ledger eq '0L' and AccountingDocumentType eq 'DZ' and FinancialAccountType eq 'D' "
    "and IsReversed eq false and IsReversal eq false"
)
"""Lines of the leading ledger that customers' money is booked by."""


def _made(row: Json) -> str:
    """The number of a billing document that was just made; unreadable, it is there all the same."""
    try:
        return drift(VENDOR, MadeRow, row).document
    except VendorDrift as error:
        raise OutcomeUnknown(f"{VENDOR} made an invoice and did not name it.", detail=error.message) from error


def _unposted(made: Json, number: str) -> VendorRejected | PeriodClosed:
    """Why a billing document did not reach the ledger, as its messages tell."""
    messages = cast("list[Json]", made.get("SAP__Messages") or [])
    said = "; ".join(str(one.get("message")) for one in messages)[:300]
    sentence = (
        f"{VENDOR} did not post billing document {number}, which was cancelled again: {said or 'no reason given'}"
    )
    return PeriodClosed(sentence) if any(one.get("code") == _PERIOD for one in messages) else VendorRejected(sentence)


def _differences(invoice: Invoice, draft: InvoiceDraft) -> str:
    """Where an invoice departs from its draft; empty when it does not."""
    return departures(
        invoice,
        draft,
        ("date", invoice.invoice_on, draft.invoice_on),
        ("state", "voided" if invoice.state is InvoiceState.VOIDED else "standing", "standing"),
    )
