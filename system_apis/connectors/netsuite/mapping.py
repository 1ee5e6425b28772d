"""NetSuite's words to ours and back; total functions without effects."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from shared.canonical.billing import BillingSchedule, ErpContract
from shared.canonical.catalog import LegalEntity, Rate, RateCard, ServiceItem
from shared.canonical.customers import Customer
from shared.canonical.invoices import Invoice, InvoiceDraft, InvoiceState, Payment, PaymentApplication
from shared.canonical.money import Money, rounded
from shared.canonical.projects import ProjectPlan, Workstream
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
from system_apis.fields import FieldMap
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


@dataclass(frozen=True, slots=True)
class Parties:
    """Internal ids of whom and what a transaction is about."""

    customer: str
    job: str
    subsidiary: str
    currency: str


@dataclass(frozen=True, slots=True)
class TaxIds:
    """With SuiteTax: the type and the code that tax details are booked under."""

    kind: str
    code: str


def _given(fields: FieldMap, entity: str, lines: Sequence[Body]) -> Body:
    """A sublist with every field of its lines where the tenant has it."""
    return {"items": [fields[entity].give(line) for line in lines]}


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


# --- delivery ----------------------------------------------------------------------------------------------------
def from_customer(customer: Customer, fields: FieldMap) -> Body:
    """A customer's own facts, without the legal entity it is first used by."""
    bill_to = customer.bill_to
    address: Body = {
        "addressee": customer.name,
        "addr1": bill_to.street,
        "city": bill_to.city,
        "zip": bill_to.postal_code,
        "country": {"id": bill_to.country} if bill_to.country else None,
    }
    line: Body = {
        "defaultBilling": True,
        "defaultShipping": True,
        "label": "Bill to",
        "addressBookAddress": {name: value for name, value in address.items() if value is not None},
    }
    body: Body = {
        "companyName": customer.name,
        "isPerson": False,
        "custentity_tl_po_required": customer.requires_purchase_order,
        "custentity_tl_industry": customer.industry,
        "addressBook": _given(fields, "customer_address", [line]),
    }
    if customer.tax_id:
        country = {"nexusCountry": {"id": bill_to.country}} if bill_to.country else {}
        registered = {"taxRegistrationNumber": customer.tax_id, **country}
        body["taxRegistration"] = _given(fields, "customer_tax_registration", [registered])
    return fields["customer"].give(body)


def from_project(plan: ProjectPlan, parties: Parties, fields: FieldMap) -> Body:
    """The job of a project."""
    body: Body = {
        "companyName": plan.name,
        "parent": {"id": parties.customer},
        "subsidiary": {"id": parties.subsidiary},
        "currency": {"id": parties.currency},
        "startDate": plan.start_on.isoformat(),
        "jobPrice": plan.budget.amount,
        "isInactive": False,
        "custentity_tl_opportunity": plan.opportunity_reference,
        "custentity_tl_contract": plan.contract_reference,
        "custentity_tl_template": plan.template,
    }
    return fields["project"].give(body)


def from_workstream(workstream: Workstream, job: str, fields: FieldMap) -> Body:
    """The task of a workstream."""
    body: Body = {
        "title": workstream.name,
        "project": {"id": job},
        "nonBillableTask": False,
        "message": workstream.item_code,
        "custevent_tl_billing_model": workstream.billing_model.value,
        "custevent_tl_budget": workstream.budget.amount,
    }
    return fields["workstream"].give(body)


def from_contract(
    contract: ErpContract, parties: Parties, fields: FieldMap, *, items: Mapping[str, str], term: str | None
) -> Body:
    """The sales order of a contract; `items` maps item codes to internal ids."""
    lines: list[Body] = [
        {
            "item": {"id": items[line.item_code]},
            "quantity": 1,
            "rate": line.amount.amount,
            "amount": line.amount.amount,
            "description": line.description,
            "custcol_tl_workstream": line.workstream_id,
        }
        for line in contract.lines
    ]
    body: Body = {
        "entity": {"id": parties.customer},
        "job": {"id": parties.job},
        "subsidiary": {"id": parties.subsidiary},
        "currency": {"id": parties.currency},
        "terms": {"id": term} if term else None,
        "tranDate": contract.starts_on.isoformat(),
        "startDate": contract.starts_on.isoformat(),
        "otherRefNum": contract.purchase_order,
        "memo": contract.reference,
        "custbody_tl_contract": contract.id,
        "custbody_tl_project": contract.project_id,
        "custbody_tl_customer": contract.customer_id,
        "custbody_tl_reference": contract.reference,
        "custbody_tl_rate_card": contract.rate_card_code,
        "custbody_tl_cap": contract.cap.amount if contract.cap else None,
        "item": _given(fields, "contract_line", lines),
    }
    return fields["contract"].give(body)


def from_billing_schedule(
    schedule: BillingSchedule, fields: FieldMap, *, job: str, tasks: Mapping[str, str], kind: str
) -> Body:
    """The schedule with a line per milestone; `tasks` maps workstream ids to internal ids.

    Whether a milestone was reached is not sent: a repeat must not reset it.
    """
    lines: list[Body] = []
    for number, entry in enumerate(schedule.entries, 1):
        line: Body = {
            "milestoneId": number,
            "milestoneAmount": entry.amount.amount,
            "milestoneDate": entry.due_on.isoformat(),
            "comments": f"{entry.milestone_id} {entry.reference} {entry.name}"[:999],
        }
        if task := tasks.get(entry.workstream_id):
            line["projectTask"] = {"id": task}
        lines.append(line)
    body: Body = {"name": schedule.id, "scheduleType": {"id": kind}, "job": {"id": job}}
    if lines:
        body["milestone"] = _given(fields, "schedule_entry", lines)
    return fields["billing_schedule"].give(body)


# --- receivables -------------------------------------------------------------------------------------------------
def from_invoice(
    draft: InvoiceDraft,
    parties: Parties,
    fields: FieldMap,
    *,
    items: Mapping[str, str],
    term: str | None,
    taxes: TaxIds | None,
) -> Body:
    """The invoice with every amount explicit; NetSuite is not asked to calculate. `taxes`: the account has SuiteTax."""
    due_on: date = draft.invoice_on + timedelta(days=draft.payment_terms_days)
    lines: list[Body] = [
        {
            "item": {"id": items[line.item_code]},
            "quantity": line.quantity,
            "rate": line.rate,
            "amount": line.net.amount,
            "description": line.description,
            "custcol_tl_line": line.id,
            "custcol_tl_workstream": line.workstream_id,
        }
        for line in draft.lines
    ]
    taxed: Body = {"taxTotal": draft.tax.amount}
    if taxes:
        for number, line in enumerate(lines, 1):
            line["taxDetailsReference"] = str(number)
        details = _given(fields, "invoice_tax", _tax_details(draft, taxes))
        taxed = {"taxDetailsOverride": True, "taxDetails": details}
    body: Body = {
        "entity": {"id": parties.customer},
        "job": {"id": parties.job},
        "subsidiary": {"id": parties.subsidiary},
        "currency": {"id": parties.currency},
        "terms": {"id": term} if term else None,
        "tranDate": draft.invoice_on.isoformat(),
        "dueDate": due_on.isoformat(),
        "otherRefNum": draft.purchase_order,
        "memo": f"{draft.contract_reference} {draft.period}",
        "custbody_tl_contract": draft.contract_id,
        "custbody_tl_project": draft.project_id,
        "custbody_tl_customer": draft.customer_id,
        "custbody_tl_period": draft.period,
        "custbody_tl_reference": draft.contract_reference,
        **taxed,
        "item": _given(fields, "invoice_line", lines),
    }
    return fields["invoice"].give(body)


def tax_shares(draft: InvoiceDraft) -> list[Decimal]:
    """The draft's tax by line: each its own, rounded; the line with the most net carries what rounding leaves."""
    shares = [rounded(line.net.amount * draft.tax_rate, draft.currency) for line in draft.lines]
    largest = max(range(len(shares)), key=lambda place: abs(draft.lines[place].net.amount))
    shares[largest] += draft.tax.amount - sum(shares, Decimal(0))
    return shares


def _tax_details(draft: InvoiceDraft, taxes: TaxIds) -> list[Body]:
    return [
        {
            "taxDetailsReference": str(number),
            "taxType": {"id": taxes.kind},
            "taxCode": {"id": taxes.code},
            "taxBasis": line.net.amount,
            "taxRate": draft.tax_rate * 100,
            "taxAmount": share,
        }
        for number, (line, share) in enumerate(zip(draft.lines, tax_shares(draft), strict=True), 1)
    ]


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
