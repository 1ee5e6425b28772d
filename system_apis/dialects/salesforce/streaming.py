"""The platform's event streams: Bayeux over HTTP long-polling, in short visits that begin at a place in the stream."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any, Final, cast

from shared.errors.taxonomy import (
    CredentialsRefused,
    DeadlineExceeded,
    NotFound,
    OutcomeUnknown,
    PlatformError,
    ScopeMissing,
    VendorDrift,
    VendorRejected,
    VendorUnavailable,
)
from shared.outbound import Outbound

Json = dict[str, Any]
ReplayId = int | str  # opaque; today's are numbers
NEW: Final = -1
RETAINED: Final = -2
_GRACE_SECONDS: Final = 1.0
_GOODBYE_SECONDS: Final = 5.0
_LONGEST_SECONDS: Final = 30.0
_EXPIRES = re.compile(r"expires=[^;]*", re.IGNORECASE)  # a date has a comma
_COOKIE = re.compile(r"(?:^|,\s*)([^=;,\s]+)=([^;,]*)(?=;|,|$)")
_REFUSED = (ScopeMissing, NotFound, VendorRejected, CredentialsRefused, VendorDrift)


class PlaceForgotten(Exception):
    """The stream does not go back to the place any more."""


class StreamRefused(Exception):
    """The org lets us in, but not into its streams: switched off, no permission, no such channel, limit reached."""


class StreamLost(Exception):
    """The visit ended before its time, or an answer got lost and events with it: begin again at the last place."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event as it came: by which channel, its place there, and what it says."""

    channel: str
    replay: ReplayId
    payload: Json


class Visit:
    """A session with the streams of an org, from `enter` to `leave`; `events` are in the order in which they came.

    `org_time` is what its last answer says.
    """

    def __init__(self, outbound: Outbound, version: str, *, wait: float) -> None:
        """`wait`: seconds after which a stream that is silent has nothing to tell."""
        self._outbound = outbound
        self._address = f"/cometd/{version}"
        self._wait = wait
        self._ids = count(1)
        self._client_id: str | None = None
        self._cookies: dict[str, str] = {}
        self._channels: list[str] = []
        self.events: list[StreamEvent] = []
        self.org_time: datetime | None = None

    async def enter(self) -> None:
        """Shake hands. Raises StreamRefused, VendorUnavailable."""
        wanted = {"version": "1.0", "minimumVersion": "1.0", "supportedConnectionTypes": ["long-polling"]}
        reply = await self._ask("handshake", {**wanted, "ext": {"replay": True}}, may_repeat=True)
        client_id = reply.get("clientId")
        if not isinstance(client_id, str):
            raise StreamRefused("it gave no clientId")
        self._client_id = client_id

    async def subscribe(self, channel: str, replay: ReplayId) -> None:
        """Have the events of a channel behind a place, or NEW or RETAINED ones. Raises PlaceForgotten too."""
        self._channels.append(channel)
        await self._ask("subscribe", {"subscription": channel, "ext": {"replay": {channel: replay}}})

    async def collect(self, most: int) -> bool:
        """Wait for events until there are none, or `most` have come; whether the streams were read to their end.

        What came before a StreamLost is in `events`.
        """
        until = time.monotonic() + _LONGEST_SECONDS
        await self._connect(None)  # answered at once; retained events may not be there yet
        while len(self.events) < most and time.monotonic() < until:
            before = len(self.events)
            await self._connect(self._wait)
            if len(self.events) == before:
                return True
        return False

    async def leave(self) -> None:
        """Say goodbye; whoever does not is forgotten by the org a little later."""
        if self._client_id is None:
            return
        with contextlib.suppress(PlatformError, StreamLost, StreamRefused, PlaceForgotten, TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self._ask("disconnect", {})
        self._client_id = None

    async def _connect(self, wait: float | None) -> None:
        """The next events; an org that holds the answer longer than asked is left waiting."""
        asked: Json = {"connectionType": "long-polling"}
        if wait is None:
            await self._ask("connect", asked)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait + _GRACE_SECONDS):
                await self._ask("connect", {**asked, "advice": {"timeout": round(wait * 1000)}})

    async def _ask(self, kind: str, fields: Json, *, may_repeat: bool = False) -> Json:
        """Send a message and take what comes; its reply.

        Only a handshake is repeated: events come once, and a repeat would pass over those of the lost answer.
        """
        message: Json = {"channel": f"/meta/{kind}", "id": str(next(self._ids)), **fields}
        if self._client_id is not None:
            message["clientId"] = self._client_id
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {"Cookie": cookies} if cookies else None
        ask = self._outbound.read if may_repeat else self._outbound.write
        try:
            answer = await ask("POST", f"{self._address}/{kind}", json=[message], headers=headers)
            document: Any = answer.json()
        except DeadlineExceeded:
            raise  # our caller's patience, not the stream's end
        except _REFUSED as error:
            raise StreamRefused(error.message) from error
        except OutcomeUnknown as error:
            raise StreamLost(error.message) from error
        self._cookies.update(cookies_of(answer.headers))
        with contextlib.suppress(ValueError):
            self.org_time = parsedate_to_datetime(answer.headers.get("date", "")).astimezone(UTC)
        reply = self._taken(kind, document)
        if reply.get("successful") is not True:
            raise self._failure(reply)
        return reply

    def _taken(self, kind: str, document: Any) -> Json:
        """The reply among the messages; events are kept."""
        listed = cast("list[Any]", document) if isinstance(document, list) else []
        messages = [cast("Json", one) for one in listed if isinstance(one, dict)]
        self.events += self._events(one for one in messages if not str(one.get("channel")).startswith("/meta/"))
        reply = next((one for one in messages if one.get("channel") == f"/meta/{kind}"), None)
        if reply is None:
            raise StreamRefused(f"it gave no answer to {kind}")
        return reply

    def _events(self, messages: Iterable[Json]) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for message in messages:
            channel = str(message.get("channel"))
            if channel not in self._channels and len(self._channels) == 1:
                channel = self._channels[0]
            data: Any = message.get("data")
            try:
                replay, payload = data["event"]["replayId"], data["payload"]
            except (LookupError, TypeError) as error:
                raise StreamRefused("it told an event without replayId or payload") from error
            events.append(StreamEvent(channel, replay, payload))
        return events

    def _failure(self, reply: Json) -> Exception:
        told = str(reply.get("error") or "no reason given")
        code = told.partition("::")[0]
        if told.startswith("400::The replayId {"):
            return PlaceForgotten(told)
        if code in {"401", "402"} or told.lower().startswith("403::unknown client"):
            return StreamLost(told)
        if code.startswith("5"):
            return VendorUnavailable(f"{self._outbound.system} streams: {told[:200]}")
        reason: Any = reply.get("ext")
        return StreamRefused(f"{told} {reason}"[:300] if reason else told[:300])


def cookies_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The cookies that an answer sets, whose Set-Cookie lines come as one; attributes are not ours to keep."""
    return dict(_COOKIE.findall(_EXPIRES.sub("", headers.get("set-cookie", ""))))
