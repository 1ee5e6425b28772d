"""API4, resource consumption: everything a caller can make large, deep, many, long or slow has a bound that is told."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from time import process_time
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from tests.security.house import OURS, TIERS, House
from tests.security.walk import described, filled, json_body, lists, parameters, parts

pytestmark = pytest.mark.asyncio(loop_scope="package")
_SLOW = 0.5
_ADVERSARIES = ("a" * 4000 + "!", "0" * 4000 + "x", " " * 4000 + "\x00", "a-" * 2000 + "\n", "a." * 2000, "x@" * 2000)


@pytest.mark.parametrize("name", TIERS)
async def test_no_body_is_too_large_too_deep_or_too_many(house: House, name: str) -> None:
    tier = house.tiers[name]
    deep: Any = "x"
    for _ in range(40):
        deep = {"a": deep}
    bad = {
        "deep": json.dumps(deep).encode(),
        "deeper than any stack": b"[" * 100_000 + b"]" * 100_000,
        "many members": json.dumps({f"m{at}": 1 for at in range(5000)}).encode(),
        "many items": json.dumps({"a": list(range(5000))}).encode(),
        "a long text": json.dumps({"a": "x" * 100_000}).encode(),
        "a long number": b'{"a": ' + b"9" * 100_000 + b"}",
    }
    wrong: list[str] = []
    for operation in tier.guarded:
        if json_body(tier, operation) is None:
            continue
        path = filled(operation.path, dict.fromkeys(parameters(operation), "some-id"))
        for what, content in bad.items():
            answer = await house.ask(
                name, operation.method, path, content=content, headers={"content-type": "application/json"}
            )
            if answer.status_code not in {400, 413, 422} or len(answer.content) > 20_000:
                wrong.append(f"{operation.name} {what}: {answer.status_code} {answer.text[:120]}")
        assert operation.policies.size_limit is not None, operation.name
        bound = operation.policies.size_limit.max_bytes
        large = await house.ask(name, operation.method, path, content=b" " * (bound + 1))
        if large.status_code != 413 or bound > 8_388_608:
            wrong.append(f"{operation.name} large: {large.status_code}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", TIERS)
async def test_every_list_has_a_last_row_per_page(house: House, name: str) -> None:
    tier = house.tiers[name]
    wrong: list[str] = []
    for operation in [*lists(tier), *(one for one in tier.guarded if one.method == "GET" and parameters(one))]:
        facts = described(tier, operation)
        schema = next((one["schema"] for one in facts.get("parameters", []) if one["name"] == "limit"), None)
        answers = facts["responses"]["200"].get("content", {}).get("application/json", {})
        if schema is None:
            if "Page" in json.dumps(answers) and "/kpis" not in operation.path:
                wrong.append(f"{operation.name}: a page without limit")
            continue
        if schema.get("maximum", 10**9) > 1000:
            wrong.append(f"{operation.name}: up to {schema.get('maximum')} rows")
        path = filled(operation.path, dict.fromkeys(parameters(operation), "some-id"))
        for limit in (10**9, 0, -1, "1e3", "many"):
            answer = await house.ask(name, "GET", path, params={"limit": limit})
            if answer.status_code != 422 or "query.limit" not in answer.text:
                wrong.append(f"{operation.name} limit={limit}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", TIERS)
async def test_addresses_and_headers_have_an_end(house: House, name: str) -> None:
    tier = house.tiers[name]
    path = lists(tier)[0].path
    many = await house.ask(name, "GET", path, params=[("cursor", "x")] * 3000)
    assert many.status_code in {400, 414, 422, 431}, many.status_code
    long = await house.ask(name, "GET", f"{path}?cursor={'x' * 60_000}")
    assert long.status_code in {400, 414, 422, 431}, long.status_code
    for size in (70_000, 1_000_000):
        with suppress(httpx.TransportError):  # a connection that is cut is an answer, too
            answer = await house.ask(name, "GET", path, headers={"x-long": "x" * size})
            assert answer.status_code in {200, 400, 431}, answer.status_code
    assert (await house.ask(name, "GET", path)).status_code == 200, "the door is open as before"


async def test_a_body_that_trickles_ends_with_the_deadline_and_holds_up_nobody(house: House) -> None:
    tier = house.tiers["process"]
    place = urlsplit(tier.url)
    head = (
        f"POST /quote-to-project/v1/runs HTTP/1.1\r\nhost: {place.netloc}\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {house.token('process')}\r\nidempotency-key: {uuid4().hex}\r\n"
        "x-request-deadline: 300\r\ncontent-length: 1000\r\n\r\n{"
    )
    slow = [await asyncio.open_connection(place.hostname, place.port) for _ in range(20)]
    for _, writer in slow:
        writer.write(head.encode())
    assert (await house.ask("process", "GET", "/kpis/v1/kpis")).status_code == 200
    for reader, writer in slow:
        async with asyncio.timeout(10):
            line = await reader.readline()
        assert line.split()[1] in {b"408", b"504"}, line
        writer.close()


@pytest.mark.parametrize("name", TIERS)
async def test_a_plan_that_is_used_up_is_told_with_its_fields(house: House, name: str) -> None:
    path = lists(house.tiers[name])[-1].path
    poor = {"client_id": f"poor-{uuid4().hex}", "plan": "trial"}
    answers = [await house.ask(name, "GET", path, claims=poor) for _ in range(22)]
    refused = next(one for one in answers if one.status_code == 429)
    assert refused.headers["retry-after"].isdigit()
    assert '"burst";q=20' in refused.headers["ratelimit-policy"]
    assert "r=0" in refused.headers["ratelimit"]
    told = refused.json()
    assert told["type"].endswith("#quota-exceeded")
    assert told["violated-policies"] == ["burst"]
    unknown = await house.ask(name, "GET", path, claims={"client_id": uuid4().hex, "plan": "unheard-of"})
    assert "ratelimit-policy" in unknown.headers, "a plan nobody knows is a limited one"


async def test_pages_and_the_issuer_are_limited_by_address(house: House) -> None:
    for operation in house.tiers["experience"].operations:
        if operation.is_public and operation.api != "operations":  # probes and documents read from memory
            assert operation.policies.rate_limit is not None, operation.name
            assert operation.policies.size_limit is not None, operation.name


def patterns(value: Any) -> Iterator[str]:
    """Every regular expression of a document."""
    for key, inner in parts(value):
        if key == "pattern" and isinstance(inner, str):
            yield inner
        else:
            yield from patterns(inner)


@pytest.mark.parametrize("name", TIERS)
async def test_no_published_pattern_takes_long_on_text_made_to_hurt(house: House, name: str) -> None:
    found = set(patterns(house.tiers[name].app.openapi()))
    assert found
    for pattern in found:
        compiled = re.compile(pattern)
        began = process_time()
        for text in _ADVERSARIES:
            compiled.search(text)
        assert process_time() - began < _SLOW, pattern


async def test_one_caller_in_many_tabs_has_a_bound(house: House) -> None:
    plans = house.tiers["experience"].app.documents.plans
    assert all(plan.at_once is not None and plan.windows for plan in plans.values())
    greedy = {"client_id": f"greedy-{uuid4().hex}", "plan": "trial"}
    path = "/events/v1/events"
    answers = await asyncio.gather(*(house.ask("process", "GET", path, tenant=OURS, claims=greedy) for _ in range(40)))
    assert {one.status_code for one in answers} <= {200, 429}
    assert sum(one.status_code == 200 for one in answers) <= 20
