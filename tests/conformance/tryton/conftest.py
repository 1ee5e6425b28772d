"""One Tryton for all tests of this worker: installed once per machine, furnished once, put back before every test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from deploy.sandbox.kit.environments import InstallFailed
from deploy.sandbox.tryton.firm import TrytonConsultants, TrytonFinance, TrytonSales
from deploy.sandbox.tryton.install import ensure
from deploy.sandbox.tryton.seed import INTEGRATION, PEOPLE
from deploy.sandbox.tryton.server import DATABASE, TrytonServer
from deploy.sandbox.tryton.session import TrytonSession
from deploy.sandbox.tryton.simulator import Passwords, Site, simulator
from system_apis.connectors.tryton.connector import TrytonConnector, open_connector
from system_apis.ports.binding import Binding
from tests.conformance import erp_firm
from tests.conformance.served import Sandbox, Serve
from tests.conformance.tryton import samples

PASSWORDS = Passwords()


def binding_for(base_url: str, *, password: str = PASSWORDS.integration, **settings: str) -> Binding:
    """The tenant's connection to the server there."""
    told = {"base_url": base_url, "database": DATABASE, "user": INTEGRATION, **settings}
    return Binding("harbour", "tryton", told, {"password": password})


def person(base_url: str, client: httpx.AsyncClient) -> TrytonSession:
    """Somebody of the firm at the screens."""
    return TrytonSession(base_url, client, user=PEOPLE, password=PASSWORDS.people)


def integration(base_url: str, client: httpx.AsyncClient) -> TrytonSession:
    """Our own user, beside the connector."""
    return TrytonSession(base_url, client, user=INTEGRATION, password=PASSWORDS.integration)


@pytest.fixture(scope="session")
def tryton_site() -> Iterator[Site]:
    """The server, with a small firm in it."""
    try:
        programs = ensure()
    except InstallFailed as error:
        pytest.skip(f"Tryton is not installed here and cannot be: {error}")
    site = Site(PASSWORDS, lambda: TrytonServer.start(programs))
    server = site.up()
    try:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _furnished(server.url)).result()
        server.keep()
        yield site
    finally:
        server.stop()


async def _furnished(url: str) -> None:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        session = person(url, client)
        finance, consultants, sales = TrytonFinance(session), TrytonConsultants(session), TrytonSales(session)
        await finance.load(samples.LEGAL_ENTITIES, erp_firm.SERVICE_ITEMS, erp_firm.RATE_CARDS)
        await consultants.load_users(samples.USERS)
        await sales.load(samples.DEALS)
        await sales.close(samples.DEALS["opportunities"])


@dataclass(frozen=True)
class House:
    """The sandbox, our connector on it, and the firm's people in the three roles."""

    sandbox: Sandbox
    connector: TrytonConnector
    session: TrytonSession
    sales: TrytonSales
    consultants: TrytonConsultants
    finance: TrytonFinance

    @property
    def crm(self) -> Any:
        return self.connector.for_role("crm")

    @property
    def psa(self) -> Any:
        return self.connector.for_role("psa")

    @property
    def erp(self) -> Any:
        return self.connector.for_role("erp")


@pytest.fixture
async def house(tryton_site: Site, serve: Serve) -> AsyncIterator[House]:
    """Everything in its first state, with the small firm."""
    tryton_site.reset()
    sandbox = await serve(simulator(site=tryton_site))
    connector = open_connector(binding_for(sandbox.base_url))
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        session = person(sandbox.base_url, client)
        people = TrytonSales(session), TrytonConsultants(session), TrytonFinance(session)
        yield House(sandbox, connector, session, *people)
        await connector.aclose()
