"""Compares two whole documents, OpenAPI or AsyncAPI; files are read elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from shared.serving.differences.changes import Change, Node, Weight, gathered
from shared.serving.differences.events import compare_asyncapi
from shared.serving.differences.operations import OperationComparison
from shared.serving.differences.reading import Tree, listed, node
from shared.serving.differences.security import compare_schemes

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_DATES = {
    "x-deprecated-at": "is deprecated since",
    "x-sunset-at": "stops answering at",
    "x-successor": "is followed by",
    "x-notice": "is explained at",
}
_PARAMETER = re.compile(r"\{[^}]*\}")
_VERSION = re.compile(r"/v\d+/")
_Found = Iterator[tuple[str, Change]]
_Operation = tuple[str, Node, list[Any]]


def differences(old: Node, new: Node, *, across_versions: bool = False) -> tuple[Change, ...]:
    """Every difference between two documents of one kind, heaviest first; the release number itself is none.

    `across_versions`: of two major versions side by side; that they are served under `/v1` and `/v2` is no difference,
    nor is how far each is in its life.
    """
    kinds = tuple("asyncapi" if "asyncapi" in one else "openapi" for one in (old, new))
    if kinds[0] != kinds[1]:
        told = f"The document is {kinds[1]} instead of {kinds[0]}."
        return (Change(Weight.BREAKING, "document_kind_changed", "document", told),)
    trees = Tree(old), Tree(new)
    found = gathered(compare_asyncapi(*trees) if kinds[0] == "asyncapi" else _openapi(*trees, across_versions))
    if across_versions:
        return tuple(change for change in found if change.place != "version")
    if not found and _without_release(old) != _without_release(new):
        told = "The document is written differently; nothing changed for callers."
        return (Change(Weight.EDITORIAL, "document_edited", "document", told),)
    return found


def _openapi(old: Tree, new: Tree, across: bool) -> _Found:  # noqa: FBT001 - handed on
    before, after = old.document, new.document
    yield from _of_document(_info(node(before.get("info")), node(after.get("info"))))
    yield from _of_document(_servers(before, after))
    schemes = [node(node(one.get("components")).get("securitySchemes")) for one in (before, after)]
    yield from _of_document(compare_schemes(schemes[0], schemes[1]))
    if before.get("tags") != after.get("tags"):
        yield "", Change(Weight.EDITORIAL, "tags_changed", "document", "The groups of operations are told differently.")
    yield from _paths(old, new, "paths", across)
    yield from _paths(old, new, "webhooks", across)


def _paths(old: Tree, new: Tree, where: Literal["paths", "webhooks"], across: bool) -> _Found:  # noqa: FBT001 - handed on
    before, after = _operations(old, where, across), _operations(new, where, across)
    comparison = OperationComparison(old, new, is_ours=where == "webhooks")
    for key in sorted(after.keys() - before.keys()):
        name = after[key][0]
        yield name, Change(Weight.ADDITIVE, "operation_added", "operation", f"`{name}` is new.")
    for key in sorted(before.keys() - after.keys()):
        name = before[key][0]
        yield name, Change(Weight.BREAKING, "operation_removed", "operation", f"`{name}` is gone.")
    for key, (_, told, shared) in before.items():
        if key in after:
            name, now, shared_now = after[key]
            for change in comparison.compare(told, now, (shared, shared_now)):
                yield name, change


def _operations(tree: Tree, where: str, across: bool) -> dict[tuple[str, str], _Operation]:  # noqa: FBT001 - handed on
    """Operations by method and path; the names of path parameters make no difference."""
    found: dict[tuple[str, str], _Operation] = {}
    for path, told in node(tree.document.get(where)).items():
        item = tree.at(told)
        for method in METHODS:
            if method in item:
                shape = _PARAMETER.sub("{}", path)
                key = (method, _VERSION.sub("/", shape, count=1) if across else shape)
                found[key] = (f"{method.upper()} {path}", node(item[method]), listed(item.get("parameters")))
    return found


def _info(old: Node, new: Node) -> Iterator[Change]:
    before, after = str(old.get("x-lifecycle", "active")), str(new.get("x-lifecycle", "active"))
    if before != after:
        is_sudden = after == "retired" and before != "deprecated"
        weight = Weight.BREAKING if is_sudden else Weight.ADDITIVE
        told = f"This version is {after}; it was {before}."
        yield Change(weight, "lifecycle_changed", "version", told)
    yield from _dates(old, new)
    others = {*old, *new} - {"version", "x-lifecycle", *_DATES}
    if any(old.get(name) != new.get(name) for name in others):
        yield Change(Weight.EDITORIAL, "info_changed", "document", "The document's introduction changed.")


def _dates(old: Node, new: Node) -> Iterator[Change]:
    for name, words in _DATES.items():
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        is_earlier = name == "x-sunset-at" and before is not None and (after or "") and str(after) < str(before)
        weight = Weight.BREAKING if is_earlier else Weight.ADDITIVE
        told = f"This version {words} {after}." if after else f"This version no longer {words} {before}."
        yield Change(weight, f"{name[2:].replace('-', '_')}_changed", "version", told)


def _servers(old: Node, new: Node) -> Iterator[Change]:
    before, after = ({str(node(one).get("url")): one for one in listed(told.get("servers"))} for told in (old, new))
    for url in sorted(after.keys() - before.keys()):
        yield Change(Weight.ADDITIVE, "server_added", "document", f"The API is also reached at `{url}`.")
    for url in sorted(before.keys() - after.keys()):
        yield Change(Weight.BREAKING, "server_removed", "document", f"The API is no longer reached at `{url}`.")


def _of_document(changes: Iterator[Change]) -> _Found:
    return (("", change) for change in changes)


def _without_release(document: Node) -> Node:
    info = {name: told for name, told in node(document.get("info")).items() if name != "version"}
    return {**document, "info": info}
