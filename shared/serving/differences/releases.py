"""The shelf of published documents: frozen files, their digests, and the gate a new release must pass."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from shared.serving.differences.changes import Change, Node, Weight, step_of
from shared.serving.differences.documents import differences
from shared.serving.differences.reading import DocumentUnreadable, node, parsed, read_document

_NUMBER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_CURRENT = re.compile(r"(?P<api>.+)\.v(?P<major>\d+)\.yaml")
_STEPS = ("none", "patch", "minor", "major")
_UNPUBLISHED_STATE = "preview"
_REGISTER = "releases.yaml"
_HEAD = "# When each document was published, and its SHA-256. `throughline specs publish` adds lines; none changes.\n"
Number = tuple[int, int, int]


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

    @property
    def document(self) -> Node:
        """The document."""
        return parsed(self.text, str(self.path))


class Shelf:
    """`openapi/`: current documents, and below `releases/` those that callers have been promised."""

    def __init__(self, folder: Path) -> None:
        """The folder of the current documents."""
        self.folder = folder
        self._register = folder / "releases" / _REGISTER

    def releases(self) -> dict[str, tuple[Release, ...]]:
        """Every release by name (`experience-partner.v1`), oldest first.

        Raises: DocumentUnreadable.
        """
        if not self._register.exists():
            return {}
        try:
            told: Any = yaml.safe_load(self._register.read_text(encoding="utf-8"))
            return {
                name: tuple(sorted((self._release(name, number, facts) for number, facts in numbers.items()), key=_age))
                for name, numbers in sorted(node(told).items())
            }
        except (yaml.YAMLError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise DocumentUnreadable(f"{self._register}: {error}") from error

    def current(self) -> tuple[Current, ...]:
        """The documents of today."""
        return tuple(
            Current(path.name.removesuffix(".yaml"), path, path.read_text(encoding="utf-8"))
            for path in sorted(self.folder.glob("*.yaml"))
            if _CURRENT.fullmatch(path.name)
        )

    def findings(self) -> list[str]:
        """What stands against the promise: changed releases, changes without a number, numbers too small."""
        releases = self.releases()
        lines = [line for told in releases.values() for one in told for line in _unfrozen(one)]
        listed = {one.path for told in releases.values() for one in told}
        lines += [
            f"{path}: is not in the register of releases"
            for path in sorted((self.folder / "releases").glob("*/*.yaml"))
            if path not in listed
        ]
        today = self.current()
        for one in today:
            lines += self._against_last(one, releases.get(one.name, ()))
        gone = releases.keys() - {one.name for one in today}
        return lines + [f"{name}: was published, and there is no such document any more" for name in sorted(gone)]

    def publish(self, on: date) -> tuple[Release, ...]:
        """Freeze every current document whose number is new; the releases made.

        Raises: PublishingRefused with what stands against it; nothing is written then.
        """
        waiting = self.unpublished()
        if refusals := [line for line in self.findings() if not line.endswith(_NOT_YET)]:
            raise PublishingRefused(refusals)
        made: list[Release] = []
        for one in waiting:
            number = _number(one.document)
            path = self._path(one.name, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(one.text, encoding="utf-8")
            made.append(Release(one.name, number, on, digest(one.text), path))
        self._write_register(made)
        return tuple(made)

    def unpublished(self) -> tuple[Current, ...]:
        """Current documents whose number is not on the shelf."""
        known = {(name, one.number) for name, told in self.releases().items() for one in told}
        return tuple(
            one
            for one in self.current()
            if (one.name, _number(one.document)) not in known and _state(one.document) != _UNPUBLISHED_STATE
        )

    def _against_last(self, current: Current, releases: tuple[Release, ...]) -> list[str]:
        document = current.document
        number = _number(document)
        major = _CURRENT.fullmatch(current.path.name)
        if not _NUMBER.fullmatch(number):
            return [f"{current.name}: `{number}` does not read as a release number (1.4.0)"]
        if major is None or number.partition(".")[0] != major["major"]:
            return [f"{current.name}: release {number} belongs to another major version"]
        if not releases:
            return [] if _state(document) == _UNPUBLISHED_STATE else [f"{current.name}: {number} {_NOT_YET}"]
        last = releases[-1]
        if number == last.number:
            return [] if digest(current.text) == last.sha256 else _changed_without_number(current, last)
        if number in {one.number for one in releases} or _ordered(number) < _ordered(last.number):
            return [f"{current.name}: release {number} is not newer than {last.number}"]
        return _too_small(current, last, number) or [f"{current.name}: {number} {_NOT_YET}"]

    def _release(self, name: str, number: str, facts: Node) -> Release:
        if not _NUMBER.fullmatch(number):
            raise ValueError(f"`{number}` of {name} does not read as a release number (1.4.0)")
        released_on = facts["on"]
        if not isinstance(released_on, date):
            raise TypeError(f"{name} {number}: `on` is no date")
        return Release(name, number, released_on, str(facts["sha256"]), self._path(name, number))

    def _path(self, name: str, number: str) -> Path:
        return self.folder / "releases" / name / f"{number}.yaml"

    def _write_register(self, made: list[Release]) -> None:
        everything = [one for told in self.releases().values() for one in told] + made
        document: dict[str, dict[str, Any]] = {}
        for one in sorted(everything, key=lambda one: (one.name, _ordered(one.number))):
            document.setdefault(one.name, {})[one.number] = {"on": one.released_on, "sha256": one.sha256}
        if document:
            self._register.parent.mkdir(parents=True, exist_ok=True)
            self._register.write_text(_HEAD + yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


class PublishingRefused(Exception):
    """A document cannot be published as it is; every line says which and why."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


_NOT_YET = "is not published yet"


def digest(text: str) -> str:
    """The fingerprint of a document, independent of how a checkout ends its lines."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()


def next_number(number: str, changes: tuple[Change, ...]) -> str:
    """The least release number after `number` that these changes allow."""
    major, minor, patch = _ordered(number)
    step = step_of(changes)
    if step == "major":
        return f"{major + 1}.0.0"
    if step == "minor":
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}" if step == "patch" else number


def step_between(before: str, after: str) -> str:
    """The step from one release number to another."""
    steps = zip(("major", "minor", "patch"), _ordered(before), _ordered(after), strict=True)
    return next((name for name, left, right in steps if left != right), "none")


def _changed_without_number(current: Current, last: Release) -> list[str]:
    changes = differences(last.read(), current.document)
    wanted = next_number(last.number, changes)
    if step_of(changes) == "major":
        return [_breaks(current.name, last.number, change) for change in changes if change.weight is Weight.BREAKING]
    told = "; ".join(change.text for change in changes[:3])
    return [f"{current.name}: differs from its release {last.number} and needs the number {wanted}: {told}"]


def _too_small(current: Current, last: Release, number: str) -> list[str]:
    changes = differences(last.read(), current.document)
    needed, given = step_of(changes), step_between(last.number, number)
    if needed == "major":
        return [_breaks(current.name, last.number, change) for change in changes if change.weight is Weight.BREAKING]
    if _STEPS.index(given) < _STEPS.index(needed):
        wanted = next_number(last.number, changes)
        return [f"{current.name}: {number} is too small a step from {last.number}; at least {wanted} is needed"]
    return []


def _breaks(name: str, number: str, change: Change) -> str:
    where = f" ({', '.join(change.operations[:3])})" if change.operations else ""
    return f"{name}: breaks callers of {number} and needs a new major version: {change.text}{where}"


def _unfrozen(release: Release) -> list[str]:
    try:
        text = release.path.read_text(encoding="utf-8")
    except OSError:
        return [f"{release.path}: is published and missing"]
    return [] if digest(text) == release.sha256 else [f"{release.path}: is published and was changed"]


def _number(document: Node) -> str:
    return str(node(document.get("info")).get("version"))


def _state(document: Node) -> str:
    return str(node(document.get("info")).get("x-lifecycle", "active"))


def _ordered(number: str) -> Number:
    major, minor, patch = (int(part) for part in number.split("."))
    return major, minor, patch


def _age(release: Release) -> Number:
    return _ordered(release.number)
