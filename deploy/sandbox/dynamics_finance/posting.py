"""Posting: free text invoices, project invoice proposals and payment journals become vouchers; no wire enters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from deploy.sandbox.dynamics_finance.errors import write_failed
from deploy.sandbox.dynamics_finance.rules import Ways, rounded
from deploy.sandbox.dynamics_finance.state import Environment
from deploy.sandbox.dynamics_finance.values import EMPTY_DATE, Row

Told = Callable[[str, str, Row], None]
_HUNDRED = Decimal(100)


class Posting:
    """The ledger's side of the environment; `told` hears of every posting: event id, company, facts."""

    def __init__(self, environment: Environment, ways: Ways, told: Told) -> None:
        """All periods are open."""
        self._environment = environment
        self._ways = ways
        self._told = told
        self.closed_periods: set[str] = set()
        self.keeps_settled_lines = True
        self.tax_by_line = False

    def post(self, kind: str, company: str, key: str) -> Row:
        """Post one document; the header afterwards. Raises Refusal, and then nothing was posted."""
        with self._environment.transaction():
            if kind == "FreeTextInvoice":
                return self._free_text(self._header("FreeTextInvoiceHeaders", company, InvoiceIdentifier=int(key)))
            if kind == "ProjectInvoiceProposal":
                return self._proposal(self._header("ProjectInvoiceProposalHeaders", company, InvoiceProposalId=key))
            if kind == "CustomerPaymentJournal":
                return self._journal(self._header("CustomerPaymentJournalHeaders", company, JournalBatchNumber=key))
        raise write_failed(kind, f"Nothing is known of documents of kind {kind}.")

    def run_batch(self) -> None:
        """The batch job of the customer: every document that is marked as ready; one that cannot be posted stays."""
        for name, kind, key in (
            ("FreeTextInvoiceHeaders", "FreeTextInvoice", "InvoiceIdentifier"),
            ("ProjectInvoiceProposalHeaders", "ProjectInvoiceProposal", "InvoiceProposalId"),
        ):
            for row in list(self._environment.tables[name].rows.values()):
                is_open = row.get("IsPosted") == "No" if "IsPosted" in row else not row["Invoice"]
                if is_open and row["TLIsReady"] == "Yes" and self._is_open(row["InvoiceDate"]):
                    self.post(kind, row["dataAreaId"], str(row[key]))

    def _header(self, name: str, company: str, **key: object) -> Row:
        row = self._environment.get(name, dataAreaId=company, **key)
        if row is None:
            raise write_failed(name, "There is no such document.")
        if row.get("IsPosted") == "Yes" or row.get("Invoice"):
            raise write_failed(name, "The document has been posted already.")
        return row

    def _is_open(self, day: datetime) -> bool:
        return f"{day:%Y-%m}" not in self.closed_periods

    def _demand_open(self, name: str, day: datetime) -> None:
        if day == EMPTY_DATE:
            raise write_failed(name, "The posting date must be filled in.")
        if not self._is_open(day):
            raise write_failed(name, f"Fiscal period for {day:%m/%d/%Y} is not open.")

    def rate(self, company: str, group: str) -> Decimal:
        """The rate of a sales tax group in percent: the sum of its codes' values."""
        tables = self._environment.tables
        codes = {
            row["TaxCodeId"]
            for row in tables["TaxGroupDatas"].rows.values()
            if row["dataAreaId"] == company and row["TaxGroupId"] == group
        }
        values = (
            row["Value"]
            for row in tables["TaxCodeValuesV2"].rows.values()
            if row["dataAreaId"] == company and row["TaxCodeId"] in codes
        )
        return sum(values, Decimal(0))

    def _tax(self, company: str, currency: str, amounts: list[tuple[Decimal, str]]) -> Decimal:
        groups: dict[str, Decimal] = {}
        for amount, group in amounts:
            share = rounded(amount * self.rate(company, group) / _HUNDRED, currency) if self.tax_by_line else amount
            groups[group] = groups.get(group, Decimal(0)) + share
        if self.tax_by_line:
            return sum(groups.values(), Decimal(0))
        taxes = (rounded(net * self.rate(company, group) / _HUNDRED, currency) for group, net in groups.items())
        return sum(taxes, Decimal(0))

    def _free_text(self, header: Row) -> Row:
        environment, company = self._environment, header["dataAreaId"]
        self._demand_open("FreeTextInvoiceHeader", header["InvoiceDate"])
        lines = environment.tables["FreeTextInvoiceLines"].having("ParentRecId", header["InvoiceIdentifier"])
        lines = [line for line in lines if line["dataAreaId"] == company]
        if not lines:
            raise write_failed("FreeTextInvoiceHeader", "The invoice has no lines.")
        net = sum((line["TransactionCurrencyAmount"] for line in lines), Decimal(0))
        given = [line for line in lines if line["OverrideSalesTax"] == "Yes" and self._ways.honours_tax_override]
        others = [(ln["TransactionCurrencyAmount"], ln["SalesTaxGroupId"]) for ln in lines if ln not in given]
        tax = sum((line["SalesTaxAmount"] for line in given), Decimal(0))
        tax += self._tax(company, header["CurrencyCode"], others)
        number = environment.number("FTI", company)
        voucher = environment.number("FTV", company)
        environment.change("FreeTextInvoiceHeaders", header, {"IsPosted": "Yes", "InvoiceId": number})
        environment.insert(
            "SalesInvoiceHeadersV2",
            {
                "dataAreaId": company,
                "InvoiceNumber": number,
                "InvoiceDate": header["InvoiceDate"],
                "LedgerVoucher": voucher,
                "InvoiceCustomerAccountNumber": header["InvoiceAccount"],
                "CustomersOrderReference": header["CustomerReference"],
                "CurrencyCode": header["CurrencyCode"],
                "TotalInvoiceAmount": net + tax,
                "TotalTaxAmount": tax,
            },
        )
        self._voucher(header, header["InvoiceAccount"], number, voucher, net + tax, header["CurrencyCode"], "Cust")
        self._told("CustFreeTextInvoicePostedBusinessEvent", company, {"InvoiceId": number})
        return header

    def _proposal(self, header: Row) -> Row:
        environment, company = self._environment, header["dataAreaId"]
        self._demand_open("ProjectInvoiceProposalHeader", header["InvoiceDate"])
        table = environment.tables["ProjectInvoiceProposalOnAccountLines"]
        lines = [
            ln for ln in table.having("InvoiceProposalId", header["InvoiceProposalId"]) if ln["dataAreaId"] == company
        ]
        if not lines:
            raise write_failed("ProjectInvoiceProposalHeader", "The invoice proposal has no lines.")
        net = sum((line["LineAmount"] for line in lines), Decimal(0))
        tax = self._tax(company, header["SalesCurrency"], [(ln["LineAmount"], ln["SalesTaxGroup"]) for ln in lines])
        source = environment.get(
            "ProjectFundingSources",
            dataAreaId=company,
            ProjectContractID=header["ProjectContractId"],
            FundingSourceId=header["FundingSourceId"],
        )
        account = source["CustomerOrOrganization"] if source else ""
        number, voucher = environment.number("PIN", company), environment.number("PIV", company)
        environment.change("ProjectInvoiceProposalHeaders", header, {"Invoice": number})
        due = {**header, "DueDate": header["TLDueDate"]}
        self._voucher(due, account, number, voucher, net + tax, header["SalesCurrency"], "Project")
        self._told("ProjInvoicePostedBusinessEvent", company, {"InvoiceId": number})
        return header

    def _voucher(
        self, header: Row, account: str, number: str, voucher: str, gross: Decimal, currency: str, kind: str
    ) -> None:
        environment = self._environment
        environment.insert(
            "CustTransactions",
            {
                "dataAreaId": header["dataAreaId"],
                "SysRecId": environment.record_id(),
                "AccountNum": account,
                "OrderAccount": account,
                "Invoice": number,
                "Voucher": voucher,
                "TransDate": header["InvoiceDate"],
                "DueDate": header["DueDate"],
                "TransType": kind,
                "CurrencyCode": currency,
                "AmountCur": gross,
                "InvoiceProject": "Yes" if kind == "Project" else "No",
            },
        )

    def _journal(self, header: Row) -> Row:
        environment, company, batch = self._environment, header["dataAreaId"], header["JournalBatchNumber"]
        table = environment.tables["CustomerPaymentJournalLines"]
        lines = [line for line in table.having("JournalBatchNumber", batch) if line["dataAreaId"] == company]
        if not lines:
            raise write_failed("CustomerPaymentJournalHeader", "The journal has no lines.")
        for line in lines:
            self._demand_open("CustomerPaymentJournalLine", line["TransactionDate"])
            self._payment(line)
        environment.change("CustomerPaymentJournalHeaders", header, {"IsPosted": "Yes"})
        for line in lines:
            self._told("CustomerPaymentPostedBusinessEvent", company, {"Voucher": line["Voucher"]})
        return header

    def _payment(self, line: Row) -> None:
        environment, amount = self._environment, line["CreditAmount"] - line["DebitAmount"]
        settled = Decimal(0)
        if line["MarkedInvoice"]:
            owner = line["MarkedInvoiceCompany"] or line["dataAreaId"]
            found = environment.tables["CustTransactions"].having("Invoice", line["MarkedInvoice"])
            invoice = next((row for row in found if row["dataAreaId"] == owner), None)
            if invoice is None:
                raise write_failed("CustomerPaymentJournalLine", f"Invoice {line['MarkedInvoice']} is not open.")
            settled = min(amount, invoice["AmountCur"] - invoice["SettleAmountCur"])
            values = {
                "SettleAmountCur": invoice["SettleAmountCur"] + settled,
                "LastSettleVoucher": line["Voucher"],
                "LastSettleDate": line["TransactionDate"],
            }
            environment.change("CustTransactions", invoice, values)
            if self.keeps_settled_lines:
                self._settled_line(line, invoice, settled)
        environment.insert(
            "CustTransactions",
            {
                "dataAreaId": line["dataAreaId"],
                "SysRecId": environment.record_id(),
                "AccountNum": line["AccountDisplayValue"],
                "OrderAccount": line["AccountDisplayValue"],
                "Voucher": line["Voucher"],
                "TransDate": line["TransactionDate"],
                "TransType": "Payment",
                "CurrencyCode": line["CurrencyCode"],
                "AmountCur": -amount,
                "SettleAmountCur": -settled,
                "PaymReference": line["PaymentReference"],
                "Txt": line["TransactionText"],
            },
        )

    def _settled_line(self, line: Row, invoice: Row, settled: Decimal) -> None:
        self._environment.insert(
            "PaymentJournalLineSettledInvoices",
            {
                "JournalLineCompany": line["dataAreaId"],
                "JournalBatchNumber": line["JournalBatchNumber"],
                "JournalLineNumber": line["LineNumber"],
                "InvoiceNumber": invoice["Invoice"],
                "InvoiceCompany": invoice["dataAreaId"],
                "InvoiceDueDate": invoice["DueDate"],
                "AccountDisplayValue": line["AccountDisplayValue"],
                "SettlementAmountInInvoiceCurrency": settled,
            },
        )
