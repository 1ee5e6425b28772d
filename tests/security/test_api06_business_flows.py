"""API6, business flows: nobody approves their own, nothing is done twice, many at once has an end."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from tests.security.house import House

pytestmark = pytest.mark.asyncio(loop_scope="package")
RUNS, DECISIONS = "/time-to-bill/v1/runs", "/approvals/v1/decisions"


async def test_who_asked_does_not_approve_alone_or_in_bulk_at_either_door(house: House) -> None:
    waiting = await house.items("process", "/approvals/v1/approvals", status="open")
    assert waiting
    for one in waiting[:3]:
        asker = {"sub": one["requested_by"]}
        alone = await house.ask(
            "process",
            "POST",
            f"/approvals/v1/approvals/{one['id']}/decision",
            claims=asker,
            json={"decision": "approve"},
        )
        assert (alone.status_code, alone.json()["code"]) == (403, "same_requester"), one
        for tier, path in (
            ("process", DECISIONS),
            ("experience", "/finance/v1/decisions"),
            ("experience", "/pmo/v1/decisions"),
        ):
            body = {"decisions": [{"approval_id": one["id"], "decision": "approve"}] * 2}
            bulk = await house.ask(tier, "POST", path, claims=asker, json=body)
            assert "approved" not in bulk.text, bulk.text
    still = {one["id"] for one in await house.items("process", "/approvals/v1/approvals", status="open")}
    assert {one["id"] for one in waiting} <= still


async def test_a_decision_needs_the_scope_of_its_kind(house: House) -> None:
    waiting = await house.items("process", "/approvals/v1/approvals", status="open")
    for one in waiting:
        wrong = {"delivery": "finance", "finance": "invoice", "invoice": "delivery"}[one["kind"]]
        answer = await house.ask(
            "process",
            "POST",
            f"/approvals/v1/approvals/{one['id']}/decision",
            claims={"scope": f"approvals.decide.{wrong}"},
            json={"decision": "approve"},
        )
        assert answer.status_code == 403, one["kind"]


async def test_many_at_once_has_an_end(house: House) -> None:
    body = {"decisions": [{"approval_id": f"apr-{at}", "decision": "approve"} for at in range(201)]}
    for tier, path in (
        ("process", DECISIONS),
        ("experience", "/finance/v1/decisions"),
        ("experience", "/pmo/v1/decisions"),
    ):
        answer = await house.ask(tier, "POST", path, json=body)
        assert answer.status_code == 422, (path, answer.status_code)


async def test_a_request_sent_many_times_at_once_is_done_once(house: House) -> None:
    key, client = uuid4().hex, {"client_id": f"eager-{uuid4().hex}"}
    body = {"contract_id": "con_nobody", "through": "2019-12"}
    before = len(await house.items("process", RUNS))
    answers = await asyncio.gather(
        *(
            house.ask("process", "POST", RUNS, claims=client, json=body, headers={"idempotency-key": key})
            for _ in range(12)
        )
    )
    assert {one.status_code for one in answers} <= {202, 409}
    assert len({one.json()["id"] for one in answers if one.status_code == 202}) == 1
    assert len(await house.items("process", RUNS)) == before + 1
    other = await house.ask(
        "process", "POST", RUNS, claims=client, json=body | {"through": "2018-01"}, headers={"idempotency-key": key}
    )
    assert other.status_code == 422
    # the key is the client's own: another client of the tenant starts its own run with it
    stranger = await house.ask(
        "process", "POST", RUNS, claims={"client_id": "stranger"}, json=body, headers={"idempotency-key": key}
    )
    assert stranger.status_code == 202
    assert stranger.json()["id"] not in {one.json().get("id") for one in answers}


async def test_an_application_is_not_approved_by_who_registered_it(house: House) -> None:
    both = {"sub": "both-at-once", "client_id": "both-at-once"}
    order = {
        "name": "Mine alone",
        "contact": "me@harbour.example",
        "purpose": "A test",
        "plan": "trial",
        "scopes": ["deals.read"],
    }
    made = await house.ask("experience", "POST", "/clients/v1/clients", claims=both, json=order)
    assert made.status_code == 201, made.text
    mine = made.json()["client"]["client_id"] if "client" in made.json() else made.json()["client_id"]
    grant = {"plan": "trial", "scopes": ["deals.read"]}
    own = await house.ask("experience", "POST", f"/clients/v1/clients/{mine}/approval", claims=both, json=grant)
    assert own.status_code == 403, own.text
    state = house.ask_database("experience", "SELECT state FROM oauth_clients WHERE client_id = %s", mine)
    assert state == [("requested",)]
    greedy = await house.ask(
        "experience",
        "POST",
        f"/clients/v1/clients/{mine}/approval",
        json=grant | {"scopes": ["deals.read", "billing.run"]},
    )
    assert greedy.status_code == 422, "nobody grants more than was asked for"


async def test_a_secret_of_an_application_nobody_approved_earns_nothing(house: House) -> None:
    order = {
        "name": "Waiting",
        "contact": "me@harbour.example",
        "purpose": "A test",
        "plan": "trial",
        "scopes": ["deals.read"],
    }
    made = (await house.ask("experience", "POST", "/clients/v1/clients", json=order)).json()
    client, secret = made.get("client", made)["client_id"], made.get("secret") or made.get("client_secret")
    assert secret
    answer = await house.http.post(
        f"{house.issuer}/oauth/token", data={"grant_type": "client_credentials"}, auth=(client, secret)
    )
    assert answer.status_code in {400, 401}, answer.text
    assert "access_token" not in answer.text
