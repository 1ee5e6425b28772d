"""`/psa/v1`: projects, the work done on them, and billing marks in the tenant's PSA."""

from __future__ import annotations

from fastapi import APIRouter, Response

from shared.canonical.billing import BillingMark
from shared.canonical.projects import Project, ProjectPlan
from shared.canonical.references import Page, Written
from shared.canonical.time import Expense, MilestoneCompletion, TimeEntry
from shared.errors.taxonomy import FieldFinding, InvalidRequest, NotFound
from system_apis.crossref_store import CrossReference
from system_apis.routes.parameters import Caller, Cursor, EntityId, InRooms, Limit, ModifiedSince

router = APIRouter(prefix="/psa/v1", tags=["PSA"])


def project_references(project: Project) -> list[CrossReference]:
    """What a placed project teaches the registry."""
    system = project.source.system
    return [
        CrossReference("project", project.id, system, project.source.ref),
        *(CrossReference("workstream", part.id, system, part.ref) for part in project.workstreams),
        *(CrossReference("milestone", part.id, system, part.ref) for part in project.milestones),
    ]


def same_id(path_id: str, body_id: str, field: str) -> None:
    """Path and body must name the same record. Raises InvalidRequest."""
    if path_id != body_id:
        raise InvalidRequest(findings=[FieldFinding(f"body.{field}", f"must equal the id in the path ({path_id})")])


@router.get("/projects/{project_id}", summary="Read a project", operation_id="getPsaProject")
async def get_project(caller: Caller, rooms: InRooms, project_id: EntityId) -> Project:
    """Where the project and its children stand in the PSA."""
    psa, _ = rooms.catalog.psa(caller.tenant)
    project = await psa.find_project(project_id)
    if project is None:
        raise NotFound(f"The PSA has no project {project_id}.")
    return project


@router.put("/projects/{project_id}", summary="Create a project", operation_id="putPsaProject")
async def put_project(caller: Caller, rooms: InRooms, project_id: EntityId, plan: ProjectPlan) -> Project:
    """Parent, children and milestones. Repeat: only what is missing is made."""
    same_id(project_id, plan.id, "id")
    psa, _ = rooms.catalog.psa(caller.tenant)
    async with rooms.references.one_at_a_time(caller.tenant, "psa_project", project_id):
        project = await psa.create_project(plan)
    await rooms.references.record(caller.tenant, project_references(project))
    return project


@router.delete("/projects/{project_id}", summary="Close a project", operation_id="closePsaProject", status_code=204)
async def close_project(caller: Caller, rooms: InRooms, project_id: EntityId) -> Response:
    """Take the project out of use."""
    psa, _ = rooms.catalog.psa(caller.tenant)
    await psa.close_project(project_id)
    return Response(status_code=204)


@router.get("/time-entries", summary="List time entries", operation_id="listTimeEntries")
async def list_time_entries(
    caller: Caller, rooms: InRooms, modified_since: ModifiedSince = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[TimeEntry]:
    """Hours on our projects, oldest change first, approved or not."""
    psa, _ = rooms.catalog.psa(caller.tenant)
    return await psa.list_time_entries(modified_since=modified_since, cursor=cursor, limit=limit)


@router.get("/expenses", summary="List expenses", operation_id="listExpenses")
async def list_expenses(
    caller: Caller, rooms: InRooms, modified_since: ModifiedSince = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[Expense]:
    """Expenses on our projects, oldest change first."""
    psa, _ = rooms.catalog.psa(caller.tenant)
    return await psa.list_expenses(modified_since=modified_since, cursor=cursor, limit=limit)


@router.get("/milestones", summary="List milestone completions", operation_id="listMilestones")
async def list_milestones(
    caller: Caller, rooms: InRooms, modified_since: ModifiedSince = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[MilestoneCompletion]:
    """Completed milestones of our projects, oldest change first."""
    psa, _ = rooms.catalog.psa(caller.tenant)
    return await psa.list_milestones(modified_since=modified_since, cursor=cursor, limit=limit)


@router.get("/billing-marks/{invoice_id}", summary="Read a billing mark", operation_id="getBillingMark")
async def get_billing_mark(caller: Caller, rooms: InRooms, invoice_id: EntityId) -> Written:
    """Where the PSA keeps the mark of an invoice."""
    psa, _ = rooms.catalog.psa(caller.tenant)
    mark = await psa.find_billing_mark(invoice_id)
    if mark is None:
        raise NotFound(f"The PSA has no billing mark for invoice {invoice_id}.")
    return mark


@router.put("/billing-marks/{invoice_id}", summary="Mark records as billed", operation_id="putBillingMark")
async def put_billing_mark(caller: Caller, rooms: InRooms, invoice_id: EntityId, mark: BillingMark) -> Written:
    """Tell the PSA which records stand on the invoice. Repeat: recognised by the invoice id."""
    same_id(invoice_id, mark.invoice_id, "invoice_id")
    psa, system = rooms.catalog.psa(caller.tenant)
    async with rooms.references.one_at_a_time(caller.tenant, "billing_mark", invoice_id):
        written = await psa.mark_billed(mark)
    mark_of = CrossReference("billing_mark", invoice_id, system, written.source.ref)
    await rooms.references.record(caller.tenant, [mark_of])
    return written
