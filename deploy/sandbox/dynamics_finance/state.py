"""The environment's memory: rows by entity set with their keys, versions and indexes; no wire and no rule may enter."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final

from deploy.sandbox.dynamics_finance.schema import SETS, EntitySet
from deploy.sandbox.dynamics_finance.values import Row, default

DEFAULT_COMPANY: Final = "dat"
_FIRST_RECORD: Final = 68719476736
_INDEXED: Final[Mapping[str, tuple[str, ...]]] = {
    "CustomersV3": ("CustomerAccount", "TLExternalId"),
    "Projects": ("ProjectID", "ParentProject", "TLExternalId"),
    "ProjectsV2": ("ProjectId", "ParentProjectId", "TLExternalId"),
    "ProjectContracts": ("ProjectContractID", "TLExternalId", "TLScheduleId"),
    "ProjectContractHeaders": ("ProjectContractId", "TLExternalId", "TLScheduleId"),
    "ProjectContractLines": ("ProjectContractId",),
    "ProjectFundingSources": ("ProjectContractID",),
    "ProjectOnAccForecasts": ("TransactionID", "ProjectContractID"),
    "FreeTextInvoiceHeaders": ("InvoiceIdentifier", "ExternalInvoiceId", "InvoiceId"),
    "FreeTextInvoiceLines": ("ParentRecId",),
    "ProjectInvoiceProposalHeaders": ("InvoiceProposalId", "TLInvoiceId", "Invoice"),
    "ProjectInvoiceProposalOnAccountLines": ("InvoiceProposalId",),
    "SalesInvoiceHeadersV2": ("InvoiceNumber",),
    "CustTransactions": ("Invoice", "Voucher"),
    "CustomerPaymentJournalLines": ("JournalBatchNumber", "Voucher", "PaymentReference"),
    "PaymentJournalLineSettledInvoices": ("JournalBatchNumber", "InvoiceNumber"),
}
Key = tuple[Any, ...]


def folded(value: Any) -> Any:
    """A key part as SQL Server's collation compares it."""
    return value.lower() if isinstance(value, str) else value


class Table:
    """Rows of one entity set."""

    def __init__(self, entity: EntitySet) -> None:
        """Empty; `entity` is what of it there is for who asks, rows hold every field."""
        self.entity = entity
        self.rows: dict[Key, Row] = {}
        self._indexes: dict[str, dict[Any, dict[Key, Row]]] = {name: {} for name in _INDEXED.get(entity.name, ())}

    def key_of(self, row: Mapping[str, Any]) -> Key:
        """The row's key."""
        return tuple(folded(row[name]) for name in self.entity.keys)

    def put(self, row: Row) -> None:
        """Take a row in, or again after its values changed."""
        key = self.key_of(row)
        self.rows[key] = row
        for name, index in self._indexes.items():
            index.setdefault(folded(row[name]), {})[key] = row

    def drop(self, row: Row) -> None:
        """Let a row go, before its values change or for good."""
        key = self.key_of(row)
        self.rows.pop(key, None)
        for name, index in self._indexes.items():
            index.get(folded(row[name]), {}).pop(key, None)

    def having(self, name: str, value: Any) -> list[Row]:
        """Rows with that value in an indexed field."""
        return list(self._indexes[name].get(folded(value), {}).values())

    def candidates(self, equal: Mapping[str, tuple[Any, ...]]) -> Iterable[Row]:
        """Rows that may satisfy a condition which demands these values."""
        for name, values in equal.items():
            if name in self._indexes:
                found = {id(row): row for value in values for row in self.having(name, value)}
                return list(found.values())
        return self.rows.values()


class Environment:
    """All rows of one environment."""

    def __init__(self, clock: Callable[[], datetime] | None = None) -> None:
        """`clock` tells the time."""
        self.clock = clock or (lambda: datetime.now(UTC))
        self.listener: Callable[[str, Row], None] = lambda _name, _row: None
        self._undo: list[Callable[[], None]] | None = None
        self.reset()

    def reset(self) -> None:
        """A fresh environment without a company."""
        self.tables = {name: Table(entity) for name, entity in SETS.items()}
        self._records = count(_FIRST_RECORD)
        self._numbers: dict[tuple[str, str], int] = {}

    def delete_fields(self, deleted: Mapping[str, Collection[str]]) -> None:
        """These fields, by set, are gone for who asks, and all others there."""
        for name, table in self.tables.items():
            table.entity = SETS[name].without(deleted.get(name, ()))

    def counts(self) -> dict[str, int]:
        """Rows by entity set."""
        return {name: len(table.rows) for name, table in self.tables.items()}

    def number(self, series: str, company: str = "") -> str:
        """The next number of a sequence."""
        self._numbers[series, company] = following = self._numbers.get((series, company), 0) + 1
        return f"{series}-{following:08d}"

    def record_id(self) -> int:
        """The next record id."""
        return next(self._records)

    def get(self, name: str, **key: Any) -> Row | None:
        """The row with that key, or None."""
        table = self.tables[name]
        return table.rows.get(tuple(folded(key.get(part, "")) for part in table.entity.keys))

    def insert(self, name: str, values: Row) -> Row:
        """A new row with defaults in what is left out; its key must be free."""
        table = self.tables[name]
        row: Row = {field: default(facts) for field, facts in SETS[name].fields.items()}
        row.update(values)
        row["@rec"] = values.get("@rec") or self.record_id()
        row["@version"] = 0
        self._stamp(row)
        table.put(row)
        self._remember(lambda: table.drop(row))
        return row

    def change(self, name: str, row: Row, values: Mapping[str, Any]) -> None:
        """New values for a row."""
        table = self.tables[name]
        before = dict(row)

        def back() -> None:
            table.drop(row)
            row.update(before)
            table.put(row)

        table.drop(row)
        row.update(values)
        self._stamp(row)
        table.put(row)
        self._remember(back)

    def remove(self, name: str, row: Row) -> None:
        """The row is gone."""
        table = self.tables[name]
        table.drop(row)
        self._remember(lambda: table.put(row))

    def _stamp(self, row: Row) -> None:
        row["@version"] += 1
        inside = base64.b64encode(f"'{row['@version']},{row['@rec']}'".encode()).decode()
        row["@etag"] = f'W/"{inside}"'
        if "TLModifiedDateTime" in row:
            row["TLModifiedDateTime"] = self.clock().replace(microsecond=0)

    def _remember(self, back: Callable[[], None]) -> None:
        if self._undo is not None:
            self._undo.append(back)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All of what happens inside, or nothing."""
        if self._undo is not None:
            yield
            return
        undo = self._undo = []
        is_whole = False
        try:
            yield
            is_whole = True
        finally:
            self._undo = None
            if not is_whole:
                for back in reversed(undo):
                    back()
