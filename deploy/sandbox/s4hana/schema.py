"""The services of the tenant as data, read from `contract.yaml`; custom fields are added to it by key users."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from shared.documents import read_yaml

_SPEC = re.compile(r"^(?P<kind>\w+)(?:\((?P<a>\d+)(?:,(?P<b>\d+))?\))?(?P<must>!)?(?P<flags>(?: \w+)*)$")


@dataclass(frozen=True, slots=True)
class Property:
    """A field of an entity."""

    name: str
    kind: str
    length: int | None = None
    scale: int | None = None
    nullable: bool = True
    creatable: bool = True
    updatable: bool = True
    filterable: bool = True
    is_padded: bool = False
    is_custom: bool = False


@dataclass(frozen=True, slots=True)
class Child:
    """A way from an entity to others: `on` maps its own fields to theirs."""

    name: str
    target: str
    many: bool
    on: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EntitySet:
    """A set of entities; `properties` grows when a key user adds a field, and what one deletes goes to `deleted`."""

    name: str
    type_name: str
    key: tuple[str, ...]
    properties: dict[str, Property]
    children: Mapping[str, Child]
    denied: frozenset[str]
    etag: str | None
    deleted: dict[str, Property] = field(default_factory=dict[str, Property])

    @property
    def custom(self) -> set[str]:
        """What key users made: fields of a set of SAP's, or those of a custom business object."""
        listed = (*self.properties.values(), *self.deleted.values())
        is_own = self.name.startswith("YY1_")
        return {one.name for one in listed if one.is_custom or (is_own and not one.name.startswith("SAP_"))}


@dataclass(frozen=True, slots=True)
class Function:
    """A function import."""

    name: str
    verb: str
    on: str
    answers: str
    parameters: Mapping[str, Property]


@dataclass(frozen=True, slots=True)
class Result:
    """What a function answers that is no entity."""

    many: bool
    fields: Mapping[str, Property]


@dataclass(frozen=True, slots=True)
class Service:
    """One OData service."""

    name: str
    path: str
    version: int
    namespace: str
    source: str | None
    sets: Mapping[str, EntitySet]
    functions: Mapping[str, Function] = field(default_factory=dict[str, Function])
    results: Mapping[str, Result] = field(default_factory=dict[str, Result])
    actions: Mapping[str, str] = field(default_factory=dict[str, str])


def read_property(name: str, spec: str) -> Property:
    """A field from its line in the contract, such as `String(10)! ro alpha`."""
    match = _SPEC.match(spec)
    if match is None:
        raise ValueError(f"{name}: {spec!r} is not a field")
    flags = set(match["flags"].split())
    first, second = match["a"], match["b"]
    return Property(
        name=name,
        kind=match["kind"],
        length=int(first) if first else None,
        scale=int(second) if second else None,
        nullable=match["must"] is None,
        creatable=not flags & {"ro", "update"},
        updatable=not flags & {"ro", "create"},
        filterable="nofilter" not in flags,
        is_padded="alpha" in flags,
        is_custom="custom" in flags,
    )


def _properties(fields: Mapping[str, str]) -> dict[str, Property]:
    return {name: read_property(name, spec) for name, spec in fields.items()}


def _set(name: str, facts: Mapping[str, Any]) -> EntitySet:
    children: Mapping[str, Any] = facts.get("children") or {}
    return EntitySet(
        name=name,
        type_name=str(facts["type"]),
        key=tuple(facts["key"]),
        properties=_properties(facts["fields"]),
        children={key: Child(key, way["to"], way["many"], way["link"]) for key, way in children.items()},
        denied=frozenset(facts.get("denied") or ()),
        etag=facts.get("etag"),
    )


def _service(name: str, facts: Mapping[str, Any]) -> Service:
    functions: Mapping[str, Any] = facts.get("functions") or {}
    results: Mapping[str, Any] = facts.get("results") or {}
    actions: Mapping[str, Any] = facts.get("actions") or {}
    return Service(
        name=name,
        path=str(facts["path"]),
        version=int(facts["version"]),
        namespace=str(facts["namespace"]),
        source=facts["source"],
        sets={key: _set(key, one) for key, one in facts["sets"].items()},
        functions={
            key: Function(key, one["verb"], one["entity"], one["answers"], _properties(one["parameters"]))
            for key, one in functions.items()
        },
        results={key: Result(one["many"], _properties(one["fields"])) for key, one in results.items()},
        actions={key: one["entity"] for key, one in actions.items()},
    )


@cache
def _document() -> Any:
    path = Path(__file__).parent / "contract.yaml"
    return read_yaml(path.read_text(encoding="utf-8"))


def load_services() -> dict[str, Service]:
    """Every service, in a copy of its own: custom fields of one tenant are not another's."""
    return {name: _service(name, facts) for name, facts in _document()["services"].items()}


def entity_sets(services: Iterable[Service]) -> dict[str, EntitySet]:
    """Every set by name; no name stands in two services."""
    return {name: entity for service in services for name, entity in service.sets.items()}
