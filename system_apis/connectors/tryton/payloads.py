"""Tryton's records as they come in: only fields that are used; unknown ones are ignored."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field


class Payload(BaseModel):
    """A record or a part of one."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Record(Payload):
    """Anything with an id and a last change."""

    id: int
    last_modified_at: datetime


class Coded(Payload):
    """Related data of which the code is asked."""

    code: str | None


class Named(Payload):
    """Related data of which the name is asked."""

    name: str | None


class Country(Payload):
    """An address's country."""

    country: Coded | None


class Category(Payload):
    """A category of parties, perhaps below another."""

    name: str
    parent: Named | None = None


# --- legal entities, services, prices ------------------------------------------------------------------------------
class CompanyParty(Payload):
    """The party a company is."""

    code: str
    name: str
    addresses: list[Country]
    categories: list[Category]


class Company(Record):
    """A company of the firm."""

    party: CompanyParty
    currency: Coded


class Tax(Record):
    """A tax of one company."""

    name: str
    company: int
    rate: Decimal | None
    invoice_account: int | None


class Account(Payload):
    """A revenue account."""

    id: int
    code: str | None


class AccountCategory(Payload):
    """How a product is booked, as the asking company sees it."""

    account_revenue: Account | None


class Product(Record):
    """A service that can be invoiced."""

    code: str | None
    template: Named
    identifiers: list[Coded]
    account_category: AccountCategory | None
    default_uom: int


class PriceCompany(Payload):
    """The company a price list belongs to."""

    currency: Coded


class PriceList(Payload):
    """The list a price stands in."""

    id: int
    name: str
    company: PriceCompany


class Price(Record):
    """A dated price of one role."""

    price_list: PriceList
    product: Named | None
    formula: str
    start_date: date | None
    end_date: date | None


class TermDelta(Payload):
    """How far a due date lies ahead."""

    days: int | None = None
    months: int | None = None
    weeks: int | None = None
    day: int | None = None


class TermLine(Payload):
    """One due part of a payment term."""

    type: str
    relativedeltas: list[TermDelta]


class Term(Payload):
    """A payment term."""

    id: int
    lines: list[TermLine]

    @property
    def days(self) -> int | None:
        """Net days; None where it is no plain `net n days`."""
        if len(self.lines) != 1 or self.lines[0].type != "remainder":
            return None
        deltas = self.lines[0].relativedeltas
        if any(delta.months or delta.weeks or delta.day for delta in deltas):
            return None
        return sum(delta.days or 0 for delta in deltas)


# --- customers -----------------------------------------------------------------------------------------------------
class Identifier(Payload):
    """A number a party is known by; without a type it is one of ours, or a tag."""

    id: int
    code: str
    type: str | None = None


class Address(Payload):
    """A postal address."""

    id: int
    street: str | None
    city: str | None
    postal_code: str | None
    country: Coded | None


class Relation(Payload):
    """How a party stands to another."""

    type: Named
    to: int


class Party(Record):
    """A company or person the firm deals with."""

    name: str | None
    code: str | None
    addresses: list[Address]
    identifiers: list[Identifier]
    relations: list[Relation]
    categories: list[Category]


class Person(Payload):
    """Somebody who books time."""

    id: int
    identifiers: list[Coded]


# --- deals ---------------------------------------------------------------------------------------------------------
class PartyCode(Payload):
    """The company's party."""

    party: Coded


class PartyName(Payload):
    """The employee's party."""

    party: Named


class PartyRef(Payload):
    """A party's id and code."""

    id: int
    code: str | None


class DealTags(Payload):
    """What a deal's comment says."""

    region: str | None
    revision: int | None


class Deal(Record):
    """An opportunity."""

    reference: str | None
    description: str | None
    party: PartyRef | None
    state: str
    amount: Decimal | None
    currency: Coded
    end_date: date | None
    company: PartyCode
    employee: PartyName | None
    comment: DealTags
    sales: list[int]


class SaleTags(Payload):
    """What an order's comment says of the contract."""

    contract: str | None
    contract_id: str | None
    approval: str | None
    signed: date | None
    cap: Decimal | None
    rate_card: str | None
    revision: int | None
    project: str | None


class Sale(Record):
    """The order of a deal: its contract."""

    reference: str | None
    origin: str | None
    state: str
    currency: Coded
    payment_term: int | None
    sale_date: date | None
    comment: SaleTags


class LineTags(Payload):
    """What a line's note says."""

    line: str | None
    workstream: str | None
    billing_model: str | None
    start: date | None
    milestone: str | None
    amount: Decimal | None
    due: date | None


class LineSale(Payload):
    """The order a line belongs to."""

    id: int
    origin: str | None
    state: str
    currency: Coded


class SaleLine(Record):
    """A sold service, or (as a comment) a milestone."""

    type: str
    sale: LineSale
    product: Coded | None
    description: str | None
    amount: Decimal | None
    note: LineTags


# --- work ----------------------------------------------------------------------------------------------------------
class WorkTags(Payload):
    """What the comment of a project or task says."""

    project: str | None
    workstream: str | None
    milestone: str | None
    reference: str | None
    amount: str | None
    due: str | None
    completed: date | None
    schedule: str | None


class CompanyFacts(Payload):
    """The company a project belongs to."""

    party: Coded
    currency: Coded


class Work(Record):
    """A project, workstream or milestone."""

    name: str
    type: str
    parent: int | None
    status: Named
    progress: Decimal | None
    company: CompanyFacts
    comment: WorkTags


class TimesheetWork(Payload):
    """What time is booked on."""

    id: int
    origin: str | None


class PersonName(Payload):
    """A person's id and name."""

    id: int
    name: str | None


class EmployeeFacts(Payload):
    """Who booked."""

    party: PersonName


class TimeTags(Payload):
    """What the description of an entry says."""

    entry: str | None
    role: str | None
    billable: str | None
    approved: str | None
    text: str | None


class TimesheetLine(Record):
    """Hours of one person on one day."""

    work: int
    employee: EmployeeFacts
    date: date
    duration: timedelta
    description: TimeTags


class NoteTags(Payload):
    """What a note says."""

    mark: str | None
    time: str | None
    milestones: str | None


class Note(Record):
    """A note on another record."""

    resource: str
    message: NoteTags


# --- receivables ---------------------------------------------------------------------------------------------------
class InvoiceTags(Payload):
    """What an invoice's comment says."""

    period: str | None
    contract: str | None
    project: str | None
    customer: str | None


class InvoiceCompany(Payload):
    """The company that sends it."""

    id: int
    party: Coded


class InvoiceRecord(Record):
    """A customer invoice."""

    reference: str | None
    number: str | None
    state: str
    company: InvoiceCompany
    currency: Coded
    party: int
    invoice_date: date | None
    untaxed_amount: Decimal
    tax_amount: Decimal
    total_amount: Decimal
    amount_to_pay: Decimal
    reconciled: date | None
    comment: InvoiceTags


class MoveLine(Record):
    """Money booked against an invoice."""

    invoice_payment: int
    date: date
    credit: Decimal
    amount_second_currency: Decimal | None
    second_currency: Coded | None
    company: PriceCompany
    party: int | None


class Stamped(Record):
    """A record of which only the change is asked."""


class FieldInfo(Payload):
    """A field as `fields_get` tells it."""

    type: str
    string: str = ""
    required: bool = False
    readonly: bool = False
    selection: list[list[str | None]] | str | None = Field(default=None)
