"""Contracts with their lines and links to projects, and the billing events that are their schedules."""

from __future__ import annotations

from shared.canonical.billing import BillingSchedule, ErpContract
from shared.canonical.references import Written
from shared.errors.taxonomy import NotFound, OutcomeUnknown, StaleVersion
from system_apis.connectors.oracle_fusion import mapping
from system_apis.connectors.oracle_fusion.account import Account, Body
from system_apis.connectors.oracle_fusion.client import VENDOR, Item, Part, literal, part
from system_apis.connectors.oracle_fusion.directory import below, expanded
from system_apis.connectors.oracle_fusion.payloads import ContractLineRow, ContractRow, EventRow
from system_apis.connectors.oracle_fusion.places import PlacedContract
from system_apis.connectors.oracle_fusion.projects import differs
from system_apis.ports.outcomes import begun

NOT_INVOICED = "U"
_CANCELLED = "CANCELED"


class Contracts:
    """Contracts and billing events of one pod."""

    def __init__(self, account: Account) -> None:
        self._account = account

    # --- contracts -----------------------------------------------------------------------------------------------
    async def amend(self, contract: ErpContract) -> Written:
        """One call makes header and lines; on a contract that is there, one batch brings what differs or is missing."""
        entity = await self._account.directory.entity(contract.legal_entity_code)
        party = await self._account.directory.party(contract.customer_id, entity)
        header = mapping.from_contract(
            contract, entity=entity, party=party, kind=self._account.settings.contract_type_id
        )
        lines = await self._lines(contract)
        async with self._account.writers.of(contract.id):
            held = await self._held(contract.id)
            if held is None:
                body = {
                    **self._account.give("contract", header),
                    "ContractParty": [{"PartyRoleCode": "CUSTOMER", "PartyId": party.party_id}],
                    "ContractLine": lines,
                }
                await self._account.client.create("contracts", body)
            else:
                try:
                    await self._bring(header, lines, held)
                except StaleVersion:
                    again = await self._held(contract.id)
                    if again is None:
                        raise
                    await self._bring(header, lines, again)
            with begun(VENDOR, f"contract {contract.id}"):
                found = await self._held(contract.id)
                if found is None:
                    raise OutcomeUnknown(f"oracle_fusion took contract {contract.id} but does not have it.")
                await self._keep(contract.id, found)
        return self._written(contract.id, found, was_created=held is None)

    async def _lines(self, contract: ErpContract) -> list[Body]:
        project = await self._account.directory.project(contract.project_id)
        items = await self._account.directory.items(line.item_code for line in contract.lines)
        kind = self._account.settings.contract_line_type
        return [
            {
                **self._account.give("contract_line", mapping.from_contract_line(line, kind=kind, items=items)),
                "AssociatedProject": [
                    {name: value for name, value in mapping.from_link(line, project).items() if value is not None}
                ],
            }
            for line in contract.lines
        ]

    async def _bring(self, header: Body, lines: list[Body], held: Item) -> None:
        """One batch, all or nothing; lines that are no longer wanted are cancelled afterwards."""
        address = f"contracts/{part(held.key)}"
        wanted = self._account.give("contract", {n: v for n, v in header.items() if n != "ContractTypeId"})
        parts = [Part("update", address, wanted, held.etag)] if differs(wanted, held.row) else []
        key = self._account.fields["contract_line"].path("id")
        there = {str(item.row.get(key)): item for item in await self._lines_of(held)}
        for line in lines:
            known = there.pop(str(line.get(key)), None)
            if known is None:
                parts.append(Part("create", f"{address}/child/ContractLine", line))
            elif differs(line, known.row):
                parts.append(Part("update", f"{address}/child/ContractLine/{part(known.key)}", line))
        if parts:
            await self._account.client.batch(parts)
        for name, item in there.items():
            row = self._account.take("contract_line", item.row, ContractLineRow)
            if mapping.is_ours("workstream", name) and row.sts_code != _CANCELLED:
                with begun(VENDOR, f"a line of contract {held.key}"):
                    await self._account.client.act(f"{address}/child/ContractLine/{part(item.key)}", "cancel")

    async def _lines_of(self, held: Item) -> list[Item]:
        expand = ",".join(expanded(self._account.fields, "contract_line"))
        return await self._account.client.children(held, "contracts", "ContractLine", expand=expand)

    async def _held(self, contract_id: str) -> Item | None:
        """The contract's current version by our id."""
        if not mapping.is_keepable(contract_id):
            return None
        fields = self._account.fields
        place = fields["contract"]
        q = (
            f"{place.path('id')} = {literal(contract_id)} and {place.path('source')} = {literal(mapping.SOURCE)} "
            "and VersionType = 'C'"
        )
        expand = ",".join((*expanded(fields, "contract"), *below(fields, "contract_line", "ContractLine")))
        found = await self._account.client.items("contracts", q=q, expand=expand, order="ContractId")
        return found[0] if found else None

    async def _keep(self, contract_id: str, held: Item) -> PlacedContract:
        row = self._account.take("contract", held.row, ContractRow)
        lines = [self._account.take("contract_line", item.row, ContractLineRow) for item in await self._lines_of(held)]
        return self._account.directory.keep_contract(contract_id, row, lines)

    async def _placed(self, contract_id: str) -> PlacedContract:
        """The contract as events point at it. Raises NotFound."""
        if known := self._account.directory.known_contract(contract_id):
            return known
        held = await self._held(contract_id)
        if held is None:
            raise NotFound(f"oracle_fusion has no contract with our id {contract_id}; it must be written first")
        return await self._keep(contract_id, held)

    async def find(self, contract_id: str) -> Written | None:
        """By our id."""
        held = await self._held(contract_id)
        return None if held is None else self._written(contract_id, held, was_created=False)

    def _written(self, identifier: str, held: Item, *, was_created: bool) -> Written:
        row = self._account.take("contract", held.row, ContractRow)
        moment = row.last_update_date
        source = self._account.binding.source(str(row.contract_id), moment.isoformat(), moment)
        return Written(id=identifier, source=source, was_created=was_created)

    # --- schedules -----------------------------------------------------------------------------------------------
    async def amend_schedule(self, schedule: BillingSchedule) -> Written:
        """One batch upserts an event per entry and takes away those no longer agreed; invoiced ones stay as they are.

        A schedule without entries is told by a mark on its contract.
        """
        mapping.keepable(schedule.id)
        contract = await self._placed(schedule.contract_id)
        project = await self._account.directory.project(schedule.project_id)
        unit = await self._account.directory.unit_name(contract.business_unit_id)
        bodies = [
            self._account.give(
                "billing_event",
                mapping.from_schedule_entry(
                    schedule,
                    entry,
                    contract=contract,
                    project=project,
                    unit=unit,
                    kind=self._account.settings.event_type,
                ),
            )
            for entry in schedule.entries
        ]
        async with self._account.writers.of(schedule.id):
            held = await self._events(schedule.id)
            marked = None if held or bodies else await self._marked(schedule.id, schedule.contract_id)
            parts = self._parts(bodies, held)
            if parts:
                await self._account.client.batch(parts)
            elif not bodies and not held and marked is None:
                await self._mark(schedule)
            with begun(VENDOR, f"billing schedule {schedule.id}"):
                written = await self._found(schedule.id, schedule.contract_id)
            if written is None:
                raise OutcomeUnknown(f"oracle_fusion took billing schedule {schedule.id} but does not have it.")
        return written.model_copy(update={"was_created": not held and marked is None})

    def _parts(self, bodies: list[Body], held: dict[str, Item]) -> list[Part]:
        key = self._account.fields["billing_event"].path("id")
        parts: list[Part] = []
        left = dict(held)
        for body in bodies:
            known = left.pop(str(body.get(key)), None)
            if known is None or (self._is_free(known) and differs(body, known.row)):
                parts.append(Part("upsert", "projectBillingEvents", body))
        parts += [
            Part("delete", f"projectBillingEvents/{part(item.key)}") for item in left.values() if self._is_free(item)
        ]
        return parts

    def _is_free(self, item: Item) -> bool:
        row = self._account.take("billing_event", item.row, EventRow)
        return (row.invoiced or NOT_INVOICED) == NOT_INVOICED

    async def _events(self, schedule_id: str) -> dict[str, Item]:
        place = self._account.fields["billing_event"]
        q = (
            f"{place.path('source')} = {literal(mapping.SOURCE)} "
            f"and {place.path('id')} like {literal(schedule_id + ':*')}"
        )
        found = await self._account.client.items("projectBillingEvents", q=q, order="EventId")
        rows = {self._account.take("billing_event", item.row, EventRow).source_reference: item for item in found}
        return {name: item for name, item in rows.items() if name.startswith(f"{schedule_id}:")}

    async def _marked(self, schedule_id: str, contract_id: str) -> Item | None:
        held = await self._held(contract_id)
        own = self._account.take("contract", held.row, ContractRow).segments if held else None
        return held if own and own.schedule == schedule_id else None

    async def _mark(self, schedule: BillingSchedule) -> None:
        held = await self._held(schedule.contract_id)
        if held is None:
            raise NotFound(f"oracle_fusion has no contract with our id {schedule.contract_id}")
        body = self._account.give("contract", {"ContractHeaderFlexfieldVA": {"throughlineSchedule": schedule.id}})
        await self._account.client.patch(f"contracts/{part(held.key)}", body)

    async def _found(self, schedule_id: str, contract_id: str) -> Written | None:
        if found := await self._by_events(schedule_id):
            return found
        held = await self._marked(schedule_id, contract_id)
        return self._written(schedule_id, held, was_created=False) if held else None

    async def _by_events(self, schedule_id: str) -> Written | None:
        events = await self._events(schedule_id)
        if not events:
            return None
        rows = [self._account.take("billing_event", item.row, EventRow) for item in events.values()]
        latest = max(row.last_update_date for row in rows)
        version = mapping.to_version(latest.isoformat(), *((row.event_id, row.bill_trns_amount) for row in rows))
        return Written(
            id=schedule_id,
            source=self._account.binding.source(str(rows[0].event_id), version, latest),
            was_created=False,
        )

    async def find_schedule(self, schedule_id: str) -> Written | None:
        """By our id: the events that carry it, or the mark on a contract, which cannot be asked for: ours are read."""
        if not mapping.is_keepable(schedule_id):
            return None
        if found := await self._by_events(schedule_id):
            return found
        fields = self._account.fields
        q = f"{fields['contract'].path('source')} = {literal(mapping.SOURCE)} and VersionType = 'C'"
        expand = ",".join(expanded(fields, "contract"))
        for item in await self._account.client.items("contracts", q=q, expand=expand, order="ContractId"):
            own = self._account.take("contract", item.row, ContractRow).segments
            if own and own.schedule == schedule_id:
                return self._written(schedule_id, item, was_created=False)
        return None
