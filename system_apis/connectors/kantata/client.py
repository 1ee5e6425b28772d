"""Kantata's wire: envelope, side-loaded maps, offset windows and change feeds; no canonical word enters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from shared.errors.taxonomy import FieldFinding, OutcomeUnknown, VendorDrift
from shared.outbound import Answer, Outbound, drift, foreign_cursor, pack_cursor, unpack_cursor
from system_apis.connectors.kantata.payloads import SERVICE, Changed, Envelope, Reference
from system_apis.connectors.kantata.quiet import Quiet
from system_apis.manifest import Budget
from system_apis.ports.binding import Binding

Model = TypeVar("Model")
WINDOW = 200
_SECOND = timedelta(seconds=1)
_CLOCKS_APART = timedelta(minutes=5)
_ATTEMPTS = 5
Objects = dict[str, dict[str, Any]]


def error_of(body: Any) -> tuple[str | None, str | None]:
    """Kantata has no code per error: type and messages are all there is."""
    errors = body["errors"]
    told = "; ".join(
        f"{error['field']}: {error['message']}" if error.get("field") else str(error["message"]) for error in errors
    )
    return errors[0].get("type"), told


class Side(dict[str, Model]):
    """A map that came beside the rows; an id the vendor names without bringing it is drift."""

    def __init__(self, vendor: str, key: str, objects: Mapping[str, Model]) -> None:
        super().__init__(objects)
        self._vendor = vendor
        self._key = key

    def __missing__(self, number: str) -> Model:
        """Raises VendorDrift naming the map."""
        finding = FieldFinding(f"{self._key}.{number}", "is named by a row but did not come with it")
        raise VendorDrift(f"{self._vendor} named {self._key} {number} without bringing it.", findings=[finding])


@dataclass(slots=True)
class Found:
    """Rows of a list in the vendor's order, the maps that came beside them, how many there are in all, and when."""

    vendor: str
    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    beside: dict[str, Objects] = field(default_factory=dict[str, Objects])
    count: int = 0
    read_at: datetime | None = None

    def take(self, other: Found) -> None:
        """Add another answer's rows and maps."""
        self.rows += other.rows
        for key, objects in other.beside.items():
            self.beside.setdefault(key, {}).update(objects)

    def all(self, model: type[Model]) -> list[Model]:
        """The rows, read."""
        return self.read(self.rows, model)

    def read(self, rows: list[dict[str, Any]], model: type[Model]) -> list[Model]:
        """These rows, read. Raises VendorDrift."""
        return drift(self.vendor, list[model], rows)

    def side(self, key: str, model: type[Model]) -> Side[Model]:
        """A map that came beside the rows, read."""
        objects = {number: one for number, one in self.beside.get(key, {}).items() if number.isdigit()}
        return Side(self.vendor, key, drift(self.vendor, dict[str, model], objects))

    def references(self) -> Side[Reference]:
        """The external references that came beside the rows."""
        return self.side("external_references", Reference)


@dataclass(frozen=True, slots=True)
class Touched:
    """A row that something beside it changed at `at`; `own` is when the row itself last changed, where known."""

    id: str
    at: datetime
    own: datetime | None = None


Watch = Callable[[datetime, datetime | None], Awaitable[Sequence[Touched]]]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a feed is read on.

    `asked` is the caller's instant, `since` where the present window of the list begins, `skip` rows of it are read and
    the last of them was `anchor` (changed at `reached`). Approvals up to `low` are told. The pass `began` then.
    What its pages told so far is known by the name `told`. The window held `count` rows when it was last read.
    """

    began: datetime
    asked: datetime | None = None
    since: datetime | None = None
    low: datetime | None = None
    skip: int = 0
    anchor: str | None = None
    reached: datetime | None = None
    told: str | None = None
    count: int = 0

    def packed(self) -> str:
        """As an opaque cursor."""
        shown = {name: getattr(self, name) for name in self.__slots__}
        return pack_cursor({k: v.isoformat() if isinstance(v, datetime) else v for k, v in shown.items()})

    @classmethod
    def of(cls, cursor: str) -> Position:
        """From a cursor. Raises InvalidRequest for one that is not ours."""
        state = unpack_cursor(cursor)
        try:
            for name in ("began", "asked", "since", "low", "reached"):
                state[name] = None if state[name] is None else datetime.fromisoformat(state[name])
            position = cls(**state)
        except (KeyError, TypeError, ValueError) as error:
            raise foreign_cursor() from error
        numbers = (position.skip, position.count)
        if any(type(number) is not int or number < 0 for number in numbers) or not isinstance(
            state.get("told"), str | None
        ):
            raise foreign_cursor()
        return position


@dataclass(frozen=True, slots=True)
class Fed:
    """A page of a feed: rows found, when a row was changed from beside, where it was read from and where it goes on."""

    found: Found
    changed_at: Mapping[str, datetime]
    position: Position
    onward: Position | None


class KantataWire:
    """The calls the connector needs, over one outbound connection."""

    def __init__(self, outbound: Outbound, quiet: Quiet) -> None:
        self._outbound = outbound
        self._quiet = quiet
        self.vendor = outbound.system

    async def find(self, name: str, **params: Any) -> Found:
        """One answer of a list; at most 200 rows."""
        return self._found(name, await self._outbound.read("GET", f"api/v1/{name}", params=params))

    async def find_all(self, name: str, **params: Any) -> Found:
        """A list read whole; for lists that nobody changes while we read (look-ups, parts of a project)."""
        found = await self.find(name, **params, page=1, per_page=WINDOW)
        pages = range(2, -(-found.count // WINDOW) + 1)
        for more in await asyncio.gather(*(self.find(name, **params, page=page, per_page=WINDOW) for page in pages)):
            found.take(more)
        return found

    async def find_only(self, name: str, ids: Sequence[str], **params: Any) -> Found:
        """The rows of these ids, as far as they are there."""
        found = Found(self.vendor)
        chunks = [ids[first : first + WINDOW] for first in range(0, len(ids), WINDOW)]
        for one in await asyncio.gather(
            *(self.find(name, **params, only=",".join(chunk), per_page=WINDOW) for chunk in chunks)
        ):
            found.take(one)
        found.count = len(found.rows)
        return found

    async def find_ours(self, name: str, model: str, ids: Sequence[str], **params: Any) -> Found:
        """The rows that carry these ids of ours."""
        return await self.find_all(
            name,
            **params,
            external_reference_service_name=SERVICE,
            external_reference_service_model=model,
            external_reference_service_model_refs=",".join(ids),
        )

    async def create(self, name: str, root: str, body: Any, *, repeatable: bool = False, **params: Any) -> Found:
        """Make one row (singular root) or several (plural root)."""
        self._quiet.keep(self.vendor, body)
        try:
            answer = await self._outbound.write(
                "POST", f"api/v1/{name}", params=params, json={root: body}, repeatable=repeatable
            )
        except OutcomeUnknown:
            self._quiet.start(body)
            raise
        return self._found(name, answer)

    async def ask(self, path: str, model: type[Model]) -> Model:
        """An answer that is not a list."""
        answer = await self._outbound.read("GET", f"api/v1/{path}")
        return drift(self.vendor, model, answer.json())

    async def amend(self, name: str, number: str, root: str, body: Any) -> None:
        """Bring a row to the given values; the same values again change nothing."""
        await self._outbound.write("PUT", f"api/v1/{name}/{number}", json={root: body}, repeatable=True)

    def _found(self, name: str, answer: Answer) -> Found:
        document = answer.json()
        envelope = drift(self.vendor, Envelope, document)
        objects = document.get(name)
        try:
            rows = [objects[result.id] for result in envelope.results]
        except (KeyError, TypeError) as error:
            raise VendorDrift(f"{self.vendor} answered results without their {name}.") from error
        beside: dict[str, Objects] = {k: v for k, v in document.items() if isinstance(v, dict) and k != "meta"}
        return Found(self.vendor, rows, beside, envelope.count, _moment(answer.headers.get("date")))

    # --- feeds -----------------------------------------------------------------------------------------------------
    async def feed(
        self,
        name: str,
        params: Mapping[str, Any],
        watch: Watch,
        *,
        since: datetime | None,
        cursor: str | None,
        limit: int,
    ) -> Fed:
        """Rows changed at or after `since`, oldest change first, with those that `watch` saw changed from beside.

        A row touched while we read moves to the end of the list and the rest moves up. Every window therefore begins
        with the last row of the one before; when it does not, the list is read on from the last instant that is sure.
        """
        if cursor is None:
            position = Position(datetime.now(UTC) - _CLOCKS_APART, since, since - _SECOND if since else None, since)
        else:
            position = Position.of(cursor)
        for _ in range(_ATTEMPTS):
            found, is_sure = await self._windows(name, params, position, limit)
            if cursor is None and found.read_at is not None:
                position = replace(position, began=found.read_at)
            if found.rows or is_sure:
                break
            position = _restarted(position)
        else:
            return Fed(Found(self.vendor), {}, position, position)
        times = found.all(Changed)
        is_last = is_sure and position.skip + len(times) >= found.count
        reached = times[-1].updated_at if times else position.reached
        touched = await self._touched(watch, position, None if is_last else reached)
        more = await self.find_only(name, sorted(touched.keys() - {row.id for row in times}, key=int), **params)
        found.take(more)
        if is_last:
            return Fed(found, touched, position, None)
        onward = replace(
            position,
            skip=position.skip + len(times),
            anchor=times[-1].id,
            reached=reached,
            low=max(filter(None, (position.low, reached)), default=None),
            count=found.count,
        )
        return Fed(found, touched, position, onward if is_sure else _restarted(onward))

    async def _windows(
        self, name: str, params: Mapping[str, Any], position: Position, limit: int
    ) -> tuple[Found, bool]:
        """Up to `limit` rows from the position on; False when the list moved and it ended before."""
        asked = {**params, "order": "updated_at:asc", "updated_after": position.since}
        first, end = position.skip, position.skip + _rows_of(limit)
        bounds: list[tuple[int, int]] = []
        while first < end:
            offset = max(0, first - 1)
            size = min(WINDOW, end - offset)
            bounds.append((offset, size))
            first = offset + size
        found, anchor = Found(self.vendor), position.anchor
        windows = await self._side_by_side(name, asked, bounds, position.count)
        found.read_at = min((w.read_at for w in windows if w.read_at), default=None)
        for window in windows:
            rows = window.rows
            if anchor is not None:
                if not rows or str(rows[0].get("id")) != anchor:
                    return found, False
                rows = rows[1:]
            if not rows:
                found.count = window.count
                break
            anchor = str(rows[-1].get("id"))
            found.take(replace(window, rows=rows))
            found.count = window.count
        return found, True

    async def _side_by_side(
        self, name: str, params: Mapping[str, Any], bounds: Sequence[tuple[int, int]], count: int
    ) -> list[Found]:
        """Windows with rows in them; before the first answer only those are asked that `count` rows would fill."""
        windows: list[Found] = []
        while len(windows) < len(bounds):
            ahead = [bounds[len(windows)], *(b for b in bounds[len(windows) + 1 :] if b[0] < count)]
            windows += await asyncio.gather(
                *(self.find(name, **params, offset=offset, limit=size) for offset, size in ahead)
            )
            count = windows[-1].count
            if len(windows) < len(bounds) and bounds[len(windows)][0] >= count:
                break
        return windows

    async def _touched(self, watch: Watch, position: Position, high: datetime | None) -> dict[str, datetime]:
        """Rows changed from beside since the position's `low`, and before `high` (None: until now).

        A row that is in this pass of the feed anyway, and is read after that change, is left out.
        """
        low = position.low or position.began
        if high is not None and high <= low:
            return {}
        touched: dict[str, datetime] = {}
        for one in await watch(low - _SECOND, high):
            is_read_later = one.own is not None and (
                one.own > one.at or (one.at < position.began and (position.asked is None or one.own >= position.asked))
            )
            if not is_read_later:
                touched[one.id] = max(one.at, touched.get(one.id, one.at))
        return touched


def _rows_of(limit: int) -> int:
    """Rows of a page: a last window of a few rows is not worth a call."""
    whole, rest = divmod(limit, WINDOW - 1)
    return limit - rest if whole and rest < WINDOW // 5 else limit


def _restarted(position: Position) -> Position:
    """Read on from the last instant that is sure: nothing is left out, the last rows come again."""
    since = position.reached - _SECOND if position.reached else position.since
    return replace(position, since=since, skip=0, anchor=None, count=0)


def _moment(value: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(value).astimezone(UTC) if value else None
    except ValueError:
        return None


def budget_of(binding: Binding, declared: Budget) -> Budget:
    """The manifest's budget, unless the account's own is set. Raises Misconfigured."""
    given = binding.whole("requests_per_minute", 0)
    return Budget(requests=given, per_seconds=60, at_once=declared.at_once) if given else declared
