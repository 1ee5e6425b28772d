"""The simulator answers as the vendor's documentation says, to a client that knows nothing of our connector."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.conformance.kantata.conftest import Kantata


def _error(answer: httpx.Response) -> tuple[int, str, str | None]:
    (error,) = answer.json()["errors"]
    return answer.status_code, error["type"], error.get("field")


async def test_an_answer_has_count_meta_results_and_maps_with_text_ids(kantata: Kantata) -> None:
    await kantata.account.workspace(title="One")
    answer = await kantata.account.call("GET", "workspaces.json")
    document = answer.json()
    (result,) = document["results"]
    assert result["key"] == "workspaces"
    assert document["workspaces"][result["id"]]["id"] == result["id"]
    assert document["meta"] == {"count": 1, "page_count": 1, "page_number": 1, "page_size": 20}
    assert answer.headers["x-request-id"]
    assert document["workspaces"][result["id"]]["created_at"].endswith("-08:00")


async def test_foreign_keys_and_side_loads_come_only_when_included(kantata: Kantata) -> None:
    workspace = await kantata.account.workspace()
    await kantata.account.entries(workspace)
    (bare,) = await kantata.account.rows("time_entries")
    assert not {"story_id", "role_id", "external_reference_ids"} & bare.keys()
    document = await kantata.account.get("time_entries", include="story,user,external_references,nonsense")
    (entry,) = document["time_entries"].values()
    assert entry["story_id"] is None
    assert entry["user_id"] in document["users"]
    assert [document["external_references"][n]["service_name"] for n in entry["external_reference_ids"]] == ["firm"]


async def test_presence_filters_act_as_true_whatever_is_sent(kantata: Kantata) -> None:
    workspace = await kantata.account.workspace()
    first, second = await kantata.account.entries(workspace, 2)
    await kantata.account.approve(workspace, [first])
    await kantata.account.post("invoices", "invoice", {"workspace_id": workspace, "time_entry_ids": [first]})
    for name, expected in (("approved", first), ("invoiced", first), ("uninvoiced", second)):
        rows = await kantata.account.rows("time_entries", **{name: "false"})
        assert [row["id"] for row in rows] == [expected], name


async def test_pages_hold_at_most_two_hundred_and_limit_with_offset_wins(kantata: Kantata) -> None:
    await kantata.account.entries(await kantata.account.workspace(), 250)
    page = await kantata.account.get("time_entries", per_page=1000, page=2)
    assert (len(page["results"]), page["meta"]["page_count"]) == (50, 2)
    page = await kantata.account.get("time_entries", limit=10, offset=245, page=1)
    assert (len(page["results"]), page["count"]) == (5, 250)
    ids = [row["id"] for row in await kantata.account.rows("time_entries", order="created_at:asc")]
    assert ids == sorted(ids, key=int)


async def test_archived_projects_are_hidden_with_their_work(kantata: Kantata) -> None:
    workspace = await kantata.account.workspace()
    story = {"workspace_id": workspace, "title": "WS1", "story_type": "deliverable"}
    await kantata.account.make("stories", "story", story)
    await kantata.account.entries(workspace)
    await kantata.account.put(f"workspaces/{workspace}", "workspace", {"archived": True})
    assert (await kantata.account.call("GET", f"workspaces/{workspace}")).status_code == 404
    for name in ("workspaces", "stories", "time_entries"):
        assert await kantata.account.rows(name) == [], name
    assert await kantata.account.rows("workspaces", only=workspace) == []
    assert len(await kantata.account.rows("workspaces", archived="only")) == 1
    assert len(await kantata.account.rows("stories", show_from_archived_workspaces="true")) == 1
    assert len(await kantata.account.rows("time_entries", from_archived_workspaces="true")) == 1


async def test_records_are_found_by_external_reference(kantata: Kantata) -> None:
    workspace = await kantata.account.workspace()
    booked = await kantata.account.entries(workspace, 3)
    refs = f"E-{workspace}-0,E-{workspace}-2,unknown"
    found = await kantata.account.rows(
        "time_entries", external_reference_service_name="firm", external_reference_service_model_refs=refs
    )
    assert {row["id"] for row in found} == {booked[0], booked[2]}
    upsert = {
        "service_name": "firm",
        "service_model": "time_entry",
        "service_model_ref": "renamed",
        "subject_type": "TimeEntry",
        "subject_id": booked[0],
    }
    await kantata.account.post("external_references/create_or_update", "external_reference", upsert)
    assert len(await kantata.account.rows("external_references")) == 3
    without = await kantata.account.rows("time_entries", without_external_reference_service_name="firm")
    assert without == []


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", "workspaces", {"workspace": {"creator_role": "maven"}}, (422, "validation", "title")),
        ("POST", "workspaces", {"workspace": {"title": "x"}}, (422, "validation", "creator_role")),
        ("POST", "workspaces", {"title": "x"}, (400, "system", None)),
        ("POST", "stories", {"story": {"title": "x", "workspace_id": 9}}, (422, "validation", "workspace_id")),
        ("POST", "invoices", {"invoice": {"time_entry_ids": [1]}}, (422, "validation", "workspace_id")),
        ("POST", "timesheet_approvals", {"resolution": {}}, (422, "validation", "submission_ids")),
        ("GET", "workspaces/999", None, (404, "system", None)),
        ("GET", "custom_field_values", None, (400, "system", None)),
        ("GET", "nothing_of_the_kind", None, (404, "system", None)),
        ("PUT", "workspaces/999", {"workspace": {}}, (404, "system", None)),
        ("GET", "time_entries?updated_after=yesterday", None, (400, "system", None)),
    ],
)
async def test_refusals_name_type_and_field(
    kantata: Kantata, method: str, path: str, body: Any, expected: tuple[int, str, str | None]
) -> None:
    assert _error(await kantata.account.call(method, path, body=body)) == expected


async def test_a_call_without_a_known_token_is_refused(kantata: Kantata) -> None:
    answer = await kantata.account.client.get(f"{kantata.account.root}/workspaces")
    assert _error(answer) == (401, "oauth", None)


async def test_a_collaborator_may_not_invoice(kantata: Kantata) -> None:
    kantata.account.headers["authorization"] = "Bearer sandbox-kantata-collaborator"
    assert _error(await kantata.account.call("POST", "invoices", body={"invoice": {}})) == (403, "system", None)


async def test_more_requests_than_the_switch_allows_are_throttled_without_a_hint_when_to_return(
    kantata: Kantata,
) -> None:
    kantata.switch(requests_per_second=3)
    answers = [await kantata.account.call("GET", "roles") for _ in range(8)]
    throttled = [answer for answer in answers if answer.status_code == 429]
    assert throttled
    assert "retry-after" not in throttled[0].headers


async def test_a_bulk_of_a_hundred_is_made_whole_or_not_at_all(kantata: Kantata) -> None:
    workspace = await kantata.account.workspace()
    entry = {"workspace_id": workspace, "date_performed": "2026-02-03", "time_in_minutes": 5}
    wrong = await kantata.account.call("POST", "time_entries", body={"time_entries": [entry, {**entry, "user_id": 9}]})
    assert _error(wrong) == (422, "validation", "user_id")
    many = await kantata.account.call("POST", "time_entries", body={"time_entries": [entry] * 101})
    assert many.status_code == 400
    assert await kantata.account.rows("time_entries") == []


async def test_time_may_be_written_as_a_rails_form(kantata: Kantata) -> None:
    workspace = await kantata.account.workspace()
    form = {
        "time_entry[workspace_id]": workspace,
        "time_entry[date_performed]": "2026-02-03",
        "time_entry[external_reference][service_name]": "form",
        "time_entry[external_reference][service_model]": "row",
        "time_entry[external_reference][service_model_ref]": "1",
    }
    answer = await kantata.account.client.post(
        f"{kantata.account.root}/time_entries", data=form, headers=kantata.account.headers
    )
    assert _error(answer) == (422, "validation", "time_in_minutes")


async def test_approved_and_invoiced_time_is_locked(kantata: Kantata) -> None:
    workspace = await kantata.account.workspace()
    first, second = await kantata.account.entries(workspace, 2)
    submission = await kantata.account.approve(workspace, [first])
    change = {"time_entry": {"time_in_minutes": 1}}
    assert (await kantata.account.call("PUT", f"time_entries/{first}", body=change)).status_code == 422
    both = await kantata.account.call("DELETE", "time_entries", params={"ids": f"{second},{first}"})
    assert both.status_code == 422
    assert len(await kantata.account.rows("time_entries")) == 2
    await kantata.account.put(f"timesheet_submissions/{submission}/reject", "timesheet_submission", {})
    assert (await kantata.account.call("DELETE", f"time_entries/{first}")).status_code == 204
    assert (await kantata.account.call("DELETE", f"time_entries/{first}")).status_code == 404


async def test_being_invoiced_follows_membership(kantata: Kantata) -> None:
    workspace = await kantata.account.workspace()
    first, second = await kantata.account.entries(workspace, 2, rate_in_cents=6000)
    await kantata.account.approve(workspace, [first, second])
    body = {"workspace_id": workspace, "time_entry_ids": [first], "fixed_fee_items": [{"amount": 7, "notes": "flat"}]}
    invoice = await kantata.account.make("invoices", "invoice", body)
    (held,) = await kantata.account.rows("invoices")
    assert (held["balance_in_cents"], held["title"]) == (6000 + 700, "Invoice #1")

    async def invoiced() -> set[str]:
        return {row["id"] for row in await kantata.account.rows("time_entries", invoiced="1")}

    assert await invoiced() == {first}
    await kantata.account.put(f"invoices/{invoice}", "invoice", {"time_entry_ids": [second]})
    assert await invoiced() == {second}
    assert (await kantata.account.call("DELETE", f"invoices/{invoice}")).status_code == 422
    await kantata.account.put(f"invoices/{invoice}/cancel", "invoice", {})
    assert await invoiced() == set()
    draft = await kantata.account.make("invoices", "invoice", {**body, "draft": True})
    assert (await kantata.account.call("DELETE", f"invoices/{draft}")).status_code == 204
    assert (await kantata.account.get("invoices/next_invoice_number"))["next_invoice_number"] == "2"


async def test_events_are_kept_for_nine_days_and_filtered(kantata: Kantata) -> None:
    workspace = await kantata.account.workspace()
    await kantata.account.entries(workspace, 2)
    events = await kantata.account.rows(
        "subscribed_events", event_types="time_entry:created", order="created_at:asc", include="subject"
    )
    assert [event["subject_type"] for event in events] == ["TimeEntry", "TimeEntry"]
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    assert await kantata.account.rows("subscribed_events", created_after=later) == []


async def test_a_code_becomes_a_token_once(kantata: Kantata) -> None:
    root = kantata.sandbox.base_url
    asked = {"response_type": "code", "client_id": "app", "redirect_uri": "http://127.0.0.1:1/back"}
    back = await kantata.account.client.get(f"{root}/oauth/authorize", params=asked)
    code = parse_qs(urlsplit(back.headers["location"]).query)["code"][0]
    form = {"grant_type": "authorization_code", "client_id": "app", "client_secret": "s", "code": code}
    token = (await kantata.account.client.post(f"{root}/oauth/token", data=form)).json()["access_token"]
    kantata.account.headers["authorization"] = f"Bearer {token}"
    assert await kantata.account.rows("roles") == []
    assert (await kantata.account.client.post(f"{root}/oauth/token", data=form)).status_code == 401
    denied = await kantata.account.client.get(f"{root}/oauth/authorize", params={**asked, "deny": "true"})
    assert "error=access_denied" in denied.headers["location"]


async def test_a_reset_empties_the_account_but_keeps_its_token(kantata: Kantata) -> None:
    await kantata.account.workspace()
    kantata.sandbox.simulator.reset()
    assert await kantata.account.rows("workspaces") == []
