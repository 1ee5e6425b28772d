"""SuiteQL answered from the account's tables: joins, conditions, order, and the dialect's few functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from deploy.sandbox.netsuite.state import Row
from deploy.sandbox.netsuite.suiteql_grammar import Both, Call, Column, Compare, Join, Literal, Query, bad_query, parse
from deploy.sandbox.netsuite.suiteql_tables import Table

Line = dict[str, Row | None]
"""One row of the joined tables: alias → row, None where a left join found nothing."""
Reader = Callable[[Line], Any]
Test = Callable[[Line], bool]

_FORMATS = {"YYYY": "%Y", "MM": "%m", "DD": "%d", "HH24": "%H", "MI": "%M", "SS": "%S"}


def answer(tables: Mapping[str, Table], text: str) -> list[dict[str, Any]]:
    """All rows of a query as the wire shows them: numbers as strings, nulls left out. Raises Refusal."""
    return _Run(tables, parse(text)).rows()


class _Run:
    def __init__(self, tables: Mapping[str, Table], query: Query) -> None:
        self._query = query
        self._tables: dict[str, Table] = {}
        for alias, name in ((query.alias, query.table), *((join.alias, join.table) for join in query.joins)):
            if name not in tables:
                raise bad_query(f"Record '{name}' was not found.")
            self._tables[alias] = tables[name]

    def rows(self) -> list[dict[str, Any]]:
        query = self._query
        lines: list[Line] = [{query.alias: row} for row in self._tables[query.alias].rows()]
        for join in query.joins:
            lines = self._joined(lines, join)
        if query.where is not None:
            test = self._test(query.where)
            lines = [line for line in lines if test(line)]
        for term, is_down in reversed(query.order):
            read = self._read(term)
            lines.sort(key=lambda line, read=read: _sortable(read(line)), reverse=is_down)
        readers = self._readers()
        found: list[dict[str, Any]] = []
        seen: set[str] = set()
        for line in lines:
            row = {name: _shown(value) for name, read in readers if (value := read(line)) is not None}
            if query.is_distinct:
                if repr(row) in seen:
                    continue
                seen.add(repr(row))
            found.append({"links": [], **row})
        return found

    def _readers(self) -> list[tuple[str, Reader]]:
        readers: list[tuple[str, Reader]] = []
        for term, name in self._query.columns:
            if name == "*":
                readers.extend(
                    (column, self._read(Column(alias, column)))
                    for alias, table in self._tables.items()
                    for column in sorted(table.columns)
                )
            else:
                readers.append((name, self._read(term)))
        return readers

    def _joined(self, lines: list[Line], join: Join) -> list[Line]:
        condition = join.condition
        if not isinstance(condition, Compare) or condition.operator != "=":
            raise bad_query("A join needs one equality.")
        left, right = condition.operands
        if isinstance(left, Column) and left.table == join.alias:
            left, right = right, left
        inner, outer = self._read(right), self._read(left)
        index: dict[str, list[Row]] = {}
        for row in self._tables[join.alias].rows():
            index.setdefault(str(inner({join.alias: row})), []).append(row)
        found: list[Line] = []
        for line in lines:
            matches = index.get(str(outer(line)), [])
            found.extend({**line, join.alias: row} for row in matches)
            if not matches and join.keeps_unmatched:
                found.append({**line, join.alias: None})
        return found

    def _place(self, column: Column) -> str:
        for alias, table in self._tables.items():
            if column.table in {"", alias} and column.name in table.columns:
                return alias
        raise bad_query(f"Unknown identifier '{column.name}'.")

    def _read(self, term: Any) -> Reader:
        if isinstance(term, Literal):
            return _constant(term.value)
        if isinstance(term, Column):
            alias = self._place(term)
            value, name = self._tables[alias].value, term.name
            return lambda line: value(row, name) if (row := line[alias]) is not None else None
        if isinstance(term, Call):
            return self._call(term)
        raise bad_query("A value was expected.")

    def _call(self, call: Call) -> Reader:
        if call.name == "builtin.df" and len(call.arguments) == 1 and isinstance(call.arguments[0], Column):
            column = call.arguments[0]
            alias = self._place(column)
            shown = self._tables[alias].shown
            return lambda line: shown(row, column.name) if (row := line[alias]) is not None else None
        readers = [self._read(argument) for argument in call.arguments]
        functions: dict[str, Callable[..., Any]] = {
            "to_date": _to_date,
            "to_char": _to_char,
            "upper": _upper,
            "lower": _lower,
            "nvl": _otherwise,
        }
        function = functions.get(call.name)
        if function is None:
            raise bad_query(f"Function '{call.name}' is not supported.")
        return lambda line: function(*(read(line) for read in readers))

    def _test(self, condition: Any) -> Test:
        if isinstance(condition, Both):
            tests = [self._test(part) for part in condition.parts]
            if condition.operator == "not":
                return lambda line: not tests[0](line)
            joined = all if condition.operator == "and" else any
            return lambda line: joined(test(line) for test in tests)
        if not isinstance(condition, Compare):
            raise bad_query("A condition was expected.")
        readers = [self._read(operand) for operand in condition.operands]
        return _comparison(condition.operator, readers)


def _comparison(operator: str, readers: list[Reader]) -> Test:
    first, rest = readers[0], readers[1:]
    if operator == "is null":
        return lambda line: first(line) is None
    if operator == "is not null":
        return lambda line: first(line) is not None
    if operator == "in":
        return lambda line: any(_ordered(first(line), read(line)) == 0 for read in rest)
    if operator == "between":
        return lambda line: (
            (low := _ordered(first(line), rest[0](line))) is not None
            and (high := _ordered(first(line), rest[1](line))) is not None
            and low >= 0 >= high
        )
    if operator == "like":
        return lambda line: _like(first(line), rest[0](line))
    accepted = {"=": (0,), "<>": (-1, 1), "<": (-1,), ">": (1,), "<=": (-1, 0), ">=": (0, 1)}[operator]
    return lambda line: _ordered(first(line), rest[0](line)) in accepted


def _constant(value: Any) -> Reader:
    def read(line: Line) -> Any:
        del line
        return value

    return read


def _upper(text: Any) -> str:
    return str(text).upper()


def _lower(text: Any) -> str:
    return str(text).lower()


def _otherwise(first: Any, second: Any) -> Any:
    return second if first is None else first


def _ordered(left: Any, right: Any) -> int | None:
    """-1, 0, 1; None where one is null: then no comparison holds."""
    if left is None or right is None:
        return None
    if isinstance(left, date) or isinstance(right, date):
        left, right = _moment(left), _moment(right)
    elif isinstance(left, (int, Decimal)) or isinstance(right, (int, Decimal)):
        try:
            left, right = Decimal(str(left)), Decimal(str(right))
        except InvalidOperation as error:
            raise bad_query("Invalid number.") from error
    return (left > right) - (left < right)


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise bad_query("A date can only be compared with a date; use TO_DATE.")


def _like(value: Any, pattern: Any) -> bool:
    if value is None or pattern is None:
        return False
    expression = re.escape(str(pattern)).replace("%", ".*").replace("_", ".")
    return re.fullmatch(expression, str(value), re.IGNORECASE | re.DOTALL) is not None


def _python_format(pattern: str) -> str:
    for word, directive in _FORMATS.items():
        pattern = pattern.replace(word, directive)
    return pattern


def _to_date(text: Any, pattern: Any = "MM/DD/YYYY") -> datetime:
    try:
        return datetime.strptime(str(text), _python_format(str(pattern))).replace(tzinfo=UTC)
    except ValueError as error:
        raise bad_query(f"Invalid date '{text}'.") from error


def _to_char(value: Any, pattern: Any = "MM/DD/YYYY") -> str | None:
    if value is None:
        return None
    return _moment(value).strftime(_python_format(str(pattern))) if isinstance(value, date) else str(value)


def _sortable(value: Any) -> tuple[int, Any]:
    """Nulls last; numbers before texts, as one column rarely mixes them."""
    if value is None:
        return (3, 0)
    if isinstance(value, date):
        return (0, _moment(value))
    return (1, value) if isinstance(value, (int, Decimal)) else (2, str(value))


def _shown(value: Any) -> str:
    if isinstance(value, date):
        return f"{value.month}/{value.day}/{value.year}"
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)
