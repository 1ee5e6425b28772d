"""Edge cases of the mapping: shares of a tax, names, references, states."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.canonical.invoices import InvoiceState
from shared.errors.taxonomy import InvalidRequest, VendorDrift
from system_apis.connectors.oracle_fusion import invoices, mapping
from system_apis.connectors.oracle_fusion.client import flat, listed, literal
from system_apis.connectors.oracle_fusion.payloads import InvoiceRow, ProjectRow
from tests.conformance.erp_firm import customer, draft, plan
from tests.conformance.oracle_fusion.pods import binding

CENTS = st.integers(min_value=-1_000_000, max_value=1_000_000).map(lambda cents: Decimal(cents) / 100)


@given(st.lists(CENTS, min_size=1, max_size=40), CENTS)
def test_shares_of_a_tax_add_up_to_it(weights: list[Decimal], total: Decimal) -> None:
    parts = invoices.shares(total, weights, "EUR")
    assert len(parts) == len(weights)
    assert sum(parts, Decimal(0)) == total
    assert all(part == part.quantize(Decimal("0.01")) for part in parts)


def test_shares_of_yen_are_whole() -> None:
    assert invoices.shares(Decimal(100), [Decimal(1), Decimal(1), Decimal(1)], "JPY") == [33, 34, 33]


@given(
    st.decimals(min_value="0.01", max_value=24, places=2),
    st.decimals(min_value="0.01", max_value=500, places=2),
    st.decimals(min_value="0.01", max_value=9999, places=2),
)
def test_a_line_always_multiplies_to_its_net(quantity: Decimal, rate: Decimal, net: Decimal) -> None:
    line = draft().lines[0]
    line = line.model_copy(
        update={"quantity": quantity, "rate": rate, "net": line.net.model_copy(update={"amount": net})}
    )
    body = invoices.from_invoice_line(line, 1, item_attribute="MemoLine")
    product = (body["Quantity"] * body["UnitSellingPrice"]).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")
    assert product == net
    assert len(body["Description"]) <= 240


def test_a_projects_name_is_told_apart_and_read_back_plain() -> None:
    long = plan().model_copy(update={"name": "n" * 255})
    assert len(mapping.project_name(long)) == 240
    row = ProjectRow.model_validate(
        {
            "ProjectId": 1,
            "ProjectNumber": "1",
            "ProjectName": mapping.project_name(plan()),
            "ProjectStatusCode": "ACTIVE",
            "LastUpdateDate": "2026-11-30T00:00:00.000+00:00",
            "ProjectDFF": {"throughlineContract": "SOW-1"},
        }
    )
    assert mapping.plain_name(row) == plan().name
    assert mapping.plain_name(row.model_copy(update={"segments": None})) == "Acme prj_acme (SOW-1)"


def test_five_lines_of_a_street_are_refused() -> None:
    bill_to = customer().bill_to.model_copy(update={"street": "1\n2\n3\n4\n5"})
    with pytest.raises(InvalidRequest, match="no address to be billed at"):
        mapping.from_bill_to(customer().model_copy(update={"bill_to": bill_to}))


@pytest.mark.parametrize(
    ("status", "gross", "paid", "credited", "state"),
    [
        ("Complete", "10", "0", "0", InvoiceState.OPEN),
        ("Complete", "10", "4", "0", InvoiceState.OPEN),
        ("Complete", "10", "10", "0", InvoiceState.PAID),
        ("Complete", "10", "4", "-6", InvoiceState.PAID),
        ("Complete", "10", "0", "-10", InvoiceState.VOIDED),
        ("Closed", "10", "10", "0", InvoiceState.PAID),
        ("Complete", "0", "0", "0", InvoiceState.PAID),
        ("Incomplete", "10", "0", "0", InvoiceState.PENDING_APPROVAL),
    ],
)
def test_where_an_invoice_stands(status: str, gross: str, paid: str, credited: str, state: InvoiceState) -> None:
    assert invoices.to_state(_invoice(status, gross), Decimal(paid), Decimal(credited)) is state


def test_an_unknown_status_and_too_many_digits_are_drift() -> None:
    with pytest.raises(VendorDrift, match="unknown invoice status 'Frozen'"):
        invoices.to_state(_invoice("Frozen", "1"), Decimal(0), Decimal(0))
    with pytest.raises(VendorDrift, match="more digits"):
        invoices.to_invoice(binding("http://127.0.0.1"), _invoice("Complete", "1.001"), [], legal_entity_code="HC-DE")


def _invoice(status: str, gross: str) -> InvoiceRow:
    values: dict[str, Any] = {
        "CustomerTransactionId": 1,
        "TransactionDate": date(2026, 10, 28),
        "BusinessUnit": "U",
        "InvoiceCurrencyCode": "EUR",
        "InvoiceStatus": status,
        "EnteredAmount": Decimal(gross),
        "LastUpdateDate": datetime(2026, 11, 30, tzinfo=UTC),
    }
    return InvoiceRow.model_validate(values)


def test_constants_of_queries_cannot_break_out() -> None:
    assert literal("O'Neill' or 1=1") == "'O''Neill'' or 1=1'"
    assert literal(5) == "5"
    assert literal(datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)) == "'2026-01-02T03:04:05.678+00:00'"
    assert listed(["a", "b"]) == "('a', 'b')"


def test_flexfields_become_one_object_or_none() -> None:
    row = flat(
        {
            "ProjectDFF": {"items": [{"a": 1}], "hasMore": False},
            "TaskDFF": [],
            "Tasks": {"items": [{"TaskDFF": [{"b": 2}]}], "hasMore": True},
            "links": [],
        }
    )
    assert row["ProjectDFF"] == {"a": 1}
    assert row["TaskDFF"] is None
    assert row["Tasks"] == [{"TaskDFF": {"b": 2}}]
    assert row["Tasks"].is_whole is False
    assert "links" not in row
