"""What the process tier says, as far as it is shown to people; unknown members are ignored, nothing is decided here."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from shared.canonical.money import Money

Item = TypeVar("Item")


class Told(BaseModel):
    """Root: immutable; members that a newer process tier adds are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ToldPage(Told, Generic[Item]):
    """A page of a list."""

    items: tuple[Item, ...]
    next_cursor: str | None = None


class Finding(Told):
    """One thing that stands in the way of a deal."""

    code: str
    field: str = ""
    reason: str = ""
    owner: str = ""
    remedy: str = ""


class Deal(Told):
    """A deal's run from won to active."""

    run_id: str
    opportunity_id: str
    reference: str | None = None
    name: str | None = None
    customer_id: str | None = None
    customer_name: str | None = None
    state: str
    amount: Money | None = None
    region: str | None = None
    legal_entity_code: str | None = None
    contract_id: str | None = None
    project_id: str | None = None
    findings: tuple[Finding, ...] = ()
    approval_kinds: tuple[str, ...] = ()
    won_at: datetime | None = None
    changed_at: datetime | None = None
    activated_at: datetime | None = None


class Approval(Told):
    """A decision that is asked for."""

    id: str
    kind: str
    subject_id: str
    title: str
    requested_by: str
    amount: Money | None = None
    snapshot: dict[str, Any] = {}
    state: str
    requested_at: datetime
    expires_at: datetime | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None
    comment: str | None = None


class DecisionOutcome(Told):
    """What became of one of many decisions."""

    approval_id: str
    status: int
    state: str | None = None
    code: str | None = None
    detail: str | None = None


class DecisionOutcomes(Told):
    """Outcomes in the order asked."""

    outcomes: tuple[DecisionOutcome, ...]
    decided: int
    refused: int


class ExceptionItem(Told):
    """A deal that waits, and why."""

    id: str
    process: str
    subject_id: str
    title: str
    findings: tuple[Finding, ...]
    owner_role: str
    region: str | None = None
    state: str
    assigned_to: str | None = None
    opened_at: datetime
    due_at: datetime
    closed_at: datetime | None = None
    times_checked: int
    is_overdue: bool


class RemedyTaken(Told):
    """How many deals a remedy woke."""

    woken: int


class Invoice(Told):
    """An invoice from draft to paid."""

    id: str
    contract_reference: str
    opportunity_id: str
    opportunity_reference: str
    project_id: str
    customer_id: str | None = None
    customer_name: str
    legal_entity_code: str
    period: str
    sequence: int
    state: str
    invoice_on: date
    net: Money
    tax: Money
    gross: Money
    paid: Money
    erp_ref: str | None = None
    time_entries: int
    milestones: int
    requested_by: str
    drafted_at: datetime
    approved_at: datetime | None = None
    posted_at: datetime | None = None
    problem: str | None = None
    approval_id: str | None = None


class InvoiceLine(Told):
    """One line."""

    id: str
    kind: str
    item_code: str
    description: str
    quantity: Decimal
    rate: Decimal
    net: Money
    entries: int


class InvoiceDetail(Invoice):
    """An invoice with its lines."""

    lines: tuple[InvoiceLine, ...]


class BillingRun(Told):
    """A billing run."""

    id: str
    requested_by: str
    requested_at: datetime
    through: str | None = None
    contract_id: str | None = None
    state: str
    collected: int
    invoices: int
    message: str | None = None
    finished_at: datetime | None = None


class WorkItem(Told):
    """One entry of the billing ledger."""

    id: str
    kind: str
    reference: str
    project_id: str
    contract_id: str | None = None
    work_on: date
    hours: Decimal
    role: str | None = None
    state: str
    reason: str | None = None
    rate: Decimal | None = None
    amount: Money | None = None
    invoice_id: str | None = None


class WorkStateSum(Told):
    """Entries of one kind in one state."""

    kind: str
    state: str
    entries: int
    hours: Decimal


class JourneyLine(Told):
    """One line of the journal."""

    at: datetime
    step: str
    sentence: str
    by: str
    system: str | None = None
    ref: str | None = None
    amount: Money | None = None


class JourneyInvoice(Told):
    """An invoice of the deal."""

    invoice_id: str
    period: str
    state: str
    net: Money | None = None
    gross: Money
    paid: Money
    posted_at: datetime | None = None


class JourneyWork(Told):
    """Booked work of the deal in one state."""

    state: str
    entries: int
    hours: Decimal
    amount: Money | None = None


class JourneyDeal(Deal):
    """Where the deal stands, and why."""

    waits_for: str = ""


class Journey(Told):
    """A deal's whole way."""

    deal: JourneyDeal
    lines: tuple[JourneyLine, ...] = ()
    approvals: tuple[Approval, ...] = ()
    exceptions: tuple[ExceptionItem, ...] = ()
    work: tuple[JourneyWork, ...] = ()
    invoices: tuple[JourneyInvoice, ...] = ()


class KpiPart(Told):
    """A figure for one region or legal entity."""

    key: str
    value: Decimal | None = None
    sample: int


class Kpi(Told):
    """A key figure."""

    name: str
    title: str
    unit: str
    value: Decimal | None = None
    sample: int
    target: Decimal | None = None
    by_region: tuple[KpiPart, ...] = ()
    by_legal_entity: tuple[KpiPart, ...] = ()


class Kpis(Told):
    """The key figures."""

    as_of: datetime
    kpis: tuple[Kpi, ...]
