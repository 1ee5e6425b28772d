"""A tier with one small API of a test's own, behind the real gate; and bare requests for handlers alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import APIRouter

from shared.gateway.document import ApiFacts, GatewayDocuments, PlanBook
from shared.gateway.kit import Kit
from shared.gateway.plans import Plan
from shared.gateway.policies.idempotency.memory import MemoryIdempotencyStore
from shared.gateway.policies.usage.recorder import UsageSink
from shared.gateway.supplies import IdempotencyStore, Supplies
from shared.identity.principal import Principal
from shared.serving.app import build_app
from tests.unit.gateway.door import Door, Issuer, Things, documents, settings

ADDRESS = "127.0.0.1"


def kit_of(
    method: str = "GET",
    *,
    path: str = "/things",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    address: str = ADDRESS,
    tenant: str = "harbour",
    client_id: str = "desk",
    plan: str | None = "standard",
    scopes: frozenset[str] = frozenset(),
) -> Kit:
    """A request on its way; `plan` None: without a token."""
    given = {name.lower().encode(): value.encode("latin-1") for name, value in (headers or {}).items()}
    if body:
        given.setdefault(b"content-length", str(len(body)).encode())

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope: dict[str, Any] = {
        "type": "http",
        "scheme": "http",
        "headers": list(given.items()),
        "client": (address, 1234),
        "query_string": b"",
    }
    kit = Kit(scope, receive, method, path)
    if plan is not None:
        kit.principal = Principal(subject="ada", client_id=client_id, tenant=tenant, plan=plan, scopes=scopes)
    return kit


def supplies(at_once: Mapping[str, int] | None = None) -> Supplies:
    """Supplies with plans of so many requests at once."""

    async def no_keys() -> Mapping[str, Any]:
        return {"keys": []}

    window = [{"name": "burst", "requests": 1000, "per_seconds": 10}]
    plans = {name: Plan.model_validate({"at_once": most, "windows": window}) for name, most in (at_once or {}).items()}
    return Supplies(tier="system", issuer="", audience="", keys=no_keys, idempotency=None, plans=plans)


def declared(
    base: str,
    operations: Mapping[str, Any],
    *,
    tier: Mapping[str, Any] | None = None,
    plans: Mapping[str, Any] | None = None,
    **policies: Any,
) -> GatewayDocuments:
    """The real tier document with the API at `base` in it; `policies` are the API's, `tier` lies over the tier's."""
    documents_ = documents(policies=dict(tier or {}))
    facts = {"base": base, "policies": policies, "operations": operations}
    api = ApiFacts.model_validate(
        {
            "api": base.split("/")[1],
            "title": "Stand",
            "description": "Of the test.",
            "owner": "tests",
            "audience": "tests",
            "versions": {"v1": facts},
        }
    )
    return GatewayDocuments(
        tier=documents_.tier,
        policies=documents_.policies,
        plans=documents_.plans | PlanBook.model_validate({"plans": plans or {}}).plans,
        apis=(*(one for one in documents_.apis if one.api == "operations"), api),
    )


@asynccontextmanager
async def standing(
    router: APIRouter,
    gateway: GatewayDocuments,
    *,
    idempotency: IdempotencyStore | None = None,
    usage: UsageSink | None = None,
    address: str = ADDRESS,
) -> AsyncGenerator[Door]:
    """The tier, in this process and with its lifespan."""
    issuer = Issuer()
    app = build_app(
        tier="system",
        title="Stand",
        routers=[router],
        settings=settings(),
        gateway=gateway,
        keys=issuer.keys,
        idempotency=idempotency or MemoryIdempotencyStore(),
        usage=usage,
    )
    transport = httpx.ASGITransport(app, client=(address, 1234))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://tier.test") as client,
    ):
        yield Door(app, issuer, Things(), client)
