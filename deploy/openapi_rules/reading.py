"""A document as the rules walk it: operations, schemas, properties, references; no rule of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

Told = dict[str, Any]
METHODS = ("get", "put", "post", "delete", "patch", "options", "head", "trace")
_MISSING: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    place: str
    path: str
    method: str
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Node:
    """One schema: where it stands and, for a property, its name."""

    place: str
    schema: dict[str, Any]
    name: str | None = None


def members(node: Any) -> Told:
    """The members of a JSON object; none for anything else."""
    return cast("Told", node) if isinstance(node, dict) else _MISSING


def escaped(part: str) -> str:
    """A segment of a JSON pointer."""
    return part.replace("~", "~0").replace("/", "~1")


@dataclass(frozen=True)
class Document:
    """One OpenAPI or AsyncAPI document, read once and asked many times."""

    content: dict[str, Any]
    _resolved: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    def resolved(self, node: Any) -> dict[str, Any]:
        """What a reference leads to; the node itself where it is none."""
        found = members(node)
        while isinstance(found.get("$ref"), str):
            found = self.at(found["$ref"])
        return found

    def at(self, reference: str) -> dict[str, Any]:
        """What stands at `#/…`; nothing where the reference leads nowhere."""
        if reference not in self._resolved:
            node: Any = self.content
            for part in reference.removeprefix("#/").split("/"):
                node = members(node).get(part.replace("~1", "/").replace("~0", "~"), {})
            self._resolved[reference] = members(node)
        return self._resolved[reference]

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """Every operation of an OpenAPI document."""
        return tuple(
            Operation(f"/paths/{escaped(path)}/{method}", path, method, told)
            for path, item in self.content.get("paths", {}).items()
            for method, told in item.items()
            if method in METHODS
        )

    def parameters(self, operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every parameter with its place."""
        for at, one in enumerate(operation.told.get("parameters", ())):
            yield f"{operation.place}/parameters/{at}", self.resolved(one)

    def bodies(self, operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every media type of the request body with its place."""
        content = self.resolved(operation.told.get("requestBody", {})).get("content", {})
        for name, media in content.items():
            yield f"{operation.place}/requestBody/content/{escaped(name)}", media

    def answers(self, operation: Operation) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Every answer: place, status, the answer itself."""
        for status, answer in operation.told.get("responses", {}).items():
            yield f"{operation.place}/responses/{status}", str(status), self.resolved(answer)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every schema node of components, parameters, bodies and answers, each once."""
        return tuple(self._all_nodes())

    def _all_nodes(self) -> Iterator[Node]:
        components = self.content.get("components", {})
        for name, schema in components.get("schemas", {}).items():
            yield from self._below(f"/components/schemas/{escaped(name)}", schema, None)
        for word in ("headers", "parameters"):
            for name, one in components.get(word, {}).items():
                yield from self._below(f"/components/{word}/{escaped(name)}/schema", one.get("schema", {}), None)
        for place, holder in self.holders():
            yield from self._below(f"{place}/schema", holder.get("schema", {}), None)

    def holders(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Whatever holds a schema and examples: parameters, bodies, answers; what is shared once, where it stands."""
        for name, answer in self.content.get("components", {}).get("responses", {}).items():
            for kind, media in answer.get("content", {}).items():
                yield f"/components/responses/{escaped(name)}/content/{escaped(kind)}", media
        for operation in self.operations:
            for at, one in enumerate(operation.told.get("parameters", ())):
                if "$ref" not in one:
                    yield f"{operation.place}/parameters/{at}", one
            yield from self.bodies(operation)
            for status, answer in operation.told.get("responses", {}).items():
                for kind, media in answer.get("content", {}).items():
                    yield f"{operation.place}/responses/{status}/content/{escaped(kind)}", media

    def _below(self, place: str, told: Any, name: str | None) -> Iterator[Node]:
        schema = members(told)
        if not isinstance(told, dict):
            return
        yield Node(place, schema, name)
        for key, inner in schema.get("properties", {}).items():
            yield from self._below(f"{place}/properties/{escaped(key)}", inner, key)
        for word in ("items", "additionalProperties"):
            yield from self._below(f"{place}/{word}", schema.get(word), None)
        if "properties" in schema:
            return  # what stands beside properties only narrows them (`anyOf: [{required: [ids]}, …]`)
        for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
            for at, inner in enumerate(schema.get(word, ())):
                yield from self._below(f"{place}/{word}/{at}", inner, None)

    @cached_property
    def properties(self) -> tuple[Node, ...]:
        """Every property of every object."""
        return tuple(node for node in self.nodes if node.name is not None)

    def branches(self, schema: dict[str, Any]) -> list[dict[str, Any]]:
        """What a schema may be, besides null: itself, or the branches of its anyOf / oneOf."""
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return [one for one in schema[word] if one.get("type") != "null"]
        return [schema]
