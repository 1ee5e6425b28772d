"""Reference data of the ERP: legal entities, service items, rate cards."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field, WithJsonSchema

from shared.canonical.money import Amount, Currency
from shared.canonical.references import CanonicalModel, CountryCode, Entity, Name, Text

TaxRate = Annotated[
    Amount,
    Field(ge=0, le=1),
    WithJsonSchema({"type": "string", "pattern": r"^(0(\.\d{1,6})?|1(\.0{1,6})?)$", "examples": ["0.19"]}),
]


class LegalEntity(Entity):
    """A company of the firm that signs contracts and sends invoices."""

    code: Name = Field(examples=["HC-DE"])
    name: Name
    country: CountryCode
    currency: Currency
    is_approved: bool = Field(description="Whether business may be done through it.")
    standard_tax_rate: TaxRate = Field(description="Share of the net, e.g. 0.19.")


class ServiceItem(Entity):
    """A service the ERP can invoice."""

    product_code: Name
    item_code: Name
    name: Name
    revenue_account: Text | None = None


class Rate(CanonicalModel):
    """Price of one hour of a role from a day to a day, both included; no end: still valid."""

    role: Name
    rate: Amount = Field(description="Per hour, in the card's currency.")
    effective_from: date
    effective_to: date | None = None


class RateCard(Entity):
    """Hourly prices by role, effective-dated."""

    code: Name = Field(examples=["RC-HC-DE"])
    currency: Currency
    rates: tuple[Rate, ...]
