"""A pod with a loaded firm, finance signed in, and the connector opened on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from deploy.sandbox.oracle_fusion.firm import OracleFusionFirm
from system_apis.connectors.oracle_fusion.connector import OracleFusionConnector, open_connector
from tests.conformance.erp_firm import LEGAL_ENTITIES, RATE_CARDS, SERVICE_ITEMS
from tests.conformance.oracle_fusion.pods import binding, finance, pod
from tests.conformance.served import Sandbox, Serve


@pytest.fixture
async def fusion(serve: Serve) -> Sandbox:
    return await serve(pod())


@pytest.fixture
async def firm(fusion: Sandbox) -> AsyncIterator[OracleFusionFirm]:
    async with finance(fusion.base_url) as people:
        await people.load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)
        yield people


@pytest.fixture
async def connector(fusion: Sandbox) -> AsyncIterator[OracleFusionConnector]:
    opened = open_connector(binding(fusion.base_url))
    yield opened
    await opened.aclose()
