"""Change data capture as a feed: read on from the last event known, scanned whole when the org has forgotten it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from pydantic import ValidationError

from shared.errors.taxonomy import InvalidRequest, VendorUnavailable
from shared.outbound import pack_cursor, unpack_cursor
from shared.telemetry import get_logger
from system_apis.dialects.salesforce.capture import ChangeEvent, Followed, hints_of
from system_apis.dialects.salesforce.streaming import (
    NEW,
    RETAINED,
    PlaceForgotten,
    ReplayId,
    StreamEvent,
    StreamLost,
    StreamRefused,
    Visit,
)
from system_apis.dialects.salesforce.wire import SalesforceWire
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint, FeedReading

_log = get_logger("system.feed")
KEPT: Final = timedelta(hours=71)  # the org keeps events for 72 hours
_OFF: Final = "none"
_EVERYTHING: Final = "/data/ChangeEvents"
_MOST_EVENTS: Final = 2_000
_VISITS: Final = 3
_REFUSED_SECONDS: Final = 3600.0
_SILENT_SECONDS: Final = 600.0
_MOMENTS: Final = ("at", "swept", "scanned")
Poll = Callable[["datetime | None", "frozenset[str] | None"], Awaitable[Sequence[ChangeHint]]]


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """How a tenant's org is followed: channels, how long a silent stream is waited for, how often a poll sweeps."""

    channels: tuple[str, ...]
    wait: float
    sweep: timedelta
    overlap: timedelta

    @classmethod
    def of(cls, binding: Binding, overlap: timedelta) -> FeedSettings:
        """Of the settings feed_channels, feed_wait_seconds, feed_sweep_seconds. Raises Misconfigured."""
        wait, sweep = binding.number("feed_wait_seconds", 2), binding.number("feed_sweep_seconds", 3600)
        return cls(_channels(binding), wait, timedelta(seconds=sweep), overlap)


def follows(binding: Binding) -> bool:
    """Whether the tenant has its org's change events followed; otherwise changes are polled."""
    return _channels(binding) != (_OFF,)


def _channels(binding: Binding) -> tuple[str, ...]:
    named = (binding.settings.get("feed_channels") or _EVERYTHING).split(",")
    return tuple(name.strip() for name in named if name.strip())


@dataclass(frozen=True, slots=True)
class Position:
    """Read up to `at`; a poll looked up to `swept`, a full scan up to `scanned`.

    `replays` are the last events of those of `channels` that have told any, `heard` the followed objects they told of.
    """

    at: datetime
    swept: datetime
    scanned: datetime
    channels: tuple[str, ...]
    replays: Mapping[str, ReplayId]
    heard: frozenset[str]

    def packed(self) -> str:
        """As an opaque position."""
        moments = {name: getattr(self, name).isoformat() for name in _MOMENTS}
        places = {"channels": self.channels, "replays": dict(self.replays), "heard": sorted(self.heard)}
        return pack_cursor({**moments, **places})

    @classmethod
    def of(cls, position: str) -> Position | None:
        """None for anything that is no position of ours, which is read as forgotten."""
        try:
            state = unpack_cursor(position)
            at, swept, scanned = (datetime.fromisoformat(state[name]) for name in _MOMENTS)
            channels, heard = tuple(map(str, state["channels"])), frozenset(map(str, state["heard"]))
            replays = cast("dict[str, Any]", dict(state["replays"]))
        except (InvalidRequest, LookupError, TypeError, ValueError):
            return None
        if any(one.tzinfo is None for one in (at, swept, scanned)):
            return None
        return cls(at, swept, scanned, channels, replays, heard)


@dataclass(frozen=True, slots=True)
class _Heard:
    """Changes that the streams told, the last places of channels, and whether there was no more to be had."""

    changes: tuple[ChangeEvent, ...] = ()
    replays: Mapping[str, ReplayId] = field(default_factory=dict[str, ReplayId])
    is_whole: bool = True

    def joined(self, events: Sequence[StreamEvent]) -> _Heard:
        """With what came after it. Raises StreamRefused for an event that is none of change data capture."""
        try:
            changes = tuple(ChangeEvent.model_validate(event.payload) for event in events)
        except ValidationError as error:
            places = ", ".join(".".join(map(str, one["loc"])) for one in error.errors(include_url=False))
            raise StreamRefused(f"an event cannot be read: {places}") from error
        replays = {**self.replays, **{event.channel: event.replay for event in events}}
        return _Heard(self.changes + changes, replays, self.is_whole)


class Feed:
    """ChangeFeed of one org; where the org's streams are closed to us, or tell nothing, the poll stands in.

    Streams leave out in silence what nobody selected for capture and what the user may not see. So an object is polled
    until the streams have told of it, and a poll of all sweeps now and then ever after.
    """

    def __init__(
        self,
        wire: SalesforceWire,
        settings: FeedSettings,
        followed: Sequence[Followed],
        poll: Poll,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`poll(since, objects)` tells changes since the instant (None: all records) of objects (None: all of them)."""
        self._wire = wire
        self._settings = settings
        self._followed = {one.sobject: one for one in followed}
        self._poll = poll
        self._clock = clock
        self._org_ahead = timedelta(0)  # of our clock
        self._refused_until = 0.0
        self._silent_until = 0.0

    async def read(self, position: str | None) -> FeedReading:
        """Hints behind the position, some 2,000 events at once at most; a full scan to begin with."""
        began = self._clock()
        known = Position.of(position) if position is not None else None
        if known is None or known.channels != self._settings.channels or self._in_org(began) - known.at > KEPT:
            return await self._begun(began, was_reset=position is not None)
        if time.monotonic() < (self._refused_until if known.heard else max(self._refused_until, self._silent_until)):
            return await self._polled(known, began)
        try:
            heard = await self._heard(known.replays)
        except PlaceForgotten:
            return await self._begun(began, was_reset=True)
        except StreamRefused as refused:
            self._note(refused)
            return await self._polled(known, began)
        told = replace(known, replays=heard.replays, heard=known.heard | self._objects(heard))
        if not told.heard:
            self._silent_until = time.monotonic() + _SILENT_SECONDS
            return await self._polled(told, began)
        return await self._told(known, heard, told, self._in_org(began))

    async def _told(self, known: Position, heard: _Heard, told: Position, now: datetime) -> FeedReading:
        """Hints of what was heard; what a full scan has seen already is left out."""
        seen = known.scanned - self._settings.overlap
        changes = [one for one in heard.changes if one.header.committed_at >= seen]
        hints = await self._hints(changes)
        told = replace(told, at=now if heard.is_whole else known.at)
        if any(one.header.entity in self._followed and not one.header.names_records for one in changes):
            hints += await self._poll(None, None)  # nobody says which records changed
            told = replace(told, swept=now, scanned=now)
        elif now - known.swept >= self._settings.sweep:
            hints += await self._poll(known.swept, None)
            told = replace(told, swept=now)
        elif unheard := self._followed.keys() - known.heard:
            hints += await self._poll(known.at, frozenset(unheard))
        return FeedReading(_once(hints), told.packed())

    def _objects(self, heard: _Heard) -> set[str]:
        return {one.header.entity for one in heard.changes} & self._followed.keys()

    async def _polled(self, known: Position, began: datetime) -> FeedReading:
        hints, now = await self._poll(known.swept, None), self._in_org(began)
        return FeedReading(hints, replace(known, at=now, swept=now).packed())

    async def _begun(self, began: datetime, *, was_reset: bool) -> FeedReading:
        """A full scan; the streams are listened to before it, so that nothing passes between."""
        visit = self._visit()
        try:
            is_listening = await self._listens(visit)
            hints = list(await self._poll(None, None))
            heard = await self._overheard(visit) if is_listening else _Heard()
        finally:
            await visit.leave()
        hints += await self._hints(heard.changes)
        now, told_of = self._in_org(began), frozenset(self._objects(heard))
        position = Position(now, now, now, self._settings.channels, heard.replays, told_of)
        return FeedReading(_once(hints), position.packed(), was_reset=was_reset)

    def _in_org(self, moment: datetime) -> datetime:
        """What the org's clock showed when ours showed that: commits and stamps are its own."""
        return moment + self._org_ahead

    async def _listens(self, visit: Visit) -> bool:
        """Have what is new from now on; whether the streams let us."""
        try:
            await self._enter(visit, {}, NEW)
        except StreamRefused as refused:
            self._note(refused)
            return False
        except (StreamLost, VendorUnavailable):
            return False
        return True

    async def _overheard(self, visit: Visit) -> _Heard:
        """What came during a scan; what did not is retained."""
        try:
            await visit.collect(_MOST_EVENTS)
            return _Heard().joined(visit.events)
        except StreamRefused as refused:
            self._note(refused)
        except (StreamLost, VendorUnavailable):
            pass
        return _Heard()

    async def _heard(self, replays: Mapping[str, ReplayId]) -> _Heard:
        """Events behind these places, and all that are retained of channels that have told none.

        Raises PlaceForgotten, StreamRefused, and VendorUnavailable when visit after visit breaks off.
        """
        heard = _Heard(replays=replays)
        for _ in range(_VISITS):
            visit = self._visit()
            try:
                await self._enter(visit, heard.replays, RETAINED)
                is_whole = await visit.collect(_MOST_EVENTS - len(heard.changes))
            except StreamLost as lost:
                _log.info("stream_lost", system=self._wire.system, told=str(lost)[:200])
                heard = heard.joined(visit.events)
            else:
                return replace(heard.joined(visit.events), is_whole=is_whole)
            finally:
                await visit.leave()
        raise VendorUnavailable(f"{self._wire.system} breaks off its event streams again and again.")

    async def _enter(self, visit: Visit, replays: Mapping[str, ReplayId], otherwise: ReplayId) -> None:
        await visit.enter()
        if visit.org_time is not None:
            self._org_ahead = visit.org_time - self._clock()
        for channel in self._settings.channels:
            await visit.subscribe(channel, replays.get(channel, otherwise))

    def _visit(self) -> Visit:
        return Visit(self._wire.outbound, self._wire.version, wait=self._settings.wait)

    async def _hints(self, changes: Sequence[ChangeEvent]) -> list[ChangeHint]:
        return await hints_of(self._wire, self._followed, changes, self._wire.client_name)

    def _note(self, refused: StreamRefused) -> None:
        """The poll stands in for a while."""
        _log.warning("streams_refused", system=self._wire.system, told=str(refused)[:300])
        self._refused_until = time.monotonic() + _REFUSED_SECONDS


def _once(hints: Sequence[ChangeHint]) -> list[ChangeHint]:
    return list({(hint.entity, hint.key): hint for hint in hints}.values())
