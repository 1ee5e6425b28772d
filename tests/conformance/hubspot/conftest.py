"""Fixtures: the simulator in a thread of its own for clients that block, and a connector on a one-deal portal."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn

from deploy.sandbox.hubspot import simulator
from deploy.sandbox.hubspot.session import HubspotSession
from deploy.sandbox.kit.control import sandbox_app
from system_apis.connectors.hubspot.connector import HubspotConnector, open_connector
from tests.conformance.hubspot.portals import binding_for, load, people_wire
from tests.conformance.served import Sandbox, Serve, free_port
from tests.conformance.small_firm import tables


@pytest.fixture
def blocking_sandbox() -> Iterator[Sandbox]:
    """A simulator that clients without asyncio can call."""
    made = simulator()
    port = free_port()
    config = uvicorn.Config(
        sandbox_app({"hubspot": made}), port=port, http="httptools", ws="none", lifespan="off", log_level="error"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield Sandbox(made, f"http://127.0.0.1:{port}")
    server.should_exit = True
    server.force_exit = True
    thread.join(10)


@dataclass(frozen=True, slots=True)
class Portal:
    """A served portal with one won deal: its record id, people who work there, and the connector."""

    sandbox: Sandbox
    deal: str
    people: HubspotSession
    connector: HubspotConnector

    def switch(self, **switches: Any) -> None:
        """Change how the portal behaves."""
        assert self.sandbox.simulator.configure is not None
        self.sandbox.simulator.configure(switches)

    async def amend(self, kind: str, reference: str, **values: str) -> None:
        """People change a record, named by the firm's own reference."""
        path = f"/crm/v3/objects/{kind}/{reference}"
        await self.people.call("PATCH", path, {"properties": values}, idProperty="tl_reference")


@pytest.fixture
async def portal(serve: Serve) -> AsyncIterator[Portal]:
    sandbox = await serve(simulator())
    deal = await load(sandbox.base_url, tables())
    async with people_wire(sandbox.base_url) as people:
        connector = open_connector(binding_for(sandbox.base_url))
        yield Portal(sandbox, deal, people, connector)
        await connector.aclose()
