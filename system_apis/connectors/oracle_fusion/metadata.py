"""What the pod tells of its own resources, as facts about fields; reads `/describe` only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from system_apis.connectors.oracle_fusion.client import FusionClient
from system_apis.ports.schema import FieldFacts

CONTEXT = "__FLEX_Context"
Shape = Mapping[str, Any]


async def described(client: FusionClient, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
    """Resource (a dot leads to a child) → its attributes and, by whole path, its flexfields' segments."""
    roots = list(dict.fromkeys(name.partition(".")[0] for name in objects))
    shapes = dict(zip(roots, await asyncio.gather(*(client.described(root) for root in roots)), strict=True))
    told: dict[str, Sequence[FieldFacts]] = {}
    for name in objects:
        root, *path = name.split(".")
        shape = shapes[root]
        for child in path:
            shape = _children(shape).get(child) if shape is not None else None
        if shape is not None:
            told[name] = tuple(_facts(shape))
    return told


def _children(shape: Shape) -> Mapping[str, Shape]:
    return cast("Mapping[str, Shape]", shape.get("children") or {})


def _attributes(shape: Shape) -> Sequence[Shape]:
    return cast("Sequence[Shape]", shape.get("attributes") or ())


def _facts(shape: Shape) -> Iterator[FieldFacts]:
    for attribute in _attributes(shape):
        yield _field(attribute, "")
    for name, child in _children(shape).items():
        attributes = _attributes(child)
        if any(attribute.get("name") == CONTEXT for attribute in attributes):
            for attribute in attributes:
                yield _field(attribute, f"{name}.")


def _field(attribute: Shape, prefix: str) -> FieldFacts:
    return FieldFacts(
        name=f"{prefix}{attribute['name']}",
        kind=str(attribute.get("type", "")),
        label=str(attribute.get("title", "")),
        is_required=bool(attribute.get("mandatory", False)),
        is_writable=bool(attribute.get("updatable", True)),
    )
