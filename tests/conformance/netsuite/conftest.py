"""A NetSuite sandbox with a loaded firm, its wire, and the connector opened on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from deploy.sandbox.netsuite.firm import NetSuiteFirm
from deploy.sandbox.netsuite.signatures import AccessToken, new_token
from deploy.sandbox.netsuite.simulator import simulator
from deploy.sandbox.netsuite.tokens import MachineCredentials, new_credentials
from system_apis.connectors.netsuite.connector import NetSuiteConnector, open_connector
from system_apis.ports.binding import Binding
from tests.conformance.erp_firm import LEGAL_ENTITIES, RATE_CARDS, SERVICE_ITEMS
from tests.conformance.served import Sandbox, Serve


@pytest.fixture(scope="session")
def credentials() -> MachineCredentials:
    return new_credentials("integration-1")


@pytest.fixture(scope="session")
def access_token() -> AccessToken:
    return new_token()


@pytest.fixture
async def netsuite(serve: Serve, credentials: MachineCredentials, access_token: AccessToken) -> Sandbox:
    certificates = {credentials.certificate_id: credentials.certificate}
    return await serve(simulator(certificates=certificates, access_tokens=[access_token]))


@pytest.fixture
async def firm(netsuite: Sandbox, http: httpx.AsyncClient, credentials: MachineCredentials) -> NetSuiteFirm:
    firm = NetSuiteFirm(netsuite.base_url, http, credentials)
    await firm.load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)
    return firm


@pytest.fixture
async def connector(netsuite: Sandbox, credentials: MachineCredentials) -> AsyncIterator[NetSuiteConnector]:
    settings = {
        "base_url": netsuite.base_url,
        "client_id": credentials.client_id,
        "certificate_id": credentials.certificate_id,
    }
    opened = open_connector(Binding("harbour", "netsuite", settings, {"private_key": credentials.private_key}))
    yield opened
    await opened.aclose()
