"""`$filter` of OData 2 and 4 as vendors' simulators read it: text in, condition on rows out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal, NamedTuple, cast
from uuid import UUID

from deploy.sandbox.kit.odata_functions import FUNCTIONS

Version = Literal[2, 4]
Row = Mapping[str, Any]
Resolve = Callable[[Any, Sequence[str]], Any]
Value = Callable[[Any], Any]


class ODataRefused(Exception):
    """The text is not OData of that version; says where."""


def follow(row: Any, path: Sequence[str]) -> Any:
    """The value at a path of nested mappings; None where a part is missing."""
    node = row
    for part in path:
        if not isinstance(node, Mapping):
            return None
        node = cast("Row", node).get(part)
    return node


@dataclass(frozen=True, slots=True)
class Condition:
    """A `$filter`: call it with a row; a row can match only if each path of `equal` has one of its values there."""

    matches: Callable[[Any], bool]
    equal: Mapping[str, tuple[Any, ...]] = field(default_factory=dict[str, tuple[Any, ...]])

    def __call__(self, row: Any) -> bool:
        """Whether the row is wanted."""
        return self.matches(row)


class _Token(NamedTuple):
    kind: str
    text: str
    value: Any = None


_TEXT: Final = r"'(?:[^']|'')*'"
_TOKENS: Final = re.compile(
    rf"""\s*(?:
    (?P<typed>(?:datetimeoffset|datetime|guid|time|duration|binary|X){_TEXT})
  | (?P<moment>\d{{4}}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)
  | (?P<guid>[0-9a-fA-F]{{8}}-(?:[0-9a-fA-F]{{4}}-){{3}}[0-9a-fA-F]{{12}})
  | (?P<day>\d{{4}}-\d\d-\d\d)
  | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?[MmLlDdFf]?)
  | (?P<enum>[A-Za-z_][\w.]*{_TEXT})
  | (?P<text>{_TEXT})
  | (?P<name>[@$A-Za-z_][\w.@]*(?:/[A-Za-z_][\w.]*)*)
  | (?P<mark>[(),:=\[\]])
    )""",
    re.VERBOSE,
)


def _unquoted(text: str) -> str:
    return text[text.index("'") + 1 : -1].replace("''", "'")


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _typed(text: str) -> Any:
    inner = _unquoted(text)
    kind = text[: text.index("'")]
    if kind in {"datetime", "datetimeoffset"}:
        return _instant(inner)
    return UUID(inner) if kind == "guid" else inner


_READ: Final[Mapping[str, Callable[[str], Any]]] = {
    "typed": _typed,
    "moment": _instant,
    "guid": UUID,
    "day": date.fromisoformat,
    "number": lambda text: Decimal(text.rstrip("MmLlDdFf")),
    "enum": _unquoted,
    "text": _unquoted,
}
_WORDS: Final[Mapping[str, Any]] = {"true": True, "false": False, "null": None}


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while text[at:].strip():
        match = _TOKENS.match(text, at)
        if match is None:
            raise ODataRefused(f"syntax error at position {at} in '{text}'")
        kind = str(match.lastgroup)
        word = match.group(kind)
        try:
            value = _READ[kind](word) if kind in _READ else None
        except ValueError as error:
            raise ODataRefused(f"{word} is not a value") from error
        found.append(_Token(kind, word, value))
        at = match.end()
    return found


def _comparable(left: Any, right: Any) -> tuple[Any, Any]:
    """Both sides as values of one kind, the way the vendors' typed columns compare with literals."""
    if isinstance(left, str) and not isinstance(right, str) and right is not None:
        return _as(left, right), right
    if isinstance(right, str) and not isinstance(left, str) and left is not None:
        return left, _as(right, left)
    if isinstance(left, datetime) != isinstance(right, datetime):
        return _moment(left), _moment(right)
    return left, right


def _moment(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else value


_ALIKE: Final[Sequence[tuple[tuple[type, ...], Callable[[str], Any]]]] = (
    ((bool,), lambda text: {"true": True, "false": False}[text.lower()]),
    ((Decimal, int, float), Decimal),
    ((datetime,), _instant),
    ((date,), lambda text: date.fromisoformat(text[:10])),
    ((UUID,), UUID),
)


def _as(text: str, like: Any) -> Any:
    """The text read as a value of the other side's kind; the text itself where it is none."""
    read = next((read for kinds, read in _ALIKE if isinstance(like, kinds)), str)
    try:
        return read(text)
    except (ValueError, KeyError, InvalidOperation):
        return text


def _equal(left: Any, right: Any) -> bool:
    one, other = _comparable(left, right)
    return bool(one == other)


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(left: Any, right: Any) -> bool:
        if left is None or right is None:
            return False
        one, other = _comparable(left, right)
        try:
            return test(one, other)
        except TypeError:
            return False

    return compare


_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": _equal,
    "ne": lambda a, b: not _equal(a, b),
    "gt": _ordered(lambda a, b: a > b),
    "ge": _ordered(lambda a, b: a >= b),
    "lt": _ordered(lambda a, b: a < b),
    "le": _ordered(lambda a, b: a <= b),
}


@dataclass(frozen=True, slots=True)
class _Node:
    """A part of an expression: its value for a row, and what equality it demands."""

    value: Value
    path: str | None = None  # a bare property
    constant: tuple[Any] | None = None
    equal: Mapping[str, tuple[Any, ...]] = field(default_factory=dict[str, tuple[Any, ...]])


class _Parser:
    def __init__(self, tokens: Sequence[_Token], resolve: Resolve, functions: Mapping[str, Callable[..., Any]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._resolve = resolve
        self._functions = functions
        self._variables: list[str] = []

    def whole(self) -> _Node:
        node = self._either()
        if self._at < len(self._tokens):
            raise ODataRefused(f"unexpected '{self._tokens[self._at].text}'")
        return node

    def _peek(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) else ""

    def _next(self) -> _Token:
        if self._at >= len(self._tokens):
            raise ODataRefused("the expression ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _demand(self, mark: str) -> None:
        if (found := self._next()).text != mark:
            raise ODataRefused(f"expected '{mark}' instead of '{found.text}'")

    def _either(self) -> _Node:
        node = self._both()
        while self._peek() == "or":
            self._next()
            node = self._or(node, self._both())
        return node

    @staticmethod
    def _or(left: _Node, right: _Node) -> _Node:
        shared = left.equal.keys() & right.equal.keys()
        equal = {path: (*left.equal[path], *right.equal[path]) for path in shared}
        return _Node(lambda row: bool(left.value(row)) or bool(right.value(row)), equal=equal)

    def _both(self) -> _Node:
        node = self._denied()
        while self._peek() == "and":
            self._next()
            left, right = node, self._denied()
            node = _Node(
                lambda row, a=left, b=right: bool(a.value(row)) and bool(b.value(row)),
                equal={**right.equal, **left.equal},
            )
        return node

    def _denied(self) -> _Node:
        if self._peek() != "not":
            return self._compared()
        self._next()
        node = self._denied()
        return _Node(lambda row: not node.value(row))

    def _compared(self) -> _Node:
        left = self._single()
        word = self._peek()
        if word == "in":
            self._next()
            return self._within(left, self._listed("(", ")"))
        if word not in _COMPARE:
            return left
        self._next()
        right, test = self._single(), _COMPARE[word]
        equal: dict[str, tuple[Any, ...]] = {}
        if word == "eq" and left.path and right.constant:
            equal = {left.path: right.constant}
        elif word == "eq" and right.path and left.constant:
            equal = {right.path: left.constant}
        return _Node(lambda row: test(left.value(row), right.value(row)), equal=equal)

    @staticmethod
    def _within(left: _Node, values: Sequence[Any]) -> _Node:
        equal = {left.path: tuple(values)} if left.path else {}
        return _Node(lambda row: any(_equal(left.value(row), value) for value in values), equal=equal)

    def _listed(self, begin: str, end: str) -> list[Any]:
        self._demand(begin)
        values: list[Any] = []
        while self._peek() != end:
            values.append(self._single().value(None))
            if self._peek() == ",":
                self._next()
        self._demand(end)
        return values

    def _single(self) -> _Node:
        if self._peek() == "(":
            self._next()
            node = self._either()
            self._demand(")")
            return node
        token = self._next()
        if token.kind in _READ:
            return _Node(lambda _: token.value, constant=(token.value,))
        if token.text in _WORDS:
            word = _WORDS[token.text]
            return _Node(lambda _: word, constant=(word,))
        if token.kind != "name":
            raise ODataRefused(f"unexpected '{token.text}'")
        return self._called(token.text) if self._peek() == "(" else self._property(token.text)

    def _property(self, text: str) -> _Node:
        path = tuple(text.split("/"))
        if path[0] in self._variables:
            depth = len(self._variables) - 1 - self._variables[::-1].index(path[0])
            return _Node(lambda row: self._resolve(row[1][depth], path[1:]) if path[1:] else row[1][depth])
        if self._variables:
            return _Node(lambda row: self._resolve(row[0], path))
        return _Node(lambda row: self._resolve(row, path), path=text)

    def _called(self, name: str) -> _Node:
        collection, _, last = name.rpartition("/")
        if last in {"any", "all"} and collection:
            return self._lambda(tuple(collection.split("/")), last)
        function = self._functions.get(name)
        if function is None:
            raise ODataRefused(f"the function '{name}' is not known")
        self._demand("(")
        plain: list[_Node] = []
        named: dict[str, Any] = {}
        while self._peek() != ")":
            if self._at + 1 < len(self._tokens) and self._tokens[self._at + 1].text == "=":
                key = self._next().text
                self._demand("=")
                named[key] = self._listed("[", "]") if self._peek() == "[" else self._single().value(None)
            else:
                plain.append(self._either())
            if self._peek() == ",":
                self._next()
        self._demand(")")
        if named:
            return _Node(lambda row: function(row, **named))
        return _Node(lambda row: function(*(part.value(row) for part in plain)))

    def _lambda(self, path: tuple[str, ...], kind: str) -> _Node:
        self._demand("(")
        if self._peek() == ")":
            self._next()
            return _Node(lambda row: bool(self._resolve(self._outer(row), path)))
        self._variables.append(self._next().text)
        self._demand(":")
        inside = self._either()
        self._variables.pop()
        self._demand(")")
        of = any if kind == "any" else all

        def holds(row: Any) -> bool:
            outer, bound = row if isinstance(row, _Bound) else (row, ())
            members: Iterable[Any] = self._resolve(outer, path) or ()
            return of(bool(inside.value(_Bound(outer, (*bound, member)))) for member in members)

        return _Node(holds)

    @staticmethod
    def _outer(row: Any) -> Any:
        return row[0] if isinstance(row, _Bound) else row


class _Bound(NamedTuple):
    """A row with the members that the lambdas around an expression stand for."""

    row: Any
    members: tuple[Any, ...]


def parse_filter(
    text: str,
    *,
    version: Version = 4,
    resolve: Resolve = follow,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Condition:
    """The condition of a `$filter`. Raises ODataRefused.

    `functions`: further functions by (qualified) name; those with named arguments get the row first.
    """
    known = {**FUNCTIONS[version], **(functions or {})}
    node = _Parser(_tokens(text), resolve, known).whole()
    return Condition(lambda row: bool(node.value(row)), node.equal)
