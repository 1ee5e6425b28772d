"""NetSuite's shapes, only the fields used; strangers among the fields are ignored, missing ones are drift."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


def _spelling(name: str) -> str:
    """Standard fields are camelCase, custom fields keep their underscores."""
    return name if name.startswith("cust") and "_" in name else to_camel(name)


class Payload(BaseModel):
    """Root of record payloads."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=_spelling)


class Reference(Payload):
    """A pointer to another record."""

    id: str


class RecordStub(Payload):
    """What every record has."""

    id: str
    last_modified_date: datetime | None = None
    is_inactive: bool = False


class CurrencyLine(Payload):
    """A currency a customer may be billed in."""

    currency: Reference


class CurrencyLines(Payload):
    """Sublist of currencies."""

    items: tuple[CurrencyLine, ...] = ()


class CustomerRecord(RecordStub):
    """A customer, as far as it matters for using it again."""

    subsidiary: Reference
    currency: Reference | None = None
    currency_list: CurrencyLines = CurrencyLines()


class JobRecord(RecordStub):
    """A project."""

    company_name: str


class ScheduleLines(Payload):
    """Sublist of milestones."""

    items: tuple[dict[str, object], ...] = ()


class ScheduleRecord(RecordStub):
    """A billing schedule."""

    milestone: ScheduleLines = ScheduleLines()


class InvoiceRecord(Payload):
    """An invoice."""

    id: str
    external_id: str | None = None
    tran_id: str | None = None
    subsidiary: Reference
    currency: Reference
    tran_date: date
    status: Reference
    tax_total: Decimal
    total: Decimal
    amount_paid: Decimal
    last_modified_date: datetime
    custbody_tl_period: str | None = None
    custbody_tl_customer: str | None = None


class ApplyLine(Payload):
    """What a payment does to one document."""

    doc: Reference
    apply: bool = False
    amount: Decimal | None = None


class ApplyLines(Payload):
    """Sublist of a payment's documents; None where it came without its lines."""

    items: tuple[ApplyLine, ...] | None = None


class PaymentRecord(Payload):
    """A customer's payment."""

    id: str
    customer: Reference
    currency: Reference
    payment: Decimal
    tran_date: date
    last_modified_date: datetime
    apply: ApplyLines


class Row(BaseModel):
    """Root of SuiteQL rows: numbers as texts, nulls left out; mapped columns stand under the paths of `fields.yaml`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str


class SubsidiaryRow(Row):
    """A legal entity."""

    id: str
    code: str = Field(alias="custrecord_tl_code")
    name: str
    country: str
    currency: str
    approved: str = Field(alias="custrecord_tl_approved")
    tax_rate: Decimal = Field(alias="custrecord_tl_tax_rate")
    modified: str


class ItemRow(Row):
    """A service item; `codes` holds the product codes sold as this item, one per line."""

    id: str
    code: str = Field(alias="itemId")
    name: str | None = Field(None, alias="displayName")
    codes: str | None = Field(None, alias="custitem_tl_product_codes")
    account: str | None = None
    modified: str


class RateRow(Row):
    """One price of a rate card."""

    id: str
    card_id: str
    card: str
    role: str = Field(alias="custrecord_tl_role")
    currency: str
    rate: Decimal = Field(alias="custrecord_tl_rate")
    starts: date = Field(alias="custrecord_tl_from")
    ends: date | None = Field(None, alias="custrecord_tl_until")
    modified: str


class CurrencyRow(Row):
    """A currency of the account."""

    id: str
    symbol: str


class TermRow(Row):
    """Payment terms by their days."""

    id: str
    daysuntilnetdue: Decimal | None = None


class ExternalRow(Row):
    """Internal id and our id."""

    id: str
    externalid: str | None = None


class ChangedRow(Row):
    """A record and when it last changed, in the account's time zone."""

    id: str
    modified: str
    type: str | None = None
    total: str | None = None
    paid: str | None = None
    status: str | None = None


class QueryPage(Payload):
    """One page of a query or collection."""

    items: tuple[dict[str, Any], ...]
    has_more: bool
    total_results: int


class Limits(Payload):
    """How many requests the account may have in flight: in all, and of those set aside for nobody."""

    account: int | None = Field(None, alias="accountConcurrencyLimit")
    unallocated: int | None = Field(None, alias="accountUnallocatedConcurrencyLimit")


class JobState(Payload):
    """How a job of the account stands."""

    id: str
    completed: bool
    progress: str


class JobTask(Payload):
    """One of the acts of a job."""

    id: str


class JobTasks(Payload):
    """The acts of a job."""

    items: tuple[JobTask, ...]


class Property(Payload):
    """A field in the metadata catalog."""

    title: str = ""
    type: str = ""
    format: str = ""
    read_only: bool = False
    properties: dict[str, Any] = {}

    @property
    def kind(self) -> str:
        """The type with its format."""
        return f"{self.type} {self.format}".strip()

    @property
    def choices(self) -> tuple[str, ...]:
        """Ids of a closed list."""
        return tuple(map(str, _member(self.properties, "id").get("enum", ())))

    @property
    def line(self) -> dict[str, Property] | None:
        """The fields of a line, where this is a sublist."""
        shape = _member(_member(self.properties, "items"), "items")
        return {name: Property.model_validate(one) for name, one in _member(shape, "properties").items()} or None


def _member(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A member of a JSON schema that is a schema itself; empty where there is none."""
    found = schema.get(name)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


class RecordSchema(Payload):
    """A record in the metadata catalog."""

    properties: dict[str, Property]
    required: tuple[str, ...] = ()


class ChangeNotice(Payload):
    """The body of a change notice, a contract of ours: posted by our user event script after a record was saved."""

    record_type: str = Field(min_length=1, max_length=100)
    id: str = Field(pattern=r"^\d{1,20}$")
    event_type: str = Field(min_length=1, max_length=40)
    last_modified_date: datetime | None = None
