"""The shortest way from the gate to a route: the gate knows the route already, so nobody searches for it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from inspect import getclosurevars, isasyncgenfunction, isfunction, isgeneratorfunction
from typing import Any

from fastapi import FastAPI, Request
from fastapi.params import Form
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.convertors import StringConvertor
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.gateway.gateway import Served
from shared.serving.calls import direct_call
from shared.serving.query import declared_names, refuse_unknown

_NOTHING_TO_CLOSE = AsyncExitStack()  # the framework wants one; these routes never put anything on it
_TELEMETRY = "fastapi.telemetry"  # in the scope of a request whose inner steps the framework traces
_JSON = (b"content-type", b"application/json")
_SUCCESS = 200
_STACKS = ("fastapi_middleware_astack", "fastapi_inner_astack", "fastapi_function_astack")


def served_routes(app: FastAPI) -> Iterator[Served]:
    """Every method and path the application answers, with the way there where it is straight."""
    for route in iter_route_contexts(app.routes):
        if route.path_format is None:
            continue
        for method in sorted(route.methods or ()):
            if method != "HEAD":
                yield Served(method, route.path_format, _straight(app, route))


def _straight(app: FastAPI, route: RouteContext) -> ASGIApp | None:
    """The route's own application, fed with what the router would have found; None for paths it reads differently."""
    target: ASGIApp | None = getattr(route, "app", None)
    template = route.path_format or ""
    convertors: dict[str, Any] = getattr(route, "param_convertors", {})
    parts = template.split("/")
    places = [(part[1:-1], at) for at, part in enumerate(parts) if part.startswith("{") and part.endswith("}")]
    is_plain = len(places) == template.count("{") and all(type(one) is StringConvertor for one in convertors.values())
    original = route.original_route
    if target is None or not isinstance(original, APIRoute) or not is_plain:
        return None
    straight: ASGIApp = target
    endpoint = route.endpoint
    declared = declared_names(route.dependant) if route.include_in_schema else None  # pages read what they like
    takes_files = isinstance(getattr(getattr(route, "body_field", None), "field_info", None), Form)
    call = direct_call(route)
    handle = None if takes_files or _closes_something(route.dependant) else _handler(target)
    router = app.router

    def prepare(scope: Scope) -> None:
        if declared is not None and scope["query_string"]:
            refuse_unknown(scope["query_string"], declared)
        segments = scope["path"].split("/") if places else ()
        scope["path_params"] = {name: segments[at] for name, at in places}
        scope["endpoint"] = endpoint
        scope["route"] = original
        scope["router"] = router

    async def go(scope: Scope, receive: Receive, send: Send) -> None:
        prepare(scope)
        async with AsyncExitStack() as files:
            scope["fastapi_middleware_astack"] = files
            await straight(scope, receive, send)

    if handle is None:
        return go

    async def go_straight(scope: Scope, receive: Receive, send: Send) -> None:
        prepare(scope)
        for stack in _STACKS:
            scope[stack] = _NOTHING_TO_CLOSE
        request = Request(scope, receive, send)
        try:
            response = await handle(request)
        except _answered(scope) as error:
            response = await _answering(error, scope)(request, error)
        await response(scope, receive, send)

    if call is None:
        return go_straight
    status = route.status_code or _SUCCESS

    async def go_directly(scope: Scope, receive: Receive, send: Send) -> None:
        if app.dependency_overrides or _TELEMETRY in scope:
            await go_straight(scope, receive, send)
            return
        prepare(scope)
        try:
            found = await call(scope, receive, send)
        except _answered(scope) as error:
            found = await _answering(error, scope)(Request(scope, receive, send), error)
        if not isinstance(found, bytes):
            await found(scope, receive, send)
            return
        headers = [(b"content-length", b"%d" % len(found)), _JSON]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": found})

    return go_directly


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
