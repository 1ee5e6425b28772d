"""What a caller meets at the door: problems, versions, sizes, contents, headers."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from shared.errors.taxonomy import BodyTooLarge
from shared.gateway.kit import Kit, Message
from tests.unit.gateway.door import OPERATIONS, Door, documents, opened

KEYED = {"idempotency-key": "k-1"}
MEMBERS = {"type", "title", "status", "detail", "code", "instance", "correlation_id", "errors", "reaction", "effect"}


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    told = answer.json()
    return (
        answer.status_code == told["status"] == status
        and told["code"] == code
        and answer.headers["content-type"] == "application/problem+json"
        and set(told) >= MEMBERS
        and told["correlation_id"] == answer.headers["x-correlation-id"]
    )


async def test_malformed_json_is_told_with_its_place(door: Door) -> None:
    headers = {**KEYED, "content-type": "application/json"}
    answer = await door.post("/things/v1/things", content=b'{"hours": 1,', headers=headers)
    assert is_problem(answer, 400, "malformed_request")
    assert answer.json()["errors"][0]["field"] == "body"
    assert "character" in answer.json()["errors"][0]["reason"]


async def test_json_without_a_content_type_is_read_as_json(door: Door) -> None:
    assert (await door.post("/things/v1/things", content=b'{"hours": 1}', headers=KEYED)).status_code == 201
    answer = await door.post("/things/v1/things", content=b"{", headers={"idempotency-key": "k-2"})
    assert is_problem(answer, 400, "malformed_request")


async def test_text_that_is_no_text_is_malformed(door: Door) -> None:
    headers = {**KEYED, "content-type": "application/json"}
    answer = await door.post("/things/v1/things", content=b'{"hours": 1, "note": "\xff\xfe"}', headers=headers)
    assert is_problem(answer, 400, "malformed_request")


async def test_every_wrong_field_is_named_with_its_reason(door: Door) -> None:
    body = {"hours": "many", "note": 7, "extra": 1}
    answer = await door.post("/things/v1/things", json=body, headers=KEYED)
    assert is_problem(answer, 422, "invalid_request")
    assert {finding["field"] for finding in answer.json()["errors"]} == {"body.hours", "body.note", "body.extra"}
    assert all(finding["reason"] for finding in answer.json()["errors"])


async def test_a_parameter_out_of_bounds_is_named(door: Door) -> None:
    answer = await door.get("/things/v1/things", params={"limit": 1000})
    assert is_problem(answer, 422, "invalid_request")
    assert answer.json()["errors"] == [{"field": "query.limit", "reason": "Input should be less than or equal to 200"}]


async def test_half_a_surrogate_pair_in_a_field_name_is_told_not_broken(door: Door) -> None:
    headers = {**KEYED, "content-type": "application/json"}
    answer = await door.post("/things/v1/things", content=b'{"hours": 1, "\\ud800": 1}', headers=headers)
    assert is_problem(answer, 422, "invalid_request")


async def test_a_body_larger_than_allowed_is_refused_by_its_announcement(door: Door) -> None:
    answer = await door.post("/things/v1/things", json={"hours": 1, "note": "x" * 1_100_000}, headers=KEYED)
    assert is_problem(answer, 413, "body_too_large")
    assert answer.json()["max_bytes"] == 1_048_576


async def test_a_body_that_announces_nothing_is_counted(door: Door) -> None:
    async def endless() -> Any:
        for _ in range(40):
            yield b"x" * 50_000

    headers = {**KEYED, "content-type": "application/json"}
    answer = await door.post("/things/v1/things", content=endless(), headers=headers)
    assert is_problem(answer, 413, "body_too_large")


async def test_a_body_sent_in_pieces_arrives_whole(door: Door) -> None:
    async def pieces() -> Any:
        yield b'{"hou'
        yield b'rs": 3}'

    headers = {**KEYED, "content-type": "application/json"}
    answer = await door.post("/things/v1/things", content=pieces(), headers=headers)
    assert answer.json()["hours"] == 3


async def test_reading_stops_at_the_limit() -> None:
    read = 0

    async def receive() -> Message:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    kit = Kit({"headers": []}, receive, "POST", "/")
    with pytest.raises(BodyTooLarge):
        await kit.body(most=250)
    assert read == 3


async def test_another_media_type_is_refused_with_the_spoken_one(door: Door) -> None:
    answer = await door.post("/things/v1/things", content=b"<a/>", headers={**KEYED, "content-type": "text/xml"})
    assert is_problem(answer, 415, "unsupported_content")
    assert "application/json" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/things/v1/things/a%00b", "/things/v1/things?limit=1%00"])
async def test_nul_in_path_or_query_is_refused(door: Door, path: str) -> None:
    assert is_problem(await door.get(path), 400, "malformed_request")


async def test_nul_in_the_body_is_refused_but_not_its_name(door: Door) -> None:
    answer = await door.post("/things/v1/things", json={"hours": 1, "note": "a\0b"}, headers=KEYED)
    assert is_problem(answer, 400, "malformed_request")
    answer = await door.post("/things/v1/things", json={"hours": 1, "note": r"a\u0000b"}, headers=KEYED)
    assert answer.status_code == 201


async def test_an_unknown_version_names_those_that_are_known(door: Door) -> None:
    answer = await door.get("/things/v7/things")
    assert is_problem(answer, 404, "unknown_version")
    assert answer.json()["known_versions"] == ["v1"]
    assert "v1" in answer.json()["detail"]


async def test_an_unknown_path_is_not_found_with_or_without_a_token(door: Door) -> None:
    assert is_problem(await door.get("/things/v1/nothing"), 404, "not_found")
    assert is_problem(await door.get("/nowhere", token=None), 404, "not_found")
    assert is_problem(await door.get("/things/v1/things/"), 404, "not_found")


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "TRACE", "PUT"])
async def test_a_method_that_is_not_served_names_those_that_are(door: Door, method: str) -> None:
    answer = await door.ask(method, "/things/v1/things")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_options_tells_what_may_be_asked_of_a_path_and_nothing_of_others(door: Door) -> None:
    answer = await door.ask("OPTIONS", "/things/v1/things", token=None)
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    assert is_problem(await door.ask("OPTIONS", "/things/v1/nothing", token=None), 404, "not_found")


async def test_head_is_answered_like_get_without_its_body(door: Door) -> None:
    told = await door.get("/things/v1/things")
    answer = await door.ask("HEAD", "/things/v1/things")
    assert (answer.status_code, answer.content) == (200, b"")
    for name in ("content-type", "content-length", "ratelimit-policy", "x-content-type-options"):
        assert answer.headers[name] == told.headers[name]
    answer = await door.ask("HEAD", "/things/v1/things", token=None)
    assert (answer.status_code, answer.content) == (401, b"")
    answer = await door.ask("HEAD", "/nowhere")
    assert (answer.status_code, answer.content) == (404, b"")


async def test_who_asks_for_the_unknown_is_shown_the_catalog(door: Door) -> None:
    answer = await door.get("/nowhere")
    assert answer.headers["link"] == '</.well-known/api-catalog>; rel="api-catalog"'


async def test_a_defect_of_ours_tells_nothing_but_its_correlation_id(door: Door) -> None:
    answer = await door.post("/things/v1/things", json={"hours": 1, "note": "boom"}, headers=KEYED)
    assert is_problem(answer, 500, "defect")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


async def test_trouble_of_a_vendor_says_when_to_come_back_and_no_secret(door: Door) -> None:
    answer = await door.post("/things/v1/things", json={"hours": 1, "note": "throttled"}, headers=KEYED)
    assert is_problem(answer, 503, "vendor_throttled")
    assert answer.headers["retry-after"] == "7"
    assert "sk-very-secret" not in answer.text


async def test_an_outcome_nobody_knows_says_so(door: Door) -> None:
    answer = await door.post("/things/v1/things", json={"hours": 1, "note": "unknown"}, headers=KEYED)
    assert is_problem(answer, 504, "outcome_unknown")
    assert (answer.json()["effect"], answer.json()["reaction"]) == ("unknown", "reconcile")


async def test_a_well_formed_correlation_id_is_kept_and_another_replaced(door: Door) -> None:
    answer = await door.get("/things/v1/things", headers={"x-correlation-id": "order-4711"})
    assert answer.headers["x-correlation-id"] == "order-4711"
    for strange in ("two words", "x" * 200, '"><script>'):
        answer = await door.get("/things/v1/things", headers={"x-correlation-id": strange})
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-correlation-id"])


async def test_every_answer_carries_the_security_headers(door: Door) -> None:
    for answer in (await door.get("/things/v1/things"), await door.get("/nowhere"), await door.get("/health")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_a_deprecated_version_says_since_when_until_when_and_what_follows() -> None:
    lifecycle = {
        "state": "deprecated",
        "deprecated_at": "2026-01-01T00:00:00Z",
        "sunset_at": "2999-12-31T23:59:59Z",
        "successor": "/things/v2",
        "notice": "https://docs.test/move",
    }
    async with opened(documents(version={"lifecycle": lifecycle})) as door:
        answer = await door.get("/things/v1/things")
        assert answer.headers["deprecation"] == f"@{int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())}"
        assert answer.headers["sunset"] == "Tue, 31 Dec 2999 23:59:59 GMT"
        assert '</things/v2>; rel="successor-version"' in answer.headers["link"]
        assert '<https://docs.test/move>; rel="deprecation"' in answer.headers["link"]


async def test_a_version_whose_sunset_has_passed_is_gone() -> None:
    lifecycle = {"sunset_at": "2020-01-01T00:00:00Z", "successor": "/things/v2"}
    async with opened(documents(version={"lifecycle": lifecycle})) as door:
        answer = await door.get("/things/v1/things")
        assert is_problem(answer, 410, "version_retired")
        assert answer.json()["successor"] == "/things/v2"


async def test_a_sunset_that_passes_while_the_tier_runs_ends_the_version_and_all_below_it() -> None:
    ends = datetime.now(UTC) + timedelta(seconds=0.5)
    lifecycle = {"sunset_at": ends.isoformat(), "successor": "/things/v2"}
    others = {"v2": {"base": "/things/v2"}}
    async with opened(documents(version={"lifecycle": lifecycle}, others=others)) as door:
        assert (await door.get("/things/v1/things")).status_code == 200
        assert is_problem(await door.get("/things/v1/nothing"), 404, "not_found")
        await asyncio.sleep((ends - datetime.now(UTC)).total_seconds() + 0.01)
        for path in ("/things/v1/things", "/things/v1/nothing", "/things/v1"):
            answer = await door.get(path, token=None)
            assert is_problem(answer, 410, "version_retired")
            assert answer.headers["link"].startswith('</things/v2>; rel="successor-version"')
            assert "sunset" in answer.headers
        assert (await door.get("/things/v7/things")).json()["known_versions"] == ["v2"]


async def test_a_retired_version_is_gone_and_names_its_successor() -> None:
    retired = {"v0": {"base": "/things/v0", "lifecycle": {"state": "retired", "successor": "/things/v1"}}}
    async with opened(documents(others=retired)) as door:
        answer = await door.get("/things/v0/whatever")
        assert is_problem(answer, 410, "version_retired")
        assert answer.headers["link"].startswith('</things/v1>; rel="successor-version"')


async def test_a_known_origin_may_ask_and_read_and_others_may_not() -> None:
    async with opened(documents(policies={"cors": {"origins": ["https://portal.test"]}})) as door:
        asked = {"origin": "https://portal.test", "access-control-request-method": "POST"}
        answer = await door.ask("OPTIONS", "/things/v1/things", token=None, headers=asked)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "https://portal.test"
        assert "POST" in answer.headers["access-control-allow-methods"]
        answer = await door.get("/things/v1/things", headers={"origin": "https://portal.test"})
        assert "ETag" in answer.headers["access-control-expose-headers"]
        answer = await door.ask(
            "OPTIONS", "/things/v1/things", token=None, headers={**asked, "origin": "https://x.test"}
        )
        assert answer.status_code == 204
        assert "access-control-allow-origin" not in answer.headers
        answer = await door.get("/things/v1/things", headers={"origin": "https://x.test"})
        assert "access-control-allow-origin" not in answer.headers


async def test_one_line_tells_of_a_request_and_one_of_an_act(capsys: pytest.CaptureFixture[str]) -> None:
    async with opened() as door:
        await door.get("/things/v1/things")
        await door.get("/things/v1/things", token=door.issuer.token(scope="none"))
        await door.post("/things/v1/things", json={"hours": 1}, headers=KEYED)
        door.app.access.flush()
        door.app.audit.flush()
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    acts = [line for line in lines if line["event"] == "act"]
    assert [(line["operation"], line["status"]) for line in requests] == [
        ("GET /things/v1/things", 200),
        ("GET /things/v1/things", 403),
        ("POST /things/v1/things", 201),
    ]
    assert requests[1]["refused_by"] == "not_permitted"
    assert [(line["operation"], line["subject"], line["status"]) for line in acts] == [
        ("GET /things/v1/things", "ada", 403),
        ("POST /things/v1/things", "ada", 201),
    ]
    assert not any("eyJ" in json.dumps(line) for line in lines)


async def test_probes_metrics_and_description_are_open_and_uncounted(door: Door) -> None:
    assert (await door.get("/health", token=None)).json() == {"status": "ok", "tier": "system"}
    assert (await door.get("/ready", token=None)).json() == {"ready": True, "checks": []}
    answer = await door.get("/metrics", token=None)
    assert "throughline_system_request_seconds_count" in answer.text
    assert "ratelimit" not in answer.headers
    assert (await door.get("/openapi.json", token=None)).json()["openapi"].startswith("3.1")


async def test_the_inner_call_carries_trace_and_correlation(door: Door) -> None:
    from shared.telemetry import correlation_id, traceparent  # noqa: PLC0415

    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await door.get("/things/v1/things", headers={"traceparent": parent, "x-correlation-id": "c-1"})
    carried = traceparent.get()
    assert correlation_id.get() == "c-1"
    assert carried is not None
    assert carried.startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert carried != parent


def test_operations_of_the_test_are_what_they_seem() -> None:
    own = [operation for operation in documents().operations() if operation.api == "things"]
    assert len(own) == len(OPERATIONS)
