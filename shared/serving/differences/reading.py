"""Documents as trees: YAML read fast, references followed, schemas brought into one form; nothing is compared here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import yaml

from shared.documents import read_yaml
from shared.serving.differences.changes import Node

_ADD_UP = frozenset({"properties", "patternProperties", "required", "title", "description", "examples", "example"})
_WORDS = ("title", "description", "examples", "example", "$comment", "externalDocs", "xml")
_BESIDE = frozenset({*_WORDS, "default", "deprecated", "readOnly", "writeOnly", "discriminator", "$defs"})


class DocumentUnreadable(Exception):
    """A file is no document that can be compared; the message names file and reason."""


def read_document(path: Path) -> Node:
    """The document in a file.

    Raises: DocumentUnreadable.
    """
    try:
        return parsed(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentUnreadable(f"{path}: {error}") from error


def parsed(text: str, name: str) -> Node:
    """The document in a text; JSON is YAML, too.

    Raises: DocumentUnreadable.
    """
    try:
        document: Any = read_yaml(text)
    except yaml.YAMLError as error:
        raise DocumentUnreadable(f"{name}: {error}") from error
    if not isinstance(document, dict) or not {"openapi", "asyncapi"} & cast("Node", document).keys():
        raise DocumentUnreadable(f"{name}: neither an OpenAPI nor an AsyncAPI document")
    return cast("Node", document)


def node(value: Any) -> Node:
    """The mapping, or an empty one."""
    return cast("Node", value) if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """The list, or an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


class Tree:
    """A document whose references can be followed."""

    def __init__(self, document: Node) -> None:
        """The whole document."""
        self.document = document

    def at(self, value: Any) -> Node:
        """What stands here, after following references inside the document; what leads nowhere is empty."""
        found = node(value)
        for _ in range(20):
            reference = found.get("$ref")
            if not isinstance(reference, str):
                break
            target = self._target(reference)
            beside = {name: told for name, told in found.items() if name != "$ref"}
            found = {**target, **beside}
        return found

    def name(self, value: Any) -> str:
        """The component's name a reference leads to, or nothing."""
        reference = node(value).get("$ref")
        return reference.rpartition("/")[2] if isinstance(reference, str) else ""

    def schema(self, value: Any) -> Node:
        """A schema in one form: references followed, `allOf` merged, `null` among the types, `const` as `enum`."""
        found = dict(self.at(value))
        for part in listed(found.pop("allOf", None)):
            found = _merged(found, self.schema(part))
        if "const" in found:
            found["enum"] = [found.pop("const")]
        variants = [*listed(found.pop("anyOf", None)), *listed(found.pop("oneOf", None))]
        if variants and any(name not in _BESIDE and not name.startswith("x-") for name in found):
            found["$both"] = variants  # bounds beside alternatives: any change of either is taken seriously
        elif variants:
            found = self._of_variants(found, variants)
        if isinstance(found.get("type"), str):
            found["type"] = [found["type"]]
        return found

    def _of_variants(self, outer: Node, variants: list[Any]) -> Node:
        real = [one for one in variants if self.at(one).get("type") != "null"]
        if len(real) == 1:
            inner = self.schema(real[0])
            words = {name: told for name, told in outer.items() if name in _WORDS}
            found = {**_merged(inner, {k: told for k, told in outer.items() if k not in words}), **words}
            if "$ref" in node(real[0]):
                found["$name"] = self.name(real[0])
        else:
            found = {**outer, "$variants": real}
        if len(real) < len(variants):
            found["$null"] = True
        return found

    def _target(self, reference: str) -> Node:
        place: Any = self.document
        for part in reference.removeprefix("#/").split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            place = node(place).get(key)
        return node(place)


def _merged(left: Node, right: Node) -> Node:
    """Both at once, as far as schemas here use it: properties and required add up, else the right one is said."""
    made = {**left, **right}
    if any(left[name] != right[name] for name in left.keys() & right.keys() - _ADD_UP):
        made["$both"] = [left, right]  # two rules about one thing: any change of either is taken seriously
    for name in ("properties", "patternProperties"):
        if name in left and name in right:
            both = {**left[name]}
            for key, told in right[name].items():
                both[key] = {"allOf": [both[key], told]} if key in both else told
            made[name] = both
    if "required" in left and "required" in right:
        made["required"] = sorted({*left["required"], *right["required"]})
    return made
