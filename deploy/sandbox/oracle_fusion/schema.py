"""What resources the pod has: `contract.yaml` as resources, attributes and children; facts, no behaviour."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from shared.documents import read_yaml

Kind = Literal["string", "int", "number", "date", "datetime", "boolean"]
CONTRACT = Path(__file__).parent / "contract.yaml"
CONTEXT = "__FLEX_Context"
ROOTS = {"fscm": "fscmRestApi", "crm": "crmRestApi"}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute; `mark` tells how sure it is (C page, P program, U unconfirmed, own: the customer's segment)."""

    name: str
    kind: Kind
    length: int | None = None
    is_read_only: bool = False
    is_required: bool = False
    is_fixed: bool = False
    is_queryable: bool = True
    mark: str = "U"


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource or child resource. `is_hashed`: items are addressed by a key only the server can make.

    `deleted` attributes are not there for who asks; rows keep what they held.
    """

    name: str
    key: str
    attributes: Mapping[str, Attribute]
    children: Mapping[str, Resource] = field(default_factory=dict[str, "Resource"])
    root: str = "fscm"
    unique: tuple[tuple[str, ...], ...] = ()
    match: tuple[tuple[str, ...], ...] = ()
    index: tuple[str, ...] = ()
    patchable: tuple[str, ...] | None = None
    is_hashed: bool = False
    is_flex: bool = False
    is_list_of_values: bool = False
    deleted: frozenset[str] = frozenset()

    def without(self, deleted: Mapping[str, Collection[str]], prefix: str = "") -> Resource:
        """The resource and all below it after attributes were deleted, by dotted name."""
        path = f"{prefix}{self.name}"
        gone = frozenset(deleted.get(path, ()))
        return replace(
            self,
            attributes={name: one for name, one in self.attributes.items() if name not in gone},
            children={name: child.without(deleted, f"{path}.") for name, child in self.children.items()},
            deleted=gone,
        )


def _attribute(name: str, spec: str) -> Attribute:
    kind, *words = spec.split()
    length = int(words[0]) if words and words[0].isdigit() else None
    return Attribute(
        name,
        cast("Kind", kind),
        length,
        is_read_only="ro" in words,
        is_required="req" in words,
        is_fixed="new" in words,
        is_queryable="noq" not in words,
        mark=words[-1],
    )


def _resource(name: str, facts: Mapping[str, Any]) -> Resource:
    attributes = {field: _attribute(field, spec) for field, spec in facts["fields"].items()}
    is_flex = bool(facts.get("flex"))
    if is_flex:
        attributes = {CONTEXT: Attribute(CONTEXT, "string", 80, mark="C"), **attributes}
    return Resource(
        name,
        facts.get("key", CONTEXT),
        attributes,
        {child: _resource(child, inner) for child, inner in facts.get("children", {}).items()},
        facts.get("root", "fscm"),
        tuple(tuple(fields) for fields in facts.get("unique", ())),
        tuple(tuple(fields) for fields in facts.get("match", ())),
        tuple(facts.get("index", ())),
        tuple(facts["patchable"]) if "patchable" in facts else None,
        is_hashed=bool(facts.get("hashed")),
        is_flex=is_flex,
        is_list_of_values=facts.get("access") == "read",
    )


def _load() -> dict[str, Resource]:
    document: Any = read_yaml(CONTRACT.read_text(encoding="utf-8"))
    return {name: _resource(name, facts) for name, facts in document["resources"].items()}


RESOURCES: Mapping[str, Resource] = _load()


def nested(resource: Resource, prefix: str = "") -> Iterator[tuple[str, Resource]]:
    """The resource and everything below it, by dotted names."""
    path = f"{prefix}.{resource.name}" if prefix else resource.name
    yield path, resource
    for child in resource.children.values():
        yield from nested(child, path)


OWN: Mapping[str, frozenset[str]] = {
    path: frozenset(one.name for one in resource.attributes.values() if one.mark == "own")
    for root in RESOURCES.values()
    for path, resource in nested(root)
}
"""The customer's segments and attributes, by dotted name."""
