"""What of Kantata's JSON is used, as it arrives; a missing member is drift, an unknown one is passed over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from pydantic import AliasPath, BaseModel, ConfigDict, Field

#: the service name of our external references, and the names of what they refer to
SERVICE = "throughline"
PROJECT, WORKSTREAM, MILESTONE, INVOICE = "project", "workstream", "milestone", "invoice"
BILLING_MILESTONE = "billing_milestone"
#: the member of a row under which its custom fields stand by name, as `fields.yaml` spells them
CUSTOM = "custom_fields"


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


class Part(_Payload):
    """A row that may be one of ours."""

    id: str
    updated_at: datetime
    external_reference_ids: list[str]


class Workspace(Part):
    """A project."""

    title: str
    archived: bool
    currency: str
    currency_base_unit: int


class Place(Part):
    """A story as far as it tells where it hangs."""

    workspace_id: str
    root_id: str | None = None


class Story(Part):
    """A milestone story with what the firm notes on it."""

    state: str
    workspace_id: str
    completed_on: Any = Field(None, validation_alias=AliasPath(CUSTOM, "Completed on"))
    acceptance: Any = Field(None, validation_alias=AliasPath(CUSTOM, "Acceptance"))


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
    type: str = "string"
    display_value: str | None = None

    @property
    def told(self) -> Any:
        """What a person reads there: the choices of a list come by their labels, not by their ids."""
        return self.display_value if self.type in {"single", "multi"} else self.value


class Choice(_Payload):
    """A value that a field of a closed list may take."""

    id: str
    label: str


class CustomField(_Payload):
    """A custom field of the account."""

    id: str
    name: str
    value_type: str = "string"
    choice_ids: list[str] = []


class FieldSchema(_Payload):
    """A member of what an event of that type carries."""

    type: str = ""
    description: str | None = None


class EventSchema(_Payload):
    """What an event of one type carries."""

    fields: dict[str, FieldSchema]


class EventTypes(_Payload):
    """The event types of the account with their schemas."""

    subscribed_event_type_schemas: dict[str, EventSchema]


class Event(_Payload):
    """Something that happened to a record; the record itself is to be read again."""

    id: str
    event_type: str
    subject_id: str
    created_at: datetime


class User(_Payload):
    """A person of the account."""

    id: str
    full_name: str
    role_id: str | None


class Role(_Payload):
    """A role of the account."""

    id: str
    name: str


class TimeEntry(Part):
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


class Expense(Part):
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


class Invoice(Part):
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
    """Our id → the vendor's, of rows that carry one of ours; of doubles the oldest is the one."""
    held: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: int(row.id)):
        if number := our_id(row.external_reference_ids, references, model):
            held.setdefault(number, row.id)
    return held


def role_name(given: str | None, roles: Mapping[str, Role]) -> str | None:
    """The role that a field holds: the id of one of the account's, or its name where a firm keeps it as a text."""
    if not given:
        return None
    return roles[given].name if given.isdigit() else given
