"""Contracts, invoices and payments in Tryton's words and ours; total functions without effects."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from shared.canonical.billing import ErpContract
from shared.canonical.invoices import Invoice, InvoiceDraft, InvoiceLine, InvoiceState, Payment, PaymentApplication
from shared.canonical.money import Money, minor_digits
from system_apis.connectors.tryton.mapping import known, to_money, to_version, unusable
from system_apis.connectors.tryton.payloads import InvoiceRecord, MoveLine
from system_apis.ports.binding import Binding

Body = dict[str, Any]
_STATES = {
    "draft": InvoiceState.PENDING_APPROVAL,
    "validated": InvoiceState.PENDING_APPROVAL,
    "posted": InvoiceState.OPEN,
    "paid": InvoiceState.PAID,
    "cancelled": InvoiceState.VOIDED,
}
_PRICE_DIGITS, _QUANTITY_DIGITS = 4, 4


def from_contract(
    contract: ErpContract,
    *,
    party: int,
    address: int,
    currency: int,
    term: int,
    products: Mapping[str, tuple[int, int]],
) -> Body:
    """The order of a contract; it bills and ships nothing. `products` maps item codes to (product, unit)."""
    lines: list[Body] = []
    for line in contract.lines:
        product, unit = products[line.item_code]
        lines.append(
            {
                "type": "line",
                "product": product,
                "unit": unit,
                "quantity": 1,
                "unit_price": line.amount.amount,
                "description": line.description,
                "note": {"workstream": line.workstream_id, "billing_model": line.billing_model.value},
            }
        )
    return {
        "party": party,
        "invoice_address": address,
        "shipment_address": address,
        "currency": currency,
        "payment_term": term,
        "sale_date": contract.starts_on,
        "reference": contract.purchase_order,
        "description": contract.reference,
        "invoice_method": "manual",
        "shipment_method": "manual",
        "comment": {
            "contract_id": contract.id,
            "contract": contract.reference,
            "project": contract.project_id,
            "rate_card": contract.rate_card_code,
            "cap": contract.cap.amount if contract.cap else None,
        },
        "lines": lines,
    }


def from_invoice(  # noqa: PLR0913 - keywords only, each an id that an invoice points at
    draft: InvoiceDraft,
    *,
    company: int,
    party: int,
    address: int,
    currency: int,
    account: int,
    journal: int,
    term: int,
    tax: tuple[int, int, str],
    products: Mapping[str, tuple[int, int, int]],
) -> Body:
    """The invoice with every amount explicit: `tax` (tax, account, name) is one line written by hand.

    `products` maps item codes to (product, unit, revenue account).
    """
    number, tax_account, name = tax
    taxes: list[Body] = []
    if draft.tax.amount:
        taxes.append(
            {
                "manual": True,
                "description": name,
                "account": tax_account,
                "tax": number,
                "base": draft.net.amount,
                "amount": draft.tax.amount,
            }
        )
    return {
        "type": "out",
        "company": company,
        "party": party,
        "invoice_address": address,
        "currency": currency,
        "account": account,
        "journal": journal,
        "payment_term": term,
        "invoice_date": draft.invoice_on,
        "reference": draft.id,
        "description": f"{draft.contract_reference} {draft.period}",
        "comment": {
            "period": draft.period,
            "contract": draft.contract_id,
            "contract_reference": draft.contract_reference,
            "project": draft.project_id,
            "customer": draft.customer_id,
            "po": draft.purchase_order,
        },
        "lines": [_line(line, company, currency, *products[line.item_code]) for line in draft.lines],
        "taxes": [["create", taxes]] if taxes else [],
    }


def _line(line: InvoiceLine, company: int, currency: int, product: int, unit: int, account: int) -> Body:
    quantity, price = amounts_of(line)
    return {
        "type": "line",
        "company": company,
        "currency": currency,
        "product": product,
        "unit": unit,
        "account": account,
        "quantity": quantity,
        "unit_price": price,
        "description": line.description,
        "note": {
            "line": line.id,
            "kind": line.kind.value,
            "workstream": line.workstream_id,
            "hours": f"{line.quantity:f}",
            "rate": f"{line.rate:f}",
        },
    }


def amounts_of(line: InvoiceLine) -> tuple[float, Decimal]:
    """Quantity and price of which Tryton makes exactly the line's net; else one at the whole net.

    Tryton multiplies and rounds half-even, we add rounded entries. A quantity is a float on its wire; one with at most
    four places is written and read without loss, and no amount is ever one.
    """
    places = Decimal(1).scaleb(-minor_digits(line.net.currency))
    made = (line.quantity * line.rate).quantize(places, ROUND_HALF_EVEN)
    fits = _fits(line.quantity, _QUANTITY_DIGITS) and _fits(line.rate, _PRICE_DIGITS)
    if fits and made == line.net.amount:
        return float(line.quantity), line.rate.quantize(
            Decimal(1).scaleb(-_PRICE_DIGITS)
        )  # zeros count as digits there
    return 1.0, line.net.amount


def _fits(number: Decimal, digits: int) -> bool:
    return number == number.quantize(Decimal(1).scaleb(-digits))


def to_invoice(binding: Binding, record: InvoiceRecord) -> Invoice:
    """An invoice; paid is what no longer is to be paid."""
    currency = known(record.currency.code, "currency.code")
    gross = to_money(record.total_amount, currency, "total_amount")
    unpaid = to_money(record.amount_to_pay, currency, "amount_to_pay")
    is_posted = record.state in {"posted", "paid"}
    paid = Money.of(gross.amount - unpaid.amount, currency) if is_posted else Money.zero(currency)
    state = _STATES.get(record.state)
    if state is None or record.invoice_date is None:
        raise unusable("state" if state is None else "invoice_date", f"{record.state!r} of invoice {record.id}")
    if record.state == "posted" and not unpaid.amount and record.reconciled:
        state = InvoiceState.PAID  # the server's worker has not yet turned the page
    at = record.last_modified_at
    ours = record.reference if record.comment.period and record.reference else None
    return Invoice(
        tenant=binding.tenant,
        id=ours or binding.identify("invoice", str(record.id)),
        source=binding.source(str(record.id), to_version(at, gross, paid, state), at),
        number=record.number,
        period=record.comment.period,
        customer_id=record.comment.customer or binding.identify("customer", str(record.party)),
        legal_entity_code=known(record.company.party.code, "company.party.code"),
        invoice_on=record.invoice_date,
        state=state,
        net=to_money(record.untaxed_amount, currency, "untaxed_amount"),
        tax=to_money(record.tax_amount, currency, "tax_amount"),
        gross=gross,
        paid=paid,
    )


def to_payment(binding: Binding, line: MoveLine, *, invoice_id: str, customer_id: str | None) -> Payment:
    """Money booked against one invoice, in the invoice's currency."""
    if line.second_currency and line.amount_second_currency is not None:
        amount, currency = abs(line.amount_second_currency), line.second_currency.code
    else:
        amount, currency = line.credit, line.company.currency.code
    money = to_money(amount, known(currency, "currency.code"), "credit")
    at, ref = line.last_modified_at, str(line.id)
    return Payment(
        tenant=binding.tenant,
        id=binding.identify("payment", ref),
        source=binding.source(ref, to_version(at, money), at),
        customer_id=customer_id,
        received_on=line.date,
        amount=money,
        applications=(PaymentApplication(invoice_id=invoice_id, invoice_ref=str(line.invoice_payment), amount=money),),
    )
