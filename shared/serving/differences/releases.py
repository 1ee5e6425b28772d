"""The shelf of published documents: frozen files, their digests, and the gate a new release must pass."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

from shared.documents import read_yaml
from shared.serving.differences.changes import Node
from shared.serving.differences.gate import NOT_YET, against_last
from shared.serving.differences.published import NUMBER, Current, Release, digest, ordered
from shared.serving.differences.reading import DocumentUnreadable, node

_CURRENT = re.compile(r"(?P<api>.+)\.v(?P<major>\d+)\.yaml")
_REGISTER = "releases.yaml"
_HEAD = "# When each document was published, and its SHA-256. `throughline specs publish` adds lines; none changes.\n"


class Shelf:
    """`openapi/`: current documents, and below `releases/` those that callers have been promised."""

    def __init__(self, folder: Path, today: date | None = None) -> None:
        """The folder of the current documents; `today` decides whether a sunset has passed."""
        self.folder = folder
        self._today = today or datetime.now(UTC).date()
        self._register = folder / "releases" / _REGISTER

    def releases(self) -> dict[str, tuple[Release, ...]]:
        """Every release by name (`experience-partner.v1`), oldest first.

        Raises: DocumentUnreadable.
        """
        if not self._register.exists():
            return {}
        try:
            told: Any = read_yaml(self._register.read_text(encoding="utf-8"))
            return {
                name: tuple(
                    sorted(
                        (self._release(name, number, facts) for number, facts in numbers.items()),
                        key=lambda one: ordered(one.number),
                    )
                )
                for name, numbers in sorted(node(told).items())
            }
        except (yaml.YAMLError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise DocumentUnreadable(f"{self._register}: {error}") from error

    def current(self) -> tuple[Current, ...]:
        """The documents of today."""
        return tuple(Current.at(path) for path in sorted(self.folder.glob("*.yaml")) if _CURRENT.fullmatch(path.name))

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
            lines += against_last(one, releases.get(one.name, ()), self._today)
        gone = releases.keys() - {one.name for one in today}
        return lines + [f"{name}: was published, and there is no such document any more" for name in sorted(gone)]

    def publish(self, on: date) -> tuple[Release, ...]:
        """Freeze every current document whose number is new; the releases made.

        Raises: PublishingRefused with what stands against it; nothing is written then.
        """
        waiting = self.unpublished()
        if refusals := [line for line in self.findings() if not line.endswith(NOT_YET)]:
            raise PublishingRefused(refusals)
        made: list[Release] = []
        for one in waiting:
            number = one.info("version")
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
            one for one in self.current() if (one.name, one.info("version")) not in known and not one.is_preview
        )

    def _release(self, name: str, number: str, facts: Node) -> Release:
        if not NUMBER.fullmatch(number):
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
        for one in sorted(everything, key=lambda one: (one.name, ordered(one.number))):
            document.setdefault(one.name, {})[one.number] = {"on": one.released_on, "sha256": one.sha256}
        if document:
            self._register.parent.mkdir(parents=True, exist_ok=True)
            self._register.write_text(_HEAD + yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


class PublishingRefused(Exception):
    """A document cannot be published as it is; every line says which and why."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def _unfrozen(release: Release) -> list[str]:
    try:
        text = release.path.read_text(encoding="utf-8")
    except OSError:
        return [f"{release.path}: is published and missing"]
    return [] if digest(text) == release.sha256 else [f"{release.path}: is published and was changed"]
