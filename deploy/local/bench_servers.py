"""The servers the bench compares, each run as its own process; their endpoint is the same function."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
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
from starlette.types import Receive, Scope, Send

from shared.gateway.document import ApiFacts, GatewayDocuments, load_documents
from shared.gateway.plans import Plan, Window
from shared.gateway.policies.idempotency.memory import MemoryIdempotencyStore
from shared.persistence.usage_store import UsageOfHour
from shared.serving.app import build_app
from shared.serving.dispatch import served_routes
from shared.serving.settings import TierSettings
from shared.serving.wire import TierProtocol

_AUDIENCE = "throughline-system"
_ISSUER = "http://issuer.bench"
_MANY = 10_000_000
_PATH = "/bench/v1/things/{thing_id}"
REDIS_VARIABLE = "BENCH_REDIS_URL"
QUOTA, QUOTA_SECONDS = 1000, 1


async def get_thing(thing_id: str) -> dict[str, str]:
    """The measured endpoint."""
    return {"id": thing_id, "name": "A thing", "state": "active"}


def bare(_key: ECKey) -> FastAPI:
    """The endpoint and nothing else."""
    app = FastAPI()
    app.get(_PATH)(get_thing)
    return app


def bare_as_served(_key: ECKey) -> Any:
    """The endpoint reached as a tier reaches its routes, but without the gate: what is left without any policy."""
    app = FastAPI()
    app.get(_PATH)(get_thing)
    target = next(served.target for served in served_routes(app) if served.path == _PATH)
    assert target is not None  # noqa: S101 - an ordinary route
    straight = target
    handlers = {kind: handler for kind, handler in app.exception_handlers.items() if not isinstance(kind, int)}

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        scope["starlette.exception_handlers"] = (handlers, {})
        await straight(scope, receive, send)

    return serve


class _NoUsage:
    """A store for usage that keeps nothing: counting is measured, PostgreSQL is not."""

    async def add(self, rows: list[UsageOfHour]) -> None:
        del rows


def full(key: ECKey, counters_url: str = "memory://", *, is_exact: bool = False, most: int = _MANY) -> FastAPI:
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
        Window(name="burst", requests=most, per_seconds=10 if most == _MANY else QUOTA_SECONDS, algorithm="moving"),
        Window(name="sustained", requests=_MANY, per_seconds=600),
    )
    declared_limit = declared.policies.rate_limit
    assert declared_limit is not None  # noqa: S101 - every tier has one
    limit = declared_limit.model_copy(update={"exact": is_exact})
    operations = tuple(api for api in declared.apis if api.api == "operations")
    documents = GatewayDocuments(
        tier="system",
        policies=declared.policies.model_copy(update={"rate_limit": limit}),
        plans={**declared.plans, "bench": Plan(windows=windows, at_once=1000)},
        apis=(*operations, bench),
    )
    settings = TierSettings(
        port=0,
        database_url="postgresql://unused",
        issuer_url=_ISSUER,
        audience=_AUDIENCE,
        log_level="INFO",
        counters_url=counters_url,
    )
    router = APIRouter()
    router.get(_PATH)(get_thing)
    return build_app(
        tier="system",
        title="Bench",
        routers=[router],
        settings=settings,
        gateway=documents,
        keys=keys,
        idempotency=MemoryIdempotencyStore(),
        usage=_NoUsage(),
    )


def full_on_redis(key: ECKey) -> FastAPI:
    """The same with counters that replicas share, a few units ahead of need."""
    return full(key, os.environ[REDIS_VARIABLE])


def full_on_redis_exact(key: ECKey) -> FastAPI:
    """The same, asking the shared counters for every request."""
    return full(key, os.environ[REDIS_VARIABLE], is_exact=True)


def full_with_quota(key: ECKey) -> FastAPI:
    """The same with a quota that can be reached."""
    return full(key, os.environ[REDIS_VARIABLE], most=QUOTA)


def full_with_quota_exact(key: ECKey) -> FastAPI:
    """The same, asking the shared counters for every request."""
    return full(key, os.environ[REDIS_VARIABLE], most=QUOTA, is_exact=True)


def book_on_redis(key: ECKey) -> FastAPI:
    """By the book, with counters that replicas share."""
    return book(key, os.environ[REDIS_VARIABLE])


def book(key: ECKey, counters_url: str = "memory://") -> FastAPI:
    """The endpoint behind slowapi's own middleware and a token check as a dependency.

    The route stands on the application itself: slowapi 0.1 does not look into included routers of this FastAPI and
    would let their routes pass uncounted.
    """
    bearer = HTTPBearer()
    rules = JWTClaimsRegistry(
        iss={"essential": True, "value": _ISSUER}, aud={"essential": True, "value": _AUDIENCE}, exp={"essential": True}
    )

    async def checked(given: HTTPAuthorizationCredentials = Depends(bearer)) -> dict[str, Any]:  # noqa: B008 - by the book
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
        storage_uri=counters_url,
        headers_enabled=True,
    )
    app.add_middleware(SlowAPIMiddleware)
    app.get(_PATH, dependencies=[Depends(checked)])(get_thing)
    return app


APPS: dict[str, Callable[[ECKey], Any]] = {
    "bare": bare,
    "bare_on_our_server": bare,
    "bare_as_served": bare_as_served,
    "full": full,
    "full_on_redis": full_on_redis,
    "full_on_redis_exact": full_on_redis_exact,
    "full_with_quota": full_with_quota,
    "full_with_quota_exact": full_with_quota_exact,
    "book": book,
    "book_on_redis": book_on_redis,
}


def main() -> None:
    """Serve one kind on the port given; the public key comes in on standard input."""
    kind, port = sys.argv[1], int(sys.argv[2])
    key = ECKey.import_key(json.loads(sys.stdin.read()))
    made = APPS[kind](key)
    is_ours = kind.startswith("full") or kind in {
        "bare_on_our_server",
        "bare_as_served",
    }  # as shared/serving/server.py runs a tier
    uvicorn.run(
        made,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http=TierProtocol if is_ours else "httptools",
        proxy_headers=not is_ours,
        ws="none",
        access_log=False,
        server_header=False,
        log_config=None,
    )


if __name__ == "__main__":
    main()
