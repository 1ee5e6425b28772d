"""The shapes of journeys, key figures and logged events."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, WithJsonSchema

from process_apis.approvals.models import Approval
from process_apis.exceptions.models import Finding, Item
from process_apis.journal.models import WrittenEntry
from shared.canonical.events import EVENT_TYPES, Event
from shared.canonical.fields import (
    ContractId,
    CustomerId,
    DealAmount,
    Gross,
    InvoiceId,
    Net,
    OpportunityId,
    Paid,
    ProjectId,
    Region,
    Revision,
    Tax,
    Tenant,
)
from shared.canonical.money import Amount, Money
from shared.canonical.references import Identifier, Name, Text


class ViewModel(BaseModel):
    """Root of this room's models."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class JourneyDeal(ViewModel):
    """Where the deal stands."""

    tenant: Tenant
    opportunity_id: OpportunityId
    revision: Revision
    run_id: Name = Field(
        description="Run that works on this revision.", examples=["quote-to-project:harbour:opp_uowvshkezju2kbbqurcu:1"]
    )
    state: Name = Field(description="Where the deal stands, as in the list of deals.", examples=["activated"])
    reference: Text | None = Field(
        default=None, description="Reference people know the deal by.", examples=["006BE80E02EF8F1"]
    )
    name: Text | None = Field(
        default=None,
        description="The deal as the account team calls it.",
        examples=["Rangreen - Discovery workshop Mar 2017"],
    )
    customer_id: CustomerId | None = None
    customer_name: Text | None = Field(
        default=None, description="The customer as the CRM calls it.", examples=["Rangreen"]
    )
    contract_id: ContractId | None = None
    project_id: ProjectId | None = None
    legal_entity_code: Text | None = Field(
        default=None, description="Company of the firm that signs and invoices.", examples=["HC-DE"]
    )
    region: Region | None = None
    amount: DealAmount | None = None
    won_at: datetime = Field(description="When the deal was closed won (UTC).", examples=["2017-03-16T09:12:30Z"])
    started_at: datetime = Field(description="When the run began (UTC).", examples=["2017-03-16T09:12:31Z"])
    changed_at: datetime = Field(description="When the deal last moved (UTC).", examples=["2017-03-17T08:40:02Z"])
    activated_at: datetime | None = Field(
        default=None, description="When its project stood in PSA and ERP (UTC).", examples=["2017-03-17T08:40:02Z"]
    )
    waits_for: Text = Field(
        description="Why it stands where it stands, in one sentence.", examples=["Nothing: the project is active."]
    )
    findings: tuple[Finding, ...] = Field(
        default=(), max_length=2000, description="What stands in its way; none once it is clean."
    )


class JourneyInvoice(ViewModel):
    """An invoice of the deal."""

    invoice_id: InvoiceId
    period: Name = Field(description="Month it bills, as YYYY-MM.", examples=["2017-04"])
    state: Name = Field(description="Where the invoice stands with us.", examples=["posted"])
    net: Net
    tax: Tax
    gross: Gross
    paid: Paid
    posted_at: datetime | None = Field(
        default=None, description="When the ERP took it (UTC).", examples=["2017-05-02T09:30:04Z"]
    )


class JourneyWork(ViewModel):
    """Booked work of the deal by state."""

    state: Name = Field(description="State the ledger rows are in.", examples=["billed"])
    entries: int = Field(ge=0, le=1_000_000_000, description="Ledger rows in that state.", examples=[12])
    hours: Amount = Field(description="Their hours together.", examples=["91.20"])
    amount: Money | None = Field(
        default=None,
        description="What they add to invoices before tax; null while unrated or of several currencies.",
        examples=[{"amount": "463.14", "currency": "EUR"}],
    )


class Journey(ViewModel):
    """One deal's whole way."""

    deal: JourneyDeal = Field(description="Where the deal stands now.")
    lines: tuple[WrittenEntry, ...] = Field(max_length=10_000, description="One sentence per step, oldest first.")
    approvals: tuple[Approval, ...] = Field(max_length=10_000, description="Decisions asked for, oldest first.")
    exceptions: tuple[Item, ...] = Field(max_length=10_000, description="Times it was parked, oldest first.")
    events: tuple[Event, ...] = Field(max_length=10_000, description="Facts stated about it, oldest first.")
    work: tuple[JourneyWork, ...] = Field(max_length=50, description="Booked work by state.")
    invoices: tuple[JourneyInvoice, ...] = Field(max_length=10_000, description="Its invoices, oldest first.")


class Unit(StrEnum):
    """What a figure counts."""

    HOURS = "hours"
    SHARE = "share"
    COUNT = "count"


class Part(ViewModel):
    """The figure for one region or legal entity."""

    key: Text = Field(description="The region or the code of the legal entity.", examples=["Central"])
    value: Amount | None = Field(
        description="The figure for it, in the unit of the whole; null while there is nothing to measure.",
        examples=["23.5"],
    )
    sample: int = Field(ge=0, le=1_000_000_000, description="How many cases it rests on.", examples=[17])


class Kpi(ViewModel):
    """A key figure; no value while there is nothing to measure."""

    name: Name = Field(description="Stable name of the figure.", examples=["closed_won_to_activation"])
    title: Text = Field(description="What it measures, in words.", examples=["Closed won to active project"])
    unit: Unit
    value: Amount | None = Field(
        description="The figure in its unit; null while there is nothing to measure.", examples=["23.5"]
    )
    sample: int = Field(ge=0, le=1_000_000_000, description="How many deals or invoices it rests on.", examples=[17])
    target: Amount | None = Field(default=None, description="What the firm aims at, in the same unit.", examples=["72"])
    by_region: tuple[Part, ...] = Field(default=(), max_length=1000, description="The same by sales region.")
    by_legal_entity: tuple[Part, ...] = Field(
        default=(), max_length=1000, description="The same by company of the firm."
    )


class Kpis(ViewModel):
    """All key figures of a tenant."""

    as_of: datetime = Field(description="When they were measured (UTC).", examples=["2017-03-16T09:12:30Z"])
    kpis: tuple[Kpi, ...] = Field(max_length=100, description="The figures, always the same ones in the same order.")


class LoggedFact(ViewModel):
    """An event with its place in the log."""

    sequence: int = Field(ge=0, le=2**53 - 1, description="Place in the log; grows with time.", examples=[1042])
    recorded_at: datetime = Field(
        description="When it was written to the log (UTC).", examples=["2017-03-16T09:12:30Z"]
    )
    published_at: datetime | None = Field(
        description="When it was handed to the bus (UTC); null while it waits.", examples=["2017-03-16T09:12:30Z"]
    )
    event: Event = Field(description="The fact as it was told.")


def _written_out(value: object) -> object:
    if not isinstance(value, str | datetime):
        message = "must be written as a date and time with its zone"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a finding
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_written_out)]


KnownEventType = Annotated[Name, WithJsonSchema({"type": "string", "enum": sorted(EVENT_TYPES)})]


class ReplayBody(ViewModel):
    """Which events to publish again; at least one filter, all of them narrow."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": [name], "properties": {name: {"type": kind}}}
                for name, kind in (("ids", "array"), ("types", "array"), ("subject", "string"), ("since", "string"))
            ]
        }
    )

    ids: tuple[Identifier, ...] | None = Field(
        default=None, max_length=1000, description="Only these events.", examples=[["evt_m5xk3ta4r7c2m5xk3ta4r7c2"]]
    )
    types: tuple[KnownEventType, ...] | None = Field(
        default=None, max_length=50, description="Only events of these types.", examples=[["invoice.posted.v1"]]
    )
    subject: Identifier | None = Field(
        default=None, description="Only events about this record.", examples=["opp_uowvshkezju2kbbqurcu"]
    )
    since: Instant | None = Field(
        default=None, description="Only events at or after this instant.", examples=["2017-03-01T00:00:00Z"]
    )
    before: Instant | None = Field(
        default=None, description="Only events before this instant.", examples=["2017-04-01T00:00:00Z"]
    )
    dry_run: StrictBool = Field(default=False, description="Only say how many there are.", examples=[True])
    act_again: StrictBool = Field(
        default=False,
        description="Let consumers act on them again; otherwise their inboxes skip what they know.",
        examples=[False],
    )


class ReplayOutcome(ViewModel):
    """How many events are published again."""

    events: int = Field(
        ge=0, le=10_000, description="Events that are, or with `dry_run` would be, published again.", examples=[3]
    )
    dry_run: bool = Field(description="Whether nothing was published.", examples=[False])
