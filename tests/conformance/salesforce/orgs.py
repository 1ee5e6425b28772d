"""Small orgs for tests, made over the vendor's wire, and how the connector is bound to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from deploy.sandbox.salesforce.firm import SalesforceFirm
from deploy.sandbox.salesforce.session import SalesforceSession, loader_session
from deploy.sandbox.salesforce.simulator import CONNECTOR_CLIENT
from system_apis.ports.binding import Binding
from tests.conformance.conformance_suite import WEBHOOK_SECRET
from tests.conformance.small_firm import Tables


@asynccontextmanager
async def firm_wire(base_url: str) -> AsyncGenerator[SalesforceFirm]:
    """The firm's loader, speaking to the simulator there."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield SalesforceFirm(base_url, client)


async def load_closed(firm: SalesforceFirm, made: Tables) -> None:
    """The firm, its deals at the stages of their rows."""
    await firm.load(made)
    await firm.close(made["opportunities"])


@asynccontextmanager
async def admin_wire(base_url: str) -> AsyncGenerator[SalesforceSession]:
    """The administrator's session with the simulator there."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield loader_session(base_url, client)


async def ask(base_url: str, soql: str) -> list[dict[str, Any]]:
    """All rows of a query, asked by the administrator."""
    async with admin_wire(base_url) as session:
        return [row async for row in session.query(soql)]


def binding_for(base_url: str, **settings: str) -> Binding:
    return Binding(
        tenant="harbour",
        system="salesforce",
        settings={
            "base_url": base_url,
            "client_id": CONNECTOR_CLIENT.client_id,
            "feed_wait_seconds": "0.1",
            **settings,
        },
        secrets={"client_secret": CONNECTOR_CLIENT.secret, "webhook_secret": WEBHOOK_SECRET},
    )
