"""The hands of quote-to-project up to the agreement: checks, parking, approvals, what the account team sees."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from process_apis.approvals.models import Approval, ApprovalRequest, ApprovalState
from process_apis.durable import engine
from process_apis.exceptions.models import Finding, OwnerRole, Parking
from process_apis.journal.models import Entry
from process_apis.quote_to_project.models import (
    Ability,
    Admission,
    Asked,
    Check,
    DealFacts,
    DealOutcome,
    DealPlan,
    DealRequest,
    DealState,
    Verdict,
    Wish,
)
from process_apis.quote_to_project.plans import deal_plan
from process_apis.quote_to_project.rules import findings, schema_findings
from process_apis.quote_to_project.store import Deals
from process_apis.rooms import rooms
from shared.canonical.customers import Customer
from shared.canonical.opportunities import DeliveryStage, DeliveryStatus, Opportunity
from shared.errors.taxonomy import Misconfigured, NotFound, PlatformError, QuoteNotWon, VendorDrift, VendorRejected
from shared.persistence import Transaction
from shared.telemetry import correlation_id, counter

PROCESS = "quote_to_project"
SIGNAL = "signal"
DECISION = "decision"
_deals = Deals()
_moves = counter("throughline_process_deals_total", ["state"], "Deals by the state they came to; a retry counts again.")


async def note(conn: Transaction, request: DealRequest, step: str, sentence: str, **more: Any) -> None:
    """Write the journal line of a step. Repeat: the first line stays."""
    entry = Entry(
        tenant=request.tenant,
        subject_id=request.opportunity_id,
        run_id=request.run_id,
        step=step,
        sentence=sentence,
        correlation_id=request.correlation_id,
        **more,
    )
    await rooms().journal.write(conn, entry)


async def won_opportunity(tenant: str, opportunity_id: str, requested_by: str) -> DealRequest:
    """The request to work on an opportunity as it stands in the CRM. Raises NotFound, QuoteNotWon. Not a step."""
    opportunity = await rooms().systems.of(tenant).crm.get_opportunity(opportunity_id)
    if not opportunity.is_won:
        raise QuoteNotWon(f"Opportunity {opportunity.reference} is not closed won.")
    return DealRequest(
        tenant=tenant,
        opportunity_id=opportunity_id,
        revision=opportunity.revision,
        won_at=datetime.now(UTC),
        requested_by=requested_by,
        correlation_id=correlation_id.get(),
    )


@engine.step("admit deal")
async def admit_deal(request: DealRequest) -> Admission:
    """Take the revision in; runs of older ones are told to end."""
    house = rooms()
    async with house.database.transaction() as conn:
        admission, superseded = await _deals.admit(conn, request)
        for run_id in superseded:
            await house.approvals.withdraw(conn, request.tenant, run_id, "A newer revision has taken over.")
            await house.exceptions.drop(conn, request.tenant, run_id, why="A newer revision has taken over.")
        if admission is Admission.ADMITTED:
            await note(conn, request, "admit", f"Revision {request.revision} of the won opportunity was taken in.")
        else:
            told = (
                f"Revision {request.revision} came after a newer one, or after the deal was set up; nothing was done."
            )
            await note(conn, request, "admit", told)
    for run_id in superseded:
        for topic in (SIGNAL, DECISION):
            await engine.notify(run_id, topic, {"because": "superseded"}, key=f"superseded:{topic}:{request.run_id}")
    return admission


@engine.step("check deal", lane="crm")
async def check_deal(request: DealRequest) -> Check:
    """Read everything the rules look at and apply them: all findings, or the plan.

    Where it cannot be read because a schema changed, that is the finding.
    """
    house = rooms()
    async with house.database.transaction() as conn:
        await _deals.checking(conn, request)
        await house.exceptions.checking(conn, request.tenant, request.run_id)
        aliases = await house.exceptions.product_aliases(conn, request.tenant)
    try:
        facts = await _gathered(request, aliases)
    except (VendorDrift, VendorRejected, Misconfigured):  # without the field, or refused who asks for it
        changed = await _changed_schemas(request)
        if not changed:
            raise
        return Check(findings=changed)
    rules = house.tenants.of(request.tenant)
    found = findings(facts, rules.tax_id_countries)
    async with house.database.transaction() as conn:
        asker = _asker(request, facts.opportunity)
        await _deals.describe(conn, request, facts, found, requested_by=asker)
        if not found:
            await house.exceptions.resolve(conn, request.tenant, request.run_id, how="All findings are gone.")
            await note(conn, request, "checked", "The deal was checked: nothing stands in its way.")
    return Check(findings=found, plan=None if found else deal_plan(facts, rules), region=facts.opportunity.region)


async def _gathered(request: DealRequest, aliases: dict[str, str]) -> DealFacts:
    systems = rooms().systems.of(request.tenant)
    opportunity, contract, entities, items, abilities = await asyncio.gather(
        systems.crm.get_opportunity(request.opportunity_id),
        systems.crm.find_contract(request.opportunity_id),
        systems.erp.list_legal_entities(),
        systems.erp.list_service_items(),
        _abilities(request),
    )
    return DealFacts(
        opportunity=opportunity,
        customer=await _customer_of(request, opportunity),
        contract=contract,
        legal_entities=entities,
        service_items=items,
        product_aliases=aliases,
        abilities=abilities,
    )


async def _abilities(request: DealRequest, *, now: bool = False) -> tuple[Ability, ...]:
    connected = await rooms().systems.of(request.tenant).connectors.list_connectors(now=now)
    return tuple(Ability.model_validate(one.model_dump()) for one in connected)


async def _changed_schemas(request: DealRequest) -> tuple[Finding, ...]:
    """Findings of all systems as they stand now: which of them the deal is about could not be read."""
    try:
        return schema_findings(await _abilities(request, now=True))
    except PlatformError:
        return ()


def _asker(request: DealRequest, opportunity: Opportunity) -> str:
    """Who asked for the deal, in the words of tokens; segregation of duties compares it with who decides."""
    return request.requested_by or rooms().tenants.of(request.tenant).subject_of(opportunity.owner)


async def _customer_of(request: DealRequest, opportunity: Opportunity) -> Customer | None:
    try:
        return await rooms().systems.of(request.tenant).crm.get_customer(opportunity.customer_id)
    except NotFound:
        return None


@engine.step("park deal")
async def park_deal(request: DealRequest, found: tuple[Finding, ...], region: str | None) -> bool:
    """The deal waits for people: one exception item holds everything that stands in its way.

    True when a source may have changed since the deal was checked: nobody will wake it for that, as there was no item.
    """
    house = rooms()
    codes = sorted({finding.code for finding in found})
    digest = hashlib.sha256("|".join(f"{each.code}{each.field}{each.reason}" for each in found).encode()).hexdigest()[
        :12
    ]
    hours = house.tenants.of(request.tenant).deadlines.exception_hours
    async with house.database.transaction() as conn:
        await _deals.move(conn, request, DealState.EXCEPTION)
        await _deals.keep_findings(conn, request, found)
        await house.exceptions.park(
            conn,
            Parking(
                tenant=request.tenant,
                process=PROCESS,
                subject_id=request.opportunity_id,
                run_id=request.run_id,
                topic=SIGNAL,
                title=f"Deal cannot be set up: {', '.join(codes)}",
                findings=found,
                region=region,
                due_in_hours=hours,
            ),
        )
        await note(
            conn, request, f"parked {digest}", f"The deal waits: {' '.join(each.reason for each in found)}"[:1000]
        )
        is_stale = await _deals.is_stale(conn, request)
    _moves.labels(DealState.EXCEPTION.value).inc()
    return is_stale


def trouble_findings(doing: str, trouble: PlatformError) -> tuple[Finding, ...]:
    """A failed act as findings an operator can read: what was being done, and why it failed."""
    system = str(trouble.extra.get("system", "integration"))
    remedy = "Look at the cause, then retry; what was done already is recognised and not done twice."
    reasons = trouble.findings or ()
    first = Finding(
        code=trouble.code,
        field=doing,
        reason=f"Could not {doing}: {trouble.message}"[:1000],
        owner=OwnerRole.OPERATIONS,
        remedy=remedy,
    )
    rest = (
        Finding(
            code=trouble.code,
            field=f"{system}.{each.field}"[:200],
            reason=each.reason[:1000],
            owner=OwnerRole.OPERATIONS,
            remedy=remedy,
        )
        for each in reasons
    )
    return (first, *rest)


@engine.step("clear trouble")
async def clear_trouble(request: DealRequest, doing: str) -> None:
    """What failed has worked now."""
    house = rooms()
    async with house.database.transaction() as conn:
        await _deals.move(conn, request, DealState.PROVISIONING)
        await _deals.keep_findings(conn, request, ())
        await house.exceptions.resolve(conn, request.tenant, request.run_id, how=f"It worked now: {doing}.")


@engine.step("tell the crm", lane="crm")
async def tell_crm(request: DealRequest, status: DeliveryStatus) -> None:
    """Write the delivery status to the CRM unless it says so already."""
    house = rooms()
    told = f"{status.stage.value}|{status.project_id or ''}|{status.message or ''}"
    async with house.database.transaction() as conn:
        if await _deals.told_crm(conn, request) == told:
            return
    await house.systems.of(request.tenant).crm.amend_delivery_status(request.opportunity_id, status)
    async with house.database.transaction() as conn:
        await _deals.keep_told(conn, request, told)
        sentence = f"The account team sees the deal as {status.stage.value.replace('_', ' ')}."
        await note(conn, request, f"told {hashlib.sha256(told.encode()).hexdigest()[:12]}", sentence, system="crm")


@engine.step("was the crm told")
async def was_told(request: DealRequest) -> bool:
    """Whether the CRM shows anything about this deal's delivery."""
    async with rooms().database.transaction() as conn:
        return await _deals.told_crm(conn, request) is not None


@engine.step("request approvals")
async def request_approvals(request: DealRequest, plan: DealPlan, number: int) -> Asked:
    """Ask for the approvals the rules demand, with what the deciders are to see."""
    house = rooms()
    opportunity = plan.opportunity
    days = house.tenants.of(request.tenant).approvals.expires_after_days
    ids = [f"apr-{kind.value}-{request.opportunity_id}-{request.revision}-{number}" for kind in plan.approvals]
    async with house.database.transaction() as conn:
        await _deals.move(conn, request, DealState.AWAITING_APPROVAL)
        await _deals.keep_kinds(conn, request, plan.approvals)
        for approval_id, kind in zip(ids, plan.approvals, strict=True):
            await house.approvals.request(
                conn,
                ApprovalRequest(
                    tenant=request.tenant,
                    id=approval_id,
                    kind=kind,
                    group_id=f"{request.run_id}:{number}",
                    subject_id=request.opportunity_id,
                    run_id=request.run_id,
                    topic=DECISION,
                    title=f"{opportunity.reference} {opportunity.name}"[:1000],  # no amounts: not everybody sees them
                    requested_by=_asker(request, opportunity),
                    amount=opportunity.amount,
                    snapshot=_shown(plan),
                    expires_at=datetime.now(UTC) + timedelta(days=days),
                ),
            )
        wanted = " and ".join(kind.value for kind in plan.approvals)
        await note(
            conn, request, f"approvals {number}", f"Approval by {wanted} was asked for.", amount=opportunity.amount
        )
        was_told = await _deals.told_crm(conn, request) is not None
    return Asked(approval_ids=tuple(ids), was_told=was_told)


def _shown(plan: DealPlan) -> dict[str, Any]:
    return {
        "opportunity": plan.opportunity.model_dump(mode="json"),
        "customer": plan.customer.model_dump(mode="json"),
        "contract": plan.contract.model_dump(mode="json"),
        "legal_entity": plan.legal_entity.model_dump(mode="json"),
        "project": plan.project.model_dump(mode="json"),
    }


@engine.step("read verdict")
async def read_verdict(request: DealRequest, asked: Asked, number: int) -> Verdict:
    """How the approvals stand and whether the deal is to end; a refusal takes back what is still asked."""
    house = rooms()
    async with house.database.transaction() as conn:
        standing = await house.approvals.standing(conn, request.tenant, asked.approval_ids)
        state = _verdict(standing)
        said = " ".join(_said(each) for each in standing if each.decided_by)
        if state in {ApprovalState.REJECTED, ApprovalState.EXPIRED}:
            await house.approvals.withdraw(conn, request.tenant, request.run_id, f"another approval is {state.value}")
        for each in standing:
            if each.decided_by:
                await note(conn, request, f"decided {each.kind.value} {number}", _said(each), by=each.decided_by)
        is_stale, wish = await _deals.is_stale(conn, request), await _deals.wish(conn, request)
        return Verdict(state=state, said=said[:1000], is_stale=is_stale, wish=wish)


def _verdict(standing: list[Approval]) -> ApprovalState:
    states = {each.state for each in standing}
    if ApprovalState.REJECTED in states:
        return ApprovalState.REJECTED
    if states & {ApprovalState.EXPIRED, ApprovalState.WITHDRAWN}:
        return ApprovalState.EXPIRED
    return ApprovalState.OPEN if ApprovalState.OPEN in states else ApprovalState.APPROVED


def _said(approval: Approval) -> str:
    comment = f": {approval.comment}" if approval.comment else "."
    return f"{approval.kind.value.capitalize()} {approval.state.value} by {approval.decided_by}{comment}"


@engine.step("read wish")
async def read_wish(request: DealRequest) -> Wish | None:
    """Whether the deal is to end without a project."""
    async with rooms().database.transaction() as conn:
        return await _deals.wish(conn, request)


@engine.step("stop deal")
async def stop_deal(request: DealRequest, state: DealState, why: str) -> DealOutcome:
    """The deal ends without a project."""
    house = rooms()
    async with house.database.transaction() as conn:
        await _deals.move(conn, request, state)
        await house.exceptions.drop(conn, request.tenant, request.run_id, why=why)
        await house.approvals.withdraw(conn, request.tenant, request.run_id, why)
        await note(conn, request, "stopped", why)
    _moves.labels(state.value).inc()
    return DealOutcome(state=state, message=why)


def parked_status(found: tuple[Finding, ...]) -> DeliveryStatus:
    """What the account team sees of a parked deal."""
    codes = "; ".join(sorted({each.code for each in found}))
    return DeliveryStatus(stage=DeliveryStage.EXCEPTION, message=f"Waiting: {codes}"[:1000])
