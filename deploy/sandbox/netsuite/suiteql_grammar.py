"""SuiteQL as text into a tree: the subset the account understands; nothing is looked up here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from deploy.sandbox.netsuite.errors import Refusal

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)*)"
    r"|(?P<mark><>|!=|<=|>=|\|\||[=<>(),*]))"
)
_WORDS = "select distinct from join inner left outer on where and or not in is null like between order by asc desc as"
_KEYWORDS = frozenset(_WORDS.split())


def bad_query(detail: str) -> Refusal:
    """The query cannot be understood or names what is not there."""
    return Refusal(
        400, "INVALID_PARAMETER", f"Invalid search query. Detailed unprocessed description follows. {detail}"
    )


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant."""

    value: Any


@dataclass(frozen=True, slots=True)
class Column:
    """A column, of a table's alias or of whichever has it."""

    table: str
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the dialect."""

    name: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """A condition on two or more operands."""

    operator: str
    operands: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Both:
    """Conditions joined by AND, OR, or negated."""

    operator: str
    parts: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """A further table."""

    table: str
    alias: str
    condition: Any
    keeps_unmatched: bool


@dataclass(frozen=True, slots=True)
class Query:
    """One SELECT."""

    columns: tuple[tuple[Any, str], ...]
    table: str
    alias: str
    joins: tuple[Join, ...]
    where: Any
    order: tuple[tuple[Any, bool], ...]
    is_distinct: bool


def parse(text: str) -> Query:
    """The tree of a query. Raises Refusal."""
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise bad_query(f"Unexpected character at {position}.")
            kind = match.lastgroup or ""
            word = match[kind]
            is_keyword = kind == "name" and word.lower() in _KEYWORDS
            self._tokens.append(("keyword", word.lower()) if is_keyword else (kind, word))
            position = match.end()
        self._next = 0

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._next] if self._next < len(self._tokens) else ("end", "")

    def _take(self, kind: str = "", word: str = "") -> str:
        have = self._peek()
        if (kind and have[0] != kind) or (word and have[1] != word):
            raise bad_query(f"Expected {word or kind}, found {have[1] or 'the end'}.")
        self._next += 1
        return have[1]

    def _skip(self, *words: str) -> bool:
        if self._peek()[1] in words and self._peek()[0] in {"keyword", "mark"}:
            self._next += 1
            return True
        return False

    def query(self) -> Query:
        self._take("keyword", "select")
        is_distinct = self._skip("distinct")
        columns = [self._column()]
        while self._skip(","):
            columns.append(self._column())
        self._take("keyword", "from")
        table, alias = self._table()
        joins: list[Join] = []
        while self._peek()[1] in {"join", "inner", "left"}:
            joins.append(self._join())
        where = self._either() if self._skip("where") else None
        order: list[tuple[Any, bool]] = []
        if self._skip("order"):
            self._take("keyword", "by")
            order.append(self._ordering())
            while self._skip(","):
                order.append(self._ordering())
        if self._peek()[0] != "end":
            raise bad_query(f"Unexpected {self._peek()[1]}.")
        return Query(tuple(columns), table, alias, tuple(joins), where, tuple(order), is_distinct)

    def _column(self) -> tuple[Any, str]:
        if self._skip("*"):
            return Column("", "*"), "*"
        term = self._term()
        name = term.name if isinstance(term, Column) else "expr1"
        if self._skip("as") or self._peek()[0] == "name":
            name = self._take("name")
        return term, name.lower()

    def _table(self) -> tuple[str, str]:
        table = self._take("name").lower()
        self._skip("as")
        alias = self._take("name").lower() if self._peek()[0] == "name" else table
        return table, alias

    def _join(self) -> Join:
        is_left = self._skip("left")
        self._skip("outer", "inner")
        self._take("keyword", "join")
        table, alias = self._table()
        self._take("keyword", "on")
        return Join(table, alias, self._either(), is_left)

    def _ordering(self) -> tuple[Any, bool]:
        term = self._term()
        is_down = self._skip("desc")
        if not is_down:
            self._skip("asc")
        return term, is_down

    def _either(self) -> Any:
        parts = [self._both()]
        while self._skip("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Both("or", tuple(parts))

    def _both(self) -> Any:
        parts = [self._condition()]
        while self._skip("and"):
            parts.append(self._condition())
        return parts[0] if len(parts) == 1 else Both("and", tuple(parts))

    def _condition(self) -> Any:
        if self._skip("not"):
            return Both("not", (self._condition(),))
        if self._peek() == ("mark", "("):
            self._take()
            inner = self._either()
            self._take("mark", ")")
            return inner
        left = self._term()
        negates = self._skip("not")
        found = self._predicate(left)
        return Both("not", (found,)) if negates else found

    def _predicate(self, left: Any) -> Any:
        if self._skip("is"):
            negates = self._skip("not")
            self._take("keyword", "null")
            return Compare("is not null" if negates else "is null", (left,))
        if self._skip("in"):
            self._take("mark", "(")
            values = [self._term()]
            while self._skip(","):
                values.append(self._term())
            self._take("mark", ")")
            return Compare("in", (left, *values))
        if self._skip("like"):
            return Compare("like", (left, self._term()))
        if self._skip("between"):
            low = self._term()
            self._take("keyword", "and")
            return Compare("between", (left, low, self._term()))
        operator = self._take("mark")
        if operator not in {"=", "<>", "!=", "<", ">", "<=", ">="}:
            raise bad_query(f"Unexpected {operator}.")
        return Compare("<>" if operator == "!=" else operator, (left, self._term()))

    def _term(self) -> Any:
        kind, word = self._peek()
        if kind == "text":
            self._next += 1
            return Literal(word[1:-1].replace("''", "'"))
        if kind == "number":
            self._next += 1
            return Literal(Decimal(word))
        if (kind, word) == ("keyword", "null"):
            self._next += 1
            return Literal(None)
        name = self._take("name").lower()
        if not self._skip("("):
            table, _, column = name.rpartition(".")
            return Column(table, column)
        arguments: list[Any] = []
        if not self._skip(")"):
            arguments.append(self._term())
            while self._skip(","):
                arguments.append(self._term())
            self._take("mark", ")")
        return Call(name, tuple(arguments))
