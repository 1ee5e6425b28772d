"""Examples of whole bodies, put together from what each property shows; schemas enter, JSON values leave."""

from __future__ import annotations

from typing import Any

_DEEPEST = 12
NOTHING: Any = object()
"""No example can be made."""


def composed(schema: dict[str, Any], schemas: dict[str, Any], *, depth: int = 0) -> Any:
    """A value the schema describes: its own example, else one made of its parts; NOTHING where a part shows nothing."""
    if depth > _DEEPEST:
        return NOTHING
    shown = schema.get("examples") or schema.get("enum") or ([schema["const"]] if "const" in schema else None)
    if shown:
        return shown[0]
    if "$ref" in schema:
        return composed(schemas[schema["$ref"].rpartition("/")[2]], schemas, depth=depth + 1)
    branches = schema.get("anyOf") or schema.get("oneOf") if "properties" not in schema else None
    if branches:
        made = (composed(one, schemas, depth=depth + 1) for one in branches if one.get("type") != "null")
        return next((one for one in made if one is not NOTHING), None)
    if schema.get("type") == "array":
        return _rows(schema, schemas, depth)
    return _members(schema, schemas, depth) if "properties" in schema else schema.get("default", NOTHING)


def _rows(schema: dict[str, Any], schemas: dict[str, Any], depth: int) -> Any:
    row = composed(schema.get("items", {}), schemas, depth=depth + 1)
    return [] if row is NOTHING or schema.get("maxItems") == 0 else [row]


def _members(schema: dict[str, Any], schemas: dict[str, Any], depth: int) -> Any:
    required = set(schema.get("required", ()))
    whole: dict[str, Any] = {}
    for name, inner in schema.get("properties", {}).items():
        made = composed(inner, schemas, depth=depth + 1)
        if made is not NOTHING:
            whole[name] = made
        elif name in required:
            return NOTHING
    return whole
