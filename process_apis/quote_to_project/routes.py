"""`/quote-to-project/v1`: start, watch, resume and cancel deals; and the facts this process listens to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from process_apis.durable import engine
from process_apis.quote_to_project import steps
from process_apis.quote_to_project.models import (
    CancelBody,
    Deal,
    DealFilter,
    DealRequest,
    DealState,
    StartBody,
    Started,
)
from process_apis.quote_to_project.store import Deals
from process_apis.quote_to_project.workflow import quote_to_project
from process_apis.rooms import Subscriptions, rooms
from shared.canonical.events import (
    ContractChanged,
    CustomerChanged,
    Event,
    OpportunityChanged,
    OpportunityWon,
    ReferenceDataChanged,
)
from shared.canonical.references import Identifier, Page
from shared.errors.taxonomy import Conflict, NotFound
from shared.serving.parameters import Limit, PlaceCursor
from shared.serving.principal import Caller

router = APIRouter(prefix="/quote-to-project/v1", tags=["Quote to project"])
_RUN_ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,299}$"
RunId = Annotated[
    str,
    Path(
        pattern=_RUN_ID,
        max_length=300,
        description="Id of the run.",
        examples=["quote-to-project:harbour:opp_uowvshkezju2kbbqurcu:1"],
    ),
]
ProjectId = Annotated[
    Identifier | None, Query(description="Only the deal this project was set up for.", examples=["prj_4r7c2m5xk3ta"])
]
Region = Annotated[
    str | None,
    Query(
        min_length=1, max_length=100, pattern=r"^[^\x00]*$", description="Only deals of this region.", examples=["EMEA"]
    ),
]
_deals = Deals()

# Which findings a change of reference data may clear.
_CLEARED_BY = {
    "legal_entity": ("currency_mismatch", "legal_entity_not_approved", "legal_entity_unknown"),
    "service_item": ("service_code_unmapped",),
    "rate_card": (),
}
_CONSUMER = "quote-to-project"


@router.get("/runs", summary="List deals", operation_id="listDeals")
async def list_runs(
    caller: Caller,
    status: Annotated[DealState | None, Query(description="Only deals in this state.")] = None,
    project_id: ProjectId = None,
    region: Region = None,
    cursor: PlaceCursor = None,
    limit: Limit = 100,
) -> Page[Deal]:
    """Deals in the order they arrived; those of other customers do not exist for a caller bound to some customers."""
    wanted = DealFilter(state=status, project_id=project_id, region=region)
    async with rooms().database.transaction() as conn:
        items, following = await _deals.list_page(conn, caller, wanted, after=int(cursor or 0), limit=limit)
    return Page(items=tuple(items), next_cursor=None if following is None else str(following))


@router.post("/runs", summary="Start a deal", operation_id="startDeal", status_code=202)
async def start_run(caller: Caller, body: StartBody) -> Started:
    """Work on a won opportunity as it stands in the CRM; its revision is worked on once, whoever asks."""
    request = await steps.won_opportunity(caller.tenant, body.opportunity_id, caller.subject)
    was_started = await engine.start(quote_to_project, request.run_id, request)
    return Started(run_id=request.run_id, was_started=was_started)


@router.get("/runs/{id}", summary="Read a deal", operation_id="getDeal")
async def get_run(caller: Caller, id: RunId) -> Deal:  # noqa: A002 - the path parameter's public name
    """Where a deal stands."""
    async with rooms().database.transaction() as conn:
        deal = await _deals.find_visible(conn, caller, id)
    if deal is None:
        raise NotFound(f"There is no run {id}.")
    return deal


@router.post("/runs/{id}/resume", summary="Resume a deal", operation_id="resumeDeal", status_code=202)
async def resume_run(caller: Caller, id: RunId) -> Deal:  # noqa: A002 - the path parameter's public name
    """Let a waiting deal look again at once, and a stuck one go on where it stood."""
    deal = await _deal(caller.tenant, id)
    run = await engine.outcome(id)
    if run is not None and run.state in {engine.RunState.CANCELLED, engine.RunState.STUCK}:
        await engine.resume(id)
    elif run is None or run.state not in {engine.RunState.RUNNING, engine.RunState.QUEUED}:
        raise Conflict(f"The deal is {deal.state.value.replace('_', ' ')}; there is nothing to resume.")
    else:
        await engine.notify(id, steps.SIGNAL, {"because": f"resumed by {caller.subject}"})
    return deal


@router.post("/runs/{id}/cancel", summary="Cancel a deal", operation_id="cancelDeal", status_code=202)
async def cancel_run(caller: Caller, id: RunId, body: CancelBody) -> Deal:  # noqa: A002 - the path parameter's public name
    """End a waiting deal; what was set up is taken out of use. Not once its contract is entered in the ERP."""
    deal = await _deal(caller.tenant, id)
    async with rooms().database.transaction() as conn:
        if not await _deals.cancel(conn, caller.tenant, id, who=caller.subject, because=body.because):
            raise Conflict(
                f"The deal is {deal.state.value.replace('_', ' ')}. Only a waiting deal can be cancelled, "
                "and only until its contract is entered in the ERP."
            )
    for topic in (steps.SIGNAL, steps.DECISION):
        await engine.notify(id, topic, {"because": "cancelled"}, key=f"cancelled:{topic}:{id}")
    return deal


async def _deal(tenant: str, run_id: str) -> Deal:
    async with rooms().database.transaction() as conn:
        deal = await _deals.find(conn, tenant, run_id)
    if deal is None:
        raise NotFound(f"There is no run {run_id}.")
    return deal


def register(subscriptions: Subscriptions) -> None:
    """Won opportunities start deals; changed sources wake the parked deals they concern."""
    for event_type in (
        "opportunity.won.v1",
        "opportunity.changed.v1",
        "customer.changed.v1",
        "contract.changed.v1",
        "reference_data.changed.v1",
    ):
        subscriptions.on(event_type, consumer=_CONSUMER, act=take_in)


async def take_in(event: Event) -> None:
    """Act on a fact. Repeated, late or out of order: harmless, for a deal is checked against its sources."""
    body = event.body()
    match body:
        case OpportunityWon():
            request = DealRequest(
                tenant=event.tenant,
                opportunity_id=body.opportunity_id,
                revision=body.revision,
                won_at=event.time,
                correlation_id=event.correlationid or event.id,
            )
            if not await engine.start(quote_to_project, request.run_id, request):
                await _wake(event.tenant, opportunity_id=body.opportunity_id, because="the opportunity changed")
        case OpportunityChanged() | ContractChanged():
            await _wake(event.tenant, opportunity_id=body.opportunity_id, because=f"{event.type} arrived")
        case CustomerChanged():
            await _wake(event.tenant, customer_id=body.customer_id, because="the customer changed")
        case ReferenceDataChanged():
            rooms().systems.of(event.tenant).erp.forget_reference_data()
            await _wake_by_codes(event.tenant, _CLEARED_BY[body.kind], because=f"the ERP's {body.kind} data changed")
        case _:
            return


async def _wake(
    tenant: str, *, because: str, opportunity_id: str | None = None, customer_id: str | None = None
) -> None:
    house = rooms()
    async with house.database.transaction() as conn:
        subjects = await _deals.touch(conn, tenant, opportunity_id=opportunity_id, customer_id=customer_id)
        waiting = await house.exceptions.wake_subjects(conn, tenant, subjects, because=because) if subjects else []
    for each in waiting:
        await engine.notify(each.run_id, each.topic, {"because": because})


async def _wake_by_codes(tenant: str, codes: tuple[str, ...], *, because: str) -> None:
    house = rooms()
    async with house.database.transaction() as conn:
        await _deals.touch(conn, tenant)
        waiting = await house.exceptions.wake_codes(conn, tenant, codes, because=because) if codes else []
    for each in waiting:
        await engine.notify(each.run_id, each.topic, {"because": because})
