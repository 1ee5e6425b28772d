"""What this connector reads of HubSpot's records, under the properties' internal names; nothing else enters.

Every value travels as a text or null, and an emptied one may come back as a blank: both mean that there is none.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

SYSTEM = ("hs_object_id", "hs_lastmodifieddate")
DELIVERY = ("tl_delivery_stage", "tl_project_id", "tl_project_ref", "tl_delivery_message")


def _texted(given: object) -> object:
    if given is not None and not isinstance(given, str):
        message = f"is a {type(given).__name__} where the vendor sends texts"
        raise ValueError(message)
    return given or None


_Texted = BeforeValidator(_texted)
Text = Annotated[str, _Texted]
OptionalText = Annotated[str | None, _Texted]
Number = Annotated[Decimal, _Texted]
OptionalNumber = Annotated[Decimal | None, _Texted]
Instant = Annotated[datetime, _Texted]
Day = Annotated[date, _Texted]
OptionalDay = Annotated[date | None, _Texted]
Flag = Annotated[bool | None, _Texted]


class Facts(BaseModel):
    """Fields have no defaults, since one that is not in the answer is drift."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Record(Facts):
    """A record as every answer wraps it."""

    id: str
    properties: dict[str, Any]


class Results(Facts):
    """Rows of a list or a batch."""

    results: list[Any]


class Payload(Facts):
    """The properties of a record."""

    id: Text = Field(alias="hs_object_id")
    modified_at: Instant = Field(alias="hs_lastmodifieddate")


class CompanyPayload(Payload):
    """companies."""

    name: Text
    street: OptionalText = Field(alias="address")
    city: OptionalText
    postal_code: OptionalText = Field(alias="zip")
    country_code: OptionalText = Field(alias="tl_country_code")
    tax_id: OptionalText = Field(alias="tl_tax_id")
    po_required: Flag = Field(alias="tl_po_required")
    industry: OptionalText = Field(alias="tl_sector")


class DealPayload(Payload):
    """deals."""

    reference: OptionalText = Field(alias="tl_reference")
    name: Text = Field(alias="dealname")
    pipeline: Text
    stage: Text = Field(alias="dealstage")
    seems_won: Flag = Field(alias="hs_is_closed_won")
    amount: Number
    currency: OptionalText = Field(alias="deal_currency_code")
    close_at: Instant = Field(alias="closedate")
    sales_owner: OptionalText = Field(alias="tl_sales_owner")
    owner_id: OptionalText = Field(alias="hubspot_owner_id")
    region: OptionalText = Field(alias="tl_region")
    legal_entity: OptionalText = Field(alias="tl_legal_entity")
    revision: OptionalNumber = Field(alias="tl_revision")


class LinePayload(Payload):
    """line_items."""

    reference: OptionalText = Field(alias="tl_reference")
    sku: OptionalText = Field(alias="hs_sku")
    name: OptionalText
    amount: Number
    currency: OptionalText = Field(alias="hs_line_item_currency_code")
    workstream: Text = Field(alias="tl_workstream")
    billing_model: Text = Field(alias="tl_billing_model")
    start_on: OptionalDay = Field(alias="tl_start_on")


class ContractPayload(Payload):
    """tl_contract, a custom object."""

    reference: OptionalText = Field(alias="tl_reference")
    approval: Text = Field(alias="tl_approval")
    currency: Text = Field(alias="tl_currency")
    signed_on: OptionalDay = Field(alias="tl_signed_on")
    payment_terms_days: Number = Field(alias="tl_payment_terms_days")
    cap_amount: OptionalNumber = Field(alias="tl_cap_amount")
    po_number: OptionalText = Field(alias="tl_po_number")
    rate_card: OptionalText = Field(alias="tl_rate_card")
    revision: OptionalNumber = Field(alias="tl_revision")


class MilestonePayload(Payload):
    """tl_milestone, a custom object."""

    reference: OptionalText = Field(alias="tl_reference")
    name: Text = Field(alias="tl_name")
    line_reference: Text = Field(alias="tl_line_reference")
    workstream: Text = Field(alias="tl_workstream")
    currency: Text = Field(alias="tl_currency")
    amount: Number = Field(alias="tl_amount")
    due_on: Day = Field(alias="tl_due_on")


class DeliveryPayload(Facts):
    """The properties of a deal that we write, as they stand."""

    stage: OptionalText = Field(alias="tl_delivery_stage")
    project_id: OptionalText = Field(alias="tl_project_id")
    project_ref: OptionalText = Field(alias="tl_project_ref")
    message: OptionalText = Field(alias="tl_delivery_message")


class LinkTypeFacts(Facts):
    """One type of an association."""

    category: str
    type_id: int = Field(alias="typeId")
    label: str | None = None


class LinkFacts(Facts):
    """One associated record; its id is a number in the classic family and a text in the dated one."""

    to_id: int = Field(alias="toObjectId")
    types: tuple[LinkTypeFacts, ...] = Field(alias="associationTypes")


class NextFacts(Facts):
    """Where a list is read on."""

    after: str


class PagingFacts(Facts):
    """Absent on the last page."""

    next: NextFacts | None = None


class FromFacts(Facts):
    """The record that was asked for."""

    id: str


class LinksFacts(Facts):
    """The associations of one record."""

    source: FromFacts = Field(alias="from")
    to: tuple[LinkFacts, ...]
    paging: PagingFacts | None = None


class StageMetadata(Facts):
    """What a stage means, in texts; its label is anybody's."""

    is_closed: bool = Field(alias="isClosed")
    probability: Decimal


class StageFacts(Facts):
    """A stage of a pipeline."""

    id: str
    metadata: StageMetadata


class PipelineFacts(Facts):
    """A pipeline of deals."""

    id: str
    stages: tuple[StageFacts, ...]


class OwnerFacts(Facts):
    """A user who can own deals."""

    id: str
    first_name: str | None = Field(default=None, alias="firstName")
    last_name: str | None = Field(default=None, alias="lastName")
    email: str | None = None


class SchemaFacts(Facts):
    """A custom object of the portal."""

    name: str
    object_type_id: str = Field(alias="objectTypeId")
    required: tuple[str, ...] = Field(alias="requiredProperties")


class OptionFacts(Facts):
    """A value of a closed list."""

    value: str


class ModificationFacts(Facts):
    """Who may change what of a property."""

    read_only: bool = Field(default=False, alias="readOnlyValue")


class PropertyFacts(Facts):
    """A property as the portal's metadata tells it."""

    name: str
    label: str
    type: str
    options: tuple[OptionFacts, ...] = ()
    calculated: bool = False
    external_options: bool = Field(default=False, alias="externalOptions")
    modification: ModificationFacts | None = Field(default=None, alias="modificationMetadata")

    @property
    def is_writable(self) -> bool:
        """Whether a value can be set."""
        return not self.calculated and not (self.modification and self.modification.read_only)


class PartFacts(Facts):
    """One failure within a batch."""

    category: str
    message: str
