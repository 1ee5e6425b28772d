"""What the package's rooms share: field names by the day of the week, values of rows, and its two ways to refuse."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from deploy.sandbox.salesforce.errors import SalesforceError
from deploy.sandbox.salesforce.records import Row

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEK: Final = timedelta(days=6)
PROJECT, HEADER, SPLIT = "pse__Proj__c", "pse__Timecard_Header__c", "pse__Timecard__c"
MILESTONE, EXPENSE, REPORT = "pse__Milestone__c", "pse__Expense__c", "pse__Expense_Report__c"
EVENT, ITEM, BATCH = "pse__Billing_Event__c", "pse__Billing_Event_Item__c", "pse__Billing_Event_Batch__c"
SOURCES: Final = {SPLIT: "pse__Timecard_Split__c", EXPENSE: "pse__Expense__c", MILESTONE: "pse__Milestone__c"}


def hours_field(day: date) -> str:
    """The field that holds the hours of a day."""
    return f"pse__{DAYS[day.weekday()]}_Hours__c"


def notes_field(day: date) -> str:
    """The field that holds the notes of a day."""
    return f"pse__{DAYS[day.weekday()]}_Notes__c"


def day_of(row: Row, name: str) -> date | None:
    """A date of a row."""
    value = row.get(name)
    return value if isinstance(value, date) else None


def number_of(row: Row, name: str) -> Decimal:
    """A number of a row; nothing counts as zero."""
    value = row.get(name)
    return value if isinstance(value, Decimal) else Decimal(0)


def invalid(message: str, field: str | None = None) -> SalesforceError:
    """A validation rule of the package stands against it."""
    return SalesforceError(400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", message, [field] if field else [])


def stopped(message: str) -> SalesforceError:
    """The package's code, which runs on save, refuses it."""
    return SalesforceError(400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"pse: execution of trigger: {message}", [])
