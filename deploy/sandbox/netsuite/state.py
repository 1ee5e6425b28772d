"""The account's memory: records by type with their internal and external ids; no wire and no bookkeeping may enter."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any, Literal

from deploy.sandbox.netsuite.errors import invalid_content, no_such_record
from deploy.sandbox.netsuite.schema import BY_LOWER_NAME, FAMILIES, RECORD_TYPES, RecordType, pointed_at

Row = dict[str, Any]
"""Field → Python value: references are internal ids (int), amounts Decimal, dates `date`, sublists lists of rows."""
ChangeListener = Callable[[RecordType, Row, str], None]

_CURRENCIES = (("USD", "US Dollar", 2), ("GBP", "British pound", 2), ("EUR", "Euro", 2), ("CAD", "Canadian Dollar", 2))
_TERMS = ((0, "Due on receipt"), (15, "Net 15"), (30, "Net 30"), (60, "Net 60"))


@dataclass(slots=True)
class Behaviour:
    """What the vendor's pages leave open, or what differs between accounts; a client must get along with each.

    `put_replaces`: PUT heeds `replace=` as PATCH does. `suite_tax`: tax comes from tax details or the account's engine,
    and `taxTotal` is not taken. `status_as`: an invoice's status is told by its letter or by its label.
    `milestone_type`: the schedule type whose lines are milestones. `batch_expands`: a batch read shows sublists.
    """

    put_replaces: bool = True
    suite_tax: bool = False
    status_as: Literal["letter", "label"] = "letter"
    milestone_type: str = "4"
    batch_expands: bool = True


class Account:
    """All records of one account, in memory."""

    def __init__(self, listener: ChangeListener) -> None:
        """`listener` hears of every change, after it."""
        self.listener = listener
        self.behaviour = Behaviour()
        self._open_books()

    def _open_books(self) -> None:
        self.shapes: Mapping[str, RecordType] = RECORD_TYPES
        self.records: dict[str, dict[int, Row]] = {name: {} for name in RECORD_TYPES}
        self.type_of: dict[str, dict[int, RecordType]] = {family: {} for family in FAMILIES}
        self.externals: dict[str, dict[str, int]] = {family: {} for family in FAMILIES}
        self.applied: dict[int, dict[int, Decimal]] = {}
        self._numbers = {family: count(1) for family in FAMILIES}
        self._documents = count(1001)
        self._periods: dict[tuple[int, int], int] = {}
        for symbol, name, precision in _CURRENCIES:
            row: Row = {"symbol": symbol, "name": name, "currencyPrecision": Decimal(precision), "externalId": symbol}
            self.insert(RECORD_TYPES["currency"], row)
        for days, name in _TERMS:
            self.insert(RECORD_TYPES["term"], {"name": name, "daysUntilNetDue": Decimal(days)})
        self.receivables = self.insert(
            RECORD_TYPES["account"], {"acctNumber": "1100", "acctName": "Accounts Receivable", "acctType": "AcctRec"}
        )

    def reset(self) -> None:
        """A fresh account with nothing but its currencies, terms and the receivables account."""
        self._open_books()

    def delete_fields(self, names: Collection[str]) -> None:
        """These custom fields are gone for who asks, from every record type that has them; all others are there."""
        self.shapes = {name: record.without(names) for name, record in RECORD_TYPES.items()}

    def shape(self, name: str) -> RecordType:
        """The type an address names, in either spelling, with the fields there are now."""
        record = BY_LOWER_NAME.get(name.lower())
        if record is None:
            raise no_such_record(name, "")
        return self.shapes[record.name]

    def counts(self) -> dict[str, int]:
        """How many records of each type there are."""
        return {name: len(rows) for name, rows in self.records.items()}

    def rows(self, record: str) -> Iterator[Row]:
        """All rows of a type, oldest first."""
        yield from self.records[record].values()

    def key(self, record: RecordType, key: str) -> Row:
        """The row an address names: an internal id, or `eid:` and an external id."""
        found = self.find(record, key)
        if found is None:
            raise no_such_record(record.name, key)
        return found

    def find(self, record: RecordType, key: str) -> Row | None:
        """As `key`, None where there is nothing."""
        if key.startswith("eid:"):
            number = self.externals[record.family].get(key[4:])
        else:
            number = int(key) if key.isascii() and key.isdigit() else None
        return None if number is None else self.records[record.name].get(number)

    def target(self, reference: str, number: int) -> Row | None:
        """The row a reference field's value points at."""
        for record in pointed_at(reference):
            if row := self.records[record.name].get(number):
                return row
        return None

    def insert(self, record: RecordType, values: Row) -> Row:
        """A new row; the external id must be free."""
        external = values.get("externalId")
        if external and external in self.externals[record.family]:
            raise invalid_content(f"A record with external id {external} exists already.", "externalId")
        number = next(self._numbers[record.family])
        now = datetime.now(UTC).replace(microsecond=0)
        in_use = {} if record.type_code else {"isInactive": False}  # transactions are voided, never set aside
        row: Row = {"id": number, **in_use, **values, "lastModifiedDate": now}
        for stamp in ("createdDate", "dateCreated"):
            if stamp in record.fields:
                row[stamp] = now
        if record.type_code and not row.get("tranId"):
            row["tranId"] = f"{record.type_code[:4].upper()}{next(self._documents)}"
        self.records[record.name][number] = row
        self.type_of[record.family][number] = record
        if external:
            self.externals[record.family][external] = number
        self.listener(record, row, "create")
        return row

    def change(self, record: RecordType, row: Row, values: Row) -> None:
        """New values for a row; moves its external id."""
        external = values.get("externalId", row.get("externalId"))
        if external != row.get("externalId"):
            if external in self.externals[record.family]:
                raise invalid_content(f"A record with external id {external} exists already.", "externalId")
            self.externals[record.family].pop(str(row.get("externalId")), None)
            if external:
                self.externals[record.family][external] = row["id"]
        row.update(values)
        self.touch(record, row)

    def touch(self, record: RecordType, row: Row) -> None:
        """The row changed now."""
        row["lastModifiedDate"] = datetime.now(UTC).replace(microsecond=0)
        self.listener(record, row, "edit")

    def remove(self, record: RecordType, row: Row) -> None:
        """The row is gone."""
        del self.records[record.name][row["id"]]
        del self.type_of[record.family][row["id"]]
        self.externals[record.family].pop(str(row.get("externalId")), None)
        self.listener(record, row, "delete")

    def period_of(self, day: date) -> Row:
        """The accounting period of a day: the calendar month, made when first needed."""
        periods = self.records["accountingPeriod"]
        number = self._periods.get((day.year, day.month))
        if number is None or number not in periods:
            first = day.replace(day=1)
            following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
            last = date.fromordinal(following.toordinal() - 1)
            values = {"periodName": f"{first:%b %Y}", "startDate": first, "endDate": last, "closed": False}
            number = self.insert(RECORD_TYPES["accountingPeriod"], values)["id"]
            self._periods[day.year, day.month] = number
        return periods[number]

    def precision(self, currency: int | None) -> int:
        """Digits after the point of a currency."""
        row = self.records["currency"].get(currency or 0)
        return int(row.get("currencyPrecision") or 0) if row else 2
