"""Conditions of criteria: comparisons joined by `&&`, `||`, `!` and brackets; what operands mean is the caller's."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<mark>==|!=|<=|>=|<|>|&&|\|\||!|\(|\))|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])|(?P<word>true|false|null)(?!\w)|(?P<path>[$@][^\s()!=<>&|]*))"
)
_WORDS: Final = {"true": True, "false": False, "null": None}
_COMPARISONS: Final = ("==", "!=", "<=", ">=", "<", ">")
Resolve = Callable[[str], Any]


class Nothing:
    """What an operand is that leads nowhere: equal to nothing but itself."""


NOTHING: Final = Nothing()


class ConditionUnreadable(Exception):
    """A condition does not follow the grammar; the message shows where it stops."""


def holds(condition: str, resolve: Resolve) -> bool:
    """Whether the condition is true; `resolve` gives the value of an operand that starts with `$` or `@`.

    Raises: ConditionUnreadable.
    """
    reader = _Reader(condition, resolve)
    value = reader.either()
    reader.finish()
    return value


class _Reader:
    """Reads and evaluates at once; both sides of `&&` and `||` are read."""

    def __init__(self, condition: str, resolve: Resolve) -> None:
        self._condition = condition
        self._resolve = resolve
        self._tokens = _tokens(condition)
        self._at = 0

    def either(self) -> bool:
        value = self._both()
        while self._take("||"):
            right = self._both()
            value = value or right
        return value

    def finish(self) -> None:
        if self._at < len(self._tokens):
            raise ConditionUnreadable(f"`{self._condition}`: stops before `{self._tokens[self._at][1]}`")

    def _both(self) -> bool:
        value = self._one()
        while self._take("&&"):
            right = self._one()
            value = value and right
        return value

    def _one(self) -> bool:
        if self._take("!"):
            return not self._one()
        if self._take("("):
            value = self.either()
            if not self._take(")"):
                raise ConditionUnreadable(f"`{self._condition}`: a bracket is not closed")
            return value
        left = self._operand()
        for sign in _COMPARISONS:
            if self._take(sign):
                return _compared(left, sign, self._operand())
        return left is not NOTHING and left is not False and left is not None

    def _operand(self) -> Any:
        if self._at == len(self._tokens):
            raise ConditionUnreadable(f"`{self._condition}`: ends where a value should stand")
        kind, told = self._tokens[self._at]
        self._at += 1
        if kind == "text":
            return re.sub(r"\\(.)", r"\1", told[1:-1])
        if kind == "number":
            return float(told) if "." in told else int(told)
        if kind == "word":
            return _WORDS[told]
        if kind == "path":
            return self._resolve(told)
        raise ConditionUnreadable(f"`{self._condition}`: `{told}` stands where a value should")

    def _take(self, mark: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == ("mark", mark):
            self._at += 1
            return True
        return False


def _tokens(condition: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    while condition[at:].strip():
        match = _TOKEN.match(condition, at)
        if match is None or match.lastgroup is None:
            raise ConditionUnreadable(f"`{condition}`: cannot be read from `{condition[at:].strip()}` on")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


def _compared(left: Any, sign: str, right: Any) -> bool:
    if sign in {"==", "!="}:
        is_same = left == right and isinstance(left, bool) is isinstance(right, bool)
        return is_same if sign == "==" else not is_same
    if not _are_ordered(left, right):
        return False
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[sign]


def _are_ordered(left: Any, right: Any) -> bool:
    return any(
        isinstance(left, kind)
        and isinstance(right, kind)
        and not isinstance(left, bool)
        and not isinstance(right, bool)
        for kind in (str, (int, float))
    )
