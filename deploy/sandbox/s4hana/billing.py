"""Billing documents: made from debit memo requests by the V4 action, posted to the ledger, cancelled, printed."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, cast

from deploy.sandbox.s4hana.accounting import (
    PERIOD_CLOSED,
    RECEIVABLES,
    REVENUE,
    TAX,
    Entry,
    Posting,
    closed_message,
    post,
    reverse,
)
from deploy.sandbox.s4hana.errors import invalid, not_found
from deploy.sandbox.s4hana.orders import REQUESTS
from deploy.sandbox.s4hana.state import Row, Tenant
from deploy.sandbox.s4hana.values import initial, unpadded

BILLING, ITEMS, TWIN = "A_BillingDocument", "A_BillingDocumentItem", "BillingDocument"
DEBIT_MEMO, CANCELLATION = "L2", "S2"
_COPIED = (
    "SalesOrganization", "DistributionChannel", "SoldToParty", "TransactionCurrency", "CustomerPaymentTerms",
    "PurchaseOrderByCustomer",
)  # fmt: skip
_CLOSED_SEVERITY = 3


def create_from_documents(tenant: Tenant, body: Mapping[str, Any]) -> tuple[list[Row], list[dict[str, Any]]]:
    """`CreateFromSDDocument`: one billing document per referenced request; its twins in V4 and what is to be said."""
    references: Any = body.get("_Reference")
    if strange := body.keys() - {"_Control", "_Reference"}:
        raise invalid("/IWBEP/CM_V4_COS/014", f"Parameter {min(strange)} is not known", min(strange))
    if not isinstance(references, list) or not references:
        raise invalid("VF/042", "Enter at least one document to be billed", "_Reference")
    control: Mapping[str, Any] = body.get("_Control") or {}
    made: list[Row] = []
    messages: list[dict[str, Any]] = []
    for reference in cast("list[Mapping[str, Any]]", references):
        billing, told = _bill(tenant, reference, control)
        made.append(_twin(tenant, billing))
        messages += told
    return made, messages


def _day(text: Any, otherwise: date) -> date:
    try:
        return date.fromisoformat(str(text)) if text else otherwise
    except ValueError as error:
        raise invalid("VF/044", f"{text} is not a date", "BillingDocumentDate") from error


def _bill(tenant: Tenant, reference: Mapping[str, Any], control: Mapping[str, Any]) -> tuple[Row, list[dict[str, Any]]]:
    number = unpadded(str(reference.get("SDDocument", "")))
    request = tenant.table("A_DebitMemoRequest").get(number)
    if request is None:
        raise invalid("VF/043", f"Document {number} is not available for billing", "_Reference/SDDocument")
    items = [row for row in REQUESTS.items(tenant, number) if not row["SalesDocumentRjcnReason"]]
    if not items:
        raise invalid("VF/050", f"Document {number} is rejected")
    if request["HeaderBillingBlockReason"]:
        raise invalid("VF/051", f"Document {number} is blocked for billing: {request['HeaderBillingBlockReason']}")
    if request["OverallOrdReltdBillgStatus"] == "C":
        raise invalid("VF/045", f"Document {number} has already been billed completely")
    planned = request["BillingDocumentDate"] or request["DebitMemoRequestDate"] or tenant.now().date()
    day = _day(reference.get("BillingDocumentDate") or control.get("DefaultBillingDocumentDate"), planned)
    is_open = tenant.customizing.is_open(day)
    if not is_open and not tenant.customizing.switches.closed_period_creates_document:
        raise invalid(PERIOD_CLOSED, closed_message(day))
    billing = _document(tenant, request, items, day)
    messages: list[dict[str, Any]] = []
    if is_open:
        _post(tenant, billing)
    else:
        messages = [{"code": PERIOD_CLOSED, "message": closed_message(day), "numericSeverity": _CLOSED_SEVERITY}]
    tenant.table("A_DebitMemoRequest").change(
        request, {"OverallOrdReltdBillgStatus": "C", "LastChangeDateTime": tenant.now()}
    )
    tenant.emit("billingdocument", "BillingDocument.Created", {"BillingDocument": billing["BillingDocument"]})
    return billing, messages


def _document(tenant: Tenant, request: Row, items: list[Row], day: date) -> Row:
    moment = tenant.now()
    row: Row = {name: initial(prop) for name, prop in tenant.sets[BILLING].properties.items()}
    row |= {name: request[name] for name in _COPIED}
    row |= {
        name: request[name.removesuffix("_BDH") + "_SDH"]
        for name in row
        if name.endswith("_BDH") and name.removesuffix("_BDH") + "_SDH" in request
    }
    number = tenant.number("billing")
    net = sum((item["NetAmount"] for item in items), Decimal(0))
    tax = sum((item["TaxAmount"] for item in items), Decimal(0))
    row |= {
        "BillingDocument": number,
        "SDDocumentCategory": "P",
        "BillingDocumentType": DEBIT_MEMO,
        "CreationDate": moment.date(),
        "LastChangeDate": moment.date(),
        "LastChangeDateTime": moment,
        "BillingDocumentDate": day,
        "TotalNetAmount": net,
        "TaxAmount": tax,
        "TotalGrossAmount": net + tax,
        "PayerParty": request["SoldToParty"],
        "PaymentReference": number,
        "DocumentReferenceID": number,
        "CompanyCode": request["SalesOrganization"],
        "FiscalYear": str(day.year),
        "OverallBillingStatus": "C",
        "AccountingTransferStatus": "A",
    }
    tenant.table(BILLING).insert(row)
    for item in items:
        _item(tenant, row, request, item)
    return row


def _item(tenant: Tenant, billing: Row, request: Row, item: Row) -> None:
    row: Row = {name: initial(prop) for name, prop in tenant.sets[ITEMS].properties.items()}
    row |= {
        name: item[name.removesuffix("_BDI") + "_SDI"]
        for name in row
        if name.endswith("_BDI") and name.removesuffix("_BDI") + "_SDI" in item
    }
    number = {"SalesDocument": request["DebitMemoRequest"], "SalesDocumentItem": item["DebitMemoRequestItem"]}
    row |= {
        **number,
        "BillingDocument": billing["BillingDocument"],
        "BillingDocumentItem": item["DebitMemoRequestItem"],
        "BillingDocumentItemText": item["DebitMemoRequestItemText"],
        "Material": item["Material"],
        "BillingQuantity": item["RequestedQuantity"],
        "BillingQuantityUnit": item["RequestedQuantityUnit"],
        "NetAmount": item["NetAmount"],
        "TaxAmount": item["TaxAmount"],
        "GrossAmount": item["NetAmount"] + item["TaxAmount"],
        "TransactionCurrency": billing["TransactionCurrency"],
        "WBSElement": item["WBSElement"],
        "ReferenceSDDocument": number["SalesDocument"],
        "ReferenceSDDocumentItem": number["SalesDocumentItem"],
    }
    tenant.table(ITEMS).insert(row)


def _post(tenant: Tenant, billing: Row) -> None:
    gross, tax = billing["TotalGrossAmount"], billing["TaxAmount"]
    customer = {"Customer": billing["PayerParty"], "FinancialAccountType": "D"}
    revenues: dict[str, Decimal] = {}
    for item in tenant.table(ITEMS).where(BillingDocument=billing["BillingDocument"]):
        product = tenant.table("A_Product").get(item["Material"]) or {}
        account = product.get("YY1_TLRevenueAccount_PRD") or REVENUE
        revenues[account] = revenues.get(account, Decimal(0)) + item["NetAmount"]
    postings = [Posting(RECEIVABLES, gross, customer)]
    postings += [Posting(account, -amount, {}) for account, amount in revenues.items()]
    postings += [Posting(TAX, -tax, {})] if tax else []
    entry = Entry(
        "RV", billing["CompanyCode"], billing["TransactionCurrency"], billing["BillingDocumentDate"], "VBRK",
        billing["BillingDocument"],
    )  # fmt: skip
    posted = {"AccountingDocument": post(tenant, entry, postings), "InvoiceClearingStatus": "A"}
    status = {"AccountingPostingStatus": "C", "AccountingTransferStatus": "C"}
    tenant.table(BILLING).change(billing, posted | status)


def _twin(tenant: Tenant, billing: Row) -> Row:
    """The document as the V4 service shows it."""
    twins = tenant.table(TWIN)
    held = twins.get(billing["BillingDocument"])
    fields = {name: billing[name] for name in tenant.sets[TWIN].properties if name in billing}
    fields["TotalTaxAmount"] = billing["TaxAmount"]
    if held is None:
        return twins.insert(fields)
    twins.change(held, {name: value for name, value in fields.items() if name != "BillingDocument"})
    return held


def cancel(tenant: Tenant, given: Mapping[str, Any]) -> list[Row]:
    """`Cancel`: a document that takes back another; its request can be billed again."""
    billing = tenant.table(BILLING).get(given["BillingDocument"])
    if billing is None:
        raise not_found(f"A_BillingDocument('{given['BillingDocument']}')")
    if billing["BillingDocumentIsCancelled"] or billing["CancelledBillingDocument"]:
        raise invalid("VF/108", f"Billing document {billing['BillingDocument']} is cancelled or a cancellation")
    number, moment = tenant.number("billing"), tenant.now()
    opposite = {
        **billing,
        "BillingDocument": number,
        "SDDocumentCategory": "S",
        "BillingDocumentType": CANCELLATION,
        "CancelledBillingDocument": billing["BillingDocument"],
        "AccountingDocument": "",
        "CreationDate": moment.date(),
        "LastChangeDate": moment.date(),
        "LastChangeDateTime": moment,
        "InvoiceClearingStatus": "",
    }
    tenant.table(BILLING).insert(opposite)
    for item in tenant.table(ITEMS).where(BillingDocument=billing["BillingDocument"]):
        tenant.table(ITEMS).insert({**item, "BillingDocument": number})
    if billing["AccountingDocument"]:
        day = billing["BillingDocumentDate"]
        posted = reverse(tenant, billing["AccountingDocument"], billing["CompanyCode"], day, number)
        tenant.table(BILLING).change(opposite, {"AccountingDocument": posted})
    stamp = {"LastChangeDate": moment.date(), "LastChangeDateTime": tenant.now()}
    tenant.table(BILLING).change(billing, {"BillingDocumentIsCancelled": True, "OverallBillingStatus": "", **stamp})
    for item in tenant.table(ITEMS).where(BillingDocument=billing["BillingDocument"]):
        request = tenant.table("A_DebitMemoRequest").get(item["SalesDocument"])
        if request is not None:
            tenant.table("A_DebitMemoRequest").change(request, {"OverallOrdReltdBillgStatus": "A"})
    for document in (billing, opposite):
        _twin(tenant, document)
    tenant.emit("billingdocument", "BillingDocument.Changed", {"BillingDocument": billing["BillingDocument"]})
    message = f"Document {number} has been saved"
    return [{"BillingDocument": billing["BillingDocument"], "CancellationBillingDocument": number, "Message": message}]


def pdf(tenant: Tenant, given: Mapping[str, Any]) -> Row:
    """`GetPDF`: a page that bears the number and the amount."""
    billing = tenant.table(BILLING).get(given["BillingDocument"])
    if billing is None:
        raise not_found(f"A_BillingDocument('{given['BillingDocument']}')")
    text = f"{billing['BillingDocument']} {billing['TotalGrossAmount']} {billing['TransactionCurrency']}"
    page = f"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n% {text}\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    return {"BillingDocumentBinary": base64.b64encode(page.encode()).decode()}
