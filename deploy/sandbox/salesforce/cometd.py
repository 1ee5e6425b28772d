"""The streaming address: Bayeux messages over HTTP long-polling, with the vendor's replay extension."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

import orjson
from starlette.requests import Request
from starlette.responses import Response

from deploy.sandbox.salesforce.bus import Published
from deploy.sandbox.salesforce.org import Org
from deploy.sandbox.salesforce.sessions import Sessions
from deploy.sandbox.salesforce.streams import NEW, Refusal, Subscriber

Json = dict[str, Any]
_FIRST_VERSION = 37.0
_MOST_BYTES = 32_768
_COOKIE = "BAYEUX_BROWSER"
_VERSION = re.compile(r"^(\d+\.\d)(?:/\w*)*$")
_FORMAT = "URI format: '/cometd/60.0'"
_BLOCKED = "<html><body>Streaming API calls are blocked by the org's security settings.</body></html>"
_REPLAY_MISSING = (
    "400::The replayId for channel {%s} wasn't found using the provided replay ID map {%s}. Ensure that the channel"
    " name you provided in the replay map is valid and matches the channel name used for subscribing."
)


class Cometd:
    """HTTP requests of streaming clients and back."""

    def __init__(self, org: Org, sessions: Sessions) -> None:
        """Serves the bus of `org` to who has a token of `sessions`."""
        self._org = org
        self._sessions = sessions

    async def serve(self, request: Request) -> Response:
        """`/cometd/<version>`, whatever message type a client adds to the address."""
        switches = self._org.streams.switches
        if not switches.streaming:
            return Response(_BLOCKED, 403, media_type="text/html")
        content = await request.body()
        if len(content) > _MOST_BYTES:
            return Response("Maximum Request Size Exceeded", 413)
        try:
            document: Any = orjson.loads(content)
        except ValueError:
            return Response("Cannot parse the messages", 400)
        if isinstance(document, dict) and not switches.arrays_only:
            document = [document]
        if not isinstance(document, list) or not all(isinstance(one, dict) for one in cast("list[Any]", document)):
            return Response("Messages must be sent in a JSON array", 400)
        if switches.streaming_counts:
            self._org.calls_used += 1
        exchange = _Exchange(self._org, self._sessions, request)
        for message in cast("list[Json]", document):
            await exchange.take(message)
        return exchange.answer()


class _Exchange:
    """The messages of one request and their answers."""

    def __init__(self, org: Org, sessions: Sessions, request: Request) -> None:
        self._streams = org.streams
        self._request = request
        self._version = str(request.path_params.get("rest", ""))
        self._is_known = self._owns_token(sessions)
        self._events: list[tuple[str, Published]] = []
        self._replies: list[Json] = []
        self._cookie: str | None = None
        self._status = 200

    def _owns_token(self, sessions: Sessions) -> bool:
        scheme, _, token = self._request.headers.get("authorization", "").partition(" ")
        return scheme.lower() in {"bearer", "oauth"} and sessions.owner(token) is not None

    async def take(self, message: Json) -> None:
        """Answer one message."""
        channel = message.get("channel")
        reply: Json = {"channel": channel}
        if "id" in message:
            reply["id"] = message["id"]
        if message.get("clientId") is not None:
            reply["clientId"] = message["clientId"]
        try:
            self._check(channel)
            await self._act(channel, message, reply)
            reply["successful"] = True
        except Refusal as refusal:
            reply |= {"error": refusal.error, "successful": False}
            if refusal.advice:
                reply["advice"] = refusal.advice
            if refusal.reason:
                reply["ext"] = {"sfdc": {"failureReason": refusal.reason}}
        self._replies.append(reply)

    def answer(self) -> Response:
        """Events first, then the replies."""
        parts = [
            orjson.dumps({"channel": channel, "data": orjson.Fragment(event.data)}) for channel, event in self._events
        ]
        content = b"[" + b",".join([*parts, *map(orjson.dumps, self._replies)]) + b"]"
        response = Response(content, self._status, media_type="application/json;charset=UTF-8")
        if self._cookie is not None:
            root = self._request.scope.get("root_path", "")
            response.set_cookie(_COOKIE, self._cookie, path=f"{root}/cometd/", httponly=True)
            response.set_cookie("sfdc-stream", "!stickyNode1", expires=10_800, path=f"{root}/")
        return response

    def _check(self, channel: Any) -> None:
        version = _VERSION.match(self._version)
        if version is None:
            raise Refusal(f"400::API version in the URI is mandatory. {_FORMAT}")
        if float(version[1]) < _FIRST_VERSION:
            text = f"400::Unsupported API version. Only API versions '{_FIRST_VERSION}' and above are supported. "
            raise Refusal(text + _FORMAT)
        if self._is_known:
            return
        self._status = self._streams.switches.refusal_status
        told = "401::Authentication invalid"
        if "authorization" not in self._request.headers:
            told = "401::Request requires authentication"
        if channel == "/meta/handshake":
            raise Refusal("403::Handshake denied", {"reconnect": "none"}, told)
        raise Refusal(told, {"reconnect": "none", "interval": 0})

    async def _act(self, channel: Any, message: Json, reply: Json) -> None:
        if channel == "/meta/handshake":
            self._shake_hands(message, reply)
            return
        client = self._streams.client(str(message.get("clientId")), self._request.cookies.get(_COOKIE))
        if channel == "/meta/connect":
            await self._connect(client, message, reply)
        elif channel == "/meta/subscribe":
            self._subscribe(client, message, reply)
        elif channel == "/meta/unsubscribe":
            reply["subscription"] = message.get("subscription")
            for name in _listed(message.get("subscription")):
                client.channels.pop(name, None)
        elif channel == "/meta/disconnect":
            self._streams.leave(client)
        else:
            raise Refusal("403::Publish denied")
        if self._streams.switches.piggybacks:
            self._events += self._streams.taken(client)

    def _shake_hands(self, message: Json, reply: Json) -> None:
        offered = message.get("supportedConnectionTypes")
        if not isinstance(offered, list) or "long-polling" not in offered:
            raise Refusal(f"400::Invalid connection type {offered}", {"reconnect": "none"})
        client = self._streams.enter()
        self._cookie = client.cookie
        reply |= {"clientId": client.client_id, "version": "1.0", "minimumVersion": "1.0"}
        reply |= {"supportedConnectionTypes": ["long-polling"], "ext": {"replay": True, "payload.format": True}}

    async def _connect(self, client: Subscriber, message: Json, reply: Json) -> None:
        if message.get("connectionType") != "long-polling":
            raise Refusal(f"400::Invalid connection type {message.get('connectionType')}")
        wish: Any = message.get("advice")
        wanted = cast("Json", wish).get("timeout") if isinstance(wish, dict) else None
        events, advice = await self._streams.connect(client, wanted)
        self._events += events
        if advice:
            reply["advice"] = advice

    def _subscribe(self, client: Subscriber, message: Json, reply: Json) -> None:
        reply["subscription"] = message.get("subscription")
        extensions: Any = message.get("ext")
        replay = cast("Json", extensions).get("replay") if isinstance(extensions, dict) else None
        for name in _listed(message.get("subscription")) or [""]:
            if replay is None:
                self._streams.subscribe(client, name, NEW)
                continue
            places = cast("Json", replay) if isinstance(replay, dict) else {}
            if places.get(name) is None:
                shown = ", ".join(f"{one}={'null' if at is None else at}" for one, at in places.items())
                raise Refusal(_REPLAY_MISSING % (name, f"{{{shown}}}"))
            self._streams.subscribe(client, name, places[name])


def _listed(subscription: Any) -> Sequence[str]:
    listed = cast("list[Any]", subscription) if isinstance(subscription, list) else [subscription]
    return [one for one in listed if isinstance(one, str)]
