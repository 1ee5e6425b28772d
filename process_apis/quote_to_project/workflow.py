"""The story of a deal: what comes after what, where it waits for people, and how it is taken back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from process_apis.approvals.models import ApprovalState
from process_apis.durable import engine
from process_apis.exceptions.models import Finding
from process_apis.quote_to_project import set_up_steps, steps
from process_apis.quote_to_project.models import (
    Admission,
    DealOutcome,
    DealPlan,
    DealRequest,
    DealState,
    Verdict,
)
from process_apis.quote_to_project.rules import finding
from shared.canonical.opportunities import DeliveryStage, DeliveryStatus
from shared.canonical.projects import Project
from shared.errors.taxonomy import PlatformError

Done = TypeVar("Done")
_FIRST_RECHECK = 900.0
_LAST_RECHECK = 86_400.0
_FIRST_GLANCE = 60.0


class DealStopped(Exception):
    """The deal ends without a project: cancelled, declined, or overtaken by a newer revision."""

    def __init__(self, state: DealState, why: str) -> None:
        super().__init__(why)
        self.state = state
        self.why = why


@engine.workflow("quote-to-project")
async def quote_to_project(request: DealRequest) -> DealOutcome:
    """Turn one won revision of an opportunity into an active project.

    Promise: the project, its contract and its schedule exist once in PSA and ERP, or the deal visibly waits or ended.
    Stops for: people, while there are findings, while approvals are open, and when a system refuses for good.
    Gives up when: somebody cancels it before the contract is entered, or an approval is declined; what was set up
    is then taken out of use in reverse order.
    """
    if await steps.admit_deal(request) is Admission.LATE:
        return DealOutcome(state=DealState.LATE)
    try:
        plan = await _agreed_plan(request)
        project = await _set_up(request, plan)
    except DealStopped as stopped:
        if stopped.state is not DealState.SUPERSEDED and await steps.was_told(request):
            await _tell(request, DeliveryStatus(stage=DeliveryStage.CANCELLED, message=stopped.why))
        return await steps.stop_deal(request, stopped.state, stopped.why)
    activated = DeliveryStatus(
        stage=DeliveryStage.ACTIVATED, project_id=plan.project.id, project_ref=project.source.ref
    )
    await _insist(request, "tell the CRM of the project", lambda: steps.tell_crm(request, activated))
    return await set_up_steps.activate_deal(request, plan)


async def _agreed_plan(request: DealRequest) -> DealPlan:
    """A plan without findings that everybody who must has approved as it stands."""
    agreed: DealPlan | None = None
    number = 0
    while True:
        plan = await _plan_without_findings(request)
        if agreed is not None and _is_same(plan, agreed):
            return plan
        verdict = await _verdict(request, plan, number)
        if verdict.state is ApprovalState.REJECTED:
            raise DealStopped(DealState.REJECTED, f"The deal was declined. {verdict.said}")
        if verdict.state is ApprovalState.APPROVED and not verdict.is_stale:
            return plan
        if verdict.state is ApprovalState.APPROVED:
            agreed = plan
        else:
            expired = finding("approval_expired", "approvals", "Nobody decided in time.")
            await _park(request, (expired,), plan.opportunity.region)
            await _signal(request, number)
        number += 1


def _is_same(one: DealPlan, other: DealPlan) -> bool:
    return (one.project, one.erp_contract, one.schedule, one.approvals) == (
        other.project,
        other.erp_contract,
        other.schedule,
        other.approvals,
    )


async def _plan_without_findings(request: DealRequest) -> DealPlan:
    """Check, park, wait and check afresh until nothing stands in the way."""
    rounds = 0
    while True:
        try:
            check = await steps.check_deal(request)
        except PlatformError as trouble:
            is_stale = await _park(request, steps.trouble_findings("check the deal", trouble), None)
        else:
            if check.plan is not None:
                return check.plan
            is_stale = await _park(request, check.findings, check.region)
        if is_stale:
            await _stop_if_asked(request)
        else:
            await _signal(request, rounds)
        rounds += 1


async def _verdict(request: DealRequest, plan: DealPlan, number: int) -> Verdict:
    """Ask for the approvals and wait until they are all given, one is refused, or time is up."""
    asked = await steps.request_approvals(request, plan, number)
    if asked.was_told:
        await _tell(request, DeliveryStatus(stage=DeliveryStage.IN_REVIEW, message="Waiting for approval."))
    glances = 0
    while True:
        await engine.wait_for(steps.DECISION, seconds=min(_FIRST_GLANCE * 2**glances, _FIRST_RECHECK))
        verdict = await steps.read_verdict(request, asked, number)
        if verdict.wish is not None:
            raise DealStopped(verdict.wish.state, verdict.wish.why)
        if verdict.state is not ApprovalState.OPEN:
            return verdict
        glances = min(glances + 1, 10)


async def _set_up(request: DealRequest, plan: DealPlan) -> Project:
    """Customer, project, contract and schedule; until the contract is entered a cancelled deal is taken back."""
    undo: list[tuple[str, Callable[[], Awaitable[None]]]] = []
    try:
        await _insist(request, "set up the customer in the ERP", lambda: set_up_steps.open_customer(request, plan))
        undo.append(("close the project in the PSA", lambda: set_up_steps.close_project(request, plan)))
        project = await _insist(
            request, "set up the project in the PSA", lambda: set_up_steps.open_project(request, plan)
        )
        undo.append(("close the project in the ERP", lambda: set_up_steps.close_account(request, plan)))
        await _insist(request, "set up the project in the ERP", lambda: set_up_steps.open_account(request, plan))
    except DealStopped:
        for doing, act in reversed(undo):
            await _insist(request, doing, act, may_stop=False)
        raise
    await _insist(
        request, "enter the contract in the ERP", lambda: set_up_steps.enter_contract(request, plan), may_stop=False
    )
    doing = "enter the billing schedule in the ERP"
    await _insist(request, doing, lambda: set_up_steps.enter_schedule(request, plan), may_stop=False)
    return project


async def _insist(
    request: DealRequest, doing: str, act: Callable[[], Awaitable[Done]], *, may_stop: bool = True
) -> Done:
    """Do it; when it fails for good the deal is parked with the reason until somebody, or time, wants another try."""
    rounds = 0
    while True:
        try:
            done = await act()
        except set_up_steps.Withdrawn:
            await _stop_if_asked(request)
        except PlatformError as trouble:
            await _park(request, steps.trouble_findings(doing, trouble), None)
            await _signal(request, rounds, may_stop=may_stop)
            rounds += 1
        else:
            if rounds:
                await steps.clear_trouble(request, doing)
            return done


async def _park(request: DealRequest, found: tuple[Finding, ...], region: str | None) -> bool:
    is_stale = await steps.park_deal(request, found, region)
    await _tell(request, steps.parked_status(found))
    return is_stale


async def _tell(request: DealRequest, status: DeliveryStatus) -> None:
    """Tell the CRM if it will listen: a deal does not wait for that."""
    try:
        await steps.tell_crm(request, status)
    except PlatformError:
        return


async def _signal(request: DealRequest, rounds: int, *, may_stop: bool = True) -> None:
    """Wait until somebody changes something; after ever longer pauses look again without being asked."""
    seconds = min(_FIRST_RECHECK * 2**rounds, _LAST_RECHECK)
    await engine.wait_for(steps.SIGNAL, seconds=seconds)
    if may_stop:
        await _stop_if_asked(request)


async def _stop_if_asked(request: DealRequest) -> None:
    wish = await steps.read_wish(request)
    if wish is not None:
        raise DealStopped(wish.state, wish.why)
