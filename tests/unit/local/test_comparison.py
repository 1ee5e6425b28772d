"""Reports are compared cell by cell, and the independent rules agree with the sample firm's expected tables."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from deploy.local.comparison import KEYS, compare, differing
from tests.factories.firm_rules import after_fixes, expected, read_tables

SAMPLE = Path(__file__).resolve().parents[3] / "deploy" / "sandbox" / "firm"


def test_amounts_compare_as_numbers() -> None:
    assert differing([{"c": "EUR", "net": "1.50"}], [{"c": "EUR", "net": "1.5"}], ["c"]) == []


def test_every_kind_of_difference_is_told() -> None:
    got = [{"k": "a", "v": "1"}, {"k": "b", "v": "2"}, {"k": "b", "v": "2"}]
    wanted = [{"k": "a", "v": "3"}, {"k": "c", "v": "4"}]
    assert differing(got, wanted, ["k"]) == [
        "b: stands twice in the report",
        "c: missing",
        "b: not expected",
        "a: v is '1', expected '3'",
    ]


def test_a_table_that_is_not_reported_is_missing_row_by_row(tmp_path: Path) -> None:
    comparison = compare(tmp_path, SAMPLE / "expected" / "first_run")
    assert len(comparison.differences) == comparison.rows == 371
    assert comparison.summary().endswith("371 differences in 371 expected rows")


@pytest.mark.parametrize("phase", ["first_run", "after_fixes"])
def test_the_rules_in_plain_python_give_the_expected_tables(phase: str) -> None:
    tables = read_tables(SAMPLE)
    fixed, aliases = after_fixes(tables) if phase == "after_fixes" else (tables, {})
    for name, rows in expected(fixed, aliases).tables().items():
        with (SAMPLE / "expected" / phase / name).open(encoding="utf-8", newline="") as file:
            assert differing(rows, list(csv.DictReader(file)), KEYS[name]) == []


def test_an_expected_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    found = compare(tmp_path, tmp_path)
    assert found.differences == tuple(f"{name}: the firm has no expected table of that name" for name in KEYS)
    assert not found.is_equal
