"""Small environments for tests, made over the vendor's wire, and how the connector is bound to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from deploy.sandbox.dynamics_sales.firm import DataverseFirm
from deploy.sandbox.dynamics_sales.session import DataverseSession, loader_session
from deploy.sandbox.dynamics_sales.simulator import CONNECTOR_APP, TENANT
from system_apis.ports.binding import Binding
from tests.conformance.conformance_suite import WEBHOOK_SECRET
from tests.conformance.small_firm import Tables


@asynccontextmanager
async def firm_wire(base_url: str) -> AsyncGenerator[DataverseFirm]:
    """The firm's loader, speaking to the simulator there."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield DataverseFirm(base_url, client)


async def load_closed(base_url: str, made: Tables) -> None:
    """The firm, its deals at the stages of their rows."""
    async with firm_wire(base_url) as firm:
        await firm.load(made)
        await firm.close(made["opportunities"])


@asynccontextmanager
async def admin_wire(base_url: str) -> AsyncGenerator[DataverseSession]:
    """The administrator's session with the simulator there."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield loader_session(base_url, client)


async def ask(base_url: str, set_name: str, **query: str) -> list[dict[str, Any]]:
    """All rows of a query, asked by the administrator."""
    async with admin_wire(base_url) as session:
        return [row async for row in session.rows(set_name, None, **query)]


async def change(base_url: str, address: str, **values: Any) -> None:
    """Columns of a row that is there, set by the administrator."""
    async with admin_wire(base_url) as session:
        await session.call("PATCH", address, values, {"if-match": "*"})


def binding_for(base_url: str, **settings: str) -> Binding:
    place = {"base_url": base_url, "login_url": base_url, "tenant_id": TENANT, "client_id": CONNECTOR_APP.client_id}
    return Binding(
        tenant="harbour",
        system="dynamics_sales",
        settings={**place, **settings},
        secrets={"client_secret": CONNECTOR_APP.secret, "webhook_secret": WEBHOOK_SECRET},
    )
