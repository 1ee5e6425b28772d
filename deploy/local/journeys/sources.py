"""The operations a journey may call, from the OpenAPI documents it names; nothing is called here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.journeys.arazzo import Arazzo, JourneyRefused
from shared.serving.differences.changes import Node
from shared.serving.differences.documents import METHODS
from shared.serving.differences.reading import DocumentUnreadable, Tree, listed, node, read_document


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: where it is served, and what its document says of it."""

    tier: str
    method: str
    path: str
    told: Node
    tree: Tree

    def parameters(self) -> dict[tuple[str, str], Node]:
        """Its parameters by place and name."""
        told = [self.tree.at(one) for one in listed(self.told.get("parameters"))]
        return {(str(one["in"]), str(one["name"]).lower()): one for one in told}

    def body_leads_to(self, pointer: str) -> bool:
        """Whether a JSON pointer leads somewhere in a successful answer."""
        answers = [told for status, told in node(self.told.get("responses")).items() if status.startswith("2")]
        schemas = [
            node(media).get("schema") for one in answers for media in node(self.tree.at(one).get("content")).values()
        ]
        return any(_leads(self.tree, schema, pointer.split("/")[1:]) for schema in schemas)

    def headers(self) -> set[str]:
        """Headers its answers carry, in lower case."""
        answers = node(self.told.get("responses")).values()
        return {name.lower() for one in answers for name in node(self.tree.at(one).get("headers"))}


def read_sources(path: Path, document: Arazzo) -> dict[str, Operation]:
    """Every operation of the documents named, by its expression (`$sourceDescriptions.pmo.readPmoDeal`).

    Raises: JourneyRefused.
    """
    found: dict[str, Operation] = {}
    for source in document.source_descriptions:
        file = (path.parent / source.url).resolve()
        try:
            tree = Tree(read_document(file))
        except DocumentUnreadable as error:
            raise JourneyRefused([f"{path}: source {source.name}: {error}"]) from error
        tier = file.name.partition("-")[0]
        for template, item in node(tree.document.get("paths")).items():
            for method in METHODS:
                told = node(node(item).get(method))
                if "operationId" in told:
                    name = f"$sourceDescriptions.{source.name}.{told['operationId']}"
                    found[name] = Operation(tier, method.upper(), template, told, tree)
    return found


def _leads(tree: Tree, schema: Any, parts: list[str]) -> bool:
    told = tree.schema(schema)
    if not parts:
        return True
    variants = listed(told.get("$variants"))
    if variants:
        return any(_leads(tree, one, parts) for one in variants)
    first, rest = parts[0], parts[1:]
    if first.isdecimal() and "items" in told:
        return _leads(tree, told["items"], rest)
    return first in node(told.get("properties")) and _leads(tree, told["properties"][first], rest)
