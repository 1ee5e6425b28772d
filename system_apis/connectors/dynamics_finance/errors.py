"""What becomes of an error when something was written already, or when a row does not fit our language."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from pydantic import ValidationError

from shared.errors.taxonomy import FieldFinding, OutcomeUnknown, VendorDrift, VendorThrottled, VendorUnavailable
from system_apis.connectors.dynamics_finance.rows import VENDOR


@contextmanager
def begun(what: str) -> Generator[None]:
    """Something was written already: that the product falls silent now no longer means that nothing was."""
    try:
        yield
    except (VendorUnavailable, VendorThrottled) as error:
        sentence = f"{VENDOR} took {what}, whole or in part, and fell silent."
        raise OutcomeUnknown(sentence, detail=error.message) from error


@contextmanager
def canonical() -> Generator[None]:
    """What the product holds may not fit our language: an unknown currency, a name of 300 letters."""
    try:
        yield
    except ValidationError as error:
        findings = [FieldFinding(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_url=False)]
        listed = "; ".join(f"{finding.field}: {finding.reason}" for finding in findings)
        raise VendorDrift(f"{VENDOR} holds what does not fit {error.title}: {listed}", findings=findings) from error
