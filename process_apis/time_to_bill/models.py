"""Words of time-to-bill: requests, ledger rows and invoices as this process speaks of them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from shared.canonical.fields import (
    ContractId,
    ContractReference,
    CustomerId,
    CustomerName,
    DueOn,
    EntryId,
    Gross,
    InvoiceId,
    InvoiceOn,
    IsApproved,
    IsBillable,
    ItemCode,
    LegalEntityCode,
    MilestoneId,
    Net,
    OpportunityId,
    OpportunityReference,
    Paid,
    Period,
    ProjectId,
    PurchaseOrder,
    RateCardCode,
    ResourceId,
    Role,
    Tax,
    Tenant,
    WorkstreamId,
)
from shared.canonical.money import Amount, Currency, Hours, Money
from shared.canonical.references import CanonicalModel, CountryCode, Identifier, Name, Ref, Text

PERIOD = r"^\d{4}-(0[1-9]|1[0-2])$"


class WorkKind(StrEnum):
    """What a ledger row stands for."""

    TIME = "time"
    EXPENSE = "expense"
    MILESTONE = "milestone"


class WorkState(StrEnum):
    """The one state a ledger row is in; all but the last three say why it is not billed."""

    COLLECTED = "collected"
    AWAITING_PROJECT = "awaiting_project"
    NOT_BILLABLE = "not_billable"
    UNAPPROVED = "unapproved"
    AWAITING_RATE = "awaiting_rate"
    OVER_CAP = "over_cap"
    BILLED_ELSEWHERE = "billed_elsewhere"
    READY = "ready"
    DRAFTED = "drafted"
    BILLED = "billed"


class BilledInvoiceState(StrEnum):
    """Where an invoice stands with us."""

    DRAFT = "draft"
    APPROVED = "approved"
    POSTED = "posted"
    REJECTED = "rejected"


class BillingTerms(CanonicalModel):
    """What activation hands to billing: the contract's terms, its workstreams and milestones."""

    class Workstream(CanonicalModel):
        """A child of the project and the service item it bills."""

        id: Identifier
        name: Name
        item_code: ItemCode

    class Milestone(CanonicalModel):
        """An agreed amount that bills when reached and approved."""

        id: Identifier
        workstream_id: WorkstreamId
        reference: Ref
        name: Name
        amount: Amount
        due_on: DueOn

    contract_id: ContractId
    contract_reference: ContractReference
    opportunity_id: OpportunityId
    opportunity_reference: OpportunityReference
    project_id: ProjectId
    customer_id: CustomerId
    customer_name: CustomerName
    customer_country: CountryCode | None = None
    legal_entity_code: LegalEntityCode
    currency: Currency
    payment_terms_days: int = Field(ge=0, le=365)
    purchase_order: PurchaseOrder | None = None
    rate_card_code: RateCardCode | None = None
    cap: Amount | None = None
    workstreams: tuple[Workstream, ...]
    milestones: tuple[Milestone, ...] = ()


class WorkRow(CanonicalModel):
    """A source entry as it enters the ledger."""

    system: Identifier
    kind: WorkKind
    source_ref: Ref
    version: Ref
    entry_id: Identifier
    reference: Ref
    project_id: ProjectId
    workstream_id: WorkstreamId | None = None
    milestone_id: MilestoneId | None = None
    resource_id: ResourceId | None = None
    role: Role | None = None
    work_on: date
    hours: Decimal = Decimal(0)
    source_amount: Decimal | None = None
    source_currency: str | None = None
    is_billable: IsBillable
    is_approved: IsApproved
    is_billed_in_source: bool


class BillWork(CanonicalModel):
    """Ask for a billing run: all contracts, or one; all work, or work up to the end of a month."""

    tenant: Tenant
    run_id: Identifier
    requested_by: Text
    through: str | None = Field(default=None, pattern=PERIOD)
    contract_id: ContractId | None = None


class IssueInvoice(CanonicalModel):
    """Carry one draft through approval, posting, marking and telling."""

    tenant: Tenant
    invoice_id: InvoiceId
    requested_by: Text


class Collected(CanonicalModel):
    """What a feed gave: rows read, and the watermark it stands at."""

    rows: int = Field(ge=0)
    until: datetime | None = None


class Drafted(CanonicalModel):
    """Invoices drafted by a run."""

    invoice_ids: tuple[Identifier, ...]
    undecided: tuple[Identifier, ...] = Field(default=(), description="All drafts not posted yet, of any run.")


class BillingOutcome(CanonicalModel):
    """How a billing run ended."""

    collected: int = Field(ge=0)
    invoice_ids: tuple[Identifier, ...]


class InvoiceOutcome(CanonicalModel):
    """How an invoice ended."""

    invoice_id: InvoiceId
    state: BilledInvoiceState
    erp_ref: Ref | None = None


class BilledInvoiceLine(CanonicalModel):
    """One line, with how many ledger rows it consumed."""

    id: Identifier = Field(description="Our id of the line.", examples=["inv_fzlqoebb7e3kgqd7oyvq-1"])
    kind: WorkKind = Field(description="What the line bills.")
    workstream_id: WorkstreamId | None
    item_code: ItemCode
    description: Text = Field(description="The line as printed.", examples=["Acceptance (006BE80E02EF8F1-1-M1)"])
    quantity: Amount = Field(description="Hours for time, 1 otherwise.", examples=["1"])
    rate: Amount = Field(description="Price of one unit in the invoice's currency, before tax.", examples=["503.10"])
    net: Money = Field(description="What the line adds to the net.", examples=[{"amount": "503.10", "currency": "EUR"}])
    entries: int = Field(ge=0, le=1_000_000_000, description="Ledger rows the line consumed.", examples=[1])


class BilledInvoice(CanonicalModel):
    """An invoice from draft to paid, as finance sees it."""

    id: InvoiceId
    contract_id: ContractId
    contract_reference: ContractReference
    opportunity_id: OpportunityId
    opportunity_reference: OpportunityReference
    project_id: ProjectId
    customer_id: CustomerId
    customer_name: CustomerName
    legal_entity_code: LegalEntityCode
    period: Period
    sequence: int = Field(
        ge=1, le=10_000, description="2 and up: work of that month that came after the first invoice.", examples=[1]
    )
    state: BilledInvoiceState
    invoice_on: InvoiceOn
    net: Net
    tax: Tax
    gross: Gross
    paid: Paid
    erp_ref: Ref | None = Field(description="The invoice's id in the ERP; null until it is posted.", examples=["48213"])
    is_marked_in_psa: bool = Field(description="Whether the PSA shows its entries as billed.", examples=[True])
    is_told_to_crm: bool = Field(description="Whether the CRM shows its status.", examples=[True])
    time_entries: int = Field(ge=0, le=1_000_000_000, description="Time entries on it.", examples=[0])
    milestones: int = Field(ge=0, le=1_000_000_000, description="Milestones on it.", examples=[1])
    requested_by: Text = Field(description="Who had it drafted; may not approve it.", examples=["fiona"])
    drafted_at: datetime = Field(description="When it was drafted (UTC).", examples=["2017-05-02T07:00:00Z"])
    approved_at: datetime | None = Field(
        description="When it was approved (UTC); null until then.", examples=["2017-05-02T09:30:00Z"]
    )
    posted_at: datetime | None = Field(
        description="When the ERP took it (UTC); null until then.", examples=["2017-05-02T09:30:04Z"]
    )
    problem: Text | None = Field(
        description="Why it goes no further, in one sentence; null when nothing holds it up.",
        examples=["The accounting period is closed."],
    )
    approval_id: Identifier | None = Field(
        default=None, description="Our id of the approval it waits for or was given.", examples=["apr_4r7c2m5xk3ta"]
    )


class BilledInvoiceDetail(BilledInvoice):
    """The same with its lines."""

    lines: tuple[BilledInvoiceLine, ...] = Field(
        max_length=5_000, description="What it bills; their nets add up to its net."
    )


class WorkItem(CanonicalModel):
    """One ledger row as finance sees it."""

    id: EntryId
    kind: WorkKind = Field(description="What was recorded.")
    reference: Ref = Field(description="Reference people know the entry by.", examples=["2EF8F1-2080-1"])
    project_id: ProjectId
    contract_id: ContractId | None
    work_on: date = Field(description="Day the work was done, or the milestone reached.", examples=["2017-07-18"])
    hours: Hours
    role: Role | None
    state: WorkState
    reason: Text | None = Field(
        description="Why it is not billed, in one sentence; null once it is.",
        examples=["No rate for Business Analyst on 2017-07-18."],
    )
    rate: Amount | None = Field(
        description="Price of one hour from the rate card, in the currency of `amount`; null until it is rated.",
        examples=["60.94"],
    )
    amount: Money | None = Field(
        description="What it adds to an invoice before tax; null until it is rated.",
        examples=[{"amount": "463.14", "currency": "EUR"}],
    )
    invoice_id: InvoiceId | None


class WorkStateSum(CanonicalModel):
    """Ledger rows of one kind in one state."""

    kind: WorkKind = Field(description="What was recorded.")
    state: WorkState
    entries: int = Field(ge=0, le=1_000_000_000, description="Ledger rows of that kind in that state.", examples=[12])
    hours: Amount = Field(description="Their hours together; 0 for expenses and milestones.", examples=["91.20"])


class BillingRun(CanonicalModel):
    """A billing run as its starter sees it."""

    id: Identifier = Field(
        description="Id of the run; ask for it to see how far it is.", examples=["bill-20170502070000-9f2c11ab"]
    )
    requested_by: Text = Field(description="Who started it; may not approve its drafts.", examples=["fiona"])
    requested_at: datetime = Field(description="When it was started (UTC).", examples=["2017-05-02T07:00:00Z"])
    through: Period | None = Field(
        description="Work up to the end of this month is billed; null: all that is ready.", examples=["2017-04"]
    )
    contract_id: ContractId | None
    state: str = Field(
        pattern=r"^(running|drafted|failed)$",
        description="Where the run stands: drafted means each draft now waits for its approval.",
        examples=["drafted"],
    )
    collected: int = Field(ge=0, le=1_000_000_000, description="Source entries read.", examples=[212])
    invoices: int = Field(ge=0, le=1_000_000_000, description="Invoices drafted.", examples=[3])
    message: Text | None = Field(
        description="What to know about it, in one sentence.", examples=["3 invoices wait for approval."]
    )
    finished_at: datetime | None = Field(
        description="When it ended (UTC); null while it runs.", examples=["2017-05-02T07:00:09Z"]
    )
