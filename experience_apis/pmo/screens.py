"""Shapes deals, journeys and exceptions for the PMO board; labels and sentences, no decision."""

from __future__ import annotations

from experience_apis.desk.models import ShapedPage
from experience_apis.desk.screens import approval_card, finding_notes, things_to_fix
from experience_apis.pmo.models import (
    Board,
    BoardColumn,
    DealCard,
    DealView,
    ExceptionCard,
    ExceptionView,
    JourneyStep,
    JourneyView,
    WorkPart,
)
from experience_apis.processes.models import Deal, ExceptionItem, Journey, ToldPage
from experience_apis.wording.catalog import Wording

COLUMNS = ("checking", "exception", "awaiting_approval", "provisioning", "activated", "rejected", "cancelled")


def deal_card(deal: Deal, words: Wording) -> DealCard:
    """A deal as a card."""
    return DealCard(
        opportunity_id=deal.opportunity_id,
        reference=deal.reference,
        name=deal.name,
        customer=deal.customer_name,
        amount=deal.amount,
        region=deal.region,
        legal_entity=deal.legal_entity_code,
        state=deal.state,
        state_label=words.say(f"deal_state.{deal.state}"),
        won_at=deal.won_at,
        changed_at=deal.changed_at,
        activated_at=deal.activated_at,
        contract_id=deal.contract_id,
        project_id=deal.project_id,
        findings=len(deal.findings),
        waits_for=deal.approval_kinds if deal.state == "awaiting_approval" else (),
        message=deal_message(deal, words),
    )


def deal_message(deal: Deal, words: Wording) -> str:
    """Where the deal stands, in one sentence."""
    who = ", ".join(words.say(f"approval_kind.{kind}") for kind in deal.approval_kinds) or "-"
    return words.say(f"deal.{deal.state}", count=things_to_fix(deal.findings, words), who=who)


def board(page: ToldPage[Deal], words: Wording) -> Board:
    """The board's columns and a page of its deals."""
    items = tuple(deal_card(deal, words) for deal in page.items)
    columns = tuple(
        BoardColumn(state=state, label=words.say(f"deal_state.{state}"), deals=f"/pmo/v1/board?state={state}")
        for state in COLUMNS
    )
    return Board(items=items, next_cursor=page.next_cursor, message=words.count("board", len(items)), columns=columns)


def deal_view(journey: Journey, scopes: frozenset[str], words: Wording) -> DealView:
    """A deal with its findings and approvals."""
    asked = tuple(approval.kind for approval in journey.approvals if approval.state == "open")
    deal = journey.deal.model_copy(update={"approval_kinds": asked})
    return DealView(
        **dict(deal_card(deal, words)),
        why=deal.waits_for,
        work=tuple(
            WorkPart(
                state=part.state,
                state_label=words.say(f"work_state.{part.state}"),
                entries=part.entries,
                hours=part.hours,
                amount=part.amount,
            )
            for part in journey.work
        ),
        notes=finding_notes(deal.findings, words),
        approvals=tuple(approval_card(approval, scopes, words) for approval in journey.approvals),
        journey=f"/pmo/v1/journeys/{deal.opportunity_id}",
    )


def journey_view(journey: Journey, words: Wording) -> JourneyView:
    """A deal's whole way, step by step."""
    steps = tuple(
        JourneyStep(
            at=entry.at,
            step=entry.step,
            message=entry.sentence,
            system=entry.system,
            reference=entry.ref,
            by=entry.by,
            amount=entry.amount,
        )
        for entry in journey.lines
    )
    return JourneyView(
        opportunity_id=journey.deal.opportunity_id,
        state=journey.deal.state,
        state_label=words.say(f"deal_state.{journey.deal.state}"),
        steps=steps,
        message=words.count("journey", len(steps)),
    )


def exception_card(item: ExceptionItem, words: Wording) -> ExceptionCard:
    """A parked deal as a card."""
    owner = words.say(f"owner.{item.owner_role}")
    return ExceptionCard(
        id=item.id,
        title=item.title,
        process=item.process,
        opportunity_id=item.subject_id,
        state=item.state,
        state_label=words.say(f"exception_state.{item.state}"),
        owner=item.owner_role,
        owner_label=owner,
        assigned_to=item.assigned_to,
        region=item.region,
        opened_at=item.opened_at,
        due_at=item.due_at,
        is_overdue=item.is_overdue,
        times_checked=item.times_checked,
        codes=tuple(dict.fromkeys(finding.code for finding in item.findings)),
        message=words.say(
            f"exception.{item.state}", count=things_to_fix(item.findings, words), who=item.assigned_to or owner
        ),
    )


def exception_view(item: ExceptionItem, words: Wording) -> ExceptionView:
    """A parked deal with everything that stands in its way."""
    return ExceptionView(**dict(exception_card(item, words)), notes=finding_notes(item.findings, words))


def exception_page(page: ToldPage[ExceptionItem], words: Wording) -> ShapedPage[ExceptionCard]:
    """A list of parked deals."""
    items = tuple(exception_card(item, words) for item in page.items)
    is_open = sum(card.state == "open" for card in items)
    return ShapedPage(items=items, next_cursor=page.next_cursor, message=words.count("exceptions", is_open))
