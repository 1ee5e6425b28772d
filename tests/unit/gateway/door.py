"""A small tier behind the real gate, for tests: its routes, its documents, its issuer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Query
from joserfc import jwt
from joserfc.jwk import ECKey, Key
from pydantic import BaseModel, ConfigDict, Field

from shared.errors.taxonomy import Conflict, OutcomeUnknown, VendorThrottled
from shared.gateway.document import ApiFacts, GatewayDocuments, PlanBook, TierFacts, load_documents
from shared.gateway.policies.idempotency.memory import MemoryIdempotencyStore
from shared.gateway.supplies import IdempotencyStore
from shared.serving.app import TierApp, build_app
from shared.serving.principal import Caller
from shared.serving.settings import TierSettings

ISSUER = "http://issuer.test"
AUDIENCE = "throughline-system"
GATEWAY_DIR = Path(__file__).parents[3] / "deploy" / "gateway"


class Entry(BaseModel):
    """A body with a rule."""

    model_config = ConfigDict(extra="forbid")

    hours: int = Field(gt=0)
    note: str = ""


@dataclass
class Issuer:
    """Signs tokens; counts how often its keys are asked for."""

    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", parameters={"kid": "one"}))
    published: list[Key] = field(default_factory=list)
    asked: int = 0
    trouble: Exception | None = None

    async def keys(self) -> Mapping[str, Any]:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return {"keys": [key.as_dict(private=False) for key in (self.published or [self.key])]}

    def token(self, *, key: Key | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        signed = key or self.key
        now = int(time())
        said = {
            "iss": ISSUER,
            "sub": "ada",
            "client_id": "desk",
            "aud": [AUDIENCE],
            "iat": now,
            "exp": now + 300,
            "jti": "t-1",
            "scope": "things.read things.write",
            "tenant": "harbour",
            "plan": "standard",
        } | claims
        said = {name: value for name, value in said.items() if value is not None}
        stated = {"alg": "ES256", "typ": "at+jwt", "kid": signed.kid} | (header or {})
        return jwt.encode(stated, said, signed, algorithms=[stated["alg"]], default_type=None)


@dataclass
class Things:
    """What the routes did."""

    made: int = 0
    seen: list[Any] = field(default_factory=list)


def routes(things: Things) -> APIRouter:
    router = APIRouter(prefix="/things/v1", tags=["Things"])

    @router.get("/things/{thing_id}", operation_id="getThing")
    async def get_thing(thing_id: str, caller: Caller) -> dict[str, str]:
        return {"id": thing_id, "subject": caller.subject, "tenant": caller.tenant}

    @router.get("/things", operation_id="listThings")
    async def list_things(limit: Annotated[int, Query(ge=1, le=200)] = 50) -> dict[str, int]:
        return {"limit": limit}

    @router.post("/things", operation_id="makeThing", status_code=201)
    async def make_thing(entry: Entry) -> dict[str, int]:
        things.made += 1
        if entry.note == "conflict":
            raise Conflict
        if entry.note == "throttled":
            raise VendorThrottled(retry_after=7, detail="token sk-very-secret was refused")
        if entry.note == "unknown":
            raise OutcomeUnknown
        if entry.note == "boom":
            raise RuntimeError("the secret is 42")
        return {"hours": entry.hours, "number": things.made}

    @router.get("/open", operation_id="getOpen")
    async def get_open() -> dict[str, str]:
        return {"open": "yes"}

    return router


OPERATIONS: dict[str, Any] = {
    "GET /things/{id}": {"scopes": ["things.read"]},
    "GET /things": {"scopes": ["things.read"]},
    "POST /things": {"scopes": ["things.write"], "policies": {"idempotency": {"required": True}}},
    "GET /open": {"public": "Shows what a public operation is"},
}


def documents(
    *,
    policies: dict[str, Any] | None = None,
    plans: dict[str, Any] | None = None,
    version: dict[str, Any] | None = None,
    others: dict[str, Any] | None = None,
    operations: dict[str, Any] | None = None,
) -> GatewayDocuments:
    """Declarations as in deploy/gateway, with an API of the test's own in the place of the real ones."""
    declared = load_documents(GATEWAY_DIR, "system")
    facts = {"base": "/things/v1", "operations": operations or OPERATIONS, **(version or {})}
    things = ApiFacts.model_validate(
        {
            "api": "things",
            "title": "Things",
            "description": "Of the test.",
            "owner": "tests",
            "audience": "tests",
            "versions": {"v1": facts, **(others or {})},
        }
    )
    upper = TierFacts.model_validate({"policies": policies or {}}).policies
    return GatewayDocuments(
        tier="system",
        policies=declared.policies.under(upper),
        plans=declared.plans | PlanBook.model_validate({"plans": plans or {}}).plans,
        apis=(*(api for api in declared.apis if api.api == "operations"), things),
    )


def settings(**changes: Any) -> TierSettings:
    given = {
        "port": 0,
        "database_url": "postgresql://nobody",
        "issuer_url": ISSUER,
        "audience": AUDIENCE,
        "public_url": "http://tier.test",
    }
    return TierSettings.model_validate(given | changes)


@dataclass
class Door:
    """The running tier and a way to knock."""

    app: TierApp
    issuer: Issuer
    things: Things
    client: httpx.AsyncClient

    async def get(self, path: str, *, token: str | None = "", **options: Any) -> httpx.Response:
        return await self.ask("GET", path, token=token, **options)

    async def post(self, path: str, *, token: str | None = "", **options: Any) -> httpx.Response:
        return await self.ask("POST", path, token=token, **options)

    async def ask(self, method: str, path: str, *, token: str | None = "", **options: Any) -> httpx.Response:
        """Knock with the default token, with another, or with none."""
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["authorization"] = f"Bearer {token or self.issuer.token()}"
        return await self.client.request(method, path, headers=headers, **options)


@asynccontextmanager
async def opened(
    declared: GatewayDocuments | None = None,
    *,
    idempotency: IdempotencyStore | None = None,
    issuer: Issuer | None = None,
    **changes: Any,
) -> AsyncGenerator[Door]:
    """The tier, in this process."""
    things, asked = Things(), issuer or Issuer()
    app = build_app(
        tier="system",
        title="Things",
        routers=[routes(things)],
        settings=settings(**changes),
        gateway=declared or documents(),
        keys=asked.keys,
        idempotency=idempotency or MemoryIdempotencyStore(),
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://tier.test") as client:
        yield Door(app, asked, things, client)
