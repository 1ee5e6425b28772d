"""The connector's directory: codes and our ids to NetSuite's internal ids, kept for a short while; reads only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Generic, TypeVar

from shared.canonical.references import Identifier
from shared.errors.taxonomy import FieldFinding, InvalidRequest, NotFound, UnknownReference
from system_apis.connectors.netsuite.client import NetSuiteClient, literal
from system_apis.connectors.netsuite.mapping import is_keepable, is_ours
from system_apis.connectors.netsuite.payloads import (
    CurrencyRow,
    ExternalRow,
    ItemRow,
    RecordStub,
    SubsidiaryRow,
    TermRow,
)

FRESH_SECONDS = 60.0
MOST_KEPT = 50_000
Content = TypeVar("Content")

SUBSIDIARIES = (
    "SELECT s.id, s.custrecord_tl_code AS code, s.name, s.country, c.symbol AS currency, "
    "s.custrecord_tl_approved AS approved, s.custrecord_tl_tax_rate AS tax_rate, "
    "TO_CHAR(s.lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS') AS modified "
    "FROM subsidiary s JOIN currency c ON c.id = s.currency "
    "WHERE s.custrecord_tl_code IS NOT NULL AND s.isinactive = 'F' ORDER BY s.id"
)
ITEMS = (
    "SELECT i.id, i.itemid, i.displayname, i.custitem_tl_product_codes AS codes, a.acctnumber AS account, "
    "TO_CHAR(i.lastmodifieddate, 'YYYY-MM-DD HH24:MI:SS') AS modified "
    "FROM item i LEFT JOIN account a ON a.id = i.incomeaccount "
    "WHERE i.itemtype = 'Service' AND i.isinactive = 'F' ORDER BY i.id"
)

RATES = (
    "SELECT r.id, b.id AS card_id, b.name AS card, r.custrecord_tl_role AS role, c.symbol AS currency, "
    "r.custrecord_tl_rate AS rate, TO_CHAR(r.custrecord_tl_from, 'YYYY-MM-DD') AS starts, "
    "TO_CHAR(r.custrecord_tl_until, 'YYYY-MM-DD') AS ends, "
    "TO_CHAR(r.lastmodified, 'YYYY-MM-DD HH24:MI:SS') AS modified "
    "FROM customrecord_tl_rate r JOIN billingratecard b ON b.id = r.custrecord_tl_rate_card "
    "JOIN currency c ON c.id = r.custrecord_tl_currency WHERE r.isinactive = 'F' ORDER BY r.id"
)


class _Kept(Generic[Content]):
    """Something read whole, read again when it is old."""

    def __init__(self, read: Callable[[], Awaitable[Content]]) -> None:
        self._read = read
        self._content: Content | None = None
        self._at = 0.0
        self._lock = asyncio.Lock()

    async def get(self, *, younger_than: float = FRESH_SECONDS) -> Content:
        async with self._lock:
            if self._content is None or time.monotonic() - self._at > younger_than:
                self._content = await self._read()
                self._at = time.monotonic()
            return self._content


class Directory:
    """Reference data is at most a minute old (a code not found is looked for afresh); internal ids never change."""

    def __init__(self, client: NetSuiteClient) -> None:
        self._client = client
        self._subsidiaries = _Kept(self._read_subsidiaries)
        self._currencies = _Kept(self._read_currencies)
        self._items = _Kept(self._read_items)
        self._terms = _Kept(self._read_terms)
        self._internal: dict[tuple[str, str], str] = {}

    def forget(self) -> None:
        """NetSuite refused a reference: nothing kept is trusted any more."""
        self._internal.clear()
        self._subsidiaries = _Kept(self._read_subsidiaries)
        self._currencies = _Kept(self._read_currencies)
        self._items = _Kept(self._read_items)

    async def _read_subsidiaries(self) -> dict[str, SubsidiaryRow]:
        return {row.code: row for row in await self._client.rows(SUBSIDIARIES, SubsidiaryRow)}

    async def _read_currencies(self) -> dict[str, str]:
        rows = await self._client.rows("SELECT id, symbol FROM currency ORDER BY id", CurrencyRow)
        return {row.symbol: row.id for row in rows}

    async def _read_items(self) -> dict[str, str]:
        return {row.itemid: row.id for row in await self._client.rows(ITEMS, ItemRow)}

    async def _read_terms(self) -> dict[int, str]:
        rows = await self._client.rows("SELECT id, daysuntilnetdue FROM term ORDER BY id DESC", TermRow)
        return {int(row.daysuntilnetdue): row.id for row in rows if row.daysuntilnetdue is not None}

    async def subsidiary(self, code: str) -> SubsidiaryRow:
        """The legal entity. Raises UnknownReference."""
        for age in (FRESH_SECONDS, 0.0):
            if found := (await self._subsidiaries.get(younger_than=age)).get(code):
                return found
        raise _unknown("legal_entity_code", f"netsuite has no legal entity {code}")

    async def currency(self, symbol: str) -> str:
        """Internal id of a currency. Raises UnknownReference."""
        for age in (FRESH_SECONDS, 0.0):
            if found := (await self._currencies.get(younger_than=age)).get(symbol):
                return found
        raise _unknown("currency", f"netsuite has no currency {symbol}")

    async def items(self, codes: Iterable[str]) -> Mapping[str, str]:
        """Internal ids of service items. Raises UnknownReference naming the first one that is not there."""
        wanted = set(codes)
        found = await self._items.get()
        if wanted - found.keys():
            found = await self._items.get(younger_than=0.0)
        if missing := sorted(wanted - found.keys()):
            raise _unknown("item_code", f"netsuite has no service item {missing[0]}")
        return found

    async def term(self, days: int) -> str | None:
        """Payment terms of so many days, where the account has them."""
        return (await self._terms.get()).get(days)

    async def codes(
        self, *, subsidiaries: Iterable[str], currencies: Iterable[str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Internal id → code of legal entities and currencies, read afresh where one of these is not known."""
        entities = {row.id: code for code, row in (await self._subsidiaries.get()).items()}
        if set(subsidiaries) - entities.keys():
            entities = {row.id: code for code, row in (await self._subsidiaries.get(younger_than=0.0)).items()}
        symbols = {number: symbol for symbol, number in (await self._currencies.get()).items()}
        if set(currencies) - symbols.keys():
            symbols = {number: symbol for symbol, number in (await self._currencies.get(younger_than=0.0)).items()}
        return entities, symbols

    async def internal(self, record: str, identifier: Identifier) -> str:
        """Internal id of the record that carries our id. Raises NotFound."""
        known = self._internal.get((record, identifier))
        if known is not None:
            return known
        key = f"eid:{identifier}"
        found = await self._client.find(record, key, RecordStub) if is_keepable(identifier) else None
        if found is None:
            raise NotFound(f"netsuite has no {record} with our id {identifier}; it must be written first")
        self.keep(record, identifier, found.id)
        return found.id

    def keep(self, record: str, identifier: Identifier, number: str) -> None:
        """Remember an internal id that was just seen."""
        if len(self._internal) >= MOST_KEPT:
            self._internal.clear()
        self._internal[record, identifier] = number

    async def ours(self, table: str, numbers: Iterable[str], *, and_only: str = "") -> dict[str, str]:
        """Internal id → our id, of those that carry one (and fulfil a further condition)."""
        wanted = sorted(set(numbers), key=int)
        if not wanted:
            return {}
        listed = ", ".join(literal(number) for number in wanted)
        further = f" AND {and_only}" if and_only else ""
        rows = await self._client.rows(
            f"SELECT id, externalid FROM {table} WHERE id IN ({listed}){further} ORDER BY id", ExternalRow
        )
        return {row.id: row.externalid for row in rows if row.externalid and is_ours(row.externalid)}


def external_id(identifier: str) -> str:
    """Our id as NetSuite's external id. Raises InvalidRequest for characters it does not take."""
    if not is_keepable(identifier):
        finding = FieldFinding("id", "NetSuite's external ids take letters, digits, underscore and hyphen only")
        raise InvalidRequest(f"{identifier!r} cannot be kept in NetSuite.", findings=[finding])
    return identifier


def _unknown(field: str, sentence: str) -> UnknownReference:
    return UnknownReference(sentence, findings=[FieldFinding(f"body.{field}", sentence)])
