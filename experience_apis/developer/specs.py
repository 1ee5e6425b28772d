"""Reads the published documents for people: operations, schemas and downloads of one API version; files enter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from shared.documents import read_yaml

Json = Mapping[str, Any]
_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as its document tells it; `shared` are the parameters of its path."""

    method: str
    path: str
    told: Json
    shared: tuple[Json, ...] = ()

    @property
    def id(self) -> str:
        """Its operationId."""
        return str(self.told.get("operationId", f"{self.method}-{self.path}"))

    @property
    def summary(self) -> str:
        """One line."""
        return str(self.told.get("summary", self.id))

    @property
    def tag(self) -> str:
        """The group it stands in."""
        return str(next(iter(self.told.get("tags", ())), ""))

    @property
    def scopes(self) -> tuple[tuple[str, ...], ...]:
        """The alternatives: all scopes of one of them are needed; none: public."""
        needs = cast("list[dict[str, list[str]]]", self.told.get("security", []))
        return tuple(tuple(scopes) for need in needs for scopes in need.values())

    def parameters(self, document: Json) -> tuple[Json, ...]:
        """Its parameters, with those of its path."""
        own = [resolved(one, document) for one in self.told.get("parameters", ())]
        named = {(one["in"], str(one["name"]).lower()) for one in own}
        path = [
            one for one in (resolved(one, document) for one in self.shared) if (one["in"], one["name"]) not in named
        ]
        order = ("path", "query", "header", "cookie")
        return tuple(sorted((*path, *own), key=lambda one: order.index(one["in"])))


@dataclass(frozen=True)
class Spec:
    """One document: OpenAPI of an API version, or AsyncAPI of the events."""

    name: str
    text: bytes = field(repr=False)
    document: Json = field(repr=False)

    @property
    def release(self) -> str:
        """The release the document says it is."""
        return str(self.document["info"]["version"])

    @cached_property
    def digest(self) -> str:
        """Changes when the document does."""
        return hashlib.sha256(self.text).hexdigest()[:20]

    @cached_property
    def as_json(self) -> bytes:
        """The document as JSON."""
        return json.dumps(self.document, ensure_ascii=False, indent=2).encode()

    @cached_property
    def operations(self) -> Mapping[str, Operation]:
        """Every operation by its id, in the document's order."""
        return {one.id: one for one in _operations(self.document)}

    @property
    def schemas(self) -> Json:
        """The named schemas."""
        return cast("Json", self.document.get("components", {}).get("schemas", {}))


def read_spec(path: Path) -> Spec:
    """The document in a file."""
    text = path.read_bytes()
    return Spec(path.stem, text, read_yaml(text))


def resolved(node: Json, document: Json) -> Json:
    """What a reference points at; anything else is itself."""
    seen = 0
    while "$ref" in node and seen < 20:  # noqa: PLR2004 - a chain of references that long is a circle
        target: Any = document
        for part in str(node["$ref"]).removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node, seen = cast("Json", target), seen + 1
    return node


def reference_name(node: Json) -> str | None:
    """The name a schema is referred to by."""
    return str(node["$ref"]).rpartition("/")[2] if "$ref" in node else None


def _operations(document: Json) -> Iterator[Operation]:
    for path, item in cast("dict[str, dict[str, Any]]", document.get("paths", {})).items():
        for method in _METHODS:
            if method in item:
                yield Operation(method.upper(), path, item[method], tuple(item.get("parameters", ())))
