"""Billing set-up and marks: ERP contract, schedule, and what the PSA is told was billed."""

from __future__ import annotations

from pydantic import Field

from shared.canonical.fields import (
    ContractId,
    ContractReference,
    CustomerId,
    DueOn,
    InvoiceId,
    InvoiceOn,
    InvoiceRef,
    ItemCode,
    LegalEntityCode,
    MilestoneAmount,
    MilestoneId,
    MilestoneName,
    MilestoneReference,
    PaymentTermsDays,
    ProjectId,
    PurchaseOrder,
    RateCardCode,
    WorkstreamId,
)
from shared.canonical.money import Currency, Money
from shared.canonical.opportunities import BillingModel
from shared.canonical.references import CanonicalModel, Day, Identifier, Ref, Text


class ContractLine(CanonicalModel):
    """A sold service on the ERP contract."""

    workstream_id: WorkstreamId
    item_code: ItemCode
    description: Text = Field(description="What the line sells, as printed.", examples=["Discovery workshop (WS1)"])
    amount: Money = Field(
        description="What the line was sold for, before tax.", examples=[{"amount": "503.10", "currency": "EUR"}]
    )
    billing_model: BillingModel


class ErpContract(CanonicalModel):
    """The contract (sales order) as the ERP is to hold it."""

    id: ContractId
    reference: ContractReference
    customer_id: CustomerId
    project_id: ProjectId
    legal_entity_code: LegalEntityCode
    currency: Currency
    payment_terms_days: PaymentTermsDays
    purchase_order: PurchaseOrder | None = None
    rate_card_code: RateCardCode | None = None
    cap: Money | None = Field(
        default=None,
        description="Not-to-exceed sum for time; null: no cap.",
        examples=[{"amount": "20000.00", "currency": "EUR"}],
    )
    starts_on: Day = Field(description="First day the contract covers.", examples=["2017-03-30"])
    lines: tuple[ContractLine, ...] = Field(min_length=1, max_length=200, description="One line per workstream.")


class ScheduleEntry(CanonicalModel):
    """An amount that falls due when its milestone is reached."""

    milestone_id: MilestoneId
    reference: MilestoneReference
    workstream_id: WorkstreamId
    name: MilestoneName
    amount: MilestoneAmount
    due_on: DueOn


class BillingSchedule(CanonicalModel):
    """When the agreed amounts of a contract fall due; no entries: billed by time alone."""

    id: Identifier = Field(
        description="Our id of the schedule: that of the contract.", examples=["con_lbrnl2pkbpchp6ss2ffg"]
    )
    contract_id: ContractId
    project_id: ProjectId
    currency: Currency
    entries: tuple[ScheduleEntry, ...] = Field(max_length=1000, description="In the order they fall due.")


class BillingMark(CanonicalModel):
    """Tells the PSA which of its records stand on which invoice; the invoice id guards against doubles."""

    invoice_id: InvoiceId
    invoice_ref: InvoiceRef
    project_id: ProjectId
    invoice_on: InvoiceOn
    purchase_order: PurchaseOrder | None = None
    time_entry_refs: tuple[Ref, ...] = Field(
        max_length=20_000, description="PSA ids of the hours on the invoice.", examples=[["80131"]]
    )
    expense_refs: tuple[Ref, ...] = Field(
        default=(), max_length=20_000, description="PSA ids of the expenses on the invoice.", examples=[["5117"]]
    )
    milestone_refs: tuple[Ref, ...] = Field(
        default=(), max_length=2_000, description="PSA ids of the milestones on the invoice.", examples=[["7702"]]
    )
