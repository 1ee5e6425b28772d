"""What came of an act is told as what the reader must do next, whichever vendor it was."""

from __future__ import annotations

from decimal import Decimal

import pytest

from shared.canonical.invoices import Invoice, InvoiceState
from shared.canonical.money import Money
from shared.canonical.opportunities import BillingModel
from shared.canonical.references import SourceRef
from shared.errors.taxonomy import (
    OutcomeUnknown,
    PlatformError,
    ScopeMissing,
    VendorDrift,
    VendorRejected,
    VendorThrottled,
    VendorUnavailable,
)
from system_apis.ports.outcomes import begun, canonical, canonical_record, departures, reading_back
from tests.conformance.erp_firm import draft


@pytest.mark.parametrize("silence", [VendorUnavailable("acme cannot be reached."), VendorThrottled("Not now.")])
def test_silence_after_a_first_write_leaves_the_outcome_unknown(silence: PlatformError) -> None:
    with (
        pytest.raises(OutcomeUnknown, match="acme took invoice inv_1, whole or in part") as told,
        begun("acme", "invoice inv_1"),
    ):
        raise silence
    assert told.value.detail == silence.message


def test_an_answer_after_a_first_write_is_told_as_it_is() -> None:
    with pytest.raises(VendorRejected), begun("acme", "invoice inv_1"):
        raise VendorRejected("No such tax code.")


@pytest.mark.parametrize(
    "refusal", [VendorRejected("No such field."), VendorDrift("No net."), ScopeMissing("The field is withheld.")]
)
def test_what_was_written_and_cannot_be_read_is_an_unknown_outcome(refusal: PlatformError) -> None:
    with pytest.raises(OutcomeUnknown, match="acme took invoice inv_1") as told, reading_back("acme", "invoice inv_1"):
        raise refusal
    assert told.value.detail == refusal.message


def test_what_does_not_fit_our_language_is_drift_that_names_system_and_field() -> None:
    with pytest.raises(VendorDrift, match="acme holds what does not fit Money: currency: ") as told, canonical("acme"):
        Money(amount=Decimal(1), currency="gold")
    assert [finding.field for finding in told.value.findings] == ["currency"]


def test_a_word_of_a_record_that_we_do_not_know_is_drift_that_names_the_record() -> None:
    with (
        pytest.raises(VendorDrift, match=r"acme record 77 cannot be read: \(value\): 'barter'"),
        canonical_record("acme", "record 77"),
    ):
        BillingModel("barter")
    with (
        pytest.raises(VendorDrift, match="acme record 77 cannot be read: currency: "),
        canonical_record("acme", "record 77"),
    ):
        Money(amount=Decimal(1), currency="gold")


def test_a_word_that_our_own_code_gets_wrong_is_not_the_vendors_drift() -> None:
    with pytest.raises(ValueError, match="barter"), canonical("acme"):
        BillingModel("barter")


def _posted(**changes: object) -> Invoice:
    ours = draft()
    invoice = Invoice(
        tenant="harbour",
        id=ours.id,
        source=SourceRef(system="acme", ref="9", version="1"),
        period=ours.period,
        legal_entity_code=ours.legal_entity_code,
        invoice_on=ours.invoice_on,
        state=InvoiceState.OPEN,
        net=ours.net,
        tax=ours.tax,
        gross=ours.gross,
        paid=Money.zero("EUR"),
    )
    return invoice.model_copy(update=changes)


def test_an_invoice_that_came_out_as_drafted_departs_nowhere() -> None:
    assert not departures(_posted(), draft(), ("day", 1, 1))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"net": Money.of("0.01", "EUR")}, "net is 0.01 EUR, not 361.57 EUR"),
        ({"tax": Money.of("0.01", "EUR")}, "tax is 0.01 EUR, not 68.70 EUR"),
        ({"gross": Money.of("430.28", "EUR")}, "gross is 430.28 EUR, not 430.27 EUR"),
        ({"legal_entity_code": "HC-JP"}, "legal entity is HC-JP, not HC-DE"),
        ({"period": "2026-11"}, "period is 2026-11, not 2026-10"),
    ],
)
def test_every_amount_company_and_period_of_an_invoice_is_compared(changes: dict[str, object], told: str) -> None:
    assert departures(_posted(**changes), draft()) == told


def test_what_a_vendor_compares_besides_is_told_with_the_rest() -> None:
    told = departures(_posted(period="2026-11"), draft(), ("state", "voided", "standing"))
    assert told == "period is 2026-11, not 2026-10; state is voided, not standing"
