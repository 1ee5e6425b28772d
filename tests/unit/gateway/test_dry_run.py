"""Policies in dry run refuse nothing: what they would have refused is counted and told, and the request goes on."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from fastapi import APIRouter

from shared.gateway.document import Policies
from tests.unit.gateway.door import OPERATIONS, Door, documents, opened
from tests.unit.gateway.stand import declared, standing

KEYED = {"idempotency-key": "k-1"}
ONE = {"plan": "narrow"}
NARROW = {"narrow": {"windows": [{"name": "burst", "requests": 1, "per_seconds": 60}]}}


async def _counted(door: Door) -> set[frozenset[str]]:
    """Policy, operation and code of every refusal that did not take place."""
    text = (await door.get("/metrics", token=None)).text
    lines = [line for line in text.splitlines() if line.startswith("throughline_system_would_refuse_total{")]
    return {frozenset(re.findall(r'="([^"]*)"', line)) for line in lines}


async def test_what_would_be_refused_is_counted_told_and_done(capsys: pytest.CaptureFixture[str]) -> None:
    dry = {
        "size_limit": {"max_bytes": 10, "dry_run": True},
        "content": {"types": ["text/csv"], "dry_run": True},
        "scopes": {"dry_run": True},
        "rate_limit": {**ONE, "when_counters_are_down": "admit", "dry_run": True},
    }
    operations = {**OPERATIONS, "POST /things": {"scopes": ["things.destroy"]}}
    async with opened(documents(policies=dry, plans=NARROW, operations=operations)) as door:
        for number in (1, 2):
            answer = await door.post("/things/v1/things", json={"hours": 5}, headers=KEYED)
            assert (answer.status_code, answer.json()["number"]) == (201, number)
        assert answer.headers["ratelimit"].startswith('"burst";r=0')
        seen = await _counted(door)
        lines = [json.loads(line) for line in _told(door, capsys)]
    name = "POST /things/v1/things"
    for policy, code in (
        ("size_limit", "body_too_large"),
        ("content", "unsupported_content"),
        ("scopes", "not_permitted"),
        ("rate_limit", "limit_exceeded"),
    ):
        assert frozenset({policy, name, code}) in seen
    told = [line for line in lines if line["event"] == "would refuse"]
    assert {line["policy"] for line in told} == {"size_limit", "content", "scopes", "rate_limit"}
    assert {line["client_id"] for line in told if line["policy"] == "scopes"} == {"desk"}


def _told(door: Door, capsys: pytest.CaptureFixture[str]) -> list[str]:
    for log in (door.app.access, door.app.audit, door.app.warnings):
        log.flush()
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("{")]


async def test_a_body_read_in_pieces_arrives_whole_though_it_would_have_been_refused() -> None:
    async def pieces() -> Any:
        yield b'{"hours": 3, "note": "'
        yield b"x" * 50
        yield b'"}'

    headers = {**KEYED, "content-type": "application/json"}
    async with opened(documents(policies={"size_limit": {"max_bytes": 30, "dry_run": True}})) as door:
        answer = await door.post("/things/v1/things", content=pieces(), headers=headers)
        assert (answer.status_code, answer.json()["hours"]) == (201, 3)
    async with opened(documents(policies={"size_limit": {"max_bytes": 30}})) as door:
        assert (await door.post("/things/v1/things", content=pieces(), headers=headers)).status_code == 413


async def test_a_store_that_would_refuse_a_key_lets_the_request_pass() -> None:
    operations = {
        "POST /things": {"scopes": ["things.write"], "policies": {"idempotency": {"required": True, "dry_run": True}}}
    }
    async with opened(documents(operations={**OPERATIONS, **operations})) as door:
        assert (await door.post("/things/v1/things", json={"hours": 1})).status_code == 201
        assert (await door.post("/things/v1/things", json={"hours": 1}, headers=KEYED)).status_code == 201
        other = await door.post("/things/v1/things", json={"hours": 2}, headers=KEYED)
        assert (other.status_code, other.json()["hours"]) == (201, 2)


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"jwt": {"when_revocations_are_stale": "admit"}}, "has no caller"),
        ({"correlation": {}}, "refuses nothing"),
        ({"security_headers": {}}, "refuses nothing"),
        ({"access_log": {}}, "refuses nothing"),
    ],
)
def test_a_dry_run_that_makes_no_sense_is_refused_with_its_reason(policy: dict[str, Any], reason: str) -> None:
    name = next(iter(policy))
    with pytest.raises(ValueError, match=reason):
        Policies.model_validate({name: {**policy[name], "dry_run": True}})


async def test_a_deadline_in_dry_run_cancels_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    router = APIRouter(prefix="/slow/v1")

    @router.get("/work", operation_id="work")
    async def work() -> dict[str, str]:
        await asyncio.sleep(0.05)
        return {"done": "yes"}

    operations = {"GET /work": {"scopes": ["things.read"]}}
    hurry = {"x-request-deadline": "10"}
    async with standing(router, declared("/slow/v1", operations, deadline={"seconds": 5})) as door:
        assert (await door.get("/slow/v1/work", headers=hurry)).status_code == 504
    tried = declared("/slow/v1", operations, deadline={"seconds": 5, "dry_run": True})
    async with standing(router, tried) as door:
        answer = await door.get("/slow/v1/work", headers=hurry)
        assert (answer.status_code, answer.json()) == (200, {"done": "yes"})
        assert frozenset({"deadline", "GET /slow/v1/work", "deadline_exceeded"}) in await _counted(door)
        assert any(json.loads(line).get("policy") == "deadline" for line in _told(door, capsys))
