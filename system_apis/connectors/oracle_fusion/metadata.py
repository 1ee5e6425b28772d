"""What the pod tells of its own resources, as facts about fields; reads `/describe` only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from system_apis.connectors.oracle_fusion.client import FusionClient
from system_apis.ports.schema import FieldFacts

CONTEXT = "__FLEX_Context"


async def described(client: FusionClient, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
    """Resource (a dot leads to a child) → its attributes and, by whole path, its flexfields' segments."""
    roots = list(dict.fromkeys(name.partition(".")[0] for name in objects))
    shapes = dict(zip(roots, await asyncio.gather(*(client.described(root) for root in roots)), strict=True))
    told: dict[str, Sequence[FieldFacts]] = {}
    for name in objects:
        root, *path = name.split(".")
        shape: Mapping[str, Any] | None = shapes[root]
        for child in path:
            shape = (shape.get("children") or {}).get(child) if shape else None
        if shape is not None:
            told[name] = tuple(_facts(shape))
    return told


def _facts(shape: Mapping[str, Any]) -> Iterator[FieldFacts]:
    for attribute in shape.get("attributes") or ():
        yield _field(attribute, "")
    for name, child in (shape.get("children") or {}).items():
        attributes = child.get("attributes") or ()
        if any(attribute.get("name") == CONTEXT for attribute in attributes):
            for attribute in attributes:
                yield _field(attribute, f"{name}.")


def _field(attribute: Mapping[str, Any], prefix: str) -> FieldFacts:
    values = (attribute.get("lov") or {}).get("values") or ()
    return FieldFacts(
        name=f"{prefix}{attribute['name']}",
        kind=str(attribute.get("type", "")),
        label=str(attribute.get("title", "")),
        is_required=bool(attribute.get("mandatory", False)),
        is_writable=bool(attribute.get("updatable", True)),
        values=tuple(str(value) for value in values),
    )
