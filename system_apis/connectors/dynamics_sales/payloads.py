"""What this connector reads of Dataverse's rows, under the standard places of `fields.yaml`; nothing else enters."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

FORMATTED = "OData.Community.Display.V1.FormattedValue"
OPEN, WON = 0, 1
ACTIVE = 0


class Payload(BaseModel):
    """A row; fields have no defaults, since a column that is not in the answer is drift."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    set_name: ClassVar[str] = ""
    key: ClassVar[str] = ""

    version: int = Field(alias="versionnumber")
    modified_on: datetime = Field(alias="modifiedon")


class CurrencyPayload(BaseModel):
    """The currency of a row's sums."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str = Field(alias="isocurrencycode")


class ProductPayload(BaseModel):
    """The product a line sells."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: str = Field(alias="productnumber")


class AccountPayload(Payload):
    """A row of account."""

    set_name = "accounts"
    key = "accountid"

    id: str = Field(alias="accountid")
    name: str = Field(alias="name")
    parent_id: str | None = Field(alias="_parentaccountid_value")
    line1: str | None = Field(alias="address1_line1")
    line2: str | None = Field(alias="address1_line2")
    line3: str | None = Field(alias="address1_line3")
    city: str | None = Field(alias="address1_city")
    postal_code: str | None = Field(alias="address1_postalcode")
    country: str | None = Field(alias="address1_country")
    tax_id: str | None = Field(alias="thl_taxid")
    po_required: bool | None = Field(alias="thl_porequired")
    industry: str | int | None = Field(alias="industrycode")


class OpportunityPayload(Payload):
    """A row of opportunity."""

    set_name = "opportunities"
    key = "opportunityid"

    id: str = Field(alias="opportunityid")
    reference: str | None = Field(alias="thl_reference")
    name: str = Field(alias="name")
    account_id: str = Field(alias="_parentaccountid_value")
    state: int = Field(alias="statecode")
    estimated: Decimal | None = Field(alias="estimatedvalue")
    actual: Decimal | None = Field(alias="actualvalue")
    currency: CurrencyPayload = Field(alias="transactioncurrencyid")
    expected_on: date | None = Field(alias="estimatedclosedate")
    closed_on: date | None = Field(alias="actualclosedate")
    region: str | None = Field(alias="thl_region")
    legal_entity: str | None = Field(alias="thl_legalentity")
    sales_owner: str | None = Field(alias="thl_salesowner")
    record_owner: str | None = Field(alias="_ownerid_value")
    revision: int | None = Field(alias="thl_revision")


class LinePayload(Payload):
    """A row of opportunityproduct."""

    set_name = "opportunityproducts"
    key = "opportunityproductid"

    id: str = Field(alias="opportunityproductid")
    reference: str | None = Field(alias="thl_reference")
    parent_id: str = Field(alias="_opportunityid_value")
    product: ProductPayload | None = Field(alias="productid")
    write_in: str | None = Field(alias="productdescription")
    workstream: str = Field(alias="thl_workstream")
    extended: Decimal = Field(alias="extendedamount")
    tax: Decimal | None = Field(alias="tax")
    pricing_error: int | None = Field(alias="pricingerrorcode")
    billing_model: str = Field(alias="thl_billingmodel")
    start_on: date | None = Field(alias="thl_starton")


class ContractPayload(Payload):
    """A row of thl_contract."""

    set_name = "thl_contracts"
    key = "thl_contractid"

    id: str = Field(alias="thl_contractid")
    reference: str | None = Field(alias="thl_reference")
    name: str | None = Field(alias="thl_name")
    opportunity_id: str = Field(alias="_thl_opportunityid_value")
    state: int = Field(alias="statecode")
    approval: str | None = Field(alias="thl_approval")
    currency: CurrencyPayload = Field(alias="transactioncurrencyid")
    signed_on: date | None = Field(alias="thl_signedon")
    cap: Decimal | None = Field(alias="thl_capamount")
    po_number: str | None = Field(alias="thl_ponumber")
    rate_card: str | None = Field(alias="thl_ratecard")
    payment_terms_days: int = Field(alias="thl_paymenttermsdays")
    revision: int | None = Field(alias="thl_revision")


class MilestonePayload(Payload):
    """A row of thl_milestone."""

    set_name = "thl_milestones"
    key = "thl_milestoneid"

    id: str = Field(alias="thl_milestoneid")
    reference: str | None = Field(alias="thl_reference")
    name: str = Field(alias="thl_name")
    parent_id: str = Field(alias="_thl_contractid_value")
    line_reference: str = Field(alias="thl_linereference")
    workstream: str = Field(alias="thl_workstream")
    amount: Decimal = Field(alias="thl_amount")
    currency: CurrencyPayload = Field(alias="transactioncurrencyid")
    due_on: date = Field(alias="thl_dueon")


class DeliveryPayload(BaseModel):
    """The delivery columns as they stand, beside the deal or on it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: str | None = Field(alias="thl_deliverystage")
    project_id: str | None = Field(alias="thl_projectid")
    project_ref: str | None = Field(alias="thl_psaprojectid")
    message: str | None = Field(alias="thl_deliverymessage")


class Deal(BaseModel):
    """A deal with its lines."""

    model_config = ConfigDict(frozen=True)

    row: OpportunityPayload
    children: tuple[LinePayload, ...] = ()


class Agreement(BaseModel):
    """A contract with its milestones."""

    model_config = ConfigDict(frozen=True)

    row: ContractPayload
    children: tuple[MilestonePayload, ...] = ()


class Buyer(BaseModel):
    """A customer; nothing belongs to it."""

    model_config = ConfigDict(frozen=True)

    row: AccountPayload
    children: tuple[()] = ()


class AttributePayload(BaseModel):
    """A column as the metadata tells it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    class Level(BaseModel):
        """How much a column is wanted."""

        model_config = ConfigDict(frozen=True, extra="ignore")

        value: str = Field(alias="Value")

    class Named(BaseModel):
        """A text in the languages of the environment."""

        model_config = ConfigDict(frozen=True, extra="ignore")

        class One(BaseModel):
            """In the user's language."""

            model_config = ConfigDict(frozen=True, extra="ignore")

            label: str | None = Field(alias="Label", default=None)

        user: One | None = Field(alias="UserLocalizedLabel", default=None)

    name: str = Field(alias="LogicalName")
    kind: str = Field(alias="AttributeType")
    level: Level = Field(alias="RequiredLevel")
    is_created: bool = Field(alias="IsValidForCreate")
    is_updated: bool = Field(alias="IsValidForUpdate")
    is_id: bool = Field(alias="IsPrimaryId")
    label: Named | None = Field(alias="DisplayName", default=None)


class OptionsPayload(BaseModel):
    """A column with a closed list of values."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    class Listed(BaseModel):
        """The list."""

        model_config = ConfigDict(frozen=True, extra="ignore")

        class One(BaseModel):
            """A value of the list."""

            model_config = ConfigDict(frozen=True, extra="ignore")

            value: int = Field(alias="Value")

        options: tuple[One, ...] = Field(alias="Options")

    name: str = Field(alias="LogicalName")
    own: Listed | None = Field(alias="OptionSet", default=None)
    shared: Listed | None = Field(alias="GlobalOptionSet", default=None)


class WayPayload(BaseModel):
    """How a lookup is written: the navigation property and where it leads."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    column: str = Field(alias="ReferencingAttribute")
    navigation: str = Field(alias="ReferencingEntityNavigationPropertyName")
    table: str = Field(alias="ReferencedEntity")


class TablePayload(BaseModel):
    """How a table is addressed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(alias="LogicalName")
    set_name: str = Field(alias="EntitySetName")


class KeyValue(BaseModel):
    """A pair of an execution context."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    value: object = None


class ContextPayload(BaseModel):
    """The execution context a webhook step posts; its heavy parts are missing in a message that was cut down."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    message: str = Field(alias="MessageName", min_length=1)
    table: str = Field(alias="PrimaryEntityName", min_length=1)
    row_id: str = Field(alias="PrimaryEntityId", min_length=1)
    created_on: str = Field(alias="OperationCreatedOn")
    correlation_id: str = Field(alias="CorrelationId", min_length=1)
    user_id: str = Field(alias="InitiatingUserId", default="")
    inputs: tuple[KeyValue, ...] = Field(alias="InputParameters", default=())
    before: tuple[KeyValue, ...] = Field(alias="PreEntityImages", default=())
    after: tuple[KeyValue, ...] = Field(alias="PostEntityImages", default=())
