"""API8, misconfiguration: every answer carries its headers and tells nothing of what is inside; errors, pages too."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from shared.errors.taxonomy import CredentialsRefused, VendorRejected
from shared.serving import server
from tests.security.house import PASSWORD, TIERS, House
from tests.security.walk import filled, lists, parameters
from tests.unit.experience.portals.browser import Flow
from tests.unit.gateway.door import settings

pytestmark = pytest.mark.asyncio(loop_scope="package")
_INSIDE = re.compile(
    r"Traceback|File \"|line \d+, in|psycopg|sqlalchemy|SELECT |site-packages|asyncpg|pydantic_core|uvicorn|starlette|"
    r"fastapi|/(?:home|root|usr)/|BEGIN (EC |RSA )?PRIVATE|\$argon2",
    re.IGNORECASE,
)
_EVERY = {"x-content-type-options": "nosniff", "x-frame-options": "DENY"}


def complaints(answer: httpx.Response, what: str) -> list[str]:
    """What an answer lacks or tells too much."""
    found = [f"{what}: no {name}" for name, value in _EVERY.items() if answer.headers.get(name) != value]
    policy = answer.headers.get("content-security-policy", "")
    if "default-src 'none'" not in policy or "frame-ancestors 'none'" not in policy or "unsafe" in policy:
        found.append(f"{what}: content security policy {policy!r}")
    found += [f"{what}: tells {name}" for name in ("x-powered-by", "via", "x-aspnet-version") if name in answer.headers]
    for name in ("referrer-policy", "x-correlation-id"):
        if name not in answer.headers:
            found.append(f"{what}: no {name}")
    if "access-control-allow-origin" in answer.headers:
        found.append(f"{what}: an origin nobody named is allowed")
    return found


@pytest.mark.parametrize("name", TIERS)
async def test_every_answer_of_every_operation_is_dressed_and_silent(house: House, name: str) -> None:
    tier = house.tiers[name]
    wrong: list[str] = []
    for operation in tier.operations:
        path = filled(operation.path, dict.fromkeys(parameters(operation), "some-id"))
        evil = {"origin": "https://evil.example", "access-control-request-method": operation.method}
        rubbish: dict[str, Any] = {"content": b"\xff{", "headers": {"content-type": "application/json"} | evil}
        asked: dict[str, dict[str, Any]] = {"without token": {"token": None}, "rubbish": rubbish}
        asked["plain"] = {} if operation.method == "GET" else {"json": {}}
        for what, options in asked.items():
            answer = await house.ask(name, operation.method, path, **options)
            wrong += complaints(answer, f"{what} {operation.name} {answer.status_code}")
            if answer.status_code >= 500:
                wrong.append(f"{what} {operation.name}: {answer.status_code} {answer.text[:200]}")
            is_document = operation.is_public and answer.status_code == 200
            if not is_document and (inside := _INSIDE.search(answer.text)):
                wrong.append(f"{what} {operation.name}: tells {inside[0]!r}")
        preflight = await house.ask(name, "OPTIONS", path, token=None, headers=evil)
        wrong += complaints(preflight, f"preflight {operation.name}")
    for path in (
        "/nothing/here",
        "/.git/config",
        "/.env",
        "/docs",
        "/redoc",
        "/debug",
        "/actuator/env",
        "/server-status",
    ):
        answer = await house.ask(name, "GET", path)
        wrong += complaints(answer, path)
        if answer.status_code != 404:
            wrong.append(f"{path}: {answer.status_code}")
    assert not wrong, "\n".join(wrong[:30])


async def test_what_breaks_or_is_refused_inside_tells_no_secret(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    tier = house.tiers["process"]
    secret = "sk-live-0123456789abcdef"
    troubles: list[Exception] = [
        RuntimeError(f"password={secret}"),
        VendorRejected("The vendor says no.", detail=f"Authorization: Bearer {secret}"),
        CredentialsRefused("The vendor refuses our credentials.", detail=secret),
        KeyError(secret),
        RecursionError(secret),
    ]
    from process_apis.quote_to_project.store import Deals  # noqa: PLC0415 - the place that breaks

    for trouble in troubles:

        async def breaks(*_: Any, _trouble: Exception = trouble, **__: Any) -> None:
            raise _trouble

        with monkeypatch.context() as patch:
            patch.setattr(Deals, "list_page", breaks)
            answer = await house.ask("process", "GET", "/quote-to-project/v1/runs")
            outer = await house.ask("experience", "GET", "/pmo/v1/board")
        for one in (answer, outer):
            assert one.status_code >= 500, type(trouble)
            assert secret not in one.text
            assert secret not in json.dumps(dict(one.headers))
            assert _INSIDE.search(one.text) is None
            assert one.headers["content-type"] == "application/problem+json"
    assert tier.app.debug is False


async def test_cookies_are_for_this_origin_and_no_script(house: House) -> None:
    reader = house.browser()
    page = await reader.visits("/login")
    answer = await reader.sends_only(name="carla", password=PASSWORD)
    cookies = [*page.headers.get_list("set-cookie"), *answer.headers.get_list("set-cookie")]
    assert cookies
    for cookie in cookies:
        told = cookie.lower()
        assert "samesite=" in told, cookie
        assert "domain=" not in told, cookie
        if not told.startswith("language="):
            assert "httponly" in told, cookie
            assert "path=/" in told, cookie


async def test_pages_hold_no_script_or_style_of_their_own(house: House) -> None:
    reader = house.browser()
    await reader.logs_in("developer-harbour", PASSWORD)
    pages = ["/login", "/logout", "/account/sessions", "/account/password", "/developer", "/developer/apis",
             "/developer/clients", "/developer/clients/new", "/developer/guides",
             "/developer/changelog", Flow().address]  # fmt: skip
    for path in pages:
        page = await reader.http.get(path, headers={"accept": "text/html"})
        if "text/html" not in page.headers.get("content-type", ""):
            continue
        wrong = complaints(page, path)
        assert not wrong, wrong
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>\s*[^<\s]", page.text), path
        assert not re.search(r"\son[a-z]+\s*=\s*[\"']", page.text), path
        assert not re.search(r"<style|\sstyle\s*=", page.text), path
        assert not re.search(r"(src|href)=[\"'](https?:)?//(?!127\.0\.0\.1)[^\"']*\.(js|css)", page.text), path


async def test_the_server_does_not_name_itself_and_believes_no_proxy(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}

    def run(_app: object, **options: Any) -> None:
        told.update(options)

    monkeypatch.setattr(server.uvicorn, "run", run)
    server.run_server(house.tiers["process"].app, settings())
    assert told["server_header"] is False
    assert told["proxy_headers"] is False


@pytest.mark.parametrize("name", TIERS)
async def test_answers_to_a_caller_are_not_kept_by_caches(house: House, name: str) -> None:
    for operation in lists(house.tiers[name]):
        answer = await house.ask(name, "GET", operation.path)
        assert "no-store" in answer.headers.get("cache-control", ""), operation.name
