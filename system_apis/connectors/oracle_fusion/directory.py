"""The connector's directory: codes and our ids to Oracle's ids and names, kept for a short while; reads only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from shared.errors.taxonomy import FieldFinding, MappingMissing, NotFound, UnknownReference, VendorDrift
from shared.outbound import drift
from system_apis.connectors.oracle_fusion.client import VENDOR, FusionClient, literal
from system_apis.connectors.oracle_fusion.mapping import SOURCE, is_keepable
from system_apis.connectors.oracle_fusion.payloads import (
    BusinessUnitRow,
    ContractLineRow,
    ContractRow,
    EntityTermsRow,
    InventoryItemRow,
    LedgerRow,
    LegalEntityRow,
    MemoLineRow,
    ProductRow,
    ProjectRow,
    RateRow,
    ScheduleRow,
    SiteRow,
    TaskRow,
)
from system_apis.connectors.oracle_fusion.places import Entity, Party, PlacedContract, PlacedProject
from system_apis.fields import FieldMap
from system_apis.ports.kept import Kept, keep

ENTITIES = "standardLookups/THROUGHLINE_LEGAL_ENTITY/child/lookupCodes"
PRODUCTS = "standardLookups/THROUGHLINE_SERVICE_ITEM/child/lookupCodes"
_BILL_TO = "BILL_TO"


class Directory:
    """Reference data is at most a minute old (a code not found is looked for afresh); ids of parties never change."""

    def __init__(self, client: FusionClient, fields: FieldMap, *, item_kind: str) -> None:
        """`item_kind`: `memo_line` or `inventory_item`."""
        self._client = client
        self._fields = fields
        self._item_kind = item_kind
        self._entities = Kept(self.read_entities)
        self._items = Kept(self.read_items)
        self._parties: dict[str, Party] = {}
        self._projects: dict[str, PlacedProject] = {}
        self._contracts: dict[str, PlacedContract] = {}

    def forget(self) -> None:
        """Oracle refused a reference: nothing kept is trusted any more."""
        self._entities.forget()
        self._items.forget()
        for kept in (self._parties, self._projects, self._contracts):
            kept.clear()

    # --- reference data ------------------------------------------------------------------------------------------
    async def read_entities(self) -> dict[str, Entity]:
        """Every legal entity the firm lists, by its code."""
        terms, entities, units, ledgers = await asyncio.gather(
            self._client.rows(
                ENTITIES, expand=",".join(expanded(self._fields, "legal_entity_terms")), order="LookupCode"
            ),
            self._client.rows("legalEntitiesLOV", order="LegalEntityId"),
            self._client.rows("finBusinessUnitsLOV", order="BusinessUnitId"),
            self._client.rows("ledgersLOV", order="LedgerId"),
        )
        by_identifier = {
            row.legal_entity_identifier: row
            for row in (drift(VENDOR, LegalEntityRow, self._fields["legal_entity"].take(row)) for row in entities)
        }
        by_name = {
            row.business_unit_name: row
            for row in (drift(VENDOR, BusinessUnitRow, self._fields["business_unit"].take(row)) for row in units)
        }
        currencies = {
            row.ledger_id: row.currency_code
            for row in (drift(VENDOR, LedgerRow, self._fields["ledger"].take(row)) for row in ledgers)
        }
        found: dict[str, Entity] = {}
        for row in terms:
            said = drift(VENDOR, EntityTermsRow, self._fields["legal_entity_terms"].take(row))
            found[said.lookup_code] = _entity(said, by_identifier, by_name, currencies)
        return found

    async def read_products(self) -> list[ProductRow]:
        """Every product of the CRM with the item it is invoiced as."""
        places = self._fields["service_item"]
        rows = await self._client.rows(
            PRODUCTS, expand=",".join(expanded(self._fields, "service_item")), order="LookupCode"
        )
        return [drift(VENDOR, ProductRow, places.take(row)) for row in rows]

    async def read_items(self) -> dict[str, str]:
        """Items that invoices can name: code → name."""
        if self._item_kind == "inventory_item":
            rows = await self._client.rows("itemsV2", order="ItemId")
            found = (drift(VENDOR, InventoryItemRow, self._fields["inventory_item"].take(row)) for row in rows)
            return {row.item_number: row.item_description or row.item_number for row in found}
        rows = await self._client.rows("memoLinesLOV", order="MemoLineId")
        lines = (drift(VENDOR, MemoLineRow, self._fields["memo_line"].take(row)) for row in rows)
        return {row.memo_line_name: row.description or row.memo_line_name for row in lines}

    async def read_rates(self) -> list[tuple[ScheduleRow, list[RateRow]]]:
        """Every rate schedule by project role, with its prices."""
        schedules = await self._client.rows(
            "rateSchedules", q="ScheduleTypeCode = 'PROJECT_ROLE'", order="RateScheduleId"
        )
        found = [drift(VENDOR, ScheduleRow, self._fields["rate_card"].take(row)) for row in schedules]
        prices = await asyncio.gather(
            *(self._client.rows(f"rateSchedules/{one.rate_schedule_id}/child/Rates", order="RateId") for one in found)
        )
        places = self._fields["rate"]
        return [
            (one, [drift(VENDOR, RateRow, places.take(row)) for row in rows])
            for one, rows in zip(found, prices, strict=True)
        ]

    async def entity(self, code: str) -> Entity:
        """The legal entity. Raises UnknownReference."""
        found = await self._entities.find(lambda held: held.get(code))
        if found is None:
            raise _unknown("legal_entity_code", f"oracle_fusion has no legal entity {code}")
        return found

    async def entity_of_unit(self, unit: str) -> Entity | None:
        """The legal entity whose business unit it is; None: none of ours."""
        return await self._entities.find(
            lambda held: next((entity for entity in held.values() if entity.business_unit == unit), None)
        )

    async def unit_name(self, number: int) -> str:
        """Name of a business unit of ours. Raises NotFound."""
        found = await self._entities.find(
            lambda held: next((entity for entity in held.values() if entity.business_unit_id == number), None)
        )
        if found is None:
            raise NotFound(f"oracle_fusion has no legal entity of ours with business unit {number}")
        return found.business_unit

    async def items(self, codes: Iterable[str]) -> Mapping[str, str]:
        """Names of items by code. Raises UnknownReference naming the first one that is not there."""
        wanted = set(codes)
        found = await self._items.holding(lambda held: wanted <= held.keys())
        if missing := sorted(wanted - found.keys()):
            raise _unknown("item_code", f"oracle_fusion has no service item {missing[0]}")
        return found

    # --- whom and what -------------------------------------------------------------------------------------------
    async def find_party(self, customer_id: str) -> Party | None:
        """The customer's party, account and bill-to sites, read afresh; None where there is no account."""
        if not is_keepable(customer_id):
            return None
        place = self._fields["customer_account"]
        q = f"{place.path('id')} = {literal(customer_id)}"
        rows = await self._client.rows("customerAccountSitesLOV", q=q, order="SiteUseId")
        sites = [drift(VENDOR, SiteRow, place.take(row)) for row in rows]
        if not sites:
            return None
        by_set = {site.set_id: site.site_number for site in sites if site.site_use_code == _BILL_TO}
        return keep(self._parties, customer_id, Party(sites[0].party_id, sites[0].customer_account_id, by_set))

    async def party(self, customer_id: str, entity: Entity) -> Party:
        """The customer, usable by the legal entity. Raises NotFound."""
        known = self._parties.get(customer_id)
        if known is None or entity.customer_set not in known.sites:
            known = await self.find_party(customer_id)
        if known is None or entity.customer_set not in known.sites:
            raise NotFound(
                f"oracle_fusion has no customer with our id {customer_id} for {entity.code}; it must be written first"
            )
        return known

    async def project(self, project_id: str) -> PlacedProject:
        """The project. Raises NotFound."""
        if known := self._projects.get(project_id):
            return known
        place = self._fields["project"]
        if not is_keepable(project_id):
            raise NotFound(f"oracle_fusion cannot have a project with the id {project_id}")
        q = f"{place.path('id')} = {literal(project_id)} and {place.path('source')} = {literal(SOURCE)}"
        expand = ",".join((*expanded(self._fields, "project"), *below(self._fields, "task", "Tasks")))
        found = await self._client.items("projects", q=q, expand=expand)
        if not found:
            raise NotFound(f"oracle_fusion has no project with our id {project_id}; it must be written first")
        row = drift(VENDOR, ProjectRow, place.take(self._client.whole(found[0].row, place.paths())))
        tasks = await self._client.children(
            found[0], "projects", "Tasks", expand=",".join(expanded(self._fields, "task"))
        )
        return self.keep_project(
            project_id, row, [drift(VENDOR, TaskRow, self._fields["task"].take(task.row)) for task in tasks]
        )

    def keep_project(self, project_id: str, row: ProjectRow, tasks: Iterable[TaskRow]) -> PlacedProject:
        """Remember a project that was just seen."""
        numbers = {task.source_task_reference: task.task_number for task in tasks if task.source_task_reference}
        return keep(self._projects, project_id, PlacedProject(row.project_id, row.project_number, numbers))

    def known_contract(self, contract_id: str) -> PlacedContract | None:
        """A contract seen before."""
        return self._contracts.get(contract_id)

    def keep_contract(self, contract_id: str, row: ContractRow, lines: Iterable[ContractLineRow]) -> PlacedContract:
        """Remember a contract that was just seen."""
        numbers = {line.external_key: line.line_number for line in lines if line.external_key}
        placed = PlacedContract(row.contract_id, row.contract_number, row.contract_type_name, row.org_id, numbers)
        return keep(self._contracts, contract_id, placed)


def expanded(fields: FieldMap, entity: str) -> list[str]:
    """The flexfields an entity is read from."""
    return list(dict.fromkeys(path.partition(".")[0] for path in fields[entity].paths() if "." in path))


def below(fields: FieldMap, entity: str, child: str) -> list[str]:
    """A child resource with the flexfields it is read from, as `expand` names them under its parent."""
    return [child, *(f"{child}.{name}" for name in expanded(fields, entity))]


def _entity(
    said: EntityTermsRow,
    by_identifier: Mapping[str, LegalEntityRow],
    by_name: Mapping[str, BusinessUnitRow],
    currencies: Mapping[int, str],
) -> Entity:
    own = said.segments
    legal, unit = by_identifier.get(own.identifier), by_name.get(own.business_unit)
    if legal is None or unit is None:
        what = f"legal entity {own.identifier}" if legal is None else f"business unit {own.business_unit}"
        finding = FieldFinding(f"lookupCodes.{said.lookup_code}", f"names {what}, which oracle_fusion does not list")
        raise MappingMissing(f"oracle_fusion: legal entity {said.lookup_code} names {what}.", findings=[finding])
    if unit.primary_ledger_id not in currencies:
        raise VendorDrift(f"oracle_fusion points at ledger {unit.primary_ledger_id}, which it does not list.")
    return Entity(
        code=said.lookup_code,
        name=legal.name,
        country=legal.country_code,
        currency=currencies[unit.primary_ledger_id],
        legal_entity_id=legal.legal_entity_id,
        business_unit_id=unit.business_unit_id,
        business_unit=unit.business_unit_name,
        ledger_id=unit.primary_ledger_id,
        is_approved=own.approved.upper() in {"Y", "TRUE"},
        tax_rate=own.tax_rate,
        tax_regime=own.tax_regime,
        tax_rate_code=own.tax_rate_code,
        zero_tax_rate_code=own.zero_tax_rate_code,
        customer_set=own.customer_set,
        modified_at=said.last_update_date,
    )


def _unknown(field: str, sentence: str) -> UnknownReference:
    return UnknownReference(sentence, findings=[FieldFinding(f"body.{field}", sentence)])
