"""The vendor's HTTP: the token endpoint, the Web API's root, headers of every answer, and the limit's own answer."""

from __future__ import annotations

import time
from urllib.parse import parse_qsl
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.sandbox.dynamics_sales.batch import answer_batch
from deploy.sandbox.dynamics_sales.calls import Call, Reply, split_path, split_query
from deploy.sandbox.dynamics_sales.environment import Environment
from deploy.sandbox.dynamics_sales.errors import DataverseError, no_segment
from deploy.sandbox.dynamics_sales.events import Caller
from deploy.sandbox.dynamics_sales.limits import REQUESTS, throttled
from deploy.sandbox.dynamics_sales.resources import answer
from deploy.sandbox.dynamics_sales.tokens import GrantRefused, Tokens
from deploy.sandbox.dynamics_sales.values import read_json, write_json

VERSIONS = ("v9.0", "v9.1", "v9.2")
_JSON = "application/json; odata.metadata=minimal"
_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE"]


class Address:
    """The vendor's addresses."""

    def __init__(self, environment: Environment, tokens: Tokens) -> None:
        self._environment = environment
        self._tokens = tokens

    async def token(self, request: Request) -> Response:
        """`/{tenant}/oauth2/v2.0/token`."""
        form = dict(parse_qsl((await request.body()).decode(errors="replace")))
        own = _own(request)
        tenant = str(request.path_params["tenant"])
        try:
            token = self._tokens.grant(tenant, form, f"{own}/.default", f"{own}/{tenant}/oauth2/v2.0/token")
        except GrantRefused as refused:
            return JSONResponse(refused.body(self._environment.now()), refused.status)
        seconds = int(self._tokens.lifetime)
        life = {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds}
        return JSONResponse({**life, "access_token": token}, headers={"cache-control": "no-store, no-cache"})

    async def data(self, request: Request) -> Response:
        """Everything below `/api/data/vX.Y/`."""
        content = await request.body()
        began = time.monotonic()
        user = self._user(request)
        if user is None:
            return self._shut_out(request)
        try:
            caller = self._caller(user)
            self._environment.limits.admit(user)
        except DataverseError as error:
            return _rendered(Reply(error.status, error.on_the_wire(), error.headers))
        try:
            reply = self._served(request, content, caller)
        finally:
            self._environment.spend(user, began)
        return _rendered(reply, self._environment.limits.headers(user))

    def _served(self, request: Request, content: bytes, caller: Caller) -> Reply:
        writes = self._environment.writes
        mark = writes.mark()
        headers = {name.lower(): value for name, value in request.headers.items()}
        detailed = False
        try:
            call = self._call(request, content, headers, caller)
            detailed = call.wishes.is_detailed
            if call.segments == ("$batch",):
                reply = answer_batch(self._environment, call, content)
            else:
                reply = answer(self._environment, call)
        except DataverseError as error:
            writes.roll_back(mark)
            return Reply(error.status, error.on_the_wire(is_detailed=detailed), error.headers)
        writes.commit()
        return reply

    def _call(self, request: Request, content: bytes, headers: dict[str, str], caller: Caller) -> Call:
        raw = request.scope.get("raw_path", request.scope["path"].encode()).decode("latin-1").partition("?")[0]
        segments = split_path(raw.removeprefix(request.scope.get("root_path", "")))[2:]
        if not segments or segments[0] not in VERSIONS:
            raise no_segment(segments[0] if segments else "")
        body = None
        if content and request.method in {"POST", "PATCH", "PUT"} and segments[1:] != ("$batch",):
            kind = headers.get("content-type", "application/json")
            if "json" not in kind:
                raise DataverseError(415, "0x0", f"The content type '{kind}' is not supported.")
            body = read_json(content)
        options = split_query(request.scope.get("query_string", b"").decode("latin-1"))
        root = f"{_own(request)}/api/data/{segments[0]}/"
        return Call(request.method, segments[1:], options, body, headers, caller, root)

    def _user(self, request: Request) -> str | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        app = self._tokens.owner(token) if scheme.lower() == "bearer" else None
        return None if app is None else app.user or ""

    def _caller(self, user: str) -> Caller:
        user_id = self._environment.user_id(user)
        if user_id is None:
            raise DataverseError(403, "0x80072560", "The user is not a member of the organization.")
        return Caller(user_id)

    def _shut_out(self, request: Request) -> Response:
        """401, sometimes without a body."""
        issuer = f'Bearer authorization_uri="{_own(request)}/common/oauth2/authorize", resource_id={_own(request)}/'
        headers = {"www-authenticate": issuer}
        if self._environment.lines_of_401:
            text = "The authentication token has expired or is not valid."
            return JSONResponse({"error": {"code": "0x80048306", "message": text}}, 401, headers)
        return Response(b"", 401, headers)


def _own(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"


def _rendered(reply: Reply, more: dict[str, str] | None = None) -> Response:
    headers = {"odata-version": "4.0", "x-ms-service-request-id": str(uuid4()), "req_id": str(uuid4())}
    headers |= {**(more or {}), **reply.headers}
    if reply.body is None:
        return Response(b"", reply.status, headers)
    kind = headers.pop("content-type", _JSON)
    content = reply.body if isinstance(reply.body, bytes) else write_json(reply.body)
    return Response(content, reply.status, headers, media_type=kind)


def limit_answer() -> Response:
    """What a caller over the number of requests is told."""
    error = throttled(REQUESTS, 6000, 300, 1)
    return _rendered(Reply(429, error.on_the_wire(), error.headers))


def address(environment: Environment, tokens: Tokens) -> Starlette:
    """The vendor's app."""
    served = Address(environment, tokens)
    return Starlette(
        routes=[
            Route("/api/data/{path:path}", served.data, methods=_METHODS),
            Route("/{tenant}/oauth2/v2.0/token", served.token, methods=["POST"]),
        ]
    )
