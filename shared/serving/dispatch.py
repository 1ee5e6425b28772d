"""The shortest way from the gate to a route: the gate knows the route already, so nobody searches for it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from inspect import getclosurevars, isasyncgenfunction, isfunction, isgeneratorfunction
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.params import Form
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.convertors import StringConvertor
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.gateway.gateway import Served
from shared.serving.calls import Call, Told, direct_call
from shared.serving.query import declared_names, refuse_unknown

_NOTHING_TO_CLOSE = AsyncExitStack()  # the framework wants one; these routes never put anything on it
_STACKS = ("fastapi_middleware_astack", "fastapi_inner_astack", "fastapi_function_astack")
_TELEMETRY = "fastapi.telemetry"  # in the scope of a request whose inner steps the framework traces


def served_routes(app: FastAPI) -> Iterator[Served]:
    """Every method and path the application answers, with the way there where it is straight."""
    for route in iter_route_contexts(app.routes):
        if route.path_format is None:
            continue
        for method in sorted(route.methods or ()):
            if method != "HEAD":
                yield Served(method, route.path_format, _straight(app, route))


class Wrapped:
    """The way to a route's own application, fed with what the router would have found."""

    def __init__(self, app: FastAPI, route: RouteContext, target: ASGIApp) -> None:
        parts = (route.path_format or "").split("/")
        self._app = app
        self._target = target
        self._places = [(part[1:-1], at) for at, part in enumerate(parts) if part.startswith("{")]
        # pages read what they like
        self._declared = declared_names(route.dependant) if route.include_in_schema else None
        self._found = {"endpoint": route.endpoint, "route": route.original_route, "router": app.router}

    def prepare(self, scope: Scope) -> None:
        """Write down what the router would have found.

        Raises: InvalidRequest for a query parameter nobody declared.
        """
        if self._declared is not None and scope["query_string"]:
            refuse_unknown(scope["query_string"], self._declared)
        scope.update(self._found)
        if self._places:
            segments = scope["path"].split("/")
            scope["path_params"] = {name: segments[at] for name, at in self._places}
        else:
            scope["path_params"] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request through everything the framework wraps around a route."""
        self.prepare(scope)
        async with AsyncExitStack() as files:
            scope["fastapi_middleware_astack"] = files
            await self._target(scope, receive, send)


class Handled(Wrapped):
    """The way to the framework's handler of a route that leaves nothing to close."""

    def __init__(self, app: FastAPI, route: RouteContext, target: ASGIApp, handle: Any) -> None:
        super().__init__(app, route, target)
        self._handle = handle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request without the framework's wrappers."""
        self.prepare(scope)
        for stack in _STACKS:
            scope[stack] = _NOTHING_TO_CLOSE
        request = Request(scope, receive, send)
        try:
            response = await self._handle(request)
        except _answered(scope) as error:
            response = await _answering(error, scope)(request, error)
        await response(scope, receive, send)


class Direct(Handled):
    """The way to the endpoint itself."""

    def __init__(self, app: FastAPI, route: RouteContext, target: ASGIApp, handle: Any, call: Call) -> None:
        super().__init__(app, route, target, handle)
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request without the framework, unless somebody wants to watch it or has replaced a dependency."""
        if _TELEMETRY in scope or self._app.dependency_overrides:
            await super().__call__(scope, receive, send)
            return
        self.prepare(scope)
        try:
            found = await self._call(scope, receive, send)
        except _answered(scope) as error:
            found: Response | Told = await _answering(error, scope)(Request(scope, receive, send), error)
        if isinstance(found, Response):
            await found(scope, receive, send)
            return
        status, headers, body = found
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _straight(app: FastAPI, route: RouteContext) -> ASGIApp | None:
    """The shortest way that does all the framework would; None for paths that only its router can read."""
    target: ASGIApp | None = getattr(route, "app", None)
    if target is None or not isinstance(route.original_route, APIRoute) or not _is_plain(route):
        return None
    takes_files = isinstance(getattr(getattr(route, "body_field", None), "field_info", None), Form)
    handle = None if takes_files or _closes_something(route.dependant) else _handler(target)
    if handle is None:
        return Wrapped(app, route, target)
    call = direct_call(route)
    return Handled(app, route, target, handle) if call is None else Direct(app, route, target, handle, call)


def _is_plain(route: RouteContext) -> bool:
    """Whether every parameter of the path is one whole segment of it."""
    parts = (route.path_format or "").split("/")
    places = sum(part.startswith("{") and part.endswith("}") for part in parts)
    convertors: dict[str, Any] = getattr(route, "param_convertors", {})
    is_text = all(type(one) is StringConvertor for one in convertors.values())
    return is_text and places == (route.path_format or "").count("{")


def _handler(target: ASGIApp) -> Any:
    """The route's function from request to response, out of what the framework wraps around it; None: not there."""
    return getclosurevars(target).nonlocals.get("f") if isfunction(target) else None


def _closes_something(dependant: Any) -> bool:
    """Whether a dependency cleans up after itself (`yield`), which needs the framework's own bookkeeping."""
    call = dependant.call
    return (
        isgeneratorfunction(call)
        or isasyncgenfunction(call)
        or any(_closes_something(one) for one in dependant.dependencies)
    )


def _answered(scope: Scope) -> tuple[type[Exception], ...]:
    """The errors the application has an answer for; all others are the gate's."""
    return tuple(scope["starlette.exception_handlers"][0])


def _answering(error: Exception, scope: Scope) -> Any:
    handlers = scope["starlette.exception_handlers"][0]
    return next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)
