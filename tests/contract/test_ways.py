"""How requests get from the gate to their routes: an update of the framework must not lengthen the way unnoticed."""

from __future__ import annotations

from inspect import isclass

from fastapi import Response
from fastapi.routing import APIRoute, iter_route_contexts

from shared.serving.app import TierApp
from shared.serving.dispatch import Direct, Handled, served_routes


def test_every_operation_is_reached_without_the_frameworks_router(tier: TierApp) -> None:
    ways = {(served.method, served.path): served.target for served in served_routes(tier)}
    long = [name for name, way in ways.items() if not isinstance(way, Handled)]
    assert long == [("GET", "/openapi.json")]


def test_every_read_of_a_published_api_is_called_directly(tier: TierApp) -> None:
    ways = {(served.method, served.path): served.target for served in served_routes(tier)}
    reads = [
        ("GET", route.path_format or "")
        for route in iter_route_contexts(tier.routes)
        if isinstance(route.original_route, APIRoute) and "GET" in (route.methods or ()) and route.include_in_schema
        if isclass(route.response_model) and not issubclass(route.response_model, Response)
        if not (route.path_format or "").startswith(("/ready", "/live", "/health"))
    ]
    assert len(reads) > 2
    assert [name for name in reads if not isinstance(ways[name], Direct)] == []
