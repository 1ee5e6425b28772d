"""Oracle Fusion's shapes, only the attributes used; strangers among them are ignored, missing ones are drift."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal


class Payload(BaseModel):
    """Root of payloads: attributes in Oracle's spelling."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_pascal)


class Segments(BaseModel):
    """Root of flexfield rows: segments in our own spelling. An empty one is null; one that is not there is gone."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Page(BaseModel):
    """One page of a collection."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    items: tuple[dict[str, object], ...]
    has_more: bool = Field(alias="hasMore")


# --- reference data ----------------------------------------------------------------------------------------------
class LegalEntityRow(Payload):
    """A legal entity of the enterprise."""

    legal_entity_id: int
    legal_entity_identifier: str
    name: str
    country_code: str


class BusinessUnitRow(Payload):
    """A business unit with its legal entity and ledger."""

    business_unit_id: int
    business_unit_name: str
    legal_entity_id: int
    primary_ledger_id: int


class LedgerRow(Payload):
    """A ledger."""

    ledger_id: int
    currency_code: str


class EntitySegments(Segments):
    """What the firm says of a legal entity."""

    business_unit: str = Field(alias="businessUnit")
    identifier: str = Field(alias="legalEntityIdentifier")
    approved: str
    tax_rate: Decimal = Field(alias="taxRate")
    tax_regime: str = Field(alias="taxRegimeCode")
    tax_rate_code: str = Field(alias="taxRateCode")
    zero_tax_rate_code: str = Field(alias="zeroTaxRateCode")
    customer_set: int = Field(alias="customerSetId")


class EntityTermsRow(Payload):
    """A lookup code: one legal entity by the code people know it by."""

    lookup_code: str
    last_update_date: datetime
    segments: EntitySegments = Field(alias="lookupCodesDFF")


class ItemSegments(Segments):
    """What a sold product is invoiced as."""

    item_code: str = Field(alias="itemCode")
    revenue_account: str | None = Field(alias="revenueAccount")


class ProductRow(Payload):
    """A lookup code: one product of the CRM."""

    lookup_code: str
    meaning: str
    last_update_date: datetime
    segments: ItemSegments = Field(alias="lookupCodesDFF")


class MemoLineRow(Payload):
    """A memo line of Receivables."""

    memo_line_id: int
    memo_line_name: str
    description: str | None = None


class InventoryItemRow(Payload):
    """An inventory item."""

    item_id: int
    item_number: str
    item_description: str | None = None


class ScheduleRow(Payload):
    """A rate schedule."""

    rate_schedule_id: int
    schedule_name: str
    currency_code: str
    last_update_date: datetime


class RateRow(Payload):
    """One price of a rate schedule."""

    rate_id: int
    project_role_name: str
    rate: Decimal
    start_date_active: date
    end_date_active: date | None = None
    last_update_date: datetime


class PeriodRow(Payload):
    """A period of a ledger as receivables see it."""

    closing_status: str


# --- delivery ----------------------------------------------------------------------------------------------------
class AddressRow(Payload):
    """An address of a party."""

    address_id: int
    address_number: str


class OrganizationRow(Payload):
    """A party."""

    party_id: int
    party_number: str
    last_update_date: datetime


class SiteRow(Payload):
    """A use of a customer account's site."""

    customer_account_id: int
    account_number: str
    party_id: int
    set_id: int
    site_use_code: str
    site_number: str


class TaskRow(Payload):
    """A task of a project."""

    task_id: int
    task_number: str
    task_name: str
    parent_task_number: str | None = None
    source_task_reference: str | None = None


class ProjectSegments(Segments):
    """What we keep with a project."""

    contract: str | None = Field(alias="throughlineContract")


class ProjectRow(Payload):
    """A project."""

    project_id: int
    project_number: str
    project_name: str
    project_status_code: str
    source_project_reference: str | None = None
    last_update_date: datetime
    segments: ProjectSegments | None = Field(default=None, alias="ProjectDFF")


class ContractLineRow(Payload):
    """A line of a contract."""

    line_id: int
    line_number: str
    external_key: str | None = None
    sts_code: str | None = None


class ContractSegments(Segments):
    """What we keep with a contract."""

    schedule: str | None = Field(alias="throughlineSchedule")


class ContractRow(Payload):
    """A contract."""

    contract_id: int
    contract_number: str
    contract_type_name: str
    org_id: int
    last_update_date: datetime
    segments: ContractSegments | None = Field(default=None, alias="ContractHeaderFlexfieldVA")


class EventRow(Payload):
    """A billing event."""

    event_id: int
    source_reference: str
    bill_trns_amount: Decimal
    invoiced: str | None = None
    last_update_date: datetime


# --- receivables -------------------------------------------------------------------------------------------------
class TaxRow(Payload):
    """A tax line of an invoice line."""

    tax_amount: Decimal


class LineRow(Payload):
    """A line of an invoice."""

    line_amount: Decimal
    taxes: tuple[TaxRow, ...] = Field(default=(), alias="receivablesInvoiceLineTaxLines")


class InstallmentRow(Payload):
    """What falls due of a completed invoice."""

    installment_line_amount_original: Decimal
    installment_tax_amount_original: Decimal
    amount_paid: Decimal
    installment_amount_credited: Decimal


class InvoiceSegments(Segments):
    """What we keep with an invoice."""

    customer: str | None = Field(alias="throughlineCustomer")
    period: str | None = Field(alias="throughlinePeriod")


class InvoiceRow(Payload):
    """An invoice of Receivables."""

    customer_transaction_id: int
    transaction_number: str | None = None
    cross_reference: str | None = None
    transaction_date: date
    business_unit: str
    invoice_currency_code: str
    invoice_status: str
    entered_amount: Decimal
    last_update_date: datetime
    installments: tuple[InstallmentRow, ...] = Field(default=(), alias="receivablesInvoiceInstallments")
    segments: InvoiceSegments | None = Field(default=None, alias="receivablesInvoiceDFF")


class ReceiptRow(Payload):
    """A standard receipt."""

    standard_receipt_id: int
    receipt_date: date
    amount: Decimal
    currency: str
    customer_account_number: str | None = None
    state: str | None = None
    last_update_date: datetime


class AccountRow(Payload):
    """A customer account and what happened on it."""

    account_id: int
    account_number: str


class ApplicationRow(Payload):
    """What a receipt does to one transaction."""

    standard_receipt_id: int
    reference_transaction_id: int | None = None
    application_amount: Decimal
    application_status: str | None = None


class ChangedRow(Payload):
    """When something last changed."""

    last_update_date: datetime
