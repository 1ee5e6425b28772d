"""A line of the journal."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from shared.canonical.money import Money
from shared.canonical.references import Identifier, Name, Ref, Text


class Entry(BaseModel):
    """One sentence about one step; written once per (run, step)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: Identifier
    subject_id: Identifier = Field(description="The opportunity the line belongs to: journeys are per deal.")
    run_id: Name
    step: Name
    sentence: Text
    by: Name = "throughline"
    system: Name | None = Field(default=None, description="Which kind of system was touched: crm, psa, erp.")
    ref: Ref | None = Field(default=None, description="The record's id in that system.")
    amount: Money | None = None
    correlation_id: Name | None = None


class WrittenEntry(Entry):
    """A line as the journal holds it."""

    position: int
    at: datetime
