"""Shapes project status for partners; leaves out customer, amounts, findings and people."""

from __future__ import annotations

from experience_apis.desk.models import ShapedPage
from experience_apis.partner.models import ProjectStatus
from experience_apis.processes.models import Deal, ToldPage
from experience_apis.wording.catalog import Wording


def project_status(deal: Deal, words: Wording) -> ProjectStatus:
    """One project."""
    state = words.say(f"deal_state.{deal.state}")
    return ProjectStatus(
        project_id=deal.project_id,
        reference=deal.reference,
        region=deal.region,
        state=deal.state,
        state_label=state,
        since=deal.activated_at or deal.changed_at,
        message=words.say(f"project.{deal.state}"),
    )


def project_list(page: ToldPage[Deal], words: Wording) -> ShapedPage[ProjectStatus]:
    """The projects."""
    items = tuple(project_status(deal, words) for deal in page.items)
    return ShapedPage(items=items, next_cursor=page.next_cursor, message=words.count("projects", len(items)))
