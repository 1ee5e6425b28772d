"""Invoices and payments in Oracle's words and back; total functions without effects, amounts to the last digit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal

from shared.canonical.invoices import Invoice, InvoiceDraft, InvoiceLine, InvoiceState, Payment, PaymentApplication
from shared.canonical.money import Money, rounded
from shared.errors.taxonomy import FieldFinding, VendorDrift
from system_apis.connectors.oracle_fusion.mapping import ZERO, Body, is_keepable, is_ours, keepable, to_version
from system_apis.connectors.oracle_fusion.payloads import (
    ApplicationRow,
    InstallmentRow,
    InvoiceRow,
    LineRow,
    ReceiptRow,
)
from system_apis.connectors.oracle_fusion.places import Entity, Party
from system_apis.ports.binding import Binding

COMPLETE, INCOMPLETE = "Complete", "Incomplete"
_LONGEST_LINE = 240
_UNDONE = frozenset({"Unapplied", "Reversed"})


def to_money(amount: Decimal, currency: str, field: str) -> Money:
    """An amount as answered; more digits than the currency knows are drift, never rounded away."""
    money = Money.of(amount, currency)
    if money.amount != amount:
        raise VendorDrift(
            f"oracle_fusion answers {field} {amount} {currency}: more digits than the currency knows",
            findings=[FieldFinding(field, "more digits than the currency knows")],
        )
    return money


def shares(total: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """The total in parts that go with the weights and add up to it exactly."""
    whole = sum(weights, ZERO)
    if not whole:
        return [total, *[ZERO] * (len(weights) - 1)]
    parts: list[Decimal] = []
    passed = given = ZERO
    for weight in weights:
        passed += weight
        upto = rounded(total * passed / whole, currency)
        parts.append(upto - given)
        given = upto
    return parts


def from_invoice(draft: InvoiceDraft, *, entity: Entity, party: Party, source: str, kind: str, terms: str) -> Body:
    """The header of an invoice, incomplete: nothing is due before its amounts were compared."""
    return {
        "CrossReference": keepable(draft.id),
        "TransactionSource": source,
        "TransactionType": kind,
        "BusinessUnit": entity.business_unit,
        "TransactionDate": draft.invoice_on,
        "AccountingDate": draft.invoice_on,
        "DueDate": draft.invoice_on + timedelta(days=draft.payment_terms_days),
        "PaymentTerms": terms,
        "BillToCustomerNumber": draft.customer_id,
        "BillToSite": party.sites[entity.customer_set],
        "InvoiceCurrencyCode": draft.currency,
        "PurchaseOrder": draft.purchase_order,
        "Comments": f"{draft.contract_reference} {draft.period}",
        "InvoiceStatus": INCOMPLETE,
        "receivablesInvoiceDFF": {
            "throughlineContract": draft.contract_id,
            "throughlineProject": draft.project_id,
            "throughlineCustomer": draft.customer_id,
            "throughlinePeriod": draft.period,
            "throughlineReference": draft.contract_reference,
        },
    }


def from_invoice_line(line: InvoiceLine, number: int, *, item_attribute: str) -> Body:
    """A line whose quantity times price is its net: hours and rate where that is so, else once the net.

    Oracle calculates the amount, and our nets are sums of rounded entries.
    """
    is_product = rounded(line.quantity * line.rate, line.net.currency) == line.net.amount
    quantity, price = (line.quantity, line.rate) if is_product else (Decimal(1), line.net.amount)
    told = "" if is_product else f" ({line.quantity.normalize():f} x {line.rate.normalize():f})"
    return {
        "LineNumber": number,
        "Description": line.description[: _LONGEST_LINE - len(told)] + told,
        "Quantity": quantity,
        "UnitSellingPrice": price,
        item_attribute: line.item_code,
        "receivablesInvoiceLineDFF": {
            "throughlineLine": line.id,
            "throughlineWorkstream": line.workstream_id,
            "throughlineHours": line.quantity,
            "throughlineRate": line.rate,
        },
    }


def from_tax(amount: Decimal, rate: Decimal, entity: Entity) -> Body:
    """A manual tax line: what we state is not calculated again; no tax is stated as well."""
    code = entity.tax_rate_code if rate else entity.zero_tax_rate_code
    return {"TaxRegimeCode": entity.tax_regime, "TaxRateCode": code, "TaxRate": rate * 100, "TaxAmount": amount}


def line_totals(lines: Sequence[LineRow]) -> tuple[Decimal, Decimal]:
    """Net and tax of an invoice's lines."""
    net = sum((line.line_amount for line in lines), ZERO)
    return net, sum((tax.tax_amount for line in lines for tax in line.taxes), ZERO)


def to_state(row: InvoiceRow, paid: Decimal, credited: Decimal) -> InvoiceState:
    """Where an invoice stands: credited wholly, settled, or open."""
    if row.invoice_status not in {COMPLETE, INCOMPLETE, "Closed"}:
        raise VendorDrift(
            f"oracle_fusion answers an unknown invoice status {row.invoice_status!r}",
            findings=[FieldFinding("InvoiceStatus", "not a known status")],
        )
    if row.invoice_status == INCOMPLETE:
        return InvoiceState.PENDING_APPROVAL
    gross = row.entered_amount
    if gross and credited and abs(credited) == abs(gross):
        return InvoiceState.VOIDED
    return InvoiceState.PAID if gross == paid + abs(credited) else InvoiceState.OPEN


def to_invoice(
    binding: Binding, row: InvoiceRow, installments: Sequence[InstallmentRow], *, legal_entity_code: str
) -> Invoice:
    """A completed invoice."""
    currency = row.invoice_currency_code
    gross = to_money(row.entered_amount, currency, "EnteredAmount")
    net = sum((one.installment_line_amount_original for one in installments), ZERO)
    tax = sum((one.installment_tax_amount_original for one in installments), ZERO)
    paid = sum((one.amount_paid for one in installments), ZERO)
    credited = sum((one.installment_amount_credited for one in installments), ZERO)
    state = to_state(row, paid, credited)
    own = row.segments
    is_from_us = is_reference_of_ours(row)
    version = to_version(row.last_update_date, gross, net, tax, paid, state)
    return Invoice(
        tenant=binding.tenant,
        id=row.cross_reference
        if is_from_us and row.cross_reference
        else binding.identify("invoice", str(row.customer_transaction_id)),
        source=binding.source(str(row.customer_transaction_id), version, row.last_update_date),
        number=row.transaction_number,
        period=own.period if own else None,
        customer_id=own.customer if own else None,
        legal_entity_code=legal_entity_code,
        invoice_on=row.transaction_date,
        state=state,
        net=to_money(net, currency, "InstallmentLineAmountOriginal"),
        tax=to_money(tax, currency, "InstallmentTaxAmountOriginal"),
        gross=gross,
        paid=to_money(paid, currency, "AmountPaid"),
    )


def is_reference_of_ours(row: InvoiceRow) -> bool:
    """Whether an invoice's reference is our id: we write a period with it."""
    return bool(row.segments and row.segments.period and row.cross_reference and is_keepable(row.cross_reference))


# --- payments ----------------------------------------------------------------------------------------------------
def to_payment(
    binding: Binding, row: ReceiptRow, applications: Sequence[ApplicationRow], *, invoices: Mapping[int, str]
) -> Payment:
    """A receipt with what it settles; `invoices` leads from transaction ids to our ids (absent: not one of ours)."""
    settled: dict[int, Decimal] = {}
    for one in applications:
        if one.reference_transaction_id is not None and one.application_status not in _UNDONE:
            held = settled.get(one.reference_transaction_id, ZERO)
            settled[one.reference_transaction_id] = held + one.application_amount
    lines = tuple(
        PaymentApplication(
            invoice_id=invoices.get(number) or binding.identify("invoice", str(number)),
            invoice_ref=str(number),
            amount=to_money(amount, row.currency, "ApplicationAmount"),
        )
        for number, amount in sorted(settled.items())
        if amount
    )
    shown = [(line.invoice_ref, line.amount) for line in lines]
    customer = row.customer_account_number
    return Payment(
        tenant=binding.tenant,
        id=binding.identify("payment", str(row.standard_receipt_id)),
        source=binding.source(
            str(row.standard_receipt_id), to_version(row.last_update_date, row.amount, *shown), row.last_update_date
        ),
        customer_id=customer if is_ours("customer", customer) else None,
        received_on=row.receipt_date,
        amount=to_money(row.amount, row.currency, "Amount"),
        applications=lines,
    )
