"""`/partner/v2`: project status for delivery partners."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from experience_apis.desk.asking import Asking, Limit, PlaceCursor
from experience_apis.desk.models import ID_PATTERN, ShapedPage
from experience_apis.partner import screens
from experience_apis.partner.models import PartnerProject, StatusCode
from experience_apis.processes.tier import Processes
from experience_apis.wording.catalog import AskedWording
from shared.errors.taxonomy import NotFound

router = APIRouter(prefix="/partner/v2", tags=["partner"])
Region = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="Only projects delivered in this region.",
        examples=["EMEA"],
    ),
]
ProjectId = Annotated[
    str,
    Path(pattern=ID_PATTERN, max_length=120, description="Our id of the project.", examples=["prj_4r7c2m5xk3ta"]),
]


@router.get("/projects", operation_id="listProjects", summary="Projects and where they stand")
async def list_projects(
    caller: Asking,
    processes: Processes,
    words: AskedWording,
    status: Annotated[
        StatusCode, Query(description="Only projects that stand there.", examples=["active"])
    ] = StatusCode.ACTIVE,
    region: Region = None,
    cursor: PlaceCursor = None,
    limit: Limit = 50,
) -> ShapedPage[PartnerProject]:
    """Projects of the customers the caller may see; active ones unless asked otherwise."""
    state = screens.DEAL_STATES[status]
    page = await processes.deals.list_deals(caller, state=state, region=region, cursor=cursor, limit=limit)
    return screens.project_list(page, caller.principal, words)


@router.get("/projects/{project_id}", operation_id="readProject", summary="One project")
async def read_project(
    caller: Asking, processes: Processes, words: AskedWording, project_id: ProjectId
) -> PartnerProject:
    """Where it stands."""
    page = await processes.deals.list_deals(caller, state=None, project_id=project_id, cursor=None, limit=200)
    told = [deal for deal in page.items if deal.project_id == project_id and screens.is_told(deal, caller.principal)]
    if not told:
        raise NotFound(f"There is no project {project_id}.")
    return screens.partner_project(told[-1], words)
