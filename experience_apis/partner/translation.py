"""The translator at the door: what `/partner/v1` asks and tells, said in `/partner/v2`; pure, so it can be proved.

Every answer of v2 has one in v1 (`tests/unit/experience/test_partner_translation.py`); a change of v2 that has none
fails there before it reaches a caller.
"""

from __future__ import annotations

from typing import Final

from experience_apis.desk.models import ShapedPage
from experience_apis.partner.models import PartnerProject, StatusCode
from experience_apis.partner.models_v1 import ProjectStatus, State

_STATES: Final[dict[StatusCode, State]] = {
    StatusCode.BEING_SET_UP: "provisioning",
    StatusCode.ACTIVE: "activated",
}
_CODES: Final[dict[str, StatusCode]] = {state: code for code, state in _STATES.items()}


def v2_status(state: State) -> StatusCode:
    """The filter `state` of v1 as v2's `status`."""
    return _CODES[state]


def v1_project(project: PartnerProject) -> ProjectStatus:
    """A project of v2 as v1 tells it: the status laid flat, the old names, nothing that v1 does not know."""
    return ProjectStatus(
        project_id=project.id,
        reference=project.deal_reference,
        region=project.region,
        state=_STATES[project.status.code],
        state_label=project.status.label,
        since=project.status.since,
        activated_at=project.activated_at,
        message=project.message,
    )


def v1_page(page: ShapedPage[PartnerProject]) -> ShapedPage[ProjectStatus]:
    """A page of v2 as v1 tells it."""
    items = tuple(v1_project(project) for project in page.items)
    return ShapedPage(items=items, next_cursor=page.next_cursor, message=page.message)
