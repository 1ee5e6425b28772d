"""Typed client of `/approvals/v1`: what waits for a decision, and deciding it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experience_apis.processes.models import Approval, DecisionOutcomes, ToldPage
from experience_apis.processes.wire import Caller, ProcessWire

_PATH = "/approvals/v1/approvals"


class Approvals:
    """Approvals of deals and invoices."""

    def __init__(self, wire: ProcessWire) -> None:
        """Uses the tier's connection."""
        self._wire = wire

    async def list_approvals(
        self,
        caller: Caller,
        *,
        status: str | None,
        kind: str | None,
        opportunity_id: str | None,
        cursor: str | None,
        limit: int,
    ) -> ToldPage[Approval]:
        """Approvals, oldest first."""
        params = {"status": status, "kind": kind, "subject_id": opportunity_id, "cursor": cursor, "limit": limit}
        return await self._wire.page(caller, Approval, _PATH, params)

    async def get_approval(self, caller: Caller, approval_id: str) -> Approval:
        """One approval with what its decider is shown. Raises NotFound."""
        return await self._wire.get(caller, Approval, _PATH + "/{id}", id=approval_id)

    async def decide(self, caller: Caller, approval_id: str, decision: str, comment: str | None) -> Approval:
        """Approve or reject. Raises AlreadyDecided, SameRequester, SameApprover, NotPermitted."""
        body = {"decision": decision, "comment": comment}
        return await self._wire.post(caller, Approval, _PATH + "/{id}/decision", body, id=approval_id)

    async def decide_many(self, caller: Caller, decisions: Sequence[Mapping[str, Any]]) -> DecisionOutcomes:
        """Up to 200 decisions; each is taken or refused for itself."""
        return await self._wire.post(
            caller, DecisionOutcomes, "/approvals/v1/decisions", {"decisions": [dict(one) for one in decisions]}
        )
