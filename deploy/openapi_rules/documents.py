"""Rules about a whole document: who answers for it, its tags, its paths, its references."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

from deploy.openapi_rules.reading import Document, escaped, members
from deploy.openapi_rules.rule import Fault, Severity
from deploy.openapi_rules.rules import RULES

_KEBAB = re.compile(r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")
_PARAMETER = re.compile(r"^\{[a-z][a-z0-9_]*\}$")
# Names that a standard gave, not we: RFC 8414, RFC 9728, RFC 9727, RFC 6749 and the probes every scheduler asks for.
_STANDARD = re.compile(r"^/(\.well-known|oauth|health|ready)(/|$)")
_MASS_NOUNS = frozenset({"work", "unapplied-cash", "work-in-progress", "usage", "board"})
_SEMVER = re.compile(r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$")
_LEAST_DESCRIPTION = 40


@RULES.rule("openapi-version", "The document is OpenAPI 3.1.")
def openapi_version(document: Document) -> Iterator[Fault]:
    """3.1 schemas are JSON Schema 2020-12."""
    if not str(document.content.get("openapi", "")).startswith("3.1."):
        yield "/openapi", f"is {document.content.get('openapi')!r}, not 3.1"


@RULES.rule("info-complete", "Title, release, description, contact and licence are told.")
def info_complete(document: Document) -> Iterator[Fault]:
    """Whom to ask, on what terms, which release."""
    info: dict[str, Any] = document.content.get("info", {})
    if not info.get("title"):
        yield "/info/title", "is missing"
    if not _SEMVER.match(str(info.get("version", ""))):
        yield "/info/version", f"{info.get('version')!r} is no semantic version"
    if len(info.get("description", "")) < _LEAST_DESCRIPTION:
        yield "/info/description", f"says less than {_LEAST_DESCRIPTION} characters"
    contact = info.get("contact", {})
    if not contact.get("name") or not (contact.get("url") or contact.get("email")):
        yield "/info/contact", "needs a name and an address (url or email)"
    licence = info.get("license", {})
    if not licence.get("name") or not (licence.get("identifier") or licence.get("url")):
        yield "/info/license", "needs a name and an SPDX identifier or url"


@RULES.rule("tags-described", "Every tag in use is declared once, with a description.")
def tags_described(document: Document) -> Iterator[Fault]:
    """Tags are the chapters of the reader's manual."""
    declared: dict[str, dict[str, Any]] = {}
    for at, tag in enumerate(document.content.get("tags", ())):
        if tag.get("name") in declared:
            yield f"/tags/{at}", f"{tag.get('name')} is declared twice"
        declared[tag.get("name", "")] = tag
        if not tag.get("description"):
            yield f"/tags/{at}", f"{tag.get('name')} has no description"
    for operation in document.operations:
        for name in operation.told.get("tags", ()):
            if name not in declared:
                yield f"{operation.place}/tags", f"{name} is not declared"


@RULES.rule("path-words", "Path segments are kebab-case, versions `v1`, parameters `{snake_case}`.")
def path_words(document: Document) -> Iterator[Fault]:
    """One way to write a path."""
    for path in document.content.get("paths", {}):
        if _STANDARD.match(path):
            continue
        for part in path.strip("/").split("/"):
            if not _KEBAB.match(part) and not _PARAMETER.match(part):
                yield f"/paths/{escaped(path)}", f"{part} is neither kebab-case nor a {{snake_case}} parameter"
        if path.endswith("/") and path != "/":
            yield f"/paths/{escaped(path)}", "ends with a slash"


@RULES.rule("path-plurals", "What an id is chosen from, and what a list is read from, is a plural noun.")
def path_plurals(document: Document) -> Iterator[Fault]:
    """`/projects/{project_id}`; mass nouns (work, cash) are listed here."""
    for path in document.content.get("paths", {}):
        if _STANDARD.match(path):
            continue
        parts = path.strip("/").split("/")
        collections = {before for before, after in pairwise(parts) if after.startswith("{")}
        if any(operation.path == path and is_list(document, operation.told) for operation in document.operations):
            collections.add(parts[-1])
        for part in sorted(collections):
            if not part.startswith("{") and not part.endswith("s") and part not in _MASS_NOUNS:
                yield f"/paths/{escaped(path)}", f"{part} is no plural"


@RULES.rule("references-lead-somewhere", "Every `$ref` leads to something in the document.")
def references_lead_somewhere(document: Document) -> Iterator[Fault]:
    """A dead reference makes every generated client fail."""
    for place, reference in references(document.content, ""):
        if not reference.startswith("#/") or not document.at(reference):
            yield place, f"{reference} leads nowhere"


@RULES.rule("components-used", "Nothing is carried along that nothing refers to.", severity=Severity.WARNING)
def components_used(document: Document) -> Iterator[Fault]:
    """Dead schemas mislead readers and generators."""
    used = {reference for _, reference in references(document.content, "")}
    for kind, named in document.content.get("components", {}).items():
        if kind != "securitySchemes":
            for name in named:
                if f"#/components/{kind}/{escaped(name)}" not in used:
                    yield f"/components/{kind}/{escaped(name)}", "is referred to by nothing"


def references(node: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every `$ref` with its place."""
    for key, value in members(node).items():
        if key == "$ref" and isinstance(value, str):
            yield place, value
        elif key not in {"examples", "example", "default", "const", "enum"}:
            yield from references(value, f"{place}/{escaped(key)}")
    if isinstance(node, list):
        for at, value in enumerate(cast("list[Any]", node)):
            yield from references(value, f"{place}/{at}")


def is_list(document: Document, operation: dict[str, Any]) -> bool:
    """Whether its answer is a page: an object with `items`."""
    for status, answer in operation.get("responses", {}).items():
        if str(status).startswith("2"):
            for media in document.resolved(answer).get("content", {}).values():
                schema = document.resolved(media.get("schema", {}))
                if document.resolved(schema.get("properties", {}).get("items", {})).get("type") == "array":
                    return True
    return False
