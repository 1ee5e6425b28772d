"""Shapes of the finance workbench."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from experience_apis.desk.models import Code, Id, Label, Sentence, Shaped
from shared.canonical.money import Amount, Hours, Money
from shared.canonical.references import Identifier, Name

Period = Annotated[
    str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", max_length=7, description="Year and month.", examples=["2026-10"])
]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Reference = Annotated[str, Field(max_length=255, description="As people know it.")]


class BillingOrder(Shaped):
    """What to bill; nothing given: everything that is ready."""

    through: Annotated[Period | None, Field(description="Bill work up to the end of this month.")] = None
    contract_id: Annotated[Identifier | None, Field(description="Only this contract.")] = None


class BillingRunCard(Shaped):
    """A billing run and how far it is."""

    id: Id
    state: Annotated[Code, Field(examples=["running"])]
    state_label: Label
    requested_by: Annotated[str, Field(max_length=1000)]
    requested_at: datetime
    finished_at: datetime | None
    through: Period | None
    contract_id: Id | None
    collected: Annotated[Count, Field(description="Source entries read.")]
    invoices: Annotated[Count, Field(description="Invoices drafted.")]
    message: Sentence


class InvoiceCard(Shaped):
    """An invoice from draft to paid."""

    id: Id
    title: Annotated[str, Field(max_length=600, examples=["SOW-2026-014 - 2026-10"])]
    state: Annotated[Code, Field(examples=["draft"])]
    state_label: Label
    customer: Annotated[str, Field(max_length=255)]
    deal_reference: Reference
    contract_reference: Reference
    opportunity_id: Id
    project_id: Id
    legal_entity: Annotated[str, Field(max_length=255)]
    period: Period
    invoice_on: date
    net: Money
    tax: Money
    gross: Money
    paid: Money
    time_entries: Count
    milestones: Count
    erp_reference: Annotated[str | None, Field(max_length=255, description="The invoice's id in the ERP.")]
    approval_id: Annotated[Id | None, Field(description="The decision it waits for or was given.")]
    requested_by: Annotated[str, Field(max_length=1000, description="Who had it drafted; may not approve it.")]
    message: Sentence


class InvoiceLineRow(Shaped):
    """One line of an invoice."""

    id: Id
    kind: Code
    kind_label: Label
    item_code: Annotated[str, Field(max_length=255)]
    description: Annotated[str, Field(max_length=1000)]
    quantity: Amount
    rate: Amount
    net: Money
    entries: Count


class InvoiceView(InvoiceCard):
    """An invoice with its lines."""

    drafted_at: datetime
    approved_at: datetime | None
    posted_at: datetime | None
    lines: Annotated[tuple[InvoiceLineRow, ...], Field(max_length=5000)]


class WorkSum(Shaped):
    """Entries of one kind in one state."""

    kind: Annotated[Code, Field(examples=["time"])]
    kind_label: Label
    state: Annotated[Code, Field(examples=["awaiting_rate"])]
    state_label: Label
    entries: Count
    hours: Amount
    rows: Annotated[str, Field(max_length=300, description="Where to read the entries (path and query).")]


class WorkRow(Shaped):
    """One entry of the billing ledger."""

    id: Id
    reference: Reference
    kind: Code
    kind_label: Label
    state: Code
    state_label: Label
    project_id: Id
    contract_id: Id | None
    invoice_id: Id | None
    work_on: date
    hours: Hours
    role: Annotated[str | None, Field(max_length=255)]
    rate: Amount | None
    amount: Amount | None
    message: Annotated[Sentence, Field(description="Why it stands where it stands.")]


class RemedyOrder(Shaped):
    """A mapping that was missing: the product sold as `subject` is the catalog's `value`."""

    kind: Annotated[Literal["product_alias"], Field(description="What kind of mapping.", examples=["product_alias"])]
    subject: Annotated[Name, Field(description="Code as sold.", examples=["GTXPro"])]
    value: Annotated[Name, Field(description="Code the catalog knows.", examples=["GTX Pro"])]


class RemedyResult(Shaped):
    """What the mapping set in motion."""

    kind: Code
    subject: Name
    value: Name
    woken: Annotated[Count, Field(description="Parked deals that are checked again.")]
    message: Sentence
