"""A client we did not write, unmodified, at the simulator: d365fo-client, on a Python 3.13 of its own."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.sandbox.dynamics_finance.simulator import simulator
from deploy.sandbox.kit import environments
from deploy.sandbox.kit.environments import RegistryUnreachable
from tests.conformance.dynamics_finance.conftest import CONNECTOR, LOADER, people
from tests.conformance.erp_firm import LEGAL_ENTITIES, RATE_CARDS, SERVICE_ITEMS
from tests.conformance.served import Serve

ITS_TOKEN = "mock-token-for-localhost"  # what it sends to loopback addresses instead of asking Entra
LOCK = Path(__file__).with_name("requirements.lock")
PROGRAM = Path(__file__).with_name("d365fo_program.py")
CACHE_VARIABLE = "THROUGHLINE_D365FO_CLIENT_CACHE"


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python of the client's own environment, made on first use."""
    found = environments.python_at_least(3, 13)
    if found is None:
        pytest.skip("d365fo-client needs Python 3.13, and none was found on this machine")
    home = environments.cache("d365fo-client", CACHE_VARIABLE) / environments.edition(LOCK, str(found))
    try:
        return environments.environment(LOCK, "The client d365fo-client", home, found)
    except RegistryUnreachable as error:
        pytest.skip(str(error))


async def ran(python: Path, *arguments: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        python, "-I", PROGRAM, *arguments, stdout=PIPE, stderr=PIPE, env={"NO_PROXY": "*", "HOME": arguments[-1]}
    )
    async with asyncio.timeout(120):
        said, troubles = await process.communicate()
    assert process.returncode == 0, troubles.decode()[-3000:]
    return json.loads(said)


async def test_an_independent_client_reads_writes_and_describes(serve: Serve, tmp_path: Path, python: Path) -> None:
    known = {one.client_id: one for one in (CONNECTOR, LOADER)}
    sandbox = await serve(simulator(applications=known, standing_tokens={ITS_TOKEN: CONNECTOR.client_id}))
    async with httpx.AsyncClient(trust_env=False) as http:
        await people(sandbox.base_url, http).load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)
    seen = await ran(python, sandbox.base_url, str(tmp_path))
    assert seen["created"]["PartyNumber"]
    assert seen["amended"]["OrganizationName"] == "Witness Ltd"
    assert [row["CustomerAccount"] for row in seen["listed"]["value"]] == ["W-1"]
    assert seen["listed"]["@odata.count"] == 1
    assert seen["was_deleted"]
    assert seen["left"]["value"] == []
