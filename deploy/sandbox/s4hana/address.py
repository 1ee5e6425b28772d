"""Where each service of the tenant answers: the door, the CSRF guard, the limit, and the way to the right desk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from deploy.sandbox.s4hana import accounting, billing, masters, orders, partners, projects
from deploy.sandbox.s4hana.batches import Batch
from deploy.sandbox.s4hana.errors import Refusal, csrf_failed, not_allowed, not_found, too_many, unauthorized
from deploy.sandbox.s4hana.records import Behaviour, Records
from deploy.sandbox.s4hana.schema import Service
from deploy.sandbox.s4hana.sessions import CONTEXT_COOKIE, SESSION_COOKIE, Door
from deploy.sandbox.s4hana.state import Tenant
from deploy.sandbox.s4hana.wire import Ask, Call, ServiceDesk, options_of

TOKEN_PATH = "/sap/bc/sec/oauth2/token"  # noqa: S105 - an address
SAFE = frozenset({"GET", "HEAD"})
_BEHAVIOURS: Mapping[str, Behaviour] = {
    **partners.BEHAVIOURS, **projects.BEHAVIOURS, **orders.BEHAVIOURS, **accounting.BEHAVIOURS, **masters.BEHAVIOURS,
}  # fmt: skip


class FrontDesk:
    """The tenant as an ASGI app: everything that comes over the wire passes here."""

    def __init__(self, tenant: Tenant, door: Door) -> None:
        self._tenant = tenant
        self._door = door
        self._records = Records(tenant, _BEHAVIOURS)
        self._in_flight = 0
        self._calls: Mapping[str, Call] = {
            name: self._bound(call)
            for name, call in {
                "ChangeEntProjProcgStatus": projects.change_project_status,
                "ChangeEntProjElmntProcgStatus": projects.change_element_status,
                "Cancel": billing.cancel,
                "GetPDF": billing.pdf,
                "CreateFromSDDocument": billing.create_from_documents,
            }.items()
        }

    def _bound(self, call: Callable[[Tenant, Mapping[str, Any]], Any]) -> Call:
        return lambda given: call(self._tenant, given)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        switches = self._tenant.customizing.switches
        if self._in_flight >= switches.at_once:
            await too_many()(scope, receive, send)
            return
        self._in_flight += 1
        try:
            await asyncio.sleep(0)
            response = await self._answer(request)
        finally:
            self._in_flight -= 1
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        if path == TOKEN_PATH:
            return await self._token(request)
        service = self._service(path)
        if service is None:
            return not_found(path).response()
        user = self._door.user_of(request.headers.get("authorization", ""))
        if user is None:
            return unauthorized()
        method = request.headers.get("x-http-method", request.method).upper()
        cookies = _cookies(request)
        told = request.headers.get("x-csrf-token", "")
        if method not in SAFE and not self._door.believes(user, told, cookies):
            return csrf_failed()
        if method == "HEAD" and self._tenant.customizing.switches.head_is_refused:
            return not_allowed("HEAD").response(service.name, service.version)
        response = await self._served(request, service, method, path)
        if method in SAFE and told.lower() == "fetch":
            token, number = self._door.fetch(user, cookies)
            response.headers["x-csrf-token"] = token
            response.headers.append("set-cookie", CONTEXT_COOKIE)
            safe = "; secure" if request.url.scheme == "https" else ""
            response.headers.append("set-cookie", f"{SESSION_COOKIE}={number}; path=/{safe}; HttpOnly")
        return response

    async def _served(self, request: Request, service: Service, method: str, path: str) -> Response:
        host = request.headers.get("host", "localhost")
        root = f"{request.url.scheme}://{host}{request.scope.get('root_path', '')}{service.path}"
        desk = ServiceDesk(service, self._records, self._calls, root)
        rest = path[len(service.path) :].strip("/")
        try:
            if rest == "$batch":
                if method != "POST":
                    raise not_allowed("$batch")
                batch = Batch(desk.serve, self._tenant.unit, service.path, service.name, service.version)
                return batch.answer(await request.body(), request.headers.get("content-type", ""))
            ask = Ask(
                "GET" if method == "HEAD" else method,
                rest,
                options_of(request.scope.get("query_string", b"").decode("latin-1")),
                await request.body(),
                request.headers.get("if-match"),
            )
            response = desk.serve(ask)
        except Refusal as refusal:
            return refusal.response(service.name, service.version)
        if method == "HEAD":
            return Response(status_code=response.status_code)
        return response

    def _service(self, path: str) -> Service | None:
        for service in self._tenant.services.values():
            if path == service.path or path.startswith(service.path + "/"):
                return service
        return None

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        granted = self._door.grant(request.headers.get("authorization", ""), form) if request.method == "POST" else None
        if granted is None:
            body = {"error": "invalid_client", "error_description": "The client is not known or its secret is wrong."}
            return JSONResponse(body, 401, {"www-authenticate": "Basic"})
        return JSONResponse(granted, headers={"cache-control": "no-store"})


def _cookies(request: Request) -> dict[str, str]:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(request.headers.get("cookie", ""))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}
