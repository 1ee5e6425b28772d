"""Makes an example value from a schema: what the document gives first, else the smallest thing that fits."""

from __future__ import annotations

from typing import Any, cast

from experience_apis.developer.specs import Json, resolved

_DEEPEST = 7
_BY_FORMAT: dict[str, str] = {
    "date": "2026-10-31",
    "date-time": "2026-10-31T12:00:00Z",
    "uuid": "7f3c1c52-6f0e-4ac9-9c39-5c9a4f3f2a10",
    "uri": "https://example.com/",
    "email": "ada@example.com",
}


def example_of(schema: Json, document: Json, depth: int = 0) -> Any:
    """A value that shows what the schema is like."""
    schema = resolved(schema, document)
    given = _given(schema)
    if given is not None:
        return given
    if "allOf" in schema:
        merged: dict[str, Any] = {}
        for part in schema["allOf"]:
            value = example_of(part, document, depth)
            if isinstance(value, dict):
                merged |= value
        return merged
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            options = [one for one in schema[choice] if one.get("type") != "null"] or schema[choice]
            return example_of(options[0], document, depth)
    return _by_type(schema, document, depth)


def _given(schema: Json) -> Any:
    examples = schema.get("examples")
    if isinstance(examples, list) and examples:
        return cast("list[Any]", examples)[0]
    for name in ("example", "const", "default"):
        if schema.get(name) is not None:
            return schema[name]
    return schema["enum"][0] if schema.get("enum") else None


def _by_type(schema: Json, document: Json, depth: int) -> Any:
    kind = schema.get("type")
    kinds = cast("list[str]", kind) if isinstance(kind, list) else [str(kind)]
    if "object" in kinds or "properties" in schema:
        return _record(schema, document, depth)
    if "array" in kinds:
        return [] if depth >= _DEEPEST else [example_of(schema.get("items", {}), document, depth + 1)]
    if "integer" in kinds or "number" in kinds:
        return schema.get("minimum", 1)
    if "boolean" in kinds:
        return True
    if "string" in kinds:
        text = _BY_FORMAT.get(str(schema.get("format", "")), "text")
        least = int(schema.get("minLength", 0))
        return text if len(text) >= least else text.ljust(least, "x")
    return None


def _record(schema: Json, document: Json, depth: int) -> dict[str, Any]:
    if depth >= _DEEPEST:
        return {}
    properties = cast("dict[str, Json]", schema.get("properties", {}))
    return {name: example_of(one, document, depth + 1) for name, one in properties.items()}
