"""Time read as it is booked: a timecard of a week with its splits, told as the hours of its days, a page at a time."""

from __future__ import annotations

from datetime import datetime

from shared.canonical.references import Page
from shared.canonical.time import TimeEntry
from shared.outbound import foreign_cursor, pack_cursor, unpack_cursor
from system_apis.connectors.certinia import mapping
from system_apis.connectors.certinia.billing import Billing
from system_apis.connectors.certinia.payloads import HEADER, SPLIT, TimecardPayload
from system_apis.dialects.marks import Mark, start
from system_apis.dialects.salesforce.marks import Family
from system_apis.dialects.salesforce.soql import columns, soql_instant
from system_apis.dialects.salesforce.wire import SalesforceWire
from system_apis.fields import FieldMap
from system_apis.ports.binding import Binding
from system_apis.ports.outcomes import canonical_record

_OURS = "pse__Project__r.Throughline_Id__c"
_DAYS_A_WEEK = 3  # how many entries a timecard has by experience; more only make the page end earlier


class Timecards:
    """Timecards of our projects."""

    def __init__(self, binding: Binding, wire: SalesforceWire, fields: FieldMap, billing: Billing) -> None:
        self._binding = binding
        self._wire = wire
        self._billing = billing
        self._head = f"SELECT {columns(TimecardPayload, fields)} FROM {HEADER}"
        ours = f"{fields['time_entry'].column(_OURS)} != null"
        key = "pse__Timecard_Header__c"
        self.family = Family(HEADER, ours, SPLIT, key, f"pse__Timecard_Header__r.{ours}")

    async def page(self, since: datetime | None, cursor: str | None, limit: int) -> Page[TimeEntry]:
        """Up to `limit` entries: whole timecards in the order of their change, and a part of one where it must be."""
        after, part = start(since, cursor), _part(cursor)
        while True:
            marks, horizon = await self._wire.changed(self.family, after, max(1, limit // _DAYS_A_WEEK))
            items: list[TimeEntry] = []
            for place, entries in await self._told([mark.ref for mark in marks], horizon, since):
                done = part[1] if part[0] == place.packed() else 0
                if len(items) + len(entries) - done <= limit:
                    items += entries[done:]
                    after = place
                    continue
                if items:
                    return Page(items=tuple(items), next_cursor=_packed(after))
                cut = done + limit
                return Page(items=entries[done:cut], next_cursor=_packed(after, place, cut))
            if horizon is None:
                return Page(items=tuple(items))
            after = horizon
            if items:
                return Page(items=tuple(items), next_cursor=_packed(after))

    async def _told(
        self, refs: list[str], horizon: Mark | None, since: datetime | None
    ) -> list[tuple[Mark, tuple[TimeEntry, ...]]]:
        """The timecards with their entries, in order; one that changed after the end of the search is for later."""
        cards = await self._wire.rows_by_id(self._head, refs, TimecardPayload, self.family.where)
        placed = sorted(
            ((Mark(mapping.timecard_stamp(card), card.id), card) for card in cards), key=lambda pair: pair[0]
        )
        told = [(mark, card) for mark, card in placed if horizon is None or mark <= horizon]
        billed = await self._billing.billed_days([card for _, card in told])

        def entries(card: TimecardPayload) -> tuple[TimeEntry, ...]:
            emptied = since is not None and card.created_at < since
            with canonical_record(self._binding.system, f"record {card.id}"):
                return mapping.to_time_entries(card, self._binding, billed, with_emptied=emptied)

        return [(mark, entries(card)) for mark, card in told]


def _packed(after: Mark | None, place: Mark | None = None, done: int = 0) -> str:
    """Read on behind `after`; of the timecard at `place` so many entries are told, unless it has changed since."""
    begun = {"at": soql_instant(after.at), "ref": after.ref} if after else {"at": "1970-01-01T00:00:00Z", "ref": ""}
    return pack_cursor({**begun, "place": place.packed() if place else "", "done": done})


def _part(cursor: str | None) -> tuple[str, int]:
    """The timecard that was told in part, and how many entries of it. Raises InvalidRequest."""
    if cursor is None:
        return "", 0
    state = unpack_cursor(cursor)
    place, done = state.get("place"), state.get("done")
    if not isinstance(place, str) or type(done) is not int or done < 0:
        raise foreign_cursor()
    return place, done
