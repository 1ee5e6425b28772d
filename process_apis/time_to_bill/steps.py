"""The only hands of time-to-bill: each step is an order a manager would give, and may be given twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from process_apis.approvals.models import ApprovalKind, ApprovalRequest
from process_apis.durable import engine
from process_apis.exceptions.models import Finding, OwnerRole, Parking
from process_apis.journal.models import Entry
from process_apis.rooms import rooms
from process_apis.time_to_bill.draft_store import DraftStore
from process_apis.time_to_bill.invoice_store import InvoiceStore, approval_id
from process_apis.time_to_bill.ledger_store import LedgerStore
from process_apis.time_to_bill.models import (
    BilledInvoice,
    BilledInvoiceState,
    BillWork,
    Collected,
    Drafted,
    InvoiceOutcome,
    IssueInvoice,
    WorkKind,
    WorkRow,
)
from process_apis.time_to_bill.terms_store import TermsStore
from process_apis.time_to_bill.work_store import WorkStore
from shared.canonical.events import Event, InvoicePosted, event_type, fact_id
from shared.canonical.money import Money
from shared.canonical.opportunities import InvoiceStage, InvoiceStatus
from shared.canonical.references import Page, canonical_id
from shared.canonical.time import Expense, MilestoneCompletion, TimeEntry

PROCESS = "time-to-bill"
OVERLAP = timedelta(minutes=2)
PAGE = 1000
Row = TypeVar("Row", TimeEntry, Expense, MilestoneCompletion)


@engine.step("read prices and tax", lane="erp")
async def read_prices(request: BillWork) -> None:
    """Bring rates, tax rates and customers' countries up to date, and adopt newly activated deals."""
    house = rooms()
    systems, terms = house.systems.of(request.tenant), TermsStore(house.database)
    await terms.keep_rates(request.tenant, await systems.erp.list_rate_cards())
    await terms.keep_entities(request.tenant, await systems.erp.list_legal_entities(now=True))
    await WorkStore(house.database).adopt_activated(request.tenant)
    since = await terms.watermark(request.tenant, "customers")
    cursor: str | None = None
    while True:
        page = await systems.crm.list_customers(
            modified_since=since - OVERLAP if since else None, cursor=cursor, limit=PAGE
        )
        await terms.keep_customers(request.tenant, page.items)
        if moments := [one.source.modified_at for one in page.items if one.source.modified_at]:
            await terms.advance(request.tenant, "customers", max(moments))
        cursor = page.next_cursor
        if cursor is None:
            break


@engine.step("collect work", lane="psa")
async def collect_work(request: BillWork) -> Collected:
    """Take in everything the PSA recorded since the watermarks, page by page; a repeat reads on where it stood."""
    psa = rooms().systems.of(request.tenant).psa
    total = await _collect(request, WorkKind.MILESTONE, psa.list_milestones, _milestone_row)
    total += await _collect(request, WorkKind.EXPENSE, psa.list_expenses, _expense_row)
    total += await _collect(request, WorkKind.TIME, psa.list_time_entries, _time_row, so_far=total)
    return Collected(rows=total)


@engine.step("rate work")
async def rate_work(request: BillWork) -> int:
    """Give every unbilled ledger row its state, rate and amount."""
    return await LedgerStore(rooms().database).rate(request.tenant, request.contract_id)


@engine.step("draft invoices")
async def draft_invoices(request: BillWork) -> Drafted:
    """Group ready work into invoices, one per contract and month, and claim it for them."""
    house = rooms()
    drafts = DraftStore(house.database)
    made = await drafts.draft(
        request.tenant, request.run_id, request.requested_by, request.through, request.contract_id
    )
    return Drafted(invoice_ids=tuple(made), undecided=tuple(await drafts.list_undecided(request.tenant)))


@engine.step("close the run")
async def close_run(request: BillWork, invoices: int, failed: str | None) -> None:
    """Tell whoever watches the run how it ended."""
    await WorkStore(rooms().database).finish(request.tenant, request.run_id, invoices=invoices, failed=failed)


@engine.step("ask for approval")
async def ask_for_approval(request: IssueInvoice) -> None:
    """Lay the draft before finance, with everything the approver sees kept as evidence."""
    house = rooms()
    invoice = await InvoiceStore(house.database).get(request.tenant, request.invoice_id)
    async with house.database.transaction() as connection:
        await house.approvals.request(
            connection,
            ApprovalRequest(
                tenant=request.tenant,
                id=approval_id(invoice.id),
                kind=ApprovalKind.INVOICE,
                group_id=invoice.id,
                subject_id=invoice.opportunity_id,
                run_id=engine.run_id(),
                topic="decision",
                title=f"Invoice {invoice.contract_reference} {invoice.period} for {invoice.customer_name}",
                requested_by=invoice.requested_by,
                amount=invoice.gross,
                snapshot=invoice.model_dump(mode="json"),
            ),
        )


@engine.step("read the decision")
async def read_decision(request: IssueInvoice) -> str:
    """`open`, `approved`, or what else became of the approval."""
    house = rooms()
    async with house.database.transaction() as connection:
        standing = await house.approvals.standing(connection, request.tenant, [approval_id(request.invoice_id)])
    return str(standing[0].state) if standing else "open"


@engine.step("release the draft")
async def release_draft(request: IssueInvoice, reason: str) -> InvoiceOutcome:
    """Undo of drafting: the work is ready for another draft."""
    house = rooms()
    store = InvoiceStore(house.database)
    invoice = await store.get(request.tenant, request.invoice_id)
    async with house.database.transaction() as connection:
        await store.reject(connection, request.tenant, request.invoice_id, reason)
        await house.journal.write(connection, _entry(request, invoice, "released", f"Draft released: {reason}"))
    return InvoiceOutcome(invoice_id=invoice.id, state=BilledInvoiceState.REJECTED)


@engine.step("post the invoice", lane="erp")
async def post_invoice(request: IssueInvoice) -> InvoiceOutcome:
    """Post the approved draft in the ERP under our id; then its work is billed and the fact told, in one transaction.

    Repeat: the ERP answers with the invoice already posted, and what was recorded stays.
    """
    house = rooms()
    store = InvoiceStore(house.database)
    await store.approve(request.tenant, request.invoice_id)
    draft = await store.draft_of(request.tenant, request.invoice_id)
    posted = await house.systems.of(request.tenant).erp.create_invoice(draft)
    async with house.database.transaction() as connection:
        invoice = await store.get_within(connection, request.tenant, request.invoice_id)
        if await store.post(connection, request.tenant, invoice.id, posted.source.system, posted.source.ref):
            await house.events.append(connection, [_posted(request.tenant, invoice)])
        sentence = f"Finance approved and the ERP posted the invoice of {invoice.period} over {invoice.gross}"
        await house.journal.write(
            connection, _entry(request, invoice, "posted", sentence, posted.source.system, posted.source.ref)
        )
    return InvoiceOutcome(invoice_id=invoice.id, state=BilledInvoiceState.POSTED, erp_ref=posted.source.ref)


@engine.step("mark as billed", lane="psa")
async def mark_billed(request: IssueInvoice) -> None:
    """Tell the PSA which of its records stand on the invoice. Repeat: recognised by the invoice id."""
    house = rooms()
    store = InvoiceStore(house.database)
    mark = await store.mark_of(request.tenant, request.invoice_id)
    written = await house.systems.of(request.tenant).psa.mark_billed(mark)
    async with house.database.transaction() as connection:
        invoice = await store.get_within(connection, request.tenant, request.invoice_id)
        await store.note(connection, request.tenant, request.invoice_id, marked=True)
        sentence = (
            f"Marked {len(mark.time_entry_refs)} time entries and {len(mark.milestone_refs)} milestones as billed"
        )
        await house.journal.write(
            connection, _entry(request, invoice, "marked", sentence, written.source.system, written.source.ref)
        )


@engine.step("tell the account team", lane="crm")
async def tell_account_team(request: IssueInvoice) -> None:
    """Write the invoice's status to the CRM. Repeat: the same values again.

    A payment may come in while the status is being told; whoever tells last tells the latest.
    """
    house = rooms()
    store = InvoiceStore(house.database)
    crm = house.systems.of(request.tenant).crm
    told: Money | None = None
    while True:
        async with house.database.transaction() as connection:
            invoice = await store.get_within(connection, request.tenant, request.invoice_id)
            if invoice.paid == told:
                await store.note(connection, request.tenant, invoice.id, told=True)
                return
        status = InvoiceStatus(
            invoice_ref=invoice.erp_ref or invoice.id,
            period=invoice.period,
            stage=_stage(invoice),
            gross=invoice.gross,
            paid=invoice.paid,
        )
        await crm.amend_invoice_status(invoice.opportunity_id, invoice.id, status)
        told = invoice.paid


@engine.step("park the invoice")
async def park_invoice(request: IssueInvoice, code: str, message: str) -> None:
    """Show people what keeps the invoice from going on; the run waits for them."""
    house = rooms()
    store = InvoiceStore(house.database)
    invoice = await store.get(request.tenant, request.invoice_id)
    await store.note_problem(request.tenant, invoice.id, message)
    remedy = "Correct the cause in the connected system, then retry this item."
    finding = Finding(code=code, field="invoice", reason=message, owner=OwnerRole.FINANCE, remedy=remedy)
    async with house.database.transaction() as connection:
        await house.exceptions.park(
            connection,
            Parking(
                tenant=request.tenant,
                process=PROCESS,
                subject_id=invoice.opportunity_id,
                run_id=engine.run_id(),
                topic="wake",
                title=f"Invoice {invoice.contract_reference} {invoice.period} cannot go on",
                findings=(finding,),
            ),
        )


@engine.step("look again at the parked invoice")
async def look_again(request: IssueInvoice) -> None:
    """Somebody asked to go on: what they asked for is being done."""
    house = rooms()
    async with house.database.transaction() as connection:
        await house.exceptions.checking(connection, request.tenant, engine.run_id())


@engine.step("resolve the parked invoice")
async def resolve_invoice(request: IssueInvoice) -> None:
    """The cause is gone."""
    house = rooms()
    await InvoiceStore(house.database).note_problem(request.tenant, request.invoice_id, None)
    async with house.database.transaction() as connection:
        await house.exceptions.resolve(
            connection, request.tenant, engine.run_id(), how="The connected system took the invoice."
        )


def _posted(tenant: str, invoice: BilledInvoice) -> Event:
    body = InvoicePosted(
        invoice_id=invoice.id,
        contract_id=invoice.contract_id,
        period=invoice.period,
        gross=invoice.gross,
        customer_id=invoice.customer_id,
    )
    kind = event_type(body)
    return Event(
        id=fact_id(kind, tenant, invoice.id),
        source="/process/time-to-bill",
        type=kind,
        subject=invoice.id,
        time=datetime.now(UTC),
        tenant=tenant,
        data=body.model_dump(mode="json"),
    )


def _stage(invoice: BilledInvoice) -> InvoiceStage:
    if invoice.paid.amount >= invoice.gross.amount:
        return InvoiceStage.PAID
    return InvoiceStage.PARTLY_PAID if invoice.paid.amount > 0 else InvoiceStage.POSTED


def _entry(
    request: IssueInvoice,
    invoice: BilledInvoice,
    step: str,
    sentence: str,
    system: str | None = None,
    ref: str | None = None,
) -> Entry:
    return Entry(
        tenant=request.tenant,
        subject_id=invoice.opportunity_id,
        run_id=engine.run_id(),
        step=f"{step}-{invoice.id}",
        sentence=f"{sentence}.",
        system=system,
        ref=ref,
        amount=invoice.gross,
    )


async def _pages(listed: Callable[..., Awaitable[Page[Row]]], since: datetime | None) -> AsyncIterator[Page[Row]]:
    cursor: str | None = None
    while True:
        page = await listed(modified_since=since, cursor=cursor, limit=PAGE)
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return


async def _collect(
    request: BillWork,
    kind: WorkKind,
    listed: Callable[..., Awaitable[Page[Row]]],
    row_of: Callable[[Row], WorkRow],
    *,
    so_far: int = 0,
) -> int:
    house = rooms()
    ledger, terms, runs = LedgerStore(house.database), TermsStore(house.database), WorkStore(house.database)
    since = await terms.watermark(request.tenant, kind)
    count = 0
    async for page in _pages(listed, since - OVERLAP if since else None):
        await ledger.take_in(request.tenant, [row_of(item) for item in page.items])
        count += len(page.items)
        await runs.report(request.tenant, request.run_id, collected=so_far + count)
        if moments := [item.source.modified_at for item in page.items if item.source.modified_at]:
            await terms.advance(request.tenant, kind, max(moments))
    return count


def _time_row(entry: TimeEntry) -> WorkRow:
    return WorkRow(
        system=entry.source.system,
        kind=WorkKind.TIME,
        source_ref=entry.source.ref,
        version=entry.source.version,
        entry_id=entry.id,
        reference=entry.reference,
        project_id=entry.project_id,
        workstream_id=entry.workstream_id,
        resource_id=entry.resource_id,
        role=entry.role,
        work_on=entry.work_on,
        hours=entry.hours,
        is_billable=entry.is_billable,
        is_approved=entry.is_approved,
        is_billed_in_source=entry.is_billed,
    )


def _expense_row(expense: Expense) -> WorkRow:
    return WorkRow(
        system=expense.source.system,
        kind=WorkKind.EXPENSE,
        source_ref=expense.source.ref,
        version=expense.source.version,
        entry_id=expense.id,
        reference=expense.reference,
        project_id=expense.project_id,
        resource_id=expense.resource_id,
        work_on=expense.spent_on,
        source_amount=expense.amount.amount,
        source_currency=expense.amount.currency,
        is_billable=expense.is_billable,
        is_approved=expense.is_approved,
        is_billed_in_source=expense.is_billed,
    )


def _milestone_row(completion: MilestoneCompletion) -> WorkRow:
    return WorkRow(
        system=completion.source.system,
        kind=WorkKind.MILESTONE,
        source_ref=completion.source.ref,
        version=completion.source.version,
        entry_id=canonical_id("milestone", completion.tenant, "completion", completion.milestone_id),
        reference=completion.reference,
        project_id=completion.project_id,
        milestone_id=completion.milestone_id,
        work_on=completion.completed_on,
        is_billable=True,
        is_approved=completion.is_approved,
        is_billed_in_source=completion.is_billed,
    )
