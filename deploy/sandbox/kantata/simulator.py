"""The Kantata simulator as the sandbox mounts it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route

from deploy.sandbox.kantata.address import Addresses
from deploy.sandbox.kantata.errors import rate_limited
from deploy.sandbox.kantata.state import Store, Switches
from deploy.sandbox.kantata.wire import refused
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.switches import known, taken
from deploy.sandbox.kit.wire import Wire

TOKEN = "sandbox-kantata-administrator"  # noqa: S105 - made up, known to everybody
LIMITED_TOKEN = "sandbox-kantata-collaborator"  # noqa: S105 - made up, known to everybody


def simulator(*, token: str = TOKEN, limited_token: str = LIMITED_TOKEN, **switches: Any) -> Simulator:
    """An empty account; `switches` are those of `Switches` (what the vendor does not document)."""
    store = Store(token=token, limited_token=limited_token)
    kinds: dict[str, type[Any]] = {field.name: type(getattr(Switches(), field.name)) for field in fields(Switches)}

    def configure(given: dict[str, Any]) -> None:
        known(given, kinds)
        for name, value in given.items():
            taken(name, value, kinds[name])
        for name, value in given.items():
            setattr(store.switches, name, value)

    configure(switches)
    store.seed_switches = replace(store.switches)
    addresses = Addresses(store)
    app = Starlette(
        routes=[
            Route("/oauth/authorize", addresses.authorize),
            Route("/oauth/token", addresses.token, methods=["POST"]),
            Route("/api/v1/{path:path}", addresses.api, methods=["GET", "POST", "PUT", "DELETE"]),
        ]
    )
    wire = Wire(app, throttled=lambda: refused(rate_limited()), expire=store.revoke)
    return Simulator(
        name="kantata",
        wire=wire,
        deliveries=None,
        reset=store.reset,
        counts=lambda: {name: len(table.rows) for name, table in store.tables.items() if table.rows},
        configure=configure,
    )
