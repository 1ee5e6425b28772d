"""Invoice to cash as a story: a payment settles what it names, and the account team hears of it."""

from __future__ import annotations

from process_apis.durable import engine
from process_apis.invoice_to_cash import steps
from process_apis.invoice_to_cash.models import ApplyPayment, CollectOutcome, CollectPayments, Settled
from shared.errors.taxonomy import PlatformError


@engine.workflow("apply-payment")
async def apply_payment(request: ApplyPayment) -> Settled:
    """Settle our invoices with one version of one payment.

    Promise: a payment counts once, however often it is told; a corrected payment replaces its earlier version.
    Stops for: a person, when the CRM refuses the status; our books are settled then.
    Gives up when: never.
    """
    is_parked = False
    while True:
        try:
            settled = await steps.settle_invoices(request)
            await steps.tell_account_team(request, settled)
            break
        except PlatformError as error:
            await steps.park_payment(request, error.code, error.message)
        is_parked = True
        await engine.wait_for("wake", seconds=86_400.0)
        await steps.look_again(request)
    if is_parked:
        await steps.resolve_payment(request)
    return settled


@engine.workflow("collect-payments")
async def collect_payments(request: CollectPayments) -> CollectOutcome:
    """Ask the ERP for payments since the watermark; each becomes an event and is applied on its own."""
    return await steps.read_payments(request)
