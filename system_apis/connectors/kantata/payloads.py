"""What of Kantata's JSON is used, as it arrives; a missing member is drift, an unknown one is passed over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

#: the service name of our external references, and the names of what they refer to
SERVICE = "throughline"
PROJECT, WORKSTREAM, MILESTONE, INVOICE = "project", "workstream", "milestone", "invoice"
BILLING_MILESTONE = "billing_milestone"


class _Payload(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)


class Result(_Payload):
    """One place in the order of an answer."""

    key: str
    id: str


class Envelope(_Payload):
    """What every list answer carries besides the objects."""

    count: int
    results: list[Result]


class Reference(_Payload):
    """An external reference: whose id (service) of what (model) it is, and the words kept with it."""

    id: str
    service_name: str
    service_model: str
    service_model_ref: str
    external_message: str | None = None


class _Referred(_Payload):
    id: str
    updated_at: datetime
    external_reference_ids: list[str]


class Workspace(_Referred):
    """A project."""

    title: str
    archived: bool
    currency: str
    currency_base_unit: int


class Story(_Referred):
    """A deliverable, milestone or task of a project."""

    title: str
    story_type: str
    state: str
    workspace_id: str
    root_id: str | None = None
    custom_field_value_ids: list[str] = []


class Reached(_Payload):
    """A story with its changes of state."""

    id: str
    story_state_change_ids: list[str]


class StateChange(_Payload):
    """A change of state; the day is the account's own."""

    state: str
    created_at: datetime


class FieldValue(_Payload):
    """The value of a custom field."""

    id: str
    custom_field_name: str
    value: Any
    subject_id: str
    updated_at: datetime


class User(_Payload):
    """A person of the account."""

    id: str
    full_name: str
    role_id: str | None


class Role(_Payload):
    """A role of the account."""

    id: str
    name: str


class TimeEntry(_Referred):
    """Minutes of one person on one day."""

    date_performed: date
    time_in_minutes: int
    billable: bool
    approved: bool
    is_invoiced: bool
    notes: str | None = None
    workspace_id: str
    user_id: str
    story_id: str | None
    role_id: str | None


class Expense(_Referred):
    """Money spent; whether it is approved stands on its submission."""

    date: date
    amount_in_cents: Decimal
    currency: str
    currency_base_unit: int
    category: str | None = None
    is_billable: bool
    is_invoiced: bool
    workspace_id: str
    user_id: str
    active_submission_id: str | None


class Submission(_Payload):
    """A timesheet or expense report of one project."""

    id: str
    status: str
    updated_at: datetime
    time_entry_ids: list[str] = []
    expense_ids: list[str] = []


class Line(_Payload):
    """A side-loaded time entry or expense: only when it last changed."""

    id: str
    updated_at: datetime


class BillingMilestone(_Payload):
    """The amount that falls due when a milestone story is reached."""

    id: str
    story_id: str | None
    invoice_ids: list[str] = []
    external_reference_ids: list[str] = []


class Invoice(_Referred):
    """An invoice: what its lines belong to is billed."""

    status: str


class Changed(_Payload):
    """The least that tells of a change."""

    id: str
    updated_at: datetime


class Referring(Protocol):
    """A row that may carry external references."""

    @property
    def id(self) -> str:
        """The vendor's id."""
        ...

    @property
    def external_reference_ids(self) -> list[str]:
        """Its references."""
        ...


def our_id(ids: Iterable[str], references: Mapping[str, Reference], model: str) -> str | None:
    """Our id among a row's references."""
    for number in ids:
        reference = references.get(number)
        if reference and reference.service_name == SERVICE and reference.service_model == model:
            return reference.service_model_ref
    return None


def our_ids(rows: Iterable[Referring], references: Mapping[str, Reference], model: str) -> dict[str, str]:
    """Our id → the vendor's, of rows that carry one of ours."""
    pairs = ((our_id(row.external_reference_ids, references, model), row.id) for row in rows)
    return {number: ref for number, ref in pairs if number}
