"""JSON limits: bodies that no honest caller sends are refused before anything is built from them."""

from __future__ import annotations

import json
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.errors.taxonomy import MalformedRequest
from shared.gateway.policies.json_limits.config import JsonLimits
from shared.gateway.policies.json_limits.handler import JsonLimitsHandler
from shared.gateway.policies.json_limits.shape import Bounds, Exceeded, is_plainly_within, measure
from shared.gateway.refusals import JsonLimitsExceeded
from tests.unit.gateway.door import Door, documents, opened
from tests.unit.gateway.stand import kit_of

SMALL = {"max_depth": 3, "max_keys": 6, "max_items": 4, "max_string": 40}


async def look(body: str | bytes, method: str = "POST", **headers: str) -> None:
    """Let a body through the policy."""
    sent = body if isinstance(body, bytes) else body.encode()
    given_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    waiting = JsonLimitsHandler(JsonLimits.model_validate(SMALL)).enter(
        kit_of(method, body=sent, headers=given_headers)
    )
    if waiting is not None:
        await waiting


@pytest.mark.parametrize(
    "body",
    [
        '{"a": [[1]], "b": {"c": {}}}',
        "[1, 2, 3, 4]",
        '{"a": "' + "x" * 40 + '"}',
        '[{"a": 1}, {"a": 2}, {"a": 3}]',
        '{"a": "{{{{[[[[:::::,,,,,"}',  # brackets and commas within a string are text
        r'{"a": "\"", "b": "\\"}',
        "null",
    ],
)
async def test_honest_bodies_pass(body: str) -> None:
    await look(body)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"a": {"b": {"c": {}}}}', "3 deep"),
        ("[[[[]]]]", "3 deep"),
        ('{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1}', "6 members"),
        ('[{"a":1,"b":1,"c":1},{"a":1,"b":1,"c":1},{"a":1}]', "6 members"),
        ("[1,2,3,4,5]", "4 items"),
        ('{"a": [[1,2,3,4,5]]}', "4 items"),
        ('{"a": "' + "x" * 41 + '"}', "string is longer than 40"),
        ('[["' + "x" * 41 + '"]]', "string is longer than 40"),
        ('{"' + "x" * 41 + '": 1}', "name of a member is longer"),
        ('{"a": 1, "a": 1}', "`a` twice"),
        (r'{"a": 1, "\u0061": 2}', "`a` twice"),
        ('[{"b": {"a": 1, "a": 2}}]', "`a` twice"),
        ('{"b":"v",":k":1,"c":"v" ,":k":2}', "`:k` twice"),
    ],
)
async def test_each_bound_is_told_by_name(body: str, told: str) -> None:
    with pytest.raises(JsonLimitsExceeded) as refused:
        await look(body)
    assert told in refused.value.message
    assert refused.value.status == 400


@pytest.mark.parametrize("body", ["{", '{"a": 1, "a"', "[1, 2, 3, 4, NaN]", b'{"\xff": 1, "b": [1,2,3,4]}', "[" * 5000])
async def test_what_is_no_json_is_refused_once_it_has_to_be_read(body: str | bytes) -> None:
    padded = (body if isinstance(body, bytes) else body.encode()) + b" " * 60
    with pytest.raises(MalformedRequest):
        await look(padded)


async def test_only_bodies_that_may_be_json_are_looked_at() -> None:
    await look('{"a":1,"a":2}', method="GET")
    await look('{"a":1,"a":2}', content_type="application/x-www-form-urlencoded")
    with pytest.raises(JsonLimitsExceeded):
        await look('{"a":1,"a":2}', content_type="application/merge-patch+json; charset=utf-8")
    with pytest.raises(JsonLimitsExceeded):
        await look('{"a":1,"a":2}', transfer_encoding="chunked")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def _facts(value: Any, depth: int = 0) -> tuple[int, int, int, int]:
    """Depth, members, longest array and longest string, counted the slow and plain way."""
    if isinstance(value, str):
        return depth, 0, 0, len(value)
    if not isinstance(value, list | dict):
        return depth, 0, 0, 0
    inner = [_facts(one, depth + 1) for one in (value.values() if isinstance(value, dict) else value)]
    names = [len(name) for name in value] if isinstance(value, dict) else []
    return (
        max([depth + 1, *(one[0] for one in inner)]),
        len(names) + sum(one[1] for one in inner),
        max([0 if isinstance(value, dict) else len(value), *(one[2] for one in inner)]),
        max([0, *names, *(one[3] for one in inner)]),
    )


@given(value=_JSON, ascii_only=st.booleans())
def test_the_quick_look_and_the_reading_agree_with_counting_by_hand(value: Any, ascii_only: bool) -> None:
    bounds = Bounds(depth=3, keys=6, items=4, string=7)
    depth, members, items, longest = _facts(value)
    is_within = depth <= bounds.depth and members <= bounds.keys and items <= bounds.items and longest <= bounds.string
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        measure(body, bounds)
        passed = True
    except Exceeded:
        passed = False
    assert passed == is_within
    assert is_within or not is_plainly_within(body, bounds)


def test_a_long_body_is_measured_in_reasonable_time() -> None:
    rows = json.dumps([{"id": n, "note": "x" * 40, "parts": [1, 2, 3]} for n in range(20_000)]).encode()
    began = perf_counter()
    measure(rows, Bounds(depth=5, keys=100_000, items=20_000, string=100))
    assert perf_counter() - began < 5


@pytest.mark.parametrize("nasty", [b'"' + b"\\" * 999_999, b'"' + b'\\"' * 500_000, b'" ' * 500_000, b'"":' * 300_000])
def test_a_nasty_body_takes_no_longer(nasty: bytes) -> None:
    bounds = Bounds(depth=5, keys=5, items=5, string=2_000_000)
    began = perf_counter()
    assert not is_plainly_within(nasty, bounds._replace(keys=1_000_000)) or b":" not in nasty
    with pytest.raises((ValueError, Exceeded)):
        measure(nasty, bounds)
    assert perf_counter() - began < 5


@pytest.mark.parametrize("wrong", [{"max_depth": 0}, {"max_depth": 501}, {"max_items": -1}, {"depth": 3}])
def test_bounds_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JsonLimits.model_validate(wrong)


async def test_the_gate_refuses_a_member_named_twice_and_nothing_is_done(door: Door) -> None:
    body = '{"hours": 1, "hours": 8}'
    answer = await door.post(
        "/things/v1/things", content=body, headers={"content-type": "application/json", "idempotency-key": "k"}
    )
    assert answer.status_code == 400
    problem = answer.json()
    assert problem["code"] == "json_limits_exceeded"
    assert problem["errors"] == [{"field": "body", "reason": "An object names the member `hours` twice."}]
    assert door.things.made == 0


async def test_a_plan_may_have_other_bounds() -> None:
    async with opened(documents(policies={"json_limits": {"max_string": 10}})) as door:
        body = {"hours": 1, "note": "a note of some length"}
        answer = await door.post("/things/v1/things", json=body, headers={"idempotency-key": "k"})
        assert answer.json()["code"] == "json_limits_exceeded"
