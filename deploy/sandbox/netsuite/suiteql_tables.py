"""The tables SuiteQL sees, made from the account's records: lower-case columns, one value each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from deploy.sandbox.netsuite.schema import RECORD_TYPES, FieldType, RecordType, pointed_at
from deploy.sandbox.netsuite.state import Account, Row

TRANSACTIONS = [record for record in RECORD_TYPES.values() if record.type_code]
_OTHER_NAMES = {"serviceSaleItem": "item"}
LINE_COLUMNS = ("uniquekey", "transaction", "linesequencenumber", "item", "quantity", "rate", "foreignamount", "memo")
LINK_COLUMNS = ("previousdoc", "previoustype", "nextdoc", "nexttype", "linktype", "foreignamount")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows and how a column of one is read; `shown` is what BUILTIN.DF shows of it."""

    columns: frozenset[str]
    rows: Callable[[], Iterator[Row]]
    value: Callable[[Row, str], Any]
    shown: Callable[[Row, str], Any]


def tables(account: Account) -> dict[str, Table]:
    """Every table by name, with a column for every field there is now."""
    made = {_OTHER_NAMES.get(name, name.lower()): _of(account, [record]) for name, record in account.shapes.items()}
    for record in TRANSACTIONS:
        del made[record.name.lower()]
    made["transaction"] = _of(account, [account.shapes[record.name] for record in TRANSACTIONS])
    made["entity"] = _of(account, [account.shapes[record.name] for record in pointed_at("entity")])
    made["transactionline"] = _plain(LINE_COLUMNS, lambda: _transaction_lines(account))
    made["nexttransactionlinelink"] = _plain(LINK_COLUMNS, lambda: _links(account))
    return made


def _of(account: Account, records: list[RecordType]) -> Table:
    kinds: dict[str, FieldType] = {}
    for record in records:
        kinds.update({name.lower(): kind for name, kind in record.fields.items()})
    special = _special(records[0])

    def rows() -> Iterator[Row]:
        for record in records:
            for row in account.rows(record.name):
                yield {**row, "\0record": record}

    def value(row: Row, column: str) -> Any:
        if read := special.get(column):
            return read(row)
        found = row.get(kinds[column].name)
        return ("T" if found else "F") if isinstance(found, bool) else found

    def shown(row: Row, column: str) -> Any:
        kind, found = kinds.get(column), value(row, column)
        if kind is None or kind.kind != "reference" or found is None:
            return found
        target = account.target(kind.target, found)
        record = account.type_of[pointed_at(kind.target)[0].family].get(found)
        return target.get(record.title) if target and record else None

    return Table(frozenset({*kinds, *special}), rows, value, shown)


def _special(record: RecordType) -> dict[str, Callable[[Row], Any]]:
    """Columns that are not fields of the record."""
    if record.type_code:
        return {
            "type": lambda row: row["\0record"].type_code,
            "foreigntotal": lambda row: row.get("total", row.get("payment")),
            "foreignamountpaid": lambda row: row.get("amountPaid"),
            "foreignamountunpaid": lambda row: row.get("amountRemaining"),
        }
    if record.family == "item":
        return {"itemtype": lambda row: "Service" if row else None}
    if record.name.startswith("customrecord"):
        return {"lastmodified": lambda row: row["lastModifiedDate"]}
    return {}


def _plain(columns: tuple[str, ...], rows: Callable[[], Iterator[Row]]) -> Table:
    def value(row: Row, column: str) -> Any:
        return row.get(column)

    return Table(frozenset(columns), rows, value, value)


def _transaction_lines(account: Account) -> Iterator[Row]:
    number = 0
    for record in TRANSACTIONS:
        for row in account.rows(record.name):
            for line in row.get("item", ()):
                number += 1
                yield {
                    "uniquekey": Decimal(number),
                    "transaction": row["id"],
                    "linesequencenumber": line["line"],
                    "item": line["item"],
                    "quantity": -line["quantity"],
                    "rate": line.get("rate"),
                    "foreignamount": -line["amount"],
                    "memo": line.get("description"),
                }


def _links(account: Account) -> Iterator[Row]:
    for invoice, amounts in account.applied.items():
        for document, amount in amounts.items():
            record = account.type_of["transaction"][document]
            yield {
                "previousdoc": invoice,
                "previoustype": "CustInvc",
                "nextdoc": document,
                "nexttype": record.type_code,
                "linktype": "Payment",
                "foreignamount": amount,
            }
