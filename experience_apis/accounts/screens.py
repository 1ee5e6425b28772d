"""Shapes a deal for those who sold it: no inner names, no approvals, no rates."""

from __future__ import annotations

from experience_apis.accounts.models import AccountDeal, AccountDealView, AccountInvoice, AskedOfYou, Milestone
from experience_apis.desk.models import ShapedPage
from experience_apis.desk.screens import things_to_fix
from experience_apis.processes.models import Deal, Journey, ToldPage
from experience_apis.wording.catalog import Wording

OURS = "account_team"
_LATEST = 10


def account_deal(deal: Deal, words: Wording) -> AccountDeal:
    """A deal in the list."""
    who = ", ".join(words.say(f"approval_kind.{kind}") for kind in deal.approval_kinds) or "-"
    return AccountDeal(
        opportunity_id=deal.opportunity_id,
        reference=deal.reference,
        name=deal.name,
        customer=deal.customer_name,
        amount=deal.amount,
        state=deal.state,
        state_label=words.say(f"deal_state.{deal.state}"),
        project_id=deal.project_id,
        message=words.say(f"deal.{deal.state}", count=things_to_fix(deal.findings, words), who=who),
    )


def account_deals(page: ToldPage[Deal], words: Wording) -> ShapedPage[AccountDeal]:
    """The deals."""
    items = tuple(account_deal(deal, words) for deal in page.items)
    return ShapedPage(items=items, next_cursor=page.next_cursor, message=words.count("board", len(items)))


def account_deal_view(journey: Journey, words: Wording) -> AccountDealView:
    """One deal: what the account team must fix, what was invoiced, what happened last."""
    asked = tuple(approval.kind for approval in journey.approvals if approval.state == "open")
    deal = journey.deal.model_copy(update={"approval_kinds": asked})
    return AccountDealView(
        **dict(account_deal(deal, words)),
        asked_of_you=tuple(
            AskedOfYou(
                code=finding.code,
                message=words.say(f"finding.{finding.code}"),
                remedy=words.say_or(f"fix.{finding.code}", finding.remedy),
            )
            for finding in deal.findings
            if finding.owner == OURS
        ),
        invoices=tuple(
            AccountInvoice(
                invoice_id=invoice.invoice_id,
                period=invoice.period,
                state=invoice.state,
                state_label=words.say(f"invoice_state.{invoice.state}"),
                gross=invoice.gross,
                paid=invoice.paid,
            )
            for invoice in journey.invoices
        ),
        latest=tuple(Milestone(at=entry.at, message=entry.sentence) for entry in reversed(journey.lines[-_LATEST:])),
    )
