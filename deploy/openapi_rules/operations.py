"""Rules about operations: how they are called, who may call them, what they take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from deploy.openapi_rules.documents import is_list
from deploy.openapi_rules.reading import Document, Operation
from deploy.openapi_rules.rule import Fault
from deploy.openapi_rules.rules import RULES

_CAMEL = re.compile(r"^[a-z]+([A-Z][a-z0-9]*)+$")
VERBS = frozenset(
    "add amend approve assign authorize begin bind cancel check claim close create decide delete deliver disable "
    "enable end exchange export find get introspect issue list poll post preview put read redeliver register reject "
    "release remove renew replace replay request resume retry revoke rotate search send show start submit sum supply "
    "test withdraw".split()
)
_SNAKE = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")
_HEADER = re.compile(r"^[A-Z][A-Za-z0-9]*(-[A-Za-z0-9]+)*$|^DPoP$")
_LONGEST_SUMMARY = 70
_LEAST_DESCRIPTION = 12
_MOST_ROWS = 1000


@RULES.rule("operation-id", "Every operation has an id of its own: a verb and a noun in camelCase.")
def operation_id(document: Document) -> Iterator[Fault]:
    """Generated clients name their methods by it."""
    seen: dict[str, str] = {}
    for operation in document.operations:
        name = operation.told.get("operationId", "")
        if not name:
            yield f"{operation.place}/operationId", "is missing"
            continue
        if name in seen:
            yield f"{operation.place}/operationId", f"{name} is used by {seen[name]} too"
        seen[name] = operation.place
        verb = re.split(r"(?=[A-Z])", name, maxsplit=1)[0]
        if not _CAMEL.match(name) or verb not in VERBS:
            yield f"{operation.place}/operationId", f"{name} is no verb and noun in camelCase"


@RULES.rule("operation-tag", "Every operation has exactly one tag.")
def operation_tag(document: Document) -> Iterator[Fault]:
    """An operation stands in one chapter."""
    for operation in document.operations:
        if len(operation.told.get("tags", ())) != 1:
            yield f"{operation.place}/tags", f"{len(operation.told.get('tags', ()))} tags instead of one"


@RULES.rule("operation-summary", "Every operation has a summary of at most 70 characters without a full stop.")
def operation_summary(document: Document) -> Iterator[Fault]:
    """A line of a table of contents."""
    for operation in document.operations:
        summary = operation.told.get("summary", "")
        if not summary or len(summary) > _LONGEST_SUMMARY or summary.endswith("."):
            yield f"{operation.place}/summary", f"{summary!r} is no line of a table of contents"


@RULES.rule("operation-description", "Every operation says in a sentence what its summary does not.")
def operation_description(document: Document) -> Iterator[Fault]:
    """What comes back, in which order, what a repeat does."""
    for operation in document.operations:
        text = operation.told.get("description", "").strip()
        if len(text) < _LEAST_DESCRIPTION or text.rstrip(".") == operation.told.get("summary", "").rstrip("."):
            yield f"{operation.place}/description", "says nothing beyond the summary"


@RULES.rule("operation-security", "Every operation says who may call it; a public one says why it is public.")
def operation_security(document: Document) -> Iterator[Fault]:
    """An empty list is a decision and needs its reason (`x-public`)."""
    schemes = document.content.get("components", {}).get("securitySchemes", {})
    for operation in document.operations:
        security = operation.told.get("security")
        if security is None:
            yield f"{operation.place}/security", "is missing"
        elif not security and not operation.told.get("x-public"):
            yield f"{operation.place}/x-public", "does not say why it is reachable without a token"
        for need in security or ():
            for name, scopes in need.items():
                if name not in schemes:
                    yield f"{operation.place}/security", f"{name} is not declared"
                flows = schemes.get(name, {}).get("flows", {}).values()
                known: set[str] = {scope for flow in flows for scope in flow.get("scopes", {})}
                for scope in scopes:
                    if scope not in known:
                        yield f"{operation.place}/security", f"scope {scope} is not declared"


@RULES.rule("parameter-described", "Every parameter says what it means and shows a value.")
def parameter_described(document: Document) -> Iterator[Fault]:
    """In 3.1 a value may stand beside the parameter or in its schema."""
    for operation in document.operations:
        for place, one in document.parameters(operation):
            if not one.get("description"):
                yield place, f"{one.get('name')} has no description"
            if not _shows_a_value(document, one):
                yield place, f"{one.get('name')} has no example"


@RULES.rule("parameter-words", "Query and path parameters are snake_case, headers Title-Case.")
def parameter_words(document: Document) -> Iterator[Fault]:
    """The same words as in bodies."""
    for operation in document.operations:
        for place, one in document.parameters(operation):
            name = one.get("name", "")
            words = _HEADER if one.get("in") == "header" else _SNAKE
            if not words.match(name):
                yield place, f"{name} is not written like a {one.get('in')} parameter"


@RULES.rule(
    "list-pages",
    "Every list is read by cursor: `cursor` and a bounded `limit` in, `items` and `next_cursor` out.",
)
def list_pages(document: Document) -> Iterator[Fault]:
    """Offsets skip and repeat rows while others write; a list without a bound takes the house down."""
    for operation in document.operations:
        if operation.method != "get" or not is_list(document, operation.told):
            continue
        named = {one.get("name"): one for _, one in document.parameters(operation) if one.get("in") == "query"}
        place = f"{operation.place}/parameters"
        if "cursor" not in named:
            yield place, "a list without `cursor`"
        if not 1 <= named.get("limit", {}).get("schema", {}).get("maximum", 0) <= _MOST_ROWS:
            yield place, f"a list without a `limit` of at most {_MOST_ROWS}"
        for name in sorted({"page", "offset", "skip"} & named.keys()):
            yield place, f"`{name}` pages by number"
        yield from _reads_on(document, operation)


def _reads_on(document: Document, operation: Operation) -> Iterator[Fault]:
    for place, status, answer in document.answers(operation):
        for media in answer.get("content", {}).values() if status.startswith("2") else ():
            if "next_cursor" not in document.resolved(media.get("schema", {})).get("properties", {}):
                yield place, "a list without `next_cursor`"


@RULES.rule("creation-keys", "Every POST that creates or starts something (201, 202) takes an Idempotency-Key.")
def creation_keys(document: Document) -> Iterator[Fault]:
    """A lost answer must not mean a second invoice. What recognises repeats by itself says so in `x-repeat`."""
    for operation in document.operations:
        if operation.method != "post" or not {"201", "202"} & set(operation.told.get("responses", {})):
            continue
        names = {one.get("name") for _, one in document.parameters(operation)}
        if "Idempotency-Key" not in names and not operation.told.get("x-public"):
            yield f"{operation.place}/parameters", "creates without an Idempotency-Key"


def _shows_a_value(document: Document, parameter: dict[str, Any]) -> bool:
    schema = document.resolved(parameter.get("schema", {}))
    candidates = [parameter, schema, *map(document.resolved, document.branches(schema))]
    return any(word in one for one in candidates for word in ("example", "examples", "const", "enum"))
