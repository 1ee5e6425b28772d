"""How the customer's environment is set up, read from the binding's settings; a wrong word is said at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.errors.taxonomy import Misconfigured
from system_apis.ports.binding import SHORTEST_PAUSE, Binding

LABELS: Final[Mapping[str, str]] = {
    "FreeTextInvoiceLines": "Free text invoice lines",
    "ProjectInvoiceProposalOnAccountLines": "Project invoice proposal on-account lines",
    "ProjectOnAccForecasts": "Project on-account forecasts",
}


@dataclass(frozen=True, slots=True)
class Options:
    """The settings that are not addresses; meanings in `manifest.yaml`."""

    invoice_by: str
    posting: str
    posting_service: str
    posting_wait: float
    posting_poll: float
    customer_numbers: str
    project_operations: str
    line_amounts: str
    settlements: str
    service_items: str
    set_names: Mapping[str, str]
    customer_group: str
    project_group_time: str
    project_group_fixed: str
    forecast_model: str
    bulk_from: int
    package_labels: Mapping[str, str]
    package_poll: float


def read_options(binding: Binding) -> Options:
    """The options of a binding. Raises Misconfigured naming the setting."""
    return Options(
        invoice_by=binding.choice("invoice_by", "free_text", "project_proposal"),
        posting=binding.choice("posting", "service", "batch"),
        posting_service=binding.settings.get("posting_service") or "TLServices/TLPostingService/post",
        posting_wait=binding.number("posting_wait_seconds", 20.0, at_least=SHORTEST_PAUSE),
        posting_poll=binding.number("posting_poll_seconds", 2.0, at_least=SHORTEST_PAUSE),
        customer_numbers=binding.choice("customer_numbers", "manual", "automatic"),
        project_operations=binding.choice("project_operations", "auto", "on", "off"),
        line_amounts=binding.choice("line_amounts", "kept", "priced"),
        settlements=binding.choice("settlements", "payment_lines", "transactions"),
        service_items=binding.choice("service_items", "project_categories", "released_products"),
        set_names=_pairs(binding, "set_names"),
        customer_group=binding.settings.get("customer_group") or "TL",
        project_group_time=binding.settings.get("project_group_time") or "TL-TM",
        project_group_fixed=binding.settings.get("project_group_fixed") or "TL-FP",
        forecast_model=binding.settings.get("forecast_model") or "",
        bulk_from=binding.whole("bulk_from", 200),
        package_labels={**LABELS, **_pairs(binding, "package_labels")},
        package_poll=binding.number("package_poll_seconds", 5.0, at_least=SHORTEST_PAUSE),
    )


def _wrong(name: str, reason: str) -> Misconfigured:
    return Misconfigured(f"connector dynamics_finance: setting {name}: {reason}")


def _pairs(binding: Binding, name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in (binding.settings.get(name) or "").split(","):
        left, equals, right = (part.strip() for part in pair.partition("="))
        if pair.strip() and not (left and equals and right):
            raise _wrong(name, f"{pair.strip()!r} is not a pair such as Name=Other")
        if left:
            found[left] = right
    return found
