"""Records put together from what the vendor keeps apart: a deal with its lines, company and owner, a contract whole."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from shared.outbound import drift
from system_apis.connectors.hubspot.client import HubspotClient, zone
from system_apis.connectors.hubspot.directory import Directory
from system_apis.connectors.hubspot.mapping import CompanyRows, ContractRows, DealRows
from system_apis.connectors.hubspot.payloads import (
    SYSTEM,
    CompanyPayload,
    ContractPayload,
    DealPayload,
    LinePayload,
    LinkFacts,
    MilestonePayload,
    Payload,
)
from system_apis.fields import EntityFields, FieldMap
from system_apis.ports.binding import Binding

Row = TypeVar("Row", bound=Payload)
Links = Mapping[str, Sequence[LinkFacts]]
_PRIMARY: Final = ("HUBSPOT_DEFINED", 5)
_CHILD_TO_PARENT: Final = ("HUBSPOT_DEFINED", 14)


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


def _typed(links: Sequence[LinkFacts], wanted: tuple[str, int]) -> str | None:
    return next((str(k.to_id) for k in links if any((t.category, t.type_id) == wanted for t in k.types)), None)
