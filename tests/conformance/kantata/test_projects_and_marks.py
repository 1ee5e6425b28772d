"""Projects are made once and whole; billing marks are invoices that only approved, unbilled work may join."""

from __future__ import annotations

from datetime import date

import pytest

from deploy.sandbox.kit.faults import FaultKind
from shared.canonical.billing import BillingMark
from shared.errors.taxonomy import Misconfigured, NotFound, OutcomeUnknown, VendorRejected
from system_apis.connectors.kantata.connector import open_connector
from system_apis.ports.binding import Binding
from tests.conformance.kantata.conftest import Kantata
from tests.conformance.psa_firm import plan, read_whole


async def test_a_project_stands_with_its_parts_and_amounts(kantata: Kantata) -> None:
    made = await kantata.connector.create_project(plan(workstreams=3, milestones=2))
    found = await kantata.connector.find_project("prj_1")
    assert found == made
    assert [part.id for part in made.workstreams] == ["wks_1-1", "wks_1-2", "wks_1-3"]
    assert [part.id for part in made.milestones] == ["mil_1-1", "mil_1-2"]
    (workspace,) = await kantata.account.rows("workspaces")
    assert (workspace["title"], workspace["currency"], workspace["price_in_cents"]) == ("Project 1", "EUR", 500_000)
    assert workspace["require_time_approvals"] is True
    amounts = await kantata.account.rows("billing_milestones", include="story")
    assert {row["story_id"]: row["amount_in_cents"] for row in amounts} == {
        made.milestones[0].ref: 10_000,
        made.milestones[1].ref: 20_000,
    }


@pytest.mark.parametrize("kind", [FaultKind.CUT_AFTER, FaultKind.CUT_BEFORE])
@pytest.mark.parametrize("call", range(4), ids=["workspace", "workstreams", "milestones", "amounts"])
async def test_a_project_is_whole_and_single_wherever_its_making_was_cut(
    kantata: Kantata, call: int, kind: FaultKind
) -> None:
    fault = kantata.sandbox.fault(kind, r"^POST /api/v1/", skip=call)
    with pytest.raises(OutcomeUnknown):
        await kantata.connector.create_project(plan())
    assert kantata.sandbox.has_struck(fault)
    made = await kantata.connector.create_project(plan())
    assert (len(made.workstreams), len(made.milestones)) == (2, 2)
    counts = {name: len(await kantata.account.rows(name)) for name in ("workspaces", "stories", "billing_milestones")}
    assert counts == {"workspaces": 1, "stories": 4, "billing_milestones": 2}


async def test_a_project_cut_at_every_call_in_turn_is_made_once(kantata: Kantata) -> None:
    for _ in range(4):
        kantata.sandbox.fault(FaultKind.CUT_AFTER, r"^POST /api/v1/")
        with pytest.raises(OutcomeUnknown):
            await kantata.connector.create_project(plan())
        kantata.sandbox.heal()
    await kantata.connector.create_project(plan())
    assert len(await kantata.account.rows("external_references")) == 1 + 4 + 2


async def test_amounts_in_yen_have_no_cents(kantata: Kantata) -> None:
    await kantata.connector.create_project(plan(currency="JPY", milestones=1))
    (amount,) = await kantata.account.rows("billing_milestones")
    assert (amount["amount_in_cents"], amount["currency"]) == (100, "JPY")


async def test_a_project_nobody_made_is_not_found(kantata: Kantata) -> None:
    assert await kantata.connector.find_project("prj_9") is None
    assert await kantata.connector.find_billing_mark("inv_9") is None
    with pytest.raises(NotFound):
        await kantata.connector.close_project("prj_9")


async def test_a_closed_project_is_found_and_opened_again_when_made_again(kantata: Kantata) -> None:
    made = await kantata.connector.create_project(plan())
    await kantata.connector.close_project("prj_1")
    assert await kantata.account.rows("workspaces") == []
    closed = await kantata.connector.find_project("prj_1")
    assert closed is not None
    assert closed.workstreams == made.workstreams
    again = await kantata.connector.create_project(plan())
    assert again.source.ref == made.source.ref
    assert len(await kantata.account.rows("workspaces")) == 1


async def test_a_project_made_from_a_template_has_the_templates_tasks_too(kantata: Kantata) -> None:
    made = await kantata.connector.create_project(plan().model_copy(update={"template": "Advisory"}))
    titles = [row["title"] for row in await kantata.account.rows("stories", workspace_id=made.source.ref)]
    assert {"Kick-off", "Report", "WS1"} <= set(titles)
    assert len(made.workstreams) == 2


def _mark(*entries: str, milestones: tuple[str, ...] = (), invoice_id: str = "inv_1") -> BillingMark:
    return BillingMark(
        invoice_id=invoice_id,
        invoice_ref="INV-77",
        project_id="prj_1",
        invoice_on=date(2026, 2, 28),
        purchase_order="PO-1",
        time_entry_refs=entries,
        milestone_refs=milestones,
    )


async def test_marked_work_shows_as_billed(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    for name in ("Completed on", "Acceptance"):
        await kantata.account.field(name)
    booked = await kantata.account.entries(project.source.ref, 3)
    await kantata.account.approve(project.source.ref, booked)
    story = project.milestones[0].ref
    await kantata.account.put(f"stories/{story}", "story", {"state": "completed"})
    written = await kantata.connector.mark_billed(_mark(*booked[:2], milestones=(story,)))
    assert written.was_created
    told = await read_whole(kantata.connector.list_time_entries)
    assert {entry.source.ref for entry in told if entry.is_billed} == set(booked[:2])
    assert [one.is_billed for one in await read_whole(kantata.connector.list_milestones)] == [True]
    (invoice,) = await kantata.account.rows("invoices", include="time_entries,billing_milestones")
    assert (len(invoice["time_entry_ids"]), len(invoice["billing_milestone_ids"])) == (2, 1)
    assert (invoice["purchase_order"], invoice["user_invoice_title"]) == ("PO-1", "ERP invoice INV-77")
    again = await kantata.connector.mark_billed(_mark(*booked[:2], milestones=(story,)))
    assert again.source == written.source
    assert not again.was_created


async def test_unapproved_or_billed_hours_are_rejected_by_the_vendor(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    booked = await kantata.account.entries(project.source.ref, 2)
    with pytest.raises(VendorRejected, match="not been approved"):
        await kantata.connector.mark_billed(_mark(*booked))
    await kantata.account.approve(project.source.ref, booked)
    await kantata.connector.mark_billed(_mark(booked[0]))
    with pytest.raises(VendorRejected, match="already been invoiced"):
        await kantata.connector.mark_billed(_mark(*booked, invoice_id="inv_2"))
    assert len(await kantata.account.rows("invoices")) == 1


async def test_a_cancelled_invoice_marks_nothing(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    booked = await kantata.account.entries(project.source.ref, 1)
    await kantata.account.approve(project.source.ref, booked)
    first = await kantata.connector.mark_billed(_mark(*booked))
    await kantata.account.put(f"invoices/{first.source.ref}/cancel", "invoice", {})
    assert await kantata.connector.find_billing_mark("inv_1") is None
    assert (await kantata.connector.mark_billed(_mark(*booked))).was_created


async def test_work_of_an_unknown_project_cannot_be_marked(kantata: Kantata) -> None:
    with pytest.raises(NotFound, match="prj_1"):
        await kantata.connector.mark_billed(_mark("1"))
    await kantata.connector.create_project(plan())
    with pytest.raises(NotFound, match="story 99"):
        await kantata.connector.mark_billed(_mark(milestones=("99",)))


def test_a_connection_without_a_token_is_misconfigured() -> None:
    with pytest.raises(Misconfigured, match="access_token"):
        open_connector(Binding("harbour", "kantata", {"base_url": "http://127.0.0.1:1"}))


def test_a_budget_that_is_no_number_is_misconfigured() -> None:
    settings = {"base_url": "http://127.0.0.1:1", "requests_per_minute": "many"}
    with pytest.raises(Misconfigured, match="requests_per_minute"):
        open_connector(Binding("harbour", "kantata", settings, {"access_token": "x"}))
