"""The part of JSONPath (RFC 9535) that criteria need: names, indexes, wildcards, filters; the rest is refused."""

from __future__ import annotations

import re
from typing import Any, Final, cast

from deploy.local.journeys.conditions import NOTHING, ConditionUnreadable, holds

_NAME: Final = re.compile(r"\.([A-Za-z_][\w-]*|\*)|\['([^']*)'\]|\[(-?\d+|\*)\]")


def found(query: str, value: Any) -> list[Any]:
    """Everything the query leads to.

    Raises: ConditionUnreadable for a query outside the part that is understood.
    """
    if not query.startswith("$"):
        raise ConditionUnreadable(f"`{query}`: a JSONPath starts with `$`")
    return _walked(query, query[1:], value)


def _walked(query: str, rest: str, value: Any) -> list[Any]:
    here = [value]
    while rest:
        if rest.startswith("[?"):
            inner, rest = _filter(query, rest)
            here = [one for value in here for one in _children(value) if _passes(inner, one)]
            continue
        match = _NAME.match(rest)
        if match is None:
            raise ConditionUnreadable(f"`{query}`: cannot be read from `{rest}` on")
        step = next(part for part in match.groups() if part is not None)
        here = [one for value in here for one in _stepped(value, step, is_index=match[3] is not None)]
        rest = rest[match.end() :]
    return here


def _filter(query: str, rest: str) -> tuple[str, str]:
    depth, quote = 0, ""
    for at, sign in enumerate(rest):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "[":
            depth += 1
        elif sign == "]":
            depth -= 1
            if depth == 0:
                return rest[2:at], rest[at + 1 :]
    raise ConditionUnreadable(f"`{query}`: a filter is not closed")


def _passes(condition: str, value: Any) -> bool:
    def resolve(path: str) -> Any:
        if not path.startswith("@"):
            raise ConditionUnreadable(f"`{path}`: inside a filter only `@` is understood")
        there = _walked(path, path[1:], value)
        return there[0] if there else NOTHING

    return holds(condition, resolve)


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).values())
    return cast("list[Any]", value) if isinstance(value, list) else []


def _stepped(value: Any, step: str, *, is_index: bool) -> list[Any]:
    if step == "*":
        return _children(value)
    if is_index:
        many = cast("list[Any]", value) if isinstance(value, list) else []
        number = int(step)
        return [many[number]] if -len(many) <= number < len(many) else []
    members = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return [members[step]] if step in members else []
