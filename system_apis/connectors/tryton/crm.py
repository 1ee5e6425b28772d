"""Tryton as a CRM: opportunities with the orders they were converted into, parties, and notes for the account team."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.canonical.contracts import Contract
from shared.canonical.customers import Customer
from shared.canonical.opportunities import DeliveryStatus, InvoiceStatus, Opportunity
from shared.canonical.references import Page
from shared.errors.taxonomy import NotFound
from system_apis.connectors.tryton import deals
from system_apis.connectors.tryton.changes import Place, since
from system_apis.connectors.tryton.client import Json, TrytonClient, parsed
from system_apis.connectors.tryton.customers import Customers, number_of
from system_apis.connectors.tryton.directory import Directory
from system_apis.connectors.tryton.payloads import Deal, Sale, SaleLine, Stamped
from system_apis.connectors.tryton.records import STAMP, Library
from system_apis.connectors.tryton.tags import led_by
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangedEntity, ChangeHint

_OPPORTUNITY = "sale.opportunity"
_WITH_CUSTOMER = [["party", "!=", None], ["amount", "!=", None]]
_OF_A_DEAL = ["origin", "like", f"{_OPPORTUNITY},%"]
_LIVE = ["state", "!=", "cancelled"]
Changed = dict[int, datetime]


class Crm:
    """Implements CrmPort."""

    def __init__(
        self, binding: Binding, client: TrytonClient, library: Library, directory: Directory, customers: Customers
    ) -> None:
        self._binding = binding
        self._client = client
        self._library = library
        self._directory = directory
        self._customers = customers
        self._group = binding.settings.get("customers_category", "Customers")

    # --- deals -----------------------------------------------------------------------------------------------------
    async def list_opportunities(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[Opportunity]:
        """By the youngest change of deal, order or line; leads without a customer or an amount are no deals yet."""
        changed = await self._changed_deals(modified_since)
        chosen, following = _paged(changed, cursor, limit)
        return Page(items=tuple(await self._opportunities(chosen, changed)), next_cursor=following)

    async def get_opportunity(self, ref: str) -> Opportunity:
        """By the opportunity's id."""
        number = number_of(ref)
        found = await self._opportunities([number], {})
        if not found:
            raise NotFound(f"tryton has no opportunity {ref}.")
        return found[0]

    async def _opportunities(self, numbers: Sequence[int], changed: Mapping[int, datetime]) -> list[Opportunity]:
        records = self._library["opportunity"]
        if not numbers:
            return []
        rows, sales = await asyncio.gather(
            self._client.find_all(records.model, [["id", "in", list(numbers)]], records.columns),
            self._sales([["origin", "in", [_resource(number) for number in numbers]], _LIVE]),
        )
        lines = await self._lines(sale.id for sale in sales)
        held = {deal.id: deal for deal in parsed(Deal, records.take_all(rows))}
        told: list[Opportunity] = []
        for number in numbers:
            if (deal := held.get(number)) is None:
                continue
            orders = [sale for sale in sales if sale.origin == _resource(number)]
            sold = [line for sale in orders for line in lines.get(sale.id, ())]
            at = max([deal.last_modified_at, *(one.last_modified_at for one in (*orders, *sold))])
            told.append(deals.to_opportunity(self._binding, deal, orders, sold, max(at, changed.get(number, at))))
        return told

    # --- customers -------------------------------------------------------------------------------------------------
    async def list_customers(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[Customer]:
        """Parties in the category of customers, by the youngest change of party, address or identifier."""
        changed = await self._changed_customers(modified_since)
        chosen, following = _paged(changed, cursor, limit)
        return Page(items=tuple(await self._customers.read(chosen)), next_cursor=following)

    async def get_customer(self, ref: str) -> Customer:
        """By the party's id."""
        return await self._customers.get(ref)

    # --- contracts -------------------------------------------------------------------------------------------------
    async def find_contract(self, opportunity_ref: str) -> Contract | None:
        """The first order of the deal that was not cancelled."""
        sales = await self._sales([["origin", "=", _resource(number_of(opportunity_ref))], _LIVE])
        found = await self._contracts([sale.id for sale in sales[:1]], {})
        return found[0] if found else None

    async def list_contracts(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[Contract]:
        """Orders of deals by the youngest change of order or line."""
        changed = await self._changed_contracts(modified_since)
        chosen, following = _paged(changed, cursor, limit)
        return Page(items=tuple(await self._contracts(chosen, changed)), next_cursor=following)

    async def get_contract(self, ref: str) -> Contract:
        """By the order's id."""
        found = await self._contracts([number_of(ref)], {})
        if not found:
            raise NotFound(f"tryton has no order {ref} of a deal.")
        return found[0]

    async def _contracts(self, numbers: Sequence[int], changed: Mapping[int, datetime]) -> list[Contract]:
        if not numbers:
            return []
        sales = {sale.id: sale for sale in await self._sales([["id", "in", list(numbers)], _OF_A_DEAL])}
        lines = await self._lines(sales)
        told: list[Contract] = []
        for number in numbers:
            if (sale := sales.get(number)) is None:
                continue
            own = lines.get(number, [])
            at = max([sale.last_modified_at, *(line.last_modified_at for line in own)])
            days = await self._directory.days_of(sale.payment_term)
            opportunity = _number_in(sale.origin)
            told.append(
                deals.to_contract(self._binding, sale, opportunity, own, days, max(at, changed.get(number, at)))
            )
        return told

    async def _sales(self, domain: Sequence[Any]) -> list[Sale]:
        records = self._library["contract"]
        rows = await self._client.find_all(records.model, domain, records.columns)
        return parsed(Sale, records.take_all(rows))

    async def _lines(self, sales: Iterable[int]) -> dict[int, list[SaleLine]]:
        wanted = list(sales)
        if not wanted:
            return {}
        records = self._library["contract_line"]
        rows = await self._client.find_all(records.model, [["sale", "in", wanted]], records.columns)
        lines: dict[int, list[SaleLine]] = {}
        for line in parsed(SaleLine, records.take_all(rows)):
            lines.setdefault(line.sale.id, []).append(line)
        return lines

    # --- what is told back -----------------------------------------------------------------------------------------
    async def amend_delivery_status(self, opportunity_ref: str, status: DeliveryStatus) -> None:
        """One note on the deal: the deal itself is locked once it is converted."""
        await self._tell(opportunity_ref, led_by("delivery"), deals.from_delivery(status))

    async def amend_invoice_status(self, opportunity_ref: str, invoice_id: str, status: InvoiceStatus) -> None:
        """One note on the deal per invoice."""
        told = deals.from_invoice_status(invoice_id, status)
        await self._tell(opportunity_ref, led_by("invoice", invoice_id), told)

    async def _tell(self, opportunity_ref: str, which: list[Any], message: Json) -> None:
        """A note cannot be changed: a newer one takes its place, and the youngest counts where two stand."""
        number = number_of(opportunity_ref)
        records = self._library["note"]
        async with self._client.alone(f"{_OPPORTUNITY} {number}"):
            if not await self._client.find(_OPPORTUNITY, [["id", "=", number]], ["id"], limit=1):
                raise NotFound(f"tryton has no opportunity {opportunity_ref}.")
            resource = _resource(number)
            wanted = [["resource", "=", resource], [records.folded, *which]]
            held = await self._client.find_all(records.model, wanted, [records.folded])
            given = records.give({"message": message})
            if not held or held[-1].get(records.folded) != given.get(records.folded):
                await self._client.create(records.model, [{**given, "resource": resource}])
                held.append({})
            if old := [int(row["id"]) for row in held[:-1]]:
                await self._client.delete(records.model, old)

    # --- changes ---------------------------------------------------------------------------------------------------
    async def deal_hints(self, start: datetime | None) -> list[ChangeHint]:
        """Deals changed at or after the instant."""
        return _hints("opportunity", await self._changed_deals(start))

    async def customer_hints(self, start: datetime | None) -> list[ChangeHint]:
        """Customers changed at or after the instant."""
        return _hints("customer", await self._changed_customers(start))

    async def contract_hints(self, start: datetime | None) -> list[ChangeHint]:
        """Contracts changed at or after the instant."""
        return _hints("contract", await self._changed_contracts(start))

    async def _changed_deals(self, start: datetime | None) -> Changed:
        own, sales, lines = await asyncio.gather(
            self._stamps(_OPPORTUNITY, _WITH_CUSTOMER, start),
            self._stamps("sale.sale", [_OF_A_DEAL], start, ["origin"]),
            self._stamps("sale.line", [["sale.origin", "like", f"{_OPPORTUNITY},%"]], start, ["sale.origin"]),
        )
        changed: Changed = {}
        for row in own:
            _note(changed, int(row["id"]), row)
        below: Changed = {}
        for row in sales:
            _note(below, _number_in(row.get("origin")), row)
        for row in lines:
            _note(below, _number_in(row.get("sale", {}).get("origin")), row)
        missing = sorted(below.keys() - changed.keys())
        if missing:
            rows = await self._client.find_all(_OPPORTUNITY, [["id", "in", missing], *_WITH_CUSTOMER], ["id"])
            missing = [int(row["id"]) for row in rows]
        for number in (*(changed.keys() & below.keys()), *missing):
            changed[number] = max(below[number], changed.get(number, below[number]))
        return changed

    async def _changed_contracts(self, start: datetime | None) -> Changed:
        sales, lines = await asyncio.gather(
            self._stamps("sale.sale", [_OF_A_DEAL], start),
            self._stamps("sale.line", [["sale.origin", "like", f"{_OPPORTUNITY},%"]], start, ["sale"]),
        )
        changed: Changed = {}
        for row in sales:
            _note(changed, int(row["id"]), row)
        for row in lines:
            _note(changed, int(row["sale"]), row)
        return changed

    async def _changed_customers(self, start: datetime | None) -> Changed:
        parties, addresses, identifiers = await asyncio.gather(
            self._stamps("party.party", [["categories.name", "=", self._group]], start),
            self._stamps("party.address", [["party.categories.name", "=", self._group]], start, ["party"]),
            self._stamps("party.identifier", [["party.categories.name", "=", self._group]], start, ["party"]),
        )
        changed: Changed = {}
        for row in parties:
            _note(changed, int(row["id"]), row)
        for row in (*addresses, *identifiers):
            _note(changed, int(row["party"]), row)
        return changed

    async def _stamps(
        self, model: str, domain: Sequence[Any], start: datetime | None, columns: Sequence[str] = ()
    ) -> list[Json]:
        return await self._client.find_all(model, [*domain, *since(start)], [STAMP, *columns])


def _resource(number: int) -> str:
    return f"{_OPPORTUNITY},{number}"


def _number_in(resource: str | None) -> int:
    return number_of((resource or "").partition(",")[2])


def _note(changed: Changed, number: int, row: Json) -> None:
    at = parsed(Stamped, [row])[0].last_modified_at
    changed[number] = max(at, changed.get(number, at))


def _paged(changed: Changed, cursor: str | None, limit: int) -> tuple[list[int], str | None]:
    """The ids of one page by (change, id), and the cursor of the next."""
    ordered = sorted((at, number) for number, at in changed.items())
    if cursor:
        place = Place.of(cursor)
        ordered = [one for one in ordered if one > (place.at, place.number)]
    chosen = ordered[:limit]
    following = Place(*chosen[-1]).cursor if len(ordered) > limit else None
    return [number for _, number in chosen], following


def _hints(entity: ChangedEntity, changed: Changed) -> list[ChangeHint]:
    return [
        ChangeHint(entity, str(number), f"{entity}:{number}@{at.isoformat()}", at) for number, at in changed.items()
    ]
