"""Two versions side by side: whatever v2 answers can be said in v1, and what v1 asks can be asked of v2."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experience_apis.desk.models import ID_PATTERN, ShapedPage
from experience_apis.partner.models import PartnerProject, PartnerStatus, StatusCode
from experience_apis.partner.models_v1 import ProjectStatus, State
from experience_apis.partner.screens import DEAL_STATES, partner_project, project_list
from experience_apis.partner.translation import v1_page, v1_project, v2_status
from experience_apis.processes.models import Deal, ToldPage
from experience_apis.wording.catalog import wording
from shared.identity.principal import Principal

EN = wording("en")
instants = st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds of a strategy are naive
words = st.none() | st.text(max_size=1000)
projects = st.builds(
    PartnerProject,
    id=st.none() | st.from_regex(ID_PATTERN, fullmatch=True),
    deal_reference=words,
    region=words,
    status=st.builds(PartnerStatus, code=st.sampled_from(StatusCode), label=st.text(max_size=300), since=instants),
    won_at=instants,
    activated_at=instants,
    message=st.text(max_size=4000),
)


@given(projects)
def test_every_project_of_v2_is_a_project_of_v1(project: PartnerProject) -> None:
    told = v1_project(project)
    assert ProjectStatus.model_validate_json(told.model_dump_json()) == told
    assert (told.project_id, told.reference, told.region) == (project.id, project.deal_reference, project.region)
    assert (told.state_label, told.since) == (project.status.label, project.status.since)
    assert v2_status(told.state) is project.status.code  # type: ignore[arg-type]


@given(st.lists(projects, max_size=3), st.none() | st.text(max_size=100))
def test_a_page_keeps_its_length_its_order_and_its_place(items: list[PartnerProject], cursor: str | None) -> None:
    page = v1_page(ShapedPage(items=tuple(items), next_cursor=cursor, message="m"))
    assert [one.project_id for one in page.items] == [one.id for one in items]
    assert (page.next_cursor, page.message) == (cursor, "m")


@pytest.mark.parametrize("state", get_args(State))
def test_the_filter_of_v1_asks_v2_for_the_state_it_always_meant(state: State) -> None:
    assert DEAL_STATES[v2_status(state)] == state


@given(st.frozensets(st.sampled_from(["cus_a", "cus_b", "cus_c"])) | st.none())
def test_a_partner_bound_to_some_customers_sees_theirs_only(customers: frozenset[str] | None) -> None:
    caller = Principal("p", "p", "harbour", customers=customers)
    deals = [
        Deal(run_id=one, opportunity_id=one, state=state, project_id=f"prj_{one}", customer_id=f"cus_{one}")
        for one, state in (("a", "activated"), ("b", "provisioning"), ("c", "exception"))
    ]
    seen = {one.id for one in project_list(ToldPage[Deal](items=tuple(deals)), caller, EN).items}
    assert seen == {f"prj_{one}" for one in "ab" if customers is None or f"cus_{one}" in customers}
    assert partner_project(deals[0], EN).status.code is StatusCode.ACTIVE
