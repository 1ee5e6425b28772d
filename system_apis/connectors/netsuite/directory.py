"""The connector's directory: codes and our ids to NetSuite's internal ids, kept for a short while; reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.canonical.references import Identifier
from shared.errors.taxonomy import FieldFinding, InvalidRequest, NotFound, UnknownReference
from system_apis.connectors.netsuite.client import NetSuiteClient, literal
from system_apis.connectors.netsuite.mapping import is_keepable, is_ours
from system_apis.connectors.netsuite.payloads import (
    CurrencyRow,
    ExternalRow,
    ItemRow,
    RateRow,
    RecordStub,
    SubsidiaryRow,
    TermRow,
)
from system_apis.fields import EntityFields, FieldMap
from system_apis.ports.kept import Kept, keep

_SECOND = "'YYYY-MM-DD HH24:MI:SS'"


def _columns(fields: EntityFields, alias: str, *names: str) -> str:
    """The columns of these canonical fields, under their own names."""
    return ", ".join(f"{alias}.{fields.path(name).lower()}" for name in names)


def legal_entities_query(fields: EntityFields) -> str:
    """Active subsidiaries that carry a code of ours."""
    return (
        f"SELECT s.id, {_columns(fields, 's', 'code', 'name', 'country', 'is_approved', 'standard_tax_rate')}, "
        f"c.symbol AS currency, TO_CHAR(s.lastmodifieddate, {_SECOND}) AS modified "
        "FROM subsidiary s JOIN currency c ON c.id = s.currency "
        f"WHERE s.{fields.path('code').lower()} IS NOT NULL AND s.isinactive = 'F'"
    )


def service_items_query(fields: EntityFields) -> str:
    """Active service items."""
    return (
        f"SELECT i.id, {_columns(fields, 'i', 'item_code', 'name', 'product_codes')}, a.acctnumber AS account, "
        f"TO_CHAR(i.lastmodifieddate, {_SECOND}) AS modified "
        f"FROM item i LEFT JOIN account a ON a.id = i.{fields.path('revenue_account').lower()} "
        "WHERE i.itemtype = 'Service' AND i.isinactive = 'F'"
    )


def rates_query(fields: EntityFields) -> str:
    """Dated prices with the card and currency they belong to."""
    card, currency = fields.path("card").lower(), fields.path("currency").lower()
    days = ", ".join(
        f"TO_CHAR(r.{path}, 'YYYY-MM-DD') AS {path}"
        for path in (fields.path(name).lower() for name in ("effective_from", "effective_to"))
    )
    return (
        f"SELECT r.id, b.id AS card_id, b.name AS card, {_columns(fields, 'r', 'role', 'rate')}, {days}, "
        f"c.symbol AS currency, TO_CHAR(r.lastmodified, {_SECOND}) AS modified "
        f"FROM {fields.object} r JOIN billingratecard b ON b.id = r.{card} JOIN currency c ON c.id = r.{currency} "
        "WHERE r.isinactive = 'F'"
    )


class Directory:
    """Reference data is at most a minute old (a code not found is looked for afresh); internal ids never change."""

    def __init__(self, client: NetSuiteClient, fields: FieldMap) -> None:
        self._client = client
        self._fields = fields
        self._subsidiaries = Kept(self._read_subsidiaries)
        self._currencies = Kept(self._read_currencies)
        self._items = Kept(self._read_items)
        self._terms = Kept(self._read_terms)
        self._internal: dict[tuple[str, str], str] = {}

    def forget(self) -> None:
        """NetSuite refused a reference: nothing kept is trusted any more."""
        self._internal.clear()
        for kept in (self._subsidiaries, self._currencies, self._items):
            kept.forget()

    async def legal_entities(self) -> list[SubsidiaryRow]:
        """All of them, read now."""
        fields = self._fields["legal_entity"]
        return await self._client.rows(legal_entities_query(fields), SubsidiaryRow, key="s.id", fields=fields)

    async def service_items(self) -> list[ItemRow]:
        """All of them, read now."""
        fields = self._fields["service_item"]
        return await self._client.rows(service_items_query(fields), ItemRow, key="i.id", fields=fields)

    async def rates(self) -> list[RateRow]:
        """All of them, read now."""
        fields = self._fields["rate"]
        return await self._client.rows(rates_query(fields), RateRow, key="r.id", fields=fields)

    async def _read_subsidiaries(self) -> dict[str, SubsidiaryRow]:
        return {row.code: row for row in await self.legal_entities()}

    async def _read_currencies(self) -> dict[str, str]:
        rows = await self._client.rows("SELECT id, symbol FROM currency WHERE symbol IS NOT NULL", CurrencyRow)
        return {row.symbol: row.id for row in rows}

    async def _read_items(self) -> dict[str, str]:
        return {row.code: row.id for row in await self.service_items()}

    async def _read_terms(self) -> dict[int, str]:
        rows = await self._client.rows(
            "SELECT id, daysuntilnetdue FROM term WHERE daysuntilnetdue IS NOT NULL", TermRow
        )
        return {int(row.daysuntilnetdue): row.id for row in reversed(rows) if row.daysuntilnetdue is not None}

    async def subsidiary(self, code: str) -> SubsidiaryRow:
        """The legal entity. Raises UnknownReference."""
        found = await self._subsidiaries.find(lambda held: held.get(code))
        if found is None:
            raise _unknown("legal_entity_code", f"netsuite has no legal entity {code}")
        return found

    async def currency(self, symbol: str) -> str:
        """Internal id of a currency. Raises UnknownReference."""
        found = await self._currencies.find(lambda held: held.get(symbol))
        if found is None:
            raise _unknown("currency", f"netsuite has no currency {symbol}")
        return found

    async def items(self, codes: Iterable[str]) -> Mapping[str, str]:
        """Internal ids of service items. Raises UnknownReference naming the first one that is not there."""
        wanted = set(codes)
        found = await self._items.holding(lambda held: wanted <= held.keys())
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
        wanted, paid_in = set(subsidiaries), set(currencies)
        entities = await self._subsidiaries.holding(lambda held: wanted <= {row.id for row in held.values()})
        symbols = await self._currencies.holding(lambda held: paid_in <= set(held.values()))
        return (
            {row.id: code for code, row in entities.items()},
            {number: symbol for symbol, number in symbols.items()},
        )

    async def internal(self, record: str, identifier: Identifier) -> str:
        """Internal id of the record that carries our id. Raises NotFound."""
        known = self._internal.get((record, identifier))
        if known is not None:
            return known
        key = f"eid:{identifier}"
        found = await self._client.find(record, key, RecordStub, only="id") if is_keepable(identifier) else None
        if found is None:
            raise NotFound(f"netsuite has no {record} with our id {identifier}; it must be written first")
        self.keep(record, identifier, found.id)
        return found.id

    def keep(self, record: str, identifier: Identifier, number: str) -> None:
        """Remember an internal id that was just seen."""
        keep(self._internal, (record, identifier), number)

    async def ours(self, table: str, numbers: Iterable[str], *, and_only: str = "") -> dict[str, str]:
        """Internal id → our id, of those that carry one (and fulfil a further condition)."""
        wanted = sorted(set(numbers), key=int)
        if not wanted:
            return {}
        listed = ", ".join(literal(number) for number in wanted)
        further = f" AND {and_only}" if and_only else ""
        rows = await self._client.rows(
            f"SELECT id, externalid FROM {table} WHERE id IN ({listed}){further}", ExternalRow
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
