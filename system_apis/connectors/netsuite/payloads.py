"""NetSuite's shapes, only the fields used; strangers among the fields are ignored, missing ones are drift."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

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


class InvoicePage(Payload):
    """Records of a collection read with their bodies."""

    items: tuple[InvoiceRecord, ...]


class ApplyLine(Payload):
    """What a payment does to one document."""

    doc: Reference
    apply: bool = False
    amount: Decimal | None = None


class ApplyLines(Payload):
    """Sublist of a payment's documents."""

    items: tuple[ApplyLine, ...] = ()


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
    """Root of SuiteQL rows: lower-case columns, numbers as texts, nulls left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class SubsidiaryRow(Row):
    """A legal entity."""

    id: str
    code: str
    name: str
    country: str
    currency: str
    approved: str
    tax_rate: Decimal
    modified: str


class ItemRow(Row):
    """A service item; `codes` holds the product codes sold as this item, one per line."""

    id: str
    itemid: str
    displayname: str | None = None
    codes: str | None = None
    account: str | None = None
    modified: str


class RateRow(Row):
    """One price of a rate card."""

    id: str
    card_id: str
    card: str
    role: str
    currency: str
    rate: Decimal
    starts: date
    ends: date | None = None
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

    items: tuple[dict[str, object], ...]
    has_more: bool


class ChangeNotice(Payload):
    """The body of a change notice, a contract of ours: posted by our user event script after a record was saved."""

    record_type: str = Field(min_length=1, max_length=100)
    id: str = Field(pattern=r"^\d{1,20}$")
    event_type: str = Field(min_length=1, max_length=40)
    last_modified_date: datetime | None = None
