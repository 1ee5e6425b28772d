"""The simulator as the sandbox holds it: apps with demonstration secrets, switches, reset, counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deploy.sandbox.hubspot.address import address, throttled
from deploy.sandbox.hubspot.portal import Clock, Portal
from deploy.sandbox.hubspot.sessions import App, Sessions
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.deliveries import Deliveries
from deploy.sandbox.kit.switches import taken
from deploy.sandbox.kit.wire import Wire

CONNECTOR_APP = App(
    54321,
    token="pat-eu1-sandbox-connector",  # noqa: S106 - the sandbox's own
    client_id="sandbox-connector-client",
    client_secret="sandbox-connector-secret",  # noqa: S106 - the sandbox's own
    refresh_token="sandbox-connector-refresh",  # noqa: S106 - the sandbox's own
    scopes=frozenset(
        {
            *(f"crm.objects.{name}.read" for name in ("companies", "deals", "line_items", "custom", "owners")),
            "crm.objects.deals.write",
            "crm.objects.custom.write",
            "crm.schemas.custom.read",
        }
    ),
)
PEOPLE = App(11111, token="pat-eu1-sandbox-people", source="CRM_UI")  # noqa: S106 - the sandbox's own


def simulator(*, apps: Sequence[App] = (CONNECTOR_APP, PEOPLE), **switches: Any) -> Simulator:
    """A new portal with its address.

    Switches: those of `Portal.switch`, and token_seconds (life of an access token).
    """
    clock = Clock()
    deliveries = Deliveries("hubspot")
    portal = Portal(deliveries.emit, clock)
    deliveries.dress = portal.events.dress
    sessions = Sessions(list(apps), clock.now)

    def configure(wanted: dict[str, Any]) -> None:
        for name, value in wanted.items():
            if name == "token_seconds":
                sessions.life = round(taken(name, value, float) * 1000)
            else:
                portal.switch(name, value)

    def reset() -> None:
        portal.reset()
        sessions.expire()
        configure(switches)

    configure(switches)
    wire = Wire(address(portal, sessions), throttled=throttled, expire=sessions.expire)
    return Simulator("hubspot", wire, deliveries, reset, portal.counts, configure)
