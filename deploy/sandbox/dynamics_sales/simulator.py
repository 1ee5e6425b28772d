"""The simulator as the sandbox holds it: app registrations with demonstration secrets, switches, reset, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deploy.sandbox.dynamics_sales.environment import Environment
from deploy.sandbox.dynamics_sales.events import headers_of
from deploy.sandbox.dynamics_sales.tokens import App, Tokens
from deploy.sandbox.dynamics_sales.wire import address, limit_answer
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.deliveries import Deliveries, Subscription
from deploy.sandbox.kit.switches import taken
from deploy.sandbox.kit.wire import Wire

NAME = "dynamics_sales"
TENANT = "3f2b6c1e-4d57-4c0a-9f0e-6a1d2b8c9e10"
KEY_HEADER = "x-throughline-key"
INTEGRATION_USER = "# Throughline Integration"
ADMIN_USER = "# Harbour Loader"
CONNECTOR_APP = App("5b1f6a52-0d0c-4c3e-8a55-2f1f6f0e7a01", "throughline-sandbox-secret", INTEGRATION_USER)
LOADER_APP = App("9c7d3e21-7b1a-4f0e-b1c2-8d5e4f3a2b02", "harbour-loader-secret", ADMIN_USER)


def _dress(target: Subscription, number: str, body: bytes) -> Mapping[str, str]:
    """A webhook with authentication by header: the key the step was registered with, and nothing signed."""
    del number
    return {KEY_HEADER: target.secret, **headers_of(body)}


def simulator(*, apps: Sequence[App] = (CONNECTOR_APP, LOADER_APP), tenant_id: str = TENANT) -> Simulator:
    """A fresh environment with these app registrations."""
    deliveries = Deliveries(NAME, dress=_dress)
    environment = Environment(deliveries.emit, sorted({app.user for app in apps if app.user}))
    tokens = Tokens(tenant_id, {app.client_id: app for app in apps}, environment.now)

    def reset() -> None:
        environment.reset()
        tokens.lifetime = 3599
        tokens.expire()

    def configure(switches: dict[str, Any]) -> None:
        for name, value in switches.items():
            if name == "token_seconds":
                tokens.lifetime = taken(name, value, float)
            else:
                environment.switch(name, value)

    return Simulator(
        name=NAME,
        wire=Wire(address(environment, tokens), throttled=limit_answer, expire=tokens.expire),
        deliveries=deliveries,
        reset=reset,
        counts=environment.records_counts,
        configure=configure,
    )
