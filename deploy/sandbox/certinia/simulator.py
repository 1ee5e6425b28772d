"""The simulator as the sandbox holds it: an org with the package, clients with demonstration secrets, switches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deploy.sandbox.certinia.package import SCHEMA, Package
from deploy.sandbox.certinia.switches import Switches
from deploy.sandbox.certinia.templates import actions
from deploy.sandbox.certinia.words import EXPENSE, HEADER, MILESTONE, SPLIT
from deploy.sandbox.kit.control import Simulator
from deploy.sandbox.kit.switches import taken
from deploy.sandbox.kit.wire import Wire
from deploy.sandbox.salesforce.org import Org
from deploy.sandbox.salesforce.sessions import Client, Sessions
from deploy.sandbox.salesforce.simulator import CONNECTOR_CLIENT, LOADER_CLIENT
from deploy.sandbox.salesforce.wire import address, throttled

CAPTURED = frozenset({HEADER, SPLIT, EXPENSE, MILESTONE})  # what an administrator selected for change data capture


def simulator(*, clients: Sequence[Client] = (CONNECTOR_CLIENT, LOADER_CLIENT), **switched: Any) -> Simulator:
    """A new org with the package.

    Switches: those of the platform but for audiences and public_keys (`deploy.sandbox.salesforce.simulator`), and those
    of the package (`Switches`).
    """
    switches = Switches()
    org = Org(
        lambda _: None,
        schema=SCHEMA,
        automation=Package(switches).automation(),
        actions=actions(switches),
        captured=CAPTURED,
    )
    sessions = Sessions({client.client_id: client for client in clients})

    def configure(wanted: dict[str, Any]) -> None:
        for name, value in wanted.items():
            if name == "session_seconds":
                sessions.idle_seconds = taken(name, value, float)
            elif name in Switches.__slots__:
                switches.put(name, value)
            else:
                org.switch(name, value)

    def reset() -> None:
        org.reset()
        sessions.expire()
        for name in Switches.__slots__:
            switches.put(name, getattr(Switches(), name))
        configure(switched)

    configure(switched)
    wire = Wire(address(org, sessions), throttled=throttled, expire=sessions.expire)
    return Simulator("certinia", wire, None, reset, org.counts, configure)
