"""The words for a difference: how much it weighs, which way data flows, where it stands; nothing is compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Node = dict[str, Any]


class Weight(StrEnum):
    """What a difference asks of those who call the API."""

    BREAKING = "breaking"
    """A caller that worked may stop working: a new major version, side by side with the old one."""
    ADDITIVE = "additive"
    """Callers may use something new and need not: a new minor release."""
    EDITORIAL = "editorial"
    """The document reads differently, the API does not behave differently: a new patch release."""


class Flow(StrEnum):
    """Which way data flows: the same change to a schema breaks callers in one direction and not in the other."""

    ASKED = "asked"
    """Callers send it: refusing what was accepted breaks them."""
    TOLD = "told"
    """Callers receive it: saying what was never said before breaks them."""

    @property
    def other(self) -> Flow:
        """The opposite direction, for messages that we send to callers."""
        return Flow.TOLD if self is Flow.ASKED else Flow.ASKED

    def widened(self) -> Weight:
        """The weight of allowing more values than before."""
        return Weight.ADDITIVE if self is Flow.ASKED else Weight.BREAKING

    def narrowed(self) -> Weight:
        """The weight of allowing fewer values than before."""
        return Weight.BREAKING if self is Flow.ASKED else Weight.ADDITIVE


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, told in a sentence; `operations` are those it reaches, none when it is the whole document's."""

    weight: Weight
    kind: str
    place: str
    text: str
    operations: tuple[str, ...] = ()


_ORDER = (Weight.BREAKING, Weight.ADDITIVE, Weight.EDITORIAL)
_STEPS = {Weight.BREAKING: "major", Weight.ADDITIVE: "minor", Weight.EDITORIAL: "patch"}


def gathered(changes: Iterable[tuple[str, Change]]) -> tuple[Change, ...]:
    """The same change at several operations becomes one that names them all; heaviest first."""
    found: dict[Change, list[str]] = {}
    for operation, change in changes:
        names = found.setdefault(change, [])
        if operation and operation not in names:
            names.append(operation)
    merged = [Change(one.weight, one.kind, one.place, one.text, tuple(operations)) for one, operations in found.items()]
    return tuple(sorted(merged, key=lambda one: _ORDER.index(one.weight)))


def step_of(changes: Iterable[Change]) -> str:
    """The step of the release number these changes ask for: `major`, `minor`, `patch` or `none`."""
    weights = {change.weight for change in changes}
    return next((_STEPS[weight] for weight in _ORDER if weight in weights), "none")


def heavier(*weights: Weight) -> Weight:
    """The heaviest of them."""
    return next(weight for weight in _ORDER if weight in weights)
