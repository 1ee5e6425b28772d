"""Fixtures: the simulator in a thread of its own for clients that block, and a connector on a one-deal portal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from deploy.sandbox.hubspot import simulator
from deploy.sandbox.hubspot.session import HubspotSession
from system_apis.connectors.hubspot.connector import HubspotConnector, open_connector
from tests.conformance.hubspot.portals import binding_for, load, people_wire
from tests.conformance.served import Sandbox, Serve, blocking
from tests.conformance.small_firm import tables


@pytest.fixture
def blocking_sandbox() -> Iterator[Sandbox]:
    """A simulator that clients without asyncio can call."""
    with blocking(simulator()) as served:
        yield served


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
