"""What a tenant says of its pod: types, templates, terms; read once from the binding and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from shared.errors.taxonomy import Misconfigured
from system_apis.ports.binding import Binding

ItemKind = Literal["memo_line", "inventory_item"]
IMMEDIATE = "IMMEDIATE"
_TERMS_DAYS = "10,15,30,45,60,90"


@dataclass(frozen=True, slots=True)
class PodSettings:
    """Names and ids that differ between pods."""

    contract_type_id: int
    contract_line_type: str
    project_template: str
    event_type: str
    transaction_source: str
    transaction_type: str
    item_kind: ItemKind
    terms_pattern: str
    terms_days: frozenset[int]

    @property
    def item_attribute(self) -> str:
        """The attribute of an invoice line that names its service item."""
        return "MemoLine" if self.item_kind == "memo_line" else "ItemNumber"

    def terms(self, days: int) -> str:
        """Payment terms of so many days; where the pod has none, the due date alone tells."""
        return self.terms_pattern.replace("{days}", str(days)) if days in self.terms_days else IMMEDIATE


def read_settings(binding: Binding) -> PodSettings:
    """Raises Misconfigured naming the key."""
    given = binding.settings
    kind = binding.choice("item_kind", "memo_line", "inventory_item")
    number = binding.setting("contract_type_id")
    if not (number.isascii() and number.isdigit()):
        raise _wrong("contract_type_id", f"{number!r} is no id")
    days = (given.get("payment_terms_days") or _TERMS_DAYS).split(",")
    if not all(one.strip().isdigit() for one in days):
        raise _wrong("payment_terms_days", "is no list of days such as 30,60")
    return PodSettings(
        contract_type_id=int(number),
        contract_line_type=given.get("contract_line_type") or "Free-form, project",
        project_template=binding.setting("project_template"),
        event_type=given.get("event_type") or "Milestone",
        transaction_source=given.get("transaction_source") or "THROUGHLINE",
        transaction_type=given.get("transaction_type") or "Invoice",
        item_kind=cast("ItemKind", kind),
        terms_pattern=given.get("payment_terms_pattern") or "{days} Net",
        terms_days=frozenset(int(one) for one in days),
    )


def _wrong(key: str, reason: str) -> Misconfigured:
    return Misconfigured(f"connector oracle_fusion: setting {key}: {reason}")
