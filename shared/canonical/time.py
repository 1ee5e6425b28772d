"""Work done: time entries, expenses and milestone completions as the PSA reports them."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from shared.canonical.money import Hours, Money
from shared.canonical.references import Entity, Identifier, Name, Ref, Text


class TimeEntry(Entity):
    """Hours of one person on one day for one project."""

    reference: Ref = Field(description="Reference people know the entry by; the PSA id where it has none.")
    project_id: Identifier
    workstream_id: Identifier | None = None
    resource_id: Identifier
    resource_name: Text | None = None
    role: Name | None = Field(
        default=None, description="Role worked in: the entry's own, else the person's; None: unknown."
    )
    work_on: date
    hours: Hours
    is_billable: bool
    is_approved: bool
    is_billed: bool = Field(default=False, description="Whether the PSA shows it on an invoice.")
    notes: Text | None = None


class Expense(Entity):
    """Money spent for a project."""

    reference: Ref
    project_id: Identifier
    resource_id: Identifier
    category: Text | None = None
    spent_on: date
    amount: Money
    is_billable: bool
    is_approved: bool
    is_billed: bool = False


class MilestoneCompletion(Entity):
    """A milestone that was reached; it bills when it is approved too."""

    project_id: Identifier
    milestone_id: Identifier
    reference: Ref
    completed_on: date
    is_approved: bool
    is_billed: bool = False
