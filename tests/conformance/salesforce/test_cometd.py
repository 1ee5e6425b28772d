"""The simulator's streaming wire as the vendor documents it: messages, places, ends of sessions, refusals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx
import pytest

from deploy.sandbox.salesforce import simulator
from deploy.sandbox.salesforce.session import API, SalesforceSession, loader_session
from tests.conformance.served import Sandbox, Serve

EVERYTHING = "/data/ChangeEvents"


class Listener:
    """A streaming client by hand."""

    def __init__(self, sandbox: Sandbox, http: httpx.AsyncClient, admin: SalesforceSession) -> None:
        self.sandbox = sandbox
        self.http = http
        self.admin = admin
        self.client_id: str | None = None
        self.cookies: dict[str, str] = {}
        self.token = ""

    async def post(self, body: Any, path: str = "/cometd/60.0", **headers: str) -> httpx.Response:
        if not self.token:
            await self.admin.call("GET", f"{API}/limits")
            self.token = self.admin._token
        given = {"authorization": f"Bearer {self.token}", **headers}
        if self.cookies:
            given["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.http.cookies.clear()
        return await self.http.post(self.sandbox.base_url + path, json=body, headers=given)

    async def say(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """All messages of the answer, the reply last."""
        message = {"channel": f"/meta/{kind}", "id": "7", "clientId": self.client_id, **fields}
        answer = await self.post([message])
        self.cookies |= dict(answer.cookies)
        assert answer.status_code == 200
        messages: list[dict[str, Any]] = answer.json()
        assert (messages[-1]["channel"], messages[-1]["id"]) == (f"/meta/{kind}", "7")
        return messages

    async def enter(self) -> dict[str, Any]:
        (reply,) = await self.say("handshake", version="1.0", supportedConnectionTypes=["long-polling"], clientId=None)
        self.client_id = reply.get("clientId")
        return reply

    async def subscribe(self, channel: str = EVERYTHING, replay: Any = None, **fields: Any) -> dict[str, Any]:
        extensions = {} if replay is None else {"ext": {"replay": {channel: replay}}}
        (reply,) = await self.say("subscribe", subscription=channel, **extensions, **fields)
        return reply

    async def connect(self, milliseconds: int = 200) -> list[dict[str, Any]]:
        return await self.say("connect", connectionType="long-polling", advice={"timeout": milliseconds})

    async def events(self) -> list[dict[str, Any]]:
        """Everything that comes until a connect brings nothing; the first one after a handshake may come too early."""
        found = [message["data"] for message in (await self.connect())[:-1]]
        while len(messages := await self.connect()) > 1:
            found += [message["data"] for message in messages[:-1]]
        return found

    async def name(self, *names: str) -> None:
        for name in names:
            await self.admin.call("POST", f"{API}/sobjects/Account", {"Name": name})

    def switch(self, **switches: Any) -> None:
        assert self.sandbox.simulator.configure
        self.sandbox.simulator.configure(switches)


@pytest.fixture
async def listener(serve: Serve) -> AsyncIterator[Listener]:
    sandbox = await serve(simulator())
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http, httpx.AsyncClient(trust_env=False) as other:
        yield Listener(sandbox, http, loader_session(sandbox.base_url, other))


async def test_a_visit_from_handshake_to_goodbye(listener: Listener) -> None:
    reply = await listener.enter()
    assert reply["successful"]
    assert reply["ext"] == {"replay": True, "payload.format": True}
    assert (reply["version"], reply["supportedConnectionTypes"]) == ("1.0", ["long-polling"])
    assert {"BAYEUX_BROWSER", "sfdc-stream"} <= set(listener.cookies)
    assert (await listener.subscribe(replay=-1))["subscription"] == EVERYTHING
    began = time.monotonic()
    (first,) = await listener.connect(5000)
    assert first["advice"] == {"reconnect": "retry", "interval": 0, "timeout": 110_000}
    (nothing,) = await listener.connect(200)
    assert time.monotonic() - began < 2
    assert "advice" not in nothing
    waiting = asyncio.create_task(listener.connect(5000))
    await asyncio.sleep(0.05)
    await listener.name("Acme")
    event, done = await waiting
    assert (event["channel"], done["successful"]) == (EVERYTHING, True)
    header = event["data"]["payload"]["ChangeEventHeader"]
    assert (header["entityName"], header["changeType"], header["sequenceNumber"]) == ("Account", "CREATE", 1)
    assert event["data"]["event"]["EventApiName"] == "AccountChangeEvent"
    (bye,) = await listener.say("disconnect")
    assert bye["successful"]
    (gone,) = await listener.connect()
    assert (gone["error"], gone["advice"]["reconnect"]) == ("403::Unknown client", "handshake")


async def test_ids_grow_with_gaps_and_a_subscription_begins_behind_the_given_one(listener: Listener) -> None:
    await listener.name("A", "B", "C", "D")
    await listener.enter()
    await listener.subscribe(replay=-2)
    ids = [event["event"]["replayId"] for event in await listener.events()]
    assert ids == sorted(set(ids))
    assert {later - earlier for earlier, later in pairwise(ids)} != {1}
    for replay, expected in ((ids[1], ids[2:]), (str(ids[2]), ids[3:]), (ids[3], []), (-1, []), ("-2", ids)):
        await listener.enter()
        assert (await listener.subscribe(replay=replay))["successful"]
        assert [event["event"]["replayId"] for event in await listener.events()] == expected


async def test_a_channel_brings_its_own_object_and_a_custom_one_its_members(listener: Listener) -> None:
    listener.switch(channels={"Sales__chn": ["Contract", "Account"]})
    await listener.name("A")
    for channel, count in (
        ("/data/AccountChangeEvent", 1),
        ("/data/Billing_Milestone__ChangeEvent", 0),
        ("/data/Sales__chn", 1),
    ):
        await listener.enter()
        assert (await listener.subscribe(channel, replay=-2))["successful"]
        assert len(await listener.events()) == count


@pytest.mark.parametrize(
    ("channel", "replay", "told"),
    [
        ("/data/GhostChangeEvent", -1, "400::The channel you requested to subscribe to does not exist {/data/Ghost"),
        ("data/ChangeEvents", -1, "400::Channel subscriptions must start with a leading '/'"),
        (EVERYTHING, 12, "400::The replayId {12} you provided was invalid.  Please provide a valid ID, -2 to replay"),
        (EVERYTHING, "soon", "400::The replayId {soon} you provided was invalid."),
    ],
)
async def test_what_cannot_be_subscribed_to_is_refused(
    listener: Listener, channel: str, replay: Any, told: str
) -> None:
    await listener.enter()
    reply = await listener.subscribe(channel, replay=replay)
    assert reply["successful"] is False
    assert reply["error"].startswith(told)


async def test_a_map_of_places_must_name_the_channel(listener: Listener) -> None:
    await listener.enter()
    reply = await listener.subscribe(ext={"replay": {EVERYTHING: None}})
    assert reply["error"].startswith("400::The replayId for channel {/data/ChangeEvents} wasn't found")
    assert "{{/data/ChangeEvents=null}}" in reply["error"]


async def test_events_are_kept_for_three_days(listener: Listener) -> None:
    await listener.name("A")
    listener.switch(clock_ahead=71 * 3600)
    await listener.name("B")
    await listener.enter()
    await listener.subscribe(replay=-2)
    first, second = await listener.events()
    listener.switch(clock_ahead=73 * 3600)
    await listener.enter()
    assert "invalid" in (await listener.subscribe(replay=first["event"]["replayId"]))["error"]
    assert (await listener.subscribe(replay=second["event"]["replayId"]))["successful"]
    listener.switch(forgives_old_replay=True)
    await listener.enter()
    await listener.subscribe(replay=first["event"]["replayId"])
    assert await listener.events() == [second]


async def test_a_rolled_back_change_is_no_event(listener: Listener) -> None:
    records = [{"attributes": {"type": "Account"}, "Name": "A"}, {"attributes": {"type": "Account"}}]
    await listener.admin.call("POST", f"{API}/composite/sobjects", {"allOrNone": True, "records": records})
    await listener.enter()
    await listener.subscribe(replay=-2)
    assert await listener.events() == []


async def test_a_client_that_is_silent_too_long_is_forgotten_and_one_that_waits_is_not(listener: Listener) -> None:
    listener.switch(client_seconds=1, unknown_client_code=402)
    await listener.enter()
    await listener.subscribe(replay=-1)
    await listener.connect()
    (waited,) = await listener.connect(1500)
    assert waited["successful"]
    await asyncio.sleep(1.2)
    (gone,) = await listener.connect()
    assert gone["error"] == "402::Unknown client"


async def test_a_second_connect_ends_the_first(listener: Listener) -> None:
    await listener.enter()
    await listener.subscribe(replay=-1)
    await listener.connect()
    first = asyncio.create_task(listener.connect(20_000))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(listener.connect(3000))
    async with asyncio.timeout(2):
        assert len(await first) == 1
    await listener.name("A")
    assert len(await second) == 2


async def test_who_is_not_let_in_is_told_in_the_message(listener: Listener) -> None:
    listener.token = "wrong"
    reply = await listener.enter()
    assert reply["error"] == "403::Handshake denied"
    assert reply["ext"] == {"sfdc": {"failureReason": "401::Authentication invalid"}}
    assert reply["advice"]["reconnect"] == "none"
    (refused,) = await listener.connect()
    assert refused["error"] == "401::Authentication invalid"
    bare = await listener.http.post(listener.sandbox.base_url + "/cometd/60.0", json=[{"channel": "/meta/connect"}])
    assert bare.json()[0]["error"] == "401::Request requires authentication"
    listener.switch(refusal_status=403)
    assert (await listener.post([{"channel": "/meta/connect"}])).status_code == 403


async def test_the_cookie_of_the_handshake_is_demanded(listener: Listener) -> None:
    await listener.enter()
    listener.cookies = {}
    reply = await listener.subscribe(replay=-1)
    assert reply["error"].endswith("has established a session, but no BAYEUX_BROWSER cookie present")


async def test_limits_of_clients_and_of_deliveries(listener: Listener) -> None:
    listener.switch(clients_allowed=1, events_allowed=2)
    await listener.enter()
    await listener.subscribe(replay=-1)
    other = Listener(listener.sandbox, listener.http, listener.admin)
    denied = await other.enter()
    assert denied["ext"] == {"sfdc": {"failureReason": "403::Organization concurrent user limit exceeded"}}
    await listener.name("A", "B")
    assert len(await listener.connect()) == 3
    (refused,) = await listener.connect()
    assert refused["error"] == "403::Organization total events daily limit exceeded"
    listener.switch(clock_ahead=86_400)
    assert (await listener.connect())[0]["successful"]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/cometd", "400::API version in the URI is mandatory"),
        ("/cometd/", "400::API version in the URI is mandatory"),
        ("/cometd/36.0", "400::Unsupported API version"),
    ],
)
async def test_the_address_names_a_version(listener: Listener, path: str, told: str) -> None:
    answer = await listener.post([{"channel": "/meta/handshake"}], path)
    assert answer.json()[0]["error"].startswith(told)


async def test_a_message_outside_an_array_too_long_or_unreadable_is_refused(listener: Listener) -> None:
    handshake = {"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": ["long-polling"]}
    assert (await listener.post(handshake)).status_code == 400
    assert (await listener.post(["text"])).status_code == 400
    assert (await listener.post([{"channel": "x" * 33_000}])).status_code == 413
    listener.switch(arrays_only=False)
    assert (await listener.post(handshake)).json()[0]["successful"]
    broken = await listener.http.post(listener.sandbox.base_url + "/cometd/60.0", content=b"[{")
    assert broken.status_code == 400
    (other,) = (await listener.post([{**handshake, "supportedConnectionTypes": ["websocket"]}])).json()
    assert other["error"].startswith("400::Invalid connection type")
    await listener.enter()
    (publish,) = (await listener.post([{"channel": "/data/x", "clientId": listener.client_id, "data": {}}])).json()
    assert publish["error"] == "403::Publish denied"


async def test_streaming_can_be_closed_and_counts_as_calls_only_where_it_does(listener: Listener) -> None:
    await listener.enter()

    async def left() -> int:
        return int((await listener.admin.call("GET", f"{API}/limits"))["DailyApiRequests"]["Remaining"])

    before = await left()
    await listener.connect(0)
    assert await left() == before - 1
    listener.switch(streaming_counts=True)
    await listener.connect(0)
    assert await left() == before - 3
    listener.switch(streaming=False)
    closed = await listener.post([{"channel": "/meta/handshake"}])
    assert (closed.status_code, closed.headers["content-type"].partition(";")[0]) == (403, "text/html")


async def test_unsubscribed_channels_bring_nothing_and_a_reset_forgets_all(listener: Listener) -> None:
    await listener.enter()
    await listener.subscribe(replay=-1)
    await listener.connect()
    await listener.say("unsubscribe", subscription=EVERYTHING)
    await listener.name("A")
    assert await listener.events() == []
    listener.sandbox.simulator.reset()
    listener.token = listener.admin._token = ""
    (gone,) = await listener.connect()
    assert gone["error"] == "403::Unknown client"
