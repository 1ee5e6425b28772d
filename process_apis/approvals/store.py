"""Approvals and their decisions; segregation of duties is checked here and, against races, by the database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from process_apis.approvals.models import (
    Approval,
    ApprovalKind,
    ApprovalRequest,
    ApprovalState,
    Decider,
    DecisionBody,
    Notice,
)
from shared.canonical.money import Money
from shared.errors.taxonomy import AlreadyDecided, Conflict, NotFound, NotPermitted, SameApprover, SameRequester

_COLUMNS = """tenant, id, kind, group_id, subject_id, run_id, title, requested_by, amount, currency, snapshot, state,
    requested_at, expires_at, decided_at, decided_by, comment, position"""
_REQUEST = text("""
    INSERT INTO approvals (tenant, id, kind, group_id, subject_id, run_id, topic, title, requested_by, amount, currency,
                           snapshot, expires_at)
    VALUES (:tenant, :id, :kind, :group_id, :subject_id, :run_id, :topic, :title, :requested_by, :amount, :currency,
            CAST(:snapshot AS jsonb), :expires_at)
    ON CONFLICT (tenant, id) DO NOTHING
""")
_EXPIRE_AND_NOTICE = text("""
    UPDATE approvals SET noticed_at = now(), decided_at = coalesce(decided_at, now()),
        state = CASE WHEN state = 'open' THEN 'expired' ELSE state END
    WHERE tenant = :tenant AND id = ANY(:ids) AND noticed_at IS NULL
      AND (decided_at IS NOT NULL OR expires_at <= now())
""")
_WITHDRAW = text("""
    UPDATE approvals SET state = 'withdrawn', decided_at = now(), noticed_at = now(), comment = :because
    WHERE tenant = :tenant AND run_id = :run_id AND state = 'open'
""")
_STANDING = text(f"SELECT {_COLUMNS} FROM approvals WHERE tenant = :tenant AND id = ANY(:ids) ORDER BY id")
_OF_SUBJECT = text(
    f"SELECT {_COLUMNS} FROM approvals WHERE tenant = :tenant AND subject_id = :subject ORDER BY position"
)
_LOCK = text(f"SELECT {_COLUMNS}, topic FROM approvals WHERE tenant = :tenant AND id = :id FOR UPDATE")
_DECIDE = text(f"""
    UPDATE approvals SET state = :state, decided_by = :who, decided_at = now(), comment = :comment
    WHERE tenant = :tenant AND id = :id
    RETURNING {_COLUMNS}
""")
_GAVE_ANOTHER = text("""
    SELECT 1 FROM approvals
    WHERE tenant = :tenant AND group_id = :group_id AND decided_by = :who AND state IN ('approved', 'rejected')
""")
_AUDIT = text("""
    INSERT INTO approval_decisions (tenant, approval_id, decision, decided_by, through, comment, saw)
    VALUES (:tenant, :id, :decision, :who, :through, :comment, CAST(:saw AS jsonb))
""")
_NOTICED = text("UPDATE approvals SET noticed_at = now() WHERE tenant = :tenant AND id = :id AND noticed_at IS NULL")
_UNNOTICED = text("""
    SELECT tenant, id AS approval_id, run_id, topic FROM approvals
    WHERE decided_at IS NOT NULL AND noticed_at IS NULL AND decided_at < now() - make_interval(secs => :older_than)
    ORDER BY decided_at LIMIT 500
""")
_LIST = text(f"""
    SELECT {_COLUMNS} FROM approvals
    WHERE tenant = :tenant AND position > :after
      AND (CAST(:state AS text) IS NULL OR state = :state) AND (CAST(:kind AS text) IS NULL OR kind = :kind)
      AND (CAST(:subject AS text) IS NULL OR subject_id = :subject)
    ORDER BY position LIMIT :limit
""")


class Approvals:
    """Asks, reads and decides, always within the caller's transaction."""

    async def request(self, conn: AsyncConnection, request: ApprovalRequest) -> None:
        """Ask for an approval. Repeat: the first asking stands."""
        await conn.execute(
            _REQUEST,
            {
                **request.model_dump(exclude={"amount", "snapshot", "kind"}),
                "kind": request.kind.value,
                "amount": request.amount.amount if request.amount else None,
                "currency": request.amount.currency if request.amount else None,
                "snapshot": json.dumps(request.snapshot, default=str),
            },
        )

    async def standing(self, conn: AsyncConnection, tenant: str, ids: Sequence[str]) -> list[Approval]:
        """How the approvals stand now, for the run that asked; those past their day are expired first.

        What the run has seen it need not be told of any more.
        """
        await conn.execute(_EXPIRE_AND_NOTICE, {"tenant": tenant, "ids": list(ids)})
        rows = await conn.execute(_STANDING, {"tenant": tenant, "ids": list(ids)})
        return [_approval(dict(row)) for row in rows.mappings()]

    async def of_subject(self, conn: AsyncConnection, tenant: str, subject_id: str) -> list[Approval]:
        """All approvals of one opportunity, oldest first."""
        rows = await conn.execute(_OF_SUBJECT, {"tenant": tenant, "subject": subject_id})
        return [_approval(dict(row)) for row in rows.mappings()]

    async def withdraw(self, conn: AsyncConnection, tenant: str, run_id: str, because: str) -> None:
        """Take back what the run still asks. Repeat: nothing more."""
        await conn.execute(_WITHDRAW, {"tenant": tenant, "run_id": run_id, "because": because})

    async def get(self, conn: AsyncConnection, tenant: str, approval_id: str) -> Approval:
        """One approval. Raises NotFound."""
        rows = await conn.execute(_STANDING, {"tenant": tenant, "ids": [approval_id]})
        row = rows.mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no approval {approval_id}.")
        return _approval(dict(row))

    async def list_page(
        self,
        conn: AsyncConnection,
        tenant: str,
        *,
        state: ApprovalState | None,
        kind: ApprovalKind | None,
        subject_id: str | None,
        after: int,
        limit: int,
    ) -> tuple[list[Approval], int | None]:
        """A page in the order of asking, and the position to read on after."""
        rows = await conn.execute(
            _LIST,
            {
                "tenant": tenant,
                "state": state.value if state else None,
                "kind": kind.value if kind else None,
                "subject": subject_id,
                "after": after,
                "limit": limit + 1,
            },
        )
        found = [dict(row) for row in rows.mappings()]
        following = found[limit - 1]["position"] if len(found) > limit else None
        return [_approval(row) for row in found[:limit]], following

    async def decide(
        self, conn: AsyncConnection, tenant: str, approval_id: str, body: DecisionBody, decider: Decider
    ) -> tuple[Approval, Notice]:
        """Record a person's decision with what they saw; the approval as decided, and whom to wake.

        Raises NotFound, NotPermitted, AlreadyDecided, SameRequester, SameApprover.
        """
        row = (await conn.execute(_LOCK, {"tenant": tenant, "id": approval_id})).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no approval {approval_id}.")
        if ApprovalKind(row["kind"]) not in decider.kinds:
            raise NotPermitted(f"The caller may not give {row['kind']} approvals.")
        who = decider.who
        _may_still_be_decided(row["state"], row["decided_by"], row["expires_at"])
        if row["requested_by"] == who:
            raise SameRequester
        if (await conn.execute(_GAVE_ANOTHER, {"tenant": tenant, "group_id": row["group_id"], "who": who})).first():
            raise SameApprover
        state = ApprovalState.APPROVED if body.decision == "approve" else ApprovalState.REJECTED
        facts = {"tenant": tenant, "id": approval_id, "who": who, "comment": body.comment}
        try:
            decided = (await conn.execute(_DECIDE, {**facts, "state": state.value})).mappings().one()
        except IntegrityError as raced:
            raise SameApprover from raced
        saw = json.dumps(row["snapshot"], default=str)
        await conn.execute(_AUDIT, {**facts, "decision": body.decision, "through": decider.through, "saw": saw})
        notice = Notice(tenant=tenant, approval_id=approval_id, run_id=row["run_id"], topic=row["topic"])
        return _approval(dict(decided)), notice

    async def noticed(self, conn: AsyncConnection, notice: Notice) -> None:
        """The run has a message about the decision. Repeat: nothing more."""
        await conn.execute(_NOTICED, {"tenant": notice.tenant, "id": notice.approval_id})

    async def unnoticed(self, conn: AsyncConnection, *, older_than: float) -> list[Notice]:
        """Decisions whose run has not looked since, because a process died in between; seconds since the decision."""
        rows = await conn.execute(_UNNOTICED, {"older_than": older_than})
        return [Notice.model_validate(dict(row)) for row in rows.mappings()]


def _may_still_be_decided(state: str, by: str | None, expires_at: datetime | None) -> None:
    if state in {ApprovalState.APPROVED, ApprovalState.REJECTED}:
        raise AlreadyDecided(f"This was {state} by {by}.")
    if state != ApprovalState.OPEN:
        raise Conflict(f"This approval is {state}; it can no longer be decided.")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise Conflict("This approval has expired; it can no longer be decided.")


def _approval(row: dict[str, Any]) -> Approval:
    amount, currency = row.pop("amount"), row.pop("currency")
    row.pop("position")
    return Approval(**row, amount=None if amount is None else Money.of(amount, currency))
