"""The hands of quote-to-project from the agreement on: customer, project, contract, schedule, activation, and undo."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from weakref import WeakValueDictionary

from process_apis.durable import engine
from process_apis.quote_to_project.models import DealOutcome, DealPlan, DealRequest, DealState
from process_apis.quote_to_project.steps import note
from process_apis.quote_to_project.store import Deals
from process_apis.rooms import rooms
from shared.canonical.events import Event, ProjectActivated, event_type
from shared.canonical.projects import Project
from shared.errors.taxonomy import Conflict, NotFound
from shared.telemetry import counter

_MOST_ANCESTORS = 10
_deals = Deals()
_customer_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


class Withdrawn(Conflict):
    """The deal is to end before anything was set up."""

    code = "deal_withdrawn"
    sentence = "The deal was cancelled, or a newer revision has taken over."


@engine.step("open customer", lane="erp")
async def open_customer(request: DealRequest, plan: DealPlan) -> None:
    """The customer, below its ancestors, exists in the ERP and is usable by the legal entity.

    It is sent as the CRM has it now: what the ERP refused may have been put right since the deal was checked.
    """
    house = rooms()
    systems = house.systems.of(request.tenant)
    async with house.database.transaction() as conn:
        if not await _deals.begin_set_up(conn, request):
            raise Withdrawn
    try:
        lineage = [await systems.crm.get_customer(plan.customer.id)]
    except NotFound:
        lineage = [plan.customer]
    while (parent_id := lineage[-1].parent_id) and len(lineage) < _MOST_ANCESTORS:
        if any(parent_id == each.id for each in lineage):
            break
        try:
            lineage.append(await systems.crm.get_customer(parent_id))
        except NotFound:
            break
    written = None
    for customer in reversed(lineage):
        # Deals of one customer arrive together; one at a time they find what the other has made.
        async with _customer_locks.setdefault(customer.id, asyncio.Lock()):
            written = await systems.erp.amend_customer(customer, plan.legal_entity.code)
    async with house.database.transaction() as conn:
        sentence = f"{plan.customer.name} is a customer of {plan.legal_entity.code} in the ERP."
        ref = written.source.ref if written else None
        await note(conn, request, "customer", sentence, system="erp", ref=ref)


@engine.step("open project", lane="psa")
async def open_project(request: DealRequest, plan: DealPlan) -> Project:
    """The project with its workstreams and milestones exists in the PSA."""
    project = await rooms().systems.of(request.tenant).psa.create_project(plan.project)
    async with rooms().database.transaction() as conn:
        sentence = f"Project {plan.project.name} with {len(plan.project.workstreams)} workstreams stands in the PSA."
        await note(
            conn, request, "psa project", sentence, system="psa", ref=project.source.ref, amount=plan.project.budget
        )
    return project


@engine.step("close project", lane="psa")
async def close_project(request: DealRequest, plan: DealPlan) -> None:
    """Undo of `open_project`."""
    await rooms().systems.of(request.tenant).psa.close_project(plan.project.id)
    async with rooms().database.transaction() as conn:
        await note(conn, request, "psa project closed", "The project was taken out of use in the PSA.", system="psa")


@engine.step("open account", lane="erp")
async def open_account(request: DealRequest, plan: DealPlan) -> None:
    """The project exists in the ERP, where costs and invoices refer to it."""
    project = await rooms().systems.of(request.tenant).erp.amend_project(plan.project)
    async with rooms().database.transaction() as conn:
        sentence = f"Project {plan.project.name} stands in the ERP."
        await note(conn, request, "erp project", sentence, system="erp", ref=project.source.ref)


@engine.step("close account", lane="erp")
async def close_account(request: DealRequest, plan: DealPlan) -> None:
    """Undo of `open_account`."""
    await rooms().systems.of(request.tenant).erp.close_project(plan.project.id)
    async with rooms().database.transaction() as conn:
        await note(conn, request, "erp project closed", "The project was taken out of use in the ERP.", system="erp")


@engine.step("enter contract", lane="erp")
async def enter_contract(request: DealRequest, plan: DealPlan) -> None:
    """The contract stands in the ERP; from here on the deal can only go forward."""
    house = rooms()
    async with house.database.transaction() as conn:
        await _deals.pass_point_of_no_return(conn, request)
    written = await house.systems.of(request.tenant).erp.amend_contract(plan.erp_contract)
    async with house.database.transaction() as conn:
        sentence = f"Contract {plan.contract.reference} stands in the ERP."
        await note(conn, request, "erp contract", sentence, system="erp", ref=written.source.ref)


@engine.step("enter billing schedule", lane="erp")
async def enter_schedule(request: DealRequest, plan: DealPlan) -> None:
    """The amounts agreed for milestones stand in the ERP."""
    written = await rooms().systems.of(request.tenant).erp.amend_billing_schedule(plan.schedule)
    async with rooms().database.transaction() as conn:
        sentence = f"A billing schedule with {len(plan.schedule.entries)} milestones stands in the ERP."
        await note(conn, request, "erp schedule", sentence, system="erp", ref=written.source.ref)


@engine.step("activate deal")
async def activate_deal(request: DealRequest, plan: DealPlan) -> DealOutcome:
    """The deal is active: its row and the event stand or fall together."""
    house = rooms()
    body = ProjectActivated(
        opportunity_id=request.opportunity_id,
        project_id=plan.project.id,
        contract_id=plan.contract.id,
        customer_id=plan.customer.id,
    )
    event = Event(
        id=f"activated-{plan.project.id}-{request.revision}",
        source="/process/quote-to-project",
        type=event_type(body),
        subject=request.opportunity_id,
        time=datetime.now(UTC),
        tenant=request.tenant,
        correlationid=request.correlation_id,
        data=body.model_dump(mode="json"),
    )
    async with house.database.transaction() as conn:
        await _deals.activate(conn, request, plan)
        await house.events.append(conn, [event])
        await note(conn, request, "activated", "The project is active; work can be booked and billed.")
    counter("throughline_process_deals_total", ["state"]).labels(DealState.ACTIVATED.value).inc()
    return DealOutcome(state=DealState.ACTIVATED, project_id=plan.project.id)
