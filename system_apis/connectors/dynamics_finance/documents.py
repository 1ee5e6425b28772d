"""The two kinds of document an invoice draft can become, each a header with lines; nothing is posted here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from shared.canonical.invoices import InvoiceDraft
from shared.errors.taxonomy import Misconfigured, VendorRejected
from system_apis.connectors.dynamics_finance import receivables
from system_apis.connectors.dynamics_finance.client import Change, FinanceClient
from system_apis.connectors.dynamics_finance.directory import Directory
from system_apis.connectors.dynamics_finance.mapping import Values, to_number
from system_apis.connectors.dynamics_finance.options import Options
from system_apis.connectors.dynamics_finance.payloads import DocumentLineRow, DocumentRow, FundingSourceRow
from system_apis.connectors.dynamics_finance.rows import VENDOR, total


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of document: its entities in `fields.yaml`, and what the posting service calls it."""

    header: str
    line: str
    posted_as: str


FREE_TEXT: Final = Kind("invoice", "invoice_line", "FreeTextInvoice")
PROPOSAL: Final = Kind("proposal", "proposal_line", "ProjectInvoiceProposal")


@dataclass(frozen=True, slots=True)
class Written:
    """A document before it is in the product: header and lines."""

    header: Values
    lines: Sequence[Values]


class Documents:
    """Reads and writes documents of the kind that the options name."""

    def __init__(self, client: FinanceClient, directory: Directory, options: Options) -> None:
        self._client = client
        self._directory = directory
        self._options = options
        self.kind = PROPOSAL if options.invoice_by == "project_proposal" else FREE_TEXT
        self._is_known = False

    async def demand(self) -> None:
        """Whether the environment has the documents we are to write. Raises Misconfigured."""
        if self._is_known:
            return
        name = self._client.rows.set_of(self.kind.header)
        if f'<EntitySet Name="{name}"'.encode() not in await self._client.model():
            raise Misconfigured(f"{VENDOR} has no entity set {name}; setting invoice_by asks for it")
        self._is_known = True

    async def held(self, invoice_id: str) -> list[DocumentRow]:
        """Every document under our id: an unfinished one, the invoice, and what was taken back."""
        return await self._client.select(self.kind.header, DocumentRow, {"external_id": invoice_id})

    def _record(self, document: DocumentRow) -> str | int:
        """Free text invoices are known by a record id, proposals by a number."""
        return document.record if self.kind is PROPOSAL else int(document.record)

    async def lines(self, document: DocumentRow) -> list[DocumentLineRow]:
        """The lines of a document."""
        equal = {"company": document.company, "document": self._record(document)}
        return await self._client.select(self.kind.line, DocumentLineRow, equal)

    async def remove(self, document: DocumentRow) -> None:
        """Take an unposted document away, with its lines."""
        key = {"company": document.company, "record": self._record(document)}
        await self._client.amend(self.kind.header, Change(key, None, document.etag))

    async def ready(self, document: DocumentRow) -> None:
        """Tell the posting batch that the document is whole."""
        key = {"company": document.company, "record": self._record(document)}
        await self._client.amend(self.kind.header, Change(key, {"is_ready": True}, "*"))

    async def put(self, written: Written) -> DocumentRow:
        """Header, then all its lines; a header whose lines are refused is taken away again."""
        document = await self._client.create(self.kind.header, DocumentRow, written.header)
        place = {"company": document.company, "document": self._record(document)}
        try:
            await self._client.change_set(self.kind.line, [{**place, **line} for line in written.lines])
        except VendorRejected:
            await self.remove(document)
            raise
        return document

    async def compose(self, draft: InvoiceDraft) -> Written:
        """A draft as a document. Raises UnknownReference, NotFound."""
        company = await self._directory.company(draft.legal_entity_code)
        account = await self._directory.account(company, draft.customer_id)
        project = await self._directory.project(draft.project_id)
        tax_group = await self._directory.tax_group(company, draft.tax_rate if draft.tax.amount else Decimal(0))
        items = await self._directory.items(company, (line.item_code for line in draft.lines))
        taxes = receivables.shares(draft.tax, [line.net for line in draft.lines])
        is_priced = self._options.line_amounts == "priced"
        lines: list[Values] = []
        for sequence, (line, tax) in enumerate(zip(draft.lines, taxes, strict=True), 1):
            item, category = items[line.item_code]
            values = receivables.from_line(line, is_priced=is_priced) | {
                "sequence": Decimal(sequence),
                "project": to_number(line.workstream_id) if line.workstream_id else project.number,
                "tax_group": tax_group,
                "item_tax_group": item.tax_group,
            }
            if self.kind is FREE_TEXT:
                values |= {
                    "account": item.revenue_account,
                    "category": category,
                    "is_tax_given": True,
                    "tax": tax,
                }
            lines.append(values)
        header: Values = {"company": company, **receivables.from_draft(draft)}
        if self.kind is FREE_TEXT:
            header |= {
                "account": account,
                "terms": await self._directory.term(company, draft.payment_terms_days),
                "purchase_order": draft.purchase_order or "",
                "is_correction": False,
            }
            return Written(header, lines)
        self._demand_computable(draft)
        source = await self._client.one(
            "funding_source", FundingSourceRow, {"company": company, "contract": project.contract}
        )
        header |= {"contract": project.contract, "funding_source": source.number if source else account}
        if draft.purchase_order:
            header["text"] = f"{header['text']} {draft.purchase_order}"
        return Written(header, lines)

    @staticmethod
    def _demand_computable(draft: InvoiceDraft) -> None:
        """Proposals take no given tax: what their tax codes compute must be the draft's tax."""
        if (expected := receivables.expected_tax(draft)) != draft.tax.amount:
            raise VendorRejected(
                f"{VENDOR} computes the tax of a project invoice itself: {expected}, not {draft.tax.amount}"
            )

    async def reversal(self, document: DocumentRow, draft: InvoiceDraft) -> Written:
        """The document that takes a posted one back: the same lines with the opposite sign."""
        whole = await self.compose(draft)
        posted = {line.line_id: line for line in await self.lines(document)}
        header = {**whole.header, "corrected": document.number}
        if self.kind is FREE_TEXT:
            header["is_correction"] = True
        lines: list[Values] = []
        for line in whole.lines:
            amount = -posted[line["line_id"]].amount if line["line_id"] in posted else -line["amount"]
            opposite = {**line, "quantity": Decimal(-1), "price": -amount, "amount": amount}
            if "tax" in line:
                opposite["tax"] = -line["tax"]
            lines.append(opposite)
        return Written(header, lines)


def figures(lines: Sequence[DocumentLineRow]) -> tuple[Decimal, Decimal]:
    """Net and given tax of a document's lines."""
    return total(line.amount for line in lines), total(line.tax or Decimal(0) for line in lines)


def standing(rows: Sequence[DocumentRow]) -> DocumentRow | None:
    """The document that counts: not one that takes another back, and not one that was taken back."""
    gone = {row.corrected for row in rows if row.corrected and row.has_been_posted}
    kept = [row for row in rows if not row.corrected and not (row.number and row.number in gone)]
    return next((row for row in kept if row.has_been_posted), None) or next(iter(kept), None)
