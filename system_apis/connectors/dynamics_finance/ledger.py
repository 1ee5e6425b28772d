"""The customers' accounts: posted invoices and payments in order of their last change, and what changed; reads only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from shared.canonical.invoices import Invoice, Payment
from shared.canonical.references import Page
from shared.errors.taxonomy import FieldFinding, OutcomeUnknown, VendorDrift
from shared.outbound import foreign_cursor, pack_cursor, unpack_cursor
from system_apis.connectors.dynamics_finance import mapping, receivables
from system_apis.connectors.dynamics_finance.client import FinanceClient
from system_apis.connectors.dynamics_finance.directory import Directory
from system_apis.connectors.dynamics_finance.documents import FREE_TEXT, PROPOSAL, Documents
from system_apis.connectors.dynamics_finance.options import Options
from system_apis.connectors.dynamics_finance.payloads import (
    CategoryRow,
    DocumentLineRow,
    DocumentRow,
    LegalEntityRow,
    PaymentLineRow,
    PriceRow,
    SettledRow,
    TotalRow,
    TransactionRow,
)
from system_apis.connectors.dynamics_finance.rows import VENDOR, chunks, member, total
from system_apis.dialects.odata import literal
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangedEntity, ChangeHint
from system_apis.ports.outcomes import canonical

OVERLAP: Final = timedelta(minutes=2)
LARGEST_PAGE: Final = 1_000
_REFERENCE: Final = {
    "legal_entity": ("legal_entity", LegalEntityRow),
    "service_item": ("service_item", CategoryRow),
    "rate_card": ("rate", PriceRow),
}
Place = tuple[str, str]
"""Company and invoice number."""


class Ledger:
    """Reads the accounts of all companies."""

    def __init__(
        self, binding: Binding, client: FinanceClient, directory: Directory, documents: Documents, options: Options
    ) -> None:
        self._binding = binding
        self._client = client
        self._directory = directory
        self._documents = documents
        self._options = options

    # --- one invoice -------------------------------------------------------------------------------------------------
    async def invoice(self, document: DocumentRow, lines: Sequence[DocumentLineRow]) -> Invoice:
        """A posted document as the invoice it is; `lines` are needed of proposals."""
        equal = {"company": document.company, "number": document.number}
        entry = await self._client.one("transaction", TransactionRow, equal)
        if entry is None:
            raise OutcomeUnknown(f"{VENDOR} posted {document.number} but the customer's account does not show it.")
        if self._documents.kind is PROPOSAL:
            tax = entry.amount - total(line.amount for line in lines)
        else:
            tax = (await self._tax(equal)).tax
        codes = await self._directory.codes()
        with canonical(VENDOR):
            return receivables.to_invoice(
                self._binding,
                entry,
                legal_entity=_known(codes, entry.company),
                document=document,
                tax=tax,
            )

    async def _tax(self, equal: Mapping[str, str]) -> TotalRow:
        found = await self._client.one("invoice_total", TotalRow, equal)
        if found is None:
            raise OutcomeUnknown(f"{VENDOR} posted {equal['number']} but does not show its totals.")
        return found

    # --- lists -------------------------------------------------------------------------------------------------------
    def _kinds(self) -> tuple[str, ...]:
        """Entries that are invoices whose tax can be told: of project invoices, only where we write proposals."""
        return ("Cust", "Sales") if self._documents.kind is FREE_TEXT else ("Cust", "Sales", "Project")

    async def _entries(
        self, kinds: Iterable[str], since: datetime | None, cursor: str | None, limit: int | None
    ) -> list[TransactionRow]:
        column = self._client.rows.column
        modified, record = column("transaction", "modified_at"), column("transaction", "record")
        kind = column("transaction", "kind")
        parts = ["(" + " or ".join(f"{kind} eq {member('LedgerTransType', one)}" for one in kinds) + ")"]
        if cursor:
            at, number = _place(cursor)
            parts.append(f"({modified} gt {at} or ({modified} eq {at} and {record} gt {number}))")
        elif since is not None:
            parts.append(f"{modified} ge {mapping.moment_text(since)}")
        order = f"{modified},{record}"
        return await self._client.select(
            "transaction", TransactionRow, where=" and ".join(parts), order=order, top=limit
        )

    async def list_invoices(self, since: datetime | None, cursor: str | None, limit: int) -> Page[Invoice]:
        """A page of invoices with what their documents say."""
        entries, following = await self._paged(self._kinds(), since, cursor, limit)
        entries = [entry for entry in entries if entry.number]
        texts = [entry for entry in entries if entry.kind != "Project"]
        found, taxes = await asyncio.gather(self._documents_of(entries), self._taxes(texts))
        documents, voided = found
        nets = await self._nets(documents, [entry for entry in entries if entry.kind == "Project"])
        codes = await self._directory.codes()
        with canonical(VENDOR):
            invoices = tuple(
                receivables.to_invoice(
                    self._binding,
                    entry,
                    legal_entity=codes[entry.company],
                    document=documents.get(_at(entry)),
                    tax=_tax_of(entry, taxes, nets),
                    is_voided=_at(entry) in voided or _corrects(documents.get(_at(entry))),
                )
                for entry in entries
                if entry.company in codes
            )
        return Page(items=invoices, next_cursor=following)

    async def _paged(
        self, kinds: Iterable[str], since: datetime | None, cursor: str | None, limit: int
    ) -> tuple[list[TransactionRow], str | None]:
        size = min(limit, LARGEST_PAGE)
        rows = await self._entries(kinds, since, cursor, size + 1)
        page = rows[:size]
        if len(rows) <= size:
            return page, None
        last = page[-1]
        return page, pack_cursor({"at": mapping.moment_text(last.modified_at), "id": last.record})

    async def _documents_of(self, entries: Sequence[TransactionRow]) -> tuple[dict[Place, DocumentRow], set[Place]]:
        """Documents by the numbers they were posted under, and the numbers that were taken back."""
        header, column = self._documents.kind.header, self._client.rows.column
        number, corrected = column(header, "number"), column(header, "corrected")
        asked = [
            self._client.select(
                header,
                DocumentRow,
                {"company": company},
                where="("
                + " or ".join(f"{field} eq {literal(one)}" for one in part for field in (number, corrected))
                + ")",
            )
            for company, numbers in _by_company(entries).items()
            for part in chunks(numbers, 20)
        ]
        rows = [row for rows in await asyncio.gather(*asked) for row in rows]
        voided = {(row.company, row.corrected) for row in rows if row.corrected and row.has_been_posted}
        return {(row.company, row.number): row for row in rows if row.number}, voided

    async def _taxes(self, entries: Sequence[TransactionRow]) -> dict[Place, Decimal]:
        asked = [
            self._client.select("invoice_total", TotalRow, {"company": company, "number": list(part)})
            for company, numbers in _by_company(entries).items()
            for part in chunks(numbers)
        ]
        return {(row.company, row.number): row.tax for rows in await asyncio.gather(*asked) for row in rows}

    async def _nets(
        self, documents: Mapping[Place, DocumentRow], entries: Sequence[TransactionRow]
    ) -> dict[Place, Decimal]:
        numbers = {(row.company, row.record): place for place, row in documents.items()}
        by_company: dict[str, list[str]] = {}
        for entry in entries:
            if document := documents.get(_at(entry)):
                by_company.setdefault(entry.company, []).append(document.record)
        asked = [
            self._client.select("proposal_line", DocumentLineRow, {"company": company, "document": list(part)})
            for company, records in by_company.items()
            for part in chunks(records)
        ]
        nets: dict[Place, Decimal] = {}
        for rows in await asyncio.gather(*asked):
            for line in rows:
                place = numbers[line.company, line.document]
                nets[place] = nets.get(place, Decimal(0)) + line.amount
        return nets

    async def list_payments(self, since: datetime | None, cursor: str | None, limit: int) -> Page[Payment]:
        """A page of payments with the invoices they settle."""
        entries, following = await self._paged(("Payment",), since, cursor, limit)
        settled, customers = await asyncio.gather(
            self._settled(entries), self._directory.customers((entry.company, entry.account) for entry in entries)
        )
        ours = await self._our_ids([place for places in settled.values() for place, _ in places])
        with canonical(VENDOR):
            payments = tuple(
                receivables.to_payment(
                    self._binding,
                    entry,
                    customer_id=customers.get((entry.company, entry.account)),
                    applications=[
                        (ours.get(place) or self._binding.identify("invoice", ":".join(place)), ":".join(place), amount)
                        for place, amount in settled.get((entry.company, entry.voucher), ())
                    ],
                )
                for entry in entries
            )
        return Page(items=payments, next_cursor=following)

    async def _settled(self, entries: Sequence[TransactionRow]) -> dict[Place, list[tuple[Place, Decimal]]]:
        """Voucher of a payment → invoices and amounts, from the payment lines' settlements or from their marks."""
        asked = [
            self._client.select("payment_line", PaymentLineRow, {"company": company, "voucher": list(part)})
            for company, vouchers in _by_company(entries, by_voucher=True).items()
            for part in chunks(vouchers)
        ]
        lines = {(line.company, line.voucher): line for rows in await asyncio.gather(*asked) for line in rows}
        if self._options.settlements == "payment_lines":
            return await self._settled_lines(lines)
        found: dict[Place, list[tuple[Place, Decimal]]] = {}
        for entry in entries:
            line = lines.get((entry.company, entry.voucher))
            if line is not None and line.marked_invoice and entry.settled:
                place = (line.marked_company or entry.company, line.marked_invoice)
                found[entry.company, entry.voucher] = [(place, -entry.settled)]
        return found

    async def _settled_lines(self, lines: Mapping[Place, PaymentLineRow]) -> dict[Place, list[tuple[Place, Decimal]]]:
        vouchers = {(line.company, line.journal, line.sequence): place for place, line in lines.items()}
        journals: dict[str, list[str]] = {}
        for line in lines.values():
            journals.setdefault(line.company, []).append(line.journal)
        asked = [
            self._client.select("settled_invoice", SettledRow, {"company": company, "journal": list(part)})
            for company, numbers in journals.items()
            for part in chunks(numbers)
        ]
        found: dict[Place, list[tuple[Place, Decimal]]] = {}
        for rows in await asyncio.gather(*asked):
            for row in rows:
                if voucher := vouchers.get((row.company, row.journal, row.sequence)):
                    found.setdefault(voucher, []).append(((row.invoice_company, row.number), row.amount))
        return found

    async def _our_ids(self, places: Sequence[Place]) -> dict[Place, str]:
        header = self._documents.kind.header
        by_company: dict[str, list[str]] = {}
        for company, number in places:
            by_company.setdefault(company, []).append(number)
        asked = [
            self._client.select(header, DocumentRow, {"company": company, "number": list(part)})
            for company, numbers in by_company.items()
            for part in chunks(numbers)
        ]
        return {
            (row.company, row.number): row.external_id
            for rows in await asyncio.gather(*asked)
            for row in rows
            if row.external_id and not row.corrected
        }

    # --- changes -----------------------------------------------------------------------------------------------------
    async def changes(self, since: datetime | None) -> Sequence[ChangeHint]:
        """Payments, invoices and reference data changed at or after the instant (less an overlap), oldest first."""
        start = since - OVERLAP if since else None
        found = await asyncio.gather(self._entry_hints(start), *(self._reference(kind, start) for kind in _REFERENCE))
        hints = [hint for group in found for hint in group]
        return sorted(hints, key=lambda hint: (hint.occurred_at.timestamp() if hint.occurred_at else 0.0, hint.key))

    async def _entry_hints(self, since: datetime | None) -> list[ChangeHint]:
        entries = await self._entries((*self._kinds(), "Payment"), since, None, None)
        return [hint for entry in entries if (hint := _hint(entry))]

    async def _reference(self, kind: str, since: datetime | None) -> list[ChangeHint]:
        entity, model = _REFERENCE[kind]
        if kind == "service_item" and self._options.service_items == "released_products":
            entity = "product"
            rows = [row for row in await self._directory.read_items() if since is None or row.modified_at >= since]
        else:
            modified = self._client.rows.column(entity, "modified_at")
            where = f"{modified} ge {mapping.moment_text(since)}" if since else ""
            rows = await self._client.select(entity, model, where=where)
        if not rows:
            return []
        latest = max(row.modified_at for row in rows)
        touched = sorted(row.etag for row in rows if row.modified_at == latest)
        version = mapping.to_version(mapping.moment_text(latest), *touched)
        return [ChangeHint("reference_data", kind, f"{kind}:{version}", latest)]


def _hint(entry: TransactionRow) -> ChangeHint | None:
    kind: ChangedEntity = "payment" if entry.kind == "Payment" else "invoice"
    number = entry.voucher if kind == "payment" else entry.number
    if not number:
        return None
    ref = f"{entry.company}:{number}"
    version = mapping.to_version(entry.etag, entry.amount, entry.settled)
    return ChangeHint(kind, ref, f"{kind}:{ref}:{version}", entry.modified_at)


def _at(entry: TransactionRow) -> Place:
    return (entry.company, entry.number)


def _corrects(document: DocumentRow | None) -> bool:
    return document is not None and bool(document.corrected)


def _tax_of(entry: TransactionRow, taxes: Mapping[Place, Decimal], nets: Mapping[Place, Decimal]) -> Decimal:
    place = _at(entry)
    if place in taxes:
        return taxes[place]
    if place in nets:
        return entry.amount - nets[place]
    raise VendorDrift(f"{VENDOR} shows no totals of invoice {entry.number}", findings=[FieldFinding("tax", "missing")])


def _by_company(entries: Iterable[TransactionRow], *, by_voucher: bool = False) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in entries:
        found.setdefault(entry.company, []).append(entry.voucher if by_voucher else entry.number)
    return found


def _known(codes: Mapping[str, str], company: str) -> str:
    if company not in codes:
        raise VendorDrift(f"{VENDOR} names company {company}, which carries no code of ours")
    return codes[company]


def _place(cursor: str) -> tuple[str, int]:
    state = unpack_cursor(cursor)
    try:
        return mapping.moment_text(datetime.fromisoformat(str(state["at"]))), int(str(state["id"]))
    except (KeyError, ValueError) as error:
        raise foreign_cursor() from error
