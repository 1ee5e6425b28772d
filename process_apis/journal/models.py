"""A line of the journal."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from shared.canonical.fields import Tenant
from shared.canonical.money import Money
from shared.canonical.references import Identifier, Name, Ref, Text


class Entry(BaseModel):
    """One sentence about one step; written once per (run, step)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: Tenant
    subject_id: Identifier = Field(
        description="The opportunity the line belongs to: journeys are per deal.", examples=["opp_uowvshkezju2kbbqurcu"]
    )
    run_id: Name = Field(
        description="Run the step belongs to.", examples=["quote-to-project:harbour:opp_uowvshkezju2kbbqurcu:1"]
    )
    step: Name = Field(description="Name of the step, as in the workflow.", examples=["open_project"])
    sentence: Text = Field(
        description="What happened, in one sentence.", examples=["The project stands in the PSA as 39412."]
    )
    by: Name = Field(
        default="throughline", description="Who did it: a person, or the platform itself.", examples=["throughline"]
    )
    system: Name | None = Field(
        default=None, description="Which kind of system was touched: crm, psa, erp.", examples=["psa"]
    )
    ref: Ref | None = Field(default=None, description="The record's id in that system.", examples=["39412"])
    amount: Money | None = Field(
        default=None,
        description="Sum the step moved or decided about.",
        examples=[{"amount": "5757.30", "currency": "EUR"}],
    )
    correlation_id: Name | None = Field(
        default=None, description="Finds the step in the logs.", examples=["0b6f2f6c4f1d4c0f9e1b7a52d3c8e914"]
    )


class WrittenEntry(Entry):
    """A line as the journal holds it."""

    position: int = Field(ge=0, le=2**53 - 1, description="Place in the journal; grows with time.", examples=[1042])
    at: datetime = Field(description="When the step ended (UTC).", examples=["2017-03-16T09:12:30Z"])
