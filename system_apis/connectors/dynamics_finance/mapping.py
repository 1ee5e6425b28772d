"""Between the business language and the product's rows (named as in `fields.yaml`): total functions, no wire."""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from shared.canonical.billing import ContractLine, ErpContract, ScheduleEntry
from shared.canonical.catalog import LegalEntity, Rate, RateCard, ServiceItem
from shared.canonical.customers import Customer
from shared.canonical.money import Money
from shared.canonical.opportunities import BillingModel
from shared.canonical.projects import PlacedPart, Project, ProjectPlan, Workstream
from shared.canonical.references import Written
from shared.errors.taxonomy import FieldFinding, VendorDrift
from system_apis.connectors.dynamics_finance.payloads import (
    CategoryRow,
    ContractRow,
    CustomerRow,
    LegalEntityRow,
    PriceRow,
    ProjectRow,
)
from system_apis.ports.binding import Binding

Values = dict[str, Any]
IN_USE: Final = "InProcess"
OUT_OF_USE: Final = "Completed"
_VENDOR: Final = "dynamics_finance"
_NUMBER: Final = 20
SHORT: Final = 60
LONG: Final = 1000
_PLAIN: Final = re.compile(r"(?:[a-z]{3}_)?([A-Za-z0-9][A-Za-z0-9_-]{0,19})")
_SATURDAY: Final = 5
_METHODS: Final[Mapping[BillingModel, str]] = {
    BillingModel.TIME_AND_MATERIALS: "TimeAndMaterial",
    BillingModel.FIXED_FEE: "FixedPrice",
    BillingModel.MILESTONE: "Milestone",
    BillingModel.RETAINER: "FixedPrice",
    BillingModel.SUBSCRIPTION: "FixedPrice",
}


def to_number(identifier: str) -> str:
    """A number of the product's (20 letters) for an id of ours: the id without its prefix, or a digest of it."""
    plain = _PLAIN.fullmatch(identifier)
    if plain:
        return plain.group(1).upper()
    return b32encode(hashlib.sha256(identifier.encode()).digest())[:_NUMBER].decode()


def to_version(etag: str, *content: object) -> str:
    """A version marker: the row's ETag, and a digest of what matters beside the row."""
    return hashlib.sha256("\x1f".join([etag, *map(str, content)]).encode()).hexdigest()[:16]


def to_money(amount: Decimal, currency: str, field: str) -> Money:
    """An amount as answered; more digits than the currency knows are drift, never rounded away."""
    money = Money.of(amount, currency)
    if money.amount != amount:
        raise VendorDrift(
            f"{_VENDOR} answers {field} {amount} {currency}: more digits than the currency knows",
            findings=[FieldFinding(field, "more digits than the currency knows")],
        )
    return money


def moment_text(moment: datetime) -> str:
    """An instant as conditions write it: whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def working_day(day: date) -> date:
    """The day itself, or the Monday after a weekend: classic projects take working days only."""
    return day + timedelta(days=7 - day.weekday()) if day.weekday() >= _SATURDAY else day


def to_written(
    binding: Binding, identifier: str, row: CustomerRow | ContractRow, number: str, *, was_created: bool
) -> Written:
    """Where a record stands; its ref names company and number."""
    source = binding.source(f"{row.company}:{number}", to_version(row.etag), row.modified_at)
    return Written(id=identifier, source=source, was_created=was_created)


# --- reference data --------------------------------------------------------------------------------------------------
def to_legal_entity(binding: Binding, row: LegalEntityRow, currency: str) -> LegalEntity:
    """A company that carries a code of ours, in the currency of its ledger."""
    return LegalEntity(
        tenant=binding.tenant,
        id=binding.identify("legal_entity", row.id),
        source=binding.source(row.id, to_version(row.etag, currency), row.modified_at),
        code=row.code,
        name=row.name,
        country=row.country,
        currency=currency,
        is_approved=row.is_approved == "Yes",
        standard_tax_rate=row.tax_rate,
    )


def product_codes(text: str, otherwise: str) -> list[str]:
    """The codes of a list parted by semicolons or line breaks; an item without codes is sold under its own."""
    return [code.strip() for code in re.split(r"[;\r\n]", text or otherwise) if code.strip()]


def to_service_items(
    binding: Binding, rows: Sequence[CategoryRow], legal_entities: Mapping[str, str]
) -> tuple[ServiceItem, ...]:
    """One entry per product code and item; companies that sell it are named where not all of them do.

    `legal_entities`: company → our code; `rows`: an item as each company keeps it.
    """
    found: dict[tuple[str, str], list[CategoryRow]] = {}
    for row in rows:
        if row.company in legal_entities:
            for code in product_codes(row.product_codes, row.code):
                found.setdefault((code, row.code), []).append(row)
    return tuple(
        _service_item(binding, code, kept, legal_entities) for (code, _), kept in sorted(found.items(), key=_first)
    )


def _first(pair: tuple[tuple[str, str], list[CategoryRow]]) -> tuple[str, str]:
    return pair[0]


def _service_item(
    binding: Binding, code: str, rows: Sequence[CategoryRow], legal_entities: Mapping[str, str]
) -> ServiceItem:
    first = rows[0]
    sellers = sorted(legal_entities[row.company] for row in rows)
    return ServiceItem(
        tenant=binding.tenant,
        id=binding.identify("service_item", f"{first.code}:{code}"),
        source=binding.source(
            first.code, to_version(first.etag, *(row.etag for row in rows)), max(row.modified_at for row in rows)
        ),
        product_code=code,
        item_code=first.code,
        name=first.name or first.code,
        revenue_account=first.revenue_account or None,
        legal_entity_codes=None if len(sellers) == len(legal_entities) else tuple(sellers),
    )


def to_rate_cards(binding: Binding, rows: Sequence[PriceRow]) -> tuple[RateCard, ...]:
    """Prices by price group and currency; a price that several companies keep alike counts once."""
    cards: dict[tuple[str, str], list[PriceRow]] = {}
    for row in rows:
        if row.card and row.role:
            cards.setdefault((row.card, row.currency), []).append(row)
    return tuple(_rate_card(binding, code, currency, group) for (code, currency), group in sorted(cards.items()))


def _rate_card(binding: Binding, code: str, currency: str, rows: Sequence[PriceRow]) -> RateCard:
    rates = {(row.role, row.rate, row.effective_from, row.effective_to): row for row in rows}
    return RateCard(
        tenant=binding.tenant,
        id=binding.identify("rate_card", f"{code}:{currency}"),
        source=binding.source(code, to_version("", *(row.etag for row in rows)), max(row.modified_at for row in rows)),
        code=code,
        currency=currency,
        rates=tuple(
            Rate(role=role, rate=rate, effective_from=starts, effective_to=ends) for role, rate, starts, ends in rates
        ),
    )


# --- delivery --------------------------------------------------------------------------------------------------------
def from_customer(customer: Customer) -> Values:
    """What is brought to the given state each time; account, group and currency are set once."""
    bill_to = customer.bill_to
    return {
        "external_id": customer.id,
        "name": customer.name[:100],
        "tax_id": customer.tax_id or "",
        "requires_purchase_order": customer.requires_purchase_order,
        "industry": (customer.industry or "")[:SHORT],
        "address_name": "Bill to",
        "street": bill_to.street or "",
        "city": bill_to.city or "",
        "postal_code": bill_to.postal_code or "",
        "country": bill_to.country or "",
    }


def from_project(plan: ProjectPlan, start_on: date) -> Values:
    """The project itself; company, number, group and contract are set once."""
    return {
        "external_id": plan.id,
        "name": plan.name[:SHORT],
        "stage": IN_USE,
        "start_on": start_on,
        "opportunity": plan.opportunity_reference[:SHORT],
        "budget": plan.budget.amount,
        "template": (plan.template or "")[:SHORT],
    }


def from_workstream(workstream: Workstream, start_on: date) -> Values:
    """The sub-project of a workstream."""
    return {
        "external_id": workstream.id,
        "name": workstream.name[:SHORT],
        "stage": IN_USE,
        "start_on": start_on,
        "billing_model": workstream.billing_model.value,
        "item_code": workstream.item_code,
        "budget": workstream.budget.amount,
    }


def to_project(binding: Binding, row: ProjectRow, children: Sequence[ProjectRow]) -> Project:
    """A project with its sub-projects."""
    return Project(
        tenant=binding.tenant,
        id=row.external_id,
        source=binding.source(
            f"{row.company}:{row.number}", to_version(row.etag, *(child.etag for child in children)), row.modified_at
        ),
        name=row.name,
        workstreams=tuple(
            PlacedPart(id=child.external_id, ref=f"{child.company}:{child.number}")
            for child in children
            if child.external_id
        ),
        milestones=(),
    )


def from_contract(contract: ErpContract) -> Values:
    """The contract of either set; what only Project Operations keeps is added by `from_contract_terms`."""
    return {
        "external_id": contract.id,
        "name": contract.reference[:SHORT],
        "reference": contract.reference[:SHORT],
        "project_id": contract.project_id,
        "customer_id": contract.customer_id,
        "rate_card": contract.rate_card_code or "",
        "starts_on": contract.starts_on,
        "cap": contract.cap.amount if contract.cap else None,
    }


def from_contract_line(line: ContractLine) -> Values:
    """A billing rule, without its place."""
    return {
        "reference": to_number(line.workstream_id),
        "name": line.description[:SHORT],
        "description": line.description[:LONG],
        "line_type": "Billing",
        "billing_method": _METHODS[line.billing_model],
        "amount": line.amount.amount,
        "item_code": line.item_code,
    }


def from_schedule_entry(entry: ScheduleEntry, project: str) -> Values:
    """An on-account forecast, without its company, number and contract."""
    return {
        "external_id": entry.milestone_id,
        "reference": entry.reference[:SHORT],
        "name": f"{entry.name} ({entry.reference})"[:SHORT],
        "project": project,
        "due_on": entry.due_on,
        "project_on": entry.due_on,
        "amount": entry.amount.amount,
        "currency": entry.amount.currency,
        "quantity": Decimal(1),
    }
