"""Subscribed events as a feed: read from the last event known, which proves that the vendor's window still holds it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.errors.taxonomy import FieldFinding, InvalidRequest, NotFound, ScopeMissing, VendorRejected
from shared.outbound import pack_cursor, unpack_cursor
from system_apis.connectors.kantata.changes import hints_of_values, list_hints
from system_apis.connectors.kantata.client import WINDOW, Found, KantataWire
from system_apis.connectors.kantata.payloads import MILESTONE, Event, Part, our_ids
from system_apis.ports.changes import ChangedEntity, ChangeHint, FeedReading

KEPT = timedelta(days=9)
_OVERLAP = timedelta(minutes=2)
_MOST = 2_000
_TRIED_AGAIN_SECONDS = 3600.0
_FOLLOWED: dict[str, ChangedEntity] = {
    "time_entry:created": "time",
    "time_entry:updated": "time",
    "time_entry:deleted": "time",
    "timesheet:created": "time",
    "timesheet:time_entry_added": "time",
    "timesheet:updated": "time",
    "expense:created": "expense",
    "expense:updated": "expense",
    "expense:deleted": "expense",
    "expense_report:created": "expense",
    "expense_report:updated": "expense",
    "story:created": "milestone",
    "story:updated": "milestone",
    "story:status_selected": "milestone",
}


@dataclass(frozen=True, slots=True)
class _Position:
    """Read up to `at`, the event `anchor` being the newest there (None: there was none, or the poll was asked)."""

    at: datetime
    anchor: str | None = None

    def packed(self) -> str:
        return pack_cursor({"at": self.at.isoformat(), "anchor": self.anchor})

    @classmethod
    def of(cls, position: str) -> _Position:
        state = unpack_cursor(position)
        try:
            at, anchor = datetime.fromisoformat(state["at"]), state["anchor"]
        except (KeyError, TypeError, ValueError) as error:
            raise _strange() from error
        if at.tzinfo is None or not isinstance(anchor, str | None):
            raise _strange()
        return cls(at, anchor)


def _strange() -> InvalidRequest:
    finding = FieldFinding("position", "must be the position of an earlier reading")
    return InvalidRequest("The position is not one that this feed gave out.", findings=[finding])


class Events:
    """The account's subscribed events; where it has none (an add-on, for administrators only), the poll stands in."""

    def __init__(self, wire: KantataWire) -> None:
        self._wire = wire
        self._missing_since: float | None = None

    async def read(self, position: str | None) -> FeedReading:
        """Hints after the position, the last two minutes before it again: events may come late, and more than once."""
        known = _Position.of(position) if position else None
        start = known.at - _OVERLAP if known else None
        found = await self._asked(start)
        if found is None:
            return await self._polled(start)
        events = _distinct(found.all(Event))
        now = found.read_at or datetime.now(UTC)
        if known is None or found.count > _MOST:
            onward = await self._newest(now)
            return FeedReading(await list_hints(self._wire, start), onward)  # a flood is told by what it leaves behind
        if self._is_forgotten(known, events, now):
            onward = await self._newest(now)
            return FeedReading(await list_hints(self._wire, None), onward, was_reset=True)
        newest = max(events, key=_age, default=None)
        read_to = _Position(newest.created_at, newest.id) if newest else _Position(now)
        return FeedReading(await self._hints(events, start), read_to.packed())

    @staticmethod
    def _is_forgotten(known: _Position, events: Sequence[Event], now: datetime) -> bool:
        if known.anchor is None:
            return now - known.at > KEPT
        return known.anchor not in {event.id for event in events}

    async def _asked(self, start: datetime | None) -> Found | None:
        """Followed events from `start` on, all of them unless they are too many; None: the account has no events."""
        if self._missing_since is not None and time.monotonic() - self._missing_since < _TRIED_AGAIN_SECONDS:
            return None
        asked = {"event_types": ",".join(_FOLLOWED), "created_after": start, "order": "created_at:asc"}
        try:
            found = await self._wire.find("subscribed_events", **asked, per_page=1 if start is None else WINDOW)
        except (ScopeMissing, NotFound, VendorRejected):
            self._missing_since = time.monotonic()
            return None
        self._missing_since = None
        if start is not None and WINDOW < found.count <= _MOST:
            read_at = found.read_at
            found = await self._wire.find_all("subscribed_events", **asked)
            found.read_at = read_at
        return found

    async def _newest(self, now: datetime) -> str:
        found = await self._wire.find(
            "subscribed_events", event_types=",".join(_FOLLOWED), order="created_at:desc", per_page=WINDOW
        )
        newest = max(found.all(Event), key=_age, default=None)
        return (_Position(newest.created_at, newest.id) if newest else _Position(now)).packed()

    async def _polled(self, start: datetime | None) -> FeedReading:
        began = datetime.now(UTC)
        hints = await list_hints(self._wire, start)
        newest = max((hint.occurred_at for hint in hints if hint.occurred_at), default=began)
        return FeedReading(hints, _Position(min(newest, began)).packed())

    async def _hints(self, events: Sequence[Event], start: datetime | None) -> list[ChangeHint]:
        milestones = await self._milestones(events)
        hints = [
            ChangeHint(
                _FOLLOWED[event.event_type], event.subject_id, f"event:{event.id}", event.created_at.astimezone(UTC)
            )
            for event in sorted(events, key=_age)
            if event.event_type in _FOLLOWED
            and (not event.event_type.startswith("story:") or event.subject_id in milestones)
        ]
        return hints + list(await hints_of_values(self._wire, start))

    async def _milestones(self, events: Sequence[Event]) -> set[str]:
        """Those of the events' stories that are milestones of ours; tasks change all day long."""
        stories = {event.subject_id for event in events if event.event_type.startswith("story:")}
        found = await self._wire.find_only(
            "stories", sorted(stories, key=int), all_on_account=True, include="external_references"
        )
        return set(our_ids(found.all(Part), found.references(), MILESTONE).values())


def _age(event: Event) -> tuple[datetime, int]:
    return event.created_at, int(event.id)


def _distinct(events: Sequence[Event]) -> list[Event]:
    """Every event once: the vendor may tell one again."""
    return list({event.id: event for event in events}.values())
