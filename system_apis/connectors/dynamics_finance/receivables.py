"""Between drafts, invoices and payments and the product's documents and entries: total functions, no wire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal

from shared.canonical.invoices import Invoice, InvoiceDraft, InvoiceLine, InvoiceState, Payment, PaymentApplication
from shared.canonical.money import Money, minor_digits, rounded
from system_apis.connectors.dynamics_finance.mapping import LONG, SHORT, Values, to_money, to_version
from system_apis.connectors.dynamics_finance.payloads import DocumentRow, TransactionRow
from system_apis.ports.binding import Binding
from system_apis.ports.outcomes import departures


def shares(tax: Money, nets: Sequence[Money]) -> list[Decimal]:
    """The tax of an invoice spread over its lines by their nets, to the minor unit; the shares add up to it exactly.

    Cut off, then the units that are missing go to the lines that lost most.
    """
    step = Decimal(1).scaleb(-minor_digits(tax.currency))
    whole = sum((net.amount for net in nets), Decimal(0))
    if not whole:
        return [tax.amount, *[Decimal(0)] * (len(nets) - 1)]
    exact = [tax.amount * net.amount / whole for net in nets]
    cut = [amount.quantize(step, rounding=ROUND_DOWN) for amount in exact]
    missing = tax.amount - sum(cut, Decimal(0))
    unit = step if missing > 0 else -step
    order = sorted(range(len(nets)), key=lambda at: (exact[at] - cut[at]) * (1 if missing > 0 else -1), reverse=True)
    for turn in range(int(abs(missing) / step)):
        cut[order[turn % len(order)]] += unit
    return cut


def due_on(draft: InvoiceDraft) -> date:
    """The last day of payment."""
    return draft.invoice_on + timedelta(days=draft.payment_terms_days)


def from_draft(draft: InvoiceDraft) -> Values:
    """What both kinds of document carry."""
    return {
        "external_id": draft.id,
        "contract_id": draft.contract_id,
        "project_id": draft.project_id,
        "customer_id": draft.customer_id,
        "period": draft.period,
        "invoice_on": draft.invoice_on,
        "due_on": due_on(draft),
        "currency": draft.currency,
        "text": f"{draft.contract_reference} {draft.period}"[:100],
    }


def from_line(line: InvoiceLine, *, is_priced: bool) -> Values:
    """What a line of both kinds of document carries.

    `is_priced`: the product computes quantity times price, so the agreed net stands as the price of one.
    """
    figures = f"{line.description} ({line.quantity.normalize():f} x {line.rate:f})"
    return {
        "line_id": line.id,
        "workstream_id": line.workstream_id or "",
        "name": line.description[:SHORT],
        "text": (figures if is_priced else line.description)[:LONG],
        "quantity": Decimal(1) if is_priced else line.quantity,
        "price": line.net.amount if is_priced else line.rate,
        "amount": line.net.amount,
    }


def to_invoice(
    binding: Binding,
    entry: TransactionRow,
    *,
    legal_entity: str,
    document: DocumentRow | None,
    tax: Decimal,
    is_voided: bool = False,
) -> Invoice:
    """An invoice from its entry in the customer's account and its document (none: not made by us)."""
    ref, currency = f"{entry.company}:{entry.number}", entry.currency
    return Invoice(
        tenant=binding.tenant,
        id=(document.external_id if document and not is_voided else "") or binding.identify("invoice", ref),
        source=binding.source(
            ref, to_version(entry.etag, entry.amount, tax, entry.settled, is_voided), entry.modified_at
        ),
        number=entry.number,
        period=(document.period if document else "") or None,
        customer_id=(document.customer_id if document else "") or None,
        legal_entity_code=legal_entity,
        invoice_on=document.invoice_on if document else entry.booked_on,
        state=_state(entry, is_voided=is_voided),
        net=to_money(entry.amount - tax, currency, "TotalTaxAmount"),
        tax=to_money(tax, currency, "TotalTaxAmount"),
        gross=to_money(entry.amount, currency, "AmountCur"),
        paid=to_money(entry.settled, currency, "SettleAmountCur"),
    )


def _state(entry: TransactionRow, *, is_voided: bool) -> InvoiceState:
    if is_voided:
        return InvoiceState.VOIDED
    return InvoiceState.PAID if entry.amount and entry.settled == entry.amount else InvoiceState.OPEN


def to_payment(
    binding: Binding,
    entry: TransactionRow,
    *,
    customer_id: str | None,
    applications: Sequence[tuple[str, str, Decimal]],
) -> Payment:
    """A payment; an application is (our invoice id, the invoice's ref, amount)."""
    shown = [(ref, amount) for _, ref, amount in applications]
    return Payment(
        tenant=binding.tenant,
        id=binding.identify("payment", f"{entry.company}:{entry.voucher}"),
        source=binding.source(
            f"{entry.company}:{entry.voucher}", to_version(entry.etag, entry.amount, *shown), entry.modified_at
        ),
        customer_id=customer_id,
        received_on=entry.booked_on,
        amount=to_money(-entry.amount, entry.currency, "AmountCur"),
        applications=tuple(
            PaymentApplication(
                invoice_id=invoice, invoice_ref=ref, amount=to_money(amount, entry.currency, "SettlementAmount")
            )
            for invoice, ref, amount in applications
        ),
    )


def differences(invoice: Invoice, draft: InvoiceDraft) -> str:
    """Where an invoice departs from its draft; empty when it does not."""
    return departures(invoice, draft, ("day", invoice.invoice_on, draft.invoice_on))


def expected_tax(draft: InvoiceDraft) -> Decimal:
    """The tax that a tax code of the draft's rate computes on its net."""
    return rounded(draft.net.amount * draft.tax_rate, draft.currency)
