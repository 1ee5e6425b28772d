"""A whole house per test module: PostgreSQL, NATS, sandbox and three tiers, each a process that may be killed."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import pytest

from deploy.local.places import Places
from deploy.local.ports import Ports
from deploy.local.supervisor import House
from tests.durability.auditor import COUNTED
from tests.durability.shift import Shift


@pytest.fixture(scope="module")
def house() -> Generator[House]:
    """Up, and empty at first; in a folder that PostgreSQL's own user may enter, which leaves nothing behind."""
    with tempfile.TemporaryDirectory(prefix="throughline-durability-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with House(Places(Path(folder)), Ports.free()) as house:
            yield house


@pytest.fixture
async def shift(house: House) -> AsyncGenerator[Shift]:
    """The people of one test; every tier runs and no fault is in force when they come and when they go."""
    limits = httpx.Limits(max_connections=40)
    async with httpx.AsyncClient(timeout=60, trust_env=False, limits=limits) as http:
        shift = Shift(house, http)
        await shift.open_books()
        yield shift
        for vendor in COUNTED:
            await shift.heal(vendor)
        for tier in ("experience", "system", "process"):
            if house.processes.find(tier) is None:
                await shift.restart(tier)
