"""Switches of a simulator: names that are known, values of the kind a switch takes; nothing is turned into another."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, cast

DELETED_FIELDS: Final = "deleted_fields"
"""The switch by which an administrator deletes custom fields; those not named any more are back with what they held."""
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


def deletable(value: Any, custom: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    """The value of DELETED_FIELDS: {object: [field]}, each of the custom fields that can be deleted, by object.

    Raises TypeError for another shape, ValueError naming the fields that are none of these.
    """
    refused = TypeError(f"{DELETED_FIELDS} must be {{object: [field]}}, not {value!r}")
    if not isinstance(value, dict):
        raise refused
    wanted: dict[str, frozenset[str]] = {}
    for name, fields in cast("dict[str, object]", value).items():
        if not isinstance(fields, list) or not all(isinstance(one, str) for one in cast("list[object]", fields)):
            raise refused
        wanted[name] = frozenset(cast("list[str]", fields))
        if strange := sorted(wanted[name] - set(custom.get(name, ()))):
            raise ValueError(f"{DELETED_FIELDS}: {name} has no custom field {', '.join(strange)} to delete")
    return wanted
