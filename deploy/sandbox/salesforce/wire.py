"""The address: which paths the vendor serves, in HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.sandbox.salesforce.calls import Call, Reply, read_json, split_path
from deploy.sandbox.salesforce.changes import Caller
from deploy.sandbox.salesforce.cometd import Cometd
from deploy.sandbox.salesforce.errors import SalesforceError, limit_exceeded, not_found, session_invalid
from deploy.sandbox.salesforce.org import Org
from deploy.sandbox.salesforce.resources import answer
from deploy.sandbox.salesforce.sessions import GrantRefused, Session, Sessions

FIRST_VERSION, LAST_VERSION = 50, 67
_VERSION = re.compile(r"^v(\d+\.0)$")
_CLIENT = re.compile(r"client\s*=\s*([^,;\s]+)")
_JSON = "application/json;charset=UTF-8"


def _rendered(reply: Reply, headers: Mapping[str, str]) -> Response:
    if reply.body is None:
        return Response(status_code=reply.status, headers=dict(headers))
    content = orjson.dumps(reply.body, default=float)
    return Response(content, reply.status, {**headers, **reply.headers, "content-type": _JSON})


def throttled() -> Response:
    """The vendor's answer to too many requests at once."""
    error = limit_exceeded()
    return _rendered(Reply(error.status, error.on_the_wire()), {})


def _own_url(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"


class Address:
    """HTTP requests to the org and back."""

    def __init__(self, org: Org, sessions: Sessions) -> None:
        """Serves `org` to who has a token of `sessions`."""
        self._org = org
        self._sessions = sessions

    async def token(self, request: Request) -> Response:
        """`/services/oauth2/token`."""
        form = dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
        own = _own_url(request)
        try:
            token, session = self._sessions.grant(form, request.headers.get("authorization", ""), own)
            user_id = self._org.user_id(session.username)
            if user_id is None:
                raise GrantRefused("invalid_grant", "authentication failure")  # noqa: TRY301 - one place renders it
        except GrantRefused as refused:
            return JSONResponse(refused.body, refused.status)
        identity = f"{own}/id/{self._org.org_id}/{user_id}"
        issued = str(int(time.time() * 1000))
        seal = hmac.new(session.client_id.encode(), f"{identity}{issued}".encode(), hashlib.sha256).digest()
        return JSONResponse(
            {
                "access_token": token,
                "signature": base64.b64encode(seal).decode(),
                "scope": "api",
                "instance_url": own,
                "api_instance_url": own,
                "id": identity,
                "token_type": "Bearer",
                "issued_at": issued,
            }
        )

    async def revoke(self, request: Request) -> Response:
        """`/services/oauth2/revoke`."""
        form = dict(parse_qsl((await request.body()).decode(errors="replace")))
        if self._sessions.revoke(form.get("token", request.query_params.get("token", ""))):
            return Response(status_code=200)
        return JSONResponse({"error": "unsupported_token_type", "error_description": "invalid token"}, 400)

    async def versions(self, request: Request) -> Response:
        """`/services/data/`, open to everybody."""
        del request
        numbers = range(FIRST_VERSION, LAST_VERSION + 1)
        return JSONResponse([{"label": f"v{n}", "url": f"/services/data/v{n}.0", "version": f"{n}.0"} for n in numbers])

    async def data(self, request: Request) -> Response:
        """Everything below `/services/data/vXX.0`."""
        content = await request.body()
        raw = request.scope.get("raw_path", request.scope["path"].encode()).decode("latin-1").partition("?")[0]
        segments = split_path(raw.removeprefix(request.scope.get("root_path", "")))[2:]
        try:
            call = self._call(request, segments, content)
        except SalesforceError as error:
            return _rendered(Reply(error.status, error.on_the_wire()), {})
        reply = answer(self._org, call)
        usage = f"api-usage={self._org.calls_used}/{self._org.calls_allowed}"
        return _rendered(reply, {"sforce-limit-info": usage})

    def _call(self, request: Request, segments: tuple[str, ...], content: bytes) -> Call:
        session = self._session(request.headers.get("authorization", ""))
        version = _VERSION.match(segments[0])
        if version is None or not FIRST_VERSION <= float(version[1]) <= LAST_VERSION:
            raise not_found()
        named = _CLIENT.search(request.headers.get("sforce-call-options", ""))
        user_id = self._org.user_id(session.username)
        if user_id is None:
            raise session_invalid("This session is not valid for use with the REST API")
        caller = Caller(user_id, named[1] if named else "", version[1])
        body: Any = None
        if request.method in {"POST", "PATCH", "PUT"}:
            kind = request.headers.get("content-type", "application/json")
            if "json" not in kind:
                raise SalesforceError(415, "UNSUPPORTED_MEDIA_TYPE", f"Content type {kind} not supported")
            body = read_json(content)
        return Call(
            request.method, segments[1:], dict(request.query_params), body, dict(request.headers.items()), caller
        )

    def _session(self, authorization: str) -> Session:
        scheme, _, token = authorization.partition(" ")
        session = self._sessions.owner(token) if scheme.lower() in {"bearer", "oauth"} else None
        if session is None:
            raise session_invalid()
        return session


def address(org: Org, sessions: Sessions) -> Starlette:
    """The vendor's app."""
    served, streaming = Address(org, sessions), Cometd(org, sessions)
    methods = ["GET", "POST", "PATCH", "PUT", "DELETE"]
    return Starlette(
        routes=[
            Route("/services/oauth2/token", served.token, methods=["POST"]),
            Route("/services/oauth2/revoke", served.revoke, methods=["GET", "POST"]),
            Route("/services/data", served.versions),
            Route("/services/data/", served.versions),
            Route("/services/data/{path:path}", served.data, methods=methods),
            Route("/cometd", streaming.serve, methods=["POST"]),
            Route("/cometd/{rest:path}", streaming.serve, methods=["POST"]),
        ]
    )
