"""Contracts as sales orders, billing schedules as the billing plans of their items; changed in change sets."""

from __future__ import annotations

from collections.abc import Sequence

from shared.canonical.billing import BillingSchedule, ErpContract, ScheduleEntry
from shared.canonical.references import Written
from shared.errors.taxonomy import NotFound, OutcomeUnknown
from shared.outbound import drift
from system_apis.connectors.s4hana import bodies
from system_apis.connectors.s4hana.client import ORDERS, Change, Json, Query, etag, nested, path_of, quoted
from system_apis.connectors.s4hana.differences import changed
from system_apis.connectors.s4hana.directory import VENDOR, kept_id, unknown
from system_apis.connectors.s4hana.mapping import is_keepable, is_keepable_object, to_written_order
from system_apis.connectors.s4hana.payloads import ConditionRow, OrderItemRow, OrderRow, PlanItemRow, PlanRow
from system_apis.connectors.s4hana.writing import Desk
from system_apis.ports.outcomes import begun

_PRICED = ("to_Item/to_PricingElement",)
_PLANNED = ("to_Item/to_BillingPlan/to_BillingPlanItem",)
_BILLED = "C"


class Contracts(Desk):
    """The port's contract and schedule methods."""

    # --- contracts -----------------------------------------------------------------------------------------------
    async def amend(self, contract: ErpContract) -> Written:
        """Make the order in one deep insert, or bring header and lines to the contract in one change set."""
        kept_id(contract.id, is_good=is_keepable(contract.id))
        for line in contract.lines:
            kept_id(line.workstream_id, is_good=is_keepable_object(line.workstream_id))
        at = await self._directory.organisation(contract.legal_entity_code)
        customer = (await self._directory.partner(contract.customer_id)).partner
        async with self._writers.of(contract.id):
            row = await self._held("YY1_TLContract_SDH", contract.id, _PRICED)
            if row is None:
                body = bodies.from_new_contract(contract, customer, at, self._fields, self._settings)
                made = self._order(await self._client.create(ORDERS, "A_SalesOrder", body))
                return to_written_order(self._binding, contract.id, made, was_created=True)
            changes = self._changes(contract, row)
            await self._client.change_set(ORDERS, changes)
            order = self._order(row)
            if changes:
                with begun(VENDOR, f"contract {contract.id}"):
                    order = await self._read_back("YY1_TLContract_SDH", contract.id)
            return to_written_order(self._binding, contract.id, order, was_created=False)

    async def find(self, contract_id: str) -> Written | None:
        """By our id."""
        return await self._find("YY1_TLContract_SDH", contract_id)

    def _changes(self, contract: ErpContract, row: Json) -> list[Change]:
        order = self._order(row)
        changes: list[Change] = []
        if own := changed(bodies.from_contract(contract, self._fields, self._settings), row):
            changes.append(Change("PATCH", path_of("A_SalesOrder", order.order), own, etag(row)))
        items = self._items(row)
        free = max((int(item.item) for item, _ in items), default=0)
        by_workstream = {item.workstream: (item, there) for item, there in items}
        wanted = {line.workstream_id for line in contract.lines}
        for number, line in enumerate(contract.lines, 1):
            known = by_workstream.get(line.workstream_id)
            if known and known[0].category == bodies.category_of(line.billing_model, self._settings):
                changes += self._line(contract, number, *known)
                continue
            if known:
                changes.append(Change("DELETE", _item_path(known[0])))
            free += 10
            fresh = bodies.from_new_line(contract, number, self._fields, self._settings, str(free))
            changes.append(Change("POST", f"{path_of('A_SalesOrder', order.order)}/to_Item", fresh))
        gone = [item for item, _ in items if item.workstream not in wanted]
        return changes + [Change("DELETE", _item_path(item)) for item in gone]

    def _line(self, contract: ErpContract, number: int, item: OrderItemRow, there: Json) -> list[Change]:
        changes: list[Change] = []
        if differing := changed(bodies.from_line(contract, number, self._fields), there):
            changes.append(Change("PATCH", _item_path(item), differing))
        wanted = contract.lines[number - 1].amount.amount
        prices = [drift(VENDOR, ConditionRow, one) for one in nested(there, "to_PricingElement")]
        held = next((one for one in prices if one.kind == self._settings.price_condition), None)
        if held is None:
            fresh = bodies.condition(self._settings.price_condition, wanted, contract.currency)
            changes.append(Change("POST", f"{_item_path(item)}/to_PricingElement", fresh))
        elif held.rate != wanted:
            key = {"SalesOrder": item.order, "SalesOrderItem": item.item}
            key |= {"PricingProcedureStep": held.step, "PricingProcedureCounter": held.counter}
            body = {"ConditionRateValue": bodies.amount(wanted)}
            changes.append(Change("PATCH", path_of("A_SalesOrderItemPrElement", key), body))
        return changes

    # --- schedules -----------------------------------------------------------------------------------------------
    async def amend_schedule(self, schedule: BillingSchedule) -> Written:
        """Bring the billing plans of the contract's items to the schedule; dates already billed stay as they are."""
        kept_id(schedule.id, is_good=is_keepable(schedule.id))
        async with self._writers.of(schedule.contract_id):
            row = await self._held("YY1_TLContract_SDH", schedule.contract_id, _PLANNED)
            if row is None:
                raise NotFound(f"{VENDOR} has no contract with our id {schedule.contract_id}; it must be written first")
            order = self._order(row)
            was_created = order.schedule != schedule.id
            changes: list[Change] = []
            if was_created:
                named = self._fields["contract"].give({"YY1_TLSchedule_SDH": schedule.id})
                changes.append(Change("PATCH", path_of("A_SalesOrder", order.order), named, etag(row)))
            changes += self._dates(schedule, row)
            await self._client.change_set(ORDERS, changes)
            if changes:
                with begun(VENDOR, f"billing schedule {schedule.id}"):
                    order = await self._read_back("YY1_TLContract_SDH", schedule.contract_id)
            return to_written_order(self._binding, schedule.id, order, was_created=was_created)

    async def find_schedule(self, schedule_id: str) -> Written | None:
        """By our id."""
        return await self._find("YY1_TLSchedule_SDH", schedule_id)

    def _dates(self, schedule: BillingSchedule, row: Json) -> list[Change]:
        planned: dict[str, list[ScheduleEntry]] = {}
        for entry in schedule.entries:
            planned.setdefault(entry.workstream_id, []).append(entry)
        changes: list[Change] = []
        for item, there in self._items(row):
            wanted = planned.pop(item.workstream or "", [])
            plans = nested(there, "to_BillingPlan")
            if item.category != self._settings.milestone_item_category or not plans:
                if wanted:
                    raise unknown("entries", f"{VENDOR} keeps no milestones for workstream {item.workstream}")
                continue
            changes += self._plan(item, plans[0], wanted)
        if planned:
            raise unknown("entries", f"contract {schedule.contract_id} has no line for workstream {min(planned)}")
        return changes

    def _plan(self, item: OrderItemRow, plan: Json, wanted: Sequence[ScheduleEntry]) -> list[Change]:
        """Dates are matched in their order: a plan's date has no room for our id."""
        number = drift(VENDOR, PlanRow, plan).plan
        key = {"SalesOrder": item.order, "SalesOrderItem": item.item, "BillingPlan": number}
        take = self._fields["schedule_entry"].take
        held = [(drift(VENDOR, PlanItemRow, take(one)), one) for one in nested(plan, "to_BillingPlanItem")]
        held.sort(key=lambda pair: int(pair[0].item))
        changes: list[Change] = []
        for at, entry in enumerate(wanted):
            if at >= len(held):
                fresh = bodies.from_new_entry(entry, self._fields, self._settings)
                path = f"{path_of('A_SalesOrderItemBillingPlan', key)}/to_BillingPlanItem"
                changes.append(Change("POST", path, fresh))
            elif held[at][0].billed != _BILLED:
                differing = changed(bodies.from_entry(entry, self._fields), held[at][1])
                path = path_of("A_SlsOrderItemBillingPlanItem", key | {"BillingPlanItem": held[at][0].item})
                changes += [Change("PATCH", path, differing)] if differing else []
        for one, _ in held[len(wanted) :]:
            if one.billed != _BILLED:
                path = path_of("A_SlsOrderItemBillingPlanItem", key | {"BillingPlanItem": one.item})
                changes.append(Change("DELETE", path))
        return changes

    # --- common ground -------------------------------------------------------------------------------------------
    async def _find(self, field: str, identifier: str) -> Written | None:
        row = await self._held(field, identifier, ()) if is_keepable(identifier) else None
        if row is None:
            return None
        return to_written_order(self._binding, identifier, self._order(row), was_created=False)

    async def _held(self, field: str, identifier: str, expand: Sequence[str]) -> Json | None:
        where = f"{self._fields['contract'].column(field)} eq {quoted(identifier)}"
        query = Query(where=where, expand=expand, order="SalesOrder")
        rows = await self._client.rows(ORDERS, "A_SalesOrder", query)
        return rows[0] if rows else None

    async def _read_back(self, field: str, identifier: str) -> OrderRow:
        row = await self._held(field, identifier, ())
        if row is None:
            raise OutcomeUnknown(f"{VENDOR} took sales order {identifier} but does not have it.")
        return self._order(row)

    def _order(self, row: Json) -> OrderRow:
        return drift(VENDOR, OrderRow, self._fields["contract"].take(row))

    def _items(self, row: Json) -> list[tuple[OrderItemRow, Json]]:
        take = self._fields["contract_line"].take
        return [(drift(VENDOR, OrderItemRow, take(one)), one) for one in nested(row, "to_Item")]


def _item_path(item: OrderItemRow) -> str:
    return path_of("A_SalesOrderItem", {"SalesOrder": item.order, "SalesOrderItem": item.item})
