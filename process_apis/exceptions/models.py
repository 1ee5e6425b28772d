"""Findings, the exception item that holds them, and what people do about it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

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

    code: str = Field(max_length=64, examples=["tax_id_missing"])
    field: str = Field(max_length=200, description="Path in the canonical record.", examples=["customer.tax_id"])
    reason: Text
    owner: OwnerRole
    remedy: Text = Field(description="What to do about it, in one sentence.")


class ItemState(StrEnum):
    """Where an exception item stands."""

    OPEN = "open"
    RESOLVED = "resolved"
    CANCELLED = "cancelled"


class Parking(ExceptionModel):
    """A run that waits, and why. A run has at most one open item; parking again brings it up to date."""

    tenant: Identifier
    process: Name
    subject_id: Identifier = Field(description="The opportunity it belongs to.")
    run_id: Name
    topic: Name = "wake"
    title: Text
    findings: tuple[Finding, ...] = Field(min_length=1, max_length=2000)
    region: Text | None = None
    due_in_hours: int = Field(default=48, ge=1, le=8760)


class Item(ExceptionModel):
    """An exception item as it stands."""

    tenant: Identifier
    id: Identifier
    process: Name
    subject_id: Identifier
    run_id: Name
    title: Text
    findings: tuple[Finding, ...]
    owner_role: OwnerRole
    region: Text | None = None
    state: ItemState
    assigned_to: Name | None = None
    opened_at: datetime
    due_at: datetime
    changed_at: datetime
    closed_at: datetime | None = None
    times_checked: int
    is_overdue: bool


class Assignment(ExceptionModel):
    """Who takes care of it."""

    assignee: Name


class RetryBody(ExceptionModel):
    """Why it is worth another try."""

    note: Text | None = None


class Remedy(ExceptionModel):
    """A mapping that was missing: the product sold as `subject` is the catalog's `value`."""

    kind: Literal["product_alias"]
    subject: Name = Field(examples=["GTXPro"])
    value: Name = Field(examples=["GTX Pro"])


class RemedyTaken(ExceptionModel):
    """What a supplied remedy set in motion."""

    remedy: Remedy
    woken: int = Field(description="Parked runs that are validated afresh.")


class Waiting(ExceptionModel):
    """Tells which run waits behind which item."""

    tenant: Identifier
    item_id: Identifier
    run_id: Name
    topic: Name
    because: Text
