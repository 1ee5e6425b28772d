"""Tryton's words to ours and back for reference data, projects and work; total functions without effects."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from shared.canonical.billing import BillingMark, ScheduleEntry
from shared.canonical.catalog import LegalEntity, Rate, RateCard, ServiceItem
from shared.canonical.money import Hours, Money
from shared.canonical.projects import MilestonePlan, PlacedPart, Project, ProjectPlan, Workstream
from shared.canonical.references import Written
from shared.canonical.time import MilestoneCompletion, TimeEntry
from shared.errors.taxonomy import FieldFinding, OutcomeUnknown, VendorDrift
from system_apis.connectors.tryton.payloads import (
    Company,
    Price,
    Product,
    Record,
    TimesheetLine,
    Work,
)
from system_apis.ports.binding import Binding

Body = dict[str, Any]
PROJECT, TASK = "project", "task"
DONE = Decimal(1)
NOTHING = Decimal(0)
_HOUR = Decimal(3600)


def to_version(moment: datetime, *content: object) -> str:
    """A version marker: the instant of the change and a digest of what hangs on the record."""
    digest = hashlib.sha256("\x1f".join(map(str, content)).encode()).hexdigest()[:8] if content else ""
    return f"{moment.isoformat()}{'-' if digest else ''}{digest}"


def to_money(amount: Decimal, currency: str, field: str) -> Money:
    """An amount as answered; more digits than the currency knows are drift, never rounded away."""
    money = Money.of(amount, currency)
    if money.amount != amount:
        raise unusable(field, f"{amount} {currency} has more digits than the currency knows")
    return money


def to_written(binding: Binding, identifier: str, record: Record, *, was_created: bool) -> Written:
    """Where a record stands."""
    at = record.last_modified_at
    return Written(id=identifier, source=binding.source(str(record.id), to_version(at), at), was_created=was_created)


def customer_id(binding: Binding, number: int, code: str | None) -> str:
    """Our id of a party: its code where we made it for another CRM's customer."""
    return code if code and code.startswith("cus_") else binding.identify("customer", str(number))


def known(code: str | None, field: str) -> str:
    """A code that must be there."""
    if not code:
        raise unusable(field, "is blank")
    return code


def unusable(field: str, reason: str) -> VendorDrift:
    """What Tryton told is of no use."""
    return VendorDrift(f"tryton answers {field} that cannot be used: {reason}", findings=[FieldFinding(field, reason)])


def vanished(what: str, identifier: str) -> OutcomeUnknown:
    """Tryton took a record and does not show it."""
    return OutcomeUnknown(f"tryton took {what} {identifier} but does not have it.")


# --- reference data ------------------------------------------------------------------------------------------------
def to_legal_entity(binding: Binding, company: Company, rate: Decimal, approved: str) -> LegalEntity:
    """A company; it may be worked with when its party is in the category of the approved ones."""
    party, at = company.party, company.last_modified_at
    countries = [address.country.code for address in party.addresses if address.country]
    is_approved = any(category.name == approved for category in party.categories)
    currency = known(company.currency.code, "currency.code")
    country = known(countries[0] if countries else None, "party.addresses.country.code")
    return LegalEntity(
        tenant=binding.tenant,
        id=binding.identify("legal_entity", str(company.id)),
        source=binding.source(
            str(company.id), to_version(at, party.code, party.name, country, currency, is_approved, rate), at
        ),
        code=party.code,
        name=party.name,
        country=country,
        currency=currency,
        is_approved=is_approved,
        standard_tax_rate=rate,
    )


def to_service_items(binding: Binding, product: Product) -> tuple[ServiceItem, ...]:
    """One entry per product code it is sold under; without codes it is sold under its own."""
    code = known(product.code, "code")
    account = product.account_category.account_revenue if product.account_category else None
    sold = [one.code for one in product.identifiers if one.code] or [code]
    at = product.last_modified_at
    version = to_version(at, code, product.template.name, *sold, account.code if account else "")
    return tuple(
        ServiceItem(
            tenant=binding.tenant,
            id=binding.identify("service_item", f"{product.id}:{one}"),
            source=binding.source(str(product.id), version, at),
            product_code=one,
            item_code=code,
            name=product.template.name or code,
            revenue_account=account.code if account else None,
        )
        for one in sold
    )


def to_rate_cards(binding: Binding, prices: Sequence[Price]) -> tuple[RateCard, ...]:
    """Dated prices grouped by price list; a line without a role or a first day is none of a rate card."""
    cards: dict[int, list[Price]] = {}
    for price in prices:
        if price.product is not None and price.start_date is not None:
            cards.setdefault(price.price_list.id, []).append(price)
    return tuple(_rate_card(binding, lines) for lines in cards.values())


def _rate_card(binding: Binding, prices: Sequence[Price]) -> RateCard:
    first, at = prices[0].price_list, max(price.last_modified_at for price in prices)
    rates = tuple(
        Rate(
            role=known(price.product.name if price.product else None, "product.name"),
            rate=_price(price.formula),
            effective_from=price.start_date or date.min,
            effective_to=price.end_date,
        )
        for price in prices
    )
    return RateCard(
        tenant=binding.tenant,
        id=binding.identify("rate_card", str(first.id)),
        source=binding.source(str(first.id), to_version(at, first.name, *rates), at),
        code=first.name,
        currency=known(first.company.currency.code, "price_list.company.currency.code"),
        rates=rates,
    )


def _price(formula: str) -> Decimal:
    try:
        return Decimal(formula.strip())
    except InvalidOperation as error:
        raise unusable("formula", f"{formula!r} is no fixed price") from error


# --- projects ------------------------------------------------------------------------------------------------------
def from_plan(plan: ProjectPlan, *, status: int, party: int | None) -> Body:
    """The project itself; Tryton bills nothing of it by itself."""
    return {
        "name": plan.name,
        "type": PROJECT,
        "party": party,
        "status": status,
        "project_invoice_method": "manual",
        "timesheet_available": True,
        "comment": {
            "project": plan.id,
            "opportunity": plan.opportunity_reference,
            "contract": plan.contract_reference,
            "template": plan.template,
        },
    }


def from_workstream(stream: Workstream, parent: int | None, status: int) -> Body:
    """A workstream as a task that takes time."""
    return {
        "name": stream.name,
        "type": TASK,
        "parent": parent,
        "status": status,
        "timesheet_available": True,
        "comment": {
            "workstream": stream.id,
            "item": stream.item_code,
            "billing_model": stream.billing_model.value,
            "amount": str(stream.budget),
        },
    }


def from_milestone(
    milestone: MilestonePlan | ScheduleEntry, identifier: str, parent: int | None, status: int, currency: str | None
) -> Body:
    """A milestone as a task with its price; a price in another currency than the company's stands in the comment."""
    body: Body = {
        "name": milestone.name,
        "type": TASK,
        "parent": parent,
        "status": status,
        "timesheet_available": False,
        "comment": {
            "milestone": identifier,
            "reference": milestone.reference,
            "amount": str(milestone.amount),
            "due": milestone.due_on.isoformat(),
        },
    }
    if milestone.amount.currency == currency:
        body["list_price"] = milestone.amount.amount
    return body


def to_project(binding: Binding, project_id: str, parts: Sequence[Work], *, with_milestones: bool) -> Project:
    """The project from its tree, the project itself first."""
    root = parts[0]
    streams = [PlacedPart(id=one.comment.workstream, ref=str(one.id)) for one in parts if one.comment.workstream]
    due = [PlacedPart(id=one.comment.milestone, ref=str(one.id)) for one in parts if one.comment.milestone]
    at = max(one.last_modified_at for one in parts)
    return Project(
        tenant=binding.tenant,
        id=project_id,
        source=binding.source(str(root.id), to_version(at, len(parts)), at),
        name=root.name,
        workstreams=tuple(streams),
        milestones=tuple(due) if with_milestones else (),
    )


# --- work ----------------------------------------------------------------------------------------------------------
def to_time_entry(
    binding: Binding, line: TimesheetLine, *, project_id: str, workstream_id: str | None, role: str | None, billed: bool
) -> TimeEntry:
    """A timesheet line; what Tryton does not know of it stands in its description."""
    tags, at, person = line.description, line.last_modified_at, line.employee.party
    ref = str(line.id)
    return TimeEntry(
        tenant=binding.tenant,
        id=binding.identify("time_entry", ref),
        source=binding.source(ref, to_version(at), at),
        reference=tags.entry or ref,
        project_id=project_id,
        workstream_id=workstream_id,
        resource_id=binding.identify("resource", str(person.id)),
        resource_name=person.name,
        role=tags.role or role,
        work_on=line.date,
        hours=to_hours(line.duration),
        is_billable=tags.billable is not None,
        is_approved=tags.approved is not None,
        is_billed=billed,
        notes=tags.text,
    )


def to_hours(duration: timedelta) -> Hours:
    """Hours as Decimal; a duration that is no round part of an hour is told to four places."""
    seconds = Decimal(duration.days * 86400 + duration.seconds)
    hours = seconds / _HOUR
    return hours.quantize(Decimal("0.01")) if seconds % 36 == 0 else hours.quantize(Decimal("0.0001"))


def to_completion(binding: Binding, work: Work, *, project_id: str, accepted: str, billed: bool) -> MilestoneCompletion:
    """A milestone that was reached; one that was opened again is not approved."""
    at, ref = work.last_modified_at, str(work.id)
    return MilestoneCompletion(
        tenant=binding.tenant,
        id=known(work.comment.milestone, "comment.milestone"),
        source=binding.source(ref, to_version(at), at),
        project_id=project_id,
        milestone_id=known(work.comment.milestone, "comment.milestone"),
        reference=work.comment.reference or ref,
        completed_on=work.comment.completed or at.date(),
        is_approved=work.progress == DONE and work.status.name == accepted,
        is_billed=billed,
    )


def from_mark(mark: BillingMark, project: int) -> Body:
    """The note on the project that says what stands on which invoice."""
    return {
        "resource": f"project.work,{project}",
        "message": {
            "mark": mark.invoice_id,
            "invoice_ref": mark.invoice_ref,
            "invoice_on": mark.invoice_on.isoformat(),
            "po": mark.purchase_order,
            "time": " ".join(mark.time_entry_refs) or None,
            "milestones": " ".join(mark.milestone_refs) or None,
            "expenses": " ".join(mark.expense_refs) or None,
        },
    }
