"""Shapes billing for the finance workbench: labels and sentences; every number comes from the process tier."""

from __future__ import annotations

from urllib.parse import urlencode

from experience_apis.desk.models import ShapedPage
from experience_apis.finance.models import (
    BillingRunCard,
    InvoiceCard,
    InvoiceLineRow,
    InvoiceView,
    RemedyOrder,
    RemedyResult,
    WorkRow,
    WorkSum,
)
from experience_apis.processes.models import (
    BillingRun,
    Invoice,
    InvoiceDetail,
    RemedyTaken,
    ToldPage,
    WorkItem,
    WorkStateSum,
)
from experience_apis.wording.catalog import Wording

ROWS = "/finance/v1/work-in-progress/rows"


def run_card(run: BillingRun, words: Wording) -> BillingRunCard:
    """A billing run."""
    return BillingRunCard(
        id=run.id,
        state=run.state,
        state_label=words.say(f"run_state.{run.state}"),
        requested_by=run.requested_by,
        requested_at=run.requested_at,
        finished_at=run.finished_at,
        through=run.through,
        contract_id=run.contract_id,
        collected=run.collected,
        invoices=run.invoices,
        message=_run_message(run, words),
    )


def run_page(page: ToldPage[BillingRun], words: Wording) -> ShapedPage[BillingRunCard]:
    """A list of billing runs."""
    items = tuple(run_card(run, words) for run in page.items)
    return ShapedPage(items=items, next_cursor=page.next_cursor, message=words.count("runs", len(items)))


def invoice_card(invoice: Invoice, words: Wording) -> InvoiceCard:
    """An invoice as a card."""
    title = f"{invoice.contract_reference} - {invoice.period}"
    return InvoiceCard(
        id=invoice.id,
        title=title if invoice.sequence == 1 else f"{title} ({invoice.sequence})",
        state=invoice.state,
        state_label=words.say(f"invoice_state.{invoice.state}"),
        customer=invoice.customer_name,
        deal_reference=invoice.opportunity_reference,
        contract_reference=invoice.contract_reference,
        opportunity_id=invoice.opportunity_id,
        project_id=invoice.project_id,
        legal_entity=invoice.legal_entity_code,
        period=invoice.period,
        invoice_on=invoice.invoice_on,
        net=invoice.net,
        tax=invoice.tax,
        gross=invoice.gross,
        paid=invoice.paid,
        time_entries=invoice.time_entries,
        milestones=invoice.milestones,
        erp_reference=invoice.erp_ref,
        approval_id=invoice.approval_id,
        requested_by=invoice.requested_by,
        message=_invoice_message(invoice, words),
    )


def invoice_view(invoice: InvoiceDetail, words: Wording) -> InvoiceView:
    """An invoice with its lines."""
    return InvoiceView(
        **dict(invoice_card(invoice, words)),
        drafted_at=invoice.drafted_at,
        approved_at=invoice.approved_at,
        posted_at=invoice.posted_at,
        lines=tuple(
            InvoiceLineRow(
                id=line.id,
                kind=line.kind,
                kind_label=words.say(f"work_kind.{line.kind}"),
                item_code=line.item_code,
                description=line.description,
                quantity=line.quantity,
                rate=line.rate,
                net=line.net,
                entries=line.entries,
            )
            for line in invoice.lines
        ),
    )


def invoice_page(page: ToldPage[Invoice], words: Wording) -> ShapedPage[InvoiceCard]:
    """A list of invoices."""
    items = tuple(invoice_card(invoice, words) for invoice in page.items)
    return ShapedPage(items=items, next_cursor=page.next_cursor, message=words.count("invoices", len(items)))


def work_sums(page: ToldPage[WorkStateSum], contract_id: str | None, words: Wording) -> ShapedPage[WorkSum]:
    """The ledger by kind and state, each with the way to its rows."""
    items = tuple(
        WorkSum(
            kind=row.kind,
            kind_label=words.say(f"work_kind.{row.kind}"),
            state=row.state,
            state_label=words.say(f"work_state.{row.state}"),
            entries=row.entries,
            hours=row.hours,
            rows=_rows(row.state, contract_id),
        )
        for row in page.items
    )
    return ShapedPage(
        items=items, next_cursor=page.next_cursor, message=words.say("work.some" if items else "work.none")
    )


def work_rows(page: ToldPage[WorkItem], words: Wording) -> ShapedPage[WorkRow]:
    """Entries of the ledger."""
    items = tuple(
        WorkRow(
            id=row.id,
            reference=row.reference,
            kind=row.kind,
            kind_label=words.say(f"work_kind.{row.kind}"),
            state=row.state,
            state_label=words.say(f"work_state.{row.state}"),
            project_id=row.project_id,
            contract_id=row.contract_id,
            invoice_id=row.invoice_id,
            work_on=row.work_on,
            hours=row.hours,
            role=row.role,
            rate=row.rate,
            amount=row.amount,
            message=row.reason or words.say(f"work_state.{row.state}"),
        )
        for row in page.items
    )
    return ShapedPage(items=items, next_cursor=page.next_cursor, message=words.count("work_rows", len(items)))


def remedy_result(order: RemedyOrder, taken: RemedyTaken, words: Wording) -> RemedyResult:
    """What a supplied mapping set in motion."""
    return RemedyResult(
        kind=order.kind, subject=order.subject, value=order.value, woken=taken.woken, message=words.say("remedy.kept")
    )


def _rows(state: str, contract_id: str | None) -> str:
    query = {"state": state} if contract_id is None else {"state": state, "contract_id": contract_id}
    return f"{ROWS}?{urlencode(query)}"


def _run_message(run: BillingRun, words: Wording) -> str:
    if run.state == "drafted":
        return words.count("run_drafted", run.invoices)
    return words.say(f"run.{run.state}", problem=run.message or "-")


def _invoice_message(invoice: Invoice, words: Wording) -> str:
    if invoice.problem:
        return words.say("invoice.stuck", problem=invoice.problem)
    if invoice.state == "posted" and invoice.paid.amount:
        is_paid = invoice.paid.amount >= invoice.gross.amount
        return words.say("invoice.paid" if is_paid else "invoice.part_paid")
    return words.say(f"invoice.{invoice.state}")
