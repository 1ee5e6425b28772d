"""What the process is asked, what it knows of a deal, and where a deal stands."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from process_apis.approvals.models import ApprovalKind, ApprovalState
from process_apis.exceptions.models import Finding
from shared.canonical.billing import BillingSchedule, ErpContract
from shared.canonical.catalog import LegalEntity, ServiceItem
from shared.canonical.contracts import Contract
from shared.canonical.customers import Customer
from shared.canonical.fields import (
    ContractId,
    CustomerId,
    DealAmount,
    OpportunityId,
    ProjectId,
    Region,
    Revision,
    Tenant,
)
from shared.canonical.opportunities import Opportunity
from shared.canonical.projects import ProjectPlan
from shared.canonical.references import Identifier, Name, Text


class DealModel(BaseModel):
    """Root of this process's models."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DealState(StrEnum):
    """Where a deal stands."""

    CHECKING = "checking"
    EXCEPTION = "exception"
    AWAITING_APPROVAL = "awaiting_approval"
    PROVISIONING = "provisioning"
    ACTIVATED = "activated"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    LATE = "late"


class DealRequest(DealModel):
    """One revision of a won opportunity; the run's only input."""

    tenant: Tenant
    opportunity_id: OpportunityId
    revision: Revision
    won_at: datetime
    requested_by: Name | None = Field(default=None, description="Who asked; the deal's owner where nobody did.")
    correlation_id: str | None = None

    @property
    def run_id(self) -> str:
        """The run of this revision; the same for everybody who asks."""
        return f"quote-to-project:{self.tenant}:{self.opportunity_id}:{self.revision}"


class Admission(StrEnum):
    """Whether this revision is the one to work on."""

    ADMITTED = "admitted"
    LATE = "late"


class DriftSeen(DealModel):
    """A place where the mapping no longer fits the system's schema; `is_blocking`: nothing can be read or written."""

    entity: str
    field: str
    kind: str
    reason: str
    is_blocking: bool


class Ability(DealModel):
    """What a connected system can do in its role, by entity; `legal_entities` are those whose ERP it is alone."""

    name: str
    role: str
    legal_entities: tuple[str, ...] | None
    can: dict[str, tuple[str, ...]]
    drift: tuple[DriftSeen, ...] = ()


class DealFacts(DealModel):
    """Everything the rules look at, read at one moment."""

    opportunity: Opportunity
    customer: Customer | None
    contract: Contract | None
    legal_entities: tuple[LegalEntity, ...]
    service_items: tuple[ServiceItem, ...]
    product_aliases: dict[str, str]
    abilities: tuple[Ability, ...] = ()


class DealPlan(DealModel):
    """What is to be set up for a deal without findings."""

    opportunity: Opportunity
    customer: Customer
    contract: Contract
    legal_entity: LegalEntity
    project: ProjectPlan
    erp_contract: ErpContract
    schedule: BillingSchedule
    approvals: tuple[ApprovalKind, ...]


class Check(DealModel):
    """Outcome of a validation: all findings, or the plan."""

    findings: tuple[Finding, ...] = ()
    plan: DealPlan | None = None
    region: Region | None = None


class Asked(DealModel):
    """The approvals asked for, and whether the CRM shows an earlier state that is no longer true."""

    approval_ids: tuple[Identifier, ...]
    was_told: bool


class Wish(DealModel):
    """Whether the deal is to end without a project, and why."""

    state: DealState
    why: Text


class Verdict(DealModel):
    """How a round of approvals stands."""

    state: ApprovalState
    said: Text = Field(default="", description="Who decided what, as a sentence.")
    is_stale: bool = Field(default=False, description="The deal's sources may have changed since it was checked.")
    wish: Wish | None = None


class DealFilter(DealModel):
    """Which deals of a list are wanted; what is left out is not asked about."""

    state: DealState | None = None
    project_id: Identifier | None = None
    region: Text | None = None


class DealOutcome(DealModel):
    """How the run ended."""

    state: DealState
    project_id: ProjectId | None = None
    message: Text | None = None


class Deal(DealModel):
    """A deal as the process keeps it."""

    tenant: Tenant
    opportunity_id: OpportunityId
    revision: Revision
    run_id: Name = Field(
        description="Run that works on this revision.", examples=["quote-to-project:harbour:opp_uowvshkezju2kbbqurcu:1"]
    )
    state: DealState
    requested_by: Text = Field(description="Who asked for it; the deal's owner where nobody did.", examples=["olive"])
    won_at: datetime = Field(description="When the deal was closed won (UTC).", examples=["2017-03-16T09:12:30Z"])
    started_at: datetime = Field(description="When the run began (UTC).", examples=["2017-03-16T09:12:31Z"])
    changed_at: datetime = Field(description="When the deal last moved (UTC).", examples=["2017-03-17T08:40:02Z"])
    activated_at: datetime | None = Field(
        default=None,
        description="When its project stood in PSA and ERP (UTC); null until then.",
        examples=["2017-03-17T08:40:02Z"],
    )
    reference: Text | None = Field(
        default=None, description="Reference people know the deal by.", examples=["006BE80E02EF8F1"]
    )
    name: Text | None = Field(
        default=None,
        description="The deal as the account team calls it.",
        examples=["Rangreen - Discovery workshop Mar 2017"],
    )
    customer_id: CustomerId | None = None
    customer_name: Text | None = Field(
        default=None, description="The customer as the CRM calls it.", examples=["Rangreen"]
    )
    contract_id: ContractId | None = None
    project_id: ProjectId | None = None
    legal_entity_code: Text | None = Field(
        default=None, description="Company of the firm that signs and invoices.", examples=["HC-DE"]
    )
    region: Region | None = None
    amount: DealAmount | None = None
    findings: tuple[Finding, ...] = Field(
        default=(), max_length=2000, description="What stands in its way; none once it is clean."
    )
    approval_kinds: tuple[ApprovalKind, ...] = Field(
        default=(), max_length=10, description="Whose consent was asked for."
    )


class StartBody(DealModel):
    """Asks for a deal to be worked on."""

    opportunity_id: OpportunityId


class Started(DealModel):
    """The run that works on it."""

    run_id: Name = Field(
        description="Run that works on this revision.", examples=["quote-to-project:harbour:opp_uowvshkezju2kbbqurcu:1"]
    )
    was_started: bool = Field(description="False when the run was there already.", examples=[True])


class CancelBody(DealModel):
    """Why the deal is not to be set up."""

    because: Text = Field(
        default="",
        description="Why the deal is not to be set up; written to the journal.",
        examples=["The customer withdrew."],
    )
