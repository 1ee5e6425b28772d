"""The product's rows under the names of `fields.yaml`, only the fields used; what is missing is drift.

Data entities of one meaning (classic projects and those of Project Operations) have one payload here.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_EMPTY = "1900-01-01"


def _day(given: Any) -> Any:
    """Days come as instants at noon; the product writes an empty one as 1900-01-01."""
    if not isinstance(given, str):
        return given
    return None if given.startswith(_EMPTY) else given[:10]


YesNo = Literal["Yes", "No"]
MaybeDay = Annotated[date | None, BeforeValidator(_day)]
WrittenDay = Annotated[date, BeforeValidator(_day)]


class Payload(BaseModel):
    """Root of payloads."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    etag: str = ""


class LegalEntityRow(Payload):
    """A company of the firm."""

    id: str
    name: str
    country: str
    code: str
    is_approved: YesNo
    tax_rate: Decimal
    modified_at: datetime


class LedgerRow(Payload):
    """The ledger of a company."""

    id: str
    currency: str


class CategoryRow(Payload):
    """A project category: what services are sold as; `product_codes` parted by semicolons or line breaks."""

    company: str
    code: str
    name: str
    tax_group: str
    product_codes: str
    revenue_account: str
    modified_at: datetime


class ProductRow(Payload):
    """A released product of kind service, with the category that carries its account."""

    company: str
    code: str
    name: str
    category: str
    product_codes: str
    modified_at: datetime


class PriceRow(Payload):
    """An hourly price of a price group."""

    company: str
    card: str
    role: str
    currency: str
    rate: Decimal
    effective_from: WrittenDay
    effective_to: MaybeDay = None
    modified_at: datetime


class TermRow(Payload):
    """Terms of payment."""

    company: str
    name: str
    days: int
    months: int


class TaxGroupRow(Payload):
    """A code of a sales tax group."""

    company: str
    group: str
    tax_code: str


class TaxValueRow(Payload):
    """The rate of a sales tax code."""

    company: str
    tax_code: str
    percent: Decimal


class CustomerRow(Payload):
    """A customer of one company."""

    company: str
    account: str
    external_id: str
    modified_at: datetime


class ProjectRow(Payload):
    """A project or sub-project, of either set."""

    company: str
    number: str
    name: str
    contract: str
    parent: str
    stage: str
    external_id: str
    modified_at: datetime


class ContractRow(Payload):
    """A project contract, of either set; without an id of ours it only carries a project yet."""

    company: str
    number: str
    external_id: str
    schedule_id: str
    modified_at: datetime


class ContractLineRow(Payload):
    """A billing rule of a contract."""

    company: str
    contract: str
    sequence: int


class FundingSourceRow(Payload):
    """Who pays for a contract."""

    company: str
    contract: str
    number: str


class ForecastRow(Payload):
    """An amount to be invoiced on account."""

    company: str
    number: str
    project: str
    contract: str
    external_id: str


class DocumentRow(Payload):
    """A free text invoice or an invoice proposal; `number` is empty until it is posted."""

    company: str
    record: str = Field(coerce_numbers_to_str=True)
    number: str
    invoice_on: WrittenDay
    currency: str
    external_id: str
    customer_id: str
    period: str
    corrected: str
    is_posted: YesNo | None = None
    modified_at: datetime

    @property
    def has_been_posted(self) -> bool:
        """Whether it is an invoice already."""
        return bool(self.number) if self.is_posted is None else self.is_posted == "Yes"


class DocumentLineRow(Payload):
    """A line of a document; proposals know no tax by line."""

    company: str
    document: str = Field(coerce_numbers_to_str=True)
    sequence: Decimal
    amount: Decimal
    tax: Decimal | None = None
    line_id: str


class TotalRow(Payload):
    """Totals of a posted sales or free text invoice."""

    company: str
    number: str
    tax: Decimal


class TransactionRow(Payload):
    """An entry in a customer's account: an invoice or a payment."""

    company: str
    record: int
    kind: str
    number: str
    voucher: str
    account: str
    booked_on: WrittenDay
    currency: str
    amount: Decimal
    settled: Decimal
    modified_at: datetime


class PaymentLineRow(Payload):
    """A line of a payment journal."""

    company: str
    journal: str
    sequence: Decimal
    voucher: str
    marked_invoice: str
    marked_company: str


class SettledRow(Payload):
    """What a payment line settled."""

    company: str
    journal: str
    sequence: Decimal
    number: str
    invoice_company: str
    amount: Decimal


class Page(BaseModel):
    """One page of an entity set."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    value: tuple[dict[str, Any], ...]
    next_link: str | None = Field(default=None, alias="@odata.nextLink")


class ActionAnswer(BaseModel):
    """What an action of the data management framework answers."""

    value: str | bool


class BlobPlace(BaseModel):
    """Where a package is to be put; comes as JSON in a text."""

    url: str = Field(alias="BlobUrl", min_length=1)


class PostingAnswer(BaseModel):
    """What the posting service says: posted, or why not."""

    is_posted: YesNo = Field(alias="IsPosted")
    number: str = Field(default="", alias="InvoiceId")
    infolog: str = Field(default="", alias="Infolog")


class PublicProperty(BaseModel):
    """A field as the metadata service tells it."""

    name: str = Field(alias="Name")
    label: str = Field(default="", alias="LabelId")
    is_key: bool = Field(default=False, alias="IsKey")
    is_mandatory: bool = Field(alias="IsMandatory")
    may_edit: bool = Field(alias="AllowEdit")
    may_create: bool = Field(alias="AllowEditOnCreate")


class PublicEntity(BaseModel):
    """A data entity as the metadata service tells it."""

    name: str = Field(alias="Name")
    properties: tuple[PublicProperty, ...] = Field(alias="Properties")


class BusinessEvent(BaseModel):
    """The envelope of a business event, with the facts that lead back to the record."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event_id: str = Field(alias="BusinessEventId", min_length=1, max_length=200)
    company: str = Field(alias="BusinessEventLegalEntity", max_length=10)
    control_number: int = Field(alias="ControlNumber")
    told_at: datetime = Field(alias="EventTimeIso8601")
    invoice: str = Field(default="", alias="InvoiceId", max_length=100)
    voucher: str = Field(default="", alias="Voucher", max_length=100)
