"""Edges of the mapping that need no wire."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors.taxonomy import InvalidRequest, VendorDrift
from system_apis.connectors.s4hana.bodies import spread
from system_apis.connectors.s4hana.client import _code_of
from system_apis.connectors.s4hana.differences import changed
from system_apis.connectors.s4hana.mapping import is_keepable, is_keepable_object, to_money
from system_apis.connectors.s4hana.metadata import read_metadata
from system_apis.connectors.s4hana.payloads import InvoiceRow, unpadded
from system_apis.connectors.s4hana.payments import Place, instant

CENTS = st.decimals(min_value=Decimal("-999999.99"), max_value=Decimal("999999.99"), places=2, allow_nan=False)


@given(total=CENTS, weights=st.lists(CENTS, min_size=1, max_size=30))
def test_shares_add_up_and_are_whole_cents(total: Decimal, weights: list[Decimal]) -> None:
    shares = spread(total, weights, "EUR")
    assert len(shares) == len(weights)
    assert sum(shares) == total
    assert all(share == share.quantize(Decimal("0.01")) for share in shares)


def test_shares_follow_their_weights() -> None:
    assert spread(Decimal("5.72"), [Decimal("10.03")] * 3, "EUR") == [Decimal("1.91"), Decimal("1.90"), Decimal("1.91")]
    assert spread(Decimal(0), [Decimal(1), Decimal(2)], "JPY") == [0, 0]


def test_what_differs_is_told_in_either_spelling() -> None:
    row = {"A": "/Date(1788220800000)/", "B": "5.000", "C": "", "D": False, "E": "x"}
    assert changed({"A": "2026-09-01T00:00:00", "B": "5", "C": None, "D": False, "E": "x"}, row) == {}
    assert changed({"A": "2026-09-02T00:00:00", "B": "5.01", "C": "c", "D": True, "E": "y", "F": []}, row).keys() == {
        *"ABCDE"
    }


@pytest.mark.parametrize(("text", "bare"), [("0010", "10"), ("000", "0"), ("A01", "A01"), ("", ""), ("10", "10")])
def test_numbers_lose_their_zeros(text: str, bare: str) -> None:
    assert unpadded(text) == bare


def test_ids_that_can_be_kept() -> None:
    assert is_keepable("con_ABC:1.2-3")
    assert not is_keepable("a" * 61)
    assert is_keepable_object("prj_4r7c2m5xk3ta4r7c2m5x")
    assert not is_keepable_object("prj_A")


def test_more_digits_than_a_currency_has_are_drift() -> None:
    with pytest.raises(VendorDrift, match="TaxAmount"):
        to_money(Decimal("1.005"), "EUR", "TaxAmount")


def test_an_amount_that_went_through_a_float_is_drift() -> None:
    with pytest.raises(ValueError, match="text of digits"):
        InvoiceRow.model_validate({"TotalNetAmount": 1.5})


def test_a_place_reads_on_from_its_millisecond() -> None:
    at = datetime(2026, 10, 1, 12, 0, 0, 5000, tzinfo=UTC)
    cursor = Place(None, None).following([datetime(2026, 10, 1, tzinfo=UTC), at, at])
    place = Place(None, cursor)
    assert (place.at, place.skip) == (at, 2)
    assert place.condition() == " and LastChangeDateTime ge datetimeoffset'2026-10-01T12:00:00.005Z'"
    again = Place(None, place.following([at]))
    assert again.skip == 3
    assert instant(at) == "2026-10-01T12:00:00.005Z"
    with pytest.raises(InvalidRequest):
        Place(None, "nonsense")


def test_errors_are_read_from_either_version() -> None:
    detail = {"code": "F5/201", "message": "not open", "severity": "error", "propertyref": ""}
    second = {
        "error": {
            "code": "/IWBEP/CX_MGW_BUSI_EXCEPTION",
            "message": {"lang": "en", "value": "An exception occurred"},
            "innererror": {"errordetails": [detail, {"code": "W/1", "message": "mind", "severity": "warning"}]},
        }
    }
    assert _code_of(second, {"F5/201"}) == ("F5/201", "An exception occurred; not open")
    fourth = {"error": {"code": "VF/1", "message": "no", "details": [{"code": "X/1", "message": "why", "target": "A"}]}}
    assert _code_of(fourth, set()) == ("VF/1", "no; A: why")


@pytest.mark.parametrize("document", [b"<a", b"<a/>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>"])
def test_metadata_that_is_none_is_drift(document: bytes) -> None:
    with pytest.raises(VendorDrift):
        read_metadata(document)
