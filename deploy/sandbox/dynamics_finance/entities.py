"""The entity sets as a caller meets them: read, create, change, delete, alone or in a change set; no wire enters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from deploy.sandbox.dynamics_finance import query
from deploy.sandbox.dynamics_finance.errors import (
    Refusal,
    already_exists,
    bad_request,
    no_such_row,
    no_such_set,
    not_allowed,
    stale,
    update_conflict,
    write_failed,
)
from deploy.sandbox.dynamics_finance.rules import Rules
from deploy.sandbox.dynamics_finance.schema import EntitySet
from deploy.sandbox.dynamics_finance.state import DEFAULT_COMPANY, Environment, Table
from deploy.sandbox.dynamics_finance.values import EMPTY_DATE, Row, default, noon, shown, taken
from deploy.sandbox.kit.odata import ODataRefused
from deploy.sandbox.kit.odata_options import parse_key

_LARGEST_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes of a request: status, JSON body (None: none), headers."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Entities:
    """All entity sets of the environment."""

    def __init__(self, environment: Environment, rules: Rules) -> None:
        """Every set is there and may be used."""
        self.environment = environment
        self.rules = rules
        self.set_names: dict[str, str] = {}
        self.forbidden: set[str] = set()
        self.page_rows = _LARGEST_PAGE
        self.conflicts: dict[str, int] = {}

    def known(self) -> dict[str, EntitySet]:
        """The sets under the names that this environment has for them, without those it lacks."""
        absent = self.rules.ways.proposals == "absent"
        return {
            self.set_names.get(name, name): table.entity
            for name, table in self.environment.tables.items()
            if not (absent and name.startswith("ProjectInvoiceProposal"))
        }

    def _table(self, name: str) -> Table:
        entity = self.known().get(name)
        if entity is None:
            raise no_such_set(name)
        if entity.name in self.forbidden:
            raise not_allowed(name)
        return self.environment.tables[entity.name]

    def _addressed(self, segment: str) -> tuple[Table, Mapping[str, Any] | None]:
        try:
            name, key = parse_key(segment)
        except ODataRefused as refused:
            raise bad_request(str(refused)) from refused
        return self._table(name), key

    def _row(self, table: Table, key: Mapping[str, Any], options: Mapping[str, str]) -> Row:
        entity = table.entity
        if set(key) == {""} and len(entity.keys) == 1:
            key = {entity.keys[0]: key[""]}
        if set(key) != set(entity.keys):
            raise bad_request(f"The key of {entity.name} is {', '.join(entity.keys)}; name every part.")
        parts = {name: _key_part(entity, name, value) for name, value in key.items()}
        row = self.environment.get(entity.name, **parts)
        if row is None or (
            entity.has_company and row["dataAreaId"] != DEFAULT_COMPANY and not query.is_cross_company(options)
        ):
            raise no_such_row(entity.name)
        return row

    def read(self, segment: str, options: Mapping[str, str], root: str) -> Outcome:
        """A row by key, or a page of the set."""
        table, key = self._addressed(segment)
        entity = table.entity
        fields = query.selected(entity, options.get("$select", ""))
        context = f"{root}/data/$metadata#{segment.partition('(')[0]}"
        if key is not None:
            row = self._row(table, key, options)
            return Outcome(200, {"@odata.context": f"{context}/$entity", **shown(entity, row, fields)})
        page = query.run(table, options, most=self.page_rows)
        body: Row = {"@odata.context": context}
        if options.get("$count") == "true":
            body["@odata.count"] = page.total
        body["value"] = [shown(entity, row, fields) for row in page.rows]
        if page.following is not None:
            kept = {name: value for name, value in options.items() if name not in {"$skip", "$skiptoken"}}
            if "$top" in kept:
                kept["$top"] = str(int(kept["$top"]) - len(page.rows))
            body["@odata.nextLink"] = (segment, {**kept, "$skip": str(page.following)})
        return Outcome(200, body)

    def count(self, name: str, options: Mapping[str, str]) -> int:
        """How many rows a filter finds."""
        return query.run(self._table(name), options, most=1).total

    def create(self, segment: str, body: Any) -> tuple[EntitySet, Row]:
        """A new row, or a refusal."""
        table, key = self._addressed(segment)
        entity = table.entity
        if key is not None or entity.is_read_only:
            raise bad_request(f"A row of {entity.name} cannot be created there.")
        with self.environment.transaction():
            return entity, self.insert(entity, taken(entity, body, is_new=True))

    def insert(self, entity: EntitySet, values: Row) -> Row:
        """Fill in, check, write."""
        if entity.has_company:
            values["dataAreaId"] = (values.get("dataAreaId") or DEFAULT_COMPANY).lower()
            self._demand_company(entity, values["dataAreaId"])
        self.rules.before_insert(entity.name, values)
        key = {name: values.get(name, default(entity.fields[name])) for name in entity.keys}
        if self.environment.get(entity.name, **key) is not None:
            raise already_exists(entity.entity, ", ".join(str(value) for value in key.values()))
        return self.environment.insert(entity.name, values)

    def _demand_company(self, entity: EntitySet, company: str) -> None:
        if company != DEFAULT_COMPANY and self.environment.get("LegalEntities", LegalEntityId=company) is None:
            raise write_failed(entity.entity, f"Company {company} does not exist.")

    def change(self, segment: str, body: Any, options: Mapping[str, str], match: str | None) -> None:
        """New values for a row; `match` is If-Match."""
        table, key = self._addressed(segment)
        entity = table.entity
        if key is None or entity.is_read_only:
            raise bad_request(f"A row of {entity.name} cannot be changed there.")
        row = self._row(table, key, options)
        if match not in {None, "*", row["@etag"]}:
            raise stale()
        self._meet(entity)
        values = taken(entity, body, is_new=False)
        with self.environment.transaction():
            values = self.rules.before_change(entity.name, row, values)
            self.environment.change(entity.name, row, values)

    def delete(self, segment: str, options: Mapping[str, str], match: str | None) -> None:
        """Take a row away, with the lines of a document."""
        table, key = self._addressed(segment)
        if key is None or table.entity.is_read_only:
            raise bad_request(f"A row of {table.entity.name} cannot be deleted there.")
        row = self._row(table, key, options)
        if match not in {None, "*", row["@etag"]}:
            raise stale()
        with self.environment.transaction():
            self.rules.before_change(table.entity.name, row, {})
            for name, field_name, own in _LINES.get(table.entity.name, ()):
                for line in self.environment.tables[name].having(field_name, row[own]):
                    if line["dataAreaId"] == row["dataAreaId"]:
                        self.environment.remove(name, line)
            self.environment.remove(table.entity.name, row)

    def _meet(self, entity: EntitySet) -> None:
        left = self.conflicts.get(entity.name, 0)
        if left:
            self.conflicts[entity.name] = left - 1
            raise update_conflict(entity.table or entity.entity)


_LINES: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "FreeTextInvoiceHeaders": (("FreeTextInvoiceLines", "ParentRecId", "InvoiceIdentifier"),),
    "ProjectInvoiceProposalHeaders": (
        ("ProjectInvoiceProposalOnAccountLines", "InvoiceProposalId", "InvoiceProposalId"),
    ),
}


def _key_part(entity: EntitySet, name: str, value: Any) -> Any:
    kind = entity.fields[name].kind
    try:
        if kind in {"int", "long"}:
            return int(value)
        if kind == "decimal":
            return Decimal(str(value))
        if kind == "date":
            return _moment(str(value))
    except (ValueError, ArithmeticError) as error:
        raise bad_request(f"{name} is not a valid key value: {value}") from error
    return str(value)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text) if text else EMPTY_DATE
    return noon(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def refusal_of(error: Refusal) -> Outcome:
    """A refusal as the outcome of a part of a batch."""
    return Outcome(error.status, error.document())
