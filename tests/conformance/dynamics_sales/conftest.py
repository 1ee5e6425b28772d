"""Fixtures: a served environment with one deal, the administrator's session, and the connector on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from deploy.sandbox.dynamics_sales import simulator
from deploy.sandbox.dynamics_sales.session import DataverseSession
from system_apis.connectors.dynamics_sales.connector import DynamicsSalesConnector, open_connector
from tests.conformance.dynamics_sales.environments import admin_wire, ask, binding_for, load_closed
from tests.conformance.served import Sandbox, Serve
from tests.conformance.small_firm import tables


@dataclass(frozen=True, slots=True)
class Place:
    """A served environment: its one deal's id, the administrator's session, the connector."""

    sandbox: Sandbox
    deal: str
    admin: DataverseSession
    connector: DynamicsSalesConnector

    @property
    def url(self) -> str:
        return self.sandbox.base_url

    def switch(self, **switches: object) -> None:
        configure = self.sandbox.simulator.configure
        assert configure
        configure(switches)

    async def amend(self, address: str, **values: object) -> None:
        """Set columns of a row that is there."""
        await self.admin.call("PATCH", address, values, {"if-match": "*"})


@pytest.fixture
async def place(serve: Serve) -> AsyncIterator[Place]:
    sandbox = await serve(simulator())
    await load_closed(sandbox.base_url, tables())
    deal = (await ask(sandbox.base_url, "opportunities", select="opportunityid"))[0]["opportunityid"]
    connector = open_connector(binding_for(sandbox.base_url))
    async with admin_wire(sandbox.base_url) as admin:
        yield Place(sandbox, deal, admin, connector)
    await connector.aclose()
