"""Paths to fields compiled into one tree that is walked once per answer; JSON values only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

ITEMS = "[]"
ANY = "*"


@dataclass(slots=True)
class Branch:
    """What lies below one place: named members, any member, the items of an array; or an end, to be hidden."""

    below: dict[str, Branch] = field(default_factory=dict[str, "Branch"])
    is_removed: bool = False
    is_nulled: bool = False


def parts(path: str) -> list[str]:
    """`items[].cost` as `items`, `[]`, `cost`."""
    return path.replace(ITEMS, f".{ITEMS}").split(".")


def tree(hidden: Iterable[tuple[str, str]]) -> Branch:
    """The tree of (path, then) pairs."""
    root = Branch()
    for path, then in hidden:
        here = root
        for part in parts(path):
            here = here.below.setdefault(part, Branch())
        here.is_removed = here.is_removed or then == "remove"
        here.is_nulled = here.is_nulled or then == "null"
    return root


def hide(value: Any, branch: Branch) -> None:
    """Change the value in place; a path that leads nowhere changes nothing."""
    if isinstance(value, list):
        below = branch.below.get(ITEMS)
        if below is not None:
            for item in cast("list[Any]", value):
                hide(item, below)
        return
    if not isinstance(value, dict):
        return
    members = cast("dict[str, Any]", value)
    for name, below in branch.below.items():
        for one in list(members) if name == ANY else (name,):
            if one in members:
                _hide_member(members, one, below)


def _hide_member(members: dict[str, Any], name: str, branch: Branch) -> None:
    if branch.is_removed:
        del members[name]
    elif branch.is_nulled:
        members[name] = None
    else:
        hide(members[name], branch)
