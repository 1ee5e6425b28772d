"""Rules about schemas: every property says its meaning, shows a value, and is bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from deploy.openapi_rules.reading import Document
from deploy.openapi_rules.rule import Fault, Kind
from deploy.openapi_rules.rules import RULES

_SNAKE = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")
_UNBOUNDED = re.compile(r"(?<!\\)[*+]|\{\d+,\}")
_SHORT_FORMATS = frozenset({"date", "date-time", "uuid"})
_MONEY_NAMES = re.compile(r"^(.*_)?(amount|net|tax|gross|paid|total|budget|cap)$")
_SUMS = re.compile(r"pattern")
_FILLER = {"the", "a", "an", "of", "this", "its", "is", "it", "s", "our", "id", "identifier"}
# Members that standards outside this house name (JWK, RFC 8414, CloudEvents): their spelling is not ours.
_FOREIGN = frozenset({"specversion", "datacontenttype", "correlationid", "traceparent"})


@RULES.rule("schema-described", "Every named schema says what it is.")
def schema_described(document: Document) -> Iterator[Fault]:
    """A schema is a word of the business language."""
    for name, schema in document.content.get("components", {}).get("schemas", {}).items():
        if not schema.get("description"):
            yield f"/components/schemas/{name}", "has no description"


@RULES.rule("property-described", "Every property says what it means, beyond its name.")
def property_described(document: Document) -> Iterator[Fault]:
    """Meaning and unit; an enumeration may be described where it is declared, an amount of money never."""
    for node in document.properties:
        text = _description(document, node.schema)
        if not text:
            yield node.place, "has no description"
            continue
        said = {word for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in _FILLER}
        if said <= set((node.name or "").lower().split("_")) | _FILLER:
            yield node.place, f"{text!r} repeats the name"


@RULES.rule("property-shown", "Every property shows a value, or is made of things that do.")
def property_shown(document: Document) -> Iterator[Fault]:
    """Values of the sample firm; nested objects and lists are shown by their parts."""
    for node in document.properties:
        if not _is_shown(document, node.schema, ()):
            yield node.place, "has no example"


@RULES.rule("property-words", "Properties are snake_case.")
def property_words(document: Document) -> Iterator[Fault]:
    """One spelling; names given by a standard are listed here."""
    for node in document.properties:
        if not _SNAKE.match(node.name or "") and node.name not in _FOREIGN and not node.schema.get("x-standard"):
            yield node.place, f"{node.name} is not snake_case"


@RULES.rule("strings-bounded", "Every string is bounded: maxLength, enum, format or a pattern of bounded length.")
def strings_bounded(document: Document) -> Iterator[Fault]:
    """OWASP API4: what has no bound is a way to take the house down."""
    for node in document.nodes:
        if _has_type(node.schema, "string") and not _is_bounded(node.schema):
            yield node.place, "has no bound"


@RULES.rule("arrays-bounded", "Every array says how long it may be.")
def arrays_bounded(document: Document) -> Iterator[Fault]:
    """`maxItems`."""
    for node in document.nodes:
        if _has_type(node.schema, "array"):
            if "maxItems" not in node.schema:
                yield node.place, "has no maxItems"
            if "items" not in node.schema and "prefixItems" not in node.schema:
                yield node.place, "does not say what it holds"


@RULES.rule("numbers-bounded", "Every number has a least and a greatest value.")
def numbers_bounded(document: Document) -> Iterator[Fault]:
    """`minimum` and `maximum` (or exclusive ones)."""
    for node in document.nodes:
        if (_has_type(node.schema, "integer") or _has_type(node.schema, "number")) and not (
            {"enum", "const"} & node.schema.keys()
        ):
            if not {"minimum", "exclusiveMinimum"} & node.schema.keys():
                yield node.place, "has no minimum"
            if not {"maximum", "exclusiveMaximum"} & node.schema.keys():
                yield node.place, "has no maximum"


@RULES.rule("maps-bounded", "Every object with free members says how many there may be.")
def maps_bounded(document: Document) -> Iterator[Fault]:
    """`maxProperties`."""
    for node in document.nodes:
        if not _has_type(node.schema, "object") or node.schema.get("properties"):
            continue
        if node.schema.get("additionalProperties") is not False and "maxProperties" not in node.schema:
            yield node.place, "has free members without maxProperties"


@RULES.rule("money", "Sums of money are Money: an amount with its currency, never a bare number.")
def money(document: Document) -> Iterator[Fault]:
    """The amount of Money itself stands beside its currency."""
    for node in document.properties:
        if not _MONEY_NAMES.match(node.name or ""):
            continue
        owner = document.at("#" + node.place.rsplit("/properties/", 1)[0])
        if "currency" in owner.get("properties", {}) and node.name == "amount":
            continue
        for branch in document.branches(node.schema):
            target = document.resolved(branch)
            if target.get("type") in {"string", "number", "integer"} and "enum" not in target:
                yield node.place, "is money without a currency"


@RULES.rule("numbers-exact", "Decimals travel as strings: a float loses cents.")
def numbers_exact(document: Document) -> Iterator[Fault]:
    """JSON numbers become binary floats in most languages; seconds and shares of the machine may."""
    for node in document.properties:
        for branch in document.branches(node.schema):
            if branch.get("type") == "number" and not re.search(
                r"second", f"{node.name} {branch.get('description', '')}"
            ):
                yield node.place, "is a JSON number; decimals are strings"


@RULES.rule("dates", "Days (`…_on`) are `date`, instants (`…_at`) are `date-time`, and nothing else is.")
def dates(document: Document) -> Iterator[Fault]:
    """The name tells a person what the format tells a program."""
    for node in document.properties:
        name = node.name or ""
        for branch in document.branches(node.schema):
            found = document.resolved(branch).get("format")
            if name.endswith("_on") and found != "date":
                yield node.place, f"{name} is a day but has format {found}"
            if name.endswith("_at") and found != "date-time":
                yield node.place, f"{name} is an instant but has format {found}"
            if found == "date" and not re.search(r"_(on|from|to|until)$", name):
                yield node.place, f"{name} is a day but is not called …_on"


for _rule in ("schema-described", "property-described", "property-shown", "strings-bounded", "arrays-bounded"):
    _found = next(one for one in RULES.rules if one.id == _rule)
    RULES.rule(f"event-{_rule}", _found.sentence, kind=Kind.ASYNCAPI)(_found.check)
for _rule in ("numbers-bounded", "maps-bounded", "money", "numbers-exact", "dates", "property-words"):
    _found = next(one for one in RULES.rules if one.id == _rule)
    RULES.rule(f"event-{_rule}", _found.sentence, kind=Kind.ASYNCAPI)(_found.check)


def _description(document: Document, schema: dict[str, Any]) -> str:
    if schema.get("description"):
        return str(schema["description"])
    for branch in document.branches(schema):
        if branch.get("description"):
            return str(branch["description"])
        target = document.resolved(branch)
        if target is not branch and "enum" in target and target.get("description"):
            return str(target["description"])
    return ""


def _is_shown(document: Document, schema: dict[str, Any], above: tuple[str, ...]) -> bool:
    if {"examples", "example", "enum", "const"} & schema.keys():
        return True
    reference = schema.get("$ref")
    if reference in above:
        return True
    target = document.resolved(schema)
    if target is not schema:
        return _is_shown(document, target, (*above, str(reference)))
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return any(_is_shown(document, one, above) for one in schema[word] if one.get("type") != "null")
    if _has_type(schema, "array"):
        return _is_shown(document, schema.get("items", {}), above)
    return bool(schema.get("properties"))


def _has_type(schema: dict[str, Any], name: str) -> bool:
    told = schema.get("type")
    return told == name or (isinstance(told, list) and name in told)


def _is_bounded(schema: dict[str, Any]) -> bool:
    if {"maxLength", "enum", "const"} & schema.keys() or schema.get("format") in _SHORT_FORMATS:
        return True
    pattern = schema.get("pattern", "")
    return pattern.startswith("^") and pattern.endswith("$") and not _UNBOUNDED.search(pattern)
