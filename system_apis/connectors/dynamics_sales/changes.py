"""Which records changed: by stamp, in pages and whole, and by the environment's own change tracking."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.errors.taxonomy import InvalidRequest, NotFound, VendorRejected
from shared.outbound import drift, pack_cursor, unpack_cursor
from system_apis.connectors.dynamics_sales.client import Columns, DataverseClient, Json, Query, Tracked
from system_apis.connectors.dynamics_sales.payloads import Payload
from system_apis.dialects.marks import Mark
from system_apis.ports.changes import ChangedEntity, ChangeHint, FeedReading

_MOST_ROWS = 5000


@dataclass(frozen=True, slots=True)
class Table:
    """A set whose rows tell of records: by their own id, or by the id in a lookup."""

    set_name: str
    key: str
    about: str


@dataclass(frozen=True, slots=True)
class Family:
    """Records that count as changed when rows that belong to them change; `where` leaves out those not read.

    `touches`: a child's end shows as a change of the record itself.
    """

    entity: ChangedEntity
    own: Table
    child: Table | None = None
    where: str = ""
    touches: bool = True

    @property
    def tables(self) -> tuple[Table, ...]:
        """The record's own set, then its children's."""
        return (self.own, self.child) if self.child else (self.own,)


def instant(moment: datetime) -> str:
    """The instant as conditions write it, to the second as stamps are kept, rounded down."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class _Change:
    """A row's change, told of the record it belongs to."""

    at: datetime
    version: int
    ref: str


class Changes:
    """The changes of one environment."""

    def __init__(self, client: DataverseClient, families: Sequence[Family], overlap: timedelta) -> None:
        self._client = client
        self._families = families
        self._overlap = overlap

    async def candidates(self, family: Family, after: Mark | None, limit: int) -> tuple[list[Mark], Mark | None]:
        """Up to `limit` records after the mark, oldest change first, and how far the search saw (None: to the end).

        A candidate may have changed again later than the end of the search; the reader compares with the row itself.
        """
        found: list[Mark] = []
        ends: list[datetime] = []
        listed = await self._client.together([_ordered(table, after, limit) for table in family.tables])
        for table, rows in zip(family.tables, listed, strict=True):
            marks, end = await self._marks(table, rows, after, limit)
            found += marks
            ends += [end] if end else []
        whole_before = min(ends) if ends else None
        latest: dict[str, Mark] = {}
        for mark in sorted(mark for mark in found if whole_before is None or mark.at < whole_before):
            if mark.ref not in latest and len(latest) == limit:
                return sorted(latest.values()), max(latest.values())
            latest[mark.ref] = mark
        return sorted(latest.values()), None

    async def list_changes(self, since: datetime | None) -> Sequence[ChangeHint]:
        """One hint per record, at its latest change, oldest first."""
        where = f"modifiedon ge {instant(since - self._overlap)}" if since else ""
        tables = [(family, table) for family in self._families for table in family.tables]
        listed = await self._client.together([Query(table.set_name, _columns(table), where) for _, table in tables])
        changes: dict[ChangedEntity, list[_Change]] = {family.entity: [] for family in self._families}
        for (family, table), rows in zip(tables, listed, strict=True):
            changes[family.entity] += [change async for row in rows if (change := self._change(table, row))]
        hints = [hint for entity, made in changes.items() for hint in _hints(entity, made)]
        return sorted(hints, key=lambda hint: (hint.occurred_at or datetime.min.replace(tzinfo=UTC), hint.ref))

    async def read_feed(self, position: str | None) -> FeedReading:
        """Hints after the position; one the environment has forgotten is answered by a full scan."""
        links = _links(position) if position is not None else None
        if links is None:
            return await self._begun(was_reset=position is not None)
        told: dict[str, Tracked] = {}
        for table in self._tables():
            if table.set_name not in links:
                return await self._begun(was_reset=True)
            try:
                told[table.set_name] = await self._client.tracked_since(links[table.set_name])
            except (VendorRejected, NotFound):  # the token has expired, or was made for another environment
                return await self._begun(was_reset=True)
        hints: list[ChangeHint] = []
        for family in self._families:
            hints += _hints(family.entity, self._changes(family, told))
            hints += await self._of_gone(family, told)
        return FeedReading(hints, _position(told))

    async def _begun(self, *, was_reset: bool) -> FeedReading:
        told = {
            table.set_name: await self._client.track(table.set_name, _columns(table).own) for table in self._tables()
        }
        hints = [hint for family in self._families for hint in _hints(family.entity, self._changes(family, told))]
        return FeedReading(hints, _position(told), was_reset)

    def _tables(self) -> list[Table]:
        return [table for family in self._families for table in family.tables]

    def _changes(self, family: Family, told: dict[str, Tracked]) -> list[_Change]:
        rows = ((table, row) for table in family.tables for row in told[table.set_name].rows)
        return [change for table, row in rows if (change := self._change(table, row))]

    async def _of_gone(self, family: Family, told: dict[str, Tracked]) -> list[ChangeHint]:
        """Records that went; and where a child went that names no parent any more, every record it may have been of."""
        hints = [ChangeHint(family.entity, ref, f"{ref}@deleted") for ref in told[family.own.set_name].gone]
        if family.child is None or family.touches:
            return hints
        gone = told[family.child.set_name].gone
        if not gone:
            return hints
        async for row in self._client.rows(Query(family.own.set_name, _columns(family.own))):
            change = self._change(family.own, row)
            if change:
                hints.append(
                    ChangeHint(family.entity, change.ref, f"{change.ref}@{change.version}-{gone[-1]}", change.at)
                )
        return hints

    async def _marks(
        self, table: Table, rows: AsyncIterator[Json], after: Mark | None, limit: int
    ) -> tuple[list[Mark], datetime | None]:
        """Marks after the mark until `limit` records are seen and the second they end in is over; the end's instant.

        Stamps are whole seconds and ids have an order of the vendor's own, so only whole seconds are trusted.
        """
        marks: list[Mark] = []
        seen: set[str] = set()
        last: datetime | None = None
        async for row in rows:
            change = self._change(table, row)
            if change is None or (after and Mark(change.at, change.ref) <= after):
                continue
            if last is not None and change.at > last:
                return marks, change.at
            marks.append(Mark(change.at, change.ref))
            seen.add(change.ref)
            if last is None and len(seen) > limit:
                last = change.at
        return marks, None

    def _change(self, table: Table, row: Json) -> _Change | None:
        """The row's change; None for a row that belongs to no record."""
        payload = drift(self._client.system, Payload, row)
        ref = row.get(table.about)
        return _Change(payload.modified_on, payload.version, ref) if isinstance(ref, str) else None


def _columns(table: Table) -> Columns:
    return Columns(tuple(dict.fromkeys((table.key, table.about, "modifiedon", "versionnumber"))), {})


def _ordered(table: Table, after: Mark | None, limit: int) -> Query:
    where = f"modifiedon ge {instant(after.at)}" if after else ""
    return Query(
        table.set_name, _columns(table), where, f"modifiedon asc,{table.key} asc", min(_MOST_ROWS, 2 * limit + 1)
    )


def _hints(entity: ChangedEntity, changes: Sequence[_Change]) -> list[ChangeHint]:
    """One hint per record at the highest row version; versions are unique in an environment, stamps are not."""
    latest: dict[str, _Change] = {}
    for change in changes:
        known = latest.get(change.ref)
        if known is None or change.version > known.version:
            latest[change.ref] = change
    ordered = sorted(latest.values(), key=lambda change: change.version)
    return [ChangeHint(entity, one.ref, f"{one.ref}@{one.version}", one.at) for one in ordered]


def _position(told: dict[str, Tracked]) -> str:
    return pack_cursor({name: one.link for name, one in told.items()})


def _links(position: str) -> dict[str, str] | None:
    """The links of a position of ours; None for anything else, which is read as forgotten."""
    try:
        return {name: str(link) for name, link in unpack_cursor(position).items()}
    except InvalidRequest:
        return None
