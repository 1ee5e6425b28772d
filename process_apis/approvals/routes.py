"""`/approvals/v1`: what waits for a decision, and deciding it; the run that waits is told afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from process_apis.approvals.models import (
    Approval,
    ApprovalKind,
    ApprovalState,
    BulkDecision,
    BulkDecisions,
    BulkOutcome,
    BulkOutcomes,
    Decider,
    DecisionBody,
    Notice,
)
from process_apis.approvals.store import Approvals
from shared.canonical.references import Identifier, Page
from shared.errors.taxonomy import Overloaded, PlatformError
from shared.identity.principal import Principal
from shared.persistence import Database
from shared.serving.parameters import ID_PATTERN, Limit, PlaceCursor
from shared.serving.principal import Caller
from shared.telemetry import get_logger

ApprovalId = Annotated[
    str, Path(pattern=ID_PATTERN, max_length=120, description="Id of the approval.", examples=["apr_4r7c2m5xk3ta"])
]
_AT_ONCE = 6
_BULK_SECONDS = 15.0  # well below what callers wait for an answer
_log = get_logger(__name__)

Notify = Callable[[str, str, Any], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class ApprovalDesk:
    """Where decisions are taken; `notify` tells the waiting run."""

    database: Database
    approvals: Approvals
    notify: Notify

    async def decide(self, tenant: str, approval_id: str, body: DecisionBody, decider: Decider) -> Approval:
        """Record the decision, then tell the run; if telling fails the sweep tells it later."""
        async with self.database.transaction() as conn:
            decided, notice = await self.approvals.decide(conn, tenant, approval_id, body, decider)
        try:
            await self.tell(notice)
        except PlatformError as trouble:
            _log.warning("decision_not_told", approval_id=approval_id, code=trouble.code)
        return decided

    async def tell(self, notice: Notice) -> None:
        """Tell the run of the decision. Repeat: one more glance at the row."""
        await self.notify(notice.run_id, notice.topic, {"because": "decided", "approval_id": notice.approval_id})

    async def tell_forgotten(self, *, older_than: float = 10.0) -> None:
        """Tell the runs again that have not looked at a decision since, because a process died in between."""
        async with self.database.transaction() as conn:
            forgotten = await self.approvals.unnoticed(conn, older_than=older_than)
        for notice in forgotten:
            await self.tell(notice)
            async with self.database.transaction() as conn:
                await self.approvals.noticed(conn, notice)


def _decider(caller: Principal) -> Decider:
    kinds = frozenset(kind for kind in ApprovalKind if caller.may(f"approvals.decide.{kind.value}"))
    return Decider(who=caller.subject, through=caller.actor or caller.client_id, kinds=kinds)


def approval_router(desk: ApprovalDesk) -> APIRouter:
    """The routes of a desk."""
    router = APIRouter(prefix="/approvals/v1", tags=["Approvals"])

    @router.get("/approvals", summary="List approvals", operation_id="listApprovals")
    async def list_approvals(
        caller: Caller,
        status: Annotated[ApprovalState | None, Query(description="Only approvals in this state.")] = None,
        kind: Annotated[ApprovalKind | None, Query(description="Only approvals of this kind.")] = None,
        subject_id: Annotated[
            Identifier | None,
            Query(description="Only approvals of this opportunity.", examples=["opp_uowvshkezju2kbbqurcu"]),
        ] = None,
        cursor: PlaceCursor = None,
        limit: Limit = 100,
    ) -> Page[Approval]:
        """Approvals in the order they were asked for."""
        async with desk.database.transaction() as conn:
            items, following = await desk.approvals.list_page(
                conn, caller.tenant, state=status, kind=kind, subject_id=subject_id, after=int(cursor or 0), limit=limit
            )
        return Page(items=tuple(items), next_cursor=None if following is None else str(following))

    @router.get("/approvals/{id}", summary="Read an approval", operation_id="getApproval")
    async def get_approval(caller: Caller, id: ApprovalId) -> Approval:  # noqa: A002 - the path parameter's public name
        """One approval with what its decider is shown."""
        async with desk.database.transaction() as conn:
            return await desk.approvals.get(conn, caller.tenant, id)

    @router.post("/approvals/{id}/decision", summary="Decide an approval", operation_id="decideApproval")
    async def decide_approval(caller: Caller, id: ApprovalId, body: DecisionBody) -> Approval:  # noqa: A002 - the path parameter's public name
        """Approve or reject; not by who asked, not twice by one person for one deal, not again."""
        return await desk.decide(caller.tenant, id, body, _decider(caller))

    @router.post("/decisions", summary="Decide many approvals", operation_id="decideApprovals")
    async def decide_approvals(caller: Caller, body: BulkDecisions) -> BulkOutcomes:
        """Up to 200 decisions; each succeeds or fails for itself, outcomes come in the order asked.

        Those whose turn does not come in time are answered `overloaded` and were not taken: ask for them again.
        """
        gate = asyncio.Semaphore(_AT_ONCE)
        until = time.monotonic() + _BULK_SECONDS
        decider = _decider(caller)

        async def one(wish: BulkDecision) -> BulkOutcome:
            decision = DecisionBody(decision=wish.decision, comment=wish.comment)
            try:
                async with gate:
                    if time.monotonic() > until:
                        raise Overloaded
                    decided = await desk.decide(caller.tenant, wish.approval_id, decision, decider)
            except PlatformError as refusal:
                return BulkOutcome(
                    approval_id=wish.approval_id, status=refusal.status, code=refusal.code, detail=refusal.message
                )
            return BulkOutcome(approval_id=wish.approval_id, status=200, state=decided.state)

        outcomes = tuple(await asyncio.gather(*(one(wish) for wish in body.decisions)))
        decided = sum(outcome.code is None for outcome in outcomes)
        return BulkOutcomes(outcomes=outcomes, decided=decided, refused=len(outcomes) - decided)

    return router
