"""`/partner/v1`, deprecated: the answers of `/partner/v2`, translated at the door; no behaviour of its own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from experience_apis.desk.asking import Asking, Limit, PlaceCursor
from experience_apis.desk.models import ShapedPage
from experience_apis.partner import routes as v2
from experience_apis.partner.models_v1 import ProjectStatus, State
from experience_apis.partner.translation import v1_page, v1_project, v2_status
from experience_apis.processes.tier import Processes
from experience_apis.wording.catalog import AskedWording

router = APIRouter(prefix="/partner/v1", tags=["partner"])


@router.get("/projects", operation_id="listPartnerProjects", summary="Projects and where they stand")
async def list_projects(
    caller: Asking,
    processes: Processes,
    words: AskedWording,
    state: Annotated[State, Query(description="Being set up, or active.", examples=["activated"])] = "activated",
    region: v2.Region = None,
    cursor: PlaceCursor = None,
    limit: Limit = 50,
) -> ShapedPage[ProjectStatus]:
    """Projects of the caller's tenant; active ones unless asked otherwise."""
    return v1_page(await v2.list_projects(caller, processes, words, v2_status(state), region, cursor, limit))


@router.get("/projects/{project_id}", operation_id="readPartnerProject", summary="One project")
async def read_project(
    caller: Asking, processes: Processes, words: AskedWording, project_id: v2.ProjectId
) -> ProjectStatus:
    """Where it stands."""
    return v1_project(await v2.read_project(caller, processes, words, project_id))
