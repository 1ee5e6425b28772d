"""Between the package's rows and the canonical models, in both directions; total functions, no sum is ever guessed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final

from shared.canonical.billing import BillingMark
from shared.canonical.money import Money
from shared.canonical.opportunities import BillingModel
from shared.canonical.projects import MilestonePlan, PlacedPart, Project, ProjectPlan, Workstream
from shared.canonical.time import Expense, MilestoneCompletion, TimeEntry
from shared.errors.taxonomy import VendorDrift
from system_apis.connectors.certinia.payloads import (
    Billable,
    EventPayload,
    ExpensePayload,
    MilestonePayload,
    ProjectPart,
    ProjectPayload,
    SplitPayload,
    TimecardPayload,
)
from system_apis.dialects.salesforce.stamps import stamp_of
from system_apis.ports.binding import Binding

_NAME: Final = 80
_NOTES: Final = 255
_ONE: Final = timedelta(days=1)
_FIXED: Final = "Fixed Price"
_HOURLY: Final = "Time and Materials"


def _version(moment: datetime, *content: object) -> str:
    """Flags of a project change what its records mean without a stamp of theirs: the content is in the marker too."""
    return f"{stamp_of(moment)}#{blake2b(repr(content).encode(), digest_size=6).hexdigest()}"


def _is_open(row: Billable, project: ProjectPart) -> bool:
    """The package's own condition, but for approval: not excluded, of a project with an account and not excluded."""
    return not row.is_excluded and not project.is_excluded and project.account_id is not None


def _is_approved(row: Billable) -> bool:
    """Approved for the package means: included in its financials and not on hold."""
    return row.is_approved and row.is_in_financials and not row.is_held


def is_taken(row: Billable) -> bool:
    """Whether the package counts the record as billed."""
    return row.is_billed or row.is_invoiced or row.item_id is not None


# --- time -----------------------------------------------------------------------------------------------------------
def entry_ref(header_id: str, day: date) -> str:
    """The id of the hours of one day: splits may be made anew, header and day stay."""
    return f"{header_id}:{day.isoformat()}"


def day_of(ref: str) -> tuple[str, date] | None:
    """Header and day of such an id, or None."""
    header, _, day = ref.partition(":")
    try:
        return (header, date.fromisoformat(day)) if header else None
    except ValueError:
        return None


def days_between(first: date, last: date) -> Iterator[date]:
    """Every day of the span, at most a week of them."""
    for number in range(min((last - first).days, 6) + 1):
        yield first + _ONE * number


def timecard_stamp(card: TimecardPayload) -> datetime:
    """When the timecard or one of its splits last changed."""
    splits = card.splits.records if card.splits else ()
    return max((card.system_modstamp, *(split.system_modstamp for split in splits)))


def to_time_entries(
    card: TimecardPayload,
    binding: Binding,
    billed_days: Mapping[str, Collection[date]],
    *,
    with_emptied: bool,
) -> tuple[TimeEntry, ...]:
    """The hours of a timecard, a day at a time, in order.

    `billed_days`: of a split that the package counts as billed, the days that stand on an invoice; a split that is not
    named there is billed whole. `with_emptied`: days without hours are told as well, as not billable, because they may
    have been told with hours before.
    """
    splits = card.splits.records if card.splits else ()
    entries: list[TimeEntry] = []
    for day in days_between(card.start_on, card.end_on):
        split = next((one for one in splits if one.start_on <= day <= one.end_on), None)
        hours = split.hours(day) if split else Decimal(0)
        if hours or with_emptied:
            entries.append(_entry(card, binding, day, split, hours, billed_days))
    _refuse_strays(card, splits, binding)
    return tuple(entries)


def _entry(
    card: TimecardPayload,
    binding: Binding,
    day: date,
    split: SplitPayload | None,
    hours: Decimal,
    billed_days: Mapping[str, Collection[date]],
) -> TimeEntry:
    project = card.project
    is_billable = bool(hours) and split is not None and split.is_billable and _is_open(split, project)
    is_billed = split is not None and is_taken(split) and day in billed_days.get(split.id, (day,))
    changed = timecard_stamp(card)
    values: dict[str, Any] = {
        "project_id": project.our_id,
        "workstream_id": card.phase.our_id if card.phase else None,
        "resource_id": binding.identify("resource", card.resource_id),
        "resource_name": card.resource.name if card.resource else None,
        "role": (card.assignment.role if card.assignment else None) or (card.resource.role if card.resource else None),
        "work_on": day,
        "hours": hours,
        "is_billable": is_billable,
        "is_approved": split is not None and _is_approved(split),
        "is_billed": is_billed,
        "notes": split.notes(day) if split else None,
    }
    ref = entry_ref(card.id, day)
    return TimeEntry(
        tenant=binding.tenant,
        id=binding.identify("time_entry", ref),
        source=binding.source(ref, _version(changed, *values.values()), changed),
        reference=card.reference(day) or f"{card.name}-{day.isoformat()}",
        **values,
    )


def _refuse_strays(card: TimecardPayload, splits: Iterable[SplitPayload], binding: Binding) -> None:
    """Hours on a day that a split does not cover would be lost silently."""
    for split in splits:
        covered = {day.weekday() for day in days_between(split.start_on, split.end_on)}
        for day in days_between(card.start_on, card.start_on + 6 * _ONE):
            if day.weekday() not in covered and split.hours(day):
                raise VendorDrift(f"{binding.system}: split {split.id} has hours on {day:%A}, outside of its days.")


# --- expenses and milestones ----------------------------------------------------------------------------------------
def to_expense(row: ExpensePayload, binding: Binding) -> Expense:
    """An expense, in what the customer is billed: billing amount and currency, not those of the receipt."""
    values: dict[str, Any] = {
        "project_id": row.project.our_id,
        "resource_id": binding.identify("resource", row.resource_id),
        "category": row.category,
        "spent_on": row.spent_on,
        "amount": Money(amount=row.amount, currency=row.currency),
        "is_billable": row.is_billable and _is_open(row, row.project),
        "is_approved": _is_approved(row),
        "is_billed": is_taken(row),
    }
    return Expense(
        tenant=binding.tenant,
        id=binding.identify("expense", row.id),
        source=binding.source(row.id, _version(row.system_modstamp, *values.values()), row.system_modstamp),
        reference=row.reference or row.number,
        **values,
    )


def to_completion(row: MilestonePayload, our_id: str, completed_on: date, binding: Binding) -> MilestoneCompletion:
    """A milestone that was reached; one that may not be billed, or is on hold, is not approved."""
    values: dict[str, Any] = {
        "project_id": row.project.our_id,
        "milestone_id": our_id,
        "reference": row.reference or our_id,
        "completed_on": completed_on,
        "is_approved": _is_approved(row) and _is_open(row, row.project),
        "is_billed": is_taken(row),
    }
    return MilestoneCompletion(
        tenant=binding.tenant,
        id=our_id,
        source=binding.source(row.id, _version(row.system_modstamp, *values.values()), row.system_modstamp),
        **values,
    )


# --- projects -------------------------------------------------------------------------------------------------------
def to_project(
    row: ProjectPayload, project_id: str, binding: Binding, phases: Mapping[str, str], milestones: Mapping[str, str]
) -> Project:
    """The project with those of its phases and milestones that are ours: our id → row id."""
    return Project(
        tenant=binding.tenant,
        id=project_id,
        source=binding.source(row.id, stamp_of(row.system_modstamp), row.system_modstamp),
        name=row.name,
        workstreams=tuple(PlacedPart(id=ours, ref=ref) for ours, ref in phases.items()),
        milestones=tuple(PlacedPart(id=ours, ref=ref) for ours, ref in milestones.items()),
    )


def from_plan(plan: ProjectPlan, account_id: str, stage: str) -> dict[str, Any]:
    """The fields of a project but its currency, which nobody may change once it stands, and its key."""
    told = f"{plan.customer_name} · contract {plan.contract_reference} · deal {plan.opportunity_reference}"
    hourly = any(one.billing_model is BillingModel.TIME_AND_MATERIALS for one in plan.workstreams)
    return {
        "Name": plan.name[:_NAME],
        "pse__Account__c": account_id,
        "pse__Stage__c": stage,
        "pse__Billing_Type__c": _HOURLY if hourly else _FIXED,
        "pse__Start_Date__c": plan.start_on,
        "pse__Is_Billable__c": True,
        **reopened(),
        "pse__Notes__c": told[:_NOTES],
        "Throughline_Deal__c": plan.opportunity_reference,
        "Throughline_Contract__c": plan.contract_reference,
        "Legal_Entity__c": plan.legal_entity_code,
    }


def reopened() -> dict[str, Any]:
    """A project that may be worked on."""
    return {
        "pse__Is_Active__c": True,
        "pse__Closed_for_Time_Entry__c": False,
        "pse__Closed_for_Expense_Entry__c": False,
    }


def closed(stage: str) -> dict[str, Any]:
    """A project out of use."""
    return {
        "pse__Stage__c": stage,
        "pse__Is_Active__c": False,
        "pse__Closed_for_Time_Entry__c": True,
        "pse__Closed_for_Expense_Entry__c": True,
    }


def from_workstream(workstream: Workstream, project_ref: str) -> dict[str, Any]:
    """The phase that stands for a workstream."""
    return {
        "Throughline_Id__c": workstream.id,
        "Name": workstream.name[:_NAME],
        "pse__Project__c": project_ref,
        "pse__Start_Date__c": workstream.start_on,
        "Item_Code__c": workstream.item_code[:_NAME],
        "Billing_Model__c": workstream.billing_model.value,
    }


def from_budget(workstream: Workstream, project_ref: str) -> dict[str, Any]:
    """What the workstream was sold for; the package itself never bills it."""
    return {
        "Throughline_Id__c": workstream.id,
        "Name": workstream.name[:_NAME],
        "pse__Project__c": project_ref,
        "pse__Amount__c": workstream.budget.amount,
        "CurrencyIsoCode": workstream.budget.currency,
        "pse__Effective_Date__c": workstream.start_on,
        "pse__Type__c": "Customer Purchase Order",
        "pse__Status__c": "Approved",
        "pse__Approved__c": True,
        "pse__Exclude_from_Billing__c": True,
    }


def from_milestone(milestone: MilestonePlan, project_ref: str, phase_ref: str) -> dict[str, Any]:
    """A milestone with its amount; the phase it belongs to is kept in a field of ours."""
    return {
        "Throughline_Id__c": milestone.id,
        "Throughline_Reference__c": milestone.reference,
        "Workstream__c": phase_ref,
        "Name": milestone.name[:_NAME],
        "pse__Project__c": project_ref,
        "pse__Milestone_Amount__c": milestone.amount.amount,
        "CurrencyIsoCode": milestone.amount.currency,
        "pse__Target_Date__c": milestone.due_on,
        "pse__Status__c": "Planned",
    }


# --- billing --------------------------------------------------------------------------------------------------------
def from_mark(mark: BillingMark, project: ProjectPayload) -> dict[str, Any]:
    """The billing event of an invoice before anything stands on it."""
    return {
        "pse__Project__c": project.id,
        "pse__Billing_Event_Batch__r": {"pse__Batch_Key__c": mark.invoice_id},
        "CurrencyIsoCode": project.currency,
        "pse__Date__c": mark.invoice_on,
    }


def from_batch(mark: BillingMark, project: ProjectPayload) -> dict[str, Any]:
    """The batch that holds this one event."""
    name = f"ERP invoice {mark.invoice_ref}"[:_NAME]
    return {"Name": name, "pse__Account__c": project.account_id, "CurrencyIsoCode": project.currency}


def from_item(
    mark: BillingMark, category: str, lookup: str, ref: str, days: Collection[date] = (), hours: Decimal | None = None
) -> dict[str, Any]:
    """One record on the event; sums stay with the ERP, which priced them."""
    order = f"purchase order {mark.purchase_order}" if mark.purchase_order else None
    return {
        "Throughline_Key__c": f"{mark.invoice_id}:{ref}",
        "Throughline_Days__c": " ".join(day.isoformat() for day in sorted(days)) or None,
        "pse__Billing_Event__r": {"pse__Event_Key__c": mark.invoice_id},
        "pse__Category__c": category,
        "pse__Object_Id__c": ref,
        lookup: ref,
        "pse__Quantity__c": hours,
        "pse__Date__c": mark.invoice_on,
        "pse__Description__c": order[:_NOTES] if order else None,
    }


def released() -> dict[str, Any]:
    """An event that may be invoiced."""
    return {"pse__Is_Approved__c": True, "pse__Is_Released__c": True}


def invoiced(mark: BillingMark) -> dict[str, Any]:
    """Flag, number and date, always in one write."""
    return {
        "pse__Invoiced__c": True,
        "pse__Invoice_Number__c": mark.invoice_ref[:_NAME],
        "pse__Invoice_Date__c": mark.invoice_on,
    }


def marked(mark: BillingMark, row: Billable) -> dict[str, Any]:
    """What a record still lacks to count as invoiced; the bill date is left where it stands."""
    billed = {} if row.is_billed else {"pse__Billed__c": True, "pse__Bill_Date__c": mark.invoice_on}
    return {"id": row.id, **billed, **invoiced(mark)}


def to_days(text: str | None) -> frozenset[date] | None:
    """The days of a split that an item bills; None: all of them."""
    return frozenset(map(date.fromisoformat, text.split())) if text else None


def event_version(event: EventPayload) -> str:
    """Version of a mark."""
    return stamp_of(event.system_modstamp)
