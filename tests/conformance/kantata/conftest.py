"""Kantata served, with its account by hand and the connector opened on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from deploy.sandbox.kantata import simulator
from system_apis.connectors.kantata.connector import KantataConnector, open_connector
from tests.conformance.kantata.account import Account, binding
from tests.conformance.served import Sandbox, Serve


@dataclass(frozen=True)
class Kantata:
    """The served simulator, its account by hand, the connector."""

    sandbox: Sandbox
    account: Account
    connector: KantataConnector

    def switch(self, **switches: object) -> None:
        configure = self.sandbox.simulator.configure
        assert configure is not None
        configure(switches)


@pytest.fixture
async def kantata(serve: Serve) -> AsyncIterator[Kantata]:
    sandbox = await serve(simulator(strict_filters=True))
    opened = open_connector(binding(sandbox.base_url))
    async with httpx.AsyncClient(trust_env=False) as client:
        yield Kantata(sandbox, Account(sandbox.base_url, client), opened)
    await opened.aclose()
