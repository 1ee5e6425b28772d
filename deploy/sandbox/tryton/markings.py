"""How people here write down what Tryton has no field for: `[name: value]` in a text of the record."""

from __future__ import annotations

import re
from typing import Any

_MARKING = re.compile(r"\[([a-z_]+)(?:: ?([^\]\n]*))?\]")


def marked(between: str = "\n", **facts: Any) -> str:
    """The text for these facts; blank ones are left out, True stands bare."""
    told = {name: value for name, value in facts.items() if value not in {None, "", False}}
    return between.join(f"[{name}]" if value is True else f"[{name}: {value}]" for name, value in told.items())


def markings(text: str | None) -> dict[str, str]:
    """The facts of a text."""
    return {name: str(value) for name, value in _MARKING.findall(text or "")}


def remainder(text: str | None) -> str:
    """What stands there besides."""
    return _MARKING.sub("", text or "").strip()


def remarked(text: str | None, **facts: Any) -> str:
    """The text with some facts changed and everything else as it was."""
    kept = {**markings(text), **facts}
    told = marked(**kept)
    rest = remainder(text)
    return f"{told}\n{rest}" if rest else told
