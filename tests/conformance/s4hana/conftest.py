"""Fixtures of the S/4HANA tests: a served tenant with a loaded firm, and the connector opened on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx
import pytest

from deploy.sandbox.s4hana.firm import S4Firm
from deploy.sandbox.s4hana.simulator import CONNECTOR_USER, FIRM_USER, simulator
from system_apis.connectors.s4hana.connector import S4Connector, open_connector
from system_apis.ports.binding import Binding
from tests.conformance.erp_firm import LEGAL_ENTITIES, RATE_CARDS, SERVICE_ITEMS
from tests.conformance.served import Sandbox, Serve


def bound(base_url: str, settings: Mapping[str, str] | None = None) -> Binding:
    given = {"base_url": base_url, "user": CONNECTOR_USER.name, **(settings or {})}
    return Binding("harbour", "s4hana", given, {"password": CONNECTOR_USER.password})


@pytest.fixture
async def s4hana(serve: Serve) -> Sandbox:
    return await serve(simulator())


@pytest.fixture
async def firm(s4hana: Sandbox, http: httpx.AsyncClient) -> S4Firm:
    firm = S4Firm(s4hana.base_url, http, FIRM_USER)
    await firm.load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)
    return firm


@pytest.fixture
async def connector(s4hana: Sandbox, firm: S4Firm) -> AsyncIterator[S4Connector]:
    del firm
    opened = open_connector(bound(s4hana.base_url))
    yield opened
    await opened.aclose()
