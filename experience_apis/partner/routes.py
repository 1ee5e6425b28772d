"""`/partner/v1`: project status for delivery partners."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from experience_apis.desk.asking import Asking, Limit, PlaceCursor
from experience_apis.desk.models import ShapedPage
from experience_apis.partner import screens
from experience_apis.partner.models import ProjectStatus
from experience_apis.processes.tier import Processes
from experience_apis.wording.catalog import AskedWording

router = APIRouter(prefix="/partner/v1", tags=["partner"])


@router.get("/projects", operation_id="listPartnerProjects", summary="Projects and where they stand")
async def list_projects(
    caller: Asking,
    processes: Processes,
    words: AskedWording,
    state: Annotated[
        Literal["provisioning", "activated"], Query(description="Being set up, or active.", examples=["activated"])
    ] = "activated",
    cursor: PlaceCursor = None,
    limit: Limit = 50,
) -> ShapedPage[ProjectStatus]:
    """Projects of the caller's tenant; active ones unless asked otherwise."""
    return screens.project_list(
        await processes.deals.list_deals(caller, state=state, cursor=cursor, limit=limit), words
    )
