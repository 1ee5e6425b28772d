"""CORS, security headers and content negotiation: what browsers and readers are told, and who is turned away."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from shared.gateway.policies.content.accept import Acceptance
from shared.gateway.policies.cors.config import Cors
from shared.gateway.policies.security_headers.config import SecurityHeaders
from shared.gateway.policies.security_headers.handler import hsts, security_headers
from tests.unit.gateway.door import Door, documents, opened

PORTAL = "https://portal.example"
PREFLIGHT = {"origin": PORTAL, "access-control-request-method": "POST", "access-control-request-headers": "dpop"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"origins": ["portal.example"]},
        {"origins": ["http://portal.example"]},
        {"origins": ["https://portal.example/"]},
        {"origins": ["https://Portal.example"]},
        {"origins": ["https://*.example"]},
        {"origins": ["null"]},
        {"origins": ["*", PORTAL]},
        {"origins": ["*"], "credentials": True},
        {"request_headers": ["*"]},
        {"exposed_headers": ["A, B"]},
        {"max_age_seconds": -1},
    ],
)
def test_origins_that_would_open_too_much_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Cors.model_validate(wrong)


async def test_a_preflight_tells_what_a_known_origin_may_send() -> None:
    cors = {"origins": [PORTAL, "http://localhost:3000"], "credentials": True, "max_age_seconds": 120}
    async with opened(documents(policies={"cors": cors})) as door:
        answer = await door.ask("OPTIONS", "/things/v1/things", token=None, headers=PREFLIGHT)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == PORTAL
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "DPoP" in answer.headers["access-control-allow-headers"]
        assert answer.headers["access-control-max-age"] == "120"
        assert answer.headers["x-correlation-id"]
        assert set(answer.headers["vary"].split(", ")) >= {"Origin", "Access-Control-Request-Method"}
        stranger = await door.ask(
            "OPTIONS", "/things/v1/things", token=None, headers=PREFLIGHT | {"origin": "https://evil.example"}
        )
        assert "access-control-allow-origin" not in stranger.headers


async def test_answers_and_refusals_can_be_read_by_known_origins_only() -> None:
    async with opened(documents(policies={"cors": {"origins": [PORTAL], "credentials": True}})) as door:
        for path, status in (("/things/v1/things", 200), ("/things/v1/things?limit=0", 422)):
            answer = await door.get(path, headers={"origin": PORTAL})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == PORTAL
            assert answer.headers["access-control-allow-credentials"] == "true"
            assert "RateLimit" in answer.headers["access-control-expose-headers"]
            assert answer.headers["vary"] == "Origin"
        unknown = await door.get("/things/v1/things", token=None, headers={"origin": PORTAL})
        assert (unknown.status_code, unknown.headers["access-control-allow-origin"]) == (401, PORTAL)
        for headers in ({"origin": "https://evil.example"}, {}):
            answer = await door.get("/things/v1/things", headers=headers)
            assert answer.status_code == 200
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "Origin"


async def test_an_open_api_is_open_without_credentials() -> None:
    async with opened(documents(version={"policies": {"cors": {"origins": ["*"]}}})) as door:
        answer = await door.get("/things/v1/open", token=None, headers={"origin": "https://any.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        assert "vary" not in answer.headers
        assert "access-control-allow-origin" not in (await door.get("/health", headers={"origin": PORTAL})).headers


def test_the_defaults_fit_an_api() -> None:
    told = dict(security_headers(SecurityHeaders()))
    assert told[b"content-security-policy"] == b"default-src 'none'; frame-ancestors 'none'"
    assert told[b"x-content-type-options"] == b"nosniff"
    assert told[b"cache-control"] == b"no-store"
    assert told[b"referrer-policy"] == b"no-referrer"
    assert told[b"cross-origin-opener-policy"] == told[b"cross-origin-resource-policy"] == b"same-origin"
    assert b"camera=()" in told[b"permissions-policy"]
    assert b"strict-transport-security" not in told


def test_a_header_can_be_changed_left_out_or_added() -> None:
    config = SecurityHeaders(cache_control=None, frame_options="SAMEORIGIN", headers={"X-Robots-Tag": "noindex"})
    told = dict(security_headers(config))
    assert b"cache-control" not in told
    assert told[b"x-frame-options"] == b"SAMEORIGIN"
    assert told[b"x-robots-tag"] == b"noindex"
    assert hsts(SecurityHeaders(hsts_seconds=0)) is None
    for wrong in ({"A\r\nB": "c"}, {"A": "b\r\nc: d"}, {"": "x"}):
        with pytest.raises(ValidationError):
            SecurityHeaders(headers=wrong)


async def test_strict_transport_is_asked_for_over_https_only() -> None:
    policies = {"proxies": {"trusted": ["127.0.0.0/8"]}}
    async with opened(documents(policies=policies)) as door:
        assert "strict-transport-security" not in (await door.get("/things/v1/things")).headers
        behind = {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"}
        for path in ("/things/v1/things", "/nowhere"):
            answer = await door.get(path, headers=behind)
            assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    async with opened() as door:
        secure = httpx.AsyncClient(transport=httpx.ASGITransport(door.app), base_url="https://tier.test")
        assert "strict-transport-security" in (await secure.get("/health")).headers
        await secure.aclose()


@pytest.mark.parametrize(
    ("accept", "admits"),
    [
        (b"application/json", True),
        (b"application/*", True),
        (b"*/*", True),
        (b"text/html, */*;q=0.1", True),
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        (b"APPLICATION/JSON; charset=utf-8", True),
        (b"text/html", False),
        (b"application/json;q=0", False),
        (b"application/json;q=0, */*", False),
        (b"application/xml, text/*", False),
        (b"", False),
    ],
)
def test_the_accept_field_is_read_as_rfc_9110_says(accept: bytes, admits: bool) -> None:
    assert Acceptance(("application/json",)).admits(accept) is admits


async def test_who_cannot_read_the_answer_is_told_before_anything_is_done(door: Door) -> None:
    headers = {"accept": "application/xml", "idempotency-key": "k"}
    answer = await door.post("/things/v1/things", json={"hours": 1}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
    assert "application/json" in answer.json()["detail"]
    assert door.things.made == 0
    assert (await door.get("/things/v1/things", headers={"accept": "application/problem+json"})).status_code == 200


async def test_packed_bodies_are_not_unpacked(door: Door) -> None:
    headers = {"content-encoding": "gzip", "content-type": "application/json", "idempotency-key": "k"}
    answer = await door.post("/things/v1/things", content=b"\x1f\x8b", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_content")
