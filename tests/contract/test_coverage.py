"""Nothing is served that no policy document declares: all routes of all tiers are walked, paths beside them tried."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import BaseRoute, Mount, Route

from shared.gateway.gateway import path_shape
from shared.gateway.kit import Message, Scope
from shared.serving.app import TierApp

OPENAPI_DIR = Path(__file__).parents[2] / "openapi"
PROBLEM = "application/problem+json"
USUAL_SUSPECTS = (
    "/",
    "/docs",
    "/redoc",
    "/openapi.yaml",
    "/static/site.css",
    "/admin",
    "/.git/config",
    "/.env",
    "/metrics/",
    "//health",
    "/health/",
    "/HEALTH",
    "/health%2f",
    "/health/../metrics",
    "/%2e%2e/etc/passwd",
    "/.well-known/",
    "/debug/pprof",
)


def routes(app: TierApp) -> Iterator[tuple[str, str, bool]]:
    """Method, path and whether it is documented, of everything the application itself would answer."""
    for route in iter_route_contexts(app.routes):
        original = route.original_route
        documented = original.include_in_schema if isinstance(original, Route | APIRoute) else False
        for method in sorted(route.methods or ()):
            yield method, route.path_format or "", documented


def test_every_route_is_declared_and_says_who_may_call_it_or_why_anybody_may(tier: TierApp) -> None:
    declared = {(one.method, path_shape(one.path)): one for one in tier.documents.operations()}
    reasons = {
        (name.partition(" ")[0], path_shape(facts.base + name.partition(" ")[2])): operation.public
        for api in tier.documents.apis
        for facts in api.versions.values()
        for name, operation in facts.operations.items()
    }
    walked: set[tuple[str, str]] = set()
    for method, path, documented in routes(tier):
        if method == "HEAD":  # comes with GET at the gate, whatever the framework adds
            continue
        key = (method, path_shape(path))
        walked.add(key)
        assert key in declared, f"{method} {path} is served but not declared"
        if not documented:
            assert declared[key].scopes or declared[key].one_of or reasons[key], f"{method} {path}"
    assert walked == set(declared)


def test_no_route_takes_a_whole_subtree_or_a_socket(tier: TierApp) -> None:
    def leaves(found: list[BaseRoute]) -> Iterator[BaseRoute]:
        for route in found:
            assert not isinstance(route, Mount), f"{route.path} hides what it serves"
            yield route

    assert all(hasattr(route, "path") or hasattr(route, "original_router") for route in leaves(list(tier.routes)))


def test_every_operation_of_the_committed_documents_is_declared(tier: TierApp) -> None:
    declared = {(one.method, path_shape(one.path)) for one in tier.documents.operations()}
    files = sorted(OPENAPI_DIR.glob(f"{tier.gateway_tier}-*.yaml"))
    assert files
    for file in files:
        document = yaml.load(file.read_text("utf-8"), Loader=yaml.CSafeLoader)
        for path, item in document["paths"].items():
            for method in item:
                assert (method.upper(), path_shape(path)) in declared, f"{file.name}: {method} {path}"


def beside(app: TierApp) -> list[str]:
    """Paths next to the declared ones, and those that scanners try first."""
    declared = sorted({re.sub(r"\{[^}]*\}", "some-id", one.path) for one in app.documents.operations()})
    tried = [change for path in declared for change in (f"{path}/", f"{path}/x/y/z", f"/{path}", path.upper())]
    find = app.gateway.board.find
    return [path for path in (*USUAL_SUSPECTS, *tried) if find("GET", path) is None and not _is_home(app, path)]


def _is_home(app: TierApp, path: str) -> bool:
    return any(app.gateway.board.find(method, path) is not None for method in ("POST", "PUT", "DELETE", "PATCH"))


async def told(app: TierApp, method: str, path: str) -> tuple[int, str]:
    """Status and media type of the answer to a path exactly as written, which no client library tidies up first."""
    started: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.append(message)

    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"tier.test")],
        "client": ("127.0.0.1", 1),
        "server": ("tier.test", 80),
    }
    await app(scope, receive, send)
    return started[0]["status"], dict(started[0]["headers"])[b"content-type"].decode()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "DELETE", "TRACE"])
async def test_what_is_not_declared_does_not_exist(tier: TierApp, method: str) -> None:
    for path in beside(tier):
        assert await told(tier, method, path) == (404, PROBLEM), path
