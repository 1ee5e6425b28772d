"""What items of sales documents cost: manual conditions, fixed amounts, and the tax on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from deploy.sandbox.s4hana.customizing import CONDITION_TYPES, TAX_TYPE, rounded
from deploy.sandbox.s4hana.errors import invalid
from deploy.sandbox.s4hana.state import Row, Tenant

_PER_CENT = Decimal(100)


@dataclass(frozen=True, slots=True)
class Priced:
    """An item's net and tax."""

    net: Decimal
    tax: Decimal


def fill_condition(tenant: Tenant, row: Row) -> None:
    """A manual condition of an item."""
    if row["ConditionType"] not in CONDITION_TYPES:
        raise invalid("VK/023", f"Condition type {row['ConditionType']} is not defined", "ConditionType")
    row["ConditionCalculationType"] = CONDITION_TYPES[row["ConditionType"]]
    row["PricingProcedureStep"] = row["PricingProcedureStep"] or ("810" if row["ConditionType"] == TAX_TYPE else "020")
    row["PricingProcedureCounter"] = row["PricingProcedureCounter"] or "1"
    row["ConditionQuantity"] = row["ConditionQuantity"] or Decimal(1)
    row["ConditionIsManuallyChanged"] = True
    del tenant


def net_of(item: Row, conditions: Sequence[Row], currency: str) -> Decimal:
    """An item's net amount; the amount of each condition is kept in it."""
    net = Decimal(0)
    for condition in conditions:
        rate = condition["ConditionRateValue"]
        by_quantity = condition["ConditionCalculationType"] == "C"
        amount = rate * item["RequestedQuantity"] / condition["ConditionQuantity"] if by_quantity else rate
        condition["ConditionAmount"] = rounded(amount, currency)
        condition["TransactionCurrency"] = currency
        if condition["ConditionType"] != TAX_TYPE:
            net += condition["ConditionAmount"]
    return net


def rate_of(tenant: Tenant, company: str, customer: str, day: date) -> Decimal:
    """The tax rate in per cent: that of the country for customers at home, none for those abroad."""
    country = tenant.customizing.company_codes[company].country
    addresses = tenant.table("A_BusinessPartnerAddress").where(BusinessPartner=customer)
    if not addresses or addresses[0]["Country"] != country:
        return Decimal(0)
    found = [
        validity
        for validity in tenant.table("A_SlsPrcgCndnRecdValidity").where(DepartureCountry=country)
        if validity["ConditionValidityStartDate"] <= day <= validity["ConditionValidityEndDate"]
    ]
    if not found:
        raise invalid("V1/801", f"No tax rate is maintained for {country}")
    record = tenant.table("A_SlsPrcgConditionRecord").get(found[-1]["ConditionRecord"])
    return Decimal(0) if record is None else record["ConditionRateValue"]


def taxed(
    tenant: Tenant, nets: Sequence[Decimal], given: Sequence[Decimal | None], rate: Decimal, currency: str
) -> list[Priced]:
    """Net and tax of every item; a tax `given` by hand stands as it is.

    Rounded on the document, the difference to the rounded items goes to the largest of them.
    """
    taxes = [
        manual if manual is not None else rounded(net * rate / _PER_CENT, currency)
        for net, manual in zip(nets, given, strict=True)
    ]
    free = [n for n, manual in enumerate(given) if manual is None]
    if free and tenant.customizing.switches.tax_rounding == "document":
        whole = rounded(sum((nets[n] for n in free), Decimal(0)) * rate / _PER_CENT, currency)
        largest = max(free, key=lambda n: abs(nets[n]))
        taxes[largest] += whole - sum((taxes[n] for n in free), Decimal(0))
    return [Priced(net, tax) for net, tax in zip(nets, taxes, strict=True)]
