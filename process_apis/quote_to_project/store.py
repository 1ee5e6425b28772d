"""Deals and where they stand; one row per revision of an opportunity."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from process_apis.approvals.models import ApprovalKind
from process_apis.exceptions.models import Finding
from process_apis.quote_to_project.models import (
    Admission,
    Deal,
    DealFacts,
    DealFilter,
    DealPlan,
    DealRequest,
    DealState,
    Wish,
)
from shared.canonical.money import Money
from shared.identity.principal import Principal

_COLUMNS = """tenant, opportunity_id, revision, run_id, state, requested_by, won_at, started_at, changed_at,
    activated_at, reference, name, customer_id, customer_name, contract_id, project_id, legal_entity_code, region,
    amount, currency, findings, approval_kinds, position"""
_KEY = "tenant = :tenant AND opportunity_id = :opportunity_id AND revision = :revision"
_LOCK_OPPORTUNITY = text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant || '|' || :opportunity_id, 42))")
_ADMIT = text("""
    INSERT INTO deals (tenant, opportunity_id, revision, run_id, state, requested_by, won_at, correlation_id)
    VALUES (:tenant, :opportunity_id, :revision, :run_id,
            CASE WHEN EXISTS (
                SELECT 1 FROM deals
                WHERE tenant = :tenant AND opportunity_id = :opportunity_id
                  AND (revision > :revision
                       OR (revision < :revision AND is_begun AND state NOT IN ('cancelled', 'rejected')))
            ) THEN 'late' ELSE 'checking' END,
            :requested_by, :won_at, :correlation_id)
    ON CONFLICT (tenant, opportunity_id, revision) DO NOTHING
""")
_SUPERSEDE = text("""
    UPDATE deals SET state = 'superseded', changed_at = now()
    WHERE tenant = :tenant AND opportunity_id = :opportunity_id AND revision < :revision
      AND state IN ('checking', 'exception', 'awaiting_approval') AND NOT is_begun
    RETURNING run_id
""")
_STATE = text(f"SELECT state FROM deals WHERE {_KEY}")
_CHECKING = text(f"UPDATE deals SET checked_at = now() WHERE {_KEY}")
_DESCRIBE = text(f"""
    UPDATE deals SET reference = :reference, name = :name, customer_id = :customer_id, customer_name = :customer_name,
        contract_id = :contract_id, legal_entity_code = :legal_entity_code, region = :region, amount = :amount,
        currency = :currency, findings = CAST(:findings AS jsonb), requested_by = :requested_by
    WHERE {_KEY}
""")
_MOVE = text(
    f"UPDATE deals SET state = :state, changed_at = now() WHERE {_KEY} AND state NOT IN ('superseded', 'activated')"
)
_BEGIN = text(f"""
    UPDATE deals SET state = 'provisioning', is_begun = true, changed_at = now()
    WHERE {_KEY} AND state <> 'superseded' AND cancelled_by IS NULL RETURNING 1
""")
_FINDINGS = text(f"UPDATE deals SET findings = CAST(:findings AS jsonb) WHERE {_KEY}")
_KINDS = text(f"UPDATE deals SET approval_kinds = :kinds WHERE {_KEY}")
_POINT_OF_NO_RETURN = text(f"UPDATE deals SET is_irreversible = true WHERE {_KEY}")
_ACTIVATE = text(f"""
    UPDATE deals SET state = 'activated', activated_at = now(), changed_at = now(), project_id = :project_id,
        contract_id = :contract_id, findings = '[]', snapshot = CAST(:snapshot AS jsonb)
    WHERE {_KEY} AND state <> 'activated'
""")
_TOLD = text(f"SELECT told_crm FROM deals WHERE {_KEY}")
_TELL = text(f"UPDATE deals SET told_crm = :told WHERE {_KEY}")
_IS_STALE = text(f"SELECT coalesce(touched_at > checked_at, false) FROM deals WHERE {_KEY}")
_CANCEL = text("""
    UPDATE deals SET cancelled_by = :who, cancelled_because = :because
    WHERE tenant = :tenant AND run_id = :run_id AND state IN ('exception', 'awaiting_approval') AND NOT is_irreversible
    RETURNING 1
""")
_WISH = text(f"SELECT state, cancelled_by, cancelled_because FROM deals WHERE {_KEY}")
_TOUCH = """
    UPDATE deals SET touched_at = now()
    WHERE tenant = :tenant AND state IN ('checking', 'exception', 'awaiting_approval') AND {which}
    RETURNING opportunity_id
"""
_TOUCH_OPPORTUNITY = text(_TOUCH.format(which="opportunity_id = :id"))
# A deal being read for the first time has no customer yet: it may be any.
_TOUCH_CUSTOMER = text(_TOUCH.format(which="(customer_id = :id OR (customer_id IS NULL AND state = 'checking'))"))
_TOUCH_ALL = text(_TOUCH.format(which="true"))
_GET = text(f"SELECT {_COLUMNS} FROM deals WHERE tenant = :tenant AND run_id = :run_id")
_GET_VISIBLE = text(f"""
    SELECT {_COLUMNS} FROM deals WHERE tenant = :tenant AND run_id = :run_id
      AND (CAST(:customers AS text[]) IS NULL OR customer_id = ANY(:customers))
""")
_LIST = text(f"""
    SELECT {_COLUMNS} FROM deals
    WHERE tenant = :tenant AND position > :after AND (CAST(:state AS text) IS NULL OR state = :state)
      AND (CAST(:project_id AS text) IS NULL OR project_id = :project_id)
      AND (CAST(:region AS text) IS NULL OR region = :region)
      AND (CAST(:customers AS text[]) IS NULL OR customer_id = ANY(:customers))
    ORDER BY position LIMIT :limit
""")


def _key(request: DealRequest) -> dict[str, Any]:
    return {"tenant": request.tenant, "opportunity_id": request.opportunity_id, "revision": request.revision}


class Deals:
    """Reads and moves deals, always within the caller's transaction."""

    async def admit(self, conn: AsyncConnection, request: DealRequest) -> tuple[Admission, list[str]]:
        """Take the revision in, unless a newer one is known or an older one is past its point of no return.

        The second part are the runs of older revisions it takes over from. Repeat: the same answer.
        """
        key = _key(request)
        await conn.execute(_LOCK_OPPORTUNITY, {"tenant": request.tenant, "opportunity_id": request.opportunity_id})
        await conn.execute(
            _ADMIT,
            {
                **key,
                "run_id": request.run_id,
                "requested_by": request.requested_by or "",
                "won_at": request.won_at,
                "correlation_id": request.correlation_id,
            },
        )
        if (await conn.execute(_STATE, key)).scalar_one() == DealState.LATE:
            return Admission.LATE, []
        superseded = await conn.execute(_SUPERSEDE, key)
        return Admission.ADMITTED, [row.run_id for row in superseded]

    async def checking(self, conn: AsyncConnection, request: DealRequest) -> None:
        """The deal's sources are read from now on."""
        await conn.execute(_CHECKING, _key(request))

    async def describe(
        self,
        conn: AsyncConnection,
        request: DealRequest,
        facts: DealFacts,
        findings: Sequence[Finding],
        *,
        requested_by: str,
    ) -> None:
        """Keep what was read of the deal. Repeat: the latest reading."""
        opportunity, customer, contract = facts.opportunity, facts.customer, facts.contract
        await conn.execute(
            _DESCRIBE,
            {
                **_key(request),
                "reference": opportunity.reference,
                "name": opportunity.name,
                "customer_id": opportunity.customer_id,
                "customer_name": customer.name if customer else None,
                "contract_id": contract.id if contract else None,
                "legal_entity_code": opportunity.legal_entity_code,
                "region": opportunity.region,
                "amount": opportunity.amount.amount,
                "currency": opportunity.amount.currency,
                "findings": _findings_json(findings),
                "requested_by": requested_by,
            },
        )

    async def move(self, conn: AsyncConnection, request: DealRequest, state: DealState) -> None:
        """Bring the deal to a state; superseded and activated ones stay. Repeat: nothing more."""
        await conn.execute(_MOVE, {**_key(request), "state": state.value})

    async def begin_set_up(self, conn: AsyncConnection, request: DealRequest) -> bool:
        """From now on no newer revision takes over; False when the deal is to end. Repeat: the same answer.

        Waits for an `admit` under way: what that saw of this deal must still hold when it supersedes.
        """
        await conn.execute(_LOCK_OPPORTUNITY, {"tenant": request.tenant, "opportunity_id": request.opportunity_id})
        return (await conn.execute(_BEGIN, _key(request))).first() is not None

    async def keep_findings(self, conn: AsyncConnection, request: DealRequest, findings: Sequence[Finding]) -> None:
        """What stands in the way now."""
        await conn.execute(_FINDINGS, {**_key(request), "findings": _findings_json(findings)})

    async def keep_kinds(self, conn: AsyncConnection, request: DealRequest, kinds: Sequence[ApprovalKind]) -> None:
        """Which approvals the deal needs."""
        await conn.execute(_KINDS, {**_key(request), "kinds": [kind.value for kind in kinds]})

    async def pass_point_of_no_return(self, conn: AsyncConnection, request: DealRequest) -> None:
        """From now on the deal can only go forward."""
        await conn.execute(_POINT_OF_NO_RETURN, _key(request))

    async def activate(self, conn: AsyncConnection, request: DealRequest, plan: DealPlan) -> None:
        """The project stands; billing finds everything in the snapshot. Repeat: nothing more."""
        snapshot = {
            "opportunity": plan.opportunity.model_dump(mode="json"),
            "customer": plan.customer.model_dump(mode="json"),
            "contract": plan.contract.model_dump(mode="json"),
            "legal_entity": plan.legal_entity.model_dump(mode="json"),
            "plan": plan.project.model_dump(mode="json"),
            "erp_contract": plan.erp_contract.model_dump(mode="json"),
            "schedule": plan.schedule.model_dump(mode="json"),
        }
        facts = {"project_id": plan.project.id, "contract_id": plan.contract.id, "snapshot": json.dumps(snapshot)}
        await conn.execute(_ACTIVATE, {**_key(request), **facts})

    async def told_crm(self, conn: AsyncConnection, request: DealRequest) -> str | None:
        """What the CRM was told last."""
        told: str | None = (await conn.execute(_TOLD, _key(request))).scalar_one()
        return told

    async def keep_told(self, conn: AsyncConnection, request: DealRequest, told: str) -> None:
        """What the CRM is told now."""
        await conn.execute(_TELL, {**_key(request), "told": told})

    async def is_stale(self, conn: AsyncConnection, request: DealRequest) -> bool:
        """Whether a source may have changed since the deal was checked."""
        return bool((await conn.execute(_IS_STALE, _key(request))).scalar_one())

    async def cancel(self, conn: AsyncConnection, tenant: str, run_id: str, *, who: str, because: str) -> bool:
        """Wish the deal to end; False when it does not wait, or can only go forward. Repeat: the latest reason."""
        facts = {"tenant": tenant, "run_id": run_id, "who": who, "because": because}
        return (await conn.execute(_CANCEL, facts)).first() is not None

    async def wish(self, conn: AsyncConnection, request: DealRequest) -> Wish | None:
        """Whether the deal is to end: overtaken by a newer revision, or cancelled by somebody."""
        row = (await conn.execute(_WISH, _key(request))).one()
        if row.state == DealState.SUPERSEDED:
            return Wish(state=DealState.SUPERSEDED, why="A newer revision of the opportunity has taken over.")
        if row.cancelled_by is not None:
            why = f"Cancelled by {row.cancelled_by}. {row.cancelled_because or ''}".strip()
            return Wish(state=DealState.CANCELLED, why=why[:1000])
        return None

    async def touch(
        self, conn: AsyncConnection, tenant: str, *, opportunity_id: str | None = None, customer_id: str | None = None
    ) -> list[str]:
        """A source changed: of one opportunity, one customer, or (neither named) of everybody; the deals concerned."""
        which, subject = _TOUCH_ALL, None
        if opportunity_id is not None:
            which, subject = _TOUCH_OPPORTUNITY, opportunity_id
        elif customer_id is not None:
            which, subject = _TOUCH_CUSTOMER, customer_id
        bound = {"tenant": tenant} if subject is None else {"tenant": tenant, "id": subject}
        return [row.opportunity_id for row in await conn.execute(which, bound)]

    async def find(self, conn: AsyncConnection, tenant: str, run_id: str) -> Deal | None:
        """The deal of a run, or None."""
        row = (await conn.execute(_GET, {"tenant": tenant, "run_id": run_id})).mappings().one_or_none()
        return None if row is None else _deal(dict(row))

    async def find_visible(self, conn: AsyncConnection, caller: Principal, run_id: str) -> Deal | None:
        """The deal of a run if it exists for the caller."""
        bound = {"tenant": caller.tenant, "run_id": run_id, "customers": _bound(caller)}
        row = (await conn.execute(_GET_VISIBLE, bound)).mappings().one_or_none()
        return None if row is None else _deal(dict(row))

    async def list_page(
        self, conn: AsyncConnection, caller: Principal, wanted: DealFilter, *, after: int, limit: int
    ) -> tuple[list[Deal], int | None]:
        """A page of the deals that exist for the caller, in the order of arrival, and the position to read on after."""
        bound = {
            "tenant": caller.tenant,
            "customers": _bound(caller),
            "state": wanted.state.value if wanted.state else None,
            "project_id": wanted.project_id,
            "region": wanted.region,
            "after": after,
            "limit": limit + 1,
        }
        found = [dict(row) for row in (await conn.execute(_LIST, bound)).mappings()]
        following = found[limit - 1]["position"] if len(found) > limit else None
        return [_deal(row) for row in found[:limit]], following


def _bound(caller: Principal) -> list[str] | None:
    return None if caller.customers is None else sorted(caller.customers)


def _findings_json(findings: Sequence[Finding]) -> str:
    return json.dumps([finding.model_dump(mode="json") for finding in findings])


def _deal(row: dict[str, Any]) -> Deal:
    amount, currency = row.pop("amount"), row.pop("currency")
    row.pop("position")
    return Deal(**row, amount=None if amount is None else Money.of(amount, currency))
