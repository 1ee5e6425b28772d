"""Compares two AsyncAPI documents: channels, messages, operations; whoever listens is the one who may be broken."""

from __future__ import annotations

from collections.abc import Iterator

from shared.serving.differences.changes import Change, Flow, Node, Weight
from shared.serving.differences.reading import Tree, listed, node
from shared.serving.differences.schemas import SchemaComparison
from shared.serving.differences.security import compare_schemes

_Found = Iterator[tuple[str, Change]]
_SERVER = {"host": "address", "protocol": "protocol", "protocolVersion": "protocol version", "pathname": "path"}


def compare_asyncapi(old: Tree, new: Tree) -> _Found:
    """Every difference; the first part of each pair names the channel it reaches."""
    before, after = old.document, new.document
    infos = [node(one.get("info")) for one in (before, after)]
    if any(infos[0].get(name) != infos[1].get(name) for name in {*infos[0], *infos[1]} - {"version"}):
        yield "", Change(Weight.EDITORIAL, "info_changed", "document", "The document's introduction changed.")
    if before.get("defaultContentType") != after.get("defaultContentType"):
        told = f"Messages are written as {after.get('defaultContentType')}."
        yield "", Change(Weight.BREAKING, "content_type_changed", "document", told)
    yield from _servers(old, new)
    schemes = [node(node(one.get("components")).get("securitySchemes")) for one in (before, after)]
    for change in compare_schemes(schemes[0], schemes[1]):
        yield "", change
    yield from _channels(old, new)
    yield from _operations(old, new)


def _servers(old: Tree, new: Tree) -> _Found:
    before, after = (node(one.document.get("servers")) for one in (old, new))
    for name in sorted(after.keys() - before.keys()):
        yield "", Change(Weight.ADDITIVE, "server_added", "document", f"There is a server `{name}`.")
    for name in sorted(before.keys() - after.keys()):
        yield "", Change(Weight.BREAKING, "server_removed", "document", f"There is no server `{name}` any more.")
    for name in sorted(before.keys() & after.keys()):
        left, right = old.at(before[name]), new.at(after[name])
        for key, words in _SERVER.items():
            if left.get(key) != right.get(key):
                told = f"The {words} of server `{name}` is `{right.get(key)}` instead of `{left.get(key)}`."
                yield "", Change(Weight.BREAKING, "server_changed", "document", told)
        if listed(left.get("security")) != listed(right.get("security")):
            told = f"Server `{name}` asks for other credentials."
            weight = Weight.BREAKING if right.get("security") else Weight.ADDITIVE
            yield "", Change(weight, "server_security_changed", "document", told)


def _channels(old: Tree, new: Tree) -> _Found:
    before, after = (node(one.document.get("channels")) for one in (old, new))
    for name in sorted(after.keys() - before.keys()):
        yield name, Change(Weight.ADDITIVE, "channel_added", "channel", f"There is a channel `{name}`.")
    for name in sorted(before.keys() - after.keys()):
        yield name, Change(Weight.BREAKING, "channel_removed", "channel", f"There is no channel `{name}` any more.")
    for name in sorted(before.keys() & after.keys()):
        left, right = old.at(before[name]), new.at(after[name])
        if left.get("address") != right.get("address"):
            told = f"The address is `{right.get('address')}` instead of `{left.get('address')}`."
            yield name, Change(Weight.BREAKING, "channel_address_changed", "channel", told)
        if node(left.get("parameters")).keys() != node(right.get("parameters")).keys():
            told = "The parameters of the address changed."
            yield name, Change(Weight.BREAKING, "channel_parameters_changed", "channel", told)
        if any(left.get(word) != right.get(word) for word in ("title", "summary", "description")):
            yield (
                name,
                Change(Weight.EDITORIAL, "description_changed", "channel", "The channel is described differently."),
            )
        for change in _messages(old, new, node(left.get("messages")), node(right.get("messages"))):
            yield name, change


def _messages(old: Tree, new: Tree, before: Node, after: Node) -> Iterator[Change]:
    for name in sorted(after.keys() - before.keys()):  # who listens here meets a message it was never told of
        yield Change(Weight.BREAKING, "message_added", f"message {name}", f"The channel also carries `{name}`.")
    for name in sorted(before.keys() - after.keys()):
        yield Change(Weight.BREAKING, "message_removed", f"message {name}", f"The channel no longer carries `{name}`.")
    for name in sorted(before.keys() & after.keys()):
        left, right = old.at(before[name]), new.at(after[name])
        place = f"message {name}"
        if left.get("name") != right.get("name"):
            told = f"Its type is `{right.get('name')}` instead of `{left.get('name')}`."
            yield Change(Weight.BREAKING, "message_type_changed", place, told)
        if left.get("contentType") != right.get("contentType"):
            told = f"It is written as {right.get('contentType')}."
            yield Change(Weight.BREAKING, "content_type_changed", place, told)
        for part in ("headers", "payload"):
            yield from SchemaComparison(old, new, Flow.TOLD).compare(left.get(part, {}), right.get(part, {}), name)
        if any(left.get(word) != right.get(word) for word in ("title", "summary", "description", "examples", "tags")):
            yield Change(Weight.EDITORIAL, "description_changed", place, "The message is described differently.")


def _operations(old: Tree, new: Tree) -> _Found:
    before, after = (node(one.document.get("operations")) for one in (old, new))
    for name in sorted(after.keys() - before.keys()):
        yield name, Change(Weight.ADDITIVE, "operation_added", "operation", f"`{name}` is new.")
    for name in sorted(before.keys() - after.keys()):
        yield name, Change(Weight.BREAKING, "operation_removed", "operation", f"`{name}` is gone.")
    for name in sorted(before.keys() & after.keys()):
        left, right = old.at(before[name]), new.at(after[name])
        if any(left.get(key) != right.get(key) for key in ("action", "channel", "messages", "reply")):
            told = "It sends or receives something else."
            yield name, Change(Weight.BREAKING, "operation_changed", "operation", told)
        if any(left.get(word) != right.get(word) for word in ("title", "summary", "description", "tags")):
            yield name, Change(Weight.EDITORIAL, "description_changed", "operation", "It is described differently.")
