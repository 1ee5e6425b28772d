"""Compares two operations: parameters, bodies, answers, security; schemas are left to their own room."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.serving.differences.changes import Change, Flow, Node, Weight
from shared.serving.differences.reading import Tree, listed, node
from shared.serving.differences.schemas import SchemaComparison
from shared.serving.differences.security import compare_security

_STYLES = ("style", "explode", "allowReserved", "allowEmptyValue", "content")
_WORDS = {"summary": "summary", "description": "description", "tags": "tags", "externalDocs": "further reading"}
_UNDERSTOOD = frozenset(
    {
        *_WORDS,
        "operationId",
        "parameters",
        "requestBody",
        "responses",
        "security",
        "deprecated",
        "servers",
        "x-masked-unless-scope",
    }
)
MASKS = "x-masked-unless-scope"


class OperationComparison:
    """One operation of two documents; `is_ours`: we send the request (a webhook), so data flows the other way."""

    def __init__(self, old: Tree, new: Tree, *, is_ours: bool = False) -> None:
        """Both documents, for their references."""
        self._old = old
        self._new = new
        self._asked = Flow.TOLD if is_ours else Flow.ASKED

    def compare(self, old: Node, new: Node, shared: tuple[list[Any], list[Any]]) -> Iterator[Change]:
        """Every difference; `shared` are the parameters of the two path items."""
        if old.get("operationId") != new.get("operationId"):
            told = f"The operation is called `{new.get('operationId')}` instead of `{old.get('operationId')}`."
            yield Change(Weight.BREAKING, "operation_id_changed", "operation", told)
        before, after = listed(old.get("parameters")), listed(new.get("parameters"))
        yield from self._parameters([*shared[0], *before], [*shared[1], *after])
        yield from self._body(old, new)
        yield from self._answers(old, new)
        yield from compare_security(
            old.get("security", self._old.document.get("security")),
            new.get("security", self._new.document.get("security")),
        )
        yield from self._words(old, new)

    def _parameters(self, old: list[Any], new: list[Any]) -> Iterator[Change]:
        before, after = _by_place(self._old, old), _by_place(self._new, new)
        for key in sorted(after.keys() - before.keys()):
            place = _called(after[key])
            if after[key].get("required"):
                told = f"The {place} is new and must be sent."
                yield Change(Weight.BREAKING, "required_parameter_added", place, told)
            else:
                yield Change(Weight.ADDITIVE, "parameter_added", place, f"The {place} can now be sent.")
        for key in sorted(before.keys() - after.keys()):
            place = _called(before[key])
            yield Change(Weight.BREAKING, "parameter_removed", place, f"The {place} is gone.")
        for key in sorted(before.keys() & after.keys()):
            yield from self._parameter(before[key], after[key])

    def _parameter(self, old: Node, new: Node) -> Iterator[Change]:
        place = _called(new)
        if old.get("name") != new.get("name") and new.get("in") == "path":
            told = f"The {_called(old)} is now called `{new.get('name')}`; addresses stay as they are."
            yield Change(Weight.EDITORIAL, "path_parameter_renamed", place, told)
        if bool(old.get("required")) != bool(new.get("required")):
            if new.get("required"):
                yield Change(Weight.BREAKING, "parameter_became_required", place, f"The {place} must now be sent.")
            else:
                yield Change(Weight.ADDITIVE, "parameter_became_optional", place, f"The {place} can now be left out.")
        if any(old.get(name) != new.get(name) for name in _STYLES):
            yield Change(Weight.BREAKING, "parameter_style_changed", place, f"The {place} is written differently.")
        if bool(old.get("deprecated")) != bool(new.get("deprecated")):
            weight = Weight.ADDITIVE if new.get("deprecated") else Weight.EDITORIAL
            state = "is deprecated" if new.get("deprecated") else "is no longer deprecated"
            yield Change(weight, "parameter_deprecated", place, f"The {place} {state}.")
        yield from SchemaComparison(self._old, self._new, Flow.ASKED).compare(
            old.get("schema", {}), new.get("schema", {}), str(new.get("name"))
        )
        if any(old.get(name) != new.get(name) for name in ("description", "examples", "example")):
            told = f"The {place} is explained differently."
            yield Change(Weight.EDITORIAL, "parameter_explained_differently", place, told)

    def _body(self, old: Node, new: Node) -> Iterator[Change]:
        before, after = self._old.at(old.get("requestBody")), self._new.at(new.get("requestBody"))
        if not before and not after:
            return
        if not before:
            weight = Weight.BREAKING if after.get("required") else Weight.ADDITIVE
            must = "must" if after.get("required") else "can"
            yield Change(weight, "request_body_added", "request body", f"A request body {must} now be sent.")
        elif not after:
            yield Change(Weight.BREAKING, "request_body_removed", "request body", "The request body is gone.")
        else:
            if bool(before.get("required")) != bool(after.get("required")):
                weight = Weight.BREAKING if after.get("required") else Weight.ADDITIVE
                told = f"The request body {'must' if after.get('required') else 'need not'} be sent now."
                yield Change(weight, "request_body_required_changed", "request body", told)
            yield from self._media(before, after, self._asked, "request body")
            if before.get("description") != after.get("description"):
                told = "The request body is described differently."
                yield Change(Weight.EDITORIAL, "description_changed", "request body", told)

    def _answers(self, old: Node, new: Node) -> Iterator[Change]:
        before, after = node(old.get("responses")), node(new.get("responses"))
        for status in sorted(after.keys() - before.keys()):
            is_failure = str(status)[0] in "45d"
            weight = Weight.ADDITIVE if is_failure else Weight.BREAKING
            yield Change(weight, "answer_added", f"answer {status}", f"The answer may now be {status}.")
        for status in sorted(before.keys() - after.keys()):
            yield Change(Weight.BREAKING, "answer_removed", f"answer {status}", f"The answer {status} is gone.")
        for status in sorted(before.keys() & after.keys()):
            yield from self._answer(self._old.at(before[status]), self._new.at(after[status]), f"answer {status}")

    def _answer(self, old: Node, new: Node, place: str) -> Iterator[Change]:
        yield from self._media(old, new, self._asked.other, place)
        before, after = _headers(old), _headers(new)
        for name in sorted(after.keys() - before.keys()):
            yield Change(Weight.ADDITIVE, "answer_header_added", place, f"The {place} carries the header `{name}`.")
        for name in sorted(before.keys() - after.keys()):
            told = f"The {place} no longer carries the header `{name}`."
            yield Change(Weight.BREAKING, "answer_header_removed", place, told)
        for name in sorted(before.keys() & after.keys()):
            left, right = self._old.at(before[name]), self._new.at(after[name])
            if left.get("required") and not right.get("required"):
                told = f"The header `{name}` of the {place} may now be missing."
                yield Change(Weight.BREAKING, "answer_header_became_optional", place, told)
            elif right.get("required") and not left.get("required"):
                told = f"The header `{name}` of the {place} is now always there."
                yield Change(Weight.ADDITIVE, "answer_header_became_required", place, told)
            yield from SchemaComparison(self._old, self._new, Flow.TOLD).compare(
                left.get("schema", {}), right.get("schema", {}), f"header {name}"
            )
        if old.get("description") != new.get("description"):
            yield Change(Weight.EDITORIAL, "description_changed", place, f"The {place} is described differently.")

    def _media(self, old: Node, new: Node, flow: Flow, place: str) -> Iterator[Change]:
        before, after = node(old.get("content")), node(new.get("content"))
        for kind in sorted(after.keys() - before.keys()):
            yield Change(Weight.ADDITIVE, "media_type_added", place, f"The {place} is also spoken as {kind}.")
        for kind in sorted(before.keys() - after.keys()):
            yield Change(Weight.BREAKING, "media_type_removed", place, f"The {place} is no longer spoken as {kind}.")
        for kind in sorted(before.keys() & after.keys()):
            yield from SchemaComparison(self._old, self._new, flow).compare(
                node(before[kind]).get("schema", {}), node(after[kind]).get("schema", {}), place
            )
            if any(node(before[kind]).get(name) != node(after[kind]).get(name) for name in ("example", "examples")):
                yield Change(Weight.EDITORIAL, "examples_changed", place, f"The {place} has other examples.")

    def _words(self, old: Node, new: Node) -> Iterator[Change]:
        if bool(old.get("deprecated")) != bool(new.get("deprecated")):
            weight = Weight.ADDITIVE if new.get("deprecated") else Weight.EDITORIAL
            state = "is deprecated" if new.get("deprecated") else "is no longer deprecated"
            yield Change(weight, "operation_deprecated", "operation", f"The operation {state}.")
        for name, words in _WORDS.items():
            if old.get(name) != new.get(name):
                yield Change(Weight.EDITORIAL, f"{name}_changed", "operation", f"The operation's {words} changed.")
        if old.get("servers") != new.get("servers"):
            told = "The operation is reached at other addresses."
            yield Change(Weight.BREAKING, "servers_changed", "operation", told)
        yield from _masks(node(old.get(MASKS)), node(new.get(MASKS)))
        for name in sorted((old.keys() | new.keys()) - _UNDERSTOOD):
            if old.get(name) != new.get(name):
                is_note = name.startswith("x-")
                weight = Weight.EDITORIAL if is_note else Weight.BREAKING
                kind = "note_changed" if is_note else "operation_rule_changed"
                yield Change(weight, kind, "operation", f"The operation's `{name}` changed.")


def _masks(old: Node, new: Node) -> Iterator[Change]:
    """Fields that are hidden from callers without a scope."""
    for name in sorted(new.keys() - old.keys()):
        told = f"`{name}` is hidden without the scope `{node(new[name]).get('scope')}`."
        yield Change(Weight.BREAKING, "field_masked", name, told)
    for name in sorted(old.keys() - new.keys()):
        yield Change(Weight.ADDITIVE, "field_unmasked", name, f"`{name}` is shown to every caller.")
    for name in sorted(old.keys() & new.keys()):
        if old[name] != new[name]:
            yield Change(Weight.BREAKING, "field_masked", name, f"`{name}` is hidden by another rule.")


def _by_place(tree: Tree, parameters: list[Any]) -> dict[tuple[str, str], Node]:
    """Parameters by where they stand: those of the path by their place in it, headers without regard to case."""
    found: dict[tuple[str, str], Node] = {}
    for number, told in enumerate(parameters):
        one = tree.at(told)
        name, where = str(one.get("name")), str(one.get("in"))
        key = name.lower() if where == "header" else f"#{number}" if where == "path" else name
        found[where, key] = one
    return _numbered(found)


def _numbered(found: dict[tuple[str, str], Node]) -> dict[tuple[str, str], Node]:
    paths = [one for (where, _), one in found.items() if where == "path"]
    rest = {key: one for key, one in found.items() if key[0] != "path"}
    return rest | {("path", str(number)): one for number, one in enumerate(paths)}


def _called(parameter: Node) -> str:
    kinds = {"query": "query parameter", "header": "header", "path": "path parameter", "cookie": "cookie"}
    return f"{kinds.get(str(parameter.get('in')), 'parameter')} `{parameter.get('name')}`"


def _headers(answer: Node) -> Node:
    return {name.lower(): told for name, told in node(answer.get("headers")).items()}
