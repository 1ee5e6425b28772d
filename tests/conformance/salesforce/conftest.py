"""Fixtures: the simulator in a thread of its own for clients that block, and a connector on a one-deal org."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import uvicorn

from deploy.sandbox.kit.control import sandbox_app
from deploy.sandbox.salesforce import simulator
from deploy.sandbox.salesforce.session import SalesforceSession
from system_apis.connectors.salesforce.connector import SalesforceConnector, open_connector
from tests.conformance.salesforce.orgs import admin_wire, binding_for, firm_wire, load_closed
from tests.conformance.served import Sandbox, Serve, free_port
from tests.conformance.small_firm import tables


@pytest.fixture
def blocking_sandbox() -> Iterator[Sandbox]:
    """A simulator that clients without asyncio can call."""
    made = simulator()
    port = free_port()
    config = uvicorn.Config(
        sandbox_app({"salesforce": made}), port=port, http="httptools", ws="none", lifespan="off", log_level="error"
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
