"""What the environment's metadata tells: columns of tables, how lookups are written, which currencies there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from shared.errors.taxonomy import MappingMissing
from shared.outbound import drift
from system_apis.connectors.dynamics_sales.client import Columns, DataverseClient, Query
from system_apis.connectors.dynamics_sales.payloads import AttributePayload, OptionsPayload, TablePayload, WayPayload
from system_apis.dialects.odata import literal
from system_apis.ports.schema import FieldFacts

Json = dict[str, Any]
_LOOKUPS = frozenset({"Lookup", "Customer", "Owner"})
_FILLED_IN = frozenset({"State", "Status", "Owner", "Uniqueidentifier"})
_LISTED = ("Picklist", "State", "Status")
_FACTS = "LogicalName,AttributeType,RequiredLevel,IsValidForCreate,IsValidForUpdate,IsPrimaryId,DisplayName"
_CAST = "Microsoft.Dynamics.CRM."


def lookup_of(path: str) -> str | None:
    """The column of a path such as `_opportunityid_value`; None where it is no lookup."""
    return path[1 : -len("_value")] if path.startswith("_") and path.endswith("_value") else None


class Directory:
    """Metadata of one environment, kept once read; only a new column of ours makes it stale."""

    def __init__(self, client: DataverseClient) -> None:
        self._client = client
        self._ways: dict[str, dict[str, tuple[str, str]]] = {}
        self._currencies: dict[str, str] = {}

    async def describe(self, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
        """Table → its columns; a table the environment does not have is left out."""
        there = {table.name for table in await self._tables(objects)}
        names = [name for name in dict.fromkeys(objects) if name in there]
        asked = [part for name in names for part in _asked(name)]
        told = await self._client.metadata_together(asked)
        per = 1 + len(_LISTED)
        return {name: self._facts(*told[at * per : (at + 1) * per]) for at, name in enumerate(names)}

    async def bound(self, table: str, body: Mapping[str, Any]) -> Json:
        """A body as the Web API takes it: lookups become bindings under their navigation properties' own spelling."""
        written: Json = {}
        for path, value in body.items():
            if isinstance(value, Mapping):
                code = str(cast("Mapping[str, Any]", value).get("isocurrencycode"))
                written |= await self._binding(table, path, await self._currency(code))
            elif (column := lookup_of(path)) is not None:
                written |= await self._binding(table, column, value)
            else:
                written[path] = value
        return written

    async def _binding(self, table: str, column: str, value: str | None) -> Json:
        if table not in self._ways:
            self._ways[table] = await self._read_ways(table)
        way = self._ways[table].get(column)
        if way is None:
            raise MappingMissing(f"{self._client.system}: {table}.{column} is no lookup that can be written.")
        navigation, set_name = way
        return {f"{navigation}@odata.bind": None if value is None else f"/{set_name}({value})"}

    async def _read_ways(self, table: str) -> dict[str, tuple[str, str]]:
        """Lookup → its navigation property and the set it leads to, of lookups that lead to one table."""
        select = "ReferencingAttribute,ReferencingEntityNavigationPropertyName,ReferencedEntity"
        listed = await self._client.metadata(f"(LogicalName={literal(table)})/ManyToOneRelationships", select=select)
        ways = [drift(self._client.system, WayPayload, one) for one in listed]
        sets = {one.name: one.set_name for one in await self._tables({way.table for way in ways})}
        return {way.column: (way.navigation, sets[way.table]) for way in ways if way.table in sets}

    async def _tables(self, names: Iterable[str]) -> list[TablePayload]:
        """Those of the tables that the environment has."""
        condition = " or ".join(f"LogicalName eq {literal(name)}" for name in sorted(set(names)))
        found = (
            await self._client.metadata("", select="LogicalName,EntitySetName", filter=condition) if condition else []
        )
        return [drift(self._client.system, TablePayload, one) for one in found]

    async def _currency(self, code: str) -> str:
        """The row of an ISO code; a code met for the first time is looked for again."""
        if code not in self._currencies:
            columns = Columns(("transactioncurrencyid", "isocurrencycode"), {})
            rows = [row async for row in self._client.rows(Query("transactioncurrencies", columns))]
            self._currencies = {str(row.get("isocurrencycode")): str(row.get("transactioncurrencyid")) for row in rows}
        if code not in self._currencies:
            raise MappingMissing(f"{self._client.system} has no currency {code}; it must be added there first.")
        return self._currencies[code]

    def _facts(self, listed: Sequence[Json], *of_kinds: Sequence[Json]) -> list[FieldFacts]:
        values: dict[str, tuple[str, ...]] = {}
        for one in (row for rows in of_kinds for row in rows):
            found = drift(self._client.system, OptionsPayload, one)
            chosen = found.own or found.shared
            values[found.name] = tuple(str(option.value) for option in chosen.options) if chosen else ()
        facts: list[FieldFacts] = []
        for row in listed:
            facts += _told(drift(self._client.system, AttributePayload, row), values)
        return facts


def _asked(table: str) -> list[tuple[str, Mapping[str, str]]]:
    """What tells a table's columns: all of them, then per kind that has options those with theirs."""
    base = f"(LogicalName={literal(table)})/Attributes"
    options = {"select": "LogicalName", "expand": "OptionSet($select=Options),GlobalOptionSet($select=Options)"}
    return [(base, {"select": _FACTS}), *((f"{base}/{_CAST}{kind}AttributeMetadata", options) for kind in _LISTED)]


def _told(column: AttributePayload, values: Mapping[str, tuple[str, ...]]) -> list[FieldFacts]:
    """A column; a lookup also under the name rows carry it by."""
    is_lookup = column.kind in _LOOKUPS
    filled_in = column.is_id or column.kind in _FILLED_IN
    label = column.label.user.label if column.label and column.label.user else None
    fact = FieldFacts(
        name=f"_{column.name}_value" if is_lookup else column.name,
        kind=column.kind,
        label=label or "",
        is_required=column.level.value == "SystemRequired" and column.is_created and not filled_in,
        is_writable=column.is_created or column.is_updated,
        values=values.get(column.name, ()),
    )
    if not is_lookup:
        return [fact]
    also = FieldFacts(name=column.name, kind=column.kind, label=label or "", is_writable=fact.is_writable)
    return [fact, also]
