"""NetSuite's words to ours, and the small words of both; total functions without effects. Bodies are made next door."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from shared.canonical.catalog import LegalEntity, Rate, RateCard, ServiceItem
from shared.canonical.invoices import Invoice, InvoiceState, Payment, PaymentApplication
from shared.canonical.money import Money
from shared.canonical.references import Written
from shared.errors.taxonomy import FieldFinding, VendorDrift
from system_apis.connectors.netsuite.payloads import (
    InvoiceRecord,
    ItemRow,
    PaymentRecord,
    RateRow,
    RecordStub,
    SubsidiaryRow,
)
from system_apis.ports.binding import Binding

Body = dict[str, Any]
MOMENT = "%Y-%m-%d %H:%M:%S"
_EXTERNAL = re.compile(r"[A-Za-z0-9_-]{1,100}")
_STATES = {
    **{state.value: state for state in InvoiceState},  # of a tenant's own table
    "A": InvoiceState.OPEN,
    "B": InvoiceState.PAID,
    "D": InvoiceState.PENDING_APPROVAL,
    "E": InvoiceState.REJECTED,
    "V": InvoiceState.VOIDED,
    "Open": InvoiceState.OPEN,
    "Paid In Full": InvoiceState.PAID,
    "Pending Approval": InvoiceState.PENDING_APPROVAL,
    "Rejected": InvoiceState.REJECTED,
    "Voided": InvoiceState.VOIDED,
}


def is_keepable(identifier: str) -> bool:
    """Whether NetSuite can hold a record under this id of ours; one it cannot hold is surely not there."""
    return _EXTERNAL.fullmatch(identifier) is not None


def is_ours(external: str) -> bool:
    """Whether an external id can be one that we gave."""
    return is_keepable(external) and external[0] not in "_-"


def to_version(moment: str, *content: object) -> str:
    """A version marker: NetSuite counts none, so the second of the change and a digest of what matters."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in content).encode()).hexdigest()[:8]
    return f"{moment}-{digest}"


def to_moment(text: str, zone: ZoneInfo) -> datetime:
    """A SuiteQL time, told in the account's zone, in UTC."""
    try:
        return datetime.strptime(text, MOMENT).replace(tzinfo=zone).astimezone(UTC)
    except ValueError as error:
        raise VendorDrift(
            f"netsuite tells a time we cannot read: {text!r}", findings=[FieldFinding("modified", "not a time")]
        ) from error


def from_moment(moment: datetime, zone: ZoneInfo) -> str:
    """An instant as SuiteQL's TO_DATE takes it."""
    return moment.astimezone(zone).strftime(MOMENT)


def to_money(amount: Decimal, currency: str, field: str) -> Money:
    """An amount as answered; more digits than the currency knows are drift, never rounded away."""
    money = Money.of(amount, currency)
    if money.amount != amount:
        raise VendorDrift(
            f"netsuite answers {field} {amount} {currency}: more digits than the currency knows",
            findings=[FieldFinding(field, "more digits than the currency knows")],
        )
    return money


def to_written(binding: Binding, identifier: str, record: RecordStub, *, was_created: bool) -> Written:
    """Where a record stands."""
    modified = record.last_modified_date
    version = modified.isoformat() if modified else record.id
    return Written(id=identifier, source=binding.source(record.id, version, modified), was_created=was_created)


# --- reference data ----------------------------------------------------------------------------------------------
def to_legal_entity(binding: Binding, row: SubsidiaryRow, zone: ZoneInfo) -> LegalEntity:
    """A subsidiary that carries a code of ours."""
    version = to_version(row.modified, row.code, row.name, row.currency, row.approved, row.tax_rate)
    return LegalEntity(
        tenant=binding.tenant,
        id=binding.identify("legal_entity", row.id),
        source=binding.source(row.id, version, to_moment(row.modified, zone)),
        code=row.code,
        name=row.name,
        country=row.country,
        currency=row.currency,
        is_approved=row.approved in {"T", "true"},
        standard_tax_rate=row.tax_rate,
    )


def to_service_items(binding: Binding, row: ItemRow, zone: ZoneInfo) -> tuple[ServiceItem, ...]:
    """One entry per product code sold as this item; an item without codes is sold under its own."""
    codes = [code.strip() for code in (row.codes or row.code).splitlines() if code.strip()]
    version = to_version(row.modified, row.code, row.name, row.codes, row.account)
    return tuple(
        ServiceItem(
            tenant=binding.tenant,
            id=binding.identify("service_item", f"{row.id}:{code}"),
            source=binding.source(row.id, version, to_moment(row.modified, zone)),
            product_code=code,
            item_code=row.code,
            name=row.name or row.code,
            revenue_account=row.account,
        )
        for code in codes
    )


def to_rate_cards(binding: Binding, rows: Sequence[RateRow], zone: ZoneInfo) -> tuple[RateCard, ...]:
    """Prices grouped by card and currency."""
    cards: dict[tuple[str, str], list[RateRow]] = {}
    for row in rows:
        cards.setdefault((row.card, row.currency), []).append(row)
    return tuple(_rate_card(binding, group, zone) for group in cards.values())


def _rate_card(binding: Binding, rows: Sequence[RateRow], zone: ZoneInfo) -> RateCard:
    first = rows[0]
    latest = max(row.modified for row in rows)
    content = [(row.role, row.rate, row.starts, row.ends) for row in rows]
    return RateCard(
        tenant=binding.tenant,
        id=binding.identify("rate_card", f"{first.card_id}:{first.currency}"),
        source=binding.source(first.card_id, to_version(latest, *content), to_moment(latest, zone)),
        code=first.card,
        currency=first.currency,
        rates=tuple(
            Rate(role=row.role, rate=row.rate, effective_from=row.starts, effective_to=row.ends) for row in rows
        ),
    )


# --- receivables -------------------------------------------------------------------------------------------------
def to_invoice(
    binding: Binding, record: InvoiceRecord, *, legal_entities: Mapping[str, str], currencies: Mapping[str, str]
) -> Invoice:
    """An invoice; the maps lead from internal ids to our codes."""
    currency = _known(currencies, record.currency.id, "currency")
    gross, tax = to_money(record.total, currency, "total"), to_money(record.tax_total, currency, "taxTotal")
    paid = to_money(record.amount_paid, currency, "amountPaid")
    state = _STATES.get(record.status.id)
    if state is None:
        raise VendorDrift(
            f"netsuite answers an unknown invoice status {record.status.id!r}",
            findings=[FieldFinding("status", "not a known status")],
        )
    moment = record.last_modified_date
    version = to_version(moment.isoformat(), gross, tax, paid, state)
    by_us = record.external_id if record.custbody_tl_period and is_ours(record.external_id or "-") else None
    return Invoice(
        tenant=binding.tenant,
        id=by_us or binding.identify("invoice", record.id),
        source=binding.source(record.id, version, moment),
        number=record.tran_id,
        period=record.custbody_tl_period,
        customer_id=record.custbody_tl_customer,
        legal_entity_code=_known(legal_entities, record.subsidiary.id, "subsidiary"),
        invoice_on=record.tran_date,
        state=state,
        net=Money.of(gross.amount - tax.amount, currency),
        tax=tax,
        gross=gross,
        paid=paid,
    )


def to_payment(
    binding: Binding,
    record: PaymentRecord,
    *,
    invoices: Mapping[str, str],
    customers: Mapping[str, str],
    currencies: Mapping[str, str],
) -> Payment:
    """A payment; the maps lead from internal ids to our ids (absent: not one of ours)."""
    currency = _known(currencies, record.currency.id, "currency")
    applications: list[PaymentApplication] = []
    for line in record.apply.items or ():
        if not line.apply:
            continue
        if line.amount is None:
            raise VendorDrift("netsuite leaves out apply.amount", findings=[FieldFinding("apply.amount", "missing")])
        applications.append(
            PaymentApplication(
                invoice_id=invoices.get(line.doc.id) or binding.identify("invoice", line.doc.id),
                invoice_ref=line.doc.id,
                amount=to_money(line.amount, currency, "apply.amount"),
            )
        )
    moment = record.last_modified_date
    shown = [(applied.invoice_ref, applied.amount) for applied in applications]
    return Payment(
        tenant=binding.tenant,
        id=binding.identify("payment", record.id),
        source=binding.source(record.id, to_version(moment.isoformat(), record.payment, *shown), moment),
        customer_id=customers.get(record.customer.id),
        received_on=record.tran_date,
        amount=to_money(record.payment, currency, "payment"),
        applications=tuple(applications),
    )


def _known(names: Mapping[str, str], key: str, field: str) -> str:
    name = names.get(key)
    if name is None:
        raise VendorDrift(
            f"netsuite points at {field} {key}, which it does not list", findings=[FieldFinding(field, "not listed")]
        )
    return name
