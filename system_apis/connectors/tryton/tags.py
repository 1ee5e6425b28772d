"""Facts that Tryton has no field for, as `[name: value]` in one of its texts beside what people write there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

TEXT = "text"
_TAG = re.compile(r"\[([a-z][a-z_]*)(?:: ?([^\]\n]*))?\]")
_ESCAPED = {"%": "%25", "[": "%5B", "]": "%5D", "\n": "%0A"}


def to_tags(text: str | None) -> dict[str, str]:
    """Every tag of a text (of two with one name the first counts), and the rest under `text`."""
    found: dict[str, str] = {}
    for name, value in _TAG.findall(text or ""):
        found.setdefault(name, _plain(value))
    rest = _TAG.sub("", text or "").strip()
    return {**found, TEXT: rest} if rest else found


def from_tags(tags: Mapping[str, Any], *, between: str = "\n") -> str:
    """The text: tags in the mapping's order (True: bare; None and False: left out), then the rest."""
    written = [
        f"[{name}]" if value is True else f"[{name}: {_escaped(str(value))}]"
        for name, value in tags.items()
        if name != TEXT and value is not None and value is not False
    ]
    rest = str(tags.get(TEXT) or "")
    return between.join([*written, rest] if rest else written)


def led_by(name: str, value: str = "") -> list[Any]:
    """The condition that a text begins with this tag (of that value)."""
    return ["like", f"[{name}: {_literal(_escaped(value))}]%" if value else f"[{name}: %"]


def holds(name: str, value: str = "") -> list[Any]:
    """The condition that a text has this tag (of that value) anywhere."""
    return ["like", f"%[{name}: {_literal(_escaped(value))}]%" if value else f"%[{name}: %"]


def _escaped(value: str) -> str:
    return "".join(_ESCAPED.get(letter, letter) for letter in value)


def _plain(value: str) -> str:
    for letter, code in reversed(_ESCAPED.items()):
        value = value.replace(code, letter)
    return value


def _literal(value: str) -> str:
    return value.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")
