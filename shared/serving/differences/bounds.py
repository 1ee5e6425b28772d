"""Compares the bounds of two schemas: lengths, sizes, ranges, patterns, formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.serving.differences.changes import Change, Flow, Node, Weight

_LEAST = {
    "minLength": "shortest length",
    "minimum": "least value",
    "exclusiveMinimum": "least value (itself excluded)",
    "minItems": "least number of entries",
    "minProperties": "least number of members",
}
_MOST = {
    "maxLength": "greatest length",
    "maximum": "greatest value",
    "exclusiveMaximum": "greatest value (itself excluded)",
    "maxItems": "greatest number of entries",
    "maxProperties": "greatest number of members",
}
_OTHER = {"pattern": "pattern", "format": "format", "multipleOf": "unit of counting"}


def compare_bounds(old: Node, new: Node, flow: Flow, place: str) -> Iterator[Change]:
    """A tighter bound refuses what was accepted; a looser one tells what was never told."""
    for names, is_most in ((_LEAST, False), (_MOST, True)):
        for name, words in names.items():
            before, after = old.get(name), new.get(name)
            if before == after:
                continue
            is_tighter = _is_tighter(before, after, is_most=is_most)
            yield _change(flow, place, f"{words} of `{place}`", before, after, is_tighter=is_tighter)
    for name, words in _OTHER.items():
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if before is not None and after is not None:
            told = f"The {words} of `{place}` is `{after}` instead of `{before}`."
            yield Change(Weight.BREAKING, f"{flow.value}_{name.lower()}_changed", place, told)
        else:
            yield _change(flow, place, f"{words} of `{place}`", before, after, is_tighter=before is None)
    before, after = bool(old.get("uniqueItems")), bool(new.get("uniqueItems"))
    if before != after:
        told = f"The entries of `{place}` {'all differ' if after else 'may repeat'} now."
        weight = flow.narrowed() if after else flow.widened()
        yield Change(weight, f"{flow.value}_unique_items_changed", place, told)


def _is_tighter(before: Any, after: Any, *, is_most: bool) -> bool:
    if before is None or after is None:
        return before is None
    return after < before if is_most else after > before


def _change(flow: Flow, place: str, what: str, before: Any, after: Any, *, is_tighter: bool) -> Change:
    if before is None:
        told = f"The {what} is now bounded: `{after}`."
    elif after is None:
        told = f"The {what} is no longer bounded (was `{before}`)."
    else:
        told = f"The {what} is `{after}` instead of `{before}`."
    kind = "bound_tightened" if is_tighter else "bound_loosened"
    return Change(flow.narrowed() if is_tighter else flow.widened(), f"{flow.value}_{kind}", place, told)
