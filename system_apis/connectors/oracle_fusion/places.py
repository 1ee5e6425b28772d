"""Where our things stand in Oracle: ids, numbers and names found together; what the directory keeps, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Entity:
    """A legal entity with everything that stands around it."""

    code: str
    name: str
    country: str
    currency: str
    legal_entity_id: int
    business_unit_id: int
    business_unit: str
    ledger_id: int
    is_approved: bool
    tax_rate: Decimal
    tax_regime: str
    tax_rate_code: str
    zero_tax_rate_code: str
    customer_set: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Party:
    """A customer's party and account; `sites` leads from a reference data set to the bill-to site there."""

    party_id: int
    account_id: int
    sites: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class PlacedProject:
    """A project with the numbers of its tasks by our ids."""

    project_id: int
    number: str
    tasks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PlacedContract:
    """A contract with the numbers of its lines by our workstream ids."""

    contract_id: int
    number: str
    kind: str
    business_unit_id: int
    lines: Mapping[str, str]
