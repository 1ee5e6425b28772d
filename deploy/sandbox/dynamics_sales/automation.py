"""What the product does by itself before a row is kept: sums, currencies, states, and the rules that span columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from deploy.sandbox.dynamics_sales.errors import DataverseError, business_rule, missing
from deploy.sandbox.dynamics_sales.records import Records, Row, Value
from deploy.sandbox.dynamics_sales.schema import Table

OPEN, WON, LOST = 0, 1, 2
_FOUR = Decimal("0.0001")
_NOTHING = Decimal("0.0000")
_TOTALS = ("totallineitemamount", "totaltax", "totalamountlessfreight", "totalamount")


@dataclass(slots=True)
class Habits:
    """Behaviour that the vendor's documents leave open; switches change it."""

    closed_rows: str = "locked"  # a closed deal takes no changes ("locked"), or those of the API ("writable")
    lines_touch_deal: bool = True  # whether a line's change stamps its deal
    win_by_patch: bool = False  # whether the state may be set to won without the action


def number(value: Value) -> Decimal:
    """The amount, nothing where there is none."""
    return value if isinstance(value, Decimal) else _NOTHING


def _currency(records: Records, table: Table, row: Row, base_id: str) -> None:
    if not table.has_money:
        return
    if table.name == "opportunityproduct":
        deal = records.get("opportunity", row.get("opportunityid")) or {}
        row["transactioncurrencyid"] = deal.get("transactioncurrencyid")
    row["transactioncurrencyid"] = row.get("transactioncurrencyid") or base_id
    currency = records.get("transactioncurrency", row["transactioncurrencyid"]) or {}
    rate = number(currency.get("exchangerate")) or Decimal(1)
    precision = currency.get("currencyprecision")
    step = Decimal(1).scaleb(-(precision if isinstance(precision, int) else 2))
    row["exchangerate"] = rate
    for column in table.columns.values():
        if column.kind != "money" or column.name.endswith("_base"):
            continue
        amount = row.get(column.name)
        if isinstance(amount, Decimal):
            kept = amount.quantize(step, rounding=ROUND_HALF_EVEN).quantize(_FOUR)
            row[column.name] = kept
            row[f"{column.name}_base"] = (kept / rate).quantize(_FOUR, rounding=ROUND_HALF_EVEN)
        else:
            row[f"{column.name}_base"] = None


def _state(table: Table, row: Row, given: Row) -> None:
    """State and status belong together; one brings the other's first fitting value along."""
    states = table.columns["statuscode"].states if "statuscode" in table.columns else {}
    if not states or not {"statecode", "statuscode"} & given.keys():
        return
    state, status = row["statecode"], row["statuscode"]
    if "statuscode" not in given and state is not None:
        row["statuscode"] = next(value for value, of in states.items() if of == state)
    elif status is None or states.get(int(str(status))) != state:
        raise DataverseError(400, "0x80048408", f"{status} is not a valid status code for state code {state}.")


def _opportunity(records: Records, row: Row, before: Row, given: Row, habits: Habits) -> None:
    if "parentaccountid" in given:
        row["customerid"] = given["parentaccountid"]
    elif "customerid" in given and records.get("account", given["customerid"]):
        row["parentaccountid"] = given["customerid"]
    was, now = before.get("statecode", OPEN), row["statecode"]
    if now not in {was, OPEN} and not habits.win_by_patch:
        raise business_rule("Use WinOpportunity or LoseOpportunity to close an opportunity.")
    if was != OPEN and given.keys() - {"statecode", "statuscode"} and habits.closed_rows == "locked":
        raise business_rule("The opportunity is closed; it cannot be edited unless it is reopened.")
    if was != OPEN and now == OPEN:
        row |= {"actualvalue": None, "actualclosedate": None, "closeprobability": None}
    if "totalamount" not in before:
        row |= dict.fromkeys(_TOTALS, _NOTHING)
    if row["isrevenuesystemcalculated"] is True:
        row["estimatedvalue"] = row["totalamount"]


def _line(records: Records, row: Row, before: Row, given: Row, habits: Habits) -> None:
    deal = records.get("opportunity", row.get("opportunityid"))
    if deal is None:
        raise missing("opportunityid")
    if deal["statecode"] != OPEN and habits.closed_rows == "locked":
        raise business_rule("You can't add, change or remove lines because the opportunity is closed.")
    product = records.get("product", row.get("productid"))
    if row["isproductoverridden"] is True:
        if product is not None or not row.get("productdescription"):
            raise business_rule("A write-in product has a description and no product.")
        row["opportunityproductname"] = str(row["productdescription"])[:100]
    elif product is None:
        raise business_rule("The product id is missing.")
    elif row.get("uomid") is None:
        raise business_rule("The unit id is missing.")
    else:
        row["opportunityproductname"] = product["name"]
    row["pricingerrorcode"] = 0
    if row["ispriceoverridden"] is not True and row["isproductoverridden"] is not True:
        row |= {"pricingerrorcode": 11, "priceperunit": _NOTHING}
    if row.get("quantity") is None:
        row["pricingerrorcode"] = 4
    base = (number(row.get("quantity")) * number(row.get("priceperunit"))).quantize(_FOUR)
    row |= {"baseamount": base, "volumediscountamount": _NOTHING}
    row["extendedamount"] = base - number(row.get("manualdiscountamount")) + number(row.get("tax"))
    if "lineitemnumber" not in before and "lineitemnumber" not in given:
        row["lineitemnumber"] = len(records.children("opportunityproduct", "opportunityid", row["opportunityid"])) + 1


def _contact(records: Records, row: Row, before: Row, given: Row, habits: Habits) -> None:
    del records, before, given, habits
    row["fullname"] = " ".join(str(row[part]) for part in ("firstname", "lastname") if row.get(part)) or None


_RULES: dict[str, Callable[[Records, Row, Row, Row, Habits], None]] = {
    "opportunity": _opportunity,
    "opportunityproduct": _line,
    "contact": _contact,
}


def before_save(
    records: Records, table: Table, row: Row, before: Row, given: Row, habits: Habits, base_id: str
) -> None:
    """Complete and check a row that is about to be kept; `before` is empty for a new one. Raises DataverseError."""
    _state(table, row, given)
    if rule := _RULES.get(table.name):
        rule(records, row, before, given, habits)
    _currency(records, table, row, base_id)


def totals(records: Records, deal: Row) -> Row:
    """The sums of a deal as its lines now stand."""
    lines = records.children("opportunityproduct", "opportunityid", deal["opportunityid"])
    net = sum((number(line["baseamount"]) - number(line.get("manualdiscountamount")) for line in lines), _NOTHING)
    tax = sum((number(line.get("tax")) for line in lines), _NOTHING)
    less_freight = net - number(deal.get("discountamount"))
    total = less_freight + number(deal.get("freightamount")) + tax
    sums: Row = {
        "totallineitemamount": net,
        "totaltax": tax,
        "totalamountlessfreight": less_freight,
        "totalamount": total,
    }
    if deal["isrevenuesystemcalculated"] is True:
        sums["estimatedvalue"] = total
    rate = number(deal["exchangerate"]) or Decimal(1)
    return sums | {f"{name}_base": (number(value) / rate).quantize(_FOUR) for name, value in sums.items()}


def closed(deal: Row, status: int, *, is_won: bool, revenue: Value, on: date) -> Row:
    """What closing writes into a deal."""
    values: Row = {"statecode": WON if is_won else LOST, "statuscode": status, "actualclosedate": on}
    actual = revenue if revenue is not None else deal["estimatedvalue"] if is_won else _NOTHING
    return values | {"actualvalue": actual, "closeprobability": 100 if is_won else 0}
