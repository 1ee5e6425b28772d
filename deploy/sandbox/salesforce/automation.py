"""What the platform does by itself before a row is saved: derived fields, numbering, checks that span fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from deploy.sandbox.salesforce.changes import Caller
from deploy.sandbox.salesforce.errors import SalesforceError, missing_fields
from deploy.sandbox.salesforce.records import Records, Row
from deploy.sandbox.salesforce.schema import SObject
from deploy.sandbox.salesforce.values import Value

if TYPE_CHECKING:
    from deploy.sandbox.salesforce.writes import Writes

_LEAST = Decimal("0.001")
CONTRACT_CODES = {"Draft": "Draft", "Rejected": "Draft", "In Approval Process": "InApproval", "Activated": "Activated"}


def defaults(records: Records, sobject: SObject, user_id: str) -> Row:
    """The values a new row starts with."""
    row: Row = dict.fromkeys(sobject.fields)
    for listed in sobject.fields.values():
        if listed.kind == "boolean":
            row[listed.name] = listed.default == "true"
        elif listed.kind == "autonumber":
            row[listed.name] = listed.pattern.format(next(records.tables[sobject.name].names))
        elif listed.kind in {"double", "int"} and listed.default:
            row[listed.name] = Decimal(listed.default)
        elif listed.default:
            row[listed.name] = listed.default
    if "OwnerId" in row:
        row["OwnerId"] = user_id
    return row


def _stage(records: Records, row: Row, given: Row) -> None:
    stage = records.find_one("OpportunityStage", "ApiName", row["StageName"])
    if "StageName" in given:
        row["IsClosed"] = bool(stage and stage["IsClosed"])
        row["IsWon"] = bool(stage and stage["IsWon"])
        row["ForecastCategory"] = stage["ForecastCategory"] if stage else "Pipeline"
        row["ForecastCategoryName"] = stage["ForecastCategoryName"] if stage else "Pipeline"
        if "Probability" not in given:
            row["Probability"] = stage["DefaultProbability"] if stage else Decimal(0)
    closes = row["CloseDate"]
    if closes is not None and not isinstance(closes, (str, bool, Decimal)):
        quarter = (closes.month - 1) // 3 + 1
        row |= {"FiscalYear": Decimal(closes.year), "FiscalQuarter": Decimal(quarter)}
        row["Fiscal"] = f"{closes.year} {quarter}"


def _number(value: Value) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(0)


def _entry_of(records: Records, row: Row, opportunity: Row) -> Row | None:
    """The price of the line: the given one, else the book's one for the product in the deal's currency."""
    if row["PricebookEntryId"] is not None:
        return records.get("PricebookEntry", row["PricebookEntryId"])
    for entry in records.children("PricebookEntry", "Product2Id", row["Product2Id"]):
        if all(entry[name] == opportunity[name] for name in ("Pricebook2Id", "CurrencyIsoCode")):
            return entry
    return None


def _line(records: Records, row: Row, given: Row) -> None:
    if given.get("UnitPrice") is not None and given.get("TotalPrice") is not None:
        text = "TotalPrice and UnitPrice cannot both be specified: only one of them"
        raise SalesforceError(400, "FIELD_INTEGRITY_EXCEPTION", text, ["TotalPrice"])
    opportunity = records.get("Opportunity", row["OpportunityId"]) or {}
    if "Id" not in row or row["PricebookEntryId"] is None:
        entry = _entry_of(records, row, opportunity)
        if entry is None:
            text = "pricebook entry is in a different pricebook than the one assigned to the opportunity, or missing"
            raise SalesforceError(400, "FIELD_INTEGRITY_EXCEPTION", text, ["PricebookEntryId"])
        if entry["CurrencyIsoCode"] != opportunity["CurrencyIsoCode"]:
            text = "The pricebook entry currency code does not match the opportunity currency code"
            raise SalesforceError(400, "FIELD_INTEGRITY_EXCEPTION", text, ["PricebookEntryId"])
        product = records.get("Product2", entry["Product2Id"]) or {}
        row |= {"PricebookEntryId": entry["Id"], "Product2Id": entry["Product2Id"], "ListPrice": entry["UnitPrice"]}
        row |= {"ProductCode": product.get("ProductCode"), "CurrencyIsoCode": opportunity["CurrencyIsoCode"]}
        row["Name"] = f"{opportunity['Name']} {product.get('Name')}"[:376]
        earlier = records.children("OpportunityLineItem", "OpportunityId", row["OpportunityId"])
        row["SortOrder"] = Decimal(len(earlier) + 1)
    quantity = _number(row["Quantity"])
    if quantity == 0:
        raise SalesforceError(400, "FIELD_INTEGRITY_EXCEPTION", "Quantity must be nonzero", ["Quantity"])
    if given.get("TotalPrice") is not None:
        row["UnitPrice"] = (_number(row["TotalPrice"]) / quantity).quantize(_LEAST)
    elif row["UnitPrice"] is not None:
        row["TotalPrice"] = (_number(row["UnitPrice"]) * quantity).quantize(_LEAST)
    else:
        raise missing_fields(["UnitPrice"])


def _contract(records: Records, row: Row, given: Row) -> None:
    del records
    code = CONTRACT_CODES[str(row["Status"])]
    if "Id" not in row and code == "Activated":
        text = "Choose a valid contract status and save your changes. Ask your admin for details."
        raise SalesforceError(400, "FAILED_ACTIVATION", text, ["Status"])
    if row["StatusCode"] == "Activated" and code != "Activated" and "Status" in given:
        text = "An activated contract cannot go back to another status"
        raise SalesforceError(400, "FIELD_INTEGRITY_EXCEPTION", text, ["Status"])
    row["StatusCode"] = code


def _price(records: Records, row: Row, given: Row) -> None:
    del given
    product = records.get("Product2", row["Product2Id"]) or {}
    row |= {"Name": product.get("Name"), "ProductCode": product.get("ProductCode")}


def _contact(records: Records, row: Row, given: Row) -> None:
    del records, given
    row["Name"] = " ".join(str(row[part]) for part in ("FirstName", "LastName") if row[part])


def _account(records: Records, row: Row, given: Row) -> None:
    del records
    if "BillingCountryCode" in given and "BillingCountry" not in given:
        row["BillingCountry"] = row["BillingCountryCode"]


_RULES: dict[str, Callable[[Records, Row, Row], None]] = {
    "Account": _account,
    "Contact": _contact,
    "Contract": _contract,
    "Opportunity": _stage,
    "OpportunityLineItem": _line,
    "PricebookEntry": _price,
    "User": _contact,
}


def before_save(records: Records, sobject: str, row: Row, given: Row) -> None:
    """Complete and check a row that is about to be saved; a row without `Id` is new."""
    if rule := _RULES.get(sobject):
        rule(records, row, given)


def _nothing_more(writes: Writes, sobject: str, row: Row, before: Row | None, caller: Caller) -> None:
    """Sales Cloud by itself runs no code after a row is saved."""
    del writes, sobject, row, before, caller


def _deletable(records: Records, sobject: str, row: Row) -> None:
    """Sales Cloud by itself lets every row go."""
    del records, sobject, row


def _nobody(records: Records) -> frozenset[str]:
    del records
    return frozenset()


@dataclass(frozen=True, slots=True)
class Automation:
    """What an org does with rows by itself.

    `before` completes and checks a row to be saved, `after` runs when it stands (with the row as it was, None: new),
    `before_delete` may refuse, `unlocked` names the users whom locks do not stop, `formulas` compute fields, and
    `approvals` are the fields an approval process sets: object → Submit, Approve, Reject → field → value.
    """

    before: Callable[[Records, str, Row, Row], None] = before_save
    after: Callable[[Writes, str, Row, Row | None, Caller], None] = _nothing_more
    before_delete: Callable[[Records, str, Row], None] = _deletable
    unlocked: Callable[[Records], frozenset[str]] = _nobody
    formulas: Mapping[str, Callable[[Records, Row], Value]] = field(
        default_factory=dict[str, "Callable[[Records, Row], Value]"]
    )
    approvals: Mapping[str, Mapping[str, Row]] = field(default_factory=dict[str, "Mapping[str, Row]"])


SALES_CLOUD = Automation()
