"""Who may tell the intake of a change: signatures, replay windows, tenants with their own secrets."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.canonical.references import canonical_id
from tests.conformance.erp_firm import customer, plan
from tests.unit.system.tier import Tier, change_event, opened


@pytest.fixture
async def tier(tmp_path: Path, postgres_url: str) -> AsyncIterator[Tier]:
    async with opened(tmp_path, postgres_url, "harbour", "islands") as tier:
        yield tier


def is_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    told: dict[str, Any] = answer.json()
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (told["status"], told["code"]) == (status, code)
    assert told["correlation_id"] == answer.headers["x-correlation-id"]
    assert told["title"]
    assert told["type"]
    return told


def named(told: dict[str, Any]) -> list[str]:
    return [finding["field"] for finding in told["errors"]]


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("unsigned", {"webhook_signature": ""}, "webhook-signature"),
    ("tampered", {"webhook_signature": "v1,AAAA"}, "webhook-signature"),
    ("without a number", {"webhook_id": ""}, "webhook-id"),
    ("renumbered", {"webhook_id": "msg-2"}, "webhook-signature"),
    ("without a time", {"webhook_timestamp": ""}, "webhook-timestamp"),
    ("with a time that is none", {"webhook_timestamp": "yesterday"}, "webhook-timestamp"),
    ("too old", {"at": time.time() - 3600}, "webhook-timestamp"),
    ("from the future", {"at": time.time() + 3600}, "webhook-timestamp"),
]


@pytest.mark.parametrize("connector", ["salesforce", "netsuite"])
async def test_a_delivery_that_is_not_signed_as_agreed_is_refused_naming_the_header(tier: Tier, connector: str) -> None:
    secret = tier.vendors["harbour"].webhook_secret
    for what, changes, header in CASES:
        answer = await tier.delivers(connector, change_event("Opportunity", "006A"), secret, **changes)
        assert named(is_problem(answer, 401, "not_authenticated")) == [header], what
    assert await tier.hints() == []


async def test_a_delivery_signed_with_a_strangers_secret_is_refused(tier: Tier) -> None:
    answer = await tier.delivers("salesforce", change_event("Opportunity", "006A"), "somebody else's secret")
    assert named(is_problem(answer, 401, "not_authenticated")) == ["webhook-signature"]


GARBAGE: list[tuple[bytes, str]] = [
    (b"not json", "body"),
    (b"\xff\xfe", "body"),
    (b"[1, 2]", ""),
    (b"{}", "data|type|recordType"),
    (b'{"data": {"payload": {"ChangeEventHeader": {"entityName": 7}}}, "recordType": 7}', "entityName|recordType"),
]


async def test_signed_garbage_is_refused_naming_the_field(tier: Tier) -> None:
    for connector in ("salesforce", "netsuite"):
        for body, field in GARBAGE:
            answer = await tier.delivers(connector, body, tier.vendors["harbour"].webhook_secret)
            fields = named(is_problem(answer, 422, "invalid_request"))
            assert any(part in one for part in field.split("|") for one in fields), (connector, body, fields)
    assert await tier.hints() == []


async def test_deliveries_are_bounded_in_size(tier: Tier) -> None:
    secret = tier.vendors["harbour"].webhook_secret
    told = is_problem(await tier.delivers("salesforce", b"x" * 1_200_000, secret), 413, "body_too_large")
    assert told["max_bytes"] == 1_048_576


async def test_a_connector_that_takes_no_deliveries_is_not_found(tier: Tier) -> None:
    for connector in ("kantata", "nobody"):
        answer = await tier.delivers(connector, b"{}", tier.vendors["harbour"].webhook_secret)
        assert connector in is_problem(answer, 404, "not_found")["detail"]
    answer = await tier.delivers("No%20Body", b"{}", "secret")
    assert named(is_problem(answer, 422, "invalid_request")) == ["path.connector"]


async def test_the_same_delivery_again_is_accepted_and_nothing_new(tier: Tier) -> None:
    secret = tier.vendors["islands"].webhook_secret
    body = change_event("Opportunity", "006A00000000001")
    first = await tier.delivers("salesforce", body, secret)
    again = await tier.delivers("salesforce", body, secret)
    assert (first.status_code, first.json()) == (202, {"hints": 1, "new": 1})
    assert (again.status_code, again.json()) == (202, {"hints": 1, "new": 0})


async def test_a_delivery_lands_with_the_tenant_that_signed_it_and_nowhere_else(tier: Tier) -> None:
    for name in ("harbour", "islands"):
        await tier.vendors[name].load(1)
    # Both orgs number their records alike: the same record id means another deal in each.
    assert tier.vendors["harbour"].refs == tier.vendors["islands"].refs
    ref = tier.vendors["islands"].refs["D0000"]
    body = change_event("Opportunity", ref)
    asked = tier.vendors["harbour"].crm.calls("/query")
    assert (await tier.delivers("salesforce", body, tier.vendors["islands"].webhook_secret)).status_code == 202
    await tier.settled()
    assert await tier.log() == []
    told = await tier.log("opportunity.won.v1", tenant="islands")
    assert [subject for _, _, subject in told] == [canonical_id("opportunity", "islands", "salesforce", ref)]
    assert {hint[0] for hint in await tier.hints()} == {"islands"}
    assert tier.vendors["harbour"].crm.calls("/query") == asked


async def test_a_tenants_polls_and_hints_are_its_own(tier: Tier) -> None:
    for name in ("harbour", "islands"):
        await tier.vendors[name].load(1)
    await tier.polls("islands")
    await tier.settled()
    assert {hint[0] for hint in await tier.hints()} == {"islands"}
    await tier.rows("UPDATE change_hints SET state = 'failed', reason = 'vendor_drift: x' WHERE entity = 'opportunity'")
    assert (await tier.get("/intake/v1/failed-hints"))["items"] == []
    assert len((await tier.get("/intake/v1/failed-hints", tenant="islands"))["items"]) == 1
    foreign = await tier.ask("POST", "/intake/v1/failed-hints/retries", json={})
    assert foreign.json() == {"hints": 0}
    views = await tier.get("/connectors/v1/connectors")
    assert [view["hints"] for view in views["items"]] == [{}, {}, {}]
    assert [view["changes_read_until"] for view in views["items"]] == [None, None, None]


async def test_a_tenants_token_reads_nothing_of_another(tier: Tier) -> None:
    for name in ("harbour", "islands"):
        await tier.vendors[name].load(1)
    ours = (await tier.get("/crm/v1/opportunities"))["items"]
    theirs = (await tier.get("/crm/v1/opportunities", tenant="islands"))["items"]
    assert [one["tenant"] for one in (*ours, *theirs)] == ["harbour", "islands"]
    assert ours[0]["id"] != theirs[0]["id"]
    for path in (
        f"/crm/v1/opportunities/{theirs[0]['id']}",
        f"/crm/v1/opportunities/{theirs[0]['id']}/contract",
        f"/crm/v1/customers/{theirs[0]['customer_id']}",
    ):
        is_problem(await tier.ask("GET", path), 404, "not_found")
        assert (await tier.ask("GET", path, tenant="islands")).status_code == 200
    status = {"stage": "activated"}
    write = f"/crm/v1/opportunities/{theirs[0]['id']}/delivery-status"
    is_problem(await tier.ask("PUT", write, json=status), 404, "not_found")
    nobody = await tier.ask("GET", "/crm/v1/opportunities", tenant="nowhere")
    is_problem(nobody, 403, "not_permitted")


async def test_an_id_known_to_another_tenant_is_another_record_of_ones_own(tier: Tier) -> None:
    body = plan().model_dump(mode="json")
    placed = {}
    for tenant in ("islands", "harbour"):
        answer = await tier.ask("PUT", "/psa/v1/projects/prj_acme", json=body, tenant=tenant)
        assert answer.status_code == 200, answer.text
        assert answer.json()["tenant"] == tenant
        placed[tenant] = answer.json()
    closed = await tier.ask("DELETE", "/psa/v1/projects/prj_acme")
    assert closed.status_code == 204
    assert tier.vendors["islands"].psa.calls("PUT /api/v1/workspaces") == 0
    assert tier.vendors["harbour"].psa.calls("PUT /api/v1/workspaces") == 1


async def test_a_customer_of_another_tenant_is_not_written_for_ones_own(tier: Tier) -> None:
    body = {"customer": customer().model_dump(mode="json"), "legal_entity_code": "HC-DE"}
    answer = await tier.ask("PUT", "/erp/v1/customers/cus_acme", json=body, tenant="islands")
    assert named(is_problem(answer, 422, "invalid_request")) == ["body.customer.tenant"]


async def test_only_the_scope_opens_polls_and_retries(tier: Tier) -> None:
    for method, path, scope in (
        ("POST", "/intake/v1/polls", "intake.write"),
        ("POST", "/intake/v1/failed-hints/retries", "intake.write"),
        ("GET", "/intake/v1/failed-hints", "connectors.read"),
        ("GET", "/connectors/v1/connectors", "connectors.read"),
    ):
        answer = await tier.ask(method, path, scope="crm.read", json={} if method == "POST" else None)
        told = is_problem(answer, 403, "not_permitted")
        assert scope in json.dumps(told)


async def test_a_wrong_retry_is_refused_naming_the_field(tier: Tier) -> None:
    wrong: list[tuple[Any, str]] = [
        ({"ids": ["x"]}, "body.ids.0"),
        ({"ids": [0]}, "body.ids.0"),
        ({"connector": "No Such"}, "body.connector"),
        ({"all": True}, "body.all"),
    ]
    for body, field in wrong:
        answer = await tier.ask("POST", "/intake/v1/failed-hints/retries", json=body)
        assert named(is_problem(answer, 422, "invalid_request")) == [field]
