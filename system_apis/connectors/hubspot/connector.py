"""The CRM port over HubSpot: what is asked of the client and how its records become canonical."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from shared.canonical.contracts import Contract
from shared.canonical.customers import Customer
from shared.canonical.opportunities import DeliveryStatus, InvoiceStatus, Opportunity
from shared.canonical.references import Page
from shared.errors.taxonomy import NotFound, VendorDrift
from shared.outbound import drift
from system_apis.connectors.hubspot.changes import Family, Place, cursor_at, events, latest, place_of, start
from system_apis.connectors.hubspot.client import HubspotClient, zone
from system_apis.connectors.hubspot.directory import Directory
from system_apis.connectors.hubspot.mapping import (
    CompanyRows,
    ContractRows,
    DealRows,
    changed_at,
    from_delivery_status,
    from_invoice_status,
    hint_key,
    is_approved,
    to_contract,
    to_customer,
    to_opportunity,
)
from system_apis.connectors.hubspot.payloads import (
    DELIVERY,
    SYSTEM,
    CompanyPayload,
    ContractPayload,
    DealPayload,
    DeliveryPayload,
    LinePayload,
    LinkFacts,
    MilestonePayload,
    Payload,
)
from system_apis.fields import EntityFields, FieldMap, load_fields
from system_apis.manifest import Manifest, load_manifest
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangedEntity, ChangeHint
from system_apis.ports.outcomes import canonical_record
from system_apis.ports.schema import FieldFacts

_FOLDER: Final = Path(__file__).parent
_OVERLAP: Final = 300
_MOST_TURNS: Final = 100_000
Rows = TypeVar("Rows", bound=CompanyRows | DealRows | ContractRows)
Item = TypeVar("Item")
Row = TypeVar("Row", bound=Payload)
Links = Mapping[str, Sequence[LinkFacts]]
_PRIMARY: Final = ("HUBSPOT_DEFINED", 5)
_CHILD_TO_PARENT: Final = ("HUBSPOT_DEFINED", 14)


@dataclass(frozen=True, slots=True)
class _Reading(Generic[Rows, Item]):
    """How one kind of record is read: in which order of change, from which rows, made into what."""

    entity: str
    family: Callable[[], Awaitable[Family]]
    rows: Callable[[Sequence[str]], Awaitable[Mapping[str, Rows]]]
    make: Callable[[Rows, Binding], Item]


class RowReader:
    """Reads records by id, many at once; those that are not there, or not whole, are left out."""

    def __init__(self, binding: Binding, client: HubspotClient, directory: Directory, fields: FieldMap) -> None:
        self._client = client
        self._directory = directory
        self._fields = fields
        self._label = (binding.settings.get("customer_label") or "").lower()
        self._home_currency = binding.settings.get("home_currency") or None
        self._zone = zone(binding)

    async def companies(self, refs: Sequence[str]) -> dict[str, CompanyRows]:
        """Companies with the one above each."""
        found, above = await asyncio.gather(
            self._read("companies", self._fields["customer"], CompanyPayload, refs),
            self._client.links("companies", "companies", refs),
        )
        parents = {child: _typed(links, _CHILD_TO_PARENT) for child, links in above.items()}
        return {ref: CompanyRows(company, parents.get(ref)) for ref, company in found.items()}

    async def deals(self, refs: Sequence[str]) -> dict[str, DealRows]:
        """Deals that somebody buys, with an amount."""
        fields = self._fields["opportunity"]
        amount = fields.path("amount")
        found, buyers, sold = await asyncio.gather(
            self._read("deals", fields, DealPayload, refs, unless_empty=amount),
            self._client.links("deals", "companies", refs),
            self._client.links("deals", "line_items", refs),
        )
        lines = await self._children("line_items", self._fields["opportunity_line"], LinePayload, found, sold)
        return {
            ref: DealRows(
                deal,
                lines[ref],
                company,
                await self._owner(deal),
                await self._directory.is_won(deal.pipeline, deal.stage, seems=deal.seems_won),
                self._zone,
                self._home_currency,
            )
            for ref, deal in found.items()
            if (company := self._buyer(buyers.get(ref, ())))
        }

    async def contracts(self, refs: Sequence[str]) -> dict[str, ContractRows]:
        """Contracts that belong to one deal, with their milestones."""
        fields, of_milestone = self._fields["contract"], self._fields["milestone"]
        kind, child = await self._directory.object(fields.object), await self._directory.object(of_milestone.object)
        found, deals, due = await asyncio.gather(
            self._read(kind, fields, ContractPayload, refs),
            self._client.links(kind, "deals", refs),
            self._client.links(kind, child, refs),
        )
        milestones = await self._children(child, of_milestone, MilestonePayload, found, due)
        owned = {ref: {link.to_id for link in deals.get(ref, ())} for ref in found}
        return {
            ref: ContractRows(contract, milestones[ref], str(min(owned[ref])))
            for ref, contract in found.items()
            if len(owned[ref]) == 1
        }

    async def _read(
        self, kind: str, fields: EntityFields, model: type[Row], refs: Sequence[str], *, unless_empty: str = ""
    ) -> dict[str, Row]:
        raw = await self._client.records(kind, refs, tuple(dict.fromkeys((*fields.paths(), *SYSTEM))))
        if unless_empty:
            raw = [row for row in raw if unless_empty not in row or row[unless_empty]]
        rows = drift(self._client.system, list[model], [fields.take(row) for row in raw])
        return {row.id: row for row in rows}

    async def _children(
        self, kind: str, fields: EntityFields, model: type[Row], parents: Mapping[str, Payload], links: Links
    ) -> dict[str, list[Row]]:
        wanted = {ref: [str(link.to_id) for link in links.get(ref, ())] for ref in parents}
        named = [child for children in wanted.values() for child in children]
        found = await self._read(kind, fields, model, named) if named else {}
        return {ref: [found[child] for child in children if child in found] for ref, children in wanted.items()}

    def _buyer(self, links: Sequence[LinkFacts]) -> str | None:
        """The company with the tenant's label, or the primary one; the only one needs neither."""
        if self._label:
            labelled = (k for k in links if any((t.label or "").lower() == self._label for t in k.types))
            return next((str(link.to_id) for link in labelled), None)
        only = str(links[0].to_id) if len(links) == 1 else None
        return _typed(links, _PRIMARY) or only

    async def _owner(self, deal: DealPayload) -> str | None:
        """Asked for only where the firm names nobody itself."""
        if deal.sales_owner or not deal.owner_id:
            return None
        return await self._directory.owner_name(deal.owner_id)


class HubspotConnector:
    """CrmPort, ChangePoll and SchemaSource for one portal."""

    def __init__(self, binding: Binding, manifest: Manifest) -> None:
        self.manifest = manifest
        self._binding = binding
        self._fields = load_fields(_FOLDER, binding.overrides)
        self._client = HubspotClient(binding, manifest)
        self._directory = Directory(self._client)
        reader = RowReader(binding, self._client, self._directory, self._fields)
        self._deals = _Reading("opportunity", self._deal_family, reader.deals, to_opportunity)
        self._customers = _Reading("customer", self._customer_family, reader.companies, to_customer)
        self._contracts = _Reading("contract", self._contract_family, reader.contracts, to_contract)
        self._overlap = timedelta(seconds=binding.number("overlap_seconds", _OVERLAP))
        self._blank = _blank(binding)

    async def ping(self) -> None:
        """Whether the portal lets us in."""
        await self._client.ping()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def describe(self, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
        """Properties of objects; a portal without custom objects leaves those of `fields.yaml` out."""
        return await self._directory.describe(objects)

    async def list_opportunities(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[Opportunity]:
        """Deals by their latest change or their lines'."""
        return await self._page(self._deals, modified_since, cursor, limit)

    async def get_opportunity(self, ref: str) -> Opportunity:
        """The deal with its lines."""
        return await self._get(self._deals, ref)

    async def list_customers(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[Customer]:
        """Companies by their latest change."""
        return await self._page(self._customers, modified_since, cursor, limit)

    async def get_customer(self, ref: str) -> Customer:
        """The company."""
        return await self._get(self._customers, ref)

    async def list_contracts(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[Contract]:
        """Contracts by their latest change or their milestones'."""
        return await self._page(self._contracts, modified_since, cursor, limit)

    async def get_contract(self, ref: str) -> Contract:
        """The contract with its milestones."""
        return await self._get(self._contracts, ref)

    async def find_contract(self, opportunity_ref: str) -> Contract | None:
        """The deal's contract; of several the approved one, then the one changed last."""
        kind = await self._directory.object(self._fields["contract"].object)
        linked = (await self._client.links("deals", kind, [opportunity_ref])).get(opportunity_ref, [])
        found = await self._contracts.rows([str(link.to_id) for link in linked])
        if not found:
            return None
        best = max(found.values(), key=lambda rows: (is_approved(rows.payload), changed_at(rows)))
        return self._made(self._contracts, best)

    async def amend_delivery_status(self, opportunity_ref: str, status: DeliveryStatus) -> None:
        """The delivery properties of the deal; left alone where they stand so, since a write is a change."""
        fields = self._fields["opportunity"]
        found = await self._client.records("deals", [opportunity_ref], fields.columns(DELIVERY))
        if not found:
            raise NotFound(f"{self._binding.system} has no deal {opportunity_ref}.")
        wanted = from_delivery_status(status)
        standing = drift(self._binding.system, DeliveryPayload, fields.take(found[0]))
        if standing.model_dump(by_alias=True) != wanted:
            await self._client.amend("deals", opportunity_ref, self._written(fields.give(wanted)))

    async def amend_invoice_status(self, opportunity_ref: str, invoice_id: str, status: InvoiceStatus) -> None:
        """One record of the portal's own object, found by our invoice id and associated with its deal."""
        fields = self._fields["invoice_status"]
        kind = await self._directory.object(fields.object)
        values = self._written(fields.give(from_invoice_status(invoice_id, status)))
        ref, was_made = await self._client.upsert(kind, fields.path("invoice_id"), invoice_id, values)
        try:
            await self._client.link(kind, ref, "deals", opportunity_ref)
        except NotFound:
            if was_made:  # nobody would find a status that belongs to no deal
                await self._client.archive(kind, ref)
            raise

    async def list_changes(self, since: datetime | None) -> Sequence[ChangeHint]:
        """One hint per record, at its latest change; lines count for their deal, milestones for their contract."""
        begin = since - self._overlap if since else None
        polled: tuple[tuple[ChangedEntity, Family | None], ...] = (
            ("customer", await self._customer_family()),
            ("opportunity", await self._deal_family()),
            ("contract", await self._find_contract_family()),
        )
        told = [
            (at, ChangeHint(entity, ref, hint_key(entity, ref, at), at))
            for entity, family in polled
            if family is not None
            for ref, at in (await latest(self._client, family, begin)).items()
        ]
        return [hint for _, hint in sorted(told, key=lambda one: (one[0], one[1].key))]

    async def _get(self, reading: _Reading[Rows, Item], ref: str) -> Item:
        rows = (await reading.rows([ref])).get(ref)
        if rows is None:
            raise NotFound(f"{self._binding.system} has no {reading.entity} {ref} that can be read.")
        return self._made(reading, rows)

    def _made(self, reading: _Reading[Rows, Item], rows: Rows) -> Item:
        with canonical_record(self._binding.system, f"record {rows.payload.id}"):
            return reading.make(rows, self._binding)

    async def _page(
        self, reading: _Reading[Rows, Item], since: datetime | None, cursor: str | None, limit: int
    ) -> Page[Item]:
        """Records by the latest change of themselves and their children, each once: at that change.

        A record that has changed since the index heard of it is told at the end of the list, or by a later list.
        """
        family, after = await reading.family(), start(since, cursor)
        for _ in range(_MOST_TURNS):
            listed, horizon = await events(self._client, family, after, limit)
            found = await reading.rows([ref for _, ref in listed])
            told = _at_their_latest(listed, found, is_end=horizon is None)
            items = tuple(self._made(reading, rows) for rows in told)
            if horizon is None:
                return Page(items=items)
            if items:
                return Page(items=items, next_cursor=cursor_at(horizon))
            if after is not None and horizon <= after:
                break
            after = horizon
        raise VendorDrift(f"{self._binding.system} gives the same changes again and again.")

    async def _customer_family(self) -> Family:
        return Family("companies")

    async def _deal_family(self) -> Family:
        """A deal counts once it has an amount."""
        column = self._fields["opportunity"].path("amount")
        return Family("deals", "line_items", ({"propertyName": column, "operator": "HAS_PROPERTY"},))

    async def _contract_family(self) -> Family:
        contract, milestone = (self._fields[name].object for name in ("contract", "milestone"))
        return Family(await self._directory.object(contract), await self._directory.object(milestone))

    async def _find_contract_family(self) -> Family | None:
        names = [self._fields[name].object for name in ("contract", "milestone")]
        kinds = [await self._directory.find_object(name) for name in names]
        return Family(kinds[0], kinds[1]) if kinds[0] and kinds[1] else None

    def _written(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._blank if value is None else value for name, value in values.items()}


def _typed(links: Sequence[LinkFacts], wanted: tuple[str, int]) -> str | None:
    return next((str(k.to_id) for k in links if any((t.category, t.type_id) == wanted for t in k.types)), None)


def _at_their_latest(listed: Sequence[tuple[Place, str]], found: Mapping[str, Rows], *, is_end: bool) -> list[Rows]:
    last = {ref: place for place, ref in listed}
    told: list[Rows] = []
    for place, ref in listed:
        if ref not in found:
            continue
        rows = found[ref]
        own = place_of(rows.payload, rows.children)
        if own == place or (is_end and place == last[ref] and own > place):
            told.append(rows)
    return told


def _blank(binding: Binding) -> str | None:
    """What empties a property. Raises Misconfigured."""
    return "" if binding.choice("clear_with", "empty", "null") == "empty" else None


def open_connector(binding: Binding) -> HubspotConnector:
    """The connector of a tenant. Raises Misconfigured naming a missing setting or secret."""
    return HubspotConnector(binding, load_manifest(_FOLDER))
