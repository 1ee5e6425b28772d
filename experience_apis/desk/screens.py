"""Shapes findings, approvals and decisions for people; reads what the process tier says, decides nothing."""

from __future__ import annotations

from collections.abc import Sequence

from experience_apis.desk.models import (
    ApprovalCard,
    ApprovalDetail,
    DecisionResult,
    DecisionResults,
    FindingNote,
    ShapedPage,
)
from experience_apis.processes.models import Approval, DecisionOutcome, DecisionOutcomes, Finding, ToldPage
from experience_apis.wording.catalog import Wording

_LEAST_REFUSAL = 400


def finding_notes(findings: Sequence[Finding], words: Wording) -> tuple[FindingNote, ...]:
    """The findings in people's words."""
    return tuple(
        FindingNote(
            code=finding.code,
            message=words.say(f"finding.{finding.code}"),
            field=finding.field,
            reason=finding.reason,
            owner=finding.owner,
            owner_label=words.say(f"owner.{finding.owner}"),
            remedy=words.say_or(f"fix.{finding.code}", finding.remedy),
        )
        for finding in findings
    )


def things_to_fix(findings: Sequence[Finding], words: Wording) -> str:
    """`Two things`, for sentences."""
    return words.count("findings", len(findings))


def approval_card(approval: Approval, scopes: frozenset[str], words: Wording) -> ApprovalCard:
    """One approval as a card."""
    return ApprovalCard(
        id=approval.id,
        kind=approval.kind,
        kind_label=words.say(f"approval_kind.{approval.kind}"),
        title=approval.title,
        opportunity_id=approval.subject_id,
        amount=approval.amount,
        requested_by=approval.requested_by,
        requested_at=approval.requested_at,
        expires_at=approval.expires_at,
        state=approval.state,
        state_label=words.say(f"approval_state.{approval.state}"),
        decided_by=approval.decided_by,
        decided_at=approval.decided_at,
        comment=approval.comment,
        can_be_mine=approval.state == "open" and f"approvals.decide.{approval.kind}" in scopes,
        message=_approval_message(approval, words),
    )


def approval_detail(approval: Approval, scopes: frozenset[str], words: Wording) -> ApprovalDetail:
    """One approval with what its decider should see."""
    card = approval_card(approval, scopes, words)
    return ApprovalDetail(**dict(card), shown=approval.snapshot)


def approval_page(page: ToldPage[Approval], scopes: frozenset[str], words: Wording) -> ShapedPage[ApprovalCard]:
    """A list of approvals."""
    items = tuple(approval_card(approval, scopes, words) for approval in page.items)
    waiting = sum(card.state == "open" for card in items)
    return ShapedPage(items=items, next_cursor=page.next_cursor, message=words.count("approvals", waiting))


def decision_results(outcomes: DecisionOutcomes, words: Wording) -> DecisionResults:
    """What became of many decisions."""
    form = "none" if not outcomes.decided else "some" if outcomes.refused else "all"
    return DecisionResults(
        items=tuple(_decision_result(outcome, words) for outcome in outcomes.outcomes),
        decided=outcomes.decided,
        refused=outcomes.refused,
        message=words.say(f"decisions.{form}", decided=outcomes.decided, refused=outcomes.refused),
    )


def _decision_result(outcome: DecisionOutcome, words: Wording) -> DecisionResult:
    if outcome.status >= _LEAST_REFUSAL or outcome.state is None:
        message = words.say("decision.refused", reason=outcome.detail or outcome.code or str(outcome.status))
    else:
        message = words.say(f"decision.{outcome.state}")
    return DecisionResult(
        approval_id=outcome.approval_id,
        status=outcome.status,
        state=outcome.state,
        code=outcome.code,
        message=message,
    )


def _approval_message(approval: Approval, words: Wording) -> str:
    if approval.state == "open":
        return words.say(f"approval.open_{approval.kind}")
    if approval.decided_by:
        state = words.say(f"approval_state.{approval.state}")
        return words.say("approval.decided", state=state, who=approval.decided_by)
    return words.say(f"approval.{approval.state}")
