"""Invoices and payments in NetSuite: posted once and compared to the cent, read by change."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from shared.canonical.invoices import Invoice, InvoiceDraft, Payment
from shared.canonical.references import Page
from shared.errors.taxonomy import VendorRejected
from system_apis.connectors.netsuite import bodies, mapping
from system_apis.connectors.netsuite.bodies import TaxIds
from system_apis.connectors.netsuite.changes import changed_page
from system_apis.connectors.netsuite.desk import Desk
from system_apis.connectors.netsuite.directory import external_id
from system_apis.connectors.netsuite.door import VENDOR
from system_apis.connectors.netsuite.payloads import InvoiceRecord, PaymentRecord
from system_apis.ports.binding import Binding
from system_apis.ports.outcomes import begun, canonical, departures, reading_back

_OURS = ("period", "customer_id")
_READ = ("number", "legal_entity", "currency", "invoice_on", "state", "tax", "gross", "paid", *_OURS)
"""What is read of an invoice. Its members are asked for by name: one that is gone is then refused, not left out."""


class Receivables:
    """The account's invoices and payments."""

    def __init__(self, binding: Binding, desk: Desk, zone: ZoneInfo, taxes: TaxIds | None) -> None:
        """`taxes`: what tax details are booked under, where the account has SuiteTax."""
        self._binding = binding
        self._desk = desk
        self._client = desk.client
        self._directory = desk.directory
        self._zone = zone
        self._taxes = taxes
        self._places = desk.fields["invoice"]
        read = (self._places.path(name).partition(".")[0] for name in _READ)
        self._members = ",".join(dict.fromkeys(("id", "externalId", "lastModifiedDate", *read)))

    async def create_invoice(self, draft: InvoiceDraft) -> Invoice:
        """Look for our id, else post once and compare; an invoice that came out otherwise is deleted again."""
        key = external_id(draft.id)
        async with self._desk.writers.of(draft.id):
            if held := await self.find_invoice(draft.id):
                if differences := departures(held, draft):
                    raise VendorRejected(f"netsuite holds another invoice under {draft.id}: {differences}")
                return held
            parties = await self._desk.parties(
                draft.customer_id, draft.project_id, draft.legal_entity_code, draft.currency
            )
            body = bodies.from_invoice(
                draft,
                parties,
                self._desk.fields,
                items=await self._directory.items(line.item_code for line in draft.lines),
                term=await self._directory.term(draft.payment_terms_days),
                taxes=self._taxes,
            )
            await self._client.put("invoice", key, body, repeatable=False, lines=len(draft.lines))
            with begun(VENDOR, f"invoice {draft.id}"):
                with reading_back(VENDOR, f"invoice {draft.id}"):
                    record = await self._desk.read_back(
                        "invoice", key, InvoiceRecord, fields=self._places, only=self._members
                    )
                    posted = (await self._invoices([record]))[0]
                if differences := departures(posted, draft):
                    await self._client.delete("invoice", record.id)
                    raise VendorRejected(f"netsuite posted otherwise and the invoice was deleted again: {differences}")
                return posted

    async def find_invoice(self, invoice_id: str) -> Invoice | None:
        """By our id."""
        record = await self._desk.held("invoice", invoice_id, InvoiceRecord, self._places, self._members)
        return None if record is None else (await self._invoices([record]))[0]

    async def list_invoices(self, since: datetime | None, cursor: str | None, limit: int) -> Page[Invoice]:
        """Invoices by change: ids by SuiteQL, then their records in batches."""
        needed = [self._places.path(name).partition(".")[0].lower() for name in _OURS]
        rows, following = await changed_page(self._client, "CustInvc", since, cursor, limit, self._zone, needed=needed)
        found = await self._client.batch("invoice", [row.id for row in rows], InvoiceRecord, fields=self._places)
        by_id = {record.id: record for record in found}
        records = [by_id[row.id] for row in rows if row.id in by_id]
        return Page(items=tuple(await self._invoices(records)), next_cursor=following)

    async def list_payments(self, since: datetime | None, cursor: str | None, limit: int) -> Page[Payment]:
        """Payments by change, each with what it is applied to."""
        rows, following = await changed_page(self._client, "CustPymt", since, cursor, limit, self._zone)
        records = await self._payments([row.id for row in rows])
        documents = {line.doc.id for record in records for line in record.apply.items or () if line.apply}
        period = self._places.path("period").lower()
        invoices, customers, (_, currencies) = await asyncio.gather(
            self._directory.ours("transaction", documents, and_only=f"{period} IS NOT NULL"),
            self._directory.ours("customer", (record.customer.id for record in records)),
            self._directory.codes(subsidiaries=(), currencies=[record.currency.id for record in records]),
        )
        with canonical(VENDOR):
            payments = tuple(
                mapping.to_payment(self._binding, record, invoices=invoices, customers=customers, currencies=currencies)
                for record in records
            )
        return Page(items=payments, next_cursor=following)

    async def _payments(self, ids: Sequence[str]) -> list[PaymentRecord]:
        """Payments in batches; where a batch does not bring the lines, one by one."""
        places = self._desk.fields["payment"]
        found = await self._client.batch("customerPayment", ids, PaymentRecord, expands=True, fields=places)
        by_id = {record.id: record for record in found}
        bare = [record.id for record in found if record.apply.items is None]
        for record in await asyncio.gather(
            *(self._client.find("customerPayment", one, PaymentRecord, expands=True, fields=places) for one in bare)
        ):
            if record is not None:
                by_id[record.id] = record
        return [by_id[one] for one in ids if one in by_id]

    async def _invoices(self, records: Sequence[InvoiceRecord]) -> list[Invoice]:
        entities, currencies = await self._directory.codes(
            subsidiaries=[record.subsidiary.id for record in records],
            currencies=[record.currency.id for record in records],
        )
        with canonical(VENDOR):
            return [
                mapping.to_invoice(self._binding, record, legal_entities=entities, currencies=currencies)
                for record in records
            ]
