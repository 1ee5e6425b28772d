"""The rows of a firm's files as the set-up of its companies: what a data package brings in, by entity label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from deploy.sandbox.kit.firm import Row
from shared.canonical.money import minor_digits

Json = dict[str, Any]
CHART: Final = "Shared"
STANDARD_TAX: Final = "TL-STD"
NO_TAX: Final = "TL-NUL"
_TERMS: Final = (0, 7, 10, 14, 15, 20, 21, 28, 30, 45, 60, 90)
_COMPANY: Final = 4


def companies_of(codes: Iterable[str]) -> dict[str, str]:
    """A company id of at most four letters for every code of a legal entity."""
    found: dict[str, str] = {}
    for code in dict.fromkeys(codes):
        letters = re.sub(r"[^a-z0-9]", "", code.lower()) or "co"
        base = letters if len(letters) <= _COMPANY else letters[:2] + letters[-2:]
        name, number = base, 1
        while name in found.values() or name == "dat":
            number += 1
            name = base[: _COMPANY - len(str(number))] + str(number)
        found[code] = name
    return found


def set_up(
    legal_entities: Sequence[Row], service_items: Sequence[Row], rate_cards: Sequence[Row]
) -> dict[str, list[Json]]:
    """Rows by entity label, those that others point at first."""
    companies = companies_of(row["code"] for row in legal_entities)
    currencies = sorted({row["currency"] for row in (*legal_entities, *rate_cards)})
    accounts = sorted({row["revenue_account"] for row in service_items if row.get("revenue_account")} | {"40000"})
    return {
        "Currencies": [_currency(code) for code in currencies],
        "Legal entities": [_legal_entity(row, companies[row["code"]]) for row in legal_entities],
        "Ledgers": [_ledger(row, companies[row["code"]]) for row in legal_entities],
        "Main accounts": [_account(number) for number in accounts],
        "Customer groups": [
            {"dataAreaId": company, "CustomerGroupId": "TL", "Description": "Services"}
            for company in companies.values()
        ],
        "Terms of payment": [
            {"dataAreaId": company, "Name": f"Net{days}", "NumberOfDays": days, "Description": f"{days} days"}
            for company in companies.values()
            for days in _TERMS
        ],
        "Project groups": [
            {"dataAreaId": company, "ProjectGroup": group, "Name": name, "ProjectType": kind}
            for company in companies.values()
            for group, name, kind in (
                ("TL-TM", "Time and material", "TimeMaterial"),
                ("TL-FP", "Fixed price", "FixedPrice"),
            )
        ],
        **_taxes(legal_entities, companies),
        "Project categories": [
            _category(item, codes, company) for company in companies.values() for item, codes in _items(service_items)
        ],
        "Released products V2": [
            _product(item, codes, company) for company in companies.values() for item, codes in _items(service_items)
        ],
        "Project hour sales prices V2": [
            _price(row, _company_of_card(row, legal_entities, companies)) for row in rate_cards
        ],
    }


def _currency(code: str) -> Json:
    step = Decimal(1).scaleb(-minor_digits(code))
    return {"CurrencyCode": code, "Name": code, "Symbol": code, "GeneralRoundingRule": step}


def _legal_entity(row: Row, company: str) -> Json:
    return {
        "LegalEntityId": company,
        "Name": row["name"],
        "NameAlias": row["code"],
        "AddressCountryRegionId": row["country"],
        "TLCode": row["code"],
        "TLIsApproved": "Yes" if row["approved"].strip().lower() == "true" else "No",
        "TLStandardTaxRate": Decimal(row["standard_tax_rate"]),
    }


def _ledger(row: Row, company: str) -> Json:
    return {
        "LegalEntityId": company,
        "Name": company.upper(),
        "AccountingCurrency": row["currency"],
        "ChartOfAccounts": CHART,
    }


def _account(number: str) -> Json:
    return {"ChartOfAccounts": CHART, "MainAccountId": number, "Name": f"Service revenue {number}"}


def _taxes(legal_entities: Sequence[Row], companies: Mapping[str, str]) -> dict[str, list[Json]]:
    groups: list[Json] = []
    codes: list[Json] = []
    values: list[Json] = []
    for row in legal_entities:
        company = companies[row["code"]]
        for group, rate in ((STANDARD_TAX, Decimal(row["standard_tax_rate"])), (NO_TAX, Decimal(0))):
            groups.append({"dataAreaId": company, "TaxGroupCode": group, "Description": f"{rate * 100:f} %"})
            codes.append({"dataAreaId": company, "TaxGroupId": group, "TaxCodeId": group})
            values.append({"dataAreaId": company, "TaxCodeId": group, "Value": rate * 100})
    return {"Sales tax groups": groups, "Sales tax group codes": codes, "Sales tax code values V2": values}


def _items(rows: Sequence[Row]) -> list[tuple[Row, str]]:
    codes: dict[str, list[str]] = {}
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row["item_code"], row)
        codes.setdefault(row["item_code"], []).append(row["product_code"])
    return [(first[item], ";".join(listed)) for item, listed in codes.items()]


def _category(row: Row, codes: str, company: str) -> Json:
    return {
        "dataAreaId": company,
        "Category": row["item_code"],
        "CategoryName": row["name"],
        "CategoryGroup": "Services",
        "ItemSalesTaxGroup": "TL-SVC",
        "ActiveInJournals": "Yes",
        "TLProductCodes": codes,
        "TLRevenueAccount": row.get("revenue_account") or "40000",
    }


def _product(row: Row, codes: str, company: str) -> Json:
    return {
        "dataAreaId": company,
        "ItemNumber": row["item_code"],
        "ProductType": "Service",
        "ProductSearchName": row["name"],
        "ProjectCategoryId": row["item_code"],
        "SalesSalesTaxItemGroupCode": "TL-SVC",
        "TLProductCodes": codes,
    }


def _company_of_card(row: Row, legal_entities: Sequence[Row], companies: Mapping[str, str]) -> str:
    """The company that keeps a card's prices: one of its currency, the one it is named after before others."""
    alike = [one["code"] for one in legal_entities if one["currency"] == row["currency"]]
    codes = alike or [one["code"] for one in legal_entities]
    return companies[next((code for code in codes if row["rate_card"].endswith(code)), codes[0])]


def _price(row: Row, company: str) -> Json:
    return {
        "dataAreaId": company,
        "PriceGroup": row["rate_card"],
        "ResourceCategoryId": row["role"],
        "CurrencyId": row["currency"],
        "TransDate": f"{row['effective_from']}T12:00:00Z",
        "EndDate": f"{row['effective_to'] or '1900-01-01'}T12:00:00Z",
        "SalesPriceModel": "SalesPrice",
        "SalesPricing": Decimal(row["rate"]),
    }
