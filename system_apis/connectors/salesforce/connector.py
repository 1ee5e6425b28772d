"""The CRM port over Salesforce: what is asked of the client and how its rows become canonical."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Generic, TypeVar

from shared.canonical.contracts import Contract
from shared.canonical.customers import Customer
from shared.canonical.opportunities import DeliveryStatus, InvoiceStatus, Opportunity
from shared.canonical.references import Page
from shared.errors.taxonomy import NotFound
from system_apis.connectors.salesforce.client import open_wire
from system_apis.connectors.salesforce.events import followed
from system_apis.connectors.salesforce.mapping import (
    contract_stamp,
    customer_stamp,
    from_delivery_status,
    from_invoice_status,
    opportunity_stamp,
    to_contract,
    to_customer,
    to_opportunity,
)
from system_apis.connectors.salesforce.payloads import (
    AccountPayload,
    ContractPayload,
    DeliveryPayload,
    OpportunityPayload,
    Payload,
)
from system_apis.dialects.marks import Mark, page_by_change, start
from system_apis.dialects.salesforce.feed import Feed, FeedSettings, follows
from system_apis.dialects.salesforce.marks import Family
from system_apis.dialects.salesforce.soql import columns, soql_instant, soql_text
from system_apis.dialects.salesforce.stamps import hint_key
from system_apis.dialects.salesforce.wire import SalesforceWire
from system_apis.fields import FieldMap, load_fields
from system_apis.manifest import Manifest, load_manifest
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangedEntity, ChangeHint, FeedReading
from system_apis.ports.outcomes import canonical_record
from system_apis.ports.schema import FieldFacts

Row = TypeVar("Row", bound=Payload)
Item = TypeVar("Item")

_OVERLAP = 60


@dataclass(frozen=True, slots=True)
class Families:
    """What counts as a change of what; a deal counts once it has a customer and an amount, a contract with its deal."""

    customers: Family
    deals: Family
    contracts: Family

    @classmethod
    def of(cls, fields: FieldMap) -> Families:
        """Under the tenant's own names."""
        deal, contract, milestone = fields["opportunity"], fields["contract"], fields["contract_milestone"]
        account, amount = deal.column("AccountId"), deal.column("Amount")
        of_deal, of_contract = contract.column("Opportunity__c"), milestone.column("Contract__c")
        return cls(
            Family("Account", ""),
            Family(
                "Opportunity",
                f"{account} != null AND {amount} != null",
                "OpportunityLineItem",
                "OpportunityId",
                f"Opportunity.{account} != null AND Opportunity.{amount} != null",
            ),
            Family(
                "Contract",
                f"{of_deal} != null",
                "Billing_Milestone__c",
                of_contract,
                f"{of_contract.removesuffix('__c')}__r.{of_deal} != null",
            ),
        )

    def polled(self) -> tuple[tuple[ChangedEntity, Family], ...]:
        """In the order in which they are asked."""
        return ("customer", self.customers), ("opportunity", self.deals), ("contract", self.contracts)


@dataclass(frozen=True, slots=True)
class _Reading(Generic[Row, Item]):
    """How one kind of record is read: from which rows, changed when, made into what."""

    binding: Binding
    fields: FieldMap
    family: Family
    model: type[Row]
    changed_at: Callable[[Row], datetime]
    make: Callable[[Row, Binding], Item]

    @property
    def head(self) -> str:
        return f"SELECT {columns(self.model, self.fields)} FROM {self.family.sobject}"

    def item(self, row: Row) -> Item:
        with canonical_record(self.binding.system, f"record {row.id}"):
            return self.make(row, self.binding)


class SalesforceConnector:
    """CrmPort, ChangePoll and SchemaSource for one org."""

    def __init__(self, binding: Binding, manifest: Manifest) -> None:
        self.manifest = manifest
        self._binding = binding
        self._fields = fields = load_fields(Path(__file__).parent, binding.overrides)
        self._client: SalesforceWire = open_wire(binding, manifest, fields)
        self._families = of = Families.of(fields)
        self._deals = _Reading(binding, fields, of.deals, OpportunityPayload, opportunity_stamp, to_opportunity)
        self._customers = _Reading(binding, fields, of.customers, AccountPayload, customer_stamp, to_customer)
        self._contracts = _Reading(binding, fields, of.contracts, ContractPayload, contract_stamp, to_contract)
        self._overlap = timedelta(seconds=binding.number("overlap_seconds", _OVERLAP))

    async def ping(self) -> None:
        """Whether the org lets us in."""
        await self._client.ping()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def describe(self, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
        """The org's metadata of these objects."""
        return await self._client.describe(objects)

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
        """Accounts by their latest change."""
        return await self._page(self._customers, modified_since, cursor, limit)

    async def get_customer(self, ref: str) -> Customer:
        """The account."""
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
        """The deal's contract; of several the activated one, then the one changed last."""
        head, key = self._contracts.head, self._fields["contract"].column("Opportunity__c")
        where = f"{key} = {soql_text(opportunity_ref)}"
        found = await self._client.rows(f"{head} WHERE {where} ORDER BY SystemModstamp, Id", ContractPayload)
        if not found:
            return None
        best = max(found, key=lambda contract: (contract.status_code == "Activated", contract.system_modstamp))
        return self._contracts.item(best)

    async def amend_delivery_status(self, opportunity_ref: str, status: DeliveryStatus) -> None:
        """The delivery fields of the deal; left alone where they stand so, since a write is a change."""
        head = f"SELECT {columns(DeliveryPayload, self._fields)} FROM Opportunity"
        found = await self._client.rows_by_id(head, [opportunity_ref], DeliveryPayload)
        if not found:
            raise NotFound(f"{self._binding.system} has no opportunity {opportunity_ref}.")
        wanted = from_delivery_status(status)
        if found[0].model_dump(by_alias=True) != wanted:
            await self._client.amend("Opportunity", opportunity_ref, self._fields["delivery_status"].give(wanted))

    async def amend_invoice_status(self, opportunity_ref: str, invoice_id: str, status: InvoiceStatus) -> None:
        """One Invoice_Status__c row, found by our invoice id."""
        places = self._fields["invoice_status"]
        values = places.give(from_invoice_status(opportunity_ref, status))
        await self._client.upsert("Invoice_Status__c", places.column("Invoice_Id__c"), invoice_id, values)

    async def list_changes(self, since: datetime | None) -> Sequence[ChangeHint]:
        """One hint per record, at its latest change; lines count for their deal, milestones for their contract."""
        return await self._polled(since, None)

    async def _polled(self, since: datetime | None, objects: frozenset[str] | None) -> Sequence[ChangeHint]:
        """What changed in these objects; None: in all of them."""
        latest: dict[tuple[ChangedEntity, str], datetime] = {}
        for entity, family in self._families.polled():
            for mark in await self._changed_rows(family, since, objects):
                known = latest.get((entity, mark.ref))
                latest[entity, mark.ref] = mark.at if known is None else max(known, mark.at)
        ordered = sorted(latest.items(), key=lambda item: (item[1], item[0][1]))
        return [ChangeHint(entity, ref, hint_key(ref, at), at) for (entity, ref), at in ordered]

    async def _changed_rows(self, family: Family, since: datetime | None, objects: frozenset[str] | None) -> list[Mark]:
        recent = f"SystemModstamp >= {soql_instant(since - self._overlap)}" if since else ""
        found: list[Mark] = []
        if objects is None or family.sobject in objects:
            where = " AND ".join(filter(None, (family.where, recent)))
            found += await self._client.stamps(family.sobject, where, "Id")
        if family.child and (objects is None or family.child in objects):
            where = " AND ".join(filter(None, (family.child_where, recent)))
            found += await self._client.stamps(family.child, where, family.lookup)
        return found

    async def _get(self, reading: _Reading[Row, Item], ref: str) -> Item:
        found = await self._client.rows_by_id(reading.head, [ref], reading.model, reading.family.where)
        if not found:
            raise NotFound(f"{self._binding.system} has no {reading.family.sobject} {ref} that can be read.")
        return reading.item(found[0])

    async def _page(
        self, reading: _Reading[Row, Item], since: datetime | None, cursor: str | None, limit: int
    ) -> Page[Item]:
        """Rows by the latest change of themselves and their children."""

        async def rows(refs: list[str]) -> list[tuple[Mark, Row]]:
            found = await self._client.rows_by_id(reading.head, refs, reading.model, reading.family.where)
            return [(Mark(reading.changed_at(row), row.id), row) for row in found]

        async def candidates(after: Mark | None) -> tuple[list[Mark], Mark | None]:
            return await self._client.changed(reading.family, after, limit)

        return await page_by_change(start(since, cursor), candidates, rows, reading.item)


class FollowingConnector(SalesforceConnector):
    """The same with a ChangeFeed: the org's change events are followed."""

    def __init__(self, binding: Binding, manifest: Manifest) -> None:
        super().__init__(binding, manifest)
        settings = FeedSettings.of(binding, self._overlap)
        self._feed = Feed(self._client, settings, followed(self._fields), self._polled)

    async def read_feed(self, position: str | None) -> FeedReading:
        """Hints of change events behind the position; a full scan where the org has forgotten it."""
        return await self._feed.read(position)


def open_connector(binding: Binding) -> SalesforceConnector:
    """The connector of a tenant. Raises Misconfigured naming a missing setting or secret."""
    manifest = load_manifest(Path(__file__).parent)
    return (FollowingConnector if follows(binding) else SalesforceConnector)(binding, manifest)
