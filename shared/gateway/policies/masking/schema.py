"""Holds masked fields against the schema of the answer, and tells of them in the API's description."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.gateway.policies.masking.config import Masking
from shared.gateway.policies.masking.paths import ANY, ITEMS, parts

Schema = Mapping[str, Any]


def mask_notes(masking: Masking) -> dict[str, dict[str, str]]:
    """The value of `x-masked-unless-scope` of an operation."""
    return {path: {"scope": one.unless_scope, "then": one.then} for path, one in masking.fields.items()}


def unmaskable(masking: Masking, schema: Schema, components: Mapping[str, Schema]) -> list[str]:
    """What of the policy does not fit the schema of the good answer, one sentence per field; empty when all fits.

    `components` are the schemas that `#/components/schemas/…` names.
    """
    lines: list[str] = []
    for path, one in masking.fields.items():
        *way, name = parts(path)
        holders = [schema]
        for part in way:
            holders = [below for holder in holders for below in _below(holder, part, components)]
        ends = [end for holder in holders for end in _ends(holder, name, components)]
        if not ends:
            lines.append(f"masking: the answer has no field `{path}`")
        elif one.then == "null" and not all(_may_be_null(end, components) for end, _ in ends):
            lines.append(f"masking: `{path}` is to say null, but its schema does not admit null")
        elif one.then == "remove" and any(is_required for _, is_required in ends):
            lines.append(f"masking: `{path}` is to be removed, but its schema requires it")
    return lines


def _forms(schema: Schema, components: Mapping[str, Schema]) -> Iterator[Schema]:
    """The schema itself or, where it is a reference or a choice, what it stands for."""
    if "$ref" in schema:
        yield from _forms(components[str(schema["$ref"]).rpartition("/")[2]], components)
        return
    yield schema
    for choice in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(choice, ()):
            yield from _forms(one, components)


def _below(schema: Schema, part: str, components: Mapping[str, Schema]) -> Iterator[Schema]:
    for form in _forms(schema, components):
        if part == ITEMS:
            if isinstance(form.get("items"), Mapping):
                yield form["items"]
        else:
            yield from (end for end, _ in _ends_of_form(form, part))


def _ends(schema: Schema, name: str, components: Mapping[str, Schema]) -> Iterator[tuple[Schema, bool]]:
    for form in _forms(schema, components):
        yield from _ends_of_form(form, name)


def _ends_of_form(form: Schema, name: str) -> Iterator[tuple[Schema, bool]]:
    properties: Mapping[str, Schema] = form.get("properties", {})
    required = frozenset(form.get("required", ()))
    if name == ANY:
        yield from ((one, key in required) for key, one in properties.items())
        others = form.get("additionalProperties", False)
        if others is not False:
            yield (others if isinstance(others, Mapping) else {}), False
    elif name in properties:
        yield properties[name], name in required


def _may_be_null(schema: Schema, components: Mapping[str, Schema]) -> bool:
    return any("null" in form.get("type", "") for form in _forms(schema, components))
