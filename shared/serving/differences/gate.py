"""The gate a new release must pass: what a document of today owes to the last one that was published."""

from __future__ import annotations

from datetime import date

from shared.serving.differences.changes import Change, Weight, step_of
from shared.serving.differences.documents import differences
from shared.serving.differences.published import NUMBER, Current, Release, digest, next_number, ordered, step_between
from shared.serving.differences.reading import node

NOT_YET = "is not published yet"
_STEPS = ("none", "patch", "minor", "major")


def against_last(current: Current, releases: tuple[Release, ...], today: date) -> list[str]:
    """What stands against publishing the document, or that it waits to be published; nothing where all is well."""
    number, name = current.info("version"), current.name
    if not NUMBER.fullmatch(number):
        return [f"{name}: `{number}` does not read as a release number (1.4.0)"]
    if number.partition(".")[0] != name.rpartition(".v")[2]:
        return [f"{name}: release {number} belongs to another major version"]
    if not releases:
        return [] if current.is_preview else [f"{name}: {number} {NOT_YET}"]
    last = releases[-1]
    lines = _retired_early(current, last, today)
    if number == last.number:
        return lines or ([] if digest(current.text) == last.sha256 else _changed_without_number(current, last))
    if ordered(number) < ordered(last.number):
        return [f"{name}: release {number} is not newer than {last.number}"]
    return lines or _too_small(current, last, number) or [f"{name}: {number} {NOT_YET}"]


def _retired_early(current: Current, last: Release, today: date) -> list[str]:
    """A promised sunset is kept: until then the version answers."""
    if current.state != "retired":
        return []
    promised = node(last.read().get("info")).get("x-sunset-at")
    if promised is None or str(promised)[:10] <= today.isoformat():
        return []
    return [f"{current.name}: is retired, and {last.number} promised that it answers until {promised}"]


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
