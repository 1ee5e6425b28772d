"""A tenant keeps fields elsewhere: custom fields are read and written by name, and the vendor's metadata is told."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.canonical.billing import BillingMark
from shared.errors.taxonomy import MappingMissing
from system_apis.connectors.kantata import connector
from system_apis.connectors.kantata.connector import KantataConnector, open_connector
from system_apis.fields import load_fields
from tests.conformance.kantata.account import binding
from tests.conformance.kantata.conftest import Kantata
from tests.conformance.psa_firm import plan, read_whole

Opening = Callable[[dict[str, Any]], AbstractAsyncContextManager[KantataConnector]]


@pytest.fixture
def opened(kantata: Kantata, tmp_path: Path) -> Opening:
    @asynccontextmanager
    async def open_with(overrides: dict[str, Any]) -> AsyncGenerator[KantataConnector]:
        file = tmp_path / "own.yaml"
        file.write_text(json.dumps(overrides), encoding="utf-8")
        one = open_connector(replace(binding(kantata.sandbox.base_url), overrides=file))
        try:
            yield one
        finally:
            await one.aclose()

    return open_with


async def test_a_role_is_read_from_a_persons_own_field(kantata: Kantata, opened: Opening) -> None:
    field = await kantata.account.field("Grade", "single", "User", choices=["Senior", "Junior"])
    (senior,) = [row["id"] for row in await kantata.account.choices(field) if row["label"] == "Senior"]
    invited = await kantata.account.post(
        "account_invitations",
        "account_invitation",
        {"full_name": "Ada", "email_address": "a@b.example"},
        include="invitee",
    )
    (ada,) = (row["invitee_id"] for row in invited["account_invitations"].values())
    await kantata.account.value(field, ada, [int(senior)], "User")
    project = await kantata.connector.create_project(plan())
    await kantata.account.entries(project.source.ref, user_id=ada)
    values = {"Senior": "Senior Consultant", "Junior": "Consultant"}
    async with opened({"resource": {"role": {"path": "custom_fields.Grade", "values": values}}}) as own:
        assert [entry.role for entry in await read_whole(own.list_time_entries)] == ["Senior Consultant"]


async def test_a_value_that_the_table_lacks_is_a_missing_mapping(kantata: Kantata, opened: Opening) -> None:
    project = await kantata.connector.create_project(plan())
    await kantata.account.field("Completed on", "date")
    field = await kantata.account.field("Sign-off")
    await kantata.account.value(field, project.milestones[0].ref, "perhaps")
    override = {"milestone": {"acceptance": {"path": "custom_fields.Sign-off", "values": {"yes": "accepted"}}}}
    async with opened(override) as own:
        with pytest.raises(MappingMissing, match="perhaps"):
            await read_whole(own.list_milestones)


async def test_what_is_written_goes_into_the_tenants_own_fields_and_is_read_from_there(
    kantata: Kantata, opened: Opening
) -> None:
    await kantata.account.field("Summary", "string", "Workspace")
    await kantata.account.field("Kind of fee", "single", choices=["flat", "hourly"])
    values = {"flat": "True", "hourly": "False"}
    override = {
        "project": {"description": "custom_fields.Summary"},
        "workstream": {"is_fixed_fee": {"path": "custom_fields.Kind of fee", "values": values}},
        "billing_mark": {"purchase_order": "project_code"},
    }
    async with opened(override) as own:
        await own.create_project(plan())
        project = await own.create_project(plan())
        booked = await kantata.account.entries(project.source.ref, 1)
        await kantata.account.approve(project.source.ref, booked)
        mark = BillingMark(
            invoice_id="inv_1",
            invoice_ref="4711",
            project_id="prj_1",
            invoice_on=plan().start_on,
            purchase_order="PO-9",
            time_entry_refs=tuple(booked),
        )
        await own.mark_billed(mark)
    (workspace,) = await kantata.account.rows("workspaces")
    assert workspace["description"] is None
    projects = await kantata.account.rows("custom_field_values", subject_type="Workspace")
    assert [row["value"] for row in projects] == ["Harbour Bank · contract CON1 · deal OPP1"]
    stories = await kantata.account.rows("custom_field_values", subject_type="Story")
    told = {row["subject_id"]: row["display_value"] for row in stories}
    assert told == {project.workstreams[0].ref: "flat", project.workstreams[1].ref: "hourly"}
    (invoice,) = await kantata.account.rows("invoices")
    assert (invoice["project_code"], invoice["purchase_order"]) == ("PO-9", None)


async def test_a_field_the_account_lacks_is_a_missing_mapping(opened: Opening) -> None:
    async with opened({"project": {"description": "custom_fields.Nowhere"}}) as own:
        with pytest.raises(MappingMissing, match="Nowhere"):
            await own.create_project(plan())


async def test_metadata_tells_custom_fields_with_their_choices(kantata: Kantata) -> None:
    await kantata.account.field("Kind of fee", "single", choices=["flat", "hourly"])
    told = await kantata.connector.describe(["stories", "nothing_of_the_kind"])
    assert set(told) == {"stories"}
    facts = {one.name: one for one in told["stories"]}
    assert facts["custom_fields.Kind of fee"].values == ("flat", "hourly")
    assert facts["budget_estimate_in_cents"].kind == "integer"


async def test_without_the_events_add_on_a_row_shows_its_fields(kantata: Kantata) -> None:
    kantata.switch(has_events=False)
    assert await kantata.connector.describe(["time_entries"]) == {}
    project = await kantata.connector.create_project(plan())
    await kantata.account.entries(project.source.ref)
    fields = load_fields(Path(connector.__file__).parent)
    told = await kantata.connector.describe(["time_entries"])
    assert set(fields["time_entry"].paths()) <= {one.name for one in told["time_entries"]}
    kinds = {one.name: one.kind for one in told["time_entries"]}
    assert (kinds["billable"], kinds["time_in_minutes"], kinds["updated_at"]) == ("boolean", "integer", "datetime")
