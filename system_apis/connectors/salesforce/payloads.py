"""What this connector reads of Salesforce's rows, under the vendor's field names; nothing else of the vendor enters."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from types import UnionType
from typing import Any, ClassVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field

CLIENT_NAME = "throughline"
DELIVERY_FIELDS = ("Delivery_Stage__c", "Throughline_Project_Id__c", "PSA_Project_Id__c", "Delivery_Message__c")


class Payload(BaseModel):
    """A row; fields have no defaults, since a field that is not in the answer is drift."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(alias="Id")
    system_modstamp: datetime = Field(alias="SystemModstamp")


class OwnerPayload(BaseModel):
    """The parent row of an owner."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(alias="Name")


class LinePayload(Payload):
    """OpportunityLineItem."""

    sobject: ClassVar = "OpportunityLineItem"

    reference: str | None = Field(alias="Reference__c")
    product_code: str | None = Field(alias="ProductCode")
    name: str | None = Field(alias="Name")
    workstream: str = Field(alias="Workstream__c")
    total_price: Decimal = Field(alias="TotalPrice")
    billing_model: str = Field(alias="Billing_Model__c")
    service_date: date | None = Field(alias="ServiceDate")


class LinesPayload(BaseModel):
    """Lines of a deal as a child result."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    records: tuple[LinePayload, ...]


class OpportunityPayload(Payload):
    """Opportunity with its lines."""

    sobject: ClassVar = "Opportunity"

    reference: str | None = Field(alias="Reference__c")
    name: str = Field(alias="Name")
    account_id: str = Field(alias="AccountId")
    is_closed: bool = Field(alias="IsClosed")
    is_won: bool = Field(alias="IsWon")
    amount: Decimal = Field(alias="Amount")
    currency: str = Field(alias="CurrencyIsoCode")
    close_date: date = Field(alias="CloseDate")
    region: str | None = Field(alias="Region__c")
    legal_entity: str | None = Field(alias="Legal_Entity__c")
    sales_owner: str | None = Field(alias="Sales_Owner__c")
    owner: OwnerPayload | None = Field(alias="Owner")
    revision: Decimal | None = Field(alias="Revision__c")
    lines: LinesPayload | None = Field(alias="OpportunityLineItems")


class AccountPayload(Payload):
    """Account."""

    sobject: ClassVar = "Account"

    name: str = Field(alias="Name")
    parent_id: str | None = Field(alias="ParentId")
    street: str | None = Field(alias="BillingStreet")
    city: str | None = Field(alias="BillingCity")
    postal_code: str | None = Field(alias="BillingPostalCode")
    country_code: str | None = Field(alias="BillingCountryCode")
    tax_id: str | None = Field(alias="Tax_Id__c")
    po_required: bool = Field(alias="PO_Required__c")
    industry: str | None = Field(alias="Industry")


class MilestonePayload(Payload):
    """Billing_Milestone__c."""

    sobject: ClassVar = "Billing_Milestone__c"

    reference: str | None = Field(alias="Reference__c")
    name: str = Field(alias="Name")
    line_reference: str = Field(alias="Line_Reference__c")
    workstream: str = Field(alias="Workstream__c")
    amount: Decimal = Field(alias="Amount__c")
    currency: str = Field(alias="CurrencyIsoCode")
    due_date: date = Field(alias="Due_Date__c")


class MilestonesPayload(BaseModel):
    """Milestones of a contract as a child result."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    records: tuple[MilestonePayload, ...]


class ContractPayload(Payload):
    """Contract with its billing milestones."""

    sobject: ClassVar = "Contract"

    reference: str | None = Field(alias="Reference__c")
    number: str = Field(alias="ContractNumber")
    opportunity_id: str = Field(alias="Opportunity__c")
    status: str = Field(alias="Status")
    status_code: str = Field(alias="StatusCode")
    currency: str = Field(alias="CurrencyIsoCode")
    signed_date: date | None = Field(alias="CustomerSignedDate")
    cap_amount: Decimal | None = Field(alias="Cap_Amount__c")
    po_number: str | None = Field(alias="PO_Number__c")
    rate_card: str | None = Field(alias="Rate_Card__c")
    payment_terms_days: Decimal = Field(alias="Payment_Terms_Days__c")
    revision: Decimal | None = Field(alias="Revision__c")
    milestones: MilestonesPayload | None = Field(alias="Billing_Milestones__r")


class DeliveryPayload(BaseModel):
    """The fields of a deal that we write, as they stand."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: str | None = Field(alias="Delivery_Stage__c")
    project_id: str | None = Field(alias="Throughline_Project_Id__c")
    project_ref: str | None = Field(alias="PSA_Project_Id__c")
    message: str | None = Field(alias="Delivery_Message__c")


def columns(model: type[BaseModel]) -> str:
    """The SELECT list that fills a payload: its fields, its parents' fields as paths, its children as subqueries."""
    listed: list[str] = []
    for field in model.model_fields.values():
        name = field.alias or ""
        inner = _model_in(field.annotation)
        if inner is None:
            listed.append(name)
        elif "records" in inner.model_fields:
            row = _model_in(inner.model_fields["records"].annotation)
            listed.append(f"(SELECT {columns(row or inner)} FROM {name} ORDER BY Id)")
        else:
            listed.extend(f"{name}.{parent.alias}" for parent in inner.model_fields.values())
    return ", ".join(listed)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {Union, UnionType, tuple}:
        return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
    return None
