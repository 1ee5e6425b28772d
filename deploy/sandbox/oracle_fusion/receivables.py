"""The pod's receivables: amounts, taxes, periods, completion of invoices, receipts and what they settle."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from deploy.sandbox.oracle_fusion.errors import Refusal, not_valid
from deploy.sandbox.oracle_fusion.schema import RESOURCES
from deploy.sandbox.oracle_fusion.setup import Setup
from deploy.sandbox.oracle_fusion.state import Pod, Row

ZERO = Decimal(0)
_INVOICES, _RECEIPTS = RESOURCES["receivablesInvoices"], RESOURCES["standardReceipts"]
_LINES = _INVOICES.children["receivablesInvoiceLines"]
_TAXES = _LINES.children["receivablesInvoiceLineTaxLines"]
_INSTALLMENTS = _INVOICES.children["receivablesInvoiceInstallments"]
_APPLICATIONS = RESOURCES["receivablesCustomerAccountActivities"].children["standardReceiptApplications"]
_NO_DIGITS = frozenset({"JPY", "KRW", "CLP", "ISK", "VND"})
_THREE_DIGITS = frozenset({"KWD", "BHD", "TND", "OMR", "JOD"})
PERIOD_TEXTS = {
    "en": "The accounting date is not in an open accounting period.",
    "de": "Das Buchungsdatum liegt nicht in einer geöffneten Buchhaltungsperiode.",
}


def rounded(amount: Decimal, currency: str) -> Decimal:
    """To the currency's minor unit."""
    digits = 0 if currency in _NO_DIGITS else 3 if currency in _THREE_DIGITS else 2
    return amount.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)


class Receivables:
    """Invoices and receipts of one pod."""

    def __init__(self, pod: Pod, setup: Setup) -> None:
        self._pod = pod
        self._setup = setup
        self._invoice_of: dict[int, Row] = {}

    def reset(self) -> None:
        """Forget all installments."""
        self._invoice_of.clear()

    # --- invoices ------------------------------------------------------------------------------------------------
    def complete_draft(self, row: Row) -> None:
        """Fill in and check a new invoice as the pod would. Raises Refusal; nothing has changed then."""
        unit = self._setup.business_unit(row["BusinessUnit"])
        self._known("TransactionSource", row["TransactionSource"], self._setup.transaction_sources)
        row["TransactionType"] = row.get("TransactionType") or "Invoice"
        row["TransactionDate"] = row.get("TransactionDate") or self._pod.clock().date().isoformat()
        row["AccountingDate"] = row.get("AccountingDate") or row["TransactionDate"]
        row["InvoiceCurrencyCode"] = row.get("InvoiceCurrencyCode") or self._setup.currency_of(unit)
        row["PaymentTerms"] = row.get("PaymentTerms") or "IMMEDIATE"
        days = self._known("PaymentTerms", row["PaymentTerms"], self._setup.payment_terms)
        due = date.fromisoformat(row["TransactionDate"]) + timedelta(days=days)
        row["DueDate"] = row.get("DueDate") or due.isoformat()
        self._bill_to(row)
        self._open_period(unit, row["AccountingDate"])
        row["TransactionNumber"] = row.get("TransactionNumber") or str(self._pod.number("invoice"))
        row["LegalEntityIdentifier"] = self._setup.legal_entity_of(unit).get("LegalEntityIdentifier")
        row["InvoiceStatus"] = row.get("InvoiceStatus") or "Complete"
        self._lines(row)
        row["EnteredAmount"] = self._net(row) + self._tax(row)
        row["InvoiceBalanceAmount"] = ZERO

    def _known(self, attribute: str, value: str, known: Mapping[str, Any]) -> Any:
        if value not in known:
            raise not_valid(f"The value {value} of {attribute} is not valid.", attribute, "AR-855054")
        return known[value]

    def _bill_to(self, row: Row) -> None:
        number = row["BillToCustomerNumber"]
        account = self._pod.one("receivablesCustomerAccountActivities", AccountNumber=number)
        sites = [
            site
            for site in self._pod.tables["customerAccountSitesLOV"].values()
            if site["AccountNumber"] == number and site["SiteUseCode"] == "BILL_TO"
        ]
        set_id = self._setup.customer_set(row["BusinessUnit"])
        usable = [site for site in sites if set_id is None or site["SetId"] == set_id]
        if row.get("BillToSite"):
            usable = [site for site in usable if site["SiteNumber"] == row["BillToSite"]]
        if account is None or not usable:
            raise not_valid(
                "The bill-to customer has no active bill-to site in the business unit.",
                "BillToCustomerNumber",
                "AR-855060",
            )
        row["BillToSite"] = row.get("BillToSite") or usable[0]["SiteNumber"]
        row["BillToCustomerName"] = account["CustomerName"]

    def _open_period(self, unit: Row, on: str) -> None:
        if not self._setup.is_open(unit, on):
            raise Refusal(400, PERIOD_TEXTS[self._setup.language], code="AR-855131", path="/AccountingDate")

    def _lines(self, row: Row) -> None:
        currency = row["InvoiceCurrencyCode"]
        if not row.get(_LINES.name):
            raise not_valid("An invoice has one line at least.", _LINES.name, "AR-855040")
        lines: list[Row] = []
        for number, line in enumerate(row[_LINES.name], 1):
            whole = self._pod.stamped(_LINES, line)
            whole["LineNumber"] = whole["LineNumber"] or number
            quantity, price = whole["Quantity"] or Decimal(1), whole["UnitSellingPrice"] or ZERO
            given = whole["LineAmount"] if self._setup.keeps_line_amounts else None
            whole["LineAmount"] = rounded(quantity * price if given is None else given, currency)
            if whole["MemoLine"] and self._pod.one("memoLinesLOV", MemoLineName=whole["MemoLine"]) is None:
                raise not_valid(f"The memo line {whole['MemoLine']} is not valid.", "MemoLine", "AR-855081")
            if whole["ItemNumber"] and self._pod.one("itemsV2", ItemNumber=whole["ItemNumber"]) is None:
                raise not_valid(f"The item {whole['ItemNumber']} is not valid.", "ItemNumber", "AR-855082")
            whole["receivablesInvoiceLineDFF"] = [
                self._pod.stamped(_LINES.children["receivablesInvoiceLineDFF"], dff)
                for dff in whole["receivablesInvoiceLineDFF"]
            ]
            whole[_TAXES.name] = self._taxes(whole, row)
            lines.append(whole)
        row[_LINES.name] = lines

    def _taxes(self, line: Row, row: Row) -> list[Row]:
        currency = row["InvoiceCurrencyCode"]
        given = line[_TAXES.name]
        if not given and self._setup.calculates_tax:
            regime, code, rate = self._setup.tax_of(row["BusinessUnit"])
            given = [{"TaxRegimeCode": regime, "TaxRateCode": code, "TaxRate": rate * 100}] if rate else []
        taxes: list[Row] = []
        for number, tax in enumerate(given, 1):
            whole = self._pod.stamped(_TAXES, {"TaxLineNumber": number, **tax})
            if (whole["TaxRegimeCode"], whole["TaxRateCode"]) not in self._setup.tax_rates():
                raise not_valid("The tax regime and rate codes are not valid.", "TaxRateCode", "ZX-885112")
            amount = whole["TaxAmount"]
            calculated = line["LineAmount"] * (whole["TaxRate"] or ZERO) / 100
            whole["TaxAmount"] = rounded(calculated if amount is None else amount, currency)
            taxes.append(whole)
        if taxes and self._setup.tax_drift:
            taxes[0]["TaxAmount"] += self._setup.tax_drift
        return taxes

    @staticmethod
    def _net(row: Row) -> Decimal:
        return sum((line["LineAmount"] for line in row[_LINES.name]), ZERO)

    @staticmethod
    def _tax(row: Row) -> Decimal:
        return sum((tax["TaxAmount"] for line in row[_LINES.name] for tax in line[_TAXES.name]), ZERO)

    def settle_status(self, row: Row) -> None:
        """Give a completed invoice its installment, take that of an incomplete one away. Raises Refusal."""
        installments: list[Row] = row[_INSTALLMENTS.name]
        if row["InvoiceStatus"] == "Complete":
            if not installments:
                self._open_period(self._setup.business_unit(row["BusinessUnit"]), row["AccountingDate"])
                row[_INSTALLMENTS.name] = [self._installment(row)]
                row["InvoiceBalanceAmount"] = row["EnteredAmount"]
            return
        if row["InvoiceStatus"] != "Incomplete":
            raise not_valid("The status is Complete or Incomplete.", "InvoiceStatus", "AR-855045")
        if any(one["AmountPaid"] or one["InstallmentAmountCredited"] for one in installments):
            raise Refusal(400, "The transaction has activity and cannot be incompleted.", code="AR-855046")
        row[_INSTALLMENTS.name] = []
        row["InvoiceBalanceAmount"] = ZERO

    def _installment(self, row: Row) -> Row:
        gross = row["EnteredAmount"]
        installment = self._pod.stamped(
            _INSTALLMENTS,
            {
                "InstallmentSequenceNumber": 1,
                "InstallmentDueDate": row["DueDate"],
                "InstallmentStatus": "Open",
                "OriginalAmount": gross,
                "InstallmentBalanceDue": gross,
                "AmountPaid": ZERO,
                "InstallmentAmountCredited": ZERO,
                "InstallmentLineAmountOriginal": self._net(row),
                "InstallmentTaxAmountOriginal": self._tax(row),
            },
        )
        self._invoice_of[installment["InstallmentId"]] = row
        return installment

    def forbid_removal(self, row: Row) -> None:
        """Only incomplete invoices go, where the pod's options let any go."""
        if row["InvoiceStatus"] != "Incomplete":
            raise Refusal(400, "A completed transaction cannot be deleted.", code="AR-855047")
        if not self._setup.lets_delete:
            raise Refusal(400, "Transactions cannot be deleted with the present system options.", code="AR-855048")

    # --- receipts ------------------------------------------------------------------------------------------------
    def complete_receipt(self, row: Row) -> None:
        """Fill in and check a new receipt. Raises Refusal."""
        unit = self._setup.business_unit(row["BusinessUnit"])
        row["ReceiptDate"] = row.get("ReceiptDate") or self._pod.clock().date().isoformat()
        row["AccountingDate"] = row.get("AccountingDate") or row["ReceiptDate"]
        row["Currency"] = row.get("Currency") or self._setup.currency_of(unit)
        row["Amount"] = rounded(row["Amount"], row["Currency"])
        self._open_period(unit, row["AccountingDate"])
        row["State"], row["Status"] = "UNIDENTIFIED", "CONFIRMED"
        if number := row.get("CustomerAccountNumber"):
            account = self._pod.one("receivablesCustomerAccountActivities", AccountNumber=number)
            if account is None:
                raise not_valid("The customer account is not valid.", "CustomerAccountNumber", "AR-855201")
            row["CustomerName"], row["State"] = account["CustomerName"], "UNAPPLIED"

    def match_references(self, receipt: Row) -> None:
        """What the AutoMatch process does: apply the receipt to the transactions its references name."""
        for reference in receipt["remittanceReferences"]:
            if reference.get("ReceiptMatchBy") != "Transaction Number":
                continue
            for invoice in self._pod.tables["receivablesInvoices"].values():
                if invoice["TransactionNumber"] == reference.get("ReferenceNumber") and invoice[_INSTALLMENTS.name]:
                    schedule = invoice[_INSTALLMENTS.name][0]["InstallmentId"]
                    self.apply(receipt, schedule, reference.get("ReferenceAmount"))

    def apply(self, receipt: Row, schedule: Any, amount: Decimal | None) -> None:
        """Settle an installment, in part or whole. Raises Refusal."""
        found = self._of_schedule(schedule)
        account = self._pod.one(
            "receivablesCustomerAccountActivities", AccountNumber=receipt.get("CustomerAccountNumber")
        )
        if found is None or account is None:
            raise not_valid("The installment or the customer is not valid.", "appliedPaymentScheduleId", "AR-855210")
        invoice, installment = found
        free = receipt["Amount"] - self.applied(account, receipt)
        wanted = min(free, installment["InstallmentBalanceDue"]) if amount is None else Decimal(amount)
        if invoice["InvoiceCurrencyCode"] != receipt["Currency"]:
            raise not_valid("The currencies differ.", "amountApplied", "AR-855213")
        if wanted > free or abs(wanted) > abs(installment["InstallmentBalanceDue"]):
            raise not_valid("The amount is more than is left.", "amountApplied", "AR-855211")
        installment["InstallmentBalanceDue"] -= wanted
        installment["AmountPaid"] += wanted
        installment["InstallmentStatus"] = "Open" if installment["InstallmentBalanceDue"] else "Closed"
        invoice["InvoiceBalanceAmount"] = installment["InstallmentBalanceDue"]
        account[_APPLICATIONS.name].append(self._application(receipt, invoice, installment, wanted))
        receipt["State"] = "UNAPPLIED" if wanted < free else "APPLIED"
        self._pod.touch(invoice)
        if self._setup.applications_touch_receipts:
            self._pod.touch(receipt)

    @staticmethod
    def applied(account: Row, receipt: Row) -> Decimal:
        """What of a receipt is applied."""
        number = receipt["StandardReceiptId"]
        rows = (row for row in account[_APPLICATIONS.name] if row["StandardReceiptId"] == number)
        return sum((row["ApplicationAmount"] for row in rows), ZERO)

    def _application(self, receipt: Row, invoice: Row, installment: Row, amount: Decimal) -> Row:
        return self._pod.stamped(
            _APPLICATIONS,
            {
                "ApplicationDate": receipt["ReceiptDate"],
                "ApplicationAmount": amount,
                "ApplicationStatus": "Applied",
                "AccountingDate": receipt["AccountingDate"],
                "ReferenceInstallmentId": installment["InstallmentId"],
                "ReferenceTransactionId": invoice["CustomerTransactionId"],
                "ReferenceTransactionNumber": invoice["TransactionNumber"],
                "StandardReceiptId": receipt["StandardReceiptId"],
                "ReceiptNumber": receipt["ReceiptNumber"],
            },
        )

    def _of_schedule(self, schedule: Any) -> tuple[Row, Row] | None:
        invoice = self._invoice_of.get(schedule)
        if invoice is None or invoice["CustomerTransactionId"] not in self._pod.tables["receivablesInvoices"]:
            return None
        held = (one for one in invoice[_INSTALLMENTS.name] if one["InstallmentId"] == schedule)
        installment = next(held, None)
        return None if installment is None else (invoice, installment)
