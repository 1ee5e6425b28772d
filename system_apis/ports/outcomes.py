"""What came of an act: silence after a first write, records that do not fit our language, invoices unlike drafts."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager

from pydantic import ValidationError

from shared.canonical.invoices import Invoice, InvoiceDraft
from shared.errors.taxonomy import (
    FieldFinding,
    Misconfigured,
    OutcomeUnknown,
    VendorDrift,
    VendorRejected,
    VendorThrottled,
    VendorUnavailable,
)


@contextmanager
def begun(system: str, what: str) -> Generator[None]:
    """Something was written already: that the system falls silent now no longer means that nothing was."""
    try:
        yield
    except (VendorUnavailable, VendorThrottled) as error:
        sentence = f"{system} took {what}, whole or in part, and fell silent."
        raise OutcomeUnknown(sentence, detail=error.message) from error


@contextmanager
def reading_back(system: str, what: str) -> Generator[None]:
    """Something was written already: that it cannot be read now, for whatever reason, is no refusal of the write."""
    try:
        yield
    except (VendorRejected, VendorDrift, Misconfigured) as error:
        raise OutcomeUnknown(f"{system} took {what}, and it cannot be read.", detail=error.message) from error


@contextmanager
def canonical(system: str) -> Generator[None]:
    """What a system holds may not fit our language: an unknown currency, a name of 300 letters. Raises VendorDrift."""
    try:
        yield
    except ValidationError as error:
        raise _drift(f"{system} holds what does not fit {error.title}", misfits(error)) from error


@contextmanager
def canonical_record(system: str, what: str) -> Generator[None]:
    """The same of one record, such as `record 77`, words and sums of it included. Raises VendorDrift."""
    try:
        yield
    except ValidationError as error:
        raise _drift(f"{system} {what} cannot be read", misfits(error, whole="(value)")) from error
    except ValueError as error:  # a word that is none of an enumeration's, a sum that is none
        raise _drift(f"{system} {what} cannot be read", [FieldFinding("(value)", str(error))]) from error


def misfits(error: ValidationError, *, whole: str = "") -> list[FieldFinding]:
    """Each field that did not fit, and why; `whole` stands for the thing itself."""
    listed = error.errors(include_url=False, include_input=False, include_context=False)
    return [FieldFinding(".".join(map(str, one["loc"])) or whole, one["msg"]) for one in listed]


def departures(invoice: Invoice, draft: InvoiceDraft, *more: tuple[str, object, object]) -> str:
    """Where an invoice departs from its draft; empty when it does not. `more`: name, what there is, what is wanted."""
    pairs: Iterable[tuple[str, object, object]] = (
        ("net", invoice.net, draft.net),
        ("tax", invoice.tax, draft.tax),
        ("gross", invoice.gross, draft.gross),
        ("legal entity", invoice.legal_entity_code, draft.legal_entity_code),
        ("period", invoice.period, draft.period),
        *more,
    )
    return "; ".join(f"{name} is {there}, not {ours}" for name, there, ours in pairs if there != ours)


def _drift(sentence: str, findings: list[FieldFinding]) -> VendorDrift:
    listed = "; ".join(f"{finding.field}: {finding.reason}" for finding in findings)
    return VendorDrift(f"{sentence}: {listed}", findings=findings)
