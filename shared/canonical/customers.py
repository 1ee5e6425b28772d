"""Customers: whom a deal is made with, and whom it is billed to."""

from __future__ import annotations

from pydantic import Field

from shared.canonical.references import CanonicalModel, CountryCode, Entity, Identifier, Name, Text


class Address(CanonicalModel):
    """A postal address; blank parts are None and may make a bill-to incomplete."""

    street: Text | None = Field(
        default=None, description="Street and number, lines joined by a line break.", examples=["532 Harbour Street"]
    )
    city: Text | None = Field(default=None, description="Town, as written on an envelope.", examples=["Rangreen City"])
    postal_code: Text | None = Field(
        default=None, description="Postal or ZIP code in the country's form.", examples=["70510"]
    )
    country: CountryCode | None = None


class Customer(Entity):
    """A company that buys services."""

    name: Name = Field(description="The company as the CRM calls it.", examples=["Rangreen"])
    parent_id: Identifier | None = Field(
        default=None,
        description="Customer above this one in the hierarchy.",
        examples=["cus_4r7c2m5xk3ta4r7c2m5x"],
    )
    bill_to: Address = Field(description="Where invoices go.")
    tax_id: Text | None = Field(
        default=None, description="Tax registration number of the customer itself.", examples=["DE811234567"]
    )
    requires_purchase_order: bool = Field(
        default=False, description="Whether it pays only invoices that name a purchase order.", examples=[True]
    )
    industry: Text | None = Field(
        default=None, description="Line of business as the CRM sorts it.", examples=["technology"]
    )
