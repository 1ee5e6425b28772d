"""Simulator and connector keep to the vendor's contract; the contract keeps to the vendor's own files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from deploy.sandbox.kantata.schema import SINGULAR
from shared.canonical.billing import BillingMark
from shared.outbound.body import as_json, as_params
from tests.conformance.kantata.account import Account
from tests.conformance.kantata.conftest import Kantata
from tests.conformance.kantata.contract import (
    COLLECTIONS,
    departures_of_answer,
    departures_of_body,
    departures_of_query,
)
from tests.conformance.psa_firm import plan, read_whole

HIDDEN: Mapping[str, dict[str, str]] = {
    "stories": {"all_on_account": "true"},
    "users": {"on_my_account": "true"},
    "custom_field_values": {"subject_type": "Story"},
}


async def _busy(kantata: Kantata) -> None:
    """An account with something of everything."""
    project = await kantata.connector.create_project(plan())
    account: Account = kantata.account
    role = await account.make("roles", "role", {"name": "Engineer"})
    booked = await account.entries(project.source.ref, 3, story_id=project.workstreams[1].ref, role_id=role)
    await account.approve(project.source.ref, booked)
    spent = {"workspace_id": project.source.ref, "date": "2026-02-01", "category": "Train", "amount_in_cents": 1200}
    expense = await account.make("expenses", "expense", spent)
    report = {"workspace_id": project.source.ref, "line_item_ids": [expense]}
    number = await account.make("expense_report_submissions", "expense_report_submission", report)
    await account.post("expense_report_approvals", "resolution", {"submission_ids": [number]})
    story = project.milestones[0].ref
    await account.value(await account.field("Completed on", "date"), story, "2026-02-27")
    field = await account.field("Acceptance", "single", choices=["accepted", "refused"])
    await account.value(field, story, [int((await account.choices(field))[0]["id"])])
    await account.put(f"stories/{story}", "story", {"state": "completed"})
    person = {"full_name": "Ada", "email_address": "ada@people.example", "default_role_id": role}
    await account.post("account_invitations", "account_invitation", person)
    mark = BillingMark(
        invoice_id="inv_1",
        invoice_ref="4711",
        project_id="prj_1",
        invoice_on=plan().start_on,
        purchase_order="PO-1",
        time_entry_refs=tuple(booked),
        expense_refs=(expense,),
        milestone_refs=(story,),
    )
    await kantata.connector.mark_billed(mark)


@pytest.mark.parametrize("name", COLLECTIONS)
async def test_every_answer_is_as_the_contract_says(kantata: Kantata, name: str) -> None:
    await _busy(kantata)
    include = ",".join(COLLECTIONS[name].get("includes", ()))
    document = await kantata.account.get(name, include=include, per_page=200, **HIDDEN.get(name, {}))
    assert document["results"], f"nothing of {name} is there to look at"
    assert not list(departures_of_answer(document))


async def test_every_request_of_the_connector_is_as_the_contract_says(
    kantata: Kantata, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbound: Any = kantata.connector._outbound  # pyright: ignore[reportPrivateUsage]
    read, write = outbound.read, outbound.write
    asked: list[tuple[str, dict[str, str]]] = []
    sent: list[tuple[str, str, dict[str, Any]]] = []

    async def reading(method: str, path: str, **more: Any) -> Any:
        query = {key: str(value) for key, value in as_params(more.get("params"))}
        asked.append((path.removeprefix("api/v1/").split("/")[0], query))
        return await read(method, path, **more)

    async def writing(method: str, path: str, **more: Any) -> Any:
        name, _, number = path.removeprefix("api/v1/").partition("/")
        document = json.loads(as_json(more["json"]))
        ((root, body),) = document.items()
        assert root == (name if isinstance(body, list) else SINGULAR[name])
        bodies = cast("list[dict[str, Any]]", body) if isinstance(body, list) else [body]
        assert len(bodies) <= COLLECTIONS[name].get("bulk", 1)
        sent.extend((name, number, one) for one in bodies)
        return await write(method, path, **more)

    monkeypatch.setattr(outbound, "read", reading)
    monkeypatch.setattr(outbound, "write", writing)
    await _busy(kantata)
    for listed in (
        kantata.connector.list_time_entries,
        kantata.connector.list_expenses,
        kantata.connector.list_milestones,
    ):
        await read_whole(listed)
    begun = await kantata.connector.read_feed(None)
    await kantata.connector.read_feed(begun.position)
    await kantata.connector.list_changes(None)
    await kantata.connector.describe([name for name in COLLECTIONS if name != "roles"])
    await kantata.connector.close_project("prj_1")
    await kantata.connector.find_project("prj_1")
    assert {name for name, _, _ in sent} == {"workspaces", "stories", "billing_milestones", "invoices"}
    wrong = [one for name, query in asked for one in departures_of_query(name, query)]
    wrong += [one for name, number, body in sent for one in departures_of_body(name, body, is_new=not number)]
    assert not wrong


VENDORS_OWN = os.environ.get("THROUGHLINE_VENDOR_CONTRACTS", "")


def _gem() -> dict[str, Any]:
    text = (Path(VENDORS_OWN) / "kantata" / "mavenlink-gem-specification.yml").read_text(encoding="utf-8")
    quoted = re.sub(r"^(\s+)\[([^\]]*)\]:", r'\1"\2":', text, flags=re.MULTILINE)  # a list is no key for a safe loader
    return yaml.safe_load(quoted)


#: told by the vendor's Swagger only; the client's own file is older
NEWER: Mapping[str, frozenset[str]] = {
    "stories": frozenset({"status"}),
    "expense_report_submissions": frozenset({"start_date", "end_date"}),
    "account_invitations": frozenset({"created_at", "updated_at"}),
    "billing_milestones": frozenset({"billing_type"}),
    "workspaces": frozenset({"archived"}),
    "custom_fields": frozenset({"custom_field_set_id"}),
}


@pytest.mark.skipif(not VENDORS_OWN, reason="THROUGHLINE_VENDOR_CONTRACTS names no folder with the vendor's own files")
def test_the_contract_is_part_of_the_vendors_own_files() -> None:
    gem = _gem()
    digest = json.loads((Path(VENDORS_OWN) / "kantata" / "kantata-ox-endpoints.json").read_text(encoding="utf-8"))
    operations: dict[str, Any] = digest["operations"]
    strange: list[str] = []
    for name, told in COLLECTIONS.items():
        theirs: dict[str, Any] = gem[name]
        linked: dict[str, Any] = theirs.get("associations") or {}
        associations: dict[str, str] = {key: one["foreign_key"] for key, one in linked.items()}
        members: set[str] = {*theirs["attributes"], *associations.values(), *NEWER.get(name, ())}
        strange += [f"{name}.{member}" for member in told["members"] if member not in members]
        for include, key in told.get("includes", {}).items():
            if associations.get(include, key) != key:
                strange.append(f"{name}?include={include}")
        writable = {
            *(theirs.get("create_attributes") or ()),
            *(theirs.get("update_attributes") or ()),
            *NEWER.get(name, ()),
        }
        posted = operations.get(f"POST /{name}", {}).get("fields", {})
        strange += [
            f"{name}.{one} (written)"
            for one in told.get("writes", ())
            if one not in {*writable, *posted, "workspace_id"}
        ]
        if (listed := operations.get(f"GET /{name}")) and "filters" in listed:
            words = {re.split(r"[ =(]", one)[0] for filters in listed["filters"] for one in filters.split("+")}
            strange += [f"{name}?{one}" for one in told.get("filters", ()) if one not in words]
    assert not strange
