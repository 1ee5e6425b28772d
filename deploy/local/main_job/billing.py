"""From hours to posted invoices: work is booked, billed, approved, and the wait for the ERP."""

from __future__ import annotations

from deploy.local.firm import Firm
from deploy.local.main_job.deals import Standing
from deploy.local.main_job.desk import Desk
from deploy.local.main_job.progress import Display
from deploy.local.main_job.vendors import Vendors
from deploy.local.main_job.waiting import Patience, Stalled

_AT_WORK, _DRAFTED = "running", "drafted"


async def book_work(
    firm: Firm, vendors: Vendors, standing: Standing, display: Display, booked: frozenset[str]
) -> frozenset[str]:
    """Consultants book their hours on the projects that are new; the deals whose work is booked now."""
    seen = await vendors.crm.read_deals()
    new = {
        reference: str(seen[reference].project_ref)
        for reference, state in standing.states.items()
        if state == "activated" and reference not in booked
    }
    if missing := [reference for reference, workspace in new.items() if workspace == "None"]:
        raise Stalled(f"activated, but the CRM does not know the project: {', '.join(missing[:5])}")
    await vendors.book(firm, new, lambda done, total: display.show("hours and milestones booked", done, total))
    return booked | new.keys()


async def bill(desk: Desk, vendors: Vendors, display: Display) -> None:
    """One billing run over everything, its invoices approved and posted, the PSA and CRM told."""
    before = len(await desk.invoices())
    run_id = await desk.start_billing()
    patience = Patience("billing run", 90)
    while True:
        run = await desk.billing_run(run_id)
        collected, state = int(run["collected"]), str(run["state"])
        display.show("work collected", collected, collected + 1 if state == _AT_WORK else collected, state)
        if run["state"] != _AT_WORK:
            break
        await patience.pause((run["state"], run["collected"], run["invoices"]), f"run {run_id} is {run['state']}")
    if run["state"] != _DRAFTED:
        raise Stalled(f"billing run {run_id} ended {run['state']}: {run.get('message')}")
    try:
        await _wait_until_posted(desk, vendors, display, before + int(run["invoices"]))
    except Stalled as stalled:
        reasons = "".join(f"\n  {reason}" for reason in (await desk.stuck_invoices())[:5])
        raise Stalled(f"{stalled}{reasons}") from None


async def _wait_until_posted(desk: Desk, vendors: Vendors, display: Display, total: int) -> None:
    """Until nothing is a draft any more and the account team sees every invoice; the PSA is marked before."""
    patience = Patience("invoices", 90)
    while True:
        await desk.approve_invoices()
        waiting = len(await desk.invoices("draft")) + len(await desk.invoices("approved"))
        told = len(await vendors.crm.read_invoice_statuses())
        display.show("invoices posted, PSA and CRM told", told, total)
        if not waiting:
            break
        await patience.pause((told, waiting), f"{waiting} invoices are not posted")
    posted = {str(invoice["id"]) for invoice in await desk.invoices("posted")}
    while True:
        seen = {status.invoice_id for status in await vendors.crm.read_invoice_statuses()}
        display.show("invoices posted, PSA and CRM told", len(posted & seen), len(posted))
        if posted <= seen:
            return
        await patience.pause(len(seen), f"{len(posted - seen)} invoices are not told to the CRM yet")
