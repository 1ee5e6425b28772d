"""A schema as a tree that people can unfold: names, kinds, bounds, sentences; no HTML is made here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from experience_apis.developer.specs import Json, reference_name, resolved

_DEEPEST = 8
_MANY = 8


@dataclass(frozen=True, slots=True)
class Bound:
    """One limit of a value: a key of the wording and its number or text."""

    key: str
    value: object


@dataclass(frozen=True, slots=True)
class Node:
    """A property, an element or a choice."""

    name: str
    kind: str
    told: str
    is_required: bool = False
    can_be_null: bool = False
    values: tuple[str, ...] = ()
    example: str = ""
    bounds: tuple[Bound, ...] = ()
    children: tuple[Node, ...] = ()
    is_choice: bool = False
    schema: str | None = None

    @property
    def is_large(self) -> bool:
        """Whether it starts folded."""
        return len(self.children) > _MANY


def tree(
    schema: Json, document: Json, *, name: str = "", is_required: bool = False, above: tuple[str, ...] = ()
) -> Node:
    """The schema with everything below it; a schema within itself is named, not unfolded again."""
    own = reference_name(schema)
    told_here = str(schema.get("description", ""))
    is_circle = own is not None and own in above
    above = (*above, own) if own else above
    schema = _whole(schema, document)
    options, can_be_null = _options(schema, document)
    if len(options) == 1 and not schema.get("properties"):
        inner = tree(options[0], document, name=name, is_required=is_required, above=above)
        return _with(inner, told=str(schema.get("description", "")) or inner.told, example=_example(schema))
    children: tuple[Node, ...] = ()
    if not is_circle and len(above) <= _DEEPEST:
        children = tuple(_children(schema, options, document, above))
    return Node(
        name=name,
        kind=_kind(schema, options, document, own),
        told=told_here or str(schema.get("description", "")),
        is_required=is_required,
        can_be_null=can_be_null,
        values=_values(schema),
        example=_example(schema),
        bounds=tuple(_bounds(schema)),
        children=children,
        is_choice=bool(options),
        schema=own or reference_name(cast("Json", schema.get("items", {}))),
    )


def _with(node: Node, *, told: str, example: str) -> Node:
    return Node(
        name=node.name,
        kind=node.kind,
        told=told,
        is_required=node.is_required,
        can_be_null=True,
        values=node.values,
        example=node.example or example,
        bounds=node.bounds,
        children=node.children,
        is_choice=node.is_choice,
        schema=node.schema,
    )


def _whole(schema: Json, document: Json) -> Json:
    """What it refers to, with the parts of `allOf` laid together."""
    schema = resolved(schema, document)
    if "allOf" not in schema:
        return schema
    merged: dict[str, Any] = {name: value for name, value in schema.items() if name != "allOf"}
    for part in cast("list[Json]", schema["allOf"]):
        whole = _whole(part, document)
        properties = {**merged.get("properties", {}), **whole.get("properties", {})}
        required = [*merged.get("required", []), *whole.get("required", [])]
        merged = {**whole, **merged, "properties": properties, "required": required}
    return merged


def _options(schema: Json, document: Json) -> tuple[list[Json], bool]:
    given = cast("list[Json]", schema.get("oneOf") or schema.get("anyOf") or [])
    left = [one for one in given if resolved(one, document).get("type") != "null"]
    kind = schema.get("type")
    return left, len(left) < len(given) or (isinstance(kind, list) and "null" in kind)


def _children(schema: Json, options: list[Json], document: Json, above: tuple[str, ...]) -> Iterator[Node]:
    if options:
        for option in options:
            yield tree(option, document, name=reference_name(option) or "", above=above)
        return
    if schema.get("type") == "array":
        element = tree(cast("Json", schema.get("items", {})), document, name="[]", above=above)
        yield from element.children if element.children and not element.is_choice else (element,)
        return
    required = set(schema.get("required", ()))
    for name, one in cast("dict[str, Json]", schema.get("properties", {})).items():
        yield tree(one, document, name=name, is_required=name in required, above=above)
    more = schema.get("additionalProperties")
    if isinstance(more, dict) and more:
        yield tree(cast("Json", more), document, name="*", above=above)


def _kind(schema: Json, options: list[Json], document: Json, own: str | None) -> str:
    if options:
        return " | ".join(_kind(_whole(one, document), [], document, reference_name(one)) for one in options)
    kind = schema.get("type")
    shown = " | ".join(str(one) for one in cast("list[str]", kind) if one != "null") if isinstance(kind, list) else kind
    if shown == "array":
        items = cast("Json", schema.get("items", {}))
        whole = _whole(items, document)
        return f"array<{_kind(whole, _options(whole, document)[0], document, reference_name(items))}>"
    if own and shown in {"object", None}:
        return own
    if "const" in schema:
        return "const"
    written = schema.get("format")
    return f"{shown} ({written})" if written else str(shown or "any")


def _values(schema: Json) -> tuple[str, ...]:
    source = cast("Json", schema.get("items", {})) if schema.get("type") == "array" else schema
    given = [source["const"]] if "const" in source else cast("list[Any]", source.get("enum") or [])
    return tuple(one if isinstance(one, str) else json.dumps(one) for one in given if one is not None)


def _example(schema: Json) -> str:
    examples = schema.get("examples")
    given = cast("list[Any]", examples)[0] if isinstance(examples, list) and examples else schema.get("example")
    if given is None or isinstance(given, dict | list):
        return ""
    return given if isinstance(given, str) else json.dumps(given)


_SHOWN = {
    "minLength": "min_length",
    "maxLength": "max_length",
    "minimum": "minimum",
    "exclusiveMinimum": "above",
    "maximum": "maximum",
    "exclusiveMaximum": "below",
    "minItems": "min_items",
    "maxItems": "max_items",
    "pattern": "pattern",
}


def _bounds(schema: Json) -> Iterator[Bound]:
    for name, key in _SHOWN.items():
        if name in schema and not (name.startswith("min") and name != "minimum" and schema[name] == 0):
            yield Bound(key, schema[name])
    if schema.get("default") is not None:
        default = schema["default"]
        yield Bound("default", default if isinstance(default, str) else json.dumps(default))
