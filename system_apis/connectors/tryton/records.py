"""One entity's records at Tryton for one tenant: which columns are read, how rows come in and bodies go out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from shared.errors.taxonomy import NotFound, StaleVersion
from system_apis.connectors.tryton.client import TrytonClient
from system_apis.connectors.tryton.tags import from_tags, to_tags
from system_apis.fields import EntityFields, FieldMap

Json = dict[str, Any]
_ATTEMPTS = 5
STAMP = "last_modified_at"
_FOLDED = {
    "sale.opportunity": ("comment", "\n"),
    "sale.sale": ("comment", "\n"),
    "sale.line": ("note", "\n"),
    "project.work": ("comment", "\n"),
    "timesheet.line": ("description", " "),
    "account.invoice": ("comment", "\n"),
    "account.invoice.line": ("note", "\n"),
    "ir.note": ("message", "\n"),
}
"""Model → the text field that holds tags, and what stands between them."""


class Records:
    """The places of an entity; a path into the tagged text (`comment.region`) names a tag."""

    def __init__(self, places: EntityFields) -> None:
        self.model = places.object
        self._places = places
        self._folded, self._between = _FOLDED.get(self.model, ("", ""))

    @property
    def columns(self) -> tuple[str, ...]:
        """What is asked of Tryton."""
        return tuple(dict.fromkeys([*(self._column(path) for path in self._places.paths()), STAMP]))

    def column(self, standard: str) -> str:
        """The tenant's column for a standard path, as conditions name it."""
        return self._column(self._places.column(standard))

    def take(self, row: Mapping[str, Any]) -> Json:
        """A row with its tags unfolded and the tenant's own places at their standard paths."""
        taken = dict(row)
        if self._folded in taken:
            taken[self._folded] = self._tags() | to_tags(cast("str | None", taken[self._folded]))
        return self._places.take(taken)

    def take_all(self, rows: Iterable[Mapping[str, Any]]) -> list[Json]:
        """Every row."""
        return [self.take(row) for row in rows]

    def give(self, values: Mapping[str, Any]) -> Json:
        """A body with its tags folded into the text."""
        given = self._places.give(values)
        tags = given.get(self._folded)
        if isinstance(tags, Mapping):
            given[self._folded] = from_tags(cast("Mapping[str, Any]", tags), between=self._between)
        return given

    @property
    def folded(self) -> str:
        """The text field that holds tags."""
        return self._folded

    async def retag(self, client: TrytonClient, number: int, tags: Mapping[str, Any]) -> None:
        """Set these tags of a record and leave the rest of its text.

        Somebody who writes the record meanwhile is not overwritten: the text is read again. Raises StaleVersion when
        that does not end.
        """
        for attempt in range(_ATTEMPTS):
            columns = [self._folded, "_timestamp"]
            rows = await client.find(self.model, [["id", "=", number]], columns, limit=1)
            if not rows:
                raise NotFound(f"tryton has no {self.model} {number}.")
            body = self.give({self._folded: {**to_tags(rows[0].get(self._folded)), **tags}})
            try:
                await client.write(self.model, number, body, seen=str(rows[0]["_timestamp"]))
            except StaleVersion:
                if attempt + 1 == _ATTEMPTS:
                    raise
            else:
                return

    def _column(self, path: str) -> str:
        first, _, rest = path.partition(".")
        return first if rest and first == self._folded else path

    def _tags(self) -> dict[str, str | None]:
        """Every tag the tenant's places name, blank until it is found."""
        paths = (path.partition(".") for path in self._places.paths())
        return {rest: None for first, _, rest in paths if first == self._folded and rest}


class Library:
    """The records of every entity."""

    def __init__(self, fields: FieldMap) -> None:
        self._records = {entity: Records(places) for entity, places in fields.items()}

    def __getitem__(self, entity: str) -> Records:
        """Those of an entity named in `fields.yaml`."""
        return self._records[entity]
