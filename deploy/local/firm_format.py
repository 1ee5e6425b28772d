"""The sample firm's format as facts: tables, columns, what may stand in them, what they refer to; no reading here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from shared.canonical.money import MINOR_DIGITS

_DECIMAL = re.compile(r"-?\d{1,15}(\.\d{1,6})?")
_WHOLE = re.compile(r"\d{1,6}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_LONGEST = 200
HOURS_STEP = Decimal("0.05")
HOURS_A_DAY = 24

Check = Callable[[str], str | None]
"""The reason why a text is refused, or None."""


def _text(text: str, most: int = _LONGEST) -> str | None:
    if len(text) > most:
        return f"{len(text)} characters, but the systems it goes to take no more than {most}"
    return "has control characters" if any(ord(sign) < ord(" ") or sign == "\x7f" for sign in text) else None


def _up_to(most: int) -> Check:
    return lambda text: _text(text, most)


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text) if _DECIMAL.fullmatch(text) else None
    except InvalidOperation:
        return None


def _not_negative(text: str) -> str | None:
    number = _decimal(text)
    if number is None:
        return f"{text!r} is not a decimal number like 1234.50"
    return f"{text} is negative" if number < 0 else None


def _share(text: str) -> str | None:
    if reason := _not_negative(text):
        return reason
    return f"{text} is not between 0 and 1" if Decimal(text) > 1 else None


def _hours(text: str) -> str | None:
    if reason := _not_negative(text):
        return reason
    hours = Decimal(text)
    if hours > HOURS_A_DAY:
        return f"{text} hours on one day"
    return f"{text} is not a multiple of {HOURS_STEP}" if hours % HOURS_STEP else None


def _whole(text: str) -> str | None:
    return None if _WHOLE.fullmatch(text) else f"{text!r} is not a whole number"


def _revision(text: str) -> str | None:
    return _whole(text) or (None if int(text) >= 1 else "a revision starts at 1")


def _terms(text: str) -> str | None:
    longest = 365
    return _whole(text) or (None if int(text) <= longest else f"more than {longest} days")


def _date(text: str) -> str | None:
    try:
        if _DATE.fullmatch(text):
            date.fromisoformat(text)
            return None
    except ValueError:
        pass
    return f"{text!r} is not a date like 2026-11-20"


def _boolean(text: str) -> str | None:
    return None if text in {"true", "false"} else f"{text!r} is neither true nor false"


def _currency(text: str) -> str | None:
    return None if text in MINOR_DIGITS else f"{text!r} is not an ISO 4217 currency code"


def _country(text: str) -> str | None:
    return None if _COUNTRY.fullmatch(text) else f"{text!r} is not an ISO 3166 country code of two letters"


def _one_of(*values: str) -> Check:
    return lambda text: None if text in values else f"{text!r} is not one of {', '.join(values)}"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. With a `default` it may be missing or blank; `refers_to` names table and column."""

    check: Check = _text
    is_blank_allowed: bool = False
    default: str | None = None
    refers_to: tuple[str, str] | None = None


def _ref(table: str, column: str, *, blank: bool = False) -> Column:
    return Column(refers_to=(table, column), is_blank_allowed=blank)


@dataclass(frozen=True, slots=True)
class Table:
    """One file: its key (unique over the rows) and its columns."""

    key: tuple[str, ...]
    columns: Mapping[str, Column]


_NEEDED = Column()
_BLANK = Column(is_blank_allowed=True)
_OPTIONAL = Column(default="", is_blank_allowed=True)
_ID = Column(_up_to(80))
STREET_MOST, CITY_MOST, POSTAL_CODE_MOST, TAX_ID_MOST = 255, 40, 20, 40


def _blank(most: int) -> Column:
    return Column(_up_to(most), is_blank_allowed=True)


def _optional(most: int) -> Column:
    return Column(_up_to(most), default="", is_blank_allowed=True)


TABLES: dict[str, Table] = {
    "crm/accounts.csv": Table(
        ("account_id",),
        {
            "account_id": _ID,
            "name": Column(_up_to(255)),
            "parent_account_id": _ref("crm/accounts.csv", "account_id", blank=True),
            "sector": _OPTIONAL,
            "billing_country": Column(_country, is_blank_allowed=True),
            "billing_city": _blank(CITY_MOST),
            "billing_street": _blank(STREET_MOST),
            "billing_postal_code": _blank(POSTAL_CODE_MOST),
            "tax_id": _blank(TAX_ID_MOST),
            "po_required": Column(_boolean),
            "payment_share": Column(_share),
            "payment_after_days": Column(_terms),
        },
    ),
    "crm/products.csv": Table(("product_code",), {"product_code": _NEEDED, "name": _OPTIONAL}),
    "erp/service_items.csv": Table(
        ("product_code",),
        {"product_code": _NEEDED, "item_code": _NEEDED, "name": _OPTIONAL, "revenue_account": _OPTIONAL},
    ),
    "erp/legal_entities.csv": Table(
        ("code",),
        {
            "code": _ID,
            "name": _OPTIONAL,
            "country": Column(_country),
            "currency": Column(_currency),
            "approved": Column(_boolean),
            "standard_tax_rate": Column(_share),
        },
    ),
    "erp/rate_cards.csv": Table(
        ("rate_card", "role", "effective_from"),
        {
            "rate_card": _NEEDED,
            "role": _NEEDED,
            "currency": Column(_currency),
            "rate": Column(_not_negative),
            "effective_from": Column(_date),
            "effective_to": Column(_date, is_blank_allowed=True),
        },
    ),
    "crm/opportunities.csv": Table(
        ("opportunity_id",),
        {
            "opportunity_id": _ID,
            "account_id": _ref("crm/accounts.csv", "account_id"),
            "name": _optional(120),
            "stage": _NEEDED,
            "amount": Column(_not_negative),
            "currency": Column(_currency),
            "close_date": Column(_date),
            "owner": _optional(121),
            "region": _blank(80),
            "legal_entity": _ref("erp/legal_entities.csv", "code"),
            "revision": Column(_revision),
        },
    ),
    "crm/opportunity_lines.csv": Table(
        ("line_id",),
        {
            "line_id": _ID,
            "opportunity_id": _ref("crm/opportunities.csv", "opportunity_id"),
            "product_code": _ref("crm/products.csv", "product_code"),
            "workstream": _NEEDED,
            "quantity": Column(_not_negative, default="1"),
            "unit_price": Column(_not_negative, default=""),
            "amount": Column(_not_negative),
            "billing_model": Column(_one_of("time_and_materials", "fixed_fee", "milestone")),
            "start_date": Column(_date),
        },
    ),
    "clm/contracts.csv": Table(
        ("contract_id",),
        {
            "contract_id": _ID,
            "opportunity_id": _ref("crm/opportunities.csv", "opportunity_id"),
            "status": Column(_one_of("approved", "in_review")),
            "signed_on": Column(_date, default="", is_blank_allowed=True),
            "payment_terms_days": Column(_terms),
            "cap_amount": Column(_not_negative, is_blank_allowed=True),
            "po_number": _BLANK,
            "rate_card": _ref("erp/rate_cards.csv", "rate_card", blank=True),
            "revision": Column(_revision),
        },
    ),
    "clm/milestones.csv": Table(
        ("milestone_id",),
        {
            "milestone_id": _ID,
            "opportunity_id": Column(refers_to=("crm/opportunities.csv", "opportunity_id"), default=""),
            "line_id": _ref("crm/opportunity_lines.csv", "line_id"),
            "workstream": _OPTIONAL,
            "name": Column(_up_to(80)),
            "amount": Column(_not_negative),
            "due_date": Column(_date),
        },
    ),
    "psa/users.csv": Table(
        ("user_id",),
        {
            "user_id": _ID,
            "name": _NEEDED,
            "username": _OPTIONAL,
            "role": _BLANK,
            "active": Column(_boolean, default="true"),
        },
    ),
    "psa/time_entries.csv": Table(
        ("entry_id",),
        {
            "entry_id": _NEEDED,
            "opportunity_id": _ref("crm/opportunities.csv", "opportunity_id"),
            "workstream": _NEEDED,
            "user_id": _ref("psa/users.csv", "user_id"),
            "role": _BLANK,
            "work_date": Column(_date),
            "hours": Column(_hours),
            "billable": Column(_boolean),
            "approved": Column(_boolean),
        },
    ),
    "psa/milestone_completions.csv": Table(
        ("milestone_id",),
        {
            "milestone_id": _ref("clm/milestones.csv", "milestone_id"),
            "opportunity_id": Column(refers_to=("crm/opportunities.csv", "opportunity_id"), default=""),
            "completed_on": Column(_date),
            "approved": Column(_boolean),
        },
    ),
    "fixes.csv": Table(
        ("kind", "subject"),
        {
            "kind": Column(_one_of("product_alias", "contract_status", "po_number", "billing_address", "tax_id")),
            "subject": _NEEDED,
            "value": Column(_up_to(STREET_MOST + CITY_MOST + POSTAL_CODE_MOST + 2)),
        },
    ),
}

FIX_SUBJECTS = {
    "product_alias": ("crm/products.csv", "product_code"),
    "contract_status": ("clm/contracts.csv", "contract_id"),
    "po_number": ("clm/contracts.csv", "contract_id"),
    "billing_address": ("crm/accounts.csv", "account_id"),
    "tax_id": ("crm/accounts.csv", "account_id"),
}

FIX_LENGTHS = {
    "product_alias": (_LONGEST,),
    "contract_status": (_LONGEST,),
    "po_number": (_LONGEST,),
    "billing_address": (STREET_MOST, CITY_MOST, POSTAL_CODE_MOST),
    "tax_id": (TAX_ID_MOST,),
}
"""How long the parts of a fix's value may be; an address has three, divided by `|`."""

AMOUNTS = {
    "crm/opportunities.csv": "amount",
    "crm/opportunity_lines.csv": "amount",
    "clm/milestones.csv": "amount",
    "clm/contracts.csv": "cap_amount",
}
"""Columns in the currency of the row's opportunity. Rates are no amounts: they may be finer than a currency."""
