"""`/journeys/v1`, `/kpis/v1`, `/events/v1`: reads across processes, and replay of facts."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Path, Query

from process_apis.rooms import rooms
from process_apis.views.journey_store import JourneyStore
from process_apis.views.kpi_store import Figure, KpiStore
from process_apis.views.models import Journey, Kpi, Kpis, LoggedFact, ReplayBody, ReplayOutcome, Unit
from shared.canonical.events import EVENT_TYPES
from shared.canonical.references import Page
from shared.errors.taxonomy import FieldFinding, InvalidRequest
from shared.persistence import Inbox
from shared.serving.parameters import ID_PATTERN, Limit, PlaceCursor
from shared.serving.principal import Caller

journeys = APIRouter(prefix="/journeys/v1", tags=["Journeys"])
kpis = APIRouter(prefix="/kpis/v1", tags=["Key figures"])
events = APIRouter(prefix="/events/v1", tags=["Event log"])
routers = (journeys, kpis, events)

OpportunityId = Annotated[
    str,
    Path(
        pattern=ID_PATTERN,
        max_length=120,
        description="Our id of the opportunity.",
        examples=["opp_uowvshkezju2kbbqurcu"],
    ),
]
_CONSUMERS = ("quote-to-project", "time-to-bill", "invoice-to-cash")


@journeys.get("/opportunities/{id}", summary="Read a deal's journey", operation_id="getJourney")
async def get_journey(caller: Caller, id: OpportunityId) -> Journey:  # noqa: A002 - the path parameter's public name
    """Every step in every system, where the deal stands, why it waits, who owns it, what to do."""
    house, store, tenant = rooms(), JourneyStore(), caller.tenant
    async with house.database.transaction() as conn:
        return Journey(
            deal=await store.deal(conn, tenant, id),
            lines=tuple(await house.journal.read(conn, tenant, id)),
            approvals=tuple(await house.approvals.of_subject(conn, tenant, id)),
            exceptions=tuple(await house.exceptions.of_subject(conn, tenant, id)),
            events=tuple(logged.event for logged in await house.events.list_events(conn, tenant, subject=id)),
            work=tuple(await store.work(conn, tenant, id)),
            invoices=tuple(await store.invoices(conn, tenant, id)),
        )


@kpis.get("/kpis", summary="Read key figures", operation_id="listKpis")
async def list_kpis(caller: Caller) -> Kpis:
    """How fast and how cleanly deals become projects and invoices, by region and legal entity."""
    house, store, tenant = rooms(), KpiStore(), caller.tenant
    deadlines = house.tenants.of(tenant).deadlines
    async with house.database.transaction() as conn:
        activation = await store.activation(conn, tenant)
        approvals = await store.approval_turnaround(conn, tenant)
        readiness = await store.invoice_readiness(conn, tenant)
        rate = await store.exception_rate(conn, tenant)
        backlog = await store.backlog(conn, tenant)
        overdue = await store.overdue_exceptions(conn, tenant)
        unbilled = await store.unbilled_work(conn, tenant)
    target = Decimal(deadlines.activation_hours)
    listed = (
        _kpi("closed_won_to_activation", "Closed won to active project", Unit.HOURS, activation, target),
        _kpi("approval_turnaround", "Approval asked to decided", Unit.HOURS, approvals),
        _kpi("invoice_readiness_lag", "Billable to posted invoice", Unit.HOURS, readiness),
        _kpi("exception_rate", "Deals that had findings", Unit.SHARE, rate),
        _kpi("deal_backlog", "Deals not active yet", Unit.COUNT, backlog),
        _kpi("overdue_exceptions", "Exceptions past their day", Unit.COUNT, overdue, Decimal(0)),
        _kpi("unbilled_work", "Ledger rows on no invoice yet", Unit.COUNT, unbilled),
    )
    return Kpis(as_of=datetime.now(UTC), kpis=listed)


def _kpi(name: str, title: str, unit: Unit, figure: Figure, target: Decimal | None = None) -> Kpi:
    return Kpi(
        name=name,
        title=title,
        unit=unit,
        value=figure.value,
        sample=figure.sample,
        target=target,
        by_region=figure.by_region,
        by_legal_entity=figure.by_legal_entity,
    )


@events.get("/events", summary="List events", operation_id="listEvents")
async def list_events(
    caller: Caller,
    type: Annotated[  # noqa: A002 - the query parameter's public name
        str | None,
        Query(
            pattern=r"^[a-z_.0-9]{1,100}$",
            max_length=100,
            description="Only events of this type.",
            examples=["invoice.posted.v1"],
        ),
    ] = None,
    subject: Annotated[
        str | None,
        Query(
            pattern=ID_PATTERN,
            max_length=120,
            description="Only events about this record.",
            examples=["opp_uowvshkezju2kbbqurcu"],
        ),
    ] = None,
    cursor: PlaceCursor = None,
    limit: Limit = 100,
) -> Page[LoggedFact]:
    """The facts this tier has stated, in log order."""
    house = rooms()
    async with house.database.transaction() as conn:
        found = await house.events.list_events(
            conn,
            caller.tenant,
            after=int(cursor or 0),
            types=[type] if type else None,
            subject=subject,
            limit=limit + 1,
        )
    page = [
        LoggedFact(
            sequence=each.sequence, recorded_at=each.recorded_at, published_at=each.published_at, event=each.event
        )
        for each in found[:limit]
    ]
    return Page(items=tuple(page), next_cursor=str(page[-1].sequence) if len(found) > limit else None)


@events.post("/replays", summary="Publish events again", operation_id="replayEvents", status_code=202)
async def replay_events(caller: Caller, body: ReplayBody) -> ReplayOutcome:
    """Publish again; consumers skip what they know unless asked to act again, and even then nothing happens twice."""
    _refuse_odd_filters(body)
    house, tenant = rooms(), caller.tenant
    narrowed = {"types": body.types, "subject": body.subject, "since": body.since, "before": body.before}
    async with house.database.transaction() as conn:
        found = [
            each.event
            for each in await house.events.list_events(conn, tenant, **narrowed, limit=10_000)  # pyright: ignore[reportArgumentType] - one set of filters for both calls
            if body.ids is None or each.event.id in body.ids
        ]
        if body.dry_run:
            return ReplayOutcome(events=len(found), dry_run=True)
        ids = [event.id for event in found]
        if body.act_again:
            for consumer in _CONSUMERS:
                await Inbox().forget(conn, consumer, [f"{event.source}#{event.id}" for event in found])
        replayed = await house.events.replay(conn, tenant, ids=ids)
    return ReplayOutcome(events=replayed, dry_run=False)


def _refuse_odd_filters(body: ReplayBody) -> None:
    wrong: list[FieldFinding] = []
    if body.ids is None and body.types is None and body.subject is None and body.since is None:
        wrong.append(FieldFinding("body.ids", "name at least one of ids, types, subject, since"))
    wrong += [
        FieldFinding(f"body.types.{number}", "is not a type of event")
        for number, name in enumerate(body.types or ())
        if name not in EVENT_TYPES
    ]
    if wrong:
        raise InvalidRequest(findings=wrong)
