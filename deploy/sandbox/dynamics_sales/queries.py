"""Reading collections: conditions, order, pages, and what changed since a token."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import quoteattr

from deploy.sandbox.dynamics_sales.errors import DataverseError, bad_query
from deploy.sandbox.dynamics_sales.records import Records, Row
from deploy.sandbox.dynamics_sales.rows import Json, Renderer, Wishes
from deploy.sandbox.dynamics_sales.schema import Column, Table
from deploy.sandbox.kit.odata import ODataRefused
from deploy.sandbox.kit.odata_options import Expand, parse_expand

PAGE = 5000
_MOST_PLACES = 10_000
_MOST_CONDITIONS = 500
_OPTIONS = {"$select", "$filter", "$orderby", "$expand", "$top", "$count", "$skiptoken", "$deltatoken", "$apply"}
_STAMP = "%m/%d/%Y %H:%M:%S"
_NOT_TRACKED = ("$filter", "$orderby", "$expand", "$top")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list is read on: after that row, or that many rows; of a tracked read the version it began at."""

    after: str
    offset: int
    began_at: int | None = None


@dataclass(slots=True)
class Tracking:
    """Change tracking: how long tokens live, and how a dead one is refused."""

    days: float = 7
    expired_status: int = 400


class Queries:
    """Answers GET on sets."""

    def __init__(self, records: Records, renderer: Renderer, now: Callable[[], datetime]) -> None:
        """Rows are those of `records`; `now` tells how old a token is."""
        self.tracking = Tracking()
        self.most = PAGE
        self._records = records
        self._renderer = renderer
        self._now = now
        self._places: OrderedDict[str, Place] = OrderedDict()
        self._numbers = count(1)

    def list(self, table: Table, options: Mapping[str, str], wishes: Wishes, address: str, context: str) -> Json:
        """One page of a set; `address` is that of the set, `context` that of its metadata. Raises DataverseError."""
        if strange := [name for name in options if name.startswith("$") and name not in _OPTIONS]:
            raise bad_query(f"The query parameter {strange[0]} is not supported.")
        if "$deltatoken" in options:
            return self._changes(table, options, wishes, address, context)
        if wishes.tracks_changes:
            return self._tracked(table, options, wishes, address, context)
        columns = self._renderer.columns(table, options.get("$select"))
        expand = _expanded(options)
        rows = self._found(table, options)
        rows = self._renderer.ordered(table, rows, options.get("$orderby", ""))
        body: Json = {"@odata.context": context}
        if options.get("$count") == "true":
            body["@odata.count"] = min(len(rows), PAGE)
        if "$top" in options:
            page, link = rows[: _whole(options["$top"])], None
        else:
            page, link = self._page(table, rows, options, wishes, address)
        body["value"] = [self._renderer.row(table, row, columns, wishes, expand) for row in page]
        if link:
            body["@odata.nextLink"] = link
        return body

    def _found(self, table: Table, options: Mapping[str, str]) -> list[Row]:
        rows = self._records.tables[table.name]
        text = options.get("$filter")
        if not text:
            return list(rows.rows.values())
        if text.count(" eq ") > _MOST_CONDITIONS:
            raise bad_query("Number of conditions in query exceeded maximum limit.")
        condition = self._renderer.condition(text)
        for path, values in condition.equal.items():
            column = table.properties.get(path)
            if column is None:
                continue
            if column.name == table.id_column:
                wanted = [rows.rows[str(value)] for value in dict.fromkeys(values) if str(value) in rows.rows]
                return [row for row in wanted if condition(row)]
            if column.name in rows.indexes and None not in values:
                ids = dict.fromkeys(i for value in values for i in rows.find(column.name, _kept(column, value)))
                return [rows.rows[row_id] for row_id in ids if condition(rows.rows[row_id])]
        return [row for row in rows.rows.values() if condition(row)]

    def _page(
        self, table: Table, rows: Sequence[Row], options: Mapping[str, str], wishes: Wishes, address: str
    ) -> tuple[Sequence[Row], str | None]:
        size = min(wishes.page_size or self.most, self.most)
        place = self._place(options)
        start = place.offset if place else 0
        if place and (start == 0 or start > len(rows) or rows[start - 1][table.id_column] != place.after):
            ids = [row[table.id_column] for row in rows]
            start = ids.index(place.after) + 1 if place.after in ids else start
        page = rows[start : start + size]
        if start + size >= len(rows):
            return page, None
        return page, self._link(options, address, Place(str(page[-1][table.id_column]), start + size))

    def _tracked(self, table: Table, options: Mapping[str, str], wishes: Wishes, address: str, context: str) -> Json:
        """The whole table once, and the token from before it was read."""
        if not table.is_tracked:
            raise DataverseError(400, "0x80044900", f"Change tracking is not enabled for entity {table.name}.")
        if refused := [name for name in _NOT_TRACKED if name in options]:
            raise bad_query(f"The {refused[0]} query parameter cannot be used with change tracking.")
        columns = self._renderer.columns(table, options.get("$select"))
        place = self._place(options)
        began_at = place.began_at if place and place.began_at is not None else self._records.version
        rows = sorted(self._records.tables[table.name].rows.values(), key=lambda row: str(row[table.id_column]))
        size = min(wishes.page_size or self.most, self.most)
        start = place.offset if place else 0
        page = rows[start : start + size]
        body: Json = {"@odata.context": f"{context}/$delta"}
        if start + size < len(rows):
            body["@odata.nextLink"] = self._link(
                options, address, Place(str(page[-1][table.id_column]), start + size, began_at)
            )
        else:
            body["@odata.deltaLink"] = self._delta_link(options, address, began_at)
        return body | {"value": [self._renderer.row(table, row, columns, wishes) for row in page]}

    def _changes(self, table: Table, options: Mapping[str, str], wishes: Wishes, address: str, context: str) -> Json:
        if refused := [name for name in _NOT_TRACKED if name in options]:
            raise bad_query(f"The {refused[0]} query parameter cannot be used with a delta link.")
        version = self._read_token(options["$deltatoken"])
        columns = self._renderer.columns(table, options.get("$select"))
        began_at = self._records.version
        changed, gone = self._records.changed_since(table.name, version)
        values = [self._renderer.row(table, row, columns, wishes) for row in changed]
        deleted = [
            {"@odata.context": f"{context}/$deletedEntity", "id": row_id, "reason": "deleted"} for row_id in gone
        ]
        link = self._delta_link(options, address, began_at)
        return {"@odata.context": f"{context}/$delta", "@odata.deltaLink": link, "value": [*values, *deleted]}

    def _read_token(self, token: str) -> int:
        version, _, stamp = token.partition("!")
        try:
            made_at = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
            number = int(version)
        except ValueError:
            raise bad_query("The delta token is malformed.") from None
        if self._now() - made_at > timedelta(days=self.tracking.days):
            text = "Version stamp associated with the client has expired. Please perform a full sync."
            raise DataverseError(self.tracking.expired_status, "0x80044352", text)
        return number

    def _delta_link(self, options: Mapping[str, str], address: str, version: int) -> str:
        kept = {name: value for name, value in options.items() if name not in {"$deltatoken", "$skiptoken"}}
        return _address(address, kept | {"$deltatoken": f"{version}!{self._now().strftime(_STAMP)}"})

    def _link(self, options: Mapping[str, str], address: str, place: Place) -> str:
        number = f"{next(self._numbers)}"
        self._places[number] = place
        if len(self._places) > _MOST_PLACES:
            self._places.popitem(last=False)
        inner = f'<cookie page="1"><row last={quoteattr(place.after)} first={quoteattr(number)} /></cookie>'
        cookie = f'<cookie pagenumber="2" pagingcookie="{quote(quote(inner))}" istracking="False" />'
        return _address(address, {**options, "$skiptoken": cookie})

    def _place(self, options: Mapping[str, str]) -> Place | None:
        token = options.get("$skiptoken")
        if token is None:
            return None
        number = unquote(unquote(token)).rpartition('first="')[2].partition('"')[0]
        if number not in self._places:
            raise bad_query("The paging cookie is malformed.")
        return self._places[number]


def _expanded(options: Mapping[str, str]) -> dict[str, Expand]:
    try:
        return parse_expand(options.get("$expand", ""))
    except ODataRefused as error:
        raise bad_query(str(error)) from None


def _kept(column: Column, value: Any) -> Any:
    """A literal as the column keeps it."""
    return str(value) if column.targets else value


def _whole(text: str) -> int:
    if not text.isdigit():
        raise bad_query(f"'{text}' is not a number of rows.")
    return int(text)


def _address(address: str, options: Mapping[str, str]) -> str:
    return address + "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())


def single(options: Mapping[str, str]) -> tuple[str | None, dict[str, Expand]]:
    """`$select` and `$expand` of one row's address. Raises DataverseError."""
    if strange := [name for name in options if name.startswith("$") and name not in {"$select", "$expand"}]:
        raise bad_query(f"The query parameter {strange[0]} cannot be used with a single row.")
    return options.get("$select"), _expanded(options)
