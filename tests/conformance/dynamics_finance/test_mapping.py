"""Edges of the mapping: numbers, shares of tax, days, texts of errors, packages."""

from __future__ import annotations

import io
import random
import zipfile
from datetime import date
from decimal import Decimal

import pytest

from deploy.sandbox.dynamics_finance import packages as framework
from shared.canonical.money import Money
from shared.errors.taxonomy import VendorDrift
from system_apis.connectors.dynamics_finance.mapping import product_codes, to_money, to_number, working_day
from system_apis.connectors.dynamics_finance.packages import compose
from system_apis.connectors.dynamics_finance.receivables import differences, shares
from system_apis.connectors.dynamics_finance.rows import chunks, infolog
from tests.conformance.erp_firm import draft


def test_numbers_keep_what_tells_our_ids_apart() -> None:
    assert to_number("prj_h4yvivbriyviclnaeuyy") == "H4YVIVBRIYVICLNAEUYY"
    assert to_number("acme") == "ACME"
    long = [to_number(f"wks_{'x' * 40}_{number}") for number in range(100)]
    assert len(set(long)) == 100
    assert all(len(number) == 20 for number in long)


@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
def test_shares_of_a_tax_add_up_to_it_to_the_minor_unit(currency: str) -> None:
    dice = random.Random(365)  # noqa: S311 - repeatable, keeps no secret
    for _ in range(300):
        nets = [Money.of(dice.randint(-500_000, 900_000), currency) for _ in range(dice.randint(1, 12))]
        tax = Money.of(Decimal(dice.randint(-90_000, 90_000)) / 100, currency)
        parts = shares(tax, nets)
        assert sum(parts) == tax.amount
        assert all(Money.of(part, currency).amount == part for part in parts)


def test_a_tax_on_lines_that_cancel_out_stands_on_the_first() -> None:
    nets = [Money.of(5, "EUR"), Money.of(-5, "EUR")]
    assert shares(Money.of("0.01", "EUR"), nets) == [Decimal("0.01"), Decimal(0)]


def test_a_working_day_stays_and_a_weekend_moves_to_monday() -> None:
    assert [working_day(date(2026, 10, day)).day for day in (2, 3, 4, 5)] == [2, 5, 5, 5]


def test_product_codes_are_parted_by_semicolons_or_lines() -> None:
    assert product_codes("GTX Pro; GTX Plus\r\nMG;", "ITEM") == ["GTX Pro", "GTX Plus", "MG"]
    assert product_codes("", "ITEM") == ["ITEM"]


def test_more_digits_than_the_currency_knows_are_drift() -> None:
    assert to_money(Decimal("1.50"), "EUR", "AmountCur").amount == Decimal("1.50")
    with pytest.raises(VendorDrift, match="AmountCur"):
        to_money(Decimal("1.505"), "EUR", "AmountCur")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Failed. Infolog: Warning: Customer is on hold.; Warning: validateWrite failed on data source 'T (T)'.",
            "Customer is on hold",
        ),
        ("Infolog: Error: One; Info: Two;", "One; Two"),
        ("An error has occurred.", "An error has occurred"),
        ("", ""),
    ],
)
def test_an_infolog_is_told_without_its_noise(text: str, said: str) -> None:
    assert infolog(text) == said


def test_differences_name_every_departure() -> None:
    wanted = draft()
    other = wanted.model_copy(update={"tax": Money.of(1, "EUR")})
    assert differences_of(wanted) == ""
    assert "tax is" in differences_of(wanted, other=other)


def differences_of(wanted: object, *, other: object | None = None) -> str:
    """The draft compared with an invoice that has its own figures, or those of another draft."""
    shown = other or wanted
    return differences(_Posted(shown), wanted)  # type: ignore[arg-type] # only these attributes are looked at


class _Posted:
    def __init__(self, shown: object) -> None:
        for name in ("net", "tax", "gross", "legal_entity_code", "period", "invoice_on"):
            setattr(self, name, getattr(shown, name))


def test_chunks_fit_into_addresses_and_lose_nothing() -> None:
    parts = chunks([str(number % 95) for number in range(200)])
    assert [len(part) for part in parts] == [40, 40, 15]
    assert len({one for part in parts for one in part}) == 95


def test_a_package_is_what_the_framework_reads() -> None:
    rows = [{"Name": 'Ä "quoted", text', "Amount": Decimal("1.10"), "Empty": None}]
    content = compose("Group", "Customers V3", rows)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert set(archive.namelist()) == {"Manifest.xml", "PackageHeader.xml", "Customers V3.csv"}
        assert archive.read("Customers V3.csv").startswith(b"\xff\xfe")
    (part,) = framework.read(content)
    assert part.entity == "Customers V3"
    assert part.rows == [{"NAME": 'Ä "quoted", text', "AMOUNT": "1.10", "EMPTY": ""}]
