"""Projects: what is to be delivered, in workstreams and milestones."""

from __future__ import annotations

from pydantic import Field

from shared.canonical.fields import (
    ContractId,
    ContractReference,
    CustomerId,
    CustomerName,
    DueOn,
    ItemCode,
    LegalEntityCode,
    MilestoneAmount,
    MilestoneId,
    MilestoneName,
    MilestoneReference,
    OpportunityId,
    OpportunityReference,
    ProjectId,
    ProjectName,
    StartOn,
    WorkstreamId,
    WorkstreamName,
)
from shared.canonical.money import Money
from shared.canonical.opportunities import BillingModel
from shared.canonical.references import CanonicalModel, Entity, Identifier, Ref, Text


class MilestonePlan(CanonicalModel):
    """A milestone to be reached within a workstream."""

    id: MilestoneId
    reference: MilestoneReference
    name: MilestoneName
    amount: MilestoneAmount
    due_on: DueOn


class Workstream(CanonicalModel):
    """Child of a project: one sold line, with its milestones."""

    id: WorkstreamId
    name: WorkstreamName
    item_code: ItemCode
    billing_model: BillingModel
    budget: Money = Field(
        description="What the line was sold for, before tax.", examples=[{"amount": "559.00", "currency": "EUR"}]
    )
    start_on: StartOn
    milestones: tuple[MilestonePlan, ...] = Field(
        default=(), max_length=1000, description="None for work billed by time."
    )


class ProjectPlan(CanonicalModel):
    """A project as it is to be created; its id is our reference in every system and the guard against doubles."""

    id: ProjectId
    opportunity_id: OpportunityId
    opportunity_reference: OpportunityReference
    contract_id: ContractId
    contract_reference: ContractReference
    customer_id: CustomerId
    customer_name: CustomerName
    name: ProjectName
    legal_entity_code: LegalEntityCode
    budget: Money = Field(
        description="What the deal was sold for, before tax.", examples=[{"amount": "5757.30", "currency": "EUR"}]
    )
    start_on: StartOn
    template: Text | None = Field(
        default=None, description="Project template chosen by rule.", examples=["fixed-scope"]
    )
    workstreams: tuple[Workstream, ...] = Field(min_length=1, max_length=200, description="One per sold line.")


class PlacedPart(CanonicalModel):
    """Where a child of a project (workstream or milestone) stands in the system."""

    id: Identifier = Field(description="Our id of the workstream or milestone.", examples=["wks_aiui2cvkyrsia6vywzfp"])
    ref: Ref = Field(description="Its id in the system.", examples=["39413"])


class Project(Entity):
    """A project as a system holds it."""

    name: ProjectName
    workstreams: tuple[PlacedPart, ...] = Field(max_length=1000, description="Children of the project, one per line.")
    milestones: tuple[PlacedPart, ...] = Field(max_length=10_000, description="Milestones of all its workstreams.")
