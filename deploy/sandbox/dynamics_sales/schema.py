"""The environment's tables and columns, read from `tables.yaml`; facts only."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from shared.documents import read_yaml

_NOTATION = re.compile(r"^(?P<kind>\w+)(?:\((?P<argument>.*)\))?(?P<flags>(?: \w+(?:=\S+)?)*)$")
_BASE = "_base"
LOOKUPS = frozenset({"lookup", "customer"})
CHOICES = frozenset({"picklist", "state", "status"})
EDM = {
    "string": "Edm.String",
    "memo": "Edm.String",
    "int": "Edm.Int32",
    "bigint": "Edm.Int64",
    "decimal": "Edm.Decimal",
    "money": "Edm.Decimal",
    "boolean": "Edm.Boolean",
    "picklist": "Edm.Int32",
    "state": "Edm.Int32",
    "status": "Edm.Int32",
    "date": "Edm.Date",
    "datetime": "Edm.DateTimeOffset",
    "guid": "Edm.Guid",
    "lookup": "Edm.Guid",
    "customer": "Edm.Guid",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the metadata tells it; `name` is the logical name."""

    schema: str
    kind: str
    length: int = 0
    digits: int = 0
    is_needed: bool = False
    is_wanted: bool = False
    is_readonly: bool = False
    is_createonly: bool = False
    default: str | None = None
    options: dict[int, str] = field(default_factory=dict[int, str])
    states: dict[int, int] = field(default_factory=dict[int, int])
    targets: tuple[str, ...] = ()
    children: str | None = None

    @property
    def name(self) -> str:
        """The logical name."""
        return self.schema.lower()

    @property
    def is_custom(self) -> bool:
        """Whether a publisher other than the vendor made it."""
        return self.schema[0].islower()

    @property
    def property(self) -> str:
        """How rows name the value."""
        return f"_{self.name}_value" if self.kind in LOOKUPS else self.name

    def navigation(self, target: str) -> str:
        """How requests name the related row: the schema's spelling for custom columns, lower case for others."""
        name = self.schema if self.is_custom else self.name
        return f"{name}_{target}" if self.kind == "customer" else name


@dataclass(frozen=True, slots=True)
class Table:
    """One table: columns by logical name, alternate keys, ways to other tables."""

    name: str
    schema: str
    set_name: str
    name_column: str
    is_tracked: bool
    columns: dict[str, Column]
    keys: dict[str, tuple[str, ...]]
    properties: dict[str, Column] = field(default_factory=dict[str, Column])
    parents: dict[str, tuple[Column, str]] = field(default_factory=dict[str, tuple[Column, str]])
    children: dict[str, tuple[str, Column]] = field(default_factory=dict[str, tuple[str, Column]])

    @property
    def id_column(self) -> str:
        """The primary key."""
        return "activityid" if self.name == "opportunityclose" else f"{self.name}id"

    @property
    def has_money(self) -> bool:
        """Whether rows carry a currency."""
        return "transactioncurrencyid" in self.columns and self.name != "transactioncurrency"


def _options(argument: str) -> dict[int, str]:
    return {int(value): label for value, _, label in (part.partition("=") for part in argument.split("|"))}


def _column(schema: str, notation: str, lists: dict[str, dict[int, str]]) -> Column:
    match = _NOTATION.match(notation)
    if match is None:
        raise ValueError(f"tables.yaml: {schema}: {notation}")
    kind, argument = match["kind"], match["argument"] or ""
    flags: dict[str, str] = {}
    for flag in match["flags"].split():
        name, _, value = flag.partition("=")
        flags[name] = value
    return Column(
        schema,
        kind,
        length=int(argument) if kind in {"string", "memo"} else 0,
        digits=int(argument) if kind == "decimal" else 4 if kind == "money" else 0,
        is_needed="needed" in flags,
        is_wanted="wanted" in flags,
        is_readonly="readonly" in flags,
        is_createonly="createonly" in flags,
        default=argument if kind == "boolean" else flags.get("default"),
        options=(lists.get(argument) or _options(argument)) if kind == "picklist" else {},
        targets=tuple(argument.split("|")) if kind in LOOKUPS else (),
        children=flags.get("children"),
    )


def _state_columns(facts: dict[str, Any]) -> list[Column]:
    if facts.get("no_state"):
        return []
    statuses: dict[int, str] = {}
    states: dict[int, int] = {}
    for part in str(facts.get("statuses") or "1=Active@0|2=Inactive@1").split("|"):
        value, _, rest = part.partition("=")
        label, _, state = rest.rpartition("@")
        statuses[int(value)] = label
        states[int(value)] = int(state)
    known = _options(str(facts.get("states") or "0=Active|1=Inactive"))
    return [
        Column("StateCode", "state", options=known),
        Column("StatusCode", "status", options=statuses, states=states),
    ]


def _common(name: str, facts: dict[str, Any]) -> list[Column]:
    schema = str(facts["schema"])
    key = "ActivityId" if name == "opportunityclose" else f"{schema}Id"
    common = [
        Column(key, "guid", is_createonly=True),
        Column("CreatedOn", "datetime", is_readonly=True),
        Column("ModifiedOn", "datetime", is_readonly=True),
        Column("VersionNumber", "bigint", is_readonly=True),
        Column("CreatedBy", "lookup", targets=("systemuser",), is_readonly=True),
        Column("ModifiedBy", "lookup", targets=("systemuser",), is_readonly=True),
        Column("OwnerId", "lookup", targets=("systemuser",)),
        *_state_columns(facts),
    ]
    if facts.get("currency"):
        is_wanted = facts["currency"] == "wanted"
        common.append(Column("TransactionCurrencyId", "lookup", targets=("transactioncurrency",), is_wanted=is_wanted))
        common.append(Column("ExchangeRate", "decimal", digits=12, is_readonly=True))
    return common


def _table(name: str, facts: dict[str, Any], lists: dict[str, dict[int, str]]) -> Table:
    listed = [*_common(name, facts), *(_column(schema, note, lists) for schema, note in facts["columns"].items())]
    if facts.get("currency"):
        sums = [column for column in listed if column.kind == "money"]
        listed += [Column(f"{column.schema}_Base", "money", digits=4, is_readonly=True) for column in sums]
    columns = {column.name: column for column in listed}
    listed_keys: dict[str, list[str]] = facts.get("keys") or {}
    keys = {key: tuple(names) for key, names in listed_keys.items()}
    made = Table(name, facts["schema"], facts["set"], facts["name"], bool(facts.get("tracked")), columns, keys)
    made.properties.update({column.property: column for column in listed})
    for column in listed:
        for target in column.targets:
            made.parents[column.navigation(target)] = (column, target)
    return made


@cache
def tables() -> dict[str, Table]:
    """All tables by logical name."""
    document: dict[str, dict[str, Any]] = read_yaml(Path(__file__).with_name("tables.yaml").read_text("utf-8"))
    lists: dict[str, dict[int, str]] = document.pop("option_sets")
    made = {name: _table(name, facts, lists) for name, facts in document.items()}
    for table in made.values():
        for column in table.columns.values():
            for target in column.targets if column.children else ():
                name = f"{column.children}_{target}s" if column.kind == "customer" else str(column.children)
                made[target].children[name] = (table.name, column)
    return made


class Schema:
    """The tables of one environment, as its customizers have them at present."""

    def __init__(self) -> None:
        """As the solution brings them."""
        self.delete_columns({})

    def delete_columns(self, deleted: Mapping[str, Collection[str]]) -> None:
        """These columns, by table, are gone and all others there; the base amount of a sum goes with it."""
        gone = {
            name: {one for column in columns for one in (column, f"{column}{_BASE}")}
            for name, columns in deleted.items()
        }
        self.tables = {name: _without(table, gone) for name, table in tables().items()}
        self.sets = {table.set_name: table for table in self.tables.values()}


def _without(table: Table, gone: Mapping[str, Collection[str]]) -> Table:
    columns = {name: column for name, column in table.columns.items() if name not in gone.get(table.name, ())}
    return replace(
        table,
        columns=columns,
        properties={name: column for name, column in table.properties.items() if column.name in columns},
        parents={name: way for name, way in table.parents.items() if way[0].name in columns},
        children={
            name: (child, column)
            for name, (child, column) in table.children.items()
            if column.name not in gone.get(child, ())
        },
    )


def custom_columns() -> dict[str, set[str]]:
    """By table, the columns that a customizer may delete: no part of a key, not the name of its rows."""
    return {
        table.name: {
            column.name
            for column in table.columns.values()
            if column.is_custom
            and column.name not in {table.id_column, table.name_column, *chain(*table.keys.values())}
            and not column.name.endswith(_BASE)
        }
        for table in tables().values()
    }


@cache
def sets() -> dict[str, Table]:
    """All tables by the name of their set in addresses."""
    return {table.set_name: table for table in tables().values()}
