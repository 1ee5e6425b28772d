"""Finds what is declared for a method and a path; templates and dictionaries only, no policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Node(Generic[T]):
    named: dict[str, _Node[T]] = field(default_factory=lambda: {})  # noqa: PIE807 - the type parameter needs it
    any_one: _Node[T] | None = None
    methods: dict[str, T] = field(default_factory=lambda: {})  # noqa: PIE807


class PathTree(Generic[T]):
    """Entries by method and path template (`/runs/{id}`); a literal segment wins over a parameter."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._literal: dict[tuple[str, str], T] = {}

    def add(self, method: str, template: str, entry: T) -> None:
        """Declare an entry; ValueError when it is declared already."""
        node = self._root
        for part in template.split("/")[1:]:
            if part.startswith("{"):
                node.any_one = node.any_one or _Node()
                node = node.any_one
            else:
                node = node.named.setdefault(part, _Node())
        if method in node.methods:
            raise ValueError(f"{method} {template} is declared twice")
        node.methods[method] = entry
        if "{" not in template:
            self._literal[(method, template)] = entry

    def find(self, method: str, path: str) -> T | None:
        """The entry for a request, or None."""
        found = self._literal.get((method, path))
        if found is not None:
            return found
        node = self._root
        for part in path.split("/")[1:]:
            literal, any_one = node.named.get(part), node.any_one
            if any_one is None:
                if literal is None:
                    return None
                node = literal
            elif literal is None and part:
                node = any_one
            else:  # two ways to go on
                return self._first(method, path)
        return node.methods.get(method)

    def _first(self, method: str, path: str) -> T | None:
        for node in self._nodes(path):
            if (entry := node.methods.get(method)) is not None:
                return entry
        return None

    def methods(self, path: str) -> list[str]:
        """The methods declared for a path, sorted; empty when the path is not declared."""
        return sorted({method for node in self._nodes(path) for method in node.methods})

    def _nodes(self, path: str) -> list[_Node[T]]:
        level = [self._root]
        for part in path.split("/")[1:]:
            below: list[_Node[T]] = []
            for node in level:
                if (literal := node.named.get(part)) is not None:
                    below.append(literal)
                if part and node.any_one is not None:
                    below.append(node.any_one)
            if not below:
                return []
            level = below
        return [node for node in level if node.methods]
