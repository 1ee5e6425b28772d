"""What invoice-to-cash decides, as pure functions."""

from __future__ import annotations

from decimal import Decimal

from process_apis.invoice_to_cash.models import PaymentState
from shared.canonical.opportunities import InvoiceStage


def payment_state(gross: Decimal, paid: Decimal) -> PaymentState:
    """Paid when nothing is owed; an invoice over nothing is paid at once."""
    if paid >= gross:
        return PaymentState.PAID
    return PaymentState.PARTLY_PAID if paid > 0 else PaymentState.OPEN


def invoice_stage(state: PaymentState) -> InvoiceStage:
    """The same for the account team."""
    return {
        PaymentState.OPEN: InvoiceStage.POSTED,
        PaymentState.PARTLY_PAID: InvoiceStage.PARTLY_PAID,
        PaymentState.PAID: InvoiceStage.PAID,
    }[state]
