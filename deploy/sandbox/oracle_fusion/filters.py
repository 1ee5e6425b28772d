"""The `q`, `finder` and `orderBy` parameters: query by example in framework 1, row match expressions from 2 on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from fnmatch import translate
from typing import Any

from deploy.sandbox.oracle_fusion.errors import bad_query
from deploy.sandbox.oracle_fusion.schema import Attribute, Resource

Row = dict[str, Any]
Test = Callable[[Row], bool]
FIRST_EXPRESSIONS = 2
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*'|\"[^\"]*\")|(?P<op><=|>=|<>|!=|=|<|>|\(|\)|,)|(?P<word>[\w.+:-]+))", re.ASCII
)
_EXAMPLE = re.compile(r"^\s*(?P<name>\w+)\s*(?P<op><=|>=|<>|!=|=|<|>|(?i:like)\b|\s)\s*(?P<value>.*?)\s*$")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}


@dataclass(slots=True)
class Condition:
    """A test of rows, and the equalities every passing row fulfils (an index can serve them)."""

    test: Test
    equal: dict[str, Any] = field(default_factory=dict[str, Any])


def everything(row: Row) -> bool:
    """No condition."""
    del row
    return True


def condition(resource: Resource, text: str, framework: int) -> Condition:
    """What `q` asks for. Raises Refusal."""
    if not text.strip():
        return Condition(everything)
    if framework < FIRST_EXPRESSIONS:
        return _by_example(resource, text)
    return _Parser(resource, text).parse()


def ordering(resource: Resource, text: str) -> Callable[[list[Row]], list[Row]]:
    """Sorts rows as `orderBy=A:asc,B:desc` says; nulls last, as the database has it."""
    wanted: list[tuple[str, bool]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, direction = part.partition(":")
        if name not in resource.attributes or direction.lower() not in {"", "asc", "desc"}:
            raise bad_query(f"orderBy {part} is not understood.")
        wanted.append((name, direction.lower() == "desc"))

    def order(rows: list[Row]) -> list[Row]:
        for name, is_descending in reversed(wanted):
            rows = sorted(rows, key=lambda row: (row.get(name) is not None, row.get(name) or 0), reverse=is_descending)
        return rows

    return order


def literal(attribute: Attribute, text: str) -> Any:
    """A constant as the attribute's values are kept. Raises Refusal."""
    try:
        if attribute.kind == "int":
            return int(text)
        if attribute.kind == "number":
            return Decimal(text)
        if attribute.kind == "boolean":
            return text.lower() in {"true", "y"}
        if attribute.kind == "date":
            return date.fromisoformat(text[:10]).isoformat()
        if attribute.kind == "datetime":
            return stamp(_moment(text))
    except (ValueError, InvalidOperation) as error:
        raise bad_query(f"{text} is no value of {attribute.name}.") from error
    return text


def stamp(moment: datetime) -> str:
    """An instant as the pod writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+00:00"


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _named(resource: Resource, name: str) -> Attribute:
    attribute = resource.attributes.get(name)
    if attribute is None or not attribute.is_queryable:
        raise bad_query(f"The attribute {name} cannot be queried on {resource.name}.")
    return attribute


def _compared(attribute: Attribute, operator: str, value: Any) -> Test:
    compare, name = _COMPARE[operator], attribute.name

    def test(row: Row) -> bool:
        held = row.get(name)
        return held is not None and compare(held, value)

    return test


def _like(attribute: Attribute, pattern: str) -> Test:
    matcher = re.compile(translate(pattern.replace("%", "*").replace("[", "[[]")))
    return lambda row: matcher.match(str(row.get(attribute.name) or "")) is not None


def _by_example(resource: Resource, text: str) -> Condition:
    tests: list[Test] = []
    equal: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = _EXAMPLE.match(part)
        if match is None or re.search(r"\s(and|or)\s", part, re.IGNORECASE):
            raise bad_query(f"{part} is no query by example.")
        attribute = _named(resource, match["name"])
        value, operator = match["value"].strip("'\""), match["op"].strip().lower()
        if operator == "like" or "*" in value or "%" in value:
            tests.append(_like(attribute, value))
            continue
        constant = literal(attribute, value)
        tests.append(_compared(attribute, operator or "=", constant))
        if operator in {"", "="}:
            equal[attribute.name] = constant
    return Condition(lambda row: all(test(row) for test in tests), equal)


class _Parser:
    """Reads a row match expression."""

    def __init__(self, resource: Resource, text: str) -> None:
        self._resource = resource
        self._tokens: list[tuple[str, str]] = []
        at, text = 0, text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise bad_query(f"{text[at : at + 20]!r} is not understood.")
            kind = str(match.lastgroup)
            self._tokens.append((kind, match[kind]))
            at = match.end()
        self._at = 0

    def parse(self) -> Condition:
        found = self._either()
        if self._at < len(self._tokens):
            raise bad_query(f"{self._tokens[self._at][1]} stands where nothing may stand.")
        return found

    def _word(self) -> str:
        return self._tokens[self._at][1].lower() if self._at < len(self._tokens) else ""

    def _take(self, *kinds: str) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] not in kinds:
            raise bad_query("The expression ends too soon or has a word out of place.")
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _skip(self, word: str) -> bool:
        if self._word() != word:
            return False
        self._at += 1
        return True

    def _either(self) -> Condition:
        parts = [self._both()]
        while self._skip("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Condition(lambda row: any(part.test(row) for part in parts))

    def _both(self) -> Condition:
        parts = [self._term()]
        while self._skip("and"):
            parts.append(self._term())
        if len(parts) == 1:
            return parts[0]
        equal = {name: value for part in parts for name, value in part.equal.items()}
        return Condition(lambda row: all(part.test(row) for part in parts), equal)

    def _term(self) -> Condition:
        if self._skip("("):
            inner = self._either()
            if not self._skip(")"):
                raise bad_query("A bracket is not closed.")
            return inner
        attribute = _named(self._resource, self._take("word"))
        if self._skip("is"):
            is_wanted = not self._skip("not")
            if not self._skip("null"):
                raise bad_query("IS is followed by NULL or NOT NULL.")
            return Condition(lambda row: (row.get(attribute.name) is None) == is_wanted)
        if self._skip("in"):
            return self._listed(attribute)
        if self._skip("like"):
            return Condition(_like(attribute, self._value()))
        operator = self._take("op")
        if operator not in _COMPARE:
            raise bad_query(f"{operator} compares nothing.")
        value = literal(attribute, self._value())
        return Condition(_compared(attribute, operator, value), {attribute.name: value} if operator == "=" else {})

    def _listed(self, attribute: Attribute) -> Condition:
        if not self._skip("("):
            raise bad_query("IN wants a list in brackets.")
        values = {literal(attribute, self._value())}
        while self._skip(","):
            values.add(literal(attribute, self._value()))
        if not self._skip(")"):
            raise bad_query("A list is not closed.")
        return Condition(lambda row: row.get(attribute.name) in values)

    def _value(self) -> str:
        text = self._take("text", "word")
        if text[0] in "'\"":
            return text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1]
        return text
