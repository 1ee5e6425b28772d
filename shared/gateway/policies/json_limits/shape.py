"""The shape of a JSON text, measured without building more of it than needed; bytes and numbers only."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple, cast

# Both take every string from its first quotation mark to its last, or to the end of the text: whoever could make them
# start in the middle of one could hide a name, or make them look at the same characters again and again.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)
_STRING_OR_NAME = re.compile(rb'"((?:[^"\\]|\\.)*)(?:"(\s*:)?|\\?\Z)', re.DOTALL)
_ALIKE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class Bounds(NamedTuple):
    """What a text may not exceed."""

    depth: int
    keys: int
    items: int
    string: int


class Exceeded(Exception):
    """The text breaks a bound; the message says which, in words for the caller."""


def is_plainly_within(body: bytes, bounds: Bounds) -> bool:
    """Whether counting characters alone shows that every bound holds and no object names a member twice."""
    if body.count(b"{") + body.count(b"[") > bounds.depth or len(body) > bounds.string:
        return False
    if body.count(b":") > bounds.keys or body.count(b",") >= bounds.items:
        return False
    names = [name for name, colon in _STRING_OR_NAME.findall(body) if colon]
    return len(set(names)) == len(names) and not any(b"\\" in name for name in names)


def measure(body: bytes, bounds: Bounds) -> None:
    """Read the text and hold it against the bounds.

    Raises: Exceeded naming the first bound that is broken; ValueError when the text is no JSON.
    """
    bare = _STRING.sub(b"", body)
    if _is_deeper(bare, bounds.depth):
        raise Exceeded(f"Objects and arrays stand more than {bounds.depth} deep within each other.")
    if bare.count(b":") > bounds.keys:
        raise Exceeded(f"The objects have more than {bounds.keys} members together.")
    look = _looker(bounds) if bare.count(b",") >= bounds.items or _may_be_long(body, bounds.string) else None

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise Exceeded(f"An object names the member `{_twice(pairs)}` twice.")
        if look is not None:
            for name, value in pairs:
                if len(name) > bounds.string:
                    raise Exceeded(f"The name of a member is longer than {bounds.string} characters.")
                look(value)
        return found

    whole = json.loads(body, object_pairs_hook=members, parse_constant=_no_constant)
    if look is not None:
        look(whole)


def _looker(bounds: Bounds) -> Callable[[Any], None]:
    def look(value: Any) -> None:
        if isinstance(value, str):
            if len(value) > bounds.string:
                raise Exceeded(f"A string is longer than {bounds.string} characters.")
        elif isinstance(value, list):
            items = cast("list[Any]", value)
            if len(items) > bounds.items:
                raise Exceeded(f"An array has more than {bounds.items} items.")
            for item in items:
                if isinstance(item, str | list):  # objects have been looked at when they were read
                    look(item)

    return look


def _is_deeper(bare: bytes, most: int) -> bool:
    """Take the innermost brackets away as often as is allowed, and see whether any are left."""
    brackets = bare.translate(_ALIKE, _NO_BRACKETS)
    for _ in range(most):
        without = brackets.replace(b"[]", b"")
        if len(without) == len(brackets):
            return False  # nothing left, or brackets that do not match: no JSON, which the reader will say
        brackets = without
    return b"[]" in brackets


def _may_be_long(body: bytes, most: int) -> bool:
    """Whether a string could be longer; escaped quotation marks make it impossible to tell from outside."""
    return len(body) > most and (b'\\"' in body or max(map(len, body.split(b'"'))) > most)


def _twice(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return name[:40]
        seen.add(name)
    return ""


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
