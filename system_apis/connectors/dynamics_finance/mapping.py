"""Between the business language and the product's rows (named as in `fields.yaml`): total functions, no wire."""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from shared.canonical.billing import ContractLine, ErpContract, ScheduleEntry
from shared.canonical.catalog import LegalEntity, Rate, RateCard, ServiceItem
from shared.canonical.customers import Customer
from shared.canonical.invoices import Invoice, InvoiceDraft, InvoiceLine, InvoiceState, Payment, PaymentApplication
from shared.canonical.money import Money, minor_digits, rounded
from shared.canonical.opportunities import BillingModel
from shared.canonical.projects import PlacedPart, Project, ProjectPlan, Workstream
from shared.canonical.references import Written
from shared.errors.taxonomy import FieldFinding, VendorDrift
from system_apis.connectors.dynamics_finance.payloads import (
    CategoryRow,
    ContractRow,
    CustomerRow,
    DocumentRow,
    LegalEntityRow,
    PriceRow,
    ProjectRow,
    TransactionRow,
)
from system_apis.ports.binding import Binding

Values = dict[str, Any]
IN_USE: Final = "InProcess"
OUT_OF_USE: Final = "Completed"
_VENDOR: Final = "dynamics_finance"
_NUMBER: Final = 20
_SHORT: Final = 60
_LONG: Final = 1000
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
        "industry": (customer.industry or "")[:_SHORT],
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
        "name": plan.name[:_SHORT],
        "stage": IN_USE,
        "start_on": start_on,
        "opportunity": plan.opportunity_reference[:_SHORT],
        "budget": plan.budget.amount,
        "template": (plan.template or "")[:_SHORT],
    }


def from_workstream(workstream: Workstream, start_on: date) -> Values:
    """The sub-project of a workstream."""
    return {
        "external_id": workstream.id,
        "name": workstream.name[:_SHORT],
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
        "name": contract.reference[:_SHORT],
        "reference": contract.reference[:_SHORT],
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
        "name": line.description[:_SHORT],
        "description": line.description[:_LONG],
        "line_type": "Billing",
        "billing_method": _METHODS[line.billing_model],
        "amount": line.amount.amount,
        "item_code": line.item_code,
    }


def from_schedule_entry(entry: ScheduleEntry, project: str) -> Values:
    """An on-account forecast, without its company, number and contract."""
    return {
        "external_id": entry.milestone_id,
        "reference": entry.reference[:_SHORT],
        "name": f"{entry.name} ({entry.reference})"[:_SHORT],
        "project": project,
        "due_on": entry.due_on,
        "project_on": entry.due_on,
        "amount": entry.amount.amount,
        "currency": entry.amount.currency,
        "quantity": Decimal(1),
    }


# --- receivables -----------------------------------------------------------------------------------------------------
def shares(tax: Money, nets: Sequence[Money]) -> list[Decimal]:
    """The tax of an invoice spread over its lines by their nets, to the minor unit; the shares add up to it exactly.

    Cut off, then the units that are missing go to the lines that lost most.
    """
    step = Decimal(1).scaleb(-minor_digits(tax.currency))
    whole = sum((net.amount for net in nets), Decimal(0))
    if not whole:
        return [tax.amount, *[Decimal(0)] * (len(nets) - 1)]
    exact = [tax.amount * net.amount / whole for net in nets]
    cut = [amount.quantize(step, rounding=ROUND_DOWN) for amount in exact]
    missing = tax.amount - sum(cut, Decimal(0))
    unit = step if missing > 0 else -step
    order = sorted(range(len(nets)), key=lambda at: (exact[at] - cut[at]) * (1 if missing > 0 else -1), reverse=True)
    for turn in range(int(abs(missing) / step)):
        cut[order[turn % len(order)]] += unit
    return cut


def due_on(draft: InvoiceDraft) -> date:
    """The last day of payment."""
    return draft.invoice_on + timedelta(days=draft.payment_terms_days)


def from_draft(draft: InvoiceDraft) -> Values:
    """What both kinds of document carry."""
    return {
        "external_id": draft.id,
        "contract_id": draft.contract_id,
        "project_id": draft.project_id,
        "customer_id": draft.customer_id,
        "period": draft.period,
        "invoice_on": draft.invoice_on,
        "due_on": due_on(draft),
        "currency": draft.currency,
        "text": f"{draft.contract_reference} {draft.period}"[:100],
    }


def from_line(line: InvoiceLine, *, is_priced: bool) -> Values:
    """What a line of both kinds of document carries.

    `is_priced`: the product computes quantity times price, so the agreed net stands as the price of one.
    """
    figures = f"{line.description} ({line.quantity.normalize():f} x {line.rate:f})"
    return {
        "line_id": line.id,
        "workstream_id": line.workstream_id or "",
        "name": line.description[:_SHORT],
        "text": (figures if is_priced else line.description)[:_LONG],
        "quantity": Decimal(1) if is_priced else line.quantity,
        "price": line.net.amount if is_priced else line.rate,
        "amount": line.net.amount,
    }


def to_invoice(
    binding: Binding,
    entry: TransactionRow,
    *,
    legal_entity: str,
    document: DocumentRow | None,
    tax: Decimal,
    is_voided: bool = False,
) -> Invoice:
    """An invoice from its entry in the customer's account and its document (none: not made by us)."""
    ref, currency = f"{entry.company}:{entry.number}", entry.currency
    return Invoice(
        tenant=binding.tenant,
        id=(document.external_id if document and not is_voided else "") or binding.identify("invoice", ref),
        source=binding.source(
            ref, to_version(entry.etag, entry.amount, tax, entry.settled, is_voided), entry.modified_at
        ),
        number=entry.number,
        period=(document.period if document else "") or None,
        customer_id=(document.customer_id if document else "") or None,
        legal_entity_code=legal_entity,
        invoice_on=document.invoice_on if document else entry.booked_on,
        state=_state(entry, is_voided=is_voided),
        net=to_money(entry.amount - tax, currency, "TotalTaxAmount"),
        tax=to_money(tax, currency, "TotalTaxAmount"),
        gross=to_money(entry.amount, currency, "AmountCur"),
        paid=to_money(entry.settled, currency, "SettleAmountCur"),
    )


def _state(entry: TransactionRow, *, is_voided: bool) -> InvoiceState:
    if is_voided:
        return InvoiceState.VOIDED
    return InvoiceState.PAID if entry.amount and entry.settled == entry.amount else InvoiceState.OPEN


def to_payment(
    binding: Binding,
    entry: TransactionRow,
    *,
    customer_id: str | None,
    applications: Sequence[tuple[str, str, Decimal]],
) -> Payment:
    """A payment; an application is (our invoice id, the invoice's ref, amount)."""
    shown = [(ref, amount) for _, ref, amount in applications]
    return Payment(
        tenant=binding.tenant,
        id=binding.identify("payment", f"{entry.company}:{entry.voucher}"),
        source=binding.source(
            f"{entry.company}:{entry.voucher}", to_version(entry.etag, entry.amount, *shown), entry.modified_at
        ),
        customer_id=customer_id,
        received_on=entry.booked_on,
        amount=to_money(-entry.amount, entry.currency, "AmountCur"),
        applications=tuple(
            PaymentApplication(
                invoice_id=invoice, invoice_ref=ref, amount=to_money(amount, entry.currency, "SettlementAmount")
            )
            for invoice, ref, amount in applications
        ),
    )


def differences(invoice: Invoice, draft: InvoiceDraft) -> str:
    """Where an invoice departs from its draft; empty when it does not."""
    pairs = (
        ("net", invoice.net, draft.net),
        ("tax", invoice.tax, draft.tax),
        ("gross", invoice.gross, draft.gross),
        ("legal entity", invoice.legal_entity_code, draft.legal_entity_code),
        ("period", invoice.period, draft.period),
        ("day", invoice.invoice_on, draft.invoice_on),
    )
    return "; ".join(f"{name} is {there}, not {ours}" for name, there, ours in pairs if there != ours)


def expected_tax(draft: InvoiceDraft) -> Decimal:
    """The tax that a tax code of the draft's rate computes on its net."""
    return rounded(draft.net.amount * draft.tax_rate, draft.currency)


def moment_text(moment: datetime) -> str:
    """An instant as conditions write it: whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
