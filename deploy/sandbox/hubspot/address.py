"""The address: which paths the vendor serves, classic and dated alike, in HTTP."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.sandbox.hubspot.calls import Call, Reply
from deploy.sandbox.hubspot.definitions import Definitions
from deploy.sandbox.hubspot.errors import HubspotError, invalid, limit_reached, not_found
from deploy.sandbox.hubspot.links import Links
from deploy.sandbox.hubspot.objects import Objects
from deploy.sandbox.hubspot.portal import Portal
from deploy.sandbox.hubspot.sessions import GrantRefused, Sessions

RELEASES = ("2026-03", "2026-09")
_LONGEST_QUERY = 16_000
_CLASSIC = re.compile(r"^/crm/v(3|4)/(objects|associations|properties|pipelines|owners|schemas)(/.*)?$")
_DATED = re.compile(r"^/crm/(objects|associations|properties|pipelines|owners)/(\d{4}-\d{2})(/.*)?$")
_SCHEMAS = re.compile(r"^/crm-object-schemas/(v3|\d{4}-\d{2})/schemas(/.*)?$")
_OF_V4 = re.compile(r"^/[^/]+/[^/]+/associations/")


def _room(path: str) -> tuple[str, str, bool] | None:
    """Room, the rest of the path, and whether the path is of a dated release; None for a path nobody serves."""
    if found := _CLASSIC.match(path):
        version, room, rest = found[1], found[2], found[3] or ""
        wants_v4 = room == "associations" or (room == "objects" and bool(_OF_V4.match(rest)))
        return (room, rest, False) if wants_v4 == (version == "4") else None
    if found := _DATED.match(path):
        return (found[1], found[3] or "", True) if found[2] in RELEASES else None
    if found := _SCHEMAS.match(path):
        is_dated = found[1] != "v3"
        return ("schemas", found[2] or "", is_dated) if not is_dated or found[1] in RELEASES else None
    return None


def throttled() -> Response:
    """The vendor's answer to too many requests."""
    return JSONResponse(limit_reached("TEN_SECONDLY_ROLLING"), 429)


class Address:
    """HTTP requests to the portal and back."""

    def __init__(self, portal: Portal, sessions: Sessions) -> None:
        """Serves `portal` to who has a token of `sessions`."""
        self._portal = portal
        self._sessions = sessions
        self._objects = Objects(portal)
        self._links = Links(portal)
        self._definitions = Definitions(portal)

    async def token(self, request: Request) -> Response:
        """`/oauth/…/token`; parameters in the body."""
        version = request.path_params["version"]
        if version not in {"v1", "v3", *RELEASES}:
            return JSONResponse(not_found().on_the_wire(), 404)
        form = dict(parse_qsl((await request.body()).decode(errors="replace"), keep_blank_values=True))
        try:
            return JSONResponse(self._sessions.grant(form))
        except GrantRefused as refused:
            return JSONResponse(refused.body, 400)

    async def crm(self, request: Request) -> Response:
        """Everything of the CRM."""
        if len(request.scope.get("query_string", b"")) > _LONGEST_QUERY:
            return Response("<html><body>414 Request-URI Too Large</body></html>", 414, media_type="text/html")
        raw = request.scope.get("raw_path", request.scope["path"].encode()).decode("latin-1").partition("?")[0]
        path = raw.removeprefix(request.scope.get("root_path", ""))
        is_search = path.endswith("/search")
        content = await request.body()
        try:
            app = self._sessions.caller(request.headers.get("authorization", ""))
            policy = self._portal.limits.refuse(self._portal.clock.now(), is_search=is_search)
            if policy:
                headers = self._portal.limits.headers(is_search=is_search)
                return JSONResponse(limit_reached(policy), 429, headers)
            reply = self._answer(Call(
                method=request.method,
                room="",
                path=(path,),
                query=parse_qs(request.url.query, keep_blank_values=True),
                body=_read(content) if request.method in {"POST", "PUT", "PATCH"} and content else None,
                app=app,
                at=self._portal.stamp(),
                is_dated=False,
                link=f"{request.url.scheme}://{request.url.netloc}{raw}",
            ))  # fmt: skip
        except HubspotError as error:
            self._portal.events.drop()
            return JSONResponse(error.on_the_wire(), error.status)
        self._portal.events.commit()
        headers = self._portal.limits.headers(is_search=is_search)
        if reply.body is None:
            return Response(status_code=reply.status, headers=headers)
        return Response(orjson.dumps(reply.body), reply.status, headers, "application/json")

    def _answer(self, came: Call) -> Reply:
        found = _room(came.path[0])
        if found is None:
            raise not_found()
        room, rest, is_dated = found
        segments = tuple(unquote(part) for part in rest.split("/") if part)
        call = Call(came.method, room, segments, came.query, came.body, came.app, came.at, is_dated, came.link)
        if room == "associations":
            return self._links.between(call)
        if room != "objects":
            answers = {
                "properties": self._definitions.properties,
                "schemas": self._definitions.schemas,
                "pipelines": self._definitions.pipelines,
                "owners": self._definitions.owners,
            }
            return answers[room](call)
        if not segments:
            raise not_found()
        table = self._portal.table(segments[0])
        if len(segments) > 3 and segments[2] == "associations":  # noqa: PLR2004 - type, id, associations, to
            return self._links.of_record(call, table)
        return self._objects.answer(call, table)


def _read(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise invalid(f"Invalid input JSON on line 1, column 1: {error}") from None


def address(portal: Portal, sessions: Sessions) -> Starlette:
    """The vendor's app."""
    served = Address(portal, sessions)
    methods = ["GET", "POST", "PATCH", "PUT", "DELETE"]
    return Starlette(
        routes=[
            Route("/oauth/{version}/token", served.token, methods=["POST"]),
            Route("/crm/{rest:path}", served.crm, methods=methods),
            Route("/crm-object-schemas/{rest:path}", served.crm, methods=methods),
        ]
    )
