"""Rules about what is sent and answered: bodies, answers, problems, headers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deploy.openapi_rules.reading import Document, Operation, escaped
from deploy.openapi_rules.rule import Fault
from deploy.openapi_rules.rules import RULES

PROBLEM = "application/problem+json"
_ANSWER_HEADERS = ("X-Correlation-Id",)
_LIMIT_HEADERS = ("RateLimit", "RateLimit-Policy")
_WORDLESS = {"Successful Response", "OK", "Created", "Accepted", "No Content"}


@RULES.rule("body-shown", "Every request body is described and shows an example.")
def body_shown(document: Document) -> Iterator[Fault]:
    """The fastest way to a first call is a body that works."""
    for operation in document.operations:
        body = document.resolved(operation.told.get("requestBody", {}))
        if body and not body.get("description"):
            yield f"{operation.place}/requestBody", "has no description"
        for place, media in document.bodies(operation):
            if not media.get("examples") and "example" not in media:
                yield place, "has no example"


@RULES.rule("body-closed", "Objects of request bodies refuse members nobody declared.")
def body_closed(document: Document) -> Iterator[Fault]:
    """A misspelt member must not be lost silently, and nobody may set what they were not asked for."""
    waiting = [
        (f"{place}/schema", media.get("schema", {}))
        for operation in document.operations
        for place, media in document.bodies(operation)
        if "json" in place.rpartition("content/")[2]
    ]
    seen: set[str] = set()
    while waiting:
        place, schema = waiting.pop()
        if "$ref" in schema:
            reference = schema["$ref"]
            if reference not in seen:
                seen.add(reference)
                waiting.append((reference.removeprefix("#"), document.at(reference)))
            continue
        if (
            schema.get("type") == "object"
            and "properties" in schema
            and schema.get("additionalProperties") is not False
        ):
            yield place, "is open for any member"
        waiting += [(f"{place}/properties/{escaped(k)}", v) for k, v in schema.get("properties", {}).items()]
        for word in ("items", "additionalProperties"):
            if isinstance(schema.get(word), dict):
                waiting.append((f"{place}/{word}", schema[word]))
        for word in ("anyOf", "oneOf", "allOf"):
            waiting += [(f"{place}/{word}/{at}", inner) for at, inner in enumerate(schema.get(word, ()))]


@RULES.rule("answer-shown", "Every operation has a described success; its body shows an example.")
def answer_shown(document: Document) -> Iterator[Fault]:
    """What a caller may count on."""
    for operation in document.operations:
        successes = [one for one in document.answers(operation) if one[1][0] in "23"]
        if not successes:
            yield f"{operation.place}/responses", "no success is documented"
        for place, _, answer in successes:
            if not answer.get("description") or answer["description"] in _WORDLESS:
                yield place, "is not described in words of its own"
            for kind, media in answer.get("content", {}).items():
                if not media.get("examples") and "example" not in media:
                    yield f"{place}/content/{escaped(kind)}", "has no example"


@RULES.rule("no-bare-arrays", "Bodies and answers are objects, never bare arrays.")
def no_bare_arrays(document: Document) -> Iterator[Fault]:
    """An array cannot grow a member; an object can."""
    for operation in document.operations:
        for place, media in _all_media(document, operation):
            schema = document.resolved(media.get("schema", {}))
            if any(document.resolved(one).get("type") == "array" for one in document.branches(schema)):
                yield place, "is a bare array"


@RULES.rule("problems", "Every refusal is documented as a problem document of its own status, with an example.")
def problems(document: Document) -> Iterator[Fault]:
    """RFC 9457; the OAuth endpoints answer as RFC 6749 orders."""
    for operation in document.operations:
        wanted = {"404", "422", "429", "500", "503"} if operation.path.startswith("/") else set[str]()
        if operation.told.get("security"):
            wanted |= {"401", "403"}
        if operation.told.get("requestBody"):
            wanted |= {"400", "413", "415"}
        told = {status for _, status, _ in document.answers(operation)}
        for status in sorted(wanted - told):
            yield f"{operation.place}/responses", f"{status} is not documented"
        for place, status, answer in document.answers(operation):
            if status[0] in "45":
                yield from _problem(document, operation, place, status, answer)


def _problem(
    document: Document, operation: Operation, place: str, status: str, answer: dict[str, Any]
) -> Iterator[Fault]:
    content = answer.get("content", {})
    if operation.told.get("x-errors") == "RFC 6749" and "application/json" in content:
        return
    if operation.told.get("x-errors") == "probe" and "application/json" in content:
        return
    if PROBLEM not in content:
        yield place, f"is no {PROBLEM}"
        return
    examples = content[PROBLEM].get("examples", {})
    if not examples:
        yield place, "shows no example"
    for name, example in examples.items():
        shown = document.resolved(example).get("value", {})
        if str(shown.get("status")) != status:
            yield place, f"example {name} shows status {shown.get('status')}"


@RULES.rule("headers-told", "Answers name their headers: correlation id, limits, when to come back.")
def headers_told(document: Document) -> Iterator[Fault]:
    """`RateLimit` where a token's plan counts, `Retry-After` at 429 and 503."""
    for operation in document.operations:
        for place, status, answer in document.answers(operation):
            wanted = [*_ANSWER_HEADERS]
            if operation.told.get("security") and status[0] == "2":
                wanted += _LIMIT_HEADERS
            if status in {"429", "503"}:
                wanted.append("Retry-After")
            headers = answer.get("headers", {})
            for name in wanted:
                if name not in headers:
                    yield place, f"{name} is not told"
            for name, header in headers.items():
                if not document.resolved(header).get("description"):
                    yield f"{place}/headers/{name}", "has no description"


def _all_media(document: Document, operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from document.bodies(operation)
    for place, _, answer in document.answers(operation):
        for kind, media in answer.get("content", {}).items():
            yield f"{place}/content/{escaped(kind)}", media
