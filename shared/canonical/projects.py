"""Projects: what is to be delivered, in workstreams and milestones."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from shared.canonical.money import Money
from shared.canonical.opportunities import BillingModel
from shared.canonical.references import CanonicalModel, Entity, Identifier, Name, Ref, Text


class MilestonePlan(CanonicalModel):
    """A milestone to be reached within a workstream."""

    id: Identifier
    reference: Ref
    name: Name
    amount: Money
    due_on: date


class Workstream(CanonicalModel):
    """Child of a project: one sold line, with its milestones."""

    id: Identifier
    name: Name = Field(examples=["WS1"])
    item_code: Name = Field(description="Service item of the ERP.")
    billing_model: BillingModel
    budget: Money
    start_on: date
    milestones: tuple[MilestonePlan, ...] = ()


class ProjectPlan(CanonicalModel):
    """A project as it is to be created; its id is our reference in every system and the guard against doubles."""

    id: Identifier
    opportunity_id: Identifier
    opportunity_reference: Ref
    contract_id: Identifier
    contract_reference: Ref
    customer_id: Identifier
    customer_name: Name
    name: Name
    legal_entity_code: Name
    budget: Money
    start_on: date
    template: Text | None = Field(default=None, description="Project template chosen by rule.")
    workstreams: tuple[Workstream, ...] = Field(min_length=1, max_length=200)


class PlacedPart(CanonicalModel):
    """Where a child of a project (workstream or milestone) stands in the system."""

    id: Identifier
    ref: Ref


class Project(Entity):
    """A project as a system holds it."""

    name: Name
    workstreams: tuple[PlacedPart, ...]
    milestones: tuple[PlacedPart, ...]
