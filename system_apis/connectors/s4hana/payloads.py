"""S/4HANA's shapes, only the fields used; strangers among the fields are ignored, missing ones are drift."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from system_apis.dialects.odata import v2_moment


def _moment(value: Any) -> Any:
    return v2_moment(value) if isinstance(value, str) and value.startswith("/Date(") else value


def _day(value: Any) -> Any:
    moment = _moment(value)
    return moment.date() if isinstance(moment, datetime) else moment


def _bare(value: Any) -> Any:
    """Numbers come with or without their leading zeros; one form is kept."""
    return unpadded(value) if isinstance(value, str) else value


def _blank(value: Any) -> Any:
    return None if value == "" else value


def _amount(value: Any) -> Any:
    """Amounts are texts; a number has been through a binary float."""
    if isinstance(value, float | int):
        message = "an amount is a text of digits"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a finding
    return value


def unpadded(text: str) -> str:
    """A number without its leading zeros; other texts as they are."""
    return (text.lstrip("0") or "0") if text.isdigit() else text


Number = Annotated[str, BeforeValidator(_bare)]
Reference = Annotated[str | None, BeforeValidator(lambda value: _blank(_bare(value)))]
Optional = Annotated[str | None, BeforeValidator(_blank)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
DayOf = Annotated[date, BeforeValidator(_day)]
OpenDay = Annotated[date | None, BeforeValidator(_day)]
Money2 = Annotated[Decimal, BeforeValidator(_amount)]


class Payload(BaseModel):
    """Root of rows; S/4HANA's own spelling stands in the aliases."""

    model_config = ConfigDict(frozen=True, extra="ignore")


# --- reference data ----------------------------------------------------------------------------------------------
class CompanyRow(Payload):
    """A company code."""

    code: str = Field(alias="CompanyCode")
    country: str = Field(alias="Country")
    currency: str = Field(alias="Currency")


class EntityRow(Payload):
    """A legal entity, as the installation's custom business object ties it to the organisation."""

    ref: UUID = Field(alias="SAP_UUID")
    modified: Moment = Field(alias="SAP_LastChangedDateTime")
    code: str = Field(alias="Code")
    name: str = Field(alias="LegalName")
    company: str = Field(alias="CompanyCode")
    sales_organization: str = Field(alias="SalesOrganization")
    distribution_channel: str = Field(alias="DistributionChannel")
    division: str = Field(alias="Division")
    cost_center: Optional = Field(alias="ResponsibleCostCenter")
    is_approved: bool = Field(alias="IsApproved")
    tax_rate: Money2 = Field(alias="StandardTaxRate")


class ProductRow(Payload):
    """A service product; `codes` holds the product codes sold as it, one per line."""

    item_code: str = Field(alias="Product")
    modified: Moment = Field(alias="LastChangeDateTime")
    codes: Optional = Field(alias="YY1_TLProductCodes_PRD")
    revenue_account: Optional = Field(alias="YY1_TLRevenueAccount_PRD")


class DescriptionRow(Payload):
    """A product's name in one language."""

    language: str = Field(alias="Language")
    text: str = Field(alias="ProductDescription")


class RateRow(Payload):
    """One price of a rate card."""

    ref: UUID = Field(alias="SAP_UUID")
    modified: Moment = Field(alias="SAP_LastChangedDateTime")
    card: str = Field(alias="RateCard")
    role: str = Field(alias="Role")
    rate: Money2 = Field(alias="Rate_V")
    currency: str = Field(alias="Rate_C")
    starts: DayOf = Field(alias="ValidFrom")
    ends: OpenDay = Field(alias="ValidTo")


# --- delivery ----------------------------------------------------------------------------------------------------
class IdentificationRow(Payload):
    """Which of our ids a business partner carries."""

    partner: Number = Field(alias="BusinessPartner")
    number: str = Field(alias="BPIdentificationNumber")


class PartnerRow(Payload):
    """A business partner."""

    partner: Number = Field(alias="BusinessPartner")
    uuid: UUID = Field(alias="BusinessPartnerUUID")
    version: str = Field(alias="ETag")


class AddressRow(Payload):
    """An address of a business partner."""

    address: Number = Field(alias="AddressID")


class ProjectRow(Payload):
    """An enterprise project."""

    uuid: UUID = Field(alias="ProjectUUID")
    project: str = Field(alias="Project")
    name: str = Field(alias="ProjectDescription")
    status: str = Field(alias="ProcessingStatus")
    modified: Moment = Field(alias="ProjectLastChangedDateTime")


class ElementRow(Payload):
    """A WBS element: the root (no parent), a workstream or a milestone."""

    uuid: UUID = Field(alias="ProjectElementUUID")
    element: str = Field(alias="ProjectElement")
    parent: UUID | None = Field(alias="ParentObjectUUID")
    status: str = Field(alias="ProcessingStatus")
    milestone: str = Field(alias="IsProjectMilestone")


class OrderRow(Payload):
    """A sales order."""

    order: Number = Field(alias="SalesOrder")
    modified: Moment = Field(alias="LastChangeDateTime")
    schedule: Optional = Field(alias="YY1_TLSchedule_SDH")


class OrderItemRow(Payload):
    """A line of a sales order."""

    order: Number = Field(alias="SalesOrder")
    item: Number = Field(alias="SalesOrderItem")
    workstream: Optional = Field(alias="YY1_TLWorkstream_SDI")
    category: str = Field(alias="SalesOrderItemCategory")


class ConditionRow(Payload):
    """A price of a line."""

    step: str = Field(alias="PricingProcedureStep")
    counter: str = Field(alias="PricingProcedureCounter")
    kind: str = Field(alias="ConditionType")
    rate: Money2 = Field(alias="ConditionRateValue")


class PlanRow(Payload):
    """A billing plan."""

    plan: Number = Field(alias="BillingPlan")


class PlanItemRow(Payload):
    """A date of a billing plan."""

    item: Number = Field(alias="BillingPlanItem")
    day: DayOf = Field(alias="BillingPlanBillingDate")
    amount: Money2 = Field(alias="BillingPlanAmount")
    billed: str = Field(alias="BillingPlanRelatedBillgStatus")


# --- receivables -------------------------------------------------------------------------------------------------
class RequestRow(Payload):
    """A debit memo request."""

    request: Number = Field(alias="DebitMemoRequest")
    net: Money2 = Field(alias="TotalNetAmount")
    block: Optional = Field(alias="HeaderBillingBlockReason")
    rejection: str = Field(alias="OverallSDDocumentRejectionSts")


class RequestItemRow(Payload):
    """A line of a debit memo request."""

    item: Number = Field(alias="DebitMemoRequestItem")


class MadeRow(Payload):
    """What the billing action says it made."""

    document: Number = Field(alias="BillingDocument")


class InvoiceRow(Payload):
    """A billing document."""

    document: Number = Field(alias="BillingDocument")
    modified: Moment = Field(alias="LastChangeDateTime")
    company: str = Field(alias="CompanyCode")
    sales_organization: str = Field(alias="SalesOrganization")
    currency: str = Field(alias="TransactionCurrency")
    net: Money2 = Field(alias="TotalNetAmount")
    tax: Money2 = Field(alias="TaxAmount")
    gross: Money2 = Field(alias="TotalGrossAmount")
    invoice_on: DayOf = Field(alias="BillingDocumentDate")
    is_cancelled: bool = Field(alias="BillingDocumentIsCancelled")
    posting: str = Field(alias="AccountingPostingStatus")
    clearing: str = Field(alias="InvoiceClearingStatus")
    entry: Reference = Field(alias="AccountingDocument")
    fiscal_year: str = Field(alias="FiscalYear")
    ours: Optional = Field(alias="YY1_TLInvoice_BDH")
    period: Optional = Field(alias="YY1_TLPeriod_BDH")
    customer: Optional = Field(alias="YY1_TLCustomer_BDH")


class LineRow(Payload):
    """A line of the ledger on a customer's account; credit is negative."""

    company: str = Field(alias="CompanyCode")
    fiscal_year: str = Field(alias="FiscalYear")
    entry: Number = Field(alias="AccountingDocument")
    amount: Money2 = Field(alias="AmountInTransactionCurrency")
    currency: str = Field(alias="TransactionCurrency")
    posted_on: DayOf = Field(alias="PostingDate")
    modified: Moment = Field(alias="LastChangeDateTime")
    customer: Reference = Field(alias="Customer")
    invoice: Reference = Field(alias="InvoiceReference")
    cleared_by: Reference = Field(alias="ClearingAccountingDocument")


class Stamp(Payload):
    """That something changed, and when."""

    modified: Moment = Field(alias="LastChangeDateTime")


class EventNotice(Payload):
    """A business event (CloudEvents 1.0) as the customer's integration flow forwards it; `data` holds keys only."""

    id: str = Field(min_length=1, max_length=200)
    type: str = Field(min_length=1, max_length=200)
    time: datetime | None = None
    data: dict[str, str]
