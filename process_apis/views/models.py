"""The shapes of journeys, key figures and logged events."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, WithJsonSchema

from process_apis.approvals.models import Approval
from process_apis.exceptions.models import Finding, Item
from process_apis.journal.models import WrittenEntry
from shared.canonical.events import EVENT_TYPES, Event
from shared.canonical.money import Money
from shared.canonical.references import Identifier, Name, Text


class ViewModel(BaseModel):
    """Root of this room's models."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class JourneyDeal(ViewModel):
    """Where the deal stands."""

    tenant: Identifier
    opportunity_id: Identifier
    revision: int
    run_id: Name
    state: Name
    reference: Text | None = None
    name: Text | None = None
    customer_id: Identifier | None = None
    customer_name: Text | None = None
    contract_id: Identifier | None = None
    project_id: Identifier | None = None
    legal_entity_code: Text | None = None
    region: Text | None = None
    amount: Money | None = None
    won_at: datetime
    started_at: datetime
    changed_at: datetime
    activated_at: datetime | None = None
    waits_for: Text = Field(description="Why it stands where it stands, in one sentence.")
    findings: tuple[Finding, ...] = ()


class JourneyInvoice(ViewModel):
    """An invoice of the deal."""

    invoice_id: Identifier
    period: Name
    state: Name
    net: Money
    tax: Money
    gross: Money
    paid: Money
    posted_at: datetime | None = None


class JourneyWork(ViewModel):
    """Booked work of the deal by state."""

    state: Name
    entries: int
    hours: Decimal
    amount: Money | None = None


class Journey(ViewModel):
    """One deal's whole way."""

    deal: JourneyDeal
    lines: tuple[WrittenEntry, ...] = Field(description="One sentence per step, oldest first.")
    approvals: tuple[Approval, ...]
    exceptions: tuple[Item, ...]
    events: tuple[Event, ...]
    work: tuple[JourneyWork, ...]
    invoices: tuple[JourneyInvoice, ...]


class Unit(StrEnum):
    """What a figure counts."""

    HOURS = "hours"
    SHARE = "share"
    COUNT = "count"


class Part(ViewModel):
    """The figure for one region or legal entity."""

    key: Text
    value: Decimal | None
    sample: int


class Kpi(ViewModel):
    """A key figure; no value while there is nothing to measure."""

    name: Name = Field(examples=["closed_won_to_activation"])
    title: Text
    unit: Unit
    value: Decimal | None
    sample: int = Field(description="How many deals or invoices it rests on.")
    target: Decimal | None = None
    by_region: tuple[Part, ...] = ()
    by_legal_entity: tuple[Part, ...] = ()


class Kpis(ViewModel):
    """All key figures of a tenant."""

    as_of: datetime
    kpis: tuple[Kpi, ...]


class LoggedFact(ViewModel):
    """An event with its place in the log."""

    sequence: int
    recorded_at: datetime
    published_at: datetime | None
    event: Event


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

    ids: tuple[Identifier, ...] | None = Field(default=None, max_length=1000)
    types: tuple[KnownEventType, ...] | None = Field(default=None, max_length=50)
    subject: Identifier | None = None
    since: Instant | None = None
    before: Instant | None = None
    dry_run: StrictBool = Field(default=False, description="Only say how many there are.")
    act_again: StrictBool = Field(
        default=False, description="Let consumers act on them again; otherwise their inboxes skip what they know."
    )


class ReplayOutcome(ViewModel):
    """How many events are published again."""

    events: int
    dry_run: bool
