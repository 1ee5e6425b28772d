"""The shortest way from the gate to a route: the gate knows the route already, so nobody searches for it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

from fastapi import FastAPI
from fastapi.params import Form
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.convertors import StringConvertor
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.gateway.gateway import Served
from shared.serving.query import declared_names, refuse_unknown

_NO_FILES = AsyncExitStack()  # the framework wants one; without form fields nothing is ever put on it


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

    async def go(scope: Scope, receive: Receive, send: Send) -> None:
        if declared is not None and scope["query_string"]:
            refuse_unknown(scope["query_string"], declared)
        segments = scope["path"].split("/") if places else ()
        scope["path_params"] = {name: segments[at] for name, at in places}
        scope["endpoint"] = endpoint
        scope["route"] = original
        scope["router"] = app.router
        if not takes_files:
            scope["fastapi_middleware_astack"] = _NO_FILES
            await straight(scope, receive, send)
            return
        async with AsyncExitStack() as files:
            scope["fastapi_middleware_astack"] = files
            await straight(scope, receive, send)

    return go
