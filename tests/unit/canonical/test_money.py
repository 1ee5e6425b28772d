"""Money and identity: properties that must hold for every amount, currency and record."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from process_apis.time_to_bill.rules import entry_amount, invoice_id, last_day, period_of, tax_amount, tax_rate
from shared.canonical.invoices import InvoiceDraft
from shared.canonical.money import MINOR_DIGITS, Money, rounded
from shared.canonical.references import canonical_id
from shared.errors.taxonomy import FieldFinding, LimitExceeded, PlatformError, error_named

currencies = st.sampled_from(sorted(MINOR_DIGITS))
amounts = st.decimals(min_value=0, max_value=10**9, places=6, allow_nan=False, allow_infinity=False)


@given(amounts, currencies)
def test_rounding_moves_an_amount_by_at_most_half_a_minor_unit(amount: Decimal, currency: str) -> None:
    unit = Decimal(1).scaleb(-MINOR_DIGITS[currency])
    assert abs(rounded(amount, currency) - amount) <= unit / 2
    assert rounded(amount, currency) % unit == 0


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [("0.005", "EUR", "0.01"), ("0.5", "JPY", "1"), ("1.0005", "KWD", "1.001"), ("2.344999", "USD", "2.34")],
)
def test_halves_go_up(amount: str, currency: str, expected: str) -> None:
    assert rounded(Decimal(amount), currency) == Decimal(expected)


@given(amounts, currencies)
def test_money_survives_the_wire(amount: Decimal, currency: str) -> None:
    money = Money.of(amount, currency)
    text = money.model_dump_json()
    assert isinstance(json.loads(text)["amount"], str)
    assert Money.model_validate_json(text) == money


@given(st.lists(amounts, max_size=20), currencies)
def test_sums_of_rounded_amounts_are_exact(values: list[Decimal], currency: str) -> None:
    total = sum((Money.of(v, currency) for v in values), Money.zero(currency))
    assert total.amount == sum(rounded(v, currency) for v in values)


@pytest.mark.parametrize(
    "bad",
    [
        {"amount": "1.001", "currency": "EUR"},
        {"amount": "1", "currency": "EUX"},
        {"amount": "0.5", "currency": "JPY"},
        {"amount": "NaN", "currency": "EUR"},
        {"amount": "1", "currency": "EUR", "tip": "1"},
    ],
)
def test_impossible_money_is_refused(bad: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate(bad)


def test_currencies_are_never_added_to_each_other() -> None:
    with pytest.raises(ValueError, match="EUR"):
        Money.of(1, "EUR") + Money.of(1, "USD")


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_one_record_has_one_id_and_two_tenants_never_share_it(ref: str, other: str) -> None:
    ours = canonical_id("customer", "t1", "crm", ref)
    assert ours == canonical_id("customer", "t1", "crm", ref)
    assert ours != canonical_id("customer", "t2", "crm", ref)
    assert (ours == canonical_id("customer", "t1", "crm", other)) == (ref == other)


def test_parts_of_a_key_do_not_run_into_each_other() -> None:
    assert canonical_id("invoice", "t", "a", "bc") != canonical_id("invoice", "t", "ab", "c")
    assert invoice_id("t", "con_1", "2026-10", 1) != invoice_id("t", "con_1", "2026-10", 2)


def test_an_invoice_that_does_not_add_up_cannot_be_made() -> None:
    eur = {"amount": "10.00", "currency": "EUR"}
    line = {
        "id": "l1",
        "kind": "time",
        "item_code": "SVC",
        "description": "",
        "quantity": "1",
        "rate": "10",
        "net": eur,
    }
    draft = {
        "id": "inv_1",
        "contract_id": "con_1",
        "contract_reference": "SOW-1",
        "project_id": "prj_1",
        "customer_id": "cus_1",
        "legal_entity_code": "HC",
        "period": "2026-10",
        "invoice_on": "2026-10-31",
        "payment_terms_days": 30,
        "currency": "EUR",
        "lines": [line],
        "tax_rate": "0.19",
        "net": eur,
        "tax": {"amount": "1.90", "currency": "EUR"},
        "gross": {"amount": "11.90", "currency": "EUR"},
    }
    assert InvoiceDraft.model_validate(draft).gross.amount == Decimal("11.90")
    for wrong in ({"gross": eur}, {"net": {"amount": "9.00", "currency": "EUR"}}, {"currency": "USD"}, {"lines": []}):
        with pytest.raises(ValidationError):
            InvoiceDraft.model_validate({**draft, **wrong})


@given(st.dates(min_value=date(1900, 1, 1)))
def test_an_invoice_is_dated_the_last_day_of_its_month(day: date) -> None:
    end = last_day(period_of(day))
    assert period_of(end) == period_of(day)
    assert end >= day


def test_tax_is_due_at_home_only() -> None:
    assert tax_rate("DE", "DE", Decimal("0.19")) == Decimal("0.19")
    assert tax_rate("DE", "FR", Decimal("0.19")) == 0
    assert tax_rate("DE", None, Decimal("0.19")) == 0
    assert tax_amount(Decimal("10.05"), Decimal("0.10"), "JPY") == 1
    assert entry_amount(Decimal("0.05"), Decimal("67.7"), "EUR") == Decimal("3.39")


def test_an_error_survives_being_named_and_rebuilt() -> None:
    error = LimitExceeded("slow down", findings=[FieldFinding("q", "too big")], retry_after=3)
    kind, arguments = error.__reduce__()
    again = kind(*arguments)
    assert (type(again), again.message, again.findings, again.retry_after) == (
        LimitExceeded,
        "slow down",
        error.findings,
        3,
    )
    assert error_named("limit_exceeded") is LimitExceeded
    assert error_named("no_such_code") is None
    assert issubclass(LimitExceeded, PlatformError)
