"""Subscribers of the event bus: sessions that come and go, what they subscribed to, what waits to be fetched."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter, deque
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any

from deploy.sandbox.kit.switches import UnknownSwitch, flag, taken
from deploy.sandbox.salesforce.bus import EventBus, Published
from deploy.sandbox.salesforce.changes import event_name
from deploy.sandbox.salesforce.schema import Schema

NEW, ALL = -1, -2
_EVERYTHING = "/data/ChangeEvents"
_RETRY: dict[str, Any] = {"reconnect": "retry", "interval": 0}
_HANDSHAKE: dict[str, Any] = {"reconnect": "handshake", "interval": 0}
_NONE: dict[str, Any] = {"reconnect": "none", "interval": 0}
Waiting = tuple[str, Published]  # an event and the channel it comes by


class Refusal(Exception):
    """A message that is not successful: its `error`, what the client is advised, and why a handshake was denied."""

    def __init__(self, error: str, advice: dict[str, Any] | None = None, reason: str | None = None) -> None:
        """`error` is `code::text`."""
        super().__init__(error)
        self.error = error
        self.advice = advice
        self.reason = reason


@dataclass(slots=True)
class StreamSwitches:
    """How streaming behaves where documents leave it open, and its limits."""

    streaming: bool = True  # off: the org's security settings block the address
    streaming_counts: bool = False  # calls count as API requests
    arrays_only: bool = True  # a message that is not in an array is refused
    unknown_client_code: int = 403  # of a client that is not there any more; CometD itself says 402
    refusal_status: int = 200  # HTTP status of an answer to a caller without a session
    honours_advice: bool = True  # a connect may say how long it wants to wait
    forgives_old_replay: bool = False  # an id that is not retained means all that is, instead of a refusal
    piggybacks: bool = False  # events come with any answer, not with a connect's only
    replay_lag: float = 0.02  # seconds until retained events are there for a new subscription
    long_poll_seconds: float = 110.0
    client_seconds: float = 40.0
    events_per_answer: int = 100
    events_allowed: int = 25_000  # delivered in a day
    clients_allowed: int = 1_000


@dataclass(slots=True)
class Subscription:
    """What a channel brings (None: every object), and whether retained events have been taken already."""

    members: frozenset[str] | None
    is_live: bool = False

    def brings(self, event: Published) -> bool:
        """Whether the event comes by this channel."""
        return self.members is None or event.sobject in self.members


@dataclass(slots=True)
class Subscriber:
    """A client between handshake and disconnect."""

    client_id: str
    cookie: str
    seen_at: float
    channels: dict[str, Subscription] = field(default_factory=dict[str, Subscription])
    queue: deque[Waiting] = field(default_factory=deque[Waiting])
    news: asyncio.Event = field(default_factory=asyncio.Event)
    was_connected: bool = False
    connects: int = 0  # a new one ends the one that still waits
    is_waiting: bool = False

    def put(self, channel: str, event: Published) -> None:
        """Have an event wait for the next connect."""
        self.queue.append((channel, event))
        self.news.set()

    def take(self, most: int) -> list[Waiting]:
        """What waits, up to a number."""
        taken = [self.queue.popleft() for _ in range(min(most, len(self.queue)))]
        if not self.queue:
            self.news.clear()
        return taken


class Streams:
    """The clients of one org."""

    def __init__(self, bus: EventBus, schema: Schema) -> None:
        """Nobody listens yet."""
        self.switches = StreamSwitches()
        self._custom: dict[str, frozenset[str]] = {}
        self._bus = bus
        self._named = {f"/data/{event_name(one.name)}": one.name for one in schema.values() if not one.is_setup}
        self._clients: dict[str, Subscriber] = {}
        self._delivered: Counter[date] = Counter()
        bus.listen(self._hear)

    def switch(self, name: str, value: Any) -> None:
        """Change behaviour. Raises UnknownSwitch, or what `Simulator` says for a value that is not taken."""
        kinds: dict[str, type[Any]] = {
            one.name: type(getattr(self.switches, one.name)) for one in fields(self.switches)
        }
        if name == "channels":
            self._custom = {f"/data/{channel}": frozenset(map(str, names)) for channel, names in dict(value).items()}
        elif name == "drop_clients":
            for client in list(self._clients.values()) if flag(name, value) else ():
                self.leave(client)
        elif name in kinds:
            setattr(self.switches, name, taken(name, value, kinds[name]))
        else:
            raise UnknownSwitch(name)

    def enter(self) -> Subscriber:
        """A new client. Raises Refusal."""
        for client_id in [one.client_id for one in self._clients.values() if self._is_gone(one)]:
            del self._clients[client_id]
        if len(self._clients) >= self.switches.clients_allowed:
            raise Refusal("403::Handshake denied", _NONE, "403::Organization concurrent user limit exceeded")
        client_id = secrets.token_hex(14)
        self._clients[client_id] = made = Subscriber(client_id, secrets.token_hex(14), time.monotonic())
        return made

    def client(self, client_id: str, cookie: str | None) -> Subscriber:
        """The client of that id. Raises Refusal."""
        found = self._clients.get(client_id)
        if found is None or self._is_gone(found):
            self._clients.pop(client_id, None)
            raise Refusal(f"{self.switches.unknown_client_code}::Unknown client", _HANDSHAKE)
        if cookie != found.cookie:
            text = f"400::Client {client_id} has established a session, but no BAYEUX_BROWSER cookie present"
            raise Refusal(text, _NONE)
        found.seen_at = time.monotonic()
        return found

    def leave(self, client: Subscriber) -> None:
        """The client says goodbye; a connect of it that still waits is answered."""
        self._clients.pop(client.client_id, None)
        client.connects += 1
        client.news.set()

    def subscribe(self, client: Subscriber, channel: str, replay: Any) -> None:
        """Events of a channel, from a place on. Raises Refusal."""
        made = Subscription(self._members(channel))
        place = self._place(replay)
        client.channels[channel] = made
        if place is None:
            made.is_live = True
        elif self.switches.replay_lag > 0:
            loop = asyncio.get_running_loop()
            loop.call_later(self.switches.replay_lag, self._replay, client, channel, made, place)
        else:
            self._replay(client, channel, made, place)

    async def connect(self, client: Subscriber, wanted: Any) -> tuple[list[Waiting], dict[str, Any] | None]:
        """What waits for the client, at once or when it comes, and what it is advised. Raises Refusal."""
        if self._delivered[self._bus.today()] >= self.switches.events_allowed:
            raise Refusal("403::Organization total events daily limit exceeded", _NONE)
        client.connects += 1
        turn = client.connects
        client.news.set()
        if not client.queue:
            client.news.clear()
        if not client.was_connected:  # the first is answered at once
            client.was_connected = True
            return self.taken(client), {**_RETRY, "timeout": round(self.switches.long_poll_seconds * 1000)}
        patience = self.switches.long_poll_seconds
        if self.switches.honours_advice and isinstance(wanted, int):
            patience = min(patience, wanted / 1000)
        client.is_waiting = True
        try:
            async with asyncio.timeout(patience):
                await client.news.wait()
        except TimeoutError:
            return [], None
        finally:
            client.is_waiting = turn != client.connects
            client.seen_at = time.monotonic()
        return (self.taken(client) if turn == client.connects else []), None

    def taken(self, client: Subscriber) -> list[Waiting]:
        """What waits, up to what an answer holds; counted as delivered."""
        events = client.take(self.switches.events_per_answer)
        self._delivered[self._bus.today()] += len(events)
        return events

    def _is_gone(self, client: Subscriber) -> bool:
        return not client.is_waiting and time.monotonic() - client.seen_at > self.switches.client_seconds

    def _members(self, channel: str) -> frozenset[str] | None:
        if not channel:
            raise Refusal("400::Channel name not specified")
        if not channel.startswith("/"):
            raise Refusal("400::Channel subscriptions must start with a leading '/'")
        if channel == _EVERYTHING:
            return None
        if channel in self._custom:
            return self._custom[channel]
        if channel not in self._named:
            raise Refusal(f"400::The channel you requested to subscribe to does not exist {{{channel}}}")
        return frozenset({self._named[channel]})

    def _place(self, replay: Any) -> int | None:
        """The id behind which events are wanted; None: new ones only. Raises Refusal."""
        if replay in {NEW, str(NEW)}:
            return None
        if replay in {ALL, str(ALL)}:
            return 0
        if str(replay).isdigit() and self._bus.knows(int(replay)):
            return int(replay)
        if self.switches.forgives_old_replay and str(replay).isdigit():
            return 0
        text = f"400::The replayId {{{replay}}} you provided was invalid.  Please provide a valid ID, "
        raise Refusal(text + "-2 to replay all events, or -1 to replay only new events.")

    def _replay(self, client: Subscriber, channel: str, subscription: Subscription, place: int) -> None:
        subscription.is_live = True
        if client.channels.get(channel) is subscription:
            for event in self._bus.after(place):
                if subscription.brings(event):
                    client.put(channel, event)

    def _hear(self, event: Published) -> None:
        for client in self._clients.values():
            for channel, subscription in client.channels.items():
                if subscription.is_live and subscription.brings(event):
                    client.put(channel, event)
