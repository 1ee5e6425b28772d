"""Kantata's payloads to canonical models and back; total functions, nothing is asked or decided here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from hashlib import blake2b
from typing import Any

from shared.canonical.billing import BillingMark
from shared.canonical.money import Money
from shared.canonical.projects import MilestonePlan, PlacedPart, Project, ProjectPlan, Workstream
from shared.canonical.references import SourceRef, Written
from shared.canonical.time import Expense, MilestoneCompletion, TimeEntry
from shared.errors.taxonomy import FieldFinding, VendorDrift
from system_apis.connectors.kantata import payloads
from system_apis.connectors.kantata.payloads import (
    BILLING_MILESTONE,
    INVOICE,
    MILESTONE,
    PROJECT,
    SERVICE,
    WORKSTREAM,
    Reference,
    our_id,
)
from system_apis.ports.binding import Binding
from system_apis.ports.outcomes import canonical_record

_MINUTES = Decimal(60)
_HOURS = Decimal("0.0001")
_TITLE = 200


@dataclass(frozen=True, slots=True)
class Worker:
    """Who worked, and in which role: our id of the person, the name and role where they are known."""

    id: str
    name: str | None
    role: str | None


def instant(moment: datetime) -> str:
    """An instant as a version marker."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _version(moment: datetime, *content: object) -> str:
    """Kantata's instants are whole seconds, so the marker carries a digest of the content too."""
    return f"{instant(moment)}#{blake2b(repr(content).encode(), digest_size=6).hexdigest()}"


def _theirs(ids: Iterable[str], references: Mapping[str, Reference]) -> str | None:
    """The reference people gave the record in another system."""
    others = (references[number] for number in ids if number in references)
    return next((one.service_model_ref for one in others if one.service_name != SERVICE), None)


def to_time_entry(
    binding: Binding,
    entry: payloads.TimeEntry,
    references: Mapping[str, Reference],
    *,
    project_id: str,
    workstream_id: str | None,
    worker: Worker,
    changed_at: datetime | None,
) -> TimeEntry:
    """An entry of one of our projects; `changed_at` where its approval came later than its own last change."""
    hours = (Decimal(entry.time_in_minutes) / _MINUTES).quantize(_HOURS, ROUND_HALF_UP)
    version = _version(
        entry.updated_at,
        *(hours, entry.date_performed, entry.billable, entry.approved, entry.is_invoiced, worker.role),
        *(project_id, workstream_id, entry.user_id),
    )
    with canonical_record(binding.system, f"time entry {entry.id}"):
        return TimeEntry(
            tenant=binding.tenant,
            id=binding.identify("time_entry", entry.id),
            source=binding.source(entry.id, version, _latest(entry.updated_at, changed_at)),
            reference=_theirs(entry.external_reference_ids, references) or entry.id,
            project_id=project_id,
            workstream_id=workstream_id,
            resource_id=worker.id,
            resource_name=worker.name,
            role=worker.role or None,
            work_on=entry.date_performed,
            hours=hours,
            is_billable=entry.billable,
            is_approved=entry.approved,
            is_billed=entry.is_invoiced,
            notes=entry.notes,
        )


def _latest(own: datetime, beside: datetime | None) -> datetime:
    return max(own, beside or own).astimezone(UTC)


def to_expense(
    binding: Binding,
    expense: payloads.Expense,
    references: Mapping[str, Reference],
    *,
    project_id: str,
    is_approved: bool,
    changed_at: datetime | None,
) -> Expense:
    """An expense of one of our projects."""
    amount = expense.amount_in_cents / expense.currency_base_unit
    version = _version(
        expense.updated_at, amount, expense.date, expense.is_billable, is_approved, expense.is_invoiced, project_id
    )
    with canonical_record(binding.system, f"expense {expense.id}"):
        return Expense(
            tenant=binding.tenant,
            id=binding.identify("expense", expense.id),
            source=binding.source(expense.id, version, _latest(expense.updated_at, changed_at)),
            reference=_theirs(expense.external_reference_ids, references) or expense.id,
            project_id=project_id,
            resource_id=binding.identify("resource", expense.user_id),
            category=expense.category,
            spent_on=expense.date,
            amount=Money.of(amount, expense.currency),
            is_billable=expense.is_billable,
            is_approved=is_approved,
            is_billed=expense.is_invoiced,
        )


def to_completion(
    binding: Binding,
    story: payloads.Story,
    reference: Reference,
    *,
    project_id: str,
    completed_on: date,
    is_approved: bool,
    is_billed: bool,
    changed_at: datetime | None,
) -> MilestoneCompletion:
    """A milestone that was reached."""
    version = _version(story.updated_at, story.state, completed_on, is_approved, is_billed)
    return MilestoneCompletion(
        tenant=binding.tenant,
        id=reference.service_model_ref,
        source=binding.source(story.id, version, _latest(story.updated_at, changed_at)),
        project_id=project_id,
        milestone_id=reference.service_model_ref,
        reference=reference.external_message or reference.service_model_ref,
        completed_on=completed_on,
        is_approved=is_approved,
        is_billed=is_billed,
    )


def to_day(system: str, field: str, value: Any) -> date:
    """The day in a custom field. Raises VendorDrift naming the field."""
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError as error:
        finding = FieldFinding(field, "is not a date")
        raise VendorDrift(f"{system}: custom field {field!r} is not a date: {value!r}", findings=[finding]) from error


def to_project(
    binding: Binding,
    workspace: payloads.Workspace,
    project_id: str,
    stories: Iterable[payloads.Part],
    references: Mapping[str, Reference],
) -> Project:
    """A workspace with those of its stories that are ours."""
    parts: dict[str, list[PlacedPart]] = {WORKSTREAM: [], MILESTONE: []}
    for story in stories:
        for model, placed in parts.items():
            if number := our_id(story.external_reference_ids, references, model):
                placed.append(PlacedPart(id=number, ref=story.id))
    return Project(
        tenant=binding.tenant,
        id=project_id,
        source=binding.source(workspace.id, instant(workspace.updated_at), workspace.updated_at.astimezone(UTC)),
        name=workspace.title,
        workstreams=tuple(parts[WORKSTREAM]),
        milestones=tuple(parts[MILESTONE]),
    )


def to_written(invoice_id: str, source: SourceRef, *, was_created: bool) -> Written:
    """The mark of an invoice."""
    return Written(id=invoice_id, source=source, was_created=was_created)


def _reference(model: str, ref: str, message: str | None = None) -> dict[str, Any]:
    kept = {"service_name": SERVICE, "service_model": model, "service_model_ref": ref, "status": "successful"}
    return {**kept, "external_message": message} if message else kept


def _whole(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_HALF_UP))


def from_plan(plan: ProjectPlan) -> dict[str, Any]:
    """The workspace; its price is in whole units of the currency, the exact budgets stand on the stories."""
    return {
        "title": plan.name,
        "description": f"{plan.customer_name} · contract {plan.contract_reference} · deal {plan.opportunity_reference}",
        "creator_role": "maven",
        "currency": plan.budget.currency,
        "budgeted": True,
        "price": _whole(plan.budget.amount),
        "start_date": plan.start_on,
        "require_time_approvals": True,
        "require_expense_approvals": True,
        "external_reference": _reference(PROJECT, plan.id, plan.opportunity_reference),
    }


def from_template(plan: ProjectPlan, template_id: str | None) -> dict[str, Any]:
    """What a new workspace is told of the template it is made from."""
    if not template_id:
        return {}
    return {"project_tracker_template_id": template_id, "project_template_start_date": plan.start_on}


def from_workstream(workstream: Workstream, workspace: payloads.Workspace) -> dict[str, Any]:
    """The deliverable that stands for a workstream."""
    return {
        "workspace_id": workspace.id,
        "title": workstream.name[:_TITLE],
        "story_type": "deliverable",
        "start_date": workstream.start_on,
        "budget_estimate_in_cents": _whole(workstream.budget.amount * workspace.currency_base_unit),
        "fixed_fee": workstream.billing_model != "time_and_materials",
        "external_reference": _reference(WORKSTREAM, workstream.id, workstream.item_code),
    }


def from_milestone(milestone: MilestonePlan, workspace: payloads.Workspace, parent_id: str) -> dict[str, Any]:
    """The milestone story beneath its workstream; the reference people know is kept as the message."""
    return {
        "workspace_id": workspace.id,
        "parent_id": parent_id,
        "title": milestone.name[:_TITLE],
        "story_type": "milestone",
        "due_date": milestone.due_on,
        "external_reference": _reference(MILESTONE, milestone.id, milestone.reference),
    }


def from_milestone_amount(milestone: MilestonePlan, workspace: payloads.Workspace, story_id: str) -> dict[str, Any]:
    """The amount that falls due when the milestone is reached."""
    return {
        "workspace_id": workspace.id,
        "story_id": story_id,
        "title": milestone.name[:_TITLE],
        "billing_type": "upon_completion",
        "amount_in_cents": _whole(milestone.amount.amount * workspace.currency_base_unit),
        "date_to_invoice": milestone.due_on,
        "external_reference": _reference(BILLING_MILESTONE, milestone.id, milestone.reference),
    }


def from_mark(mark: BillingMark, workspace_id: str, billing_milestone_ids: Iterable[str]) -> dict[str, Any]:
    """The invoice whose lines are billed; nobody is mailed."""
    return {
        "workspace_id": workspace_id,
        "time_entry_ids": list(mark.time_entry_refs),
        "expense_ids": list(mark.expense_refs),
        "billing_milestone_ids": list(billing_milestone_ids),
        "invoice_date": mark.invoice_on,
        "user_invoice_title": f"ERP invoice {mark.invoice_ref}",
        "purchase_order": mark.purchase_order,
        "draft": False,
        "suppress_emails": True,
        "external_reference": _reference(INVOICE, mark.invoice_id, mark.invoice_ref),
    }


def refs_of(mark: BillingMark) -> tuple[str, ...]:
    """Every id of the vendor that a mark names."""
    return (*mark.time_entry_refs, *mark.expense_refs, *mark.milestone_refs)
