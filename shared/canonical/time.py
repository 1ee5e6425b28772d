"""Work done: time entries, expenses and milestone completions as the PSA reports them."""

from __future__ import annotations

from pydantic import Field

from shared.canonical.fields import (
    IsApproved,
    IsBillable,
    IsBilled,
    MilestoneId,
    MilestoneReference,
    ProjectId,
    ResourceId,
    Role,
    WorkstreamId,
)
from shared.canonical.money import Hours, Money
from shared.canonical.references import Day, Entity, Ref, Text


class TimeEntry(Entity):
    """Hours of one person on one day for one project."""

    reference: Ref = Field(
        description="Reference people know the entry by; the PSA id where it has none.", examples=["2EF8F1-2080-1"]
    )
    project_id: ProjectId
    workstream_id: WorkstreamId | None = None
    resource_id: ResourceId
    resource_name: Text | None = Field(
        default=None, description="The person as the PSA calls them.", examples=["Consultant 037"]
    )
    role: Role | None = Field(
        default=None,
        description="Role worked in: the entry's own, else the person's; null: unknown.",
        examples=["Business Analyst"],
    )
    work_on: Day = Field(description="Day the work was done.", examples=["2017-07-18"])
    hours: Hours
    is_billable: IsBillable
    is_approved: IsApproved
    is_billed: IsBilled = False
    notes: Text | None = Field(
        default=None, description="What was done, in the person's words.", examples=["Interviews with the warehouse"]
    )


class Expense(Entity):
    """Money spent for a project."""

    reference: Ref = Field(
        description="Reference people know the expense by; the PSA id where it has none.", examples=["EXP-0117"]
    )
    project_id: ProjectId
    resource_id: ResourceId
    category: Text | None = Field(default=None, description="What it was spent on.", examples=["Travel"])
    spent_on: Day = Field(description="Day on the receipt.", examples=["2017-07-18"])
    amount: Money = Field(
        description="What was spent, as on the receipt.", examples=[{"amount": "84.20", "currency": "EUR"}]
    )
    is_billable: IsBillable
    is_approved: IsApproved
    is_billed: IsBilled = False


class MilestoneCompletion(Entity):
    """A milestone that was reached; it bills when it is approved too."""

    project_id: ProjectId
    milestone_id: MilestoneId
    reference: MilestoneReference
    completed_on: Day = Field(description="Day it was reached.", examples=["2017-04-29"])
    is_approved: IsApproved
    is_billed: IsBilled = False
