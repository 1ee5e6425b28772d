"""What billing decides, as pure functions; `ledger_store` holds the same in set form and is tested against these."""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from decimal import Decimal

from shared.canonical.money import rounded
from shared.canonical.references import canonical_id


def period_of(day: date) -> str:
    """The calendar month a day's work is billed in: `2026-10`."""
    return f"{day:%Y-%m}"


def last_day(period: str) -> date:
    """Invoices are dated the last day of their month."""
    year, month = int(period[:4]), int(period[5:])
    return date(year, month, monthrange(year, month)[1])


def entry_amount(hours: Decimal, rate: Decimal, currency: str) -> Decimal:
    """Hours times rate, rounded half-up to the currency's minor unit, entry by entry."""
    return rounded(hours * rate, currency)


def tax_rate(entity_country: str, customer_country: str | None, standard_rate: Decimal) -> Decimal:
    """The entity's standard rate at home; nothing across a border (the customer accounts for it)."""
    return standard_rate if customer_country == entity_country else Decimal(0)


def tax_amount(net: Decimal, rate: Decimal, currency: str) -> Decimal:
    """Tax on the net total, rounded half-up to the minor unit."""
    return rounded(net * rate, currency)


def invoice_id(tenant: str, contract_id: str, period: str, sequence: int) -> str:
    """The id under which every system knows the invoice; asking twice is asking once."""
    return canonical_id("invoice", tenant, contract_id, period, str(sequence))
