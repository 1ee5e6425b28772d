"""What this connector reads of the package's rows, under its field names; nothing else of the vendor enters."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Final

from pydantic import Field

from system_apis.dialects.salesforce.soql import Part

CLIENT_NAME: Final = "throughline"
PROJECT, PHASE, BUDGET, MILESTONE = "pse__Proj__c", "pse__Project_Phase__c", "pse__Budget__c", "pse__Milestone__c"
HEADER, SPLIT, EXPENSE = "pse__Timecard_Header__c", "pse__Timecard__c", "pse__Expense__c"
BATCH, EVENT, ITEM = "pse__Billing_Event_Batch__c", "pse__Billing_Event__c", "pse__Billing_Event_Item__c"
OUR_ID, OUR_CUSTOMER, OUR_ITEM = "Throughline_Id__c", "Throughline_Customer_Id__c", "Throughline_Key__c"
DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Payload(Part):
    """A row."""

    id: str = Field(alias="Id")
    system_modstamp: datetime = Field(alias="SystemModstamp")


class ProjectPayload(Payload):
    """pse__Proj__c."""

    entity = "project"

    our_id: str | None = Field(alias="Throughline_Id__c")
    copy_job: str | None = Field(alias="Throughline_Copy_Job__c")
    name: str = Field(alias="Name")
    currency: str = Field(alias="CurrencyIsoCode")
    account_id: str | None = Field(alias="pse__Account__c")
    stage: str | None = Field(alias="pse__Stage__c")
    billing_type: str | None = Field(alias="pse__Billing_Type__c")
    start_on: date | None = Field(alias="pse__Start_Date__c")
    is_active: bool = Field(alias="pse__Is_Active__c")
    is_billable: bool = Field(alias="pse__Is_Billable__c")
    is_template: bool = Field(alias="pse__Is_Template__c")
    closed_for_time: bool = Field(alias="pse__Closed_for_Time_Entry__c")
    closed_for_expenses: bool = Field(alias="pse__Closed_for_Expense_Entry__c")
    notes: str | None = Field(alias="pse__Notes__c")
    deal: str | None = Field(alias="Throughline_Deal__c")
    contract: str | None = Field(alias="Throughline_Contract__c")
    legal_entity: str | None = Field(alias="Legal_Entity__c")
    created_at: datetime = Field(alias="CreatedDate")
    created_by: str = Field(alias="CreatedById")


class JobPayload(Part):
    """AsyncApexJob."""

    id: str = Field(alias="Id")
    status: str = Field(alias="Status")
    errors: int | None = Field(alias="NumberOfErrors")
    told: str | None = Field(alias="ExtendedStatus")


class ProjectPart(Part):
    """What billing asks of the project of a record."""

    our_id: str = Field(alias="Throughline_Id__c")
    account_id: str | None = Field(alias="pse__Account__c")
    is_excluded: bool = Field(alias="pse__Exclude_From_Billing__c")


class PhasePart(Part):
    """The phase a timecard is booked on."""

    our_id: str | None = Field(alias="Throughline_Id__c")


class ResourcePart(Part):
    """The contact who worked."""

    name: str | None = Field(alias="Name")
    role: str | None = Field(alias="pse__Resource_Role__c")


class AssignmentPart(Part):
    """What the resource was assigned as."""

    role: str | None = Field(alias="pse__Role__c")


class Billable(Payload):
    """The flags that splits, expenses and milestones share."""

    is_approved: bool = Field(alias="pse__Approved__c")
    is_in_financials: bool = Field(alias="pse__Include_In_Financials__c")
    is_held: bool = Field(alias="pse__Billing_Hold__c")
    is_excluded: bool = Field(alias="pse__Exclude_from_Billing__c")
    is_billed: bool = Field(alias="pse__Billed__c")
    billed_on: date | None = Field(alias="pse__Bill_Date__c")
    is_invoiced: bool = Field(alias="pse__Invoiced__c")
    invoice_ref: str | None = Field(alias="pse__Invoice_Number__c")
    invoice_on: date | None = Field(alias="pse__Invoice_Date__c")
    item_id: str | None = Field(alias="pse__Billing_Event_Item__c")


class SplitPayload(Billable):
    """pse__Timecard__c, the part of a timecard that lies in one month."""

    entity = "time_split"

    start_on: date = Field(alias="pse__Start_Date__c")
    end_on: date = Field(alias="pse__End_Date__c")
    is_billable: bool = Field(alias="pse__Billable__c")
    monday_hours: Decimal | None = Field(alias="pse__Monday_Hours__c")
    tuesday_hours: Decimal | None = Field(alias="pse__Tuesday_Hours__c")
    wednesday_hours: Decimal | None = Field(alias="pse__Wednesday_Hours__c")
    thursday_hours: Decimal | None = Field(alias="pse__Thursday_Hours__c")
    friday_hours: Decimal | None = Field(alias="pse__Friday_Hours__c")
    saturday_hours: Decimal | None = Field(alias="pse__Saturday_Hours__c")
    sunday_hours: Decimal | None = Field(alias="pse__Sunday_Hours__c")
    monday_notes: str | None = Field(alias="pse__Monday_Notes__c")
    tuesday_notes: str | None = Field(alias="pse__Tuesday_Notes__c")
    wednesday_notes: str | None = Field(alias="pse__Wednesday_Notes__c")
    thursday_notes: str | None = Field(alias="pse__Thursday_Notes__c")
    friday_notes: str | None = Field(alias="pse__Friday_Notes__c")
    saturday_notes: str | None = Field(alias="pse__Saturday_Notes__c")
    sunday_notes: str | None = Field(alias="pse__Sunday_Notes__c")

    def hours(self, day: date) -> Decimal:
        """Hours of a day; a blank counts as none."""
        found: Decimal | None = getattr(self, f"{DAYS[day.weekday()]}_hours")
        return found or Decimal(0)

    def notes(self, day: date) -> str | None:
        """What the person wrote on a day."""
        found: str | None = getattr(self, f"{DAYS[day.weekday()]}_notes")
        return found


class HeldSplitPayload(SplitPayload):
    """A split with the timecard it is part of."""

    header_id: str = Field(alias="pse__Timecard_Header__c")


class SplitsPayload(Part):
    """Splits of a timecard as a child result."""

    records: tuple[SplitPayload, ...]


class TimecardPayload(Payload):
    """pse__Timecard_Header__c with its splits: one person, one project, one week."""

    entity = "time_entry"

    created_at: datetime = Field(alias="CreatedDate")
    name: str = Field(alias="Name")
    project: ProjectPart = Field(alias="pse__Project__r")
    phase: PhasePart | None = Field(alias="pse__Project_Phase_Object__r")
    resource_id: str = Field(alias="pse__Resource__c")
    resource: ResourcePart | None = Field(alias="pse__Resource__r")
    assignment: AssignmentPart | None = Field(alias="pse__Assignment__r")
    start_on: date = Field(alias="pse__Start_Date__c")
    end_on: date = Field(alias="pse__End_Date__c")
    monday_reference: str | None = Field(alias="Monday_Reference__c")
    tuesday_reference: str | None = Field(alias="Tuesday_Reference__c")
    wednesday_reference: str | None = Field(alias="Wednesday_Reference__c")
    thursday_reference: str | None = Field(alias="Thursday_Reference__c")
    friday_reference: str | None = Field(alias="Friday_Reference__c")
    saturday_reference: str | None = Field(alias="Saturday_Reference__c")
    sunday_reference: str | None = Field(alias="Sunday_Reference__c")
    splits: SplitsPayload | None = Field(alias="pse__TimecardSplits__r")

    def reference(self, day: date) -> str | None:
        """What people know the hours of a day by."""
        found: str | None = getattr(self, f"{DAYS[day.weekday()]}_reference")
        return found


class ExpensePayload(Billable):
    """pse__Expense__c."""

    entity = "expense"

    project: ProjectPart = Field(alias="pse__Project__r")
    number: str = Field(alias="Name")
    reference: str | None = Field(alias="pse__Mobile_Expense_Reference_ID__c")
    resource_id: str = Field(alias="pse__Resource__c")
    category: str | None = Field(alias="pse__Type__c")
    spent_on: date = Field(alias="pse__Expense_Date__c")
    amount: Decimal = Field(alias="pse__Billing_Amount__c")
    currency: str = Field(alias="pse__Billing_Currency__c")
    is_billable: bool = Field(alias="pse__Billable__c")


class MilestonePayload(Billable):
    """pse__Milestone__c."""

    entity = "milestone"

    our_id: str | None = Field(alias="Throughline_Id__c")
    reference: str | None = Field(alias="Throughline_Reference__c")
    phase_id: str | None = Field(alias="Workstream__c")
    name: str = Field(alias="Name")
    project_id: str = Field(alias="pse__Project__c")
    project: ProjectPart = Field(alias="pse__Project__r")
    amount: Decimal = Field(alias="pse__Milestone_Amount__c")
    currency: str = Field(alias="CurrencyIsoCode")
    due_on: date = Field(alias="pse__Target_Date__c")
    completed_on: date | None = Field(alias="pse__Actual_Date__c")
    status: str | None = Field(alias="pse__Status__c")


class BatchPart(Part):
    """The batch of an event."""

    key: str | None = Field(alias="pse__Batch_Key__c")


class EventPayload(Payload):
    """pse__Billing_Event__c: what stands on one invoice."""

    entity = "billing_event"

    key: str = Field(alias="pse__Event_Key__c")
    project_id: str | None = Field(alias="pse__Project__c")
    batch: BatchPart | None = Field(alias="pse__Billing_Event_Batch__r")
    currency: str | None = Field(alias="CurrencyIsoCode")
    billed_on: date | None = Field(alias="pse__Date__c")
    is_approved: bool = Field(alias="pse__Is_Approved__c")
    is_released: bool = Field(alias="pse__Is_Released__c")
    is_invoiced: bool = Field(alias="pse__Invoiced__c")
    invoice_ref: str | None = Field(alias="pse__Invoice_Number__c")
    invoice_on: date | None = Field(alias="pse__Invoice_Date__c")


class EventPart(Part):
    """The event of an item."""

    key: str | None = Field(alias="pse__Event_Key__c")


class ItemPayload(Part):
    """pse__Billing_Event_Item__c: one record on an event; of a split perhaps only some days."""

    entity = "billing_item"

    id: str = Field(alias="Id")
    key: str | None = Field(alias="Throughline_Key__c")
    days: str | None = Field(alias="Throughline_Days__c")
    event: EventPart | None = Field(alias="pse__Billing_Event__r")
    category: str | None = Field(alias="pse__Category__c")
    billed_id: str = Field(alias="pse__Object_Id__c")
    split_id: str | None = Field(alias="pse__Timecard_Split__c")
    expense_id: str | None = Field(alias="pse__Expense__c")
    milestone_id: str | None = Field(alias="pse__Milestone__c")
    hours: Decimal | None = Field(alias="pse__Quantity__c")
    billed_on: date | None = Field(alias="pse__Date__c")
    description: str | None = Field(alias="pse__Description__c")
