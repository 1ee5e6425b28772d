"""The ledger: journal entries of invoices and payments, open items and their clearing, money coming in by lockbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from deploy.sandbox.s4hana.errors import invalid
from deploy.sandbox.s4hana.records import Behaviour
from deploy.sandbox.s4hana.state import Row, Tenant
from deploy.sandbox.s4hana.values import initial

LINES = "GLAccountLineItem"
RECEIVABLES, REVENUE, TAX, BANK = "12100000", "41000000", "22000000", "11001010"
PERIOD_CLOSED = "F5/201"


@dataclass(frozen=True, slots=True)
class Posting:
    """One line to be posted; debit is positive."""

    account: str
    amount: Decimal
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A journal entry to be posted."""

    kind: str
    company: str
    currency: str
    day: date
    reference_type: str
    reference: str


def closed_message(day: date) -> str:
    """What the ledger says of a period that takes no postings."""
    return f"Period {day:%m}/{day:%Y} is not open for account type S and G/L account 0012100000"


def check_period(tenant: Tenant, day: date) -> None:
    """Raises Refusal where the period is closed."""
    if not tenant.customizing.is_open(day):
        raise invalid(PERIOD_CLOSED, closed_message(day))


def post(tenant: Tenant, entry: Entry, postings: Sequence[Posting]) -> str:
    """Post a balanced journal entry; its number."""
    check_period(tenant, entry.day)
    if sum((one.amount for one in postings), Decimal(0)) != 0:
        raise invalid("F5/702", "Balance in transaction currency")
    number, moment = tenant.number(entry.kind), tenant.now()
    props = tenant.sets[LINES].properties
    for at, one in enumerate(postings, 1):
        row: Row = {name: initial(prop) for name, prop in props.items()}
        row |= {
            "ID": f"0L{entry.company}{entry.day.year}{number}{at:06d}",
            "CompanyCode": entry.company,
            "FiscalYear": str(entry.day.year),
            "AccountingDocument": number,
            "LedgerGLLineItem": f"{at:06d}",
            "Ledger": "0L",
            "GLAccount": one.account,
            "ReferenceDocumentType": entry.reference_type,
            "ReferenceDocument": entry.reference or number,
            "TransactionCurrency": entry.currency,
            "AmountInTransactionCurrency": one.amount,
            "CompanyCodeCurrency": entry.currency,
            "AmountInCompanyCodeCurrency": one.amount,
            "DebitCreditCode": "S" if one.amount >= 0 else "H",
            "FiscalPeriod": f"{entry.day.month:03d}",
            "PostingDate": entry.day,
            "DocumentDate": entry.day,
            "AccountingDocumentType": entry.kind,
            "AccountingDocumentItem": f"{at:03d}",
            "FinancialAccountType": "S",
            "LastChangeDateTime": moment,
            "CreationDateTime": moment,
            **one.facts,
        }
        tenant.table(LINES).insert(row)
    keys = {"CompanyCode": entry.company, "FiscalYear": str(entry.day.year), "AccountingDocument": number}
    tenant.emit("journalentry", "JournalEntry.Created", {**keys, "AccountingDocumentType": entry.kind})
    return number


def reverse(tenant: Tenant, number: str, company: str, day: date, reference: str) -> str:
    """Post the opposite of a journal entry and mark both."""
    lines = [row for row in tenant.table(LINES).where(AccountingDocument=number) if row["CompanyCode"] == company]
    if any(row["ClearingAccountingDocument"] or _paid(tenant, number, company) for row in lines):
        raise invalid("F5A/344", f"Journal entry {number} has cleared or paid items; reset them first")
    kept = ("Customer", "FinancialAccountType", "DocumentItemText")
    postings = [
        Posting(row["GLAccount"], -row["AmountInTransactionCurrency"], {k: row[k] for k in kept} | {"IsReversal": True})
        for row in lines
    ]
    entry = Entry("RV", company, lines[0]["TransactionCurrency"], day, "VBRK", reference)
    opposite = post(tenant, entry, postings)
    for row in lines:
        tenant.table(LINES).change(row, {"IsReversed": True, "LastChangeDateTime": tenant.now()})
    for row in _customer_lines(tenant, number, company) + _customer_lines(tenant, opposite, company):
        _clear(tenant, row, opposite, day)
    return opposite


def _customer_lines(tenant: Tenant, number: str, company: str) -> list[Row]:
    found = tenant.table(LINES).where(AccountingDocument=number)
    return [row for row in found if row["CompanyCode"] == company and row["FinancialAccountType"] == "D"]


def _paid(tenant: Tenant, number: str, company: str) -> Decimal:
    found = tenant.table("LockboxClearing").where(PaymentReference=_billing_of(tenant, number, company))
    return sum((row["NetPaymentAmountInPaytCurrency"] for row in found), Decimal(0))


def _billing_of(tenant: Tenant, number: str, company: str) -> str:
    found = tenant.table("A_BillingDocument").where(AccountingDocument=number, CompanyCode=company)
    return str(found[0]["BillingDocument"]) if found else ""


def _clear(tenant: Tenant, row: Row, by: str, day: date) -> None:
    values = {"ClearingAccountingDocument": by, "ClearingDate": day, "LastChangeDateTime": tenant.now()}
    tenant.table(LINES).change(row, values)


# --- lockbox -----------------------------------------------------------------------------------------------------
def _fill_batch(tenant: Tenant, row: Row) -> None:
    row["LockboxBatchInternalKey"] = tenant.number("lockbox")
    if row["DepositDateTime"] is None or not row["Lockbox"]:
        raise invalid("FB/101", "Enter lockbox and deposit date")


def _fill_item(tenant: Tenant, row: Row) -> None:
    if row["AmountInTransactionCurrency"] <= 0:
        raise invalid("FB/102", "Enter an amount", "AmountInTransactionCurrency")
    del tenant


def _fill_clearing(tenant: Tenant, row: Row) -> None:
    row["PaymentReference"] = row["PaymentReference"].lstrip("0")
    if tenant.table("A_BillingDocument").get(row["PaymentReference"]) is None:
        raise invalid("FB/103", f"No open item for payment reference {row['PaymentReference']}", "PaymentReference")


def _made_item(tenant: Tenant, row: Row) -> None:
    """Post one cheque: to the bank, and off the customer's account for every invoice it names."""
    key = {name: row[name] for name in ("LockboxBatchInternalKey", "LockboxBatch", "LockboxBatchItem")}
    batch = tenant.table("LockboxBatch").get(row["LockboxBatchInternalKey"])
    clearings = tenant.table("LockboxClearing").where(**key)
    day: date = batch["DepositDateTime"] if batch else tenant.now().date()
    invoices = [tenant.table("A_BillingDocument").rows[(one["PaymentReference"],)] for one in clearings]
    if not invoices:
        raise invalid("FB/104", "The cheque names no invoice", "to_LockboxClearing")
    spread = sum((one["NetPaymentAmountInPaytCurrency"] for one in clearings), Decimal(0))
    if spread > row["AmountInTransactionCurrency"]:
        raise invalid("FB/105", "More is cleared than was paid")
    points = tenant.customizing.switches.payment_points_at_invoice
    postings = [Posting(BANK, row["AmountInTransactionCurrency"], {"AssignmentReference": row["Cheque"]})]
    company, currency = invoices[0]["CompanyCode"], row["Currency"]
    for one, invoice in zip(clearings, invoices, strict=True):
        if (invoice["CompanyCode"], invoice["TransactionCurrency"]) != (company, currency):
            raise invalid("FB/106", "The invoice is of another company code or currency")
        pays_all = one["NetPaymentAmountInPaytCurrency"] == invoice["TotalGrossAmount"]
        refers = points or not pays_all
        pointer = {
            "InvoiceReference": invoice["AccountingDocument"],
            "InvoiceReferenceFiscalYear": invoice["FiscalYear"],
        }
        facts = _facts(invoice, row["Cheque"]) | (pointer if refers else {})
        postings.append(Posting(RECEIVABLES, -one["NetPaymentAmountInPaytCurrency"], facts))
    if rest := row["AmountInTransactionCurrency"] - spread:
        postings.append(Posting(RECEIVABLES, -rest, _facts(invoices[0], row["Cheque"])))
    number = post(tenant, Entry("DZ", company, currency, day, "BKPFF", ""), postings)
    for invoice in invoices:
        _settle(tenant, invoice, number, day)


def _facts(invoice: Row, cheque: str) -> dict[str, Any]:
    return {"Customer": invoice["PayerParty"], "FinancialAccountType": "D", "AssignmentReference": cheque}


def _open(tenant: Tenant, invoice: Row) -> Decimal:
    found = tenant.table("LockboxClearing").where(PaymentReference=invoice["BillingDocument"])
    paid = sum((one["NetPaymentAmountInPaytCurrency"] for one in found), Decimal(0))
    if paid > invoice["TotalGrossAmount"]:
        raise invalid("FB/107", f"Invoice {invoice['BillingDocument']} is paid already")
    return invoice["TotalGrossAmount"] - paid


def _settle(tenant: Tenant, invoice: Row, number: str, day: date) -> None:
    """An invoice paid in full is cleared by its last payment, with all that pointed at it."""
    billing = tenant.table("A_BillingDocument")
    if _open(tenant, invoice):
        billing.change(invoice, {"InvoiceClearingStatus": "B"})
        return
    billing.change(invoice, {"InvoiceClearingStatus": "C"})
    company = invoice["CompanyCode"]
    lines = _customer_lines(tenant, invoice["AccountingDocument"], company)
    lines += [
        row
        for row in tenant.table(LINES).where(InvoiceReference=invoice["AccountingDocument"])
        if row["CompanyCode"] == company and not row["ClearingAccountingDocument"]
    ]
    lines += [
        row
        for row in _customer_lines(tenant, number, company)
        if not row["InvoiceReference"] and not row["ClearingAccountingDocument"]
    ]
    for row in lines:
        _clear(tenant, row, number, day)


BEHAVIOURS: Mapping[str, Behaviour] = {
    "LockboxBatch": Behaviour(fill=_fill_batch),
    "LockboxBatchItem": Behaviour(fill=_fill_item, made=_made_item),
    "LockboxClearing": Behaviour(fill=_fill_clearing),
}
