"""How the tenant is configured: company codes, sales areas, condition types, item categories, periods, switches."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import date
from decimal import ROUND_HALF_UP, Decimal


@dataclass(frozen=True, slots=True)
class CompanyCode:
    """A company code with the sales organisation that bears its name."""

    code: str
    name: str
    country: str
    currency: str


@dataclass(frozen=True, slots=True)
class ItemCategory:
    """What an item category does: `plan` is the kind of its billing plan, 01 milestones, 02 periods."""

    plan: str | None = None


COMPANY_CODES = (
    CompanyCode("1010", "Company Code 1010", "DE", "EUR"),
    CompanyCode("1110", "Company Code 1110", "GB", "GBP"),
    CompanyCode("1210", "Company Code 1210", "FR", "EUR"),
    CompanyCode("1310", "Company Code 1310", "CN", "CNY"),
    CompanyCode("1410", "Company Code 1410", "BR", "BRL"),
    CompanyCode("1510", "Company Code 1510", "JP", "JPY"),
    CompanyCode("1710", "Company Code 1710", "US", "USD"),
    CompanyCode("2910", "Company Code 2910", "CH", "CHF"),
)
ITEM_CATEGORIES = {"TAD": ItemCategory(), "TAO": ItemCategory("01"), "WVN": ItemCategory("02")}
CONDITION_TYPES = {"PMP0": "C", "YTLA": "B", "YTLT": "B"}
"""Condition type → how it is calculated: C by quantity, B a fixed amount."""
TAX_TYPE = "YTLT"
_DIGITS = {"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "VND": 0, "KWD": 3, "BHD": 3, "TND": 3}
DISTRIBUTION_CHANNEL, DIVISION = "10", "00"


@dataclass
class Switches:
    """What SAP leaves open or lets a customer decide."""

    pads_numbers: bool = False
    if_match: str = "required"
    tax_rounding: str = "document"
    request_is_blocked: bool = False
    closed_period_creates_document: bool = False
    payment_points_at_invoice: bool = True
    head_is_refused: bool = False
    reopens_closed_projects: bool = True
    page_size: int = 5000
    csrf_seconds: int = 1800
    token_seconds: int = 3600
    at_once: int = 100


@dataclass
class Customizing:
    """The tenant's configuration."""

    company_codes: dict[str, CompanyCode] = field(default_factory=dict[str, CompanyCode])
    closed_periods: set[str] = field(default_factory=set[str])
    locked: set[str] = field(default_factory=set[str])
    switches: Switches = field(default_factory=Switches)
    seeded: Switches = field(default_factory=Switches)

    def reset(self) -> None:
        """As delivered, with the switches the simulator was made with."""
        self.company_codes = {company.code: company for company in COMPANY_CODES}
        self.closed_periods.clear()
        self.locked.clear()
        for one in fields(Switches):
            setattr(self.switches, one.name, getattr(self.seeded, one.name))

    def is_open(self, day: date) -> bool:
        """Whether the posting period of a day takes postings."""
        return f"{day:%Y-%m}" not in self.closed_periods

    def knows_terms(self, code: str) -> bool:
        """Whether there are payment terms of that code: NT00 to NT99, payable within so many days net."""
        return len(code) == 4 and code.startswith("NT") and code[2:].isdigit()  # noqa: PLR2004 - the code's length


def rounded(amount: Decimal, currency: str) -> Decimal:
    """The amount half up to the digits that the currency has."""
    digits = _DIGITS.get(currency, 2)
    return amount.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
