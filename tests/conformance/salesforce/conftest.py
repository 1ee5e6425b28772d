"""Fixtures: the simulator in a thread of its own for clients that block, and a connector on a one-deal org."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from deploy.sandbox.salesforce import simulator
from deploy.sandbox.salesforce.session import SalesforceSession
from system_apis.connectors.salesforce.connector import SalesforceConnector, open_connector
from tests.conformance.salesforce.orgs import admin_wire, binding_for, firm_wire, load_closed
from tests.conformance.served import Sandbox, Serve, blocking
from tests.conformance.small_firm import tables


@pytest.fixture
def blocking_sandbox() -> Iterator[Sandbox]:
    """A simulator that clients without asyncio can call."""
    with blocking(simulator()) as served:
        yield served


@dataclass(frozen=True, slots=True)
class Org:
    """A served org with one deal: its record id, the administrator's session, and the connector."""

    sandbox: Sandbox
    deal: str
    admin: SalesforceSession
    connector: SalesforceConnector


@pytest.fixture
async def org(serve: Serve) -> AsyncIterator[Org]:
    sandbox = await serve(simulator())
    async with firm_wire(sandbox.base_url) as firm, admin_wire(sandbox.base_url) as admin:
        await load_closed(firm, tables())
        deal = (await firm.read_deals())["D0000"].record_id
        connector = open_connector(binding_for(sandbox.base_url))
        yield Org(sandbox, deal, admin, connector)
        await connector.aclose()
