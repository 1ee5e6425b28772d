"""Rows as answers carry them: values, annotations for those who ask, related rows expanded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from deploy.sandbox.dynamics_sales.errors import bad_query, no_property
from deploy.sandbox.dynamics_sales.records import OF_TABLE, Records, Row, version_of
from deploy.sandbox.dynamics_sales.schema import LOOKUPS, Column, Table, tables
from deploy.sandbox.dynamics_sales.values import formatted, to_json
from deploy.sandbox.kit.odata import Condition, ODataRefused, parse_filter
from deploy.sandbox.kit.odata_options import Expand, parse_orderby, parse_select, sorted_rows

Json = dict[str, Any]
FORMATTED = "OData.Community.Display.V1.FormattedValue"
LOGICAL = "Microsoft.Dynamics.CRM.lookuplogicalname"
NAVIGATION = "Microsoft.Dynamics.CRM.associatednavigationproperty"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the `Prefer` header asks for."""

    annotations: str = ""
    page_size: int | None = None
    tracks_changes: bool = False
    wants_row: bool = False
    goes_on: bool = False

    def wants(self, name: str) -> bool:
        """Whether an annotation is to be in the answer."""
        patterns = [part.strip() for part in self.annotations.split(",") if part.strip()]
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    @property
    def is_detailed(self) -> bool:
        """Whether every annotation is wanted."""
        return "*" in self.annotations.split(",")


class Renderer:
    """Makes rows readable: by path for conditions, as JSON for answers."""

    def __init__(self, records: Records) -> None:
        """Rows are those of `records`."""
        self._records = records

    def resolve(self, row: Any, path: Sequence[str]) -> Any:
        """The value at a path from a row: a column, a related row's column, or the rows of a collection."""
        node: Any = row
        for part in path:
            if node is None:
                return None
            node = self._step(node, part)
        return node

    def condition(self, text: str) -> Condition:
        """A `$filter`. Raises DataverseError."""
        try:
            return parse_filter(
                text, version=4, resolve=self.resolve, functions={"Microsoft.Dynamics.CRM.In": _within(self)}
            )
        except ODataRefused as error:
            raise bad_query(str(error)) from None

    def ordered(self, table: Table, rows: Sequence[Row], text: str) -> list[Row]:
        """The rows in that order, those that are alike by their id. Raises DataverseError."""
        by_id = sorted(rows, key=lambda row: str(row[table.id_column]))
        try:
            return sorted_rows(by_id, parse_orderby(text), self.resolve)
        except ODataRefused as error:
            raise bad_query(str(error)) from None

    def columns(self, table: Table, select: str | None) -> list[Column]:
        """The columns of a `$select`, all without one. Raises DataverseError."""
        if not select:
            return list(table.columns.values())
        chosen: list[Column] = []
        for name in parse_select(select):
            column = table.properties.get(name)
            if column is None:
                raise no_property(name, table.schema)
            chosen.append(column)
        own = table.columns[table.id_column]
        return chosen if own in chosen else [*chosen, own]

    def row(
        self,
        table: Table,
        row: Row,
        columns: Iterable[Column],
        wishes: Wishes,
        expand: Mapping[str, Expand] | None = None,
    ) -> Json:
        """One row."""
        body: Json = {"@odata.etag": etag(row)}
        currency = self._currency(row) if wishes.annotations else None
        for column in columns:
            value = row.get(column.name)
            body[column.property] = to_json(value)
            if wishes.annotations and value is not None:
                self._annotate(body, column, row, wishes, currency)
        for name, asked in (expand or {}).items():
            self._expand(body, table, row, name, asked, wishes)
        return body

    def _step(self, node: Any, part: str) -> Any:
        if not isinstance(node, dict):
            return None
        row: Row = node  # pyright: ignore[reportUnknownVariableType] - rows are dictionaries
        table = self._records.schema.tables[str(row[OF_TABLE])]
        if column := table.properties.get(part):
            return row.get(column.name)
        if parent := table.parents.get(part):
            column, target = parent
            return self._records.get(target, row.get(column.name))
        if child := table.children.get(part):
            name, lookup = child
            return self._records.children(name, lookup.name, row[table.id_column])
        raise no_property(part, table.schema)

    def _currency(self, row: Row) -> str | None:
        currency = self._records.get("transactioncurrency", row.get("transactioncurrencyid"))
        return str(currency["isocurrencycode"]) if currency else None

    def _annotate(self, body: Json, column: Column, row: Row, wishes: Wishes, currency: str | None) -> None:
        value = row[column.name]
        if column.kind not in LOOKUPS:
            text = formatted(column, value, currency)
            if text is not None and wishes.wants(FORMATTED):
                body[f"{column.property}@{FORMATTED}"] = text
            return
        target = next((name for name in column.targets if self._records.get(name, value)), column.targets[0])
        other = self._records.get(target, value) or {}
        label = other.get(tables()[target].name_column)
        told = {FORMATTED: label, LOGICAL: target, NAVIGATION: column.navigation(target)}
        body.update({f"{column.property}@{name}": text for name, text in told.items() if text and wishes.wants(name)})

    def _expand(self, body: Json, table: Table, row: Row, name: str, asked: Expand, wishes: Wishes) -> None:
        if parent := table.parents.get(name):
            column, target = parent
            other = self._records.get(target, row.get(column.name))
            there = self._records.schema.tables[target]
            chosen = self.columns(there, asked.options.get("select"))
            body[name] = self.row(there, other, chosen, wishes, asked.children) if other else None
            return
        if name not in table.children:
            raise no_property(name, table.schema)
        child, lookup = table.children[name]
        there = self._records.schema.tables[child]
        rows = self._records.children(child, lookup.name, row[table.id_column])
        if text := asked.options.get("filter"):
            condition = self.condition(text)
            rows = [one for one in rows if condition(one)]
        rows = self.ordered(there, rows, asked.options.get("orderby", ""))
        chosen = self.columns(there, asked.options.get("select"))
        body[name] = [self.row(there, one, chosen, wishes, asked.children) for one in rows]


def etag(row: Row) -> str:
    """The row's version as a header and answers write it."""
    return f'W/"{version_of(row)}"'


def _within(renderer: Renderer) -> Any:
    def within(row: Any, PropertyName: str, PropertyValues: Sequence[Any]) -> bool:  # noqa: N803 - the vendor's names
        value = renderer.resolve(row, (PropertyName,))
        return str(value).casefold() in {str(wanted).casefold() for wanted in PropertyValues}

    return within
