"""Every operation of every tier refuses, in the same words, whoever may not come in."""

from __future__ import annotations

import re
from time import time

import httpx
import pytest

from shared.gateway.document import Operation
from shared.serving.app import TierApp
from tests.unit.gateway.door import Issuer

PROBLEM = "application/problem+json"


def knock(app: TierApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tier.test")


def guarded(app: TierApp) -> list[Operation]:
    return [one for one in app.documents.operations() if not one.is_public]


def filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "some-id", path)


def token(app: TierApp, issuer: Issuer, **claims: object) -> str:
    given = {"iss": "http://127.0.0.1:8103", "aud": [f"throughline-{app.gateway_tier}"], "plan": "internal"}
    return issuer.token(**(given | claims))


async def refused(app: TierApp, status: int, code: str, bearer: str | None) -> None:
    """Knock at every guarded operation."""
    headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
    async with knock(app) as client:
        for operation in guarded(app):
            answer = await client.request(operation.method, filled(operation.path), headers=headers)
            assert answer.status_code == status, operation.name
            assert answer.headers["content-type"] == PROBLEM, operation.name
            told = answer.json()
            assert told["code"] == code, operation.name
            assert told["correlation_id"] == answer.headers["x-correlation-id"]
            assert told["instance"] == filled(operation.path)


async def test_nobody_comes_in_without_a_token(tier: TierApp) -> None:
    await refused(tier, 401, "not_authenticated", None)


async def test_an_expired_token_opens_nothing(tier: TierApp, issuer: Issuer) -> None:
    await refused(tier, 401, "not_authenticated", token(tier, issuer, exp=int(time()) - 100))


async def test_a_token_for_another_tier_opens_nothing(tier: TierApp, issuer: Issuer) -> None:
    await refused(tier, 401, "not_authenticated", token(tier, issuer, aud=["throughline-elsewhere"]))


async def test_a_token_of_another_issuer_opens_nothing(tier: TierApp, issuer: Issuer) -> None:
    await refused(tier, 401, "not_authenticated", token(tier, issuer, iss="http://elsewhere.test"))


async def test_a_token_without_the_scope_opens_nothing(tier: TierApp, issuer: Issuer) -> None:
    await refused(tier, 403, "not_permitted", token(tier, issuer, scope="nothing.at.all"))


async def test_an_unknown_version_names_the_known_ones(tier: TierApp) -> None:
    known: dict[str, list[str]] = {}
    for api in tier.documents.apis:
        for version, facts in api.versions.items():
            if facts.base:
                known.setdefault(facts.base.rpartition("/")[0], []).append(version)
    assert known
    async with knock(tier) as client:
        for base, versions in known.items():
            answer = await client.get(f"{base}/v99/anything")
            assert answer.status_code == 404
            assert answer.json()["code"] == "unknown_version"
            assert answer.json()["known_versions"] == sorted(versions)


async def test_methods_nobody_declared_are_refused_with_those_that_are(tier: TierApp) -> None:
    async with knock(tier) as client:
        for path in sorted({one.path for one in tier.documents.operations()}):
            answer = await client.request("PATCH", filled(path))
            assert answer.status_code == 405, path
            assert answer.headers["allow"]
            assert answer.headers["content-type"] == PROBLEM


async def test_an_oversized_body_is_refused_before_the_caller_is_known(tier: TierApp) -> None:
    writing = next(one for one in guarded(tier) if one.method in {"POST", "PUT"})
    async with knock(tier) as client:
        answer = await client.request(writing.method, filled(writing.path), content=b"x" * 1_200_000)
        assert answer.status_code == 413
        assert answer.json()["code"] == "body_too_large"


@pytest.mark.parametrize("body", [b"{", b"[1,", b'{"a": NaN', b"\xff"])
async def test_malformed_json_is_told_as_such_at_every_operation_with_a_body(
    tier: TierApp, issuer: Issuer, body: bytes
) -> None:
    scopes = " ".join({scope for one in guarded(tier) for scope in (*one.scopes, *one.one_of)})
    headers = {
        "authorization": f"Bearer {token(tier, issuer, scope=scopes)}",
        "content-type": "application/json",
    }
    document = tier.openapi()
    async with knock(tier) as client:
        for path, item in document["paths"].items():
            for method, operation in item.items():
                takes_json = "application/json" in operation.get("requestBody", {}).get("content", {})
                if not takes_json or not operation["security"] or operation_needs_store(operation):
                    continue
                answer = await client.request(method, filled(path), headers=headers, content=body)
                assert answer.status_code == 400, (method, path, answer.text)
                assert answer.json()["code"] == "malformed_request"
                assert answer.json()["errors"] or answer.json()["detail"]


def operation_needs_store(operation: dict[str, object]) -> bool:
    """Operations with a required idempotency key speak to the store first."""
    parameters: list[dict[str, object]] = operation.get("parameters", [])  # type: ignore[assignment]
    return any(one["name"] == "Idempotency-Key" and one["required"] for one in parameters)
