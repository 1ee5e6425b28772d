"""Switches of a simulator: names that are known, values of the kind a switch takes; nothing is turned into another."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

_CALLED: dict[type[Any], str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


class UnknownSwitch(ValueError):
    """The simulator has no switch of that name."""


def known(wanted: Collection[str], names: Collection[str]) -> None:
    """All are switches there are. Raises UnknownSwitch naming those that are not."""
    if strange := set(wanted) - set(names):
        raise UnknownSwitch(", ".join(sorted(strange)))


def taken(name: str, value: Any, kind: type[Any]) -> Any:
    """The value for a switch of that kind; a whole number is a number too. Raises TypeError naming the switch."""
    if type(value) is kind or (kind is float and type(value) is int):
        return value
    raise TypeError(f"{name} must be {_CALLED.get(kind, kind.__name__)}, not {value!r}")


def flag(name: str, value: Any) -> bool:
    """True or false. Raises TypeError naming the switch: the text "false" is neither."""
    return bool(taken(name, value, bool))
