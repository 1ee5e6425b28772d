"""The CRM port over Dataverse: what is asked of the client and how its rows become canonical."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Generic, TypeVar
from uuid import UUID

from shared.canonical.contracts import Contract, ContractApproval
from shared.canonical.customers import Customer
from shared.canonical.opportunities import DeliveryStatus, InvoiceStatus, Opportunity
from shared.canonical.references import Page
from shared.errors.taxonomy import NotFound
from shared.outbound import drift
from system_apis.connectors.dynamics_sales.changes import Changes, Family, Table
from system_apis.connectors.dynamics_sales.client import Columns, DataverseClient, Json, Query, is_id
from system_apis.connectors.dynamics_sales.directory import Directory
from system_apis.connectors.dynamics_sales.mapping import (
    Choices,
    changed_at,
    from_delivery_status,
    from_invoice_status,
    to_contract,
    to_customer,
    to_opportunity,
)
from system_apis.connectors.dynamics_sales.payloads import (
    AccountPayload,
    Agreement,
    Buyer,
    ContractPayload,
    Deal,
    DeliveryPayload,
    LinePayload,
    MilestonePayload,
    OpportunityPayload,
    Payload,
)
from system_apis.dialects.marks import Mark, page_by_change, start
from system_apis.dialects.odata import any_of
from system_apis.fields import FieldMap, load_fields
from system_apis.manifest import Manifest, load_manifest
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint, FeedReading
from system_apis.ports.outcomes import canonical_record
from system_apis.ports.schema import FieldFacts

Whole = TypeVar("Whole", Deal, Agreement, Buyer)
Item = TypeVar("Item", Opportunity, Contract, Customer)
_FOLDER = Path(__file__).parent
_OVERLAP = 60
_IDS_AT_ONCE = 40
_COMPANION = "thl_deliverystatuses"
_RANK = {ContractApproval.REJECTED: 0, ContractApproval.IN_REVIEW: 1, ContractApproval.APPROVED: 2}


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of one set that are read into a payload."""

    entity: str
    model: type[Payload]
    shown_by_label: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Reading(Generic[Whole, Item]):
    """How one kind of record is read: from which rows, made into what."""

    family: Family
    own: _Part
    child: _Part | None
    whole: Callable[..., Whole]
    make: Callable[[Whole, Binding], Item]


class DynamicsSalesConnector:
    """CrmPort, ChangePoll, ChangeFeed and SchemaSource for one environment."""

    def __init__(self, binding: Binding, manifest: Manifest) -> None:
        self.manifest = manifest
        self._binding = binding
        self._fields = load_fields(_FOLDER, binding.overrides)
        self._choices = Choices(binding.system, _FOLDER, self._fields)
        self._client = DataverseClient(binding, manifest)
        self._directory = Directory(self._client)
        self._on_deal = binding.choice("delivery_on", "companion", "opportunity") == "opportunity"
        touches = binding.choice("lines_touch_deal", "true", "false") == "true"
        customers, deals, contracts = _families(self._fields, lines_touch_deal=touches)
        self._customers = _Reading(
            customers, _Part("customer", AccountPayload, ("industry",)), None, Buyer, to_customer
        )
        own = _Part("opportunity", OpportunityPayload, ("record_owner",))
        self._deals = _Reading(deals, own, _Part("opportunity_line", LinePayload), Deal, to_opportunity)
        own = _Part("contract", ContractPayload)
        self._contracts = _Reading(
            contracts, own, _Part("contract_milestone", MilestonePayload), Agreement, to_contract
        )
        self._changes = Changes(self._client, (customers, deals, contracts), _overlap(binding))

    async def ping(self) -> None:
        """Whether the environment lets us in."""
        await self._client.ping()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def describe(self, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
        """The environment's metadata of these tables."""
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
        """The deal's contract; of several an approved one, then one in review, then the one changed last."""
        if not is_id(opportunity_ref):
            return None
        lookup = self._fields["contract"].column("_thl_opportunityid_value")
        found = await self._where(self._contracts, f"{lookup} eq {UUID(opportunity_ref)}")
        if not found:
            return None
        contracts = [self._made(self._contracts, whole) for whole in found]
        stamped = zip(contracts, (whole.row.version for whole in found), strict=True)
        return max(stamped, key=lambda one: (_RANK[one[0].approval], one[1]))[0]

    async def amend_delivery_status(self, opportunity_ref: str, status: DeliveryStatus) -> None:
        """The delivery columns beside the deal or on it; left alone where they stand so, since a write is a change."""
        if not is_id(opportunity_ref):
            raise self._unknown("opportunity", opportunity_ref)
        entity, set_name, own = (
            ("delivery_on_opportunity", OpportunityPayload.set_name, OpportunityPayload.key)
            if self._on_deal
            else ("delivery_status", _COMPANION, "thl_deliverystatusid")
        )
        deal_id = UUID(opportunity_ref)
        columns = Columns.of((own, *self._fields[entity].paths()))
        rows = [row async for row in self._client.rows(Query(set_name, columns, f"{own} eq {deal_id}"))]
        wanted = from_delivery_status(status)
        if rows:
            known = drift(self._binding.system, DeliveryPayload, self._choices.read(entity, rows[0]))
            if known.model_dump(by_alias=True) == wanted:
                return
        elif self._on_deal:
            raise self._unknown("opportunity", opportunity_ref)
        body = wanted if self._on_deal else {**wanted, "_thl_opportunityid_value": str(deal_id)}
        await self._written(entity, set_name, deal_id, body, is_amended=self._on_deal)

    async def amend_invoice_status(self, opportunity_ref: str, invoice_id: str, status: InvoiceStatus) -> None:
        """One thl_invoicestatus row, found by our invoice id, which is its alternate key."""
        if not is_id(opportunity_ref):
            raise self._unknown("opportunity", opportunity_ref)
        by = {self._fields["invoice_status"].column("thl_invoiceid"): invoice_id}
        body = from_invoice_status(str(UUID(opportunity_ref)), status)
        await self._written("invoice_status", "thl_invoicestatuses", by, body)

    async def list_changes(self, since: datetime | None) -> Sequence[ChangeHint]:
        """One hint per record, at its latest change; lines count for their deal, milestones for their contract."""
        return await self._changes.list_changes(since)

    async def read_feed(self, position: str | None) -> FeedReading:
        """Change tracking of the five tables; the position holds their delta links."""
        return await self._changes.read_feed(position)

    async def _written(
        self,
        entity: str,
        set_name: str,
        by: Mapping[str, str] | UUID,
        values: Mapping[str, Any],
        *,
        is_amended: bool = False,
    ) -> None:
        fields = self._fields[entity]
        body = await self._directory.bound(fields.object, self._choices.write(entity, values))
        if is_amended and isinstance(by, UUID):
            await self._client.amend(set_name, by, body)
        else:
            await self._client.upsert(set_name, by, body)

    async def _get(self, reading: _Reading[Whole, Item], ref: str) -> Item:
        found = await self._by_ids(reading, [ref]) if is_id(ref) else []
        if not found:
            raise self._unknown(reading.own.entity, ref)
        return self._made(reading, found[0])

    def _made(self, reading: _Reading[Whole, Item], whole: Whole) -> Item:
        with canonical_record(self._binding.system, f"record {whole.row.id}"):
            return reading.make(whole, self._binding)

    def _unknown(self, entity: str, ref: str) -> NotFound:
        return NotFound(f"{self._binding.system} has no {entity} {ref} that can be read.")

    async def _page(
        self, reading: _Reading[Whole, Item], since: datetime | None, cursor: str | None, limit: int
    ) -> Page[Item]:
        """Records by the latest change of themselves and their children; stamps are whole seconds, rounded down."""

        async def candidates(after: Mark | None) -> tuple[list[Mark], Mark | None]:
            return await self._changes.candidates(reading.family, after, limit)

        async def read(refs: list[str]) -> list[tuple[Mark, Whole]]:
            return [(Mark(changed_at(one), one.row.id), one) for one in await self._by_ids(reading, refs)]

        after = start(since.replace(microsecond=0) if since else None, cursor)
        return await page_by_change(after, candidates, read, lambda one: self._made(reading, one))

    async def _by_ids(self, reading: _Reading[Whole, Item], refs: Sequence[str]) -> list[Whole]:
        """Records with the rows that belong to them, all asked for together."""
        family = reading.family
        chunks = [[UUID(ref) for ref in refs[at : at + _IDS_AT_ONCE]] for at in range(0, len(refs), _IDS_AT_ONCE)]
        also = f" and {family.where}" if family.where else ""
        asked = [(reading.own, any_of(family.own.key, chunk) + also) for chunk in chunks]
        if reading.child and family.child:
            asked += [(reading.child, any_of(family.child.about, chunk)) for chunk in chunks]
        told = await self._payloads(asked)
        own, below = told[: len(chunks)], told[len(chunks) :]
        return _joined(reading, list(chain.from_iterable(own)), chain.from_iterable(below))

    async def _where(self, reading: _Reading[Whole, Item], where: str) -> list[Whole]:
        """Records that meet a condition, with the rows that belong to them, whose parents are known only then."""
        [own] = await self._payloads([(reading.own, where)])
        below: list[list[Payload]] = []
        if own and reading.child and reading.family.child:
            known = [UUID(_id(row)) for row in own]
            below = await self._payloads([(reading.child, any_of(reading.family.child.about, known))])
        return _joined(reading, own, chain.from_iterable(below))

    async def _payloads(self, asked: Sequence[tuple[_Part, str]]) -> list[list[Payload]]:
        """The rows of each part that meet its condition, all asked for together."""
        listed = await self._client.together([self._query(part, where) for part, where in asked]) if asked else []
        return [[self._payload(part, row) async for row in rows] for (part, _), rows in zip(asked, listed, strict=True)]

    def _query(self, part: _Part, where: str) -> Query:
        paths = (part.model.key, "modifiedon", "versionnumber", *self._fields[part.entity].paths())
        return Query(part.model.set_name, Columns.of(paths), where)

    def _payload(self, part: _Part, row: Json) -> Payload:
        read = self._choices.read(part.entity, row, shown_by_label=part.shown_by_label)
        return drift(self._binding.system, part.model, read)


def _joined(reading: _Reading[Whole, Item], own: Sequence[Payload], below: Iterable[Payload]) -> list[Whole]:
    if reading.child is None:
        return [reading.whole(row=row) for row in own]
    children: dict[str, list[Payload]] = {}
    for row in below:
        children.setdefault(str(getattr(row, "parent_id", "")), []).append(row)
    return [reading.whole(row=row, children=tuple(children.get(_id(row), ()))) for row in own]


def _id(row: Payload) -> str:
    return str(getattr(row, "id", ""))


def _families(fields: FieldMap, *, lines_touch_deal: bool) -> tuple[Family, Family, Family]:
    """What counts as a change of what, under the tenant's own names.

    A deal counts once it has a customer, an amount and a day; a contract once it belongs to a deal.
    """
    deal, contract = fields["opportunity"], fields["contract"]
    amount, won_amount = deal.column("estimatedvalue"), deal.column("actualvalue")
    close_on, won_on = deal.column("estimatedclosedate"), deal.column("actualclosedate")
    customers = Family("customer", Table("accounts", "accountid", "accountid"))
    deals = Family(
        "opportunity",
        Table("opportunities", "opportunityid", "opportunityid"),
        Table(
            "opportunityproducts",
            "opportunityproductid",
            fields["opportunity_line"].column("_opportunityid_value"),
        ),
        f"{deal.column('_parentaccountid_value')} ne null and ({amount} ne null or {won_amount} ne null)"
        f" and ({close_on} ne null or {won_on} ne null)",
        touches=lines_touch_deal,
    )
    contracts = Family(
        "contract",
        Table("thl_contracts", "thl_contractid", "thl_contractid"),
        Table("thl_milestones", "thl_milestoneid", fields["contract_milestone"].column("_thl_contractid_value")),
        f"{contract.column('_thl_opportunityid_value')} ne null",
        touches=False,
    )
    return customers, deals, contracts


def _overlap(binding: Binding) -> timedelta:
    return timedelta(seconds=binding.number("overlap_seconds", _OVERLAP))


def open_connector(binding: Binding) -> DynamicsSalesConnector:
    """The connector of a tenant. Raises Misconfigured naming a missing setting or secret."""
    return DynamicsSalesConnector(binding, load_manifest(_FOLDER))
