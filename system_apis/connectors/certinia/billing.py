"""What is billed, told to the package in the order it demands: event with items, release, invoice, the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final, TypeVar

from shared.canonical.billing import BillingMark
from shared.errors.taxonomy import NotFound
from system_apis.connectors.certinia import mapping
from system_apis.connectors.certinia.payloads import (
    BATCH,
    EVENT,
    EXPENSE,
    HEADER,
    ITEM,
    MILESTONE,
    OUR_ITEM,
    SPLIT,
    Billable,
    EventPayload,
    ExpensePayload,
    HeldSplitPayload,
    ItemPayload,
    MilestonePayload,
    ProjectPayload,
    SplitPayload,
    TimecardPayload,
)
from system_apis.dialects.salesforce.soql import columns, soql_text
from system_apis.dialects.salesforce.wire import SalesforceWire
from system_apis.fields import FieldMap

Row = TypeVar("Row", bound=Billable)
_LIST: Final = 50
_ENTITIES: Final = {SPLIT: "time_split", EXPENSE: "expense", MILESTONE: "milestone"}


class Billing:
    """Billing events of one org; ours carry the invoice id as their key."""

    def __init__(self, wire: SalesforceWire, fields: FieldMap) -> None:
        self._wire = wire
        self._fields = fields

    async def find(self, invoice_id: str) -> EventPayload | None:
        """The event of an invoice, finished or not."""
        key = self._fields["billing_event"].column("pse__Event_Key__c")
        head = f"SELECT {columns(EventPayload, self._fields)} FROM {EVENT}"
        return next(iter(await self._wire.rows(f"{head} WHERE {key} = {soql_text(invoice_id)}", EventPayload)), None)

    async def mark(self, mark: BillingMark, project: ProjectPayload, event: EventPayload | None) -> EventPayload:
        """Bring the invoice's event (as it stands, None: not yet), and every record on it, to invoiced."""
        splits, days = await self._splits(mark)
        records: dict[str, Sequence[Billable]] = {
            SPLIT: splits,
            EXPENSE: await self._named(EXPENSE, mark.expense_refs, ExpensePayload),
            MILESTONE: await self._named(MILESTONE, mark.milestone_refs, MilestonePayload),
        }
        if event is None or not event.is_invoiced:
            await self._put(BATCH, "billing_batch", "pse__Batch_Key__c", mark, mapping.from_batch(mark, project))
            await self._put(EVENT, "billing_event", "pse__Event_Key__c", mark, mapping.from_mark(mark, project))
            await self._items(mark, records, days)
            if event is None or not event.is_released:
                await self._put(EVENT, "billing_event", "pse__Event_Key__c", mark, mapping.released())
            await self._put(EVENT, "billing_event", "pse__Event_Key__c", mark, mapping.invoiced(mark))
        await self._complete(mark, records)
        finished = await self.find(mark.invoice_id)
        if finished is None:
            raise NotFound(f"{self._wire.system} has no billing event for invoice {mark.invoice_id}.")
        return finished

    async def billed_days(self, cards: Sequence[TimecardPayload]) -> Mapping[str, frozenset[date]]:
        """Of the splits that are billed in part only: split → the days that stand on an invoice."""
        taken = [s.id for card in cards for s in (card.splits.records if card.splits else ()) if mapping.is_taken(s)]
        key = self._fields["billing_item"].column("pse__Timecard_Split__c")
        head = f"SELECT {columns(ItemPayload, self._fields)} FROM {ITEM}"
        whole: set[str] = set()
        days: dict[str, frozenset[date]] = {}
        for item in await self._wire.rows_by_id(head, taken, ItemPayload, key=key):
            if item.split_id is None:
                continue
            billed = mapping.to_days(item.days)
            if billed is None:
                whole.add(item.split_id)
            else:
                days[item.split_id] = days.get(item.split_id, frozenset()) | billed
        return {split: billed for split, billed in days.items() if split not in whole}

    # --- what is billed --------------------------------------------------------------------------------------------
    async def _splits(self, mark: BillingMark) -> tuple[list[SplitPayload], dict[str, dict[date, Decimal]]]:
        """The splits that hold the hours of the mark, and of each the days (with their hours) that are billed."""
        wanted: dict[str, list[date]] = defaultdict(list)
        for ref in mark.time_entry_refs:
            if (place := mapping.day_of(ref)) is None:
                raise self._missing(HEADER, ref)
            wanted[place[0]].append(place[1])
        key = "pse__Timecard_Header__c"
        head = f"SELECT {columns(HeldSplitPayload, self._fields)} FROM {SPLIT}"
        held = await self._wire.rows_by_id(head, list(wanted), HeldSplitPayload, key=key)
        of_header: dict[str, list[HeldSplitPayload]] = defaultdict(list)
        for split in held:
            of_header[split.header_id].append(split)
        splits: dict[str, SplitPayload] = {}
        days: dict[str, dict[date, Decimal]] = defaultdict(dict)
        for header, listed in wanted.items():
            for day in listed:
                split = next((s for s in of_header[header] if s.start_on <= day <= s.end_on), None)
                if split is None:
                    raise self._missing(HEADER, mapping.entry_ref(header, day))
                splits[split.id] = split
                days[split.id][day] = split.hours(day)
        return list(splits.values()), days

    async def _named(self, sobject: str, refs: Sequence[str], model: type[Row]) -> list[Row]:
        head = f"SELECT {columns(model, self._fields)} FROM {sobject}"
        rows = {row.id: row for row in await self._wire.rows_by_id(head, list(refs), model)}
        if lost := [ref for ref in refs if ref not in rows]:
            raise self._missing(sobject, lost[0])
        return list(rows.values())

    def _missing(self, sobject: str, ref: str) -> NotFound:
        return NotFound(f"{self._wire.system} has no {sobject} {ref}.")

    # --- telling it ------------------------------------------------------------------------------------------------
    async def _put(self, sobject: str, entity: str, key: str, mark: BillingMark, values: dict[str, Any]) -> None:
        places = self._fields[entity]
        await self._wire.upsert(sobject, places.column(key), mark.invoice_id, places.give(values))

    async def _items(
        self,
        mark: BillingMark,
        records: Mapping[str, Sequence[Billable]],
        days: Mapping[str, Mapping[date, Decimal]],
    ) -> None:
        """One item for each record; of a split, the days that are billed and their hours."""
        items = [
            mapping.from_item(
                mark,
                "Timecard",
                "pse__Timecard_Split__c",
                row.id,
                days[row.id],
                sum(days[row.id].values(), Decimal(0)),
            )
            for row in records[SPLIT]
        ]
        items += [mapping.from_item(mark, "Expense", "pse__Expense__c", row.id) for row in records[EXPENSE]]
        items += [mapping.from_item(mark, "Milestone", "pse__Milestone__c", row.id) for row in records[MILESTONE]]
        places = self._fields["billing_item"]
        await self._wire.upsert_all(ITEM, places.column(OUR_ITEM), [places.give(item) for item in items], size=_LIST)

    async def _complete(self, mark: BillingMark, records: Mapping[str, Sequence[Billable]]) -> None:
        """Where the package did not copy the event down to its records, they are told one list after the other."""
        for sobject, rows in records.items():
            stand = await self._standing(sobject, [row.id for row in rows])
            places = self._fields[_ENTITIES[sobject]]
            late = [places.give(mapping.marked(mark, row)) for row in stand if not row.is_invoiced]
            await self._wire.amend_all(sobject, late, size=_LIST)

    async def _standing(self, sobject: str, refs: Sequence[str]) -> list[Billable]:
        models: dict[str, type[Billable]] = {SPLIT: SplitPayload, EXPENSE: ExpensePayload, MILESTONE: MilestonePayload}
        head = f"SELECT {columns(models[sobject], self._fields)} FROM {sobject}"
        return list(await self._wire.rows_by_id(head, refs, models[sobject]))
