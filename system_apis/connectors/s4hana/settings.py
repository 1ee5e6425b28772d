"""The connector's settings with what they are when nothing is said; codes of the customer's own configuration."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from shared.errors.taxonomy import FieldFinding, Misconfigured, UnknownReference
from system_apis.ports.binding import Binding

_LONGEST_TERMS = 4


@dataclass(frozen=True, slots=True)
class Settings:
    """What the manifest declares as optional, under the same names."""

    identification_type: str = "YTLCUS"
    partner_grouping: str = "BP02"
    reconciliation_account: str = "12100000"
    payment_terms: str = "NT{days:02d}"
    project_profile: str = "YP05"
    project_type: str = ""
    released_status: str = "10"
    closed_status: str = "42"
    time_item_category: str = "TAD"
    milestone_item_category: str = "TAO"
    sales_unit: str = "EA"
    hours_unit: str = "H"
    billing_block: str = "02"
    price_condition: str = "PMP0"
    price_is_fixed_amount: bool = False
    tax_condition: str = ""
    request_type: str = "DR"
    billing_type: str = "L2"
    rejection_reason: str = "50"

    def terms(self, days: int) -> str:
        """The code of payment terms. Raises UnknownReference where no code can name so many days."""
        code = self.payment_terms.format(days=days)
        if len(code) > _LONGEST_TERMS:
            sentence = f"s4hana has no code for payment terms of {days} days"
            raise UnknownReference(sentence, findings=[FieldFinding("body.payment_terms_days", sentence)])
        return code


def read_settings(binding: Binding) -> Settings:
    """The tenant's settings over the defaults. Raises Misconfigured naming the key."""
    given: dict[str, Any] = {}
    for one in fields(Settings):
        text = binding.settings.get(one.name)
        if not text:
            continue
        if one.type == "bool":
            given[one.name] = binding.choice(one.name, "false", "true") == "true"
        else:
            given[one.name] = text
    settings = Settings(**given)
    try:
        settings.payment_terms.format(days=30)
    except (LookupError, ValueError) as error:
        raise Misconfigured("connector s4hana: setting payment_terms: {days} is the only blank it may have") from error
    return settings
