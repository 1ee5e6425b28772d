"""Our records as NetSuite's bodies, every field where the tenant has it; total functions without effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from shared.canonical.billing import BillingSchedule, ErpContract
from shared.canonical.customers import Customer
from shared.canonical.invoices import InvoiceDraft
from shared.canonical.money import rounded
from shared.canonical.projects import ProjectPlan, Workstream
from system_apis.fields import FieldMap

Body = dict[str, Any]


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
