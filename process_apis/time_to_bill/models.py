"""Words of time-to-bill: requests, ledger rows and invoices as this process speaks of them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import Field

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
        item_code: Name

    class Milestone(CanonicalModel):
        """An agreed amount that bills when reached and approved."""

        id: Identifier
        workstream_id: Identifier
        reference: Ref
        name: Name
        amount: Amount
        due_on: date

    contract_id: Identifier
    contract_reference: Ref
    opportunity_id: Identifier
    opportunity_reference: Ref
    project_id: Identifier
    customer_id: Identifier
    customer_name: Name
    customer_country: CountryCode | None = None
    legal_entity_code: Name
    currency: Currency
    payment_terms_days: int = Field(ge=0, le=365)
    purchase_order: Text | None = None
    rate_card_code: Text | None = None
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
    project_id: Identifier
    workstream_id: Identifier | None = None
    milestone_id: Identifier | None = None
    resource_id: Identifier | None = None
    role: Name | None = None
    work_on: date
    hours: Decimal = Decimal(0)
    source_amount: Decimal | None = None
    source_currency: str | None = None
    is_billable: bool
    is_approved: bool
    is_billed_in_source: bool


class BillWork(CanonicalModel):
    """Ask for a billing run: all contracts, or one; all work, or work up to the end of a month."""

    tenant: Identifier
    run_id: Identifier
    requested_by: Text
    through: str | None = Field(default=None, pattern=PERIOD)
    contract_id: Identifier | None = None


class IssueInvoice(CanonicalModel):
    """Carry one draft through approval, posting, marking and telling."""

    tenant: Identifier
    invoice_id: Identifier
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

    invoice_id: Identifier
    state: BilledInvoiceState
    erp_ref: Ref | None = None


class BilledInvoiceLine(CanonicalModel):
    """One line, with how many ledger rows it consumed."""

    id: Identifier
    kind: WorkKind
    workstream_id: Identifier | None
    item_code: Name
    description: Text
    quantity: Amount
    rate: Amount
    net: Amount
    entries: int = Field(ge=0)


class BilledInvoice(CanonicalModel):
    """An invoice from draft to paid, as finance sees it."""

    id: Identifier
    contract_id: Identifier
    contract_reference: Ref
    opportunity_id: Identifier
    opportunity_reference: Ref
    project_id: Identifier
    customer_id: Identifier
    customer_name: Name
    legal_entity_code: Name
    period: str = Field(pattern=PERIOD, examples=["2026-10"])
    sequence: int = Field(ge=1, description="2 and up: work of that month that came after the first invoice.")
    state: BilledInvoiceState
    invoice_on: date
    net: Money
    tax: Money
    gross: Money
    paid: Money
    erp_ref: Ref | None
    is_marked_in_psa: bool
    is_told_to_crm: bool
    time_entries: int = Field(ge=0)
    milestones: int = Field(ge=0)
    requested_by: Text
    drafted_at: datetime
    approved_at: datetime | None
    posted_at: datetime | None
    problem: Text | None
    approval_id: Identifier | None = None


class BilledInvoiceDetail(BilledInvoice):
    """The same with its lines."""

    lines: tuple[BilledInvoiceLine, ...]


class WorkItem(CanonicalModel):
    """One ledger row as finance sees it."""

    id: Identifier
    kind: WorkKind
    reference: Ref
    project_id: Identifier
    contract_id: Identifier | None
    work_on: date
    hours: Hours
    role: Name | None
    state: WorkState
    reason: Text | None = Field(description="Why it is not billed.")
    rate: Amount | None
    amount: Amount | None
    invoice_id: Identifier | None


class WorkStateSum(CanonicalModel):
    """Ledger rows of one kind in one state."""

    kind: WorkKind
    state: WorkState
    entries: int = Field(ge=0)
    hours: Amount


class BillingRun(CanonicalModel):
    """A billing run as its starter sees it."""

    id: Identifier
    requested_by: Text
    requested_at: datetime
    through: str | None
    contract_id: Identifier | None
    state: str = Field(pattern=r"^(running|drafted|failed)$")
    collected: int = Field(ge=0)
    invoices: int = Field(ge=0)
    message: Text | None
    finished_at: datetime | None
