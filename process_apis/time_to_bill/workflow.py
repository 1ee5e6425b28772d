"""Time to bill as a story: collect, rate, draft; then each invoice on its own way to posted, marked and told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from process_apis.durable import engine
from process_apis.time_to_bill import steps
from process_apis.time_to_bill.models import (
    BillingOutcome,
    BillWork,
    InvoiceOutcome,
    IssueInvoice,
)
from shared.errors.taxonomy import PlatformError

LONGEST_WAIT = 900.0
Result = TypeVar("Result")


@engine.workflow("bill-work")
async def bill_work(request: BillWork) -> BillingOutcome:
    """Turn approved, unbilled work into invoice drafts and send each on its way.

    Promise: every approved hour stands on exactly one invoice, or stays visible as unbilled with its reason.
    Stops for: nobody; each invoice waits for its own approval.
    Gives up when: a connected system refuses us for good; nothing is drafted then.
    """
    try:
        await steps.read_prices(request)
        collected = await steps.collect_work(request)
        await steps.rate_work(request)
        drafted = await steps.draft_invoices(request)
    except PlatformError as error:
        await steps.close_run(request, 0, f"{error.code}: {error.message}")
        raise
    for invoice_id in sorted({*drafted.invoice_ids, *drafted.undecided}):
        await engine.start(
            issue_invoice,
            f"issue-invoice:{request.tenant}:{invoice_id}",
            IssueInvoice(tenant=request.tenant, invoice_id=invoice_id, requested_by=request.requested_by),
        )
    await steps.close_run(request, len(drafted.invoice_ids), None)
    return BillingOutcome(collected=collected.rows, invoice_ids=drafted.invoice_ids)


@engine.workflow("issue-invoice")
async def issue_invoice(request: IssueInvoice) -> InvoiceOutcome:
    """Carry one draft through approval to the ERP, then tell PSA and CRM.

    Promise: posted at most once, under our id; what it bills is claimed before and marked after.
    Stops for: finance, to approve; and people, when the ERP refuses it.
    Gives up when: the draft is rejected; its work is ready for another draft then.
    """
    await steps.ask_for_approval(request)
    decision = await _decided(request)
    if decision != "approved":
        return await steps.release_draft(request, f"the approval was {decision}")
    posted = await _persisting(request, steps.post_invoice)
    await _persisting(request, steps.mark_billed)
    await _persisting(request, steps.tell_account_team)
    return posted


async def _decided(request: IssueInvoice) -> str:
    """Wait for finance; a lost notice only costs the pause."""
    pause = 30.0
    while True:
        await engine.wait_for("decision", seconds=pause)
        decision = await steps.read_decision(request)
        if decision != "open":
            return decision
        pause = min(pause * 2, LONGEST_WAIT)


async def _persisting(request: IssueInvoice, order: Callable[[IssueInvoice], Awaitable[Result]]) -> Result:
    """Give the order until it is done; where a system refuses, show the trouble and wait for somebody to say go on."""
    is_parked = False
    while True:
        try:
            result = await order(request)
            break
        except PlatformError as error:
            await steps.park_invoice(request, error.code, error.message)
        is_parked = True
        await engine.wait_for("wake", seconds=86_400.0)
        await steps.look_again(request)
    if is_parked:
        await steps.resolve_invoice(request)
    return result
