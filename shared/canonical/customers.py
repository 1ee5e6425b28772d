"""Customers: whom a deal is made with, and whom it is billed to."""

from __future__ import annotations

from pydantic import Field

from shared.canonical.references import CanonicalModel, CountryCode, Entity, Identifier, Name, Text


class Address(CanonicalModel):
    """A postal address; blank parts are None and may make a bill-to incomplete."""

    street: Text | None = None
    city: Text | None = None
    postal_code: Text | None = None
    country: CountryCode | None = None


class Customer(Entity):
    """A company that buys services."""

    name: Name
    parent_id: Identifier | None = Field(default=None, description="Customer above this one in the hierarchy.")
    bill_to: Address
    tax_id: Text | None = Field(default=None, description="Tax registration number of the customer itself.")
    requires_purchase_order: bool = False
    industry: Text | None = None
