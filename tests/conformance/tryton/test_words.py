"""Tryton's values and tags, and how an invoice line is said so that Tryton adds up what we drafted; no server."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.sandbox.tryton.markings import marked, markings, remarked
from shared.canonical.invoices import InvoiceLine, LineKind
from shared.canonical.money import Money
from shared.errors.taxonomy import VendorDrift
from system_apis.connectors.tryton.client import error_of
from system_apis.connectors.tryton.mapping import to_hours
from system_apis.connectors.tryton.receivables import amounts_of
from system_apis.connectors.tryton.records import Library
from system_apis.connectors.tryton.tags import TEXT, from_tags, holds, led_by, to_tags
from system_apis.connectors.tryton.values import from_python, to_python
from system_apis.fields import load_fields

FOLDER = Path(__file__).parents[3] / "system_apis" / "connectors" / "tryton"


@pytest.mark.parametrize(
    "value",
    [
        Decimal("12.34"),
        Decimal("1E+3"),
        date(2026, 10, 1),
        datetime(2026, 10, 1, 12, 30, 1, 7, tzinfo=UTC),
        timedelta(hours=30, minutes=3),
        {"lines": [{"amount": Decimal("0.01")}], "flag": True, "none": None, "number": 3, "text": "x"},
    ],
)
def test_values_come_back_as_they_went(value: Any) -> None:
    assert to_python(from_python(value)) == value


def test_related_data_takes_the_place_of_its_id() -> None:
    assert to_python({"party": 5, "party.": {"id": 5, "name": "A", "lines.": [{"id": 1}]}}) == {
        "party": {"id": 5, "name": "A", "lines": [{"id": 1}]}
    }


@pytest.mark.parametrize("broken", [{"__class__": "date", "year": 2026}, {"__class__": "Decimal", "decimal": "x"}])
def test_a_broken_object_stays_for_the_payload_to_name(broken: dict[str, Any]) -> None:
    assert to_python(broken) == broken


@given(
    st.dictionaries(st.sampled_from(["project", "due", "approval"]), st.text(st.characters(exclude_categories=["C"])))
)
def test_tags_hold_any_text(facts: dict[str, str]) -> None:
    told = {name: value.strip() for name, value in facts.items()}
    assert to_tags(from_tags(told)) == told


def test_tags_leave_what_people_write() -> None:
    text = "Call Ada [soon].\n[approved] [role: Engineer]"
    tags = to_tags(text)
    assert (tags["role"], "approved" in tags, tags["soon"], tags[TEXT]) == ("Engineer", True, "", "Call Ada .")
    assert to_tags(None) == {}
    assert from_tags({"a": True, "b": False, "c": None, "d": 1}) == "[a]\n[d: 1]"
    assert markings(remarked(marked(a="1"), b="2")) == {"a": "1", "b": "2"}


def test_conditions_take_ids_literally() -> None:
    assert led_by("project", "prj_1") == ["like", r"[project: prj\_1]%"]
    assert holds("contract") == ["like", "%[contract: %"]


@pytest.mark.parametrize(
    ("quantity", "rate", "net", "said"),
    [
        ("3.05", "120.50", "367.52", (3.05, Decimal("120.50"))),  # 367.525 rounds half-even to 367.52
        ("14.2500", "109.310000", "1557.67", (14.25, Decimal("109.3100"))),
        ("3.05", "120.50", "367.53", (1.0, Decimal("367.53"))),
        ("1", "0.00005", "0.01", (1.0, Decimal("0.01"))),
        ("0.33333", "3", "1.00", (1.0, Decimal("1.00"))),
    ],
)
def test_a_line_is_said_so_that_tryton_makes_its_net(
    quantity: str, rate: str, net: str, said: tuple[float, Decimal]
) -> None:
    line = InvoiceLine(
        id="inv-1",
        kind=LineKind.TIME,
        item_code="X",
        description="x",
        quantity=Decimal(quantity),
        rate=Decimal(rate),
        net=Money.of(net, "EUR"),
    )
    assert amounts_of(line) == said
    assert -int(amounts_of(line)[1].as_tuple().exponent) <= 4  # Tryton counts zeros too


def test_hours_are_decimals() -> None:
    assert to_hours(timedelta(hours=7, minutes=33)) == Decimal("7.55")
    assert to_hours(timedelta(minutes=20)) == Decimal("0.3333")


def test_every_kind_of_error_is_told() -> None:
    assert error_of({"error": ["UserError", ["No.", "", None]]}) == ("UserError", "No.")
    assert error_of({"error": ["UserWarning", ["ab.kind", "Sure?", ""]]}) == ("UserWarning", "(ab.kind) Sure?")
    assert error_of({"error": ["ConcurrencyException", "Records were modified"]})[0] == "ConcurrencyException"
    assert error_of({"error": ["'nosuch'", ""]}) == ("Unexpected", "'nosuch'")


def test_a_moved_field_is_read_and_written_at_its_own_place(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("contract: {rate_card: {path: comment.price_level, values: {gold: RC-1}}}\n", encoding="utf-8")
    records = Library(load_fields(FOLDER, own))["contract"]
    row = dict.fromkeys(records.columns) | {"comment": "[price_level: gold]\n[contract: SOW]"}
    assert records.take(row)["comment"]["rate_card"] == "RC-1"
    given_ = records.give({"comment": {"rate_card": "RC-1", "contract": "SOW"}})
    assert to_tags(given_["comment"]) == {"price_level": "gold", "contract": "SOW"}
    del row["comment"]
    with pytest.raises(VendorDrift, match=r"comment\.price_level"):
        records.take(row)
