"""Shapes project status for partners; leaves out customer, amounts, findings and people."""

from __future__ import annotations

from typing import Final

from experience_apis.desk.models import ShapedPage
from experience_apis.partner.models import PartnerProject, PartnerStatus, StatusCode
from experience_apis.processes.models import Deal, ToldPage
from experience_apis.wording.catalog import Wording
from shared.identity.principal import Principal

DEAL_STATES: Final[dict[StatusCode, str]] = {
    StatusCode.BEING_SET_UP: "provisioning",
    StatusCode.ACTIVE: "activated",
}
_CODES: Final[dict[str, StatusCode]] = {state: code for code, state in DEAL_STATES.items()}


def is_told(deal: Deal, caller: Principal) -> bool:
    """Whether the deal has a project that exists for the caller."""
    return deal.state in _CODES and caller.sees_customer(deal.customer_id)


def partner_project(deal: Deal, words: Wording) -> PartnerProject:
    """One project; only of deals that are told to partners."""
    return PartnerProject(
        id=deal.project_id,
        deal_reference=deal.reference,
        region=deal.region,
        status=PartnerStatus(
            code=_CODES[deal.state],
            label=words.say(f"deal_state.{deal.state}"),
            since=deal.activated_at or deal.changed_at,
        ),
        won_at=deal.won_at,
        activated_at=deal.activated_at,
        message=words.say(f"project.{deal.state}"),
    )


def project_list(page: ToldPage[Deal], caller: Principal, words: Wording) -> ShapedPage[PartnerProject]:
    """The projects; a deal the caller may not see is left out even if the process tier told it."""
    items = tuple(partner_project(deal, words) for deal in page.items if is_told(deal, caller))
    return ShapedPage(items=items, next_cursor=page.next_cursor, message=words.count("projects", len(items)))
