"""A client we did not write, unmodified, at the simulator: d365fo-client (it needs Python 3.13 and its own set-up)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.sandbox.dynamics_finance.simulator import simulator
from tests.conformance.dynamics_finance.conftest import CONNECTOR, LOADER, people
from tests.conformance.dynamics_finance.samples import LEGAL_ENTITIES, RATE_CARDS, SERVICE_ITEMS
from tests.conformance.served import Serve

witness: Any = pytest.importorskip("d365fo_client", reason="d365fo-client is not installed (it needs Python 3.13)")
ITS_TOKEN = "mock-token-for-localhost"  # what it sends to loopback addresses instead of asking Entra


async def test_an_independent_client_reads_writes_and_describes(serve: Serve, tmp_path: Path) -> None:
    known = {one.client_id: one for one in (CONNECTOR, LOADER)}
    sandbox = await serve(simulator(applications=known, standing_tokens={ITS_TOKEN: CONNECTOR.client_id}))
    async with httpx.AsyncClient(trust_env=False) as http:
        await people(sandbox.base_url, http).load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)
    config = witness.FOClientConfig(
        base_url=sandbox.base_url, enable_metadata_cache=False, metadata_cache_dir=str(tmp_path)
    )
    async with witness.FOClient(config) as client:
        body = {
            "dataAreaId": "hcde",
            "CustomerAccount": "W-1",
            "CustomerGroupId": "TL",
            "OrganizationName": "Witness",
            "SalesCurrencyCode": "EUR",
        }
        created = await client.create_entity("CustomersV3", body)
        assert created["PartyNumber"]
        key = {"dataAreaId": "hcde", "CustomerAccount": "W-1"}
        await client.update_entity("CustomersV3", key, {"OrganizationName": "Witness Ltd"})
        assert (await client.get_entity("CustomersV3", key))["OrganizationName"] == "Witness Ltd"
        options = witness.QueryOptions(filter="dataAreaId eq 'hcde'", select=["CustomerAccount"], count=True)
        listed = await client.get_entities("CustomersV3", options)
        assert [row["CustomerAccount"] for row in listed["value"]] == ["W-1"]
        assert listed["@odata.count"] == 1
        assert await client.delete_entity("CustomersV3", key)
        assert (await client.get_entities("CustomersV3", options))["value"] == []
