"""A Dynamics 365 Finance sandbox with a loaded firm, its wire, and the connector opened on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from deploy.sandbox.dynamics_finance.firm import DynamicsFinanceFirm, Login
from deploy.sandbox.dynamics_finance.simulator import TENANT, simulator
from deploy.sandbox.dynamics_finance.tokens import Application
from deploy.sandbox.kit.control import Simulator
from system_apis.connectors.dynamics_finance.connector import DynamicsFinanceConnector, open_connector
from system_apis.ports.binding import Binding
from tests.conformance.conformance_suite import WEBHOOK_SECRET
from tests.conformance.erp_firm import LEGAL_ENTITIES, RATE_CARDS, SERVICE_ITEMS
from tests.conformance.served import Sandbox, Serve

CONNECTOR = Application("connector-app", "connector-secret", "high")
LOADER = Application("loader-app", "loader-secret", "low")


def environment() -> Simulator:
    """A fresh environment that knows both applications; nobody is asked to wait for long."""
    known = {one.client_id: one for one in (CONNECTOR, LOADER)}
    return simulator(applications=known, retry_after=0)


def bound(base_url: str, *, secret: str = CONNECTOR.secret, **settings: str) -> Binding:
    """The binding of a tenant to the environment there."""
    given = {
        "base_url": base_url,
        "login_url": base_url,
        "tenant_id": TENANT,
        "client_id": CONNECTOR.client_id,
        "package_poll_seconds": "0.01",
        "posting_poll_seconds": "0.01",
        "posting_wait_seconds": "2",
        **settings,
    }
    return Binding("harbour", "dynamics_finance", given, {"client_secret": secret, "webhook_secret": WEBHOOK_SECRET})


def people(base_url: str, client: httpx.AsyncClient) -> DynamicsFinanceFirm:
    """The firm's finance people there."""
    return DynamicsFinanceFirm(base_url, client, Login(TENANT, LOADER.client_id, LOADER.secret))


@pytest.fixture
async def finance(serve: Serve) -> Sandbox:
    return await serve(environment())


@pytest.fixture
async def firm(finance: Sandbox, http: httpx.AsyncClient) -> DynamicsFinanceFirm:
    firm = people(finance.base_url, http)
    await firm.load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)
    return firm


@pytest.fixture
async def connector(finance: Sandbox) -> AsyncIterator[DynamicsFinanceConnector]:
    opened = open_connector(bound(finance.base_url))
    yield opened
    await opened.aclose()
