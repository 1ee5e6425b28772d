"""Reading SOQL: text to a tree; knows the language, not the org's objects."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, NoReturn

from deploy.sandbox.salesforce.errors import SalesforceError, malformed_query
from deploy.sandbox.salesforce.values import read_date, read_datetime

Kind = Literal["null", "string", "boolean", "number", "date", "datetime", "query"]
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:\\.|[^'\\])*')
    | (?P<moment>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
    | (?P<day>\d{4}-\d\d-\d\d)
    | (?P<number>[+-]?\d+(?:\.\d+)?)
    | (?P<word>[A-Za-z_][\w.]*)
    | (?P<sign><>|!=|<=|>=|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_SIGNS = {"=", "!=", "<>", "<", ">", "<=", ">="}
_RESERVED = {"FROM", "WHERE", "ORDER", "LIMIT", "OFFSET", "AND", "OR", "NOT", "GROUP", "HAVING", "FOR", "ALL", "USING"}
_DEEPEST = 60


@dataclass(frozen=True, slots=True)
class Literally:
    """A value as written; `sub` for a semi-join."""

    kind: Kind
    value: object = None
    sub: Query | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`path sign value`; IN and NOT IN have several values."""

    path: tuple[str, ...]
    sign: str
    values: tuple[Literally, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Junction:
    """AND, OR, or NOT over parts."""

    word: Literal["AND", "OR", "NOT"]
    parts: tuple[Condition, ...]


Condition = Comparison | Junction


@dataclass(frozen=True, slots=True)
class Order:
    """One ORDER BY key."""

    path: tuple[str, ...]
    descending: bool
    nulls_last: bool
    at: int


@dataclass(slots=True)
class Query:
    """A query as written."""

    text: str
    sobject: str = ""
    alias: str = ""
    counts: bool = False
    paths: list[tuple[tuple[str, ...], int]] = field(default_factory=list[tuple[tuple[str, ...], int]])
    children: list[Query] = field(default_factory=list["Query"])
    where: Condition | None = None
    order: list[Order] = field(default_factory=list[Order])
    limit: int | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[_Token] = []
        self.place = 0
        at = 0
        end = len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                self.fail(f"unexpected token: '{text[at:].strip()[:1]}'", at)
            self.tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
            at = match.end()

    def fail(self, message: str, at: int | None = None) -> NoReturn:
        raise self.trouble(message, at)

    def trouble(self, message: str, at: int | None = None) -> SalesforceError:
        column = (len(self.text) if at is None else at) + 1
        return malformed_query(f"\n{self.text[:200]}\n^\nERROR at Row:1:Column:{column}\n{message}")

    def peek(self) -> _Token:
        return self.tokens[self.place] if self.place < len(self.tokens) else _Token("end", "<EOF>", len(self.text))

    def take(self) -> _Token:
        token = self.peek()
        self.place += 1
        return token

    def is_word(self, *words: str) -> bool:
        token = self.peek()
        return token.kind == "word" and token.text.upper() in words

    def skip(self, *words: str) -> bool:
        if self.is_word(*words):
            self.place += 1
            return True
        return False

    def skip_sign(self, sign: str) -> bool:
        if self.peek().text == sign and self.peek().kind == "sign":
            self.place += 1
            return True
        return False

    def expect(self, word: str) -> None:
        if not (self.skip(word) or self.skip_sign(word)):
            token = self.peek()
            self.fail(f"expecting '{word}', found '{token.text}'", token.at)

    def name(self) -> tuple[str, int]:
        token = self.take()
        if token.kind != "word" or token.text.upper() in _RESERVED:
            self.fail(f"unexpected token: '{token.text}'", token.at)
        return token.text, token.at

    def whole(self) -> int:
        token = self.take()
        if token.kind != "number" or not token.text.isdigit() or len(token.text) > 9:  # noqa: PLR2004 - more rows than any org
            self.fail(f"unexpected token: '{token.text}'", token.at)
        return int(token.text)


def read_soql(text: str) -> Query:
    """The query. Raises SalesforceError MALFORMED_QUERY with the column."""
    reader = _Reader(text)
    query = _query(reader, 0)
    if reader.peek().kind != "end":
        reader.fail(f"unexpected token: '{reader.peek().text}'", reader.peek().at)
    return query


def _query(reader: _Reader, depth: int) -> Query:
    query = Query(reader.text)
    reader.expect("SELECT")
    _selected(reader, query, depth)
    while reader.skip_sign(","):
        _selected(reader, query, depth)
    reader.expect("FROM")
    query.sobject = reader.name()[0]
    if reader.peek().kind == "word" and reader.peek().text.upper() not in _RESERVED:
        query.alias = reader.name()[0]
    if reader.skip("WHERE"):
        query.where = _either(reader, 0)
    if reader.skip("ORDER"):
        reader.expect("BY")
        query.order.append(_order(reader))
        while reader.skip_sign(","):
            query.order.append(_order(reader))
    if reader.skip("LIMIT"):
        query.limit = reader.whole()
    if reader.skip("OFFSET"):
        query.offset = reader.whole()
    return query


def _selected(reader: _Reader, query: Query, depth: int) -> None:
    if depth == 0 and reader.skip_sign("("):
        query.children.append(_query(reader, 1))
        reader.expect(")")
        return
    name, at = reader.name()
    if name.upper() == "COUNT" and reader.skip_sign("("):
        reader.expect(")")
        query.counts = True
    else:
        query.paths.append((tuple(name.split(".")), at))


def _order(reader: _Reader) -> Order:
    name, at = reader.name()
    descending = not reader.skip("ASC") and reader.skip("DESC")
    nulls_last = False
    if reader.skip("NULLS"):
        nulls_last = not reader.skip("FIRST")
        if nulls_last:
            reader.expect("LAST")
    return Order(tuple(name.split(".")), descending, nulls_last, at)


def _either(reader: _Reader, depth: int) -> Condition:
    first = _single(reader, depth)
    word: Literal["AND", "OR"]
    if reader.is_word("AND"):
        word = "AND"
    elif reader.is_word("OR"):
        word = "OR"
    else:
        return first
    parts = [first]
    while reader.skip(word):
        parts.append(_single(reader, depth))
    if reader.is_word("AND", "OR"):
        reader.fail(f"unexpected token: '{reader.peek().text}'", reader.peek().at)
    return Junction(word, tuple(parts))


def _single(reader: _Reader, depth: int) -> Condition:
    if depth > _DEEPEST:
        reader.fail("the condition is nested too deeply")
    if reader.skip("NOT"):
        return Junction("NOT", (_single(reader, depth + 1),))
    if reader.skip_sign("("):
        inner = _either(reader, depth + 1)
        reader.expect(")")
        return inner
    name, at = reader.name()
    path = tuple(name.split("."))
    token = reader.take()
    word = token.text.upper()
    if token.kind == "sign" and token.text in _SIGNS:
        return Comparison(path, "!=" if word == "<>" else word, (_literal(reader),), at)
    if word == "LIKE":
        return Comparison(path, word, (_literal(reader),), at)
    if word == "NOT":
        reader.expect("IN")
        return Comparison(path, "NOT IN", _several(reader), at)
    if word == "IN":
        return Comparison(path, word, _several(reader), at)
    raise reader.trouble(f"unexpected token: '{token.text}'", token.at)


def _several(reader: _Reader) -> tuple[Literally, ...]:
    reader.expect("(")
    if reader.is_word("SELECT"):
        found = [Literally("query", sub=_query(reader, 2))]
    else:
        found = [_literal(reader)]
        while reader.skip_sign(","):
            found.append(_literal(reader))
    reader.expect(")")
    return tuple(found)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text[1:-1], flags=re.DOTALL)


def _literal(reader: _Reader) -> Literally:
    token = reader.take()
    if token.kind == "string":
        return Literally("string", _unquoted(token.text))
    if token.kind == "number":
        return Literally("number", Decimal(token.text))
    if token.kind == "moment" and (moment := read_datetime(token.text)):
        return Literally("datetime", moment)
    if token.kind == "day" and (day := read_date(token.text)):
        return Literally("date", day)
    word = token.text.upper()
    if token.kind == "word" and word == "NULL":
        return Literally("null")
    if token.kind == "word" and word in {"TRUE", "FALSE"}:
        return Literally("boolean", word == "TRUE")
    raise reader.trouble(f"unexpected token: '{token.text}'", token.at)
