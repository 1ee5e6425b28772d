"""The product's data entities as `contract.yaml` tells them: sets, fields, types; no row enters."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

from shared.documents import read_yaml

NAMESPACE: Final = "Microsoft.Dynamics.DataEntities"
CONTRACT: Final = Path(__file__).parent / "contract.yaml"
_EDM: Final = {
    "text": "Edm.String",
    "decimal": "Edm.Decimal",
    "date": "Edm.DateTimeOffset",
    "int": "Edm.Int32",
    "long": "Edm.Int64",
    "guid": "Edm.Guid",
    "flag": "Edm.Boolean",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a data entity; `kind` is a plain type or the name of an enumeration."""

    name: str
    kind: str
    length: int | None
    is_key: bool
    is_mandatory: bool
    is_read_only: bool
    is_create_only: bool
    is_own: bool

    @property
    def edm(self) -> str:
        """The type as `$metadata` names it."""
        return _EDM.get(self.kind, f"{NAMESPACE}.{self.kind}")

    @property
    def is_enum(self) -> bool:
        """Whether its values are members of an enumeration."""
        return self.kind not in _EDM


@dataclass(frozen=True, slots=True)
class EntitySet:
    """A data entity with its set; `table` is the AOT name, `origin` tells where the facts stand."""

    name: str
    entity: str
    table: str
    origin: str
    is_read_only: bool
    fields: Mapping[str, Field]

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the key fields, in order."""
        return tuple(name for name, field in self.fields.items() if field.is_key)

    @property
    def has_company(self) -> bool:
        """Whether its rows belong to a company."""
        return "dataAreaId" in self.fields

    def without(self, names: Collection[str]) -> EntitySet:
        """The entity after these fields were taken out of it."""
        return replace(self, fields={name: field for name, field in self.fields.items() if name not in names})


def _field(name: str, text: str) -> Field:
    kind, *rest = text.split()
    flags = {word for word in rest if not word.isdigit()}
    length = next((int(word) for word in rest if word.isdigit()), None)
    return Field(name, kind, length, "key" in flags, "must" in flags, "read" in flags, "once" in flags, "own" in flags)


def read_contract(file: Path = CONTRACT) -> tuple[dict[str, EntitySet], dict[str, tuple[str, ...]]]:
    """Entity sets and enumerations by name."""
    document = cast("dict[str, dict[str, Any]]", read_yaml(file.read_text(encoding="utf-8")))
    sets = {
        name: EntitySet(
            name,
            facts["entity"],
            facts.get("table", ""),
            facts["from"],
            bool(facts.get("is_read_only", False)),
            {field: _field(field, text) for field, text in facts["fields"].items()},
        )
        for name, facts in document["entities"].items()
    }
    return sets, {name: tuple(members) for name, members in document["enums"].items()}


SETS, ENUMS = read_contract()
OWN: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(field.name for field in entity.fields.values() if field.is_own) for name, entity in SETS.items()
}
"""The firm's extension fields, by set."""
