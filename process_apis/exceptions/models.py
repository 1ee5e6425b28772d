"""Findings, the exception item that holds them, and what people do about it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.canonical.fields import Region, Tenant
from shared.canonical.references import Identifier, Name, Text


class ExceptionModel(BaseModel):
    """Root of this room's models."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OwnerRole(StrEnum):
    """Who is asked to act."""

    ACCOUNT_TEAM = "account_team"
    FINANCE = "finance"
    LEGAL = "legal"
    DELIVERY = "delivery"
    OPERATIONS = "operations"


class Finding(ExceptionModel):
    """One thing that stands in the way, with where, why, who and how."""

    code: str = Field(max_length=64, description="Kind of finding; stable, for programs.", examples=["tax_id_missing"])
    field: str = Field(max_length=200, description="Path in the canonical record.", examples=["customer.tax_id"])
    reason: Text = Field(
        description="What is wrong, in one sentence.",
        examples=["Rangreen is billed in the European Union and has no tax id."],
    )
    owner: OwnerRole = Field(description="Who is asked to act.")
    remedy: Text = Field(
        description="What to do about it, in one sentence.", examples=["Enter the tax id at the account in the CRM."]
    )


class ItemState(StrEnum):
    """Where an exception item stands."""

    OPEN = "open"
    RESOLVED = "resolved"
    CANCELLED = "cancelled"


class Parking(ExceptionModel):
    """A run that waits, and why. A run has at most one open item; parking again brings it up to date."""

    tenant: Tenant
    process: Name
    subject_id: Identifier = Field(description="The opportunity it belongs to.")
    run_id: Name
    topic: Name = "wake"
    title: Text
    findings: tuple[Finding, ...] = Field(min_length=1, max_length=2000)
    region: Region | None = None
    due_in_hours: int = Field(default=48, ge=1, le=8760)


class Item(ExceptionModel):
    """An exception item as it stands."""

    tenant: Tenant
    id: Identifier = Field(description="Our id of the exception.", examples=["exc_4r7c2m5xk3ta"])
    process: Name = Field(description="Process that is held up.", examples=["quote-to-project"])
    subject_id: Identifier = Field(
        description="Our id of the opportunity it belongs to.", examples=["opp_uowvshkezju2kbbqurcu"]
    )
    run_id: Name = Field(
        description="Run that is parked.", examples=["quote-to-project:harbour:opp_uowvshkezju2kbbqurcu:1"]
    )
    title: Text = Field(description="What is parked, in one line.", examples=["Rangreen - Discovery workshop Mar 2017"])
    findings: tuple[Finding, ...] = Field(max_length=2000, description="Everything that stands in the way.")
    owner_role: OwnerRole = Field(description="Who is asked to act first.")
    region: Region | None = None
    state: ItemState
    assigned_to: Name | None = Field(
        default=None, description="Subject of the person who takes care of it.", examples=["fiona"]
    )
    opened_at: datetime = Field(description="When the run was parked (UTC).", examples=["2017-03-16T09:12:30Z"])
    due_at: datetime = Field(description="When it should be resolved (UTC).", examples=["2017-03-18T09:12:30Z"])
    changed_at: datetime = Field(
        description="When it was last checked or touched (UTC).", examples=["2017-03-17T07:00:00Z"]
    )
    closed_at: datetime | None = Field(
        default=None, description="When it was resolved or cancelled (UTC).", examples=["2017-03-17T10:05:00Z"]
    )
    times_checked: int = Field(
        ge=0, le=1_000_000_000, description="How often the deal was validated since it was parked.", examples=[2]
    )
    is_overdue: bool = Field(description="Whether it is open past its day.", examples=[False])


class Assignment(ExceptionModel):
    """Who takes care of it."""

    assignee: Name = Field(description="Subject of the person who takes care of it.", examples=["fiona"])


class RetryBody(ExceptionModel):
    """Why it is worth another try."""

    note: Text | None = Field(
        default=None,
        description="Why it is worth another try; written to the journal.",
        examples=["Tax id was entered."],
    )


class Remedy(ExceptionModel):
    """A mapping that was missing: the product sold as `subject` is the catalog's `value`."""

    kind: Literal["product_alias"] = Field(description="What kind of mapping is supplied.", examples=["product_alias"])
    subject: Name = Field(description="Product code as it was sold.", examples=["GTXPro"])
    value: Name = Field(description="Product code the ERP catalog knows.", examples=["GTX Pro"])


class RemedyTaken(ExceptionModel):
    """What a supplied remedy set in motion."""

    remedy: Remedy = Field(description="The mapping as it was kept.")
    woken: int = Field(ge=0, le=1_000_000, description="Parked runs that are validated afresh.", examples=[7])


class Waiting(ExceptionModel):
    """Tells which run waits behind which item."""

    tenant: Tenant
    item_id: Identifier
    run_id: Name
    topic: Name
    because: Text
