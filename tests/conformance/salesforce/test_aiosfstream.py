"""A streaming client that others wrote is content with the simulator, unmodified; only its login is ours."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import ClientSession

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations of theirs
    from aiosfstream_ng import Client, ReplayOption
    from aiosfstream_ng.auth import AuthenticatorBase
    from aiosfstream_ng.exceptions import ServerError

from deploy.sandbox.kit.faults import FaultKind
from deploy.sandbox.salesforce import simulator
from deploy.sandbox.salesforce.session import API, SalesforceSession, loader_session
from deploy.sandbox.salesforce.simulator import LOADER_CLIENT
from tests.conformance.served import Sandbox, Serve

ACCOUNTS = "/data/AccountChangeEvent"


class ClientCredentials(AuthenticatorBase):
    """The library brings the password and refresh-token flows, this the one that servers use."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        # A name and not an address: the library's cookie jar takes no cookies from bare addresses.
        self.url = sandbox.base_url.replace("127.0.0.1", "localhost")
        self.logins = 0

    async def _authenticate(self) -> tuple[int, dict[str, Any]]:
        self.logins += 1
        form = {"grant_type": "client_credentials", "client_id": LOADER_CLIENT.client_id}
        async with ClientSession() as session:
            form["client_secret"] = LOADER_CLIENT.secret
            answer = await session.post(f"{self.url}/services/oauth2/token", data=form)
            return answer.status, await answer.json()


class Org:
    def __init__(self, sandbox: Sandbox, admin: SalesforceSession) -> None:
        self.sandbox = sandbox
        self.admin = admin
        self.login = ClientCredentials(sandbox)

    async def name(self, name: str) -> None:
        await self.admin.call("POST", f"{API}/sobjects/Account", {"Name": name})

    def switch(self, **switches: Any) -> None:
        assert self.sandbox.simulator.configure
        self.sandbox.simulator.configure(switches)

    @asynccontextmanager
    async def client(self, replay: Any, **options: Any) -> AsyncIterator[Any]:
        async with asyncio.timeout(20), Client(self.login, replay=replay, **options) as client:
            yield client


@pytest.fixture
async def org(serve: Serve) -> AsyncIterator[Org]:
    sandbox = await serve(simulator())
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        yield Org(sandbox, loader_session(sandbox.base_url, http))


async def names(client: Any, count: int) -> list[str]:
    return [(await client.receive())["data"]["payload"]["Name"] for _ in range(count)]


async def test_it_hears_what_changes_while_it_listens(org: Org) -> None:
    await org.name("Before")
    async with org.client(ReplayOption.NEW_EVENTS) as client:
        await client.subscribe(ACCOUNTS)
        await org.name("Acme")
        message = await client.receive()
        assert message["channel"] == ACCOUNTS
        assert message["data"]["payload"]["Name"] == "Acme"
        assert message["data"]["payload"]["ChangeEventHeader"]["changeType"] == "CREATE"
    assert org.sandbox.calls("POST /cometd/45.0") >= 4


async def test_it_goes_on_where_its_storage_says_it_stopped(org: Org) -> None:
    storage: dict[str, Any] = {}
    async with org.client(storage) as client:
        await client.subscribe(ACCOUNTS)
        await org.name("First")
        assert await names(client, 1) == ["First"]
    await org.name("Missed")
    async with org.client(storage) as client:
        await client.subscribe(ACCOUNTS)
        assert await names(client, 1) == ["Missed"]
    assert storage[ACCOUNTS].replay_id


async def test_it_has_all_that_is_retained_and_more_than_an_answer_holds(org: Org) -> None:
    org.switch(events_per_answer=2)
    expected = [f"Customer {number}" for number in range(5)]
    for name in expected:
        await org.name(name)
    async with org.client(ReplayOption.ALL_EVENTS) as client:
        await client.subscribe(ACCOUNTS)
        assert await names(client, 5) == expected


async def test_an_invalid_place_and_an_unknown_channel_are_its_own_errors(org: Org) -> None:
    await org.name("Kept")
    async with org.client(ReplayOption.ALL_EVENTS) as client:
        with pytest.raises(ServerError) as caught:
            await client.subscribe("/data/GhostChangeEvent")
        assert caught.value.error_code == 400
    storage: dict[str, Any] = {}
    async with org.client(storage) as client:
        await client.subscribe(ACCOUNTS)
        await org.name("Heard")
        await names(client, 1)
    org.switch(forget_events=True)
    await org.name("Retained")
    async with org.client(dict(storage)) as client:
        with pytest.raises(ServerError, match="Subscribe") as caught:
            await client.subscribe(ACCOUNTS)
        assert caught.value.error_code == 400
        assert "you provided was invalid" in str(caught.value.error)
    async with org.client(dict(storage), replay_fallback=ReplayOption.ALL_EVENTS) as client:
        await client.subscribe(ACCOUNTS)
        assert await names(client, 1) == ["Retained"]


async def test_it_logs_in_again_and_shakes_hands_again_when_told_to(org: Org) -> None:
    async with org.client(ReplayOption.NEW_EVENTS) as client:
        await client.subscribe(ACCOUNTS)
        org.sandbox.fault(FaultKind.SESSION_EXPIRED, "/cometd/")
        await client.subscribe("/data/ContractChangeEvent")
        assert org.login.logins >= 2
        org.switch(drop_clients=True)
        heard = asyncio.ensure_future(client.receive())
        for _ in range(100):  # until it has shaken hands and subscribed anew
            await org.name("After")
            if (await asyncio.wait([heard], timeout=0.1))[0]:
                break
        assert (await heard)["data"]["payload"]["Name"] == "After"
