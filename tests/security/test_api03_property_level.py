"""API3, property level: what a scope hides is not told, and what the server owns is not taken from a body."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.security.house import OURS, TIERS, House, body_of
from tests.security.walk import Ids, filled, json_body, parameters, parts, seen

pytestmark = pytest.mark.asyncio(loop_scope="package")
# What only the server says. A body may hold a member of such a name where it means something else: named with reason.
SERVER_OWNED = {
    "id": "x-1",
    "tenant": "islands",
    "state": "active",
    "owner": "mallory",
    "version": 99,
    "created_at": "2020-01-01T00:00:00Z",
    "decided_by": "mallory",
    "registered_by": "mallory",
    "is_enabled": True,
    "is_first_party": True,
    "client_secret": "mine",
    "secret": "mine",
    "customers": None,
    "grant_types": ["client_credentials"],
    "audiences": ["throughline-system"],
    "roles": ["administrator"],
}


def at(value: Any, place: str) -> list[Any]:
    """What stands at a place like `items[].amount`; absent members count as None."""
    found: list[Any] = [value]
    for step in place.split("."):
        name = step.removesuffix("[]")
        if name == "*":
            found = [inner for one in found for _, inner in parts(one)]
            continue
        found = [dict(parts(one)).get(name) for one in found]
        if step.endswith("[]"):
            found = [inner for one in found for _, inner in parts(one)]
    return found


def tells(answer: httpx.Response, place: str) -> bool:
    """Whether anything stands there."""
    return any(one is not None for one in at(body_of(answer), place))


@pytest.mark.parametrize("name", TIERS)
async def test_a_masked_field_is_told_to_those_with_its_scope_and_to_nobody_else(house: House, name: str) -> None:
    tier = house.tiers[name]
    masked = [one for one in tier.guarded if one.policies.masking is not None and one.policies.masking.fields]
    if name == "experience":
        assert len(masked) > 5
    known = Ids(house, tier, await seen(house, tier, OURS)) if masked else None
    wrong: list[str] = []
    shown: set[str] = set()
    for operation in masked:
        assert known is not None
        assert operation.policies.masking is not None
        paths = await known.paths(operation) if parameters(operation) else [operation.path]
        rules = operation.policies.masking.fields
        for path in paths[:4]:
            told = await house.ask(name, "GET", path)
            assert told.status_code == 200, path
            shown |= {f"{operation.name} {place}" for place in rules if tells(told, place)}
            for asked in {rule.unless_scope for rule in rules.values()}:
                scopes = " ".join(one for one in tier.every_scope().split() if one != asked)
                hidden = await house.ask(name, "GET", path, claims={"scope": scopes})
                assert hidden.status_code == 200, path
                places = [place for place, rule in rules.items() if rule.unless_scope == asked]
                wrong += [f"{operation.name} {place}: told without {asked}" for place in places if tells(hidden, place)]
        unproved = [f"{operation.name} {place}" for place in rules if f"{operation.name} {place}" not in shown]
        wrong += [f"{one}: never told even with its scope; nothing is proved" for one in unproved]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", TIERS)
async def test_no_body_sets_what_the_server_says(house: House, name: str) -> None:
    tier = house.tiers[name]
    wrong: list[str] = []
    looked_at = 0
    for operation in tier.guarded:
        found = json_body(tier, operation)
        if found is None:
            continue
        schema, example = found
        looked_at += 1
        members: dict[str, Any] = schema.get("properties", {})
        path = filled(operation.path, dict.fromkeys(parameters(operation), "some-id"))
        for member, value in SERVER_OWNED.items():
            if member in members:
                continue
            answer = await house.ask(name, operation.method, path, json={**example, member: value})
            if answer.status_code != 422 or f"body.{member}" not in answer.text:
                wrong.append(f"{operation.name}: {member} is answered {answer.status_code} {answer.text[:160]}")
    assert looked_at > 2
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", TIERS)
async def test_bodies_that_may_name_server_owned_members_are_few_and_known(house: House, name: str) -> None:
    tier = house.tiers[name]
    named = {
        f"{operation.name} {member}"
        for operation in tier.guarded
        if (found := json_body(tier, operation)) is not None
        for member in set(found[0].get("properties", {})) & set(SERVER_OWNED)
    }
    # The system tier keeps records under ids that the process tier gives; path and body must name the same one.
    given = {"PUT /erp/v1/projects/{project_id} id", "PUT /psa/v1/projects/{project_id} id"}
    given |= {f"PUT /erp/v1/{what} id" for what in ("contracts/{contract_id}", "invoices/{invoice_id}")}
    given |= {"PUT /erp/v1/billing-schedules/{schedule_id} id"}
    paused = {"PUT /webhooks/v1/endpoints/{endpoint_id} state"}  # its owner pauses an endpoint
    # an administrator who lets a client in says whose records it sees; who registers one cannot
    bound = {"POST /clients/v1/clients/{client_id}/approval customers"}
    assert named <= given | paused | bound


async def test_a_decision_or_an_application_is_made_in_the_callers_name_whatever_the_body_says(house: House) -> None:
    order = {
        "name": "Greedy",
        "contact": "dev@harbour.example",
        "purpose": "A test",
        "plan": "internal",
        "scopes": ["revocations.read", "tokens.introspect", "crm.write"],
    }
    made = await house.ask("experience", "POST", "/clients/v1/clients", json=order)
    assert made.status_code == 422
    assert made.text.count("not offered") >= 3 or "scopes" in made.text
