"""Reference data of the ERP: legal entities, service items, rate cards."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, WithJsonSchema

from shared.canonical.fields import HourlyRate, ItemCode, LegalEntityCode, ProductCode, Role
from shared.canonical.money import Amount, Currency
from shared.canonical.references import CanonicalModel, CountryCode, Day, Entity, Name, Text

TaxRate = Annotated[
    Amount,
    Field(ge=0, le=1),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(0(\.\d{1,6})?|1(\.0{1,6})?)$",
            "description": "Share of the net that is added as tax: 0.19 is 19 %.",
            "examples": ["0.19"],
        }
    ),
]


class LegalEntity(Entity):
    """A company of the firm that signs contracts and sends invoices."""

    code: LegalEntityCode
    name: Name = Field(description="Registered name, as printed on invoices.", examples=["Harbour Consulting GmbH"])
    country: CountryCode
    currency: Currency
    is_approved: bool = Field(description="Whether business may be done through it.", examples=[True])
    standard_tax_rate: TaxRate


class ServiceItem(Entity):
    """A service the ERP can invoice."""

    product_code: ProductCode
    item_code: ItemCode
    name: Name = Field(description="The service in words, as printed on invoices.", examples=["Discovery workshop"])
    revenue_account: Text | None = Field(
        default=None, description="Ledger account its revenue is booked to.", examples=["40000"]
    )
    legal_entity_codes: tuple[LegalEntityCode, ...] | None = Field(
        default=None,
        max_length=1000,
        description="Legal entities that may sell it; null: all of them. Names some where a firm has several ERPs.",
        examples=[["HC-DE"]],
    )


class Rate(CanonicalModel):
    """Price of one hour of a role from a day to a day, both included; no end: still valid."""

    role: Role
    rate: HourlyRate
    effective_from: Day = Field(description="First day the price holds.", examples=["2016-10-01"])
    effective_to: Day | None = Field(
        default=None, description="Last day the price holds; null: still valid.", examples=["2017-06-30"]
    )


class RateCard(Entity):
    """Hourly prices by role, effective-dated."""

    code: Name = Field(description="How contracts name the card.", examples=["RC-HC-DE"])
    currency: Currency
    rates: tuple[Rate, ...] = Field(max_length=10_000, description="By role and first day.")
