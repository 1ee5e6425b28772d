"""Reads what is declared in YAML, with the parser written in C where there is one; text enters, plain values leave."""

from __future__ import annotations

from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str | bytes) -> Any:
    """Maps, lists and plain values. Raises yaml.YAMLError, which names line and column."""
    return yaml.load(text, _LOADER)  # noqa: S506 - a safe loader either way
