"""Where the pod answers: routes, headers, the door, framework versions, batches; what happens then stands elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.sandbox.oracle_fusion.accounts import PATH as ACCOUNTS
from deploy.sandbox.oracle_fusion.accounts import CustomerAccounts
from deploy.sandbox.oracle_fusion.bodies import Renderer, Shown, child_href, etag, page_of, wanted
from deploy.sandbox.oracle_fusion.describes import FRAMEWORKS, VERSION, catalog, described
from deploy.sandbox.oracle_fusion.errors import (
    ERROR_TYPE,
    Refusal,
    bad_query,
    invalid_operation,
    no_such_item,
    throttled,
    unauthorized,
)
from deploy.sandbox.oracle_fusion.filters import FIRST_EXPRESSIONS, Condition, condition, everything, ordering
from deploy.sandbox.oracle_fusion.records import Records
from deploy.sandbox.oracle_fusion.schema import ROOTS, Resource
from deploy.sandbox.oracle_fusion.setup import Setup
from deploy.sandbox.oracle_fusion.state import Pod, Row
from deploy.sandbox.oracle_fusion.tokens import Door, TokenRefused

ITEM = "application/vnd.oracle.adf.resourceitem+json"
COLLECTION = "application/vnd.oracle.adf.resourcecollection+json"
ACTION = "application/vnd.oracle.adf.action+json"
BATCH = "application/vnd.oracle.adf.batch+json"
JSON = "application/json"
_VERSIONS = {VERSION, "latest"}
_VERBS = ["GET", "POST", "PATCH", "DELETE"]


@dataclass(slots=True)
class Call:
    """One call as the pod understands it."""

    method: str
    query: Mapping[str, str]
    framework: int
    root: str
    body: Any = None
    is_upsert: bool = False
    if_match: str | None = None

    def renderer(self) -> Renderer:
        """How its answer is shown."""
        return Renderer(self.framework, has_links=self.query.get("onlyData", "false") != "true")


@dataclass(slots=True)
class Place:
    """What an address below a resource leads to: the resource, its parent row, the row (None: the collection)."""

    root: Resource
    top: Row | None
    resource: Resource
    parent: Row | None
    row: Row | None
    href: str
    action: str = ""


class Desk:
    """The pod's front desk."""

    def __init__(self, pod: Pod, setup: Setup, records: Records, door: Door) -> None:
        self.pod = pod
        self.setup = setup
        self.records = records
        self.door = door
        self.accounts = CustomerAccounts(pod)
        self.default_framework = 1
        self.structured_from = 4
        self.shows_children = True
        self.requests_left: int | None = None

    def app(self) -> Starlette:
        """The pod as an ASGI app."""
        routes = [Route("/oauth2/v1/token", self.token, methods=["POST"]), Route(ACCOUNTS, self.soap, methods=["POST"])]
        for root in ROOTS.values():
            base = f"/{root}/resources"
            routes += [
                Route(base, self.serve, methods=["GET"]),
                Route(base + "/{path:path}", self.serve, methods=_VERBS),
            ]
        return Starlette(routes=routes)

    # --- doors ---------------------------------------------------------------------------------------------------
    async def token(self, request: Request) -> Response:
        """The identity domain's token endpoint."""
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        try:
            return JSONResponse(self.door.token(request.headers.get("authorization", ""), form))
        except TokenRefused as refused:
            return JSONResponse(refused.document, refused.status)

    def _admit(self, request: Request) -> None:
        if self.requests_left is not None:
            if self.requests_left <= 0:
                raise throttled()
            self.requests_left -= 1
        if not self.door.admits(request.headers.get("authorization", "")):
            raise unauthorized()

    async def soap(self, request: Request) -> Response:
        """The customer account service."""
        try:
            self._admit(request)
        except Refusal as refusal:
            return refusal.response(is_structured=False)
        return self.accounts.answer(await request.body())

    async def serve(self, request: Request) -> Response:
        """One REST call."""
        framework, is_structured = self.default_framework, ERROR_TYPE in request.headers.get("accept", "")
        try:
            framework = self._framework(request)
            is_structured = is_structured or framework >= self.structured_from
            self._admit(request)
            return await self._serve(request, framework)
        except Refusal as refusal:
            return refusal.response(is_structured=is_structured)

    def _framework(self, request: Request) -> int:
        given = request.headers.get("rest-framework-version", str(self.default_framework))
        if given not in FRAMEWORKS:
            raise Refusal(400, f"The REST framework version {given} is not allowed.", code="27500")
        return int(given)

    async def _serve(self, request: Request, framework: int) -> Response:
        root, _, rest = request.scope["path"].removeprefix(request.scope.get("root_path", "")).partition("/resources")
        if not rest.strip("/"):
            return JSONResponse(catalog(self.default_framework))
        version, _, below = rest.strip("/").partition("/")
        if version not in _VERSIONS:
            raise no_such_item()
        host = request.headers.get("host", "localhost")
        base = f"{request.url.scheme}://{host}{request.scope.get('root_path', '')}{root}/resources/{version}"
        call = Call(
            request.method,
            dict(request.query_params),
            framework,
            base,
            is_upsert=request.headers.get("upsert-mode", "false").lower() == "true",
            if_match=request.headers.get("if-match"),
        )
        media = request.headers.get("content-type", "").split(";")[0].strip()
        if request.method in {"POST", "PATCH"}:
            call.body = _read(await request.body(), media, below)
        if not below:
            return self._batch(call, root)
        return self._answer(call, self._place(below.split("/"), base, root.strip("/")))

    # --- addresses -----------------------------------------------------------------------------------------------
    def _place(self, parts: list[str], base: str, root: str) -> Place:
        resource = self.pod.resources.get(parts[0])
        if resource is None or ROOTS[resource.root] != root:
            raise no_such_item()
        href = f"{base}/{resource.name}"
        rest = parts[1:]
        if not rest:
            return Place(resource, None, resource, None, None, href)
        if rest[0] == "describe":
            return Place(resource, None, resource, None, None, href, action="describe")
        top = self.pod.item(resource, rest[0])
        place = Place(resource, top, resource, None, top, f"{href}/{rest[0]}")
        rest = rest[1:]
        while rest and rest[0] == "child":
            place, rest = self._below(place, rest), rest[3:]
        if rest and rest[0] == "action" and place.row is not None:
            place.action = rest[1] if len(rest) > 1 else ""
        elif rest:
            raise no_such_item()
        return place

    def _below(self, place: Place, parts: list[str]) -> Place:
        child = place.resource.children.get(parts[1]) if len(parts) > 1 else None
        if child is None or place.row is None:
            raise no_such_item()
        href = f"{place.href}/child/{child.name}"
        if len(parts) == 2:  # noqa: PLR2004 - child, its name
            return Place(place.root, place.top, child, place.row, None, href)
        for row in place.row[child.name]:
            if child_href(href, child, row) == f"{href}/{parts[2]}":
                return Place(place.root, place.top, child, place.row, row, f"{href}/{parts[2]}")
        raise no_such_item()

    # --- verbs ---------------------------------------------------------------------------------------------------
    def _answer(self, call: Call, place: Place) -> Response:
        if place.action == "describe":
            return JSONResponse(described(place.resource, place.href))
        if place.action:
            return self._act(call, place)
        if call.method == "GET":
            return self._list(call, place) if place.row is None else self._shown(call, place, place.row)
        if call.method == "POST" and place.row is None:
            row, is_new = self._written(call, place)
            href = child_href(place.href, place.resource, row)
            place = Place(place.root, place.top or row, place.resource, place.parent, row, href)
            return self._shown(call, place, row, 201 if is_new else 200, given=call.body)
        if place.row is None or call.method == "POST":
            raise invalid_operation(call.method.lower())
        self._match(call, place.row)
        if call.method == "DELETE":
            self._removed(place)
            return Response(status_code=204)
        return self._shown(call, place, self._amended(call, place), given=call.body)

    def _act(self, call: Call, place: Place) -> Response:
        if call.method != "POST" or place.row is None:
            raise invalid_operation(call.method.lower())
        result = self.records.act(place.resource, place.row, place.action, call.body or {})
        return JSONResponse({"result": result}, media_type=ACTION)

    def _written(self, call: Call, place: Place) -> tuple[Row, bool]:
        if place.parent is not None and place.top is not None:
            before = len(place.parent[place.resource.name])
            row = self.records.add_child(
                place.root, place.top, place.resource, place.parent, call.body, upserts=call.is_upsert
            )
            return row, len(place.parent[place.resource.name]) > before
        if call.is_upsert:
            return self.records.upsert(place.resource, call.body)
        return self.records.create(place.resource, call.body), True

    def _amended(self, call: Call, place: Place) -> Row:
        row = cast("Row", place.row)
        if place.parent is not None and place.top is not None:
            return self.records.amend_child(place.root, place.top, place.resource, row, call.body)
        return self.records.amend(place.resource, row, call.body)

    def _removed(self, place: Place) -> None:
        row = cast("Row", place.row)
        if place.parent is not None and place.top is not None:
            self.records.remove_child(place.root, place.top, place.resource, place.parent, row)
        else:
            self.records.remove(place.resource, row)

    @staticmethod
    def _match(call: Call, row: Row) -> None:
        if call.if_match is not None and call.if_match.strip('"') not in {"*", etag(row)}:
            raise Refusal(412, "The item has changed since it was read.", code="27600", headers={"ETag": etag(row)})

    def _shown(self, call: Call, place: Place, row: Row, status: int = 200, *, given: Any = None) -> Response:
        shown = wanted(place.resource, call.query)
        if given is not None and not shown.children and self.shows_children:
            shown = _as_given(place.resource, given)
        body = call.renderer().item(place.resource, row, place.href, shown)
        headers = {"ETag": etag(row), "REST-Framework-Version": str(call.framework)}
        return JSONResponse(body, status, headers, ITEM)

    def _list(self, call: Call, place: Place) -> Response:
        resource, query = place.resource, call.query
        found = condition(resource, query.get("q", ""), call.framework)
        if finder := query.get("finder"):
            found = _found(resource, finder, found)
        if place.parent is None:
            rows = self.pod.rows(resource, found)
        else:
            rows = [row for row in place.parent[resource.name] if found.test(row)]
        rows = ordering(resource, query.get("orderBy", ""))(rows)
        limit, offset = page_of(query)
        body = call.renderer().collection(
            resource,
            rows,
            place.href,
            wanted(resource, query),
            limit=limit,
            offset=offset,
            has_total=query.get("totalResults", "false") == "true",
        )
        return JSONResponse(body, 200, {"REST-Framework-Version": str(call.framework)}, COLLECTION)

    # --- batches -------------------------------------------------------------------------------------------------
    def _batch(self, call: Call, root: str) -> Response:
        parts = cast("Row", call.body).get("parts") if isinstance(call.body, dict) else None
        if call.method != "POST" or not isinstance(parts, list):
            raise invalid_operation(call.method.lower())
        answered: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        try:
            with self.pod.transaction():
                for part in cast("list[dict[str, Any]]", parts):
                    head = {name: part.get(name) for name in ("id", "path", "operation")}
                    try:
                        answered.append({**head, "payload": self._part(call, root, part)})
                    except Refusal as refusal:
                        failed.append({**head, "payload": refusal.document()})
                        raise
        except Refusal as refusal:
            return JSONResponse({"parts": failed}, refusal.status, media_type=BATCH)
        return JSONResponse({"parts": answered}, media_type=BATCH)

    def _part(self, call: Call, root: str, part: dict[str, Any]) -> Any:
        verbs = {"create": "POST", "upsert": "POST", "update": "PATCH", "delete": "DELETE", "get": "GET"}
        operation = str(part.get("operation"))
        if operation not in verbs:
            raise invalid_operation(operation)
        path, _, query = str(part.get("path", "")).strip("/").partition("?")
        inner = Call(
            verbs[operation],
            dict(parse_qsl(query)),
            call.framework,
            call.root,
            part.get("payload"),
            is_upsert=operation == "upsert",
            if_match=part.get("ifMatch"),
        )
        answer = self._answer(inner, self._place(path.split("/"), call.root, root.strip("/")))
        return json.loads(bytes(answer.body)) if answer.body else None


def _found(resource: Resource, finder: str, also: Condition) -> Condition:
    name, _, variables = finder.partition(";")
    pairs = [part.partition("=") for part in variables.split(",") if part]
    names = {pair[0].strip() for pair in pairs}
    if name != "PrimaryKey" or names != {resource.key}:
        raise bad_query(f"finder {name} is not offered by {resource.name}.")
    text = " and ".join(f"{key.strip()} = '{value.strip()}'" for key, _, value in pairs)
    inner = condition(resource, text, FIRST_EXPRESSIONS)
    if also.test is everything:
        return inner
    return Condition(lambda row: inner.test(row) and also.test(row), {**also.equal, **inner.equal})


def _as_given(resource: Resource, body: Any) -> Shown:
    """An answer to a write shows the children that were written."""
    shown = Shown()
    for name, value in cast("dict[str, Any]", body).items() if isinstance(body, dict) else ():
        if child := resource.children.get(name):
            rows = cast("list[Any]", value) if isinstance(value, list) else []
            below = [_as_given(child, row) for row in rows]
            shown.children[name] = Shown(children={key: one for part in below for key, one in part.children.items()})
    return shown


def _read(content: bytes, media: str, below: str) -> Any:
    allowed = {BATCH} if not below else {ITEM, JSON, ACTION}
    if media not in allowed:
        raise Refusal(415, f"The media type {media} is not supported here.")
    try:
        return json.loads(content or b"null", parse_float=Decimal)
    except ValueError as error:
        raise Refusal(400, "The request body is not JSON.", code="27501") from error
