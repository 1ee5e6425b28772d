"""What this connector reads of Salesforce's rows, under the vendor's field names; nothing else of the vendor enters."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from pydantic import Field

from system_apis.dialects.salesforce.soql import Part

CLIENT_NAME = "throughline"


class Payload(Part):
    """A row."""

    id: str = Field(alias="Id")
    system_modstamp: datetime = Field(alias="SystemModstamp")


class OwnerPayload(Part):
    """The parent row of an owner."""

    name: str = Field(alias="Name")


class LinePayload(Payload):
    """OpportunityLineItem."""

    entity = "opportunity_line"

    reference: str | None = Field(alias="Reference__c")
    product_code: str | None = Field(alias="ProductCode")
    name: str | None = Field(alias="Name")
    workstream: str = Field(alias="Workstream__c")
    total_price: Decimal = Field(alias="TotalPrice")
    billing_model: str = Field(alias="Billing_Model__c")
    service_date: date | None = Field(alias="ServiceDate")


class LinesPayload(Part):
    """Lines of a deal as a child result."""

    records: tuple[LinePayload, ...]


class OpportunityPayload(Payload):
    """Opportunity with its lines."""

    entity = "opportunity"

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

    entity = "customer"

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

    entity = "contract_milestone"

    reference: str | None = Field(alias="Reference__c")
    name: str = Field(alias="Name")
    line_reference: str = Field(alias="Line_Reference__c")
    workstream: str = Field(alias="Workstream__c")
    amount: Decimal = Field(alias="Amount__c")
    currency: str = Field(alias="CurrencyIsoCode")
    due_date: date = Field(alias="Due_Date__c")


class MilestonesPayload(Part):
    """Milestones of a contract as a child result."""

    records: tuple[MilestonePayload, ...]


class ContractPayload(Payload):
    """Contract with its billing milestones."""

    entity = "contract"

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


class DeliveryPayload(Part):
    """The fields of a deal that we write, as they stand."""

    entity = "delivery_status"

    stage: str | None = Field(alias="Delivery_Stage__c")
    project_id: str | None = Field(alias="Throughline_Project_Id__c")
    project_ref: str | None = Field(alias="PSA_Project_Id__c")
    message: str | None = Field(alias="Delivery_Message__c")
