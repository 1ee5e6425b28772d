"""Billing set-up and marks: ERP contract, schedule, and what the PSA is told was billed."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from shared.canonical.money import Currency, Money
from shared.canonical.opportunities import BillingModel
from shared.canonical.references import CanonicalModel, Identifier, Name, Ref, Text


class ContractLine(CanonicalModel):
    """A sold service on the ERP contract."""

    workstream_id: Identifier
    item_code: Name
    description: Text
    amount: Money
    billing_model: BillingModel


class ErpContract(CanonicalModel):
    """The contract (sales order) as the ERP is to hold it."""

    id: Identifier
    reference: Ref
    customer_id: Identifier
    project_id: Identifier
    legal_entity_code: Name
    currency: Currency
    payment_terms_days: int = Field(ge=0, le=365)
    purchase_order: Text | None = None
    rate_card_code: Text | None = None
    cap: Money | None = None
    starts_on: date
    lines: tuple[ContractLine, ...] = Field(min_length=1, max_length=200)


class ScheduleEntry(CanonicalModel):
    """An amount that falls due when its milestone is reached."""

    milestone_id: Identifier
    reference: Ref
    workstream_id: Identifier
    name: Name
    amount: Money
    due_on: date


class BillingSchedule(CanonicalModel):
    """When the agreed amounts of a contract fall due; no entries: billed by time alone."""

    id: Identifier
    contract_id: Identifier
    project_id: Identifier
    currency: Currency
    entries: tuple[ScheduleEntry, ...] = Field(max_length=1000)


class BillingMark(CanonicalModel):
    """Tells the PSA which of its records stand on which invoice; the invoice id guards against doubles."""

    invoice_id: Identifier
    invoice_ref: Ref = Field(description="The invoice's id in the ERP.")
    project_id: Identifier
    invoice_on: date
    purchase_order: Text | None = None
    time_entry_refs: tuple[Ref, ...] = Field(max_length=20_000)
    expense_refs: tuple[Ref, ...] = Field(default=(), max_length=20_000)
    milestone_refs: tuple[Ref, ...] = Field(default=(), max_length=2_000)
