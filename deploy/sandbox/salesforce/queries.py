"""Answering SOQL: the tree bound to the org's objects, rows found by index where one serves, and put in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import NoReturn

from deploy.sandbox.salesforce.errors import SalesforceError
from deploy.sandbox.salesforce.ids import normal_id
from deploy.sandbox.salesforce.records import Records, Row, Table, comparable
from deploy.sandbox.salesforce.schema import NUMBERS, TEXTS, Field, SObject
from deploy.sandbox.salesforce.soql import Comparison, Condition, Junction, Literally, Query
from deploy.sandbox.salesforce.values import Value, sort_key

Test = Callable[[Row], bool]


@dataclass(frozen=True, slots=True)
class Path:
    """A field reached over parents, e.g. Account.Parent.Name."""

    hops: tuple[Field, ...]
    field: Field

    def read(self, records: Records, row: Row) -> Value:
        """The value for a row; None where a parent is missing."""
        current: Row | None = row
        for hop in self.hops:
            current = records.get(hop.target or "", current[hop.name]) if current else None
        return records.value(self.field, current) if current else None


@dataclass(slots=True)
class Plan:
    """A query bound to objects and fields."""

    sobject: SObject
    paths: list[Path]
    counts: bool
    test: Test
    where: Condition | None
    order: list[tuple[Path, bool, bool]]
    limit: int | None
    offset: int
    children: list[tuple[str, str, Plan]] = field(default_factory=list[tuple[str, str, "Plan"]])


class Planner:
    """Binds queries and runs them on the rows."""

    def __init__(self, records: Records) -> None:
        """Reads `records`, changes nothing."""
        self.records = records

    def plan(self, query: Query, sobject: SObject | None = None) -> Plan:
        """The bound query. Raises SalesforceError for names and types that do not fit."""
        found = sobject or self.records.schema.find(query.sobject)
        if found is None:
            text = (
                f"\n{query.text[:200]}\n^\nERROR at Row:1:Column:1\nsObject type '{query.sobject}' is not supported. "
            )
            text += "If you are attempting to use a custom object, be sure to append the '__c' after the entity name."
            raise SalesforceError(400, "INVALID_TYPE", text)
        paths = [self._path(query, found, path, at) for path, at in query.paths]
        if query.counts and (paths or query.children):
            raise SalesforceError(400, "MALFORMED_QUERY", "Grouped query cannot select fields without GROUP BY")
        plan = Plan(
            found,
            paths,
            query.counts,
            self._test(query, found, query.where),
            query.where,
            [(self._path(query, found, o.path, o.at), o.descending, o.nulls_last) for o in query.order],
            query.limit,
            query.offset,
        )
        for child in query.children:
            if (relation := found.children.get(child.sobject.lower())) is None:
                self._refuse(query, 0, f"Didn't understand relationship '{child.sobject}' in FROM part of query call.")
            sobject_name, reference = relation
            child_object = self.records.schema[sobject_name]
            name = child_object.fields[reference].children or child.sobject
            plan.children.append((name, reference, self.plan(child, child_object)))
        return plan

    def run(self, plan: Plan, *, with_deleted: bool = False) -> list[Row]:
        """The rows, in order, limit and offset applied."""
        rows, in_order = self._candidates(plan, with_deleted=with_deleted)
        found = filter(plan.test, rows)
        return self._shape(plan, self._first(plan, found) if in_order and _by_change(plan) else found)

    @staticmethod
    def _first(plan: Plan, found: Iterable[Row]) -> Iterable[Row]:
        """As many rows as are asked for, and those of the same stamp as the last of them."""
        wanted = plan.offset + (plan.limit or 0)
        last: Value = None
        for number, row in enumerate(found, 1):
            if number > wanted and row["SystemModstamp"] != last:
                return
            last = row["SystemModstamp"]
            yield row

    def run_child(self, plan: Plan, reference: str, parent: Row) -> list[Row]:
        """The rows of a child subquery for one parent."""
        rows = self.records.children(plan.sobject.name, reference, parent["Id"])
        return self._shape(plan, filter(plan.test, rows))

    def _shape(self, plan: Plan, found: Iterable[Row]) -> list[Row]:
        rows = list(found)
        for path, descending, nulls_last in reversed(plan.order):
            values = {str(row["Id"]): comparable(path.field, path.read(self.records, row)) for row in rows}
            rows.sort(key=lambda row, values=values: sort_key(values[str(row["Id"])]), reverse=descending)
            nulls = [row for row in rows if values[str(row["Id"])] is None]
            others = [row for row in rows if values[str(row["Id"])] is not None]
            rows = others + nulls if nulls_last else nulls + others
        end = None if plan.limit is None else plan.offset + plan.limit
        return rows[plan.offset : end]

    def _candidates(self, plan: Plan, *, with_deleted: bool) -> tuple[Iterable[Row], bool]:
        """Rows among which the answer is, and whether they come in the order of their last change."""
        table = self.records.tables[plan.sobject.name]
        if with_deleted:
            return [*table.rows.values(), *table.deleted.values()], False
        earliest: datetime | None = None
        conjuncts = plan.where.parts if isinstance(plan.where, Junction) and plan.where.word == "AND" else (plan.where,)
        for part in conjuncts:
            if not isinstance(part, Comparison) or len(part.path) != 1:
                continue
            if (rows := self._by_index(plan.sobject, part)) is not None:
                return rows, False
            if part.path[0].lower() == "systemmodstamp" and part.sign in {">", ">="}:
                earliest = value if isinstance(value := part.values[0].value, datetime) else None
        return (table.rows.values() if earliest is None else self._since(table, earliest)), True

    def _by_index(self, sobject: SObject, part: Comparison) -> list[Row] | None:
        table = self.records.tables[sobject.name]
        listed = sobject.find(part.path[0])
        if listed is None or part.sign not in {"=", "IN"} or any(v.kind != "string" for v in part.values):
            return None
        wanted = dict.fromkeys(str(_operand(listed, value)) for value in part.values)
        if listed.kind == "id":
            return [table.rows[i] for i in wanted if i in table.rows]
        if listed.name in table.indexes:
            return [table.rows[i] for value in wanted for i in table.find(listed.name, value)]
        return None

    @staticmethod
    def _since(table: Table, earliest: datetime) -> list[Row]:
        """Rows are kept in the order of their last change, so the recent ones stand at the end."""
        recent: list[Row] = []
        for row in reversed(table.rows.values()):
            stamped = row["SystemModstamp"]
            if isinstance(stamped, datetime) and stamped < earliest:
                break
            recent.append(row)
        return recent[::-1]

    def _refuse(self, query: Query, at: int, message: str) -> NoReturn:
        text = f"\n{query.text[:200]}\n{' ' * min(at, 200)}^\nERROR at Row:1:Column:{at + 1}\n{message}"
        raise SalesforceError(400, "INVALID_FIELD", text)

    def _path(self, query: Query, sobject: SObject, path: tuple[str, ...], at: int) -> Path:
        names = list(path)
        if len(names) > 1 and names[0].lower() in {query.alias.lower(), sobject.name.lower()} - set(sobject.parents):
            names = names[1:]
        hops: list[Field] = []
        current = sobject
        for name in names[:-1]:
            hop = current.parent(name)
            if hop is None or hop.target is None:
                self._refuse(query, at, f"Didn't understand relationship '{name}' in field path.")
            hops.append(hop)
            current = self.records.schema[hop.target]
        found = current.find(names[-1])
        if found is None:
            text = f"No such column '{names[-1]}' on entity '{current.name}'. If you are attempting to use a custom "
            text += "field, be sure to append the '__c' after the custom field name."
            self._refuse(query, at, text)
        return Path(tuple(hops), found)

    def _test(self, query: Query, sobject: SObject, condition: Condition | None) -> Test:
        if condition is None:
            return lambda _: True
        if isinstance(condition, Comparison):
            return self._compare(query, sobject, condition)
        tests = [self._test(query, sobject, part) for part in condition.parts]
        if condition.word == "NOT":
            return lambda row: not tests[0](row)
        if condition.word == "AND":
            return lambda row: all(test(row) for test in tests)
        return lambda row: any(test(row) for test in tests)

    def _compare(self, query: Query, sobject: SObject, comparison: Comparison) -> Test:
        path = self._path(query, sobject, comparison.path, comparison.at)
        if comparison.values[0].kind == "query" and comparison.values[0].sub:
            inner = self.plan(comparison.values[0].sub)
            wanted = {comparable(path.field, inner.paths[0].read(self.records, row)) for row in self.run(inner)} - {
                None
            }
        else:
            for value in comparison.values:
                if problem := _misfit(path.field, value):
                    self._refuse(query, comparison.at, problem)
            wanted = {comparable(path.field, _operand(path.field, value)) for value in comparison.values}
        records, sign = self.records, comparison.sign
        if sign in {"=", "IN"}:
            return lambda row: comparable(path.field, path.read(records, row)) in wanted
        if sign in {"!=", "NOT IN"}:
            return lambda row: comparable(path.field, path.read(records, row)) not in wanted
        if sign == "LIKE":
            pattern = _pattern(str(comparison.values[0].value))
            return lambda row: bool(pattern.match(str(path.read(records, row) or "")))
        limit = next(iter(wanted))
        return lambda row: _ordered(sign, comparable(path.field, path.read(records, row)), limit)


def _by_change(plan: Plan) -> bool:
    """Whether the oldest changes are asked for, and only some of them."""
    if plan.limit is None or not plan.order:
        return False
    path, descending, _ = plan.order[0]
    return path.field.name == "SystemModstamp" and not path.hops and not descending


def _ordered(sign: str, value: Value, limit: Value) -> bool:
    if value is None or limit is None:
        return False
    left, right = sort_key(value), sort_key(limit)
    if sign == "<":
        return left < right
    if sign == ">":
        return left > right
    return left <= right if sign == "<=" else left >= right


def _operand(listed: Field, literal: Literally) -> Value:
    value = literal.value
    if isinstance(value, str) and listed.kind in {"id", "reference"}:
        return normal_id(value) or value
    return value if isinstance(value, (str, bool, date, Decimal)) else None


def _misfit(listed: Field, literal: Literally) -> str | None:
    """What the vendor says when a value cannot be compared with the field, or None."""
    if literal.kind == "null":
        return None
    if listed.kind in NUMBERS:
        fits = literal.kind == "number"
    elif listed.kind in TEXTS | {"id", "reference"}:
        fits = literal.kind == "string"
        if fits and listed.kind in {"id", "reference"} and normal_id(str(literal.value)) is None:
            raise SalesforceError(400, "INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {literal.value}")
    else:
        fits = literal.kind == listed.kind
    if fits:
        return None
    quoted = "should not be" if listed.kind not in TEXTS | {"id", "reference"} else "should be"
    must = f"must be of type {listed.kind} and {quoted} enclosed in quotes"
    return f"value of filter criterion for field '{listed.name}' {must}"


def _pattern(like: str) -> re.Pattern[str]:
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(c, re.escape(c)) for c in like) + r"\Z", re.IGNORECASE | re.DOTALL)
