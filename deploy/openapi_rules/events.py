"""Rules about the AsyncAPI document: channels, messages and operations are described and belong together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from deploy.openapi_rules.documents import references
from deploy.openapi_rules.reading import Document, escaped
from deploy.openapi_rules.rule import Fault, Kind
from deploy.openapi_rules.rules import RULES

_LEAST_DESCRIPTION = 40
_SEMVER = re.compile(r"^\d+\.\d+\.\d+$")
_ADDRESS_PARAMETER = re.compile(r"\{([a-z_]+)\}")


@RULES.rule("event-info", "Version 3, title, release, description, contact and licence are told.", kind=Kind.ASYNCAPI)
def event_info(document: Document) -> Iterator[Fault]:
    """As for APIs."""
    content = document.content
    if not str(content.get("asyncapi", "")).startswith("3."):
        yield "/asyncapi", f"is {content.get('asyncapi')!r}, not 3"
    info: dict[str, Any] = content.get("info", {})
    if not info.get("title") or not _SEMVER.match(str(info.get("version", ""))):
        yield "/info", "needs a title and a semantic version"
    if len(info.get("description", "")) < _LEAST_DESCRIPTION:
        yield "/info/description", f"says less than {_LEAST_DESCRIPTION} characters"
    if not info.get("contact", {}).get("name"):
        yield "/info/contact", "is missing"
    if not info.get("license", {}).get("name"):
        yield "/info/license", "is missing"


@RULES.rule(
    "event-channels", "Every channel is described, and so is each parameter of its address.", kind=Kind.ASYNCAPI
)
def event_channels(document: Document) -> Iterator[Fault]:
    """Where a fact is told, and to whom."""
    for name, channel in document.content.get("channels", {}).items():
        place = f"/channels/{escaped(name)}"
        if not channel.get("description"):
            yield place, "has no description"
        if not channel.get("messages"):
            yield place, "carries no message"
        told = channel.get("parameters", {})
        for parameter in _ADDRESS_PARAMETER.findall(channel.get("address", "")):
            if not told.get(parameter, {}).get("description"):
                yield f"{place}/parameters", f"{parameter} has no description"


@RULES.rule(
    "event-messages",
    "Every message has a name, a summary, a content type, a payload and an example.",
    kind=Kind.ASYNCAPI,
)
def event_messages(document: Document) -> Iterator[Fault]:
    """What a reader gets."""
    for name, message in document.content.get("components", {}).get("messages", {}).items():
        place = f"/components/messages/{escaped(name)}"
        for word in ("name", "title", "summary", "description", "contentType", "payload", "examples"):
            if not message.get(word):
                yield place, f"has no {word}"


@RULES.rule(
    "event-operations", "Every operation has an action, a summary, a channel and messages of it.", kind=Kind.ASYNCAPI
)
def event_operations(document: Document) -> Iterator[Fault]:
    """Who sends, who receives."""
    for name, operation in document.content.get("operations", {}).items():
        place = f"/operations/{escaped(name)}"
        if operation.get("action") not in {"send", "receive"}:
            yield place, "neither sends nor receives"
        if not operation.get("summary"):
            yield place, "has no summary"
        channel = operation.get("channel", {}).get("$ref", "")
        if not document.at(channel):
            yield place, "names no channel"
        for message in operation.get("messages", ()):
            if not message.get("$ref", "").startswith(f"{channel}/messages/"):
                yield place, f"{message.get('$ref')} is no message of its channel"


@RULES.rule("event-references", "Every `$ref` leads to something in the document.", kind=Kind.ASYNCAPI)
def event_references(document: Document) -> Iterator[Fault]:
    """A dead reference makes every generated reader fail."""
    for place, reference in references(document.content, ""):
        if not document.at(reference):
            yield place, f"{reference} leads nowhere"
