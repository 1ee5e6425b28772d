"""The report says what was compared, and writes amounts as their currency does."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from deploy.local.comparison import Comparison
from deploy.local.report import DemoReport, PhaseReport, totals, written


@pytest.mark.parametrize(
    ("compared", "expected"),
    [
        ([None, None], None),
        ([None, Comparison(3, ())], True),
        ([Comparison(3, ()), Comparison(3, ("differs",))], False),
    ],
)
def test_nothing_is_as_expected_where_nothing_was_expected(
    compared: list[Comparison | None], expected: bool | None
) -> None:
    report = DemoReport("firm", {}, Path("report"))
    report.phases = [PhaseReport(str(number), {}, {}, one) for number, one in enumerate(compared)]
    assert report.is_as_expected is expected


def test_amounts_have_the_digits_of_their_currency() -> None:
    assert written(Decimal("100.1"), "USD") == "100.10"
    assert written(Decimal(0), "EUR") == "0.00"
    assert written(Decimal("100.000"), "JPY") == "100"
    assert written(Decimal("1.5"), "KWD") == "1.500"


def test_an_amount_finer_than_its_currency_is_not_rounded_away() -> None:
    assert written(Decimal("100.105"), "USD") == "100.105"


def test_totals_are_written_as_their_currency_does() -> None:
    row = {"currency": "USD", "net": "100.10", "tax": "0.00", "gross": "100.10", "paid": "0.00"}
    assert totals([row, row]) == [
        {"currency": "USD", "invoices": "2", "net": "200.20", "tax": "0.00", "gross": "200.20", "paid": "0.00"}
    ]


def phase(name: str, activated: int, invoices: int, calls: dict[str, dict[str, int]]) -> PhaseReport:
    tables = {
        "projects.csv": [{"outcome": "activated", "opportunity_id": str(n)} for n in range(activated)],
        "invoices.csv": [{"opportunity_id": str(n)} for n in range(invoices)],
        "totals.csv": [],
        "time_states.csv": [],
    }
    return PhaseReport(name, tables, {}, calls=calls)


def test_calls_of_all_phases_are_told_per_deal_and_per_invoice_of_the_end() -> None:
    report = DemoReport("firm", {}, Path("report"))
    assert report.calls_each == {}
    report.phases = [
        phase("first", 0, 1, {"load": {"crm": 99}, "deals": {"crm": 6}, "billing": {"erp": 1}}),
        phase("second", 4, 3, {"deals": {"crm": 8, "erp": 5}, "billing": {"erp": 6, "psa": 4}}),
    ]
    assert report.calls_each == {"deal": {"crm": 3.5, "erp": 1.2}, "invoice": {"erp": 2.3, "psa": 1.3}}
    assert report.document["vendor_calls_each"] == report.calls_each
