"""The servers the bench compares, each run as its own process; their endpoint is the same function."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.jwt import JWTClaimsRegistry
from slowapi import Limiter
from slowapi.middleware import SlowAPIMiddleware
from slowapi.util import get_remote_address

from shared.gateway.document import ApiFacts, GatewayDocuments, load_documents
from shared.gateway.plans import Plan, Window
from shared.gateway.policies.idempotency.memory import MemoryIdempotencyStore
from shared.serving.app import build_app
from shared.serving.settings import TierSettings

_AUDIENCE = "throughline-system"
_ISSUER = "http://issuer.bench"
_MANY = 10_000_000


def endpoint() -> APIRouter:
    """The measured endpoint."""
    router = APIRouter(prefix="/bench/v1")

    @router.get("/things/{thing_id}")
    async def get_thing(thing_id: str) -> dict[str, str]:
        return {"id": thing_id, "name": "A thing", "state": "active"}

    return router


def bare(_key: ECKey) -> FastAPI:
    """The endpoint and nothing else."""
    app = FastAPI()
    app.include_router(endpoint())
    return app


def full(key: ECKey) -> FastAPI:
    """The endpoint behind the whole policy chain of a tier, with two rate windows."""

    async def keys() -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False)]}

    declared = load_documents(Path(__file__).parents[1] / "gateway", "system")
    version = {"base": "/bench/v1", "operations": {"GET /things/{thing_id}": {"scopes": ["bench.read"]}}}
    bench = ApiFacts.model_validate(
        {
            "api": "bench",
            "title": "Bench",
            "description": "Only measured.",
            "owner": "platform",
            "audience": "bench",
            "versions": {"v1": version},
        }
    )
    windows = (
        Window(name="burst", requests=_MANY, per_seconds=10, algorithm="moving"),
        Window(name="sustained", requests=_MANY, per_seconds=600),
    )
    operations = tuple(api for api in declared.apis if api.api == "operations")
    documents = GatewayDocuments(
        tier="system",
        policies=declared.policies,
        plans={**declared.plans, "bench": Plan(windows=windows)},
        apis=(*operations, bench),
    )
    settings = TierSettings(
        port=0, database_url="postgresql://unused", issuer_url=_ISSUER, audience=_AUDIENCE, log_level="INFO"
    )
    return build_app(
        tier="system",
        title="Bench",
        routers=[endpoint()],
        settings=settings,
        gateway=documents,
        keys=keys,
        idempotency=MemoryIdempotencyStore(),
    )


def book(key: ECKey) -> FastAPI:
    """The endpoint behind slowapi's own middleware and a token check as a dependency."""
    bearer = HTTPBearer()
    rules = JWTClaimsRegistry(
        iss={"essential": True, "value": _ISSUER}, aud={"essential": True, "value": _AUDIENCE}, exp={"essential": True}
    )

    def checked(given: HTTPAuthorizationCredentials = Depends(bearer)) -> dict[str, Any]:  # noqa: B008 - by the book
        try:
            token = jwt.decode(given.credentials, key, algorithms=["ES256"])
            rules.validate(token.claims)
        except JoseError as error:
            raise HTTPException(401) from error
        if "bench.read" not in token.claims["scope"].split():
            raise HTTPException(403)
        return token.claims

    app = FastAPI()
    app.state.limiter = Limiter(
        key_func=get_remote_address,
        default_limits=[f"{_MANY}/10 seconds", f"{_MANY}/10 minutes"],
        storage_uri=os.environ.get("BENCH_REDIS_URL") or "memory://",
        headers_enabled=True,
    )
    app.add_middleware(SlowAPIMiddleware)
    app.include_router(endpoint(), dependencies=[Depends(checked)])
    return app


def main() -> None:
    """Serve one kind on the port given; the public key comes in on standard input."""
    kind, port = sys.argv[1], int(sys.argv[2])
    key = ECKey.import_key(json.loads(sys.stdin.read()))
    made = {"bare": bare, "full": full, "book": book}[kind](key)
    uvicorn.run(
        made,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        server_header=False,
        log_config=None,
    )


if __name__ == "__main__":
    main()
