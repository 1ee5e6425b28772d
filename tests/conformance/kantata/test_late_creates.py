"""A create that reaches the vendor after its repeat: doubles are told apart, taken out of use, or waited out."""

from __future__ import annotations

import pytest

from deploy.sandbox.kit.faults import FaultKind
from shared.errors.taxonomy import Misconfigured, OutcomeUnknown, VendorUnavailable
from system_apis.connectors.kantata import mapping
from system_apis.connectors.kantata.connector import open_connector
from system_apis.connectors.kantata.payloads import Workspace
from system_apis.connectors.kantata.quiet import Quiet
from tests.conformance.kantata.account import TENANT, binding
from tests.conformance.kantata.conftest import Kantata
from tests.conformance.psa_firm import plan


async def _arrives_late(kantata: Kantata) -> str:
    """The first request for the workspace, which nobody waited for; its id."""
    body = mapping.from_plan(plan())
    return await kantata.account.make("workspaces", "workspace", {**body, "start_date": str(body["start_date"])})


async def test_the_older_workspace_stays_the_one_and_the_late_one_is_taken_out_of_use(kantata: Kantata) -> None:
    made = await kantata.connector.create_project(plan())
    late = await _arrives_late(kantata)
    assert await kantata.connector.find_project("prj_1") == made
    assert (await kantata.connector.create_project(plan())).source.ref == made.source.ref
    assert [row["id"] for row in await kantata.account.rows("workspaces")] == [made.source.ref]
    assert [row["id"] for row in await kantata.account.rows("workspaces", archived="only")] == [late]


async def test_closing_a_project_closes_its_double_too(kantata: Kantata) -> None:
    await kantata.connector.create_project(plan())
    await _arrives_late(kantata)
    await kantata.connector.close_project("prj_1")
    assert await kantata.account.rows("workspaces") == []


async def test_of_doubled_stories_the_older_ones_count(kantata: Kantata) -> None:
    made = await kantata.connector.create_project(plan())
    (row,) = await kantata.account.rows("workspaces", include="external_references")
    workspace = Workspace.model_validate(row)
    bodies = [mapping.from_workstream(one, workspace) for one in plan().workstreams]
    await kantata.account.post("stories", "stories", [{**one, "start_date": str(one["start_date"])} for one in bodies])
    assert await kantata.connector.find_project("prj_1") == made
    again = await kantata.connector.create_project(plan())
    assert (again.workstreams, again.milestones) == (made.workstreams, made.milestones)
    assert len(await kantata.account.rows("stories")) == 6


async def test_a_mark_cannot_be_doubled_as_the_vendor_bills_a_line_once(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    booked = await kantata.account.entries(project.source.ref, 1)
    await kantata.account.approve(project.source.ref, booked)
    invoice = {"workspace_id": project.source.ref, "time_entry_ids": booked}
    await kantata.account.post("invoices", "invoice", invoice)
    late = await kantata.account.call("POST", "invoices", body={"invoice": invoice})
    assert late.status_code == 422


async def test_a_create_that_got_no_answer_is_not_made_again_before_its_quiet_time_ends(kantata: Kantata) -> None:
    settings = {"base_url": kantata.sandbox.base_url, "quiet_seconds": "180"}
    known = binding(kantata.sandbox.base_url)
    opened = open_connector(type(known)(TENANT, "kantata", settings, known.secrets))
    try:
        kantata.sandbox.fault(FaultKind.CUT_BEFORE, r"^POST /api/v1/workspaces")
        with pytest.raises(OutcomeUnknown):
            await opened.create_project(plan())
        with pytest.raises(VendorUnavailable) as waited:
            await opened.create_project(plan())
        assert waited.value.retry_after
        assert 170 < waited.value.retry_after <= 180
        late = await _arrives_late(kantata)
        made = await opened.create_project(plan())
        assert made.source.ref == late
    finally:
        await opened.aclose()


def test_quiet_ends_by_the_clock_and_only_for_what_was_sent() -> None:
    now = [100.0]
    quiet = Quiet(180, lambda: now[0])
    body = {"external_reference": {"service_model": "project", "service_model_ref": "prj_1"}}
    other = {"external_reference": {"service_model": "project", "service_model_ref": "prj_2"}}
    quiet.start([body])
    quiet.keep("kantata", other)
    with pytest.raises(VendorUnavailable):
        quiet.keep("kantata", [other, body])
    now[0] += 181
    quiet.keep("kantata", body)


def test_a_quiet_time_that_is_no_number_is_misconfigured() -> None:
    known = binding("http://127.0.0.1:1")
    with pytest.raises(Misconfigured, match="quiet_seconds"):
        open_connector(type(known)(TENANT, "kantata", {**known.settings, "quiet_seconds": "soon"}, known.secrets))
