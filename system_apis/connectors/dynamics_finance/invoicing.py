"""From a draft to a posted invoice that is exactly the draft, once; what was posted otherwise is taken back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from shared.canonical.invoices import Invoice, InvoiceDraft
from shared.errors.taxonomy import OutcomeUnknown, PeriodClosed, VendorRejected
from system_apis.connectors.dynamics_finance import receivables
from system_apis.connectors.dynamics_finance.client import FinanceClient
from system_apis.connectors.dynamics_finance.documents import FREE_TEXT, Documents, figures, standing
from system_apis.connectors.dynamics_finance.ledger import Ledger
from system_apis.connectors.dynamics_finance.options import Options
from system_apis.connectors.dynamics_finance.payloads import DocumentLineRow, DocumentRow
from system_apis.connectors.dynamics_finance.rows import VENDOR
from system_apis.ports.outcomes import begun


class Invoicing:
    """Creates and finds invoices."""

    def __init__(self, client: FinanceClient, documents: Documents, ledger: Ledger, options: Options) -> None:
        self._client = client
        self._documents = documents
        self._ledger = ledger
        self._options = options

    async def find(self, invoice_id: str) -> Invoice | None:
        """The invoice posted under our id; a document that is not posted yet is none."""
        document = standing(await self._documents.held(invoice_id))
        return None if document is None or not document.has_been_posted else await self._shown(document)

    async def _shown(self, document: DocumentRow) -> Invoice:
        lines = () if self._documents.kind is FREE_TEXT else await self._documents.lines(document)
        return await self._ledger.invoice(document, lines)

    async def create(self, draft: InvoiceDraft) -> Invoice:
        """Look for our id, else write the document, compare it, post it, and compare the invoice.

        Whatever is not posted is taken away again when it cannot be; a document found unposted is finished.
        """
        await self._documents.demand()
        rows = await self._documents.held(draft.id)
        document = standing(rows)
        if document is not None and document.has_been_posted:
            return await self._recognised(document, rows, draft)
        if document is not None and self._is_drafted(await self._documents.lines(document), draft):
            return await self._post(document, draft)
        if document is not None:
            await self._documents.remove(document)
        written = await self._documents.compose(draft)
        with begun(VENDOR, f"the document of invoice {draft.id}"):
            document = await self._documents.put(written)
            lines = await self._documents.lines(document)
            if not self._is_drafted(lines, draft):
                await self._documents.remove(document)
                net, tax = figures(lines)
                raise VendorRejected(
                    f"{VENDOR} would invoice {net} and {tax} tax, not {draft.net.amount} and {draft.tax.amount}"
                )
        return await self._post(document, draft)

    def _is_drafted(self, lines: Sequence[DocumentLineRow], draft: InvoiceDraft) -> bool:
        net, tax = figures(lines)
        is_taxed = tax == draft.tax.amount if self._documents.kind is FREE_TEXT else True
        return len(lines) == len(draft.lines) and net == draft.net.amount and is_taxed

    async def _recognised(self, document: DocumentRow, rows: Sequence[DocumentRow], draft: InvoiceDraft) -> Invoice:
        invoice = await self._shown(document)
        differences = receivables.differences(invoice, draft)
        if not differences:
            return invoice
        if begun_back := next((row for row in rows if row.corrected == document.number), None):
            await self._client.post(self._documents.kind.posted_as, begun_back.company, begun_back.record)
            raise VendorRejected(f"{VENDOR} had posted {draft.id} otherwise; it was taken back: {differences}")
        raise VendorRejected(f"{VENDOR} holds another invoice under {draft.id}: {differences}")

    async def _post(self, document: DocumentRow, draft: InvoiceDraft) -> Invoice:
        with begun(VENDOR, f"the document of invoice {draft.id}"):
            if self._options.posting == "batch":
                await self._documents.ready(document)
                posted = await self._awaited(draft.id)
            else:
                try:
                    await self._client.post(self._documents.kind.posted_as, document.company, document.record)
                except (PeriodClosed, VendorRejected):
                    await self._documents.remove(document)
                    raise
                posted = standing(await self._documents.held(draft.id))
            if posted is None or not posted.has_been_posted:
                raise OutcomeUnknown(f"{VENDOR} holds the document of {draft.id}, but it is not posted yet.")
            invoice = await self._shown(posted)
            if differences := receivables.differences(invoice, draft):
                await self._take_back(posted, draft)
                raise VendorRejected(f"{VENDOR} posted otherwise, and it was taken back: {differences}")
            return invoice

    async def _awaited(self, invoice_id: str) -> DocumentRow | None:
        """What the batch made of the document, within the patience of the settings."""
        until = time.monotonic() + self._options.posting_wait
        while True:
            document = standing(await self._documents.held(invoice_id))
            if document is None or document.has_been_posted or time.monotonic() >= until:
                return document
            await asyncio.sleep(self._options.posting_poll)

    async def _take_back(self, document: DocumentRow, draft: InvoiceDraft) -> None:
        """A credit note over the whole; a voucher cannot be deleted."""
        credit = await self._documents.put(await self._documents.reversal(document, draft))
        if self._options.posting == "batch":
            await self._documents.ready(credit)
        else:
            await self._client.post(self._documents.kind.posted_as, credit.company, credit.record)
