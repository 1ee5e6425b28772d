"""Opportunities and their orders in our words; total functions without effects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shared.canonical.contracts import Contract, ContractApproval, ContractMilestone
from shared.canonical.money import Money
from shared.canonical.opportunities import (
    BillingModel,
    DeliveryStatus,
    InvoiceStatus,
    Opportunity,
    OpportunityLine,
)
from system_apis.connectors.tryton.mapping import Body, customer_id, known, to_money, to_version, unusable
from system_apis.connectors.tryton.payloads import Deal, Sale, SaleLine
from system_apis.ports.binding import Binding

WON = "won"
_LINE, _COMMENT = "line", "comment"
_SIGNED = frozenset({"confirmed", "processing", "done"})


def to_opportunity(
    binding: Binding, deal: Deal, sales: Sequence[Sale], lines: Sequence[SaleLine], changed_at: datetime
) -> Opportunity:
    """The deal with the lines of its orders."""
    ref = str(deal.id)
    if deal.party is None or deal.amount is None:
        raise unusable("party" if deal.party is None else "amount", f"opportunity {ref} has none")
    sold = [_line(line) for line in lines if line.type == _LINE]
    closed_on = next((sale.sale_date for sale in sales if sale.sale_date), deal.end_date)
    return Opportunity(
        tenant=binding.tenant,
        id=binding.identify("opportunity", ref),
        source=binding.source(ref, to_version(changed_at, deal.state, len(lines)), changed_at),
        reference=deal.reference or ref,
        name=deal.description or deal.reference or ref,
        customer_id=customer_id(binding, deal.party.id, deal.party.code),
        customer_ref=str(deal.party.id),
        is_won=deal.state == WON,
        amount=to_money(deal.amount, known(deal.currency.code, "currency.code"), "amount"),
        close_on=closed_on or changed_at.date(),
        region=deal.comment.region,
        legal_entity_code=deal.company.party.code,
        owner=deal.employee.party.name if deal.employee else None,
        revision=deal.comment.revision or 1,
        lines=tuple(sold),
    )


def _line(line: SaleLine) -> OpportunityLine:
    tags, ref = line.note, str(line.id)
    if line.amount is None or tags.start is None:
        raise unusable("amount" if line.amount is None else "note.start", f"sale line {ref} has none")
    return OpportunityLine(
        ref=ref,
        reference=tags.line or ref,
        product_code=known(line.product.code if line.product else None, "product.code"),
        workstream=tags.workstream or known(line.description, "description"),
        amount=to_money(line.amount, known(line.sale.currency.code, "sale.currency.code"), "amount"),
        billing_model=_billing_model(tags.billing_model),
        start_on=tags.start,
    )


def _billing_model(told: str | None) -> BillingModel:
    try:
        return BillingModel(known(told, "note.billing_model"))
    except ValueError as error:
        raise unusable("note.billing_model", f"{told!r} is no billing model") from error


def to_contract(
    binding: Binding, sale: Sale, opportunity: int, lines: Sequence[SaleLine], days: int, changed_at: datetime
) -> Contract:
    """The order as a contract; its comment lines with a milestone are the billing milestones."""
    tags, ref = sale.comment, str(sale.id)
    currency = known(sale.currency.code, "currency.code")
    due = [_milestone(binding, line, currency) for line in lines if line.type == _COMMENT and line.note.milestone]
    return Contract(
        tenant=binding.tenant,
        id=binding.identify("contract", ref),
        source=binding.source(ref, to_version(changed_at, sale.state, len(lines)), changed_at),
        reference=tags.contract or ref,
        opportunity_id=binding.identify("opportunity", str(opportunity)),
        approval=_approval(sale),
        signed_on=tags.signed,
        payment_terms_days=days,
        cap=to_money(tags.cap, currency, "comment.cap") if tags.cap is not None else None,
        purchase_order=sale.reference or None,
        rate_card_code=tags.rate_card,
        revision=tags.revision or 1,
        milestones=tuple(sorted(due, key=lambda one: (one.due_on, one.reference))),
    )


def _approval(sale: Sale) -> ContractApproval:
    """What the comment says; an order whose comment says nothing is approved once it is confirmed."""
    told = sale.comment.approval
    if told is None:
        return ContractApproval.APPROVED if sale.state in _SIGNED else ContractApproval.IN_REVIEW
    try:
        return ContractApproval(told)
    except ValueError as error:
        raise unusable("comment.approval", f"{told!r} is no state of a contract") from error


def _milestone(binding: Binding, line: SaleLine, currency: str) -> ContractMilestone:
    tags, ref = line.note, str(line.id)
    if tags.amount is None or tags.due is None:
        raise unusable("note.amount" if tags.amount is None else "note.due", f"milestone {ref} has none")
    return ContractMilestone(
        id=binding.identify("milestone", ref),
        reference=tags.milestone or ref,
        line_reference=known(tags.line, "note.line"),
        workstream=known(tags.workstream, "note.workstream"),
        name=known(line.description, "description"),
        amount=to_money(tags.amount, currency, "note.amount"),
        due_on=tags.due,
    )


def from_delivery(status: DeliveryStatus) -> Body:
    """What the note on the deal says of its delivery."""
    return {
        "delivery": status.stage.value,
        "project": status.project_id,
        "project_ref": status.project_ref,
        "text": status.message,
    }


def from_invoice_status(invoice_id: str, status: InvoiceStatus) -> Body:
    """What the note on the deal says of one invoice."""
    return {
        "invoice": invoice_id,
        "invoice_ref": status.invoice_ref,
        "period": status.period,
        "stage": status.stage.value,
        "currency": status.gross.currency,
        "gross": _written(status.gross),
        "paid": _written(status.paid),
    }


def _written(money: Money) -> str:
    return f"{money.amount:f}"
