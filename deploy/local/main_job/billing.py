"""From hours to posted invoices: work is booked, billed, approved, and the wait for the ERP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from deploy.local.firm import Firm
from deploy.local.main_job.deals import Standing
from deploy.local.main_job.desk import Desk, Item
from deploy.local.main_job.progress import Display
from deploy.local.main_job.vendors import Vendors
from deploy.local.main_job.waiting import Patience, Stalled

_AT_WORK, _DRAFTED = "running", "drafted"


async def book_work(
    firm: Firm, vendors: Vendors, standing: Standing, display: Display, booked: frozenset[str]
) -> frozenset[str]:
    """Consultants book their hours on the projects that are new; the deals whose work is booked now."""
    seen = await vendors.salesforce.read_deals()
    new = {
        reference: str(seen[reference].project_ref)
        for reference, state in standing.states.items()
        if state == "activated" and reference not in booked
    }
    if missing := [reference for reference, workspace in new.items() if workspace == "None"]:
        raise Stalled(f"activated, but the CRM does not know the project: {', '.join(missing[:5])}")
    await vendors.book(firm, new, lambda done, total: display.show("hours and milestones booked", done, total))
    return booked | new.keys()


async def bill(desk: Desk, vendors: Vendors, display: Display) -> Sequence[Item]:
    """One billing run over everything, its invoices approved and posted, the PSA and CRM told; all invoices."""
    run_id = await desk.start_billing()
    patience = Patience("billing run", 90)
    while True:
        run = await desk.billing_run(run_id)
        display.show("work collected", int(run["collected"]), max(1, int(run["collected"])), str(run["state"]))
        await desk.approve_invoices()
        if run["state"] != _AT_WORK:
            break
        await patience.pause((run["state"], run["collected"], run["invoices"]), f"run {run_id} is {run['state']}")
    if run["state"] != _DRAFTED:
        raise Stalled(f"billing run {run_id} ended {run['state']}: {run.get('message')}")
    invoices = await _wait_until_posted(desk, display)
    await _wait_until_told(vendors, display, {str(invoice["id"]) for invoice in invoices})
    return invoices


async def _wait_until_posted(desk: Desk, display: Display) -> Sequence[Item]:
    patience = Patience("invoices", 90)
    while True:
        await desk.approve_invoices()
        invoices = await desk.invoices()
        posted = [invoice for invoice in invoices if _is_through(invoice)]
        display.show("invoices posted", len(posted), len(invoices))
        if len(posted) == len(invoices):
            return posted
        await patience.pause(len(posted), _told(invoices))


async def _wait_until_told(vendors: Vendors, display: Display, posted: set[str]) -> None:
    patience = Patience("PSA and CRM", 60)
    while True:
        marks, statuses = await asyncio.gather(
            vendors.kantata.read_invoices(), vendors.salesforce.read_invoice_statuses()
        )
        told = posted & {mark.invoice_id for mark in marks} & {status.invoice_id for status in statuses}
        display.show("PSA and CRM told", len(told), len(posted))
        if told == posted:
            return
        await patience.pause(len(told), f"{len(posted - told)} invoices are not marked or told yet")


def _is_through(invoice: Item) -> bool:
    return invoice["state"] == "posted"


def _told(invoices: Sequence[Item]) -> str:
    waiting = [f"{invoice['id']} {invoice['state']}" for invoice in invoices if not _is_through(invoice)]
    return f"{len(waiting)} of {len(invoices)} invoices are not posted: {', '.join(waiting[:5])}"
