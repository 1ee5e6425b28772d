"""Shapes projects and invoices for the customer they belong to; drafts, people, margins and findings stay inside."""

from __future__ import annotations

from typing import Final

from experience_apis.customer.models import CustomerInvoice, CustomerInvoiceLine, CustomerInvoiceView, CustomerProject
from experience_apis.desk.models import ShapedPage
from experience_apis.processes.models import Deal, Invoice, InvoiceDetail, InvoiceLine, ToldPage
from experience_apis.wording.catalog import Wording
from shared.canonical.money import Money
from shared.identity.principal import Principal

POSTED: Final = "posted"
TOLD_STATES: Final = frozenset({"provisioning", "activated"})


def is_theirs(deal: Deal, caller: Principal) -> bool:
    """Whether the deal is a project of the caller's."""
    return deal.state in TOLD_STATES and caller.sees_customer(deal.customer_id)


def is_sent(invoice: Invoice, caller: Principal) -> bool:
    """Whether the invoice is the caller's and has been sent."""
    return invoice.state == POSTED and caller.sees_customer(invoice.customer_id)


def customer_project(deal: Deal, words: Wording) -> CustomerProject:
    """One project."""
    return CustomerProject(
        id=deal.project_id,
        name=deal.name,
        customer_id=deal.customer_id,
        state=deal.state,
        state_label=words.say(f"deal_state.{deal.state}"),
        activated_at=deal.activated_at,
        message=words.say(f"project.{deal.state}"),
    )


def project_list(page: ToldPage[Deal], caller: Principal, words: Wording) -> ShapedPage[CustomerProject]:
    """Their projects; a deal that is not theirs is left out even if the process tier told it."""
    items = tuple(customer_project(deal, words) for deal in page.items if is_theirs(deal, caller))
    return ShapedPage(items=items, next_cursor=page.next_cursor, message=words.count("projects", len(items)))


def customer_invoice(invoice: Invoice, words: Wording) -> CustomerInvoice:
    """One invoice."""
    due = Money.of(invoice.gross.amount - invoice.paid.amount, invoice.gross.currency)
    is_settled = due.amount <= 0
    standing = "paid" if is_settled else "part_paid" if invoice.paid.amount else "open"
    return CustomerInvoice(
        id=invoice.id,
        number=invoice.erp_ref,
        contract_reference=invoice.contract_reference,
        project_id=invoice.project_id,
        period=invoice.period,
        invoice_on=invoice.invoice_on,
        net=invoice.net,
        tax=invoice.tax,
        gross=invoice.gross,
        paid=invoice.paid,
        due=due,
        is_settled=is_settled,
        message=words.say(f"customer_invoice.{standing}"),
    )


def invoice_list(page: ToldPage[Invoice], caller: Principal, words: Wording) -> ShapedPage[CustomerInvoice]:
    """Their invoices; one that is not theirs, or not sent, is left out even if the process tier told it."""
    items = tuple(customer_invoice(invoice, words) for invoice in page.items if is_sent(invoice, caller))
    return ShapedPage(items=items, next_cursor=page.next_cursor, message=words.count("invoices", len(items)))


def invoice_view(invoice: InvoiceDetail, words: Wording) -> CustomerInvoiceView:
    """One invoice with its lines."""
    return CustomerInvoiceView(
        **dict(customer_invoice(invoice, words)),
        posted_on=invoice.posted_at.date() if invoice.posted_at else None,
        lines=tuple(_line(line) for line in invoice.lines),
    )


def _line(line: InvoiceLine) -> CustomerInvoiceLine:
    return CustomerInvoiceLine(description=line.description, quantity=line.quantity, rate=line.rate, net=line.net)
