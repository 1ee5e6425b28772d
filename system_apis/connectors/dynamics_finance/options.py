"""How the customer's environment is set up, read from the binding's settings; a wrong word is said at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shared.errors.taxonomy import Misconfigured
from system_apis.ports.binding import Binding

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
        invoice_by=_word(binding, "invoice_by", "free_text", "project_proposal"),
        posting=_word(binding, "posting", "service", "batch"),
        posting_service=binding.settings.get("posting_service") or "TLServices/TLPostingService/post",
        posting_wait=_number(binding, "posting_wait_seconds", 20.0),
        posting_poll=_number(binding, "posting_poll_seconds", 2.0),
        customer_numbers=_word(binding, "customer_numbers", "manual", "automatic"),
        project_operations=_word(binding, "project_operations", "auto", "on", "off"),
        line_amounts=_word(binding, "line_amounts", "kept", "priced"),
        settlements=_word(binding, "settlements", "payment_lines", "transactions"),
        service_items=_word(binding, "service_items", "project_categories", "released_products"),
        set_names=_pairs(binding, "set_names"),
        customer_group=binding.settings.get("customer_group") or "TL",
        project_group_time=binding.settings.get("project_group_time") or "TL-TM",
        project_group_fixed=binding.settings.get("project_group_fixed") or "TL-FP",
        forecast_model=binding.settings.get("forecast_model") or "",
        bulk_from=int(_number(binding, "bulk_from", 200)),
        package_labels={**LABELS, **_pairs(binding, "package_labels")},
        package_poll=_number(binding, "package_poll_seconds", 5.0),
    )


def _wrong(name: str, reason: str) -> Misconfigured:
    return Misconfigured(f"connector dynamics_finance: setting {name}: {reason}")


def _word(binding: Binding, name: str, *allowed: str) -> str:
    """One of the words; the first is the default."""
    given = binding.settings.get(name) or allowed[0]
    if given not in allowed:
        raise _wrong(name, f"{given!r} is not one of {', '.join(allowed)}")
    return given


def _number(binding: Binding, name: str, default: float) -> float:
    given = binding.settings.get(name)
    try:
        number = float(given) if given else default
    except ValueError as error:
        raise _wrong(name, f"{given!r} is not a number") from error
    if number <= 0:
        raise _wrong(name, "must be above zero")
    return number


def _pairs(binding: Binding, name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in (binding.settings.get(name) or "").split(","):
        left, equals, right = (part.strip() for part in pair.partition("="))
        if pair.strip() and not (left and equals and right):
            raise _wrong(name, f"{pair.strip()!r} is not a pair such as Name=Other")
        if left:
            found[left] = right
    return found
