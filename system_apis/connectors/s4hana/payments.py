"""Payments and pages of what changed: customer lines of the ledger, grouped by journal entry, with what they settle."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from shared.canonical.invoices import Invoice, Payment
from shared.canonical.references import Page
from shared.outbound import drift, foreign_cursor, pack_cursor, unpack_cursor
from system_apis.connectors.s4hana.client import BILLING, LEDGER, Query, S4Client, moment_literal, quoted
from system_apis.connectors.s4hana.directory import AT_ONCE, VENDOR, Directory, selected
from system_apis.connectors.s4hana.mapping import Cleared, to_payment
from system_apis.connectors.s4hana.payloads import InvoiceRow, LineRow
from system_apis.connectors.s4hana.receivables import PAYMENTS, Invoices
from system_apis.dialects.odata import any_of
from system_apis.fields import FieldMap
from system_apis.ports.binding import Binding
from system_apis.ports.outcomes import canonical

_ORDER = "LastChangeDateTime,CompanyCode,FiscalYear,AccountingDocument"
_NOTHING_CANCELLED = "CancelledBillingDocument eq ''"


class Place:
    """Where a list by change is read on: from the instant of the last row, skipping what was read of that instant.

    Instants are told to the millisecond and kept finer, so rows of the last millisecond are asked for again.
    """

    def __init__(self, since: datetime | None, cursor: str | None) -> None:
        """Raises InvalidRequest for a cursor that is none of ours."""
        self.at, self.skip = since, 0
        if cursor:
            state = unpack_cursor(cursor)
            try:
                self.at, self.skip = datetime.fromisoformat(str(state["at"])), int(state["skip"])
            except (KeyError, TypeError, ValueError) as error:
                raise foreign_cursor() from error

    def condition(self) -> str:
        """Rows that may still be wanted."""
        return "" if self.at is None else f" and LastChangeDateTime ge {moment_literal(instant(self.at))}"

    def following(self, read: Sequence[datetime]) -> str:
        """The cursor after these rows."""
        last = read[-1]
        of_last = sum(1 for one in read if one == last)
        again = self.skip if self.at == last else 0
        return pack_cursor({"at": last.isoformat(), "skip": of_last + again})


class Payments:
    """The port's lists by change."""

    def __init__(
        self, binding: Binding, client: S4Client, directory: Directory, fields: FieldMap, invoices: Invoices
    ) -> None:
        self._binding = binding
        self._client = client
        self._directory = directory
        self._fields = fields
        self._invoices = invoices

    async def invoices(self, since: datetime | None, cursor: str | None, limit: int) -> Page[Invoice]:
        """Billing documents by change; cancellations are told by the documents they cancel."""
        place, fields = Place(since, cursor), self._fields["invoice"]
        query = Query(
            where=_NOTHING_CANCELLED + place.condition(),
            select=selected(InvoiceRow, fields),
            order="LastChangeDateTime,BillingDocument",
            top=limit,
            skip=place.skip,
        )
        found, breaks_off = await self._client.page(BILLING, fields.object, query)
        rows = [drift(VENDOR, InvoiceRow, fields.take(row)) for row in found]
        following = (
            place.following([row.modified for row in rows]) if rows and (breaks_off or len(rows) >= limit) else None
        )
        return Page(items=tuple(await self._invoices.shown(rows)), next_cursor=following)

    async def payments(self, since: datetime | None, cursor: str | None, limit: int) -> Page[Payment]:
        """Journal entries of incoming money by change, each whole."""
        place, fields = Place(since, cursor), self._fields["payment"]
        query = Query(
            where=PAYMENTS + place.condition(),
            select=selected(LineRow, fields),
            order=_ORDER,
            top=limit,
            skip=place.skip,
        )
        found, breaks_off = await self._client.page(LEDGER, fields.object, query)
        read = [drift(VENDOR, LineRow, fields.take(row)) for row in found]
        if not read:
            return Page(items=())
        following = place.following([line.modified for line in read]) if breaks_off or len(read) >= limit else None
        entries = dict.fromkeys((line.company, line.fiscal_year, line.entry) for line in read)
        return Page(items=await self._whole(list(entries)), next_cursor=following)

    async def _whole(self, entries: Sequence[tuple[str, str, str]]) -> tuple[Payment, ...]:
        """Every line of these journal entries, the invoices they name, and those they cleared without naming them."""
        numbers = sorted({entry for _, _, entry in entries})
        lines: dict[tuple[str, str, str], list[LineRow]] = {entry: [] for entry in entries}
        for group in _groups(numbers):
            for line in await self._invoices.lines(any_of("AccountingDocument", group, 2)):
                key = (line.company, line.fiscal_year, line.entry)
                if key in lines:
                    lines[key].append(line)
        pointed = {line.invoice for group in lines.values() for line in group if line.invoice}
        invoices = await self._billed(sorted(pointed))
        silent = {key for key, group in lines.items() if any(line.invoice is None for line in group)}
        cleared = await self._cleared(silent, {key: lines[key] for key in silent})
        customers = await self._directory.customers(
            line.customer for group in lines.values() for line in group if line.customer
        )
        with canonical(VENDOR):
            return tuple(
                to_payment(self._binding, group, invoices=invoices, cleared=cleared.get(key, ()), customers=customers)
                for key, group in lines.items()
                if group
            )

    async def _billed(self, entries: Sequence[str]) -> dict[tuple[str, str], InvoiceRow]:
        """Billing documents by company code and journal entry."""
        found: dict[tuple[str, str], InvoiceRow] = {}
        for group in _groups(entries):
            where = f"{_NOTHING_CANCELLED} and {any_of('AccountingDocument', group, 2)}"
            for row in await self._invoices.rows(Query(where=where)):
                found[row.company, row.entry or ""] = row
        return found

    async def _cleared(
        self, keys: set[tuple[str, str, str]], lines: dict[tuple[str, str, str], list[LineRow]]
    ) -> dict[tuple[str, str, str], list[Cleared]]:
        """Invoices that a payment cleared without pointing at them, with what earlier payments had left open.

        Only what the payment's silent lines amount to is given out; the rest of them is unapplied cash.
        """
        if not keys:
            return {}
        taken: dict[tuple[str, str, str], list[Cleared]] = {}
        invoice_lines = await self._cleared_lines(sorted({entry for _, _, entry in keys}))
        invoices = await self._billed(sorted({line.entry for line in invoice_lines}))
        pointing = await self._pointing(sorted({line.entry for line in invoice_lines}))
        for key in keys:
            company, _, entry = key
            left = -sum((line.amount for line in lines[key] if line.invoice is None), Decimal(0))
            for line in invoice_lines:
                invoice = invoices.get((line.company, line.entry))
                if line.company != company or line.cleared_by != entry or invoice is None or left <= 0:
                    continue
                share = min(left, line.amount - pointing.get((line.company, line.entry), Decimal(0)))
                if share > 0:
                    taken.setdefault(key, []).append(Cleared(invoice, share))
                    left -= share
        return taken

    async def _cleared_lines(self, entries: Sequence[str]) -> list[LineRow]:
        fields = self._fields["payment"]
        found: list[LineRow] = []
        for group in _groups(entries):
            where = (
                f"Ledger eq '0L' and FinancialAccountType eq 'D' and ReferenceDocumentType eq {quoted('VBRK')} "
                f"and IsReversed eq false and {any_of('ClearingAccountingDocument', group, 2)}"
            )
            query = Query(where=where, select=selected(LineRow, fields), order="AccountingDocument")
            rows = await self._client.rows(LEDGER, fields.object, query)
            found += [drift(VENDOR, LineRow, fields.take(row)) for row in rows]
        return found

    async def _pointing(self, entries: Sequence[str]) -> dict[tuple[str, str], Decimal]:
        """What payments that name these invoices have taken off them."""
        sums: dict[tuple[str, str], Decimal] = {}
        for group in _groups(entries):
            for line in await self._invoices.lines(any_of("InvoiceReference", group, 2)):
                key = (line.company, line.invoice or "")
                sums[key] = sums.get(key, Decimal(0)) - line.amount
        return sums


def instant(moment: datetime) -> str:
    """An instant as filters write it, to the millisecond below."""
    told = moment.astimezone(UTC)
    return f"{told:%Y-%m-%dT%H:%M:%S}.{told.microsecond // 1000:03d}Z"


def _groups(values: Sequence[str]) -> list[Sequence[str]]:
    return [values[at : at + AT_ONCE] for at in range(0, len(values), AT_ONCE)]
