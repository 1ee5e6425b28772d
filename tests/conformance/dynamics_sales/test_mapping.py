"""Edge cases of the mapping, without a wire."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import system_apis.connectors.dynamics_sales as package
from shared.canonical.money import Money
from shared.canonical.opportunities import DeliveryStage, DeliveryStatus, InvoiceStage, InvoiceStatus
from shared.errors.taxonomy import MappingMissing, VendorDrift
from system_apis.connectors.dynamics_sales.changes import instant
from system_apis.connectors.dynamics_sales.client import Columns, is_id, read_error
from system_apis.connectors.dynamics_sales.mapping import (
    Choices,
    from_delivery_status,
    from_invoice_status,
    to_contract,
    to_customer,
    to_opportunity,
    version_of,
)
from system_apis.connectors.dynamics_sales.payloads import (
    AccountPayload,
    Agreement,
    Buyer,
    ContractPayload,
    Deal,
    LinePayload,
    OpportunityPayload,
)
from system_apis.fields import load_fields
from system_apis.ports.outcomes import canonical_record
from tests.conformance.dynamics_sales.environments import binding_for

FOLDER = Path(package.__file__).parent
BINDING = binding_for("http://127.0.0.1:1/x")
STAMP = {"versionnumber": 7, "modifiedon": "2026-03-01T10:00:00Z"}
DEAL: dict[str, Any] = {
    **STAMP,
    "opportunityid": "11111111-2222-3333-4444-555555555555",
    "thl_reference": None,
    "name": "Deal",
    "_parentaccountid_value": "21111111-2222-3333-4444-555555555555",
    "statecode": 1,
    "estimatedvalue": Decimal("10.0000"),
    "actualvalue": None,
    "transactioncurrencyid": {"isocurrencycode": "EUR"},
    "estimatedclosedate": "2026-03-01",
    "actualclosedate": None,
    "thl_region": None,
    "thl_legalentity": None,
    "thl_salesowner": None,
    "_ownerid_value": None,
    "thl_revision": None,
}
LINE: dict[str, Any] = {
    **STAMP,
    "opportunityproductid": "31111111-2222-3333-4444-555555555555",
    "thl_reference": None,
    "_opportunityid_value": DEAL["opportunityid"],
    "productid": None,
    "productdescription": None,
    "thl_workstream": "WS1",
    "extendedamount": Decimal("11.9000"),
    "tax": Decimal("1.9000"),
    "pricingerrorcode": 0,
    "thl_billingmodel": "milestone",
    "thl_starton": None,
}
ACCOUNT: dict[str, Any] = {
    **STAMP,
    "accountid": "41111111-2222-3333-4444-555555555555",
    "name": "Customer",
    "_parentaccountid_value": None,
    **dict.fromkeys(("address1_line1", "address1_line2", "address1_line3", "address1_city"), None),
    "address1_postalcode": None,
    "address1_country": None,
    "thl_taxid": None,
    "thl_porequired": None,
    "industrycode": None,
}
CONTRACT: dict[str, Any] = {
    **STAMP,
    "thl_contractid": "51111111-2222-3333-4444-555555555555",
    "thl_reference": None,
    "thl_name": None,
    "_thl_opportunityid_value": DEAL["opportunityid"],
    "statecode": 0,
    "thl_approval": None,
    "transactioncurrencyid": {"isocurrencycode": "EUR"},
    "thl_signedon": None,
    "thl_capamount": None,
    "thl_ponumber": None,
    "thl_ratecard": None,
    "thl_paymenttermsdays": 30,
    "thl_revision": None,
}


def deal(line: dict[str, Any] | None = None, **changed: Any) -> Deal:
    children = (LinePayload.model_validate({**LINE, **line}),) if line is not None else ()
    return Deal(row=OpportunityPayload.model_validate({**DEAL, **changed}), children=children)


def test_what_a_deal_lacks_falls_back_to_what_the_vendor_always_has() -> None:
    made = to_opportunity(deal({}), BINDING)
    assert (made.reference, made.revision, made.owner) == (DEAL["opportunityid"], 1, None)
    [line] = made.lines
    assert (line.reference, line.product_code) == (LINE["opportunityproductid"],) * 2
    assert (line.amount, line.start_on) == (Money.of(10, "EUR"), made.close_on)
    assert str(made.amount.amount) == "10.00"


def test_a_won_deal_counts_at_its_actual_revenue_and_an_open_one_at_its_estimate() -> None:
    both: dict[str, Any] = {"actualvalue": Decimal("9.99"), "actualclosedate": "2026-04-01"}
    won, still_open = to_opportunity(deal(**both), BINDING), to_opportunity(deal(**both, statecode=0), BINDING)
    assert (won.amount, str(won.close_on)) == (Money.of("9.99", "EUR"), "2026-04-01")
    assert (still_open.amount, str(still_open.close_on)) == (Money.of(10, "EUR"), "2026-03-01")
    assert to_opportunity(deal(statecode=2), BINDING).is_won is False


@pytest.mark.parametrize(
    "changed",
    [
        {"estimatedvalue": None},
        {"estimatedclosedate": None},
        {"estimatedvalue": Decimal("10.001")},
        {"transactioncurrencyid": {"isocurrencycode": "XXX"}},
        {"name": ""},
    ],
)
def test_a_deal_that_cannot_be_said_in_our_words_is_drift(changed: dict[str, Any]) -> None:
    with pytest.raises(VendorDrift, match="record 1 cannot be read: "), canonical_record("dynamics_sales", "record 1"):
        to_opportunity(deal(**changed), BINDING)


@pytest.mark.parametrize("line", [{"pricingerrorcode": 3}, {"thl_billingmodel": "barter"}, {"thl_workstream": ""}])
def test_a_line_that_cannot_be_said_in_our_words_is_drift(line: dict[str, Any]) -> None:
    with pytest.raises(VendorDrift, match="record 1 cannot be read: "), canonical_record("dynamics_sales", "record 1"):
        to_opportunity(deal(line), BINDING)


def test_yen_have_no_minor_unit() -> None:
    made = to_opportunity(
        deal(estimatedvalue=Decimal("1200.0000"), transactioncurrencyid={"isocurrencycode": "JPY"}), BINDING
    )
    assert str(made.amount) == "1200 JPY"


def test_an_empty_customer_has_an_incomplete_address_and_no_demands() -> None:
    made = to_customer(Buyer(row=AccountPayload.model_validate(ACCOUNT)), BINDING)
    assert made.bill_to.model_dump(exclude_none=True) == {}
    assert (made.requires_purchase_order, made.industry, made.parent_id) == (False, None, None)
    country = AccountPayload.model_validate({**ACCOUNT, "address1_country": "Germany"})
    with pytest.raises(VendorDrift, match="country"), canonical_record("dynamics_sales", "record 1"):
        to_customer(Buyer(row=country), BINDING)


def test_a_contract_without_a_word_on_approval_is_in_review() -> None:
    made = to_contract(Agreement(row=ContractPayload.model_validate(CONTRACT)), BINDING)
    assert (made.approval, made.cap, made.reference, made.revision) == (
        "in_review",
        None,
        CONTRACT["thl_contractid"],
        1,
    )


def test_a_version_tells_rows_that_changed_and_rows_that_went() -> None:
    assert version_of(deal()) == "7-1"
    assert version_of(deal({"versionnumber": 9})) == "9-2"


def test_what_is_written_is_in_our_words_and_exact() -> None:
    status = DeliveryStatus(stage=DeliveryStage.EXCEPTION, message="  ")
    assert from_delivery_status(status)["thl_deliverymessage"] is None
    shown = InvoiceStatus(
        invoice_ref="1",
        period="2026-01",
        stage=InvoiceStage.PAID,
        gross=Money.of("1.10", "EUR"),
        paid=Money.zero("EUR"),
    )
    body = from_invoice_status("ref", shown)
    assert (body["thl_gross"], body["thl_stage"]) == (Decimal("1.10"), "paid")
    choices = Choices("dynamics_sales", FOLDER, load_fields(FOLDER))
    assert choices.write("invoice_status", body)["thl_stage"] == 727000002


def test_an_option_outside_the_table_is_told_with_its_field() -> None:
    choices = Choices("dynamics_sales", FOLDER, load_fields(FOLDER))
    with pytest.raises(MappingMissing, match=r"opportunity_line\.billing_model"):
        choices.read("opportunity_line", {"thl_billingmodel": 727000099})
    assert choices.read("opportunity_line", {"thl_billingmodel": None}) == {"thl_billingmodel": None}
    with pytest.raises(MappingMissing, match="'torn up'"):
        choices.write("invoice_status", {"thl_stage": "torn up"})


def test_every_value_table_speaks_our_words_only() -> None:
    fields = load_fields(FOLDER)
    tables = {
        (name, key): place.values for name, of in fields.items() for key, place in of.places.items() if place.values
    }
    stages = {stage.value for stage in DeliveryStage}
    assert set(tables["delivery_status", "stage"].values()) == stages
    assert set(tables["delivery_on_opportunity", "stage"].values()) == stages
    assert set(tables["invoice_status", "stage"].values()) == {stage.value for stage in InvoiceStage}
    assert set(tables["contract", "approval"].values()) == {"in_review", "approved", "rejected"}


def test_columns_with_a_dot_are_expanded() -> None:
    assert Columns.of(("a", "_b_value", "c.d", "c.e", "a")).options() == {
        "$select": "a,_b_value",
        "$expand": "c($select=d,e)",
    }


@given(st.one_of(st.none(), st.integers(), st.text(), st.dictionaries(st.text(), st.integers()), st.just({"error": 7})))
def test_any_error_body_is_read_as_one_or_none(body: Any) -> None:
    assert read_error(body) == (None, None)


def test_signed_codes_are_the_same_codes() -> None:
    assert read_error({"error": {"code": "-2147220937", "message": "m"}}) == ("0x80040237", "m")
    assert read_error({"error": {"code": "0x80040237"}}) == ("0x80040237", None)
    assert read_error({"error": {"code": "", "message": "m"}}) == (None, "m")


@given(st.text())
def test_only_ids_are_ids(text: str) -> None:
    assert not is_id(text) or len(text.replace("-", "").strip("{}").removeprefix("urn:uuid:")) == 32


def test_instants_are_written_to_the_second_rounded_down() -> None:
    assert instant(datetime(2026, 3, 1, 10, 0, 0, 999_999, UTC)) == "2026-03-01T10:00:00Z"
