"""S/4HANA's words to ours; total functions without effects."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from shared.canonical.catalog import LegalEntity, Rate, RateCard, ServiceItem
from shared.canonical.invoices import Invoice, InvoiceState, Payment, PaymentApplication
from shared.canonical.money import Money
from shared.canonical.projects import PlacedPart, Project
from shared.canonical.references import Written
from shared.errors.taxonomy import FieldFinding, VendorDrift
from system_apis.connectors.s4hana.payloads import (
    CompanyRow,
    DescriptionRow,
    ElementRow,
    EntityRow,
    InvoiceRow,
    LineRow,
    OrderRow,
    PartnerRow,
    ProductRow,
    ProjectRow,
    RateRow,
)
from system_apis.ports.binding import Binding

VENDOR = "s4hana"
MILESTONE_MARK = "X"
CLEARED = "C"
_KEEPABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,59}")
_KEEPABLE_OBJECT = re.compile(r"[a-z0-9][a-z0-9._-]{0,23}")


@dataclass(frozen=True, slots=True)
class Organisation:
    """A legal entity with the country and currency of its company code."""

    entity: EntityRow
    company: CompanyRow


def is_keepable(identifier: str) -> bool:
    """Whether a custom field can hold this id of ours; one it cannot hold is surely not there."""
    return _KEEPABLE.fullmatch(identifier) is not None


def is_keepable_object(identifier: str) -> bool:
    """Whether a project or element can bear this id: S/4HANA keeps 24 capitals, so ours has no capitals of its own."""
    return _KEEPABLE_OBJECT.fullmatch(identifier) is not None


def to_version(moment: datetime, *content: object) -> str:
    """A version marker: S/4HANA tells instants, cut to the millisecond, and a digest of what matters."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in content).encode()).hexdigest()[:8]
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%S.%f}-{digest}"


def to_money(amount: Decimal, currency: str, field: str) -> Money:
    """An amount as answered; more digits than the currency knows are drift, never rounded away."""
    money = Money.of(amount, currency)
    if money.amount != amount:
        raise _drift(field, f"{VENDOR} answers {field} {amount} {currency}: more digits than the currency knows")
    return money


# --- reference data ----------------------------------------------------------------------------------------------
def to_legal_entity(binding: Binding, organisation: Organisation) -> LegalEntity:
    """A legal entity with what its company code says."""
    row, company = organisation.entity, organisation.company
    content = (row.code, row.name, company.country, company.currency, row.is_approved, row.tax_rate)
    return LegalEntity(
        tenant=binding.tenant,
        id=binding.identify("legal_entity", str(row.ref)),
        source=binding.source(str(row.ref), to_version(row.modified, *content), row.modified),
        code=row.code,
        name=row.name,
        country=company.country,
        currency=company.currency,
        is_approved=row.is_approved,
        standard_tax_rate=row.tax_rate,
    )


def to_service_items(binding: Binding, row: ProductRow, names: Sequence[DescriptionRow]) -> tuple[ServiceItem, ...]:
    """One entry per product code sold as this product; a product without codes is sold under its own."""
    codes = [code.strip() for code in (row.codes or row.item_code).splitlines() if code.strip()]
    name = next((one.text for one in names if one.language == "EN"), names[0].text if names else row.item_code)
    version = to_version(row.modified, row.item_code, name, row.codes, row.revenue_account)
    return tuple(
        ServiceItem(
            tenant=binding.tenant,
            id=binding.identify("service_item", f"{row.item_code}:{code}"),
            source=binding.source(row.item_code, version, row.modified),
            product_code=code,
            item_code=row.item_code,
            name=name or row.item_code,
            revenue_account=row.revenue_account,
        )
        for code in codes
    )


def to_rate_cards(binding: Binding, rows: Iterable[RateRow]) -> tuple[RateCard, ...]:
    """Prices grouped by card and currency."""
    cards: dict[tuple[str, str], list[RateRow]] = {}
    for row in rows:
        cards.setdefault((row.card, row.currency), []).append(row)
    return tuple(_rate_card(binding, group) for group in cards.values())


def _rate_card(binding: Binding, rows: Sequence[RateRow]) -> RateCard:
    first, latest = rows[0], max(row.modified for row in rows)
    content = [(row.role, row.rate, row.starts, row.ends) for row in rows]
    ref = f"{first.card}:{first.currency}"
    return RateCard(
        tenant=binding.tenant,
        id=binding.identify("rate_card", ref),
        source=binding.source(ref, to_version(latest, *content), latest),
        code=first.card,
        currency=first.currency,
        rates=tuple(
            Rate(role=row.role, rate=row.rate, effective_from=row.starts, effective_to=row.ends) for row in rows
        ),
    )


# --- delivery ----------------------------------------------------------------------------------------------------
def to_written_customer(binding: Binding, identifier: str, row: PartnerRow, *, was_created: bool) -> Written:
    """Where a customer stands."""
    return Written(
        id=identifier, source=binding.source(row.partner, row.version or row.partner), was_created=was_created
    )


def to_written_order(binding: Binding, identifier: str, row: OrderRow, *, was_created: bool) -> Written:
    """Where a contract or its schedule stands."""
    source = binding.source(row.order, to_version(row.modified, row.order), row.modified)
    return Written(id=identifier, source=source, was_created=was_created)


def to_project(binding: Binding, row: ProjectRow, elements: Sequence[ElementRow]) -> Project:
    """A project with its elements sorted into workstreams and milestones; the root is the project itself."""
    parts = [one for one in elements if one.parent is not None]
    version = to_version(row.modified, row.status, row.name, *(one.element for one in parts))
    return Project(
        tenant=binding.tenant,
        id=row.project.lower(),
        source=binding.source(str(row.uuid), version, row.modified),
        name=row.name,
        workstreams=tuple(_placed(one) for one in parts if one.milestone != MILESTONE_MARK),
        milestones=tuple(_placed(one) for one in parts if one.milestone == MILESTONE_MARK),
    )


def _placed(row: ElementRow) -> PlacedPart:
    return PlacedPart(id=row.element.lower(), ref=row.element)


# --- receivables -------------------------------------------------------------------------------------------------
def to_invoice(binding: Binding, row: InvoiceRow, *, legal_entity: str, paid: Decimal) -> Invoice:
    """A billing document; `paid` is what payments have taken off it so far."""
    net, tax = to_money(row.net, row.currency, "TotalNetAmount"), to_money(row.tax, row.currency, "TaxAmount")
    gross = to_money(row.gross, row.currency, "TotalGrossAmount")
    covered = to_money(paid, row.currency, "AmountInTransactionCurrency")
    state = _state(row)
    ours = row.ours if row.ours and is_keepable(row.ours) else None
    return Invoice(
        tenant=binding.tenant,
        id=ours or binding.identify("invoice", row.document),
        source=binding.source(row.document, to_version(row.modified, net, tax, gross, covered, state), row.modified),
        number=row.document,
        period=row.period,
        customer_id=row.customer,
        legal_entity_code=legal_entity,
        invoice_on=row.invoice_on,
        state=state,
        net=net,
        tax=tax,
        gross=gross,
        paid=covered,
    )


def _state(row: InvoiceRow) -> InvoiceState:
    if row.is_cancelled:
        return InvoiceState.VOIDED
    if row.posting != CLEARED:
        return InvoiceState.PENDING_APPROVAL
    return InvoiceState.PAID if row.clearing == CLEARED else InvoiceState.OPEN


def payment_ref(row: LineRow) -> str:
    """How a payment is named: company code, fiscal year, journal entry."""
    return f"{row.company}-{row.fiscal_year}-{row.entry}"


@dataclass(frozen=True, slots=True)
class Cleared:
    """An invoice that a payment cleared without naming it, with what was still open."""

    invoice: InvoiceRow
    amount: Decimal


def to_payment(
    binding: Binding,
    lines: Sequence[LineRow],
    *,
    invoices: Mapping[tuple[str, str], InvoiceRow],
    cleared: Sequence[Cleared],
    customers: Mapping[str, str],
) -> Payment:
    """A payment from the customer lines of its journal entry.

    `invoices` by company code and journal entry; `cleared` those the payment cleared without pointing at them.
    """
    first = lines[0]
    total = to_money(-sum((line.amount for line in lines), Decimal(0)), first.currency, "AmountInTransactionCurrency")
    applications: list[PaymentApplication] = []
    for line in lines:
        if line.invoice is None:
            continue
        invoice = invoices.get((line.company, line.invoice))
        if invoice is None:
            raise _drift("InvoiceReference", f"{VENDOR} points at journal entry {line.invoice}, which bills nothing")
        applications.append(_application(binding, invoice, -line.amount))
    applications += [_application(binding, one.invoice, one.amount) for one in cleared]
    modified = max(line.modified for line in lines)
    ref = payment_ref(first)
    shown = [(one.invoice_ref, one.amount) for one in applications]
    return Payment(
        tenant=binding.tenant,
        id=binding.identify("payment", ref),
        source=binding.source(ref, to_version(modified, total, *shown), modified),
        customer_id=customers.get(first.customer or ""),
        received_on=first.posted_on,
        amount=total,
        applications=tuple(applications),
    )


def _application(binding: Binding, invoice: InvoiceRow, amount: Decimal) -> PaymentApplication:
    ours = invoice.ours if invoice.ours and is_keepable(invoice.ours) else None
    return PaymentApplication(
        invoice_id=ours or binding.identify("invoice", invoice.document),
        invoice_ref=invoice.document,
        amount=to_money(amount, invoice.currency, "AmountInTransactionCurrency"),
    )


def _drift(field: str, sentence: str) -> VendorDrift:
    return VendorDrift(sentence, findings=[FieldFinding(field, "does not fit")])
