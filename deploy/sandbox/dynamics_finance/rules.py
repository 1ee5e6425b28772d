"""What tables demand of a row before it is written (validateWrite) and what they fill in (defaultRow)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from deploy.sandbox.dynamics_finance.errors import Refusal, not_allowed, write_failed
from deploy.sandbox.dynamics_finance.state import Environment
from deploy.sandbox.dynamics_finance.values import EMPTY_DATE, Row

NO_DIGITS: Final = frozenset({"JPY", "KRW", "CLP", "ISK", "VND"})
_SATURDAY: Final = 5
_WITHOUT_OPERATIONS: Final = "The legal entity has not turned on Project Operations Integration."


@dataclass(slots=True)
class Ways:
    """How this customer's environment is set up; what the product's pages leave open is a switch here."""

    customer_numbers: str = "manual"
    has_project_operations: bool = False
    keeps_line_amounts: bool = True
    honours_tax_override: bool = True
    proposals: str = "writable"  # writable, forbidden or absent
    checks_working_days: bool = True


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Half-up to the currency's minor unit."""
    return amount.quantize(Decimal(1) if currency in NO_DIGITS else Decimal("0.01"), ROUND_HALF_UP)


class Rules:
    """The rules of all tables."""

    def __init__(self, environment: Environment, ways: Ways) -> None:
        """`ways` may be changed while the simulator runs."""
        self.environment = environment
        self.ways = ways
        self._before: Mapping[str, Callable[[Row], None]] = {
            "LegalEntities": self._legal_entity,
            "CustomersV3": self._customer,
            "ProjectContractHeaders": self._operations_only,
            "ProjectContractLines": self._contract_line,
            "ProjectFundingSources": self._funding_source,
            "Projects": lambda row: self._project(
                row, "Projects", "ProjectGroup", "ProjectContractID", "ParentProject"
            ),
            "ProjectsV2": lambda row: self._project(
                row, "ProjectsV2", "ProjectGroupId", "ProjectContractId", "ParentProjectId"
            ),
            "ProjectOnAccForecasts": self._forecast,
            "FreeTextInvoiceHeaders": self._invoice,
            "FreeTextInvoiceLines": self._invoice_line,
            "ProjectInvoiceProposalHeaders": self._proposal,
            "ProjectInvoiceProposalOnAccountLines": self._proposal_line,
            "CustomerPaymentJournalHeaders": self._journal,
            "CustomerPaymentJournalLines": self._journal_line,
        }

    def before_insert(self, name: str, row: Row) -> None:
        """Fill in and check a new row. Raises Refusal."""
        if check := self._before.get(name):
            check(row)

    def before_change(self, name: str, row: Row, values: Mapping[str, Any]) -> Row:
        """Check a change, or (no values) a deletion; the values to be written. Raises Refusal."""
        is_invoiced = name == "ProjectInvoiceProposalHeaders" and bool(row["Invoice"])
        if is_invoiced or row.get("IsPosted") == "Yes":
            raise write_failed(name, "The record is posted and cannot be changed or deleted.")
        header = self._header_of(name, row)
        if header is not None and (header.get("IsPosted") == "Yes" or header.get("Invoice")):
            raise write_failed(name, "The lines of a posted document cannot be changed or deleted.")
        if name in {"ProjectsV2", "ProjectContractHeaders", "ProjectContractLines"}:
            self._operations_only(row)
        if name == "Projects" and values:
            self._working_day({**row, **values})
        if name == "FreeTextInvoiceLines" and values:
            priced = {**row, **values}
            self._line_amount(priced, given=values)
            return {**values, "TransactionCurrencyAmount": priced["TransactionCurrencyAmount"]}
        return dict(values)

    def _header_of(self, name: str, row: Row) -> Row | None:
        if name == "FreeTextInvoiceLines":
            return self._get("FreeTextInvoiceHeaders", row, InvoiceIdentifier=row["ParentRecId"])
        if name == "ProjectInvoiceProposalOnAccountLines":
            return self._get("ProjectInvoiceProposalHeaders", row, InvoiceProposalId=row["InvoiceProposalId"])
        if name == "CustomerPaymentJournalLines":
            return self._get("CustomerPaymentJournalHeaders", row, JournalBatchNumber=row["JournalBatchNumber"])
        return None

    def _get(self, name: str, row: Row, **key: Any) -> Row | None:
        return self.environment.get(name, dataAreaId=row["dataAreaId"], **key)

    def _demand(self, entity: str, field: str, row: Row, name: str, key: str) -> Row:
        found = self._get(name, row, **{key: row[field]})
        if found is None:
            reason = f"The value '{row[field]}' in field '{field}' is not found in the related table '{name}'."
            raise write_failed(entity, reason)
        return found

    def _legal_entity(self, row: Row) -> None:
        row["AddressCountryRegionISOCode"] = row.get("AddressCountryRegionId", "")

    def _customer(self, row: Row) -> None:
        self._demand("CustomerV3", "CustomerGroupId", row, "CustomerGroups", "CustomerGroupId")
        if self.environment.get("Currencies", CurrencyCode=row["SalesCurrencyCode"]) is None:
            raise write_failed("CustomerV3", f"Currency {row['SalesCurrencyCode']} does not exist.")
        if row.get("PaymentTerms"):
            self._demand("CustomerV3", "PaymentTerms", row, "PaymentTerms", "Name")
        if self.ways.customer_numbers == "automatic":
            row["CustomerAccount"] = self.environment.number("CUST", row["dataAreaId"])
        elif not row.get("CustomerAccount"):
            raise write_failed("CustomerV3", "Field 'Customer account' must be filled in.")
        row["PartyNumber"] = self.environment.number("PTY")
        row.setdefault("PartyType", "Organization")

    def _operations_only(self, row: Row) -> None:
        del row
        if not self.ways.has_project_operations:
            raise write_failed("ProjProjectV2Entity", _WITHOUT_OPERATIONS)

    def _contract_line(self, row: Row) -> None:
        self._operations_only(row)
        self._demand("ProjectContractLine", "ProjectContractId", row, "ProjectContractHeaders", "ProjectContractId")

    def _contract(self, row: Row, contract: str) -> Row | None:
        return self._get("ProjectContracts", row, ProjectContractID=contract) or self._get(
            "ProjectContractHeaders", row, ProjectContractId=contract
        )

    def _funding_source(self, row: Row) -> None:
        if self._contract(row, row["ProjectContractID"]) is None:
            raise write_failed("ProjectFundingSource", f"Project contract {row['ProjectContractID']} does not exist.")
        self._demand("ProjectFundingSource", "CustomerOrOrganization", row, "CustomersV3", "CustomerAccount")

    def _project(self, row: Row, name: str, group: str, contract: str, parent: str) -> None:
        if name == "ProjectsV2":
            self._operations_only(row)
        kind = self._demand(name, group, row, "ProjectGroups", "ProjectGroup")
        if self._contract(row, row[contract]) is None:
            raise write_failed(name, f"Project contract {row[contract]} does not exist.")
        if row.get(parent):
            key = self.environment.tables[name].entity.keys[1]
            self._demand(name, parent, row, name, key)
        sources = self.environment.tables["ProjectFundingSources"].having("ProjectContractID", row[contract])
        customer = next((s["CustomerOrOrganization"] for s in sources if s["dataAreaId"] == row["dataAreaId"]), "")
        row["CustomerAccount" if name == "Projects" else "CustomerAccountNumber"] = customer
        if name == "Projects":
            row["ProjectType"] = kind["ProjectType"]
            self._working_day(row)

    def _working_day(self, row: Row) -> None:
        for field in ("StartDate1", "EndDate1"):
            day = row.get(field, EMPTY_DATE)
            if self.ways.checks_working_days and day != EMPTY_DATE and day.weekday() >= _SATURDAY:
                raise write_failed("Project", "Selected date is not a working date.")

    def _forecast(self, row: Row) -> None:
        classic = self._get("Projects", row, ProjectID=row["ProjectID"])
        if classic is None and self._get("ProjectsV2", row, ProjectId=row["ProjectID"]) is None:
            raise write_failed("ProjectOnAccForecast", f"Project {row['ProjectID']} does not exist.")

    def _invoice(self, row: Row) -> None:
        customer = self._demand("FreeTextInvoiceHeader", "CustomerAccount", row, "CustomersV3", "CustomerAccount")
        if customer["OnHoldStatus"] in {"All", "Invoice"}:
            raise write_failed("FreeTextInvoiceHeader", f"Customer {row['CustomerAccount']} is on hold.")
        if row.get("TermsOfPayment"):
            self._demand("FreeTextInvoiceHeader", "TermsOfPayment", row, "PaymentTerms", "Name")
        row["@rec"] = row["InvoiceIdentifier"] = self.environment.record_id()
        row["FreeTextNumber"] = self.environment.number("FT", row["dataAreaId"])
        row.setdefault("InvoiceAccount", row["CustomerAccount"])

    def _invoice_line(self, row: Row) -> None:
        header = self._get("FreeTextInvoiceHeaders", row, InvoiceIdentifier=row["ParentRecId"])
        if header is None:
            raise write_failed("FreeTextInvoiceLine", f"There is no free text invoice {row['ParentRecId']}.")
        if header["IsPosted"] == "Yes":
            raise write_failed("FreeTextInvoiceLine", "The invoice is posted.")
        account = str(row["MainAccountDisplayValue"]).split("-", 1)[0]
        known = self.environment.tables["MainAccounts"].rows.values()
        if not any(found["MainAccountId"] == account for found in known):
            raise write_failed("FreeTextInvoiceLine", f"Main account {account} is not valid.")
        if row.get("CategoryId"):
            self._demand("FreeTextInvoiceLine", "CategoryId", row, "ProjectCategoryEntities", "Category")
        row["CurrencyCode"] = header["CurrencyCode"]
        self._line_amount(row, given=row)

    def _line_amount(self, row: Row, *, given: Mapping[str, Any]) -> None:
        priced = rounded(row.get("Quantity", Decimal(0)) * row.get("UnitPrice", Decimal(0)), row["CurrencyCode"])
        if "TransactionCurrencyAmount" not in given or not self.ways.keeps_line_amounts:
            row["TransactionCurrencyAmount"] = priced

    def _proposal(self, row: Row) -> None:
        if self.ways.proposals != "writable":
            raise not_allowed("ProjectInvoiceProposalHeaders")
        key = {"ProjectContractID": row["ProjectContractId"], "FundingSourceId": row["FundingSourceId"]}
        if self._get("ProjectFundingSources", row, **key) is None:
            raise write_failed(
                "ProjectInvoiceProposalHeader", f"Funding source {row['FundingSourceId']} does not exist."
            )
        row["InvoiceProposalId"] = self.environment.number("IP", row["dataAreaId"])

    def _proposal_line(self, row: Row) -> None:
        header = self._header_of("ProjectInvoiceProposalOnAccountLines", row)
        if header is None or header["Invoice"]:
            raise write_failed("ProjectInvoiceProposalOnAccountLine", "There is no open invoice proposal of that id.")
        self._forecast({**row, "ProjectID": row["ProjectId"]})
        if "LineAmount" not in row or not self.ways.keeps_line_amounts:
            priced = row.get("Quantity", Decimal(0)) * row.get("SalesPrice", Decimal(0))
            row["LineAmount"] = rounded(priced, header["SalesCurrency"])

    def _journal(self, row: Row) -> None:
        row["JournalBatchNumber"] = row.get("JournalBatchNumber") or self.environment.number("PJ", row["dataAreaId"])

    def _journal_line(self, row: Row) -> None:
        header = self._header_of("CustomerPaymentJournalLines", row)
        if header is None or header["IsPosted"] == "Yes":
            raise write_failed("CustomerPaymentJournalLine", "There is no open journal of that number.")
        row.setdefault("AccountType", "Cust")
        table = self.environment.tables["CustomerPaymentJournalLines"]
        lines = table.having("JournalBatchNumber", row["JournalBatchNumber"])
        row.setdefault("LineNumber", Decimal(len(lines) + 1))
        customer = self._get("CustomersV3", row, CustomerAccount=row["AccountDisplayValue"])
        if row["AccountType"] == "Cust" and customer is None:
            raise write_failed("CustomerPaymentJournalLine", f"Customer {row['AccountDisplayValue']} does not exist.")
        row["Voucher"] = self.environment.number("PV", row["dataAreaId"])


def refused_by(error: Refusal) -> str:
    """The infolog of a refusal in one line, for packages and jobs."""
    return error.inner.partition("Infolog: ")[2] or error.inner or error.message
