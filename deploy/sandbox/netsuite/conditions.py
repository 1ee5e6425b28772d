"""The `q` filter of record collections: parsed and applied to rows; SuiteQL is another room."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from deploy.sandbox.netsuite.errors import invalid_query
from deploy.sandbox.netsuite.schema import FieldType, RecordType
from deploy.sandbox.netsuite.state import Row

Test = Callable[[Row], bool]
_TOKEN = re.compile(r'\s*(?:(\()|(\))|(\[[^\]]*\])|"((?:[^"\\]|\\.)*)"|([^\s()\[\]"]+))')


def _words(text: str) -> list[str]:
    words: list[str] = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise invalid_query(f"Cannot be read at {position}.")
        opening, closing, several, quoted, bare = match.groups()
        words.append(opening or closing or several or (quoted if quoted is not None else bare))
        position = match.end()
    return words


def condition(record: RecordType, text: str) -> Test:
    """The test a `q` expression stands for: AND binds tighter than OR."""
    return _Reader(record, _words(text)).whole()


class _Reader:
    def __init__(self, record: RecordType, words: list[str]) -> None:
        self._record = record
        self._words = words
        self._next = 0

    def _take(self) -> str:
        if self._next >= len(self._words):
            raise invalid_query("The expression ends early.")
        self._next += 1
        return self._words[self._next - 1]

    def _peek(self) -> str:
        return self._words[self._next] if self._next < len(self._words) else ""

    def whole(self) -> Test:
        test = self._either()
        if self._peek():
            raise invalid_query(f"Unexpected {self._peek()}.")
        return test

    def _either(self) -> Test:
        tests = [self._both()]
        while self._peek().upper() == "OR":
            self._take()
            tests.append(self._both())
        return lambda row: any(test(row) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._peek().upper() == "AND":
            self._take()
            tests.append(self._one())
        return lambda row: all(test(row) for test in tests)

    def _one(self) -> Test:
        if self._peek() == "(":
            self._take()
            test = self._either()
            if self._take() != ")":
                raise invalid_query("A parenthesis is not closed.")
            return test
        name = self._take()
        field = next((kind for key, kind in self._record.fields.items() if key.lower() == name.lower()), None)
        if field is None:
            raise invalid_query(f"The field {name} is not known or cannot be filtered by.")
        operator = self._take().upper()
        negates = operator.endswith("_NOT")
        operator = operator.removesuffix("_NOT")
        if operator == "EMPTY":
            return lambda row: (row.get(field.name) in (None, "")) != negates
        test = _comparison(field, operator, self._take())
        return lambda row: test(row) != negates


def _comparison(field: FieldType, operator: str, given: str) -> Test:
    several = [part.strip().strip('"') for part in given[1:-1].split(",")] if given.startswith("[") else [given]
    wanted: list[Any] = [_operand(field, part) for part in several]
    first = wanted[0]
    tests: dict[str, Callable[[Any], bool]] = {
        "IS": lambda value: value == first,
        "EQUAL": lambda value: value == first,
        "ON": lambda value: value == first,
        "ANY_OF": lambda value: value in wanted,
        "CONTAIN": lambda value: str(first).lower() in str(value).lower(),
        "START_WITH": lambda value: str(value).lower().startswith(str(first).lower()),
        "END_WITH": lambda value: str(value).lower().endswith(str(first).lower()),
        "GREATER": lambda value: value > first,
        "AFTER": lambda value: value > first,
        "GREATER_OR_EQUAL": lambda value: value >= first,
        "ON_OR_AFTER": lambda value: value >= first,
        "LESS": lambda value: value < first,
        "BEFORE": lambda value: value < first,
        "LESS_OR_EQUAL": lambda value: value <= first,
        "ON_OR_BEFORE": lambda value: value <= first,
        "BETWEEN": lambda value: wanted[0] <= value <= wanted[-1],
        "WITHIN": lambda value: wanted[0] <= value <= wanted[-1],
    }
    if (test := tests.get(operator)) is None:
        raise invalid_query(f"The operator {operator} is not known.")
    return lambda row: (value := _comparable(row.get(field.name))) is not None and test(value)


def _comparable(value: Any) -> Any:
    return value.date() if isinstance(value, datetime) else value


def _operand(field: FieldType, text: str) -> Any:
    try:
        if field.kind in {"number", "money"}:
            return Decimal(text)
        if field.kind == "reference" or field.name == "id":
            return int(text)
        if field.kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if field.kind in {"date", "datetime"}:
            month, day, year = (int(part) for part in text.split("/"))
            return date(year, month, day)
    except (ValueError, KeyError, InvalidOperation) as error:
        raise invalid_query(f"{text} is not a value of {field.name}.") from error
    return text
