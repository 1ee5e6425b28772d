"""The simulator as the sandbox holds it: clients with demonstration secrets, switches, reset, counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.deliveries import Deliveries
from deploy.sandbox.kit.switches import taken
from deploy.sandbox.kit.wire import Wire
from deploy.sandbox.salesforce.org import ADMIN_USER, INTEGRATION_USER, Org
from deploy.sandbox.salesforce.sessions import Client, Sessions
from deploy.sandbox.salesforce.wire import address, throttled

CONNECTOR_CLIENT = Client(
    "throughline-connector",
    "sandbox-connector-secret",
    INTEGRATION_USER,
    users=frozenset({INTEGRATION_USER}),
)
LOADER_CLIENT = Client("firm-loader", "sandbox-loader-secret", ADMIN_USER, users=frozenset({ADMIN_USER}))


def simulator(*, clients: Sequence[Client] = (CONNECTOR_CLIENT, LOADER_CLIENT), **switches: Any) -> Simulator:
    """A new org with its address.

    Switches: page_size, child_page_size (rows per page whatever was asked), locators_expire (so many of the next reads
    behind a locator find all expired), whole_seconds (stamps), clock_ahead (seconds), calls_allowed, session_seconds,
    audiences (accepted `aud` of assertions), public_keys ({client id: PEM}), deleted_fields ({object: custom fields
    that an administrator deleted}; those not named are undeleted with what they held).
    Of events: captured (objects whose changes are told), enriched ({object: fields that every event of it tells}),
    gap_events, most_changes (of a transaction before it overflows), forget_events, channels ({custom one: objects}),
    drop_clients, and how streaming behaves (`StreamSwitches`).
    """
    deliveries = Deliveries("salesforce")
    org = Org(deliveries.emit)
    sessions = Sessions({client.client_id: client for client in clients})

    def configure(wanted: dict[str, Any]) -> None:
        for name, value in wanted.items():
            if name == "session_seconds":
                sessions.idle_seconds = taken(name, value, float)
            elif name == "audiences":
                sessions.audiences = tuple(map(str, value))
            elif name == "public_keys":
                for client_id, pem in dict(value).items():
                    sessions.clients[client_id] = replace(sessions.clients[client_id], public_key=str(pem))
            else:
                org.switch(name, value)

    def reset() -> None:
        org.reset()
        sessions.expire()
        configure(switches)

    configure(switches)
    wire = Wire(address(org, sessions), throttled=throttled, expire=sessions.expire)
    return Simulator("salesforce", wire, deliveries, reset, org.counts, configure)
