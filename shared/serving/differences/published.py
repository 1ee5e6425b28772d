"""One published document, one of today, and how release numbers follow each other; files are read, none is written."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from shared.serving.differences.changes import Change, Node, step_of
from shared.serving.differences.reading import node, parsed, read_document

NUMBER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


@dataclass(frozen=True, slots=True)
class Release:
    """One published document."""

    name: str
    number: str
    released_on: date
    sha256: str
    path: Path

    def read(self) -> Node:
        """The document."""
        return read_document(self.path)


@dataclass(frozen=True, slots=True)
class Current:
    """One document as the code says it today."""

    name: str
    path: Path
    text: str
    document: Node

    @classmethod
    def at(cls, path: Path) -> Current:
        """The document in a file.

        Raises: DocumentUnreadable.
        """
        text = path.read_text(encoding="utf-8")
        return cls(path.name.removesuffix(".yaml"), path, text, parsed(text, str(path)))

    @property
    def state(self) -> str:
        """How far its version is in its life."""
        return self.info("x-lifecycle", "active")

    @property
    def is_preview(self) -> bool:
        """Whether nothing is promised yet."""
        return self.state == "preview"

    def info(self, name: str, default: str = "") -> str:
        """What the introduction says under that name."""
        return str(node(self.document.get("info")).get(name, default))


def digest(text: str) -> str:
    """The fingerprint of a document, independent of how a checkout ends its lines."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()


def next_number(number: str, changes: tuple[Change, ...]) -> str:
    """The least release number after `number` that these changes allow."""
    major, minor, patch = ordered(number)
    step = step_of(changes)
    if step == "major":
        return f"{major + 1}.0.0"
    if step == "minor":
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}" if step == "patch" else number


def step_between(before: str, after: str) -> str:
    """The step from one release number to another."""
    steps = zip(("major", "minor", "patch"), ordered(before), ordered(after), strict=True)
    return next((name for name, left, right in steps if left != right), "none")


def ordered(number: str) -> tuple[int, int, int]:
    """A release number as something that can be compared."""
    major, minor, patch = (int(part) for part in number.split("."))
    return major, minor, patch
