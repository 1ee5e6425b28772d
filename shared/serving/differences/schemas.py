"""Compares two schemas in one direction of flow; what a change means for callers is decided here and in operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.serving.differences.bounds import compare_bounds
from shared.serving.differences.changes import Change, Flow, Node, Weight
from shared.serving.differences.reading import Tree, listed, node

ALL_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_JSON_TYPES = {
    "str": "string",
    "bool": "boolean",
    "int": "integer",
    "float": "number",
    "list": "array",
    "NoneType": "null",
}
_UNDERSTOOD = frozenset(
    """type enum properties required items additionalProperties default readOnly writeOnly deprecated
    title description examples example $comment externalDocs xml $variants $null $name $ref $defs discriminator
    minLength maxLength minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minItems maxItems uniqueItems
    minProperties maxProperties pattern format""".split()
)


class SchemaComparison:
    """Two schemas of two documents, compared as deep as they go."""

    def __init__(self, old: Tree, new: Tree, flow: Flow) -> None:
        """`flow`: who sends what the schemas describe."""
        self._old = old
        self._new = new
        self._flow = flow
        self._seen: set[tuple[str, str]] = set()

    def compare(self, old: Any, new: Any, place: str) -> Iterator[Change]:
        """Every difference; `place` is how people find it."""
        names = (self._old.name(old), self._new.name(new))
        if all(names):
            if names in self._seen:
                return
            self._seen.add(names)
        before, after = self._old.schema(old), self._new.schema(new)
        place = names[1] or str(after.get("$name") or "") or place
        if before == after and "$ref" not in str(before):
            return
        changed = tuple(self._types(before, after, place))
        yield from changed
        if any(one.kind.endswith("type_changed") for one in changed):
            return  # what is now of another kind need not be compared in its parts
        if "$variants" in before or "$variants" in after:
            yield from self._variants(before, after, place)
            yield from self._rest(before, after, place)
            return
        yield from self._enums(before, after, place)
        yield from compare_bounds(before, after, self._flow, place)
        yield from self._objects(before, after, place)
        if "items" in before or "items" in after:
            yield from self._items(before, after, place)
        yield from self._rest(before, after, place)

    def _types(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        before, after = _types(old), _types(new)
        if "$variants" in old or "$variants" in new:  # the forms say what else it may be
            before, after = before & {"null"}, after & {"null"}
        null = (("null" in before), ("null" in after))
        if null == (False, True):
            yield self._change(self._flow.widened(), "null_allowed", place, f"`{place}` may now be null.")
        elif null == (True, False):
            yield self._change(self._flow.narrowed(), "null_refused", place, f"`{place}` is no longer null.")
        lost, gained = _without_integer(before - after, after), _without_integer(after - before, before)
        told = f"`{place}` is {_either(after)} instead of {_either(before)}."
        if lost and gained:
            yield self._change(Weight.BREAKING, "type_changed", place, told)
        elif lost:
            yield self._change(self._flow.narrowed(), "type_narrowed", place, told)
        elif gained:
            yield self._change(self._flow.widened(), "type_widened", place, told)

    def _enums(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        before, after = old.get("enum"), new.get("enum")
        if before is None and after is None:
            return
        if before is None:
            told = f"`{place}` is now one of a closed list: {_values(listed(after))}."
            yield self._change(self._flow.narrowed(), "enum_introduced", place, told)
        elif after is None:
            told = f"`{place}` is no longer limited to a closed list."
            yield self._change(self._flow.widened(), "enum_lifted", place, told)
        else:
            if gained := [one for one in listed(after) if one not in before and one is not None]:
                told = f"`{place}` has new values: {_values(gained)}."
                yield self._change(self._flow.widened(), "enum_value_added", place, told)
            if lost := [one for one in listed(before) if one not in after and one is not None]:
                told = f"`{place}` no longer has the values {_values(lost)}."
                yield self._change(self._flow.narrowed(), "enum_value_removed", place, told)

    def _objects(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        before, after = self._properties(self._old, old), self._properties(self._new, new)
        needed = (set(listed(old.get("required"))), set(listed(new.get("required"))))
        for name in sorted(after.keys() - before.keys()):
            yield self._appeared(f"{place}.{name}", is_needed=name in needed[1])
        for name in sorted(before.keys() - after.keys()):
            yield self._vanished(f"{place}.{name}", is_closed=new.get("additionalProperties") is False)
        for name, told in before.items():
            if name not in after:
                continue
            inner = f"{place}.{name}"
            yield from self.compare(told, after[name], inner)
            if name in needed[1] - needed[0]:
                yield self._became_required(inner)
            elif name in needed[0] - needed[1]:
                yield self._became_optional(inner)
        yield from self._extras(old, new, place)

    def _properties(self, tree: Tree, schema: Node) -> Node:
        hidden = "readOnly" if self._flow is Flow.ASKED else "writeOnly"
        return {
            name: told for name, told in node(schema.get("properties")).items() if not tree.at(told).get(hidden, False)
        }

    def _appeared(self, place: str, *, is_needed: bool) -> Change:
        if self._flow is Flow.TOLD:
            return self._change(Weight.ADDITIVE, "property_added", place, f"Answers now carry `{place}`.")
        if is_needed:
            told = f"`{place}` is new and must be sent."
            return self._change(Weight.BREAKING, "required_property_added", place, told)
        return self._change(Weight.ADDITIVE, "property_added", place, f"`{place}` can now be sent.")

    def _vanished(self, place: str, *, is_closed: bool) -> Change:
        if self._flow is Flow.TOLD:
            told = f"Answers no longer carry `{place}`."
        elif is_closed:
            told = f"`{place}` is refused when it is sent."
        else:
            told = f"`{place}` no longer has an effect."
        return self._change(Weight.BREAKING, "property_removed", place, told)

    def _became_required(self, place: str) -> Change:
        if self._flow is Flow.TOLD:
            told = f"`{place}` is now always there."
            return self._change(Weight.ADDITIVE, "property_became_required", place, told)
        return self._change(Weight.BREAKING, "property_became_required", place, f"`{place}` must now be sent.")

    def _became_optional(self, place: str) -> Change:
        if self._flow is Flow.TOLD:
            return self._change(Weight.BREAKING, "property_became_optional", place, f"`{place}` may now be missing.")
        told = f"`{place}` can now be left out."
        return self._change(Weight.ADDITIVE, "property_became_optional", place, told)

    def _extras(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        before, after = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from self.compare(before, after, f"{place}.*")
        elif before != after:
            is_wider = _openness(after) > _openness(before)
            if self._flow is Flow.TOLD:  # callers ignore members they do not know: neither direction breaks them
                told = f"`{place}` may carry further members." if is_wider else f"`{place}` carries no further members."
                yield self._change(Weight.ADDITIVE, "additional_properties_changed", place, told)
            else:
                verb = "accepts further members" if is_wider else "refuses members it does not know"
                weight = Weight.ADDITIVE if is_wider else Weight.BREAKING
                yield self._change(weight, "additional_properties_changed", place, f"`{place}` {verb}.")

    def _items(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        if "items" in old and "items" in new:
            yield from self.compare(old["items"], new["items"], f"{place}[]")
        elif "items" in new:
            told = f"The entries of `{place}` are now described."
            yield self._change(self._flow.narrowed(), "items_introduced", place, told)
        else:
            told = f"The entries of `{place}` are no longer described."
            yield self._change(self._flow.widened(), "items_lifted", place, told)

    def _variants(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        before, after = _forms(old), _forms(new)
        left = list(after)
        for one in before:
            match = next((other for other in left if self._is_same_variant(one, other)), None)
            if match is None:
                told = f"`{place}` no longer takes the form {_form(self._old, one)}."
                yield self._change(self._flow.narrowed(), "variant_removed", place, told)
            else:
                left.remove(match)
                yield from self.compare(one, match, place)
        for other in left:
            told = f"`{place}` has a new form: {_form(self._new, other)}."
            yield self._change(self._flow.widened(), "variant_added", place, told)

    def _is_same_variant(self, old: Any, new: Any) -> bool:
        names = (self._old.name(old) or old.get("$name"), self._new.name(new) or new.get("$name"))
        if any(names):
            return names[0] == names[1]
        before, after = self._old.schema(old), self._new.schema(new)
        return (before.get("title"), before.get("type")) == (after.get("title"), after.get("type"))

    def _rest(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        if ("default" in old, old.get("default")) != ("default" in new, new.get("default")):
            values = _value(new.get("default")), _value(old.get("default"))
            told = f"Left out, `{place}` now means {values[0]} instead of {values[1]}."
            weight = Weight.BREAKING if self._flow is Flow.ASKED else Weight.EDITORIAL
            yield self._change(weight, "default_changed", place, told)
        if bool(new.get("deprecated")) != bool(old.get("deprecated")):
            told = "is deprecated" if new.get("deprecated") else "is no longer deprecated"
            weight = Weight.ADDITIVE if new.get("deprecated") else Weight.EDITORIAL
            yield self._change(weight, "property_deprecated", place, f"`{place}` {told}.")
        for name in sorted((old.keys() | new.keys()) - _UNDERSTOOD):
            if old.get(name) != new.get(name):
                if name.startswith("x-"):
                    told = f"`{place}`: the note `{name}` changed."
                    yield self._change(Weight.EDITORIAL, "note_changed", place, told)
                else:
                    told = f"`{place}`: the rule `{name}` changed."
                    yield self._change(Weight.BREAKING, "schema_rule_changed", place, told)
        if old.get("discriminator") != new.get("discriminator"):
            told = f"`{place}`: how its forms are told apart changed."
            yield self._change(Weight.BREAKING, "discriminator_changed", place, told)
        if old.get("description") != new.get("description"):
            yield self._change(Weight.EDITORIAL, "description_changed", place, f"`{place}` is described differently.")
        if any(old.get(name) != new.get(name) for name in ("examples", "example")):
            yield self._change(Weight.EDITORIAL, "examples_changed", place, f"`{place}` has other examples.")

    def _change(self, weight: Weight, kind: str, place: str, text: str) -> Change:
        return Change(weight, f"{self._flow.value}_{kind}", place, text)


def _forms(schema: Node) -> list[Any]:
    """The forms a value may take; a schema without alternatives is its only form."""
    if "$variants" in schema:
        return listed(schema["$variants"])
    return [{name: told for name, told in schema.items() if name != "$null"}]


def _openness(extras: Any) -> int:
    return 1 if isinstance(extras, dict) else 2 * bool(extras)


def _without_integer(types: frozenset[str], others: frozenset[str]) -> frozenset[str]:
    """Every integer is a number: it is neither lost nor gained where numbers stand on the other side."""
    return types - {"null"} - ({"integer"} if "number" in others else set())


def _types(schema: Node) -> frozenset[str]:
    if "type" not in schema:
        if "$variants" not in schema and "enum" not in schema:
            return ALL_TYPES
        told = {_JSON_TYPES.get(one.__class__.__name__, "object") for one in listed(schema.get("enum"))}
        return frozenset(told | {"null"} if schema.get("$null") else told)
    found = set(listed(schema["type"]))
    return frozenset(found | {"null"} if schema.get("$null") else found)


def _either(types: frozenset[str]) -> str:
    if types >= ALL_TYPES - {"null"}:
        return "anything"
    return " or ".join(sorted(types - {"null"})) or "nothing"


def _form(tree: Tree, variant: Any) -> str:
    return f"`{tree.name(variant) or tree.schema(variant).get('title') or _either(_types(tree.schema(variant)))}`"


def _values(values: list[Any]) -> str:
    return ", ".join(_value(one) for one in values)


def _value(value: Any) -> str:
    return "nothing" if value is None else f"`{value}`"
