"""What Dynamics' connector promises beyond the suite: exact values, conditional writes, children, feeds, ways in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from deploy.sandbox.dynamics_sales import simulator
from deploy.sandbox.dynamics_sales.simulator import CONNECTOR_APP, INTEGRATION_USER, LOADER_APP
from deploy.sandbox.dynamics_sales.tokens import App
from deploy.sandbox.kit.faults import Fault, FaultKind
from shared.canonical.contracts import ContractApproval
from shared.canonical.money import Money
from shared.canonical.opportunities import BillingModel, DeliveryStage, DeliveryStatus, InvoiceStage, InvoiceStatus
from shared.errors.taxonomy import (
    Conflict,
    InvalidRequest,
    MappingMissing,
    Misconfigured,
    NotFound,
    OutcomeUnknown,
    RuleViolated,
    ScopeMissing,
    VendorDrift,
    VendorRejected,
    VendorThrottled,
)
from system_apis.connectors.dynamics_sales.connector import open_connector
from system_apis.ports.changes import ChangeHint
from tests.conformance.dynamics_sales.conftest import Place
from tests.conformance.dynamics_sales.environments import ask, binding_for, load_closed
from tests.conformance.served import Serve
from tests.conformance.small_firm import read_on, tables

LISTS = r"GET /api/data/v9\.2/|POST /api/data/v9\.2/\$batch"
ACTIVATED = DeliveryStatus(stage=DeliveryStage.ACTIVATED, project_id="prj_1", project_ref="77", message=" Go. ")


def invoice(stage: InvoiceStage = InvoiceStage.POSTED, currency: str = "EUR") -> InvoiceStatus:
    return InvoiceStatus(
        invoice_ref="INV-7",
        period="2026-10",
        stage=stage,
        gross=Money.of("119.10", currency),
        paid=Money.zero(currency),
    )


# --- reading ----------------------------------------------------------------------------------------------------------
async def test_a_deal_is_read_to_the_cent_with_the_codes_as_sold(place: Place) -> None:
    deal = await place.connector.get_opportunity(place.deal)
    assert (deal.reference, deal.name, deal.is_won) == ("D0000", "Deal 0000", True)
    assert deal.amount == Money.of("200.50", "EUR")
    assert str(deal.amount.amount) == "200.50"
    assert (deal.close_on, deal.region, deal.legal_entity_code, deal.owner) == (
        date(2026, 3, 1),
        "West",
        "HC-DE",
        "Ada",
    )
    assert [(line.reference, line.product_code, line.workstream) for line in deal.lines] == [
        ("D0000-1", "GTXPro", "WS1"),
        ("D0000-2", "GTXPro", "WS2"),
    ]
    assert [line.amount for line in deal.lines] == [Money.of("100.25", "EUR")] * 2
    assert {line.billing_model for line in deal.lines} == {BillingModel.FIXED_FEE}
    assert deal.customer_id == (await place.connector.get_customer(deal.customer_ref)).id


async def test_a_customer_is_read_with_its_address_and_its_industry_in_words(place: Place) -> None:
    await place.amend("accounts(accountnumber='A0000')", address1_line2="Yard 2")
    [customer] = await read_on(place.connector.list_customers)
    assert customer.bill_to.street == "1 Quay\nYard 2"
    assert (customer.bill_to.city, customer.bill_to.postal_code, customer.bill_to.country) == ("Kiel", "24103", "DE")
    assert (customer.tax_id, customer.requires_purchase_order, customer.industry) == ("DE123456789", True, "retail")


async def test_a_contract_is_read_with_its_milestones(place: Place) -> None:
    contract = await place.connector.find_contract(place.deal)
    assert contract
    assert (contract.reference, contract.approval, contract.payment_terms_days) == ("SOW-0000", "approved", 30)
    assert contract.cap == Money.of(5000, "EUR")
    assert [(m.reference, str(m.amount.amount), m.due_on) for m in contract.milestones] == [
        ("D0000-1-M1", "100.25", date(2026, 4, 1)),
        ("D0000-2-M1", "100.25", date(2026, 4, 1)),
    ]
    assert contract == await place.connector.get_contract(contract.source.ref)
    assert await place.connector.find_contract(str(uuid4())) is None
    assert await place.connector.find_contract("not-an-id") is None


async def test_of_several_contracts_the_approved_one_counts(place: Place) -> None:
    bind = {"thl_OpportunityId@odata.bind": f"/opportunities({place.deal})", "thl_paymenttermsdays": 10}
    money = {"transactioncurrencyid@odata.bind": "/transactioncurrencies(isocurrencycode='EUR')"}
    await place.admin.call("POST", "thl_contracts", {**bind, **money, "thl_reference": "SOW-2"})
    found = await place.connector.find_contract(place.deal)
    assert found
    assert found.reference == "SOW-0000"
    await place.amend("thl_contracts(thl_reference='SOW-0000')", statecode=1)
    found = await place.connector.find_contract(place.deal)
    assert found
    assert (found.reference, found.approval) == ("SOW-2", ContractApproval.IN_REVIEW)
    old = next(c for c in await read_on(place.connector.list_contracts) if c.reference == "SOW-0000")
    assert old.approval is ContractApproval.REJECTED, "a contract out of use may not be worked under"


async def test_a_line_is_told_without_its_tax_and_a_write_in_by_its_words(place: Place) -> None:
    await place.amend(f"opportunities({place.deal})", statecode=0)
    await place.amend("opportunityproducts(thl_reference='D0000-1')", tax=Decimal("19.05"))
    bind = {"opportunityid@odata.bind": f"/opportunities({place.deal})", "quantity": 1, "priceperunit": Decimal("7.5")}
    own = {"thl_workstream": "WS3", "thl_billingmodel": 727000000, "thl_starton": "2026-03-20", "thl_reference": "Z"}
    written = {"isproductoverridden": True, "productdescription": "Travel", **bind, **own}
    await place.admin.call("POST", "opportunityproducts", written)
    deal = await place.connector.get_opportunity(place.deal)
    assert [str(line.amount.amount) for line in deal.lines] == ["100.25", "100.25", "7.50"]
    assert deal.lines[-1].product_code == "Travel"
    assert not deal.is_won


async def test_a_line_that_is_priced_with_an_error_is_not_believed(place: Place) -> None:
    await place.amend(f"opportunities({place.deal})", statecode=0)
    await place.amend("opportunityproducts(thl_reference='D0000-1')", ispriceoverridden=False)
    with pytest.raises(VendorDrift, match="priced with error 11"):
        await place.connector.get_opportunity(place.deal)


async def test_an_open_deal_has_its_expected_amount_and_day(place: Place) -> None:
    path = f"opportunities({place.deal})"
    await place.amend(path, statecode=0)
    await place.amend(path, estimatedvalue=Decimal("99.99"), estimatedclosedate="2026-05-05", thl_salesowner=None)
    deal = await place.connector.get_opportunity(place.deal)
    assert (deal.is_won, deal.amount, deal.close_on) == (False, Money.of("99.99", "EUR"), date(2026, 5, 5))
    assert deal.owner == LOADER_APP.user, "the owner's name, as annotated"


async def test_deals_that_cannot_be_worked_on_are_not_read(place: Place) -> None:
    await place.admin.call("POST", "opportunities", {"name": "No customer", "estimatedvalue": 5})
    account = (await ask(place.url, "accounts"))[0]["accountid"]
    half = {"name": "No amount", "parentaccountid@odata.bind": f"/accounts({account})"}
    answer = await place.admin.send("POST", "opportunities", {**half, "estimatedclosedate": "2026-01-01"})
    ref = answer.headers["odata-entityid"].rpartition("(")[2].rstrip(")")
    assert [deal.name for deal in await read_on(place.connector.list_opportunities)] == ["Deal 0000"]
    for unknown in (ref, str(uuid4()), "nonsense", "x' or 1 eq 1"):
        with pytest.raises(NotFound):
            await place.connector.get_opportunity(unknown)


async def test_a_sum_with_more_digits_than_its_currency_is_drift(place: Place) -> None:
    await place.amend("transactioncurrencies(isocurrencycode='EUR')", currencyprecision=4)
    await place.amend("thl_milestones(thl_reference='D0000-1-M1')", thl_amount=Decimal("100.2549"))
    with pytest.raises(VendorDrift, match="more digits"):
        await place.connector.find_contract(place.deal)


async def test_a_list_that_is_refused_is_told_as_rejected(place: Place) -> None:
    fault = Fault(kind=FaultKind.STATUS, route=LISTS, status=400, body="{}")
    place.sandbox.simulator.wire.faults.add(fault)
    with pytest.raises(VendorRejected):
        await place.connector.get_opportunity(place.deal)


# --- pages and changes ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("limit", [1, 4, 100])
async def test_pages_come_in_the_order_of_change_each_record_once_even_within_one_second(
    place: Place, limit: int
) -> None:
    await load_closed(place.url, tables(deals=9, lines=3))
    found = await read_on(place.connector.list_opportunities, limit)
    assert sorted(deal.reference for deal in found) == [f"D{n:04d}" for n in range(9)]
    stamps = [deal.source.modified_at for deal in found]
    assert stamps == sorted(stamps)
    assert all(len(deal.lines) == 3 for deal in found)


async def test_a_page_can_begin_at_an_instant_and_a_cursor_must_be_ours(place: Place) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    page = await place.connector.list_opportunities(modified_since=soon, cursor=None, limit=5)
    assert page.items == ()
    early = datetime.now(UTC) - timedelta(hours=1)
    page = await place.connector.list_opportunities(modified_since=early, cursor=None, limit=5)
    assert len(page.items) == 1
    for cursor in ("nonsense", "e30"):
        with pytest.raises(InvalidRequest):
            await place.connector.list_opportunities(modified_since=None, cursor=cursor, limit=5)


@pytest.mark.parametrize("touches", [True, False])
async def test_a_lines_change_counts_for_its_deal_whether_or_not_the_vendor_stamps_it(
    place: Place, touches: bool
) -> None:
    place.switch(closed_rows="writable", lines_touch_deal=touches)
    before = await place.connector.get_opportunity(place.deal)
    place.switch(advance_days=1)
    await place.amend("opportunityproducts(thl_reference='D0000-1')", thl_workstream="WS9")
    after = await place.connector.get_opportunity(place.deal)
    assert after.source.version != before.source.version
    assert after.source.modified_at
    assert before.source.modified_at
    assert after.source.modified_at > before.source.modified_at
    hints = await place.connector.list_changes(after.source.modified_at)
    assert ("opportunity", place.deal) in {(hint.entity, hint.ref) for hint in hints}


async def test_a_milestone_that_went_changes_its_contracts_version(place: Place) -> None:
    before = await place.connector.find_contract(place.deal)
    await place.admin.call("DELETE", "thl_milestones(thl_reference='D0000-1-M1')")
    after = await place.connector.find_contract(place.deal)
    assert before
    assert after
    assert (len(before.milestones), len(after.milestones)) == (2, 1)
    assert before.source.version != after.source.version


async def test_a_poll_hints_once_per_record_and_looks_back_a_little(place: Place) -> None:
    hints = await place.connector.list_changes(None)
    assert len({(hint.entity, hint.ref) for hint in hints}) == len(hints)
    assert {hint.entity for hint in hints} == {"customer", "opportunity", "contract"}
    newest = max(hint.occurred_at for hint in hints if hint.occurred_at)
    assert await place.connector.list_changes(newest + timedelta(seconds=30)) == hints
    assert await place.connector.list_changes(newest + timedelta(seconds=90)) == []


async def test_two_changes_within_one_second_are_two_hints(place: Place) -> None:
    keys: set[str] = set()
    for number in range(3):
        await place.amend("accounts(accountnumber='A0000')", telephone1=str(number))
        keys |= {hint.key for hint in await place.connector.list_changes(None) if hint.entity == "customer"}
    assert len(keys) == 3


# --- the feed ---------------------------------------------------------------------------------------------------------
def told(hints: Sequence[ChangeHint]) -> set[tuple[str, str]]:
    return {(hint.entity, hint.ref) for hint in hints}


async def test_the_feed_begins_with_everything_and_goes_on_with_what_changed(place: Place) -> None:
    begun = await place.connector.read_feed(None)
    assert told(begun.hints) == told(await place.connector.list_changes(None))
    assert not begun.was_reset
    quiet = await place.connector.read_feed(begun.position)
    assert quiet.hints == []
    contract = await place.connector.find_contract(place.deal)
    assert contract
    await place.amend("thl_milestones(thl_reference='D0000-1-M1')", thl_name="Later")
    news = await place.connector.read_feed(quiet.position)
    assert told(news.hints) == {("contract", contract.source.ref)}


async def test_the_feed_tells_of_records_that_went(place: Place) -> None:
    begun = await place.connector.read_feed(None)
    answer = await place.admin.send("POST", "accounts", {"name": "Short"})
    ref = answer.headers["odata-entityid"].rpartition("(")[2].rstrip(")")
    position = (await place.connector.read_feed(begun.position)).position
    await place.admin.call("DELETE", f"accounts({ref})")
    gone = await place.connector.read_feed(position)
    assert told(gone.hints) == {("customer", ref)}
    with pytest.raises(NotFound):
        await place.connector.get_customer(ref)


async def test_a_child_that_went_without_a_word_has_every_record_it_may_have_been_of_read_again(place: Place) -> None:
    await load_closed(place.url, tables(deals=3))
    begun = await place.connector.read_feed(None)
    await place.admin.call("DELETE", "thl_milestones(thl_reference='D0001-1-M1')")
    news = await place.connector.read_feed(begun.position)
    assert len(told(news.hints)) == 3
    assert {hint.entity for hint in news.hints} == {"contract"}
    assert not {hint.key for hint in news.hints} & {hint.key for hint in begun.hints}, "else they would be known"


async def test_a_line_that_went_is_told_by_its_deal_or_by_all_deals_as_set(place: Place) -> None:
    await load_closed(place.url, tables(deals=3))
    place.switch(closed_rows="writable")
    begun = await place.connector.read_feed(None)
    await place.admin.call("DELETE", "opportunityproducts(thl_reference='D0001-1')")
    deals = {hint.ref for hint in (await place.connector.read_feed(begun.position)).hints}
    assert len(deals) == 1
    place.switch(lines_touch_deal=False)
    careful = open_connector(binding_for(place.url, lines_touch_deal="false"))
    try:
        begun = await careful.read_feed(None)
        await place.admin.call("DELETE", "opportunityproducts(thl_reference='D0002-1')")
        assert len({hint.ref for hint in (await careful.read_feed(begun.position)).hints}) == 3
    finally:
        await careful.aclose()


async def test_a_position_of_another_kind_is_answered_by_a_full_scan(place: Place) -> None:
    for position in ("nonsense", "e30", "eyJhY2NvdW50cyI6ICJhY2NvdW50cz8kZGVsdGF0b2tlbj14In0"):
        reading = await place.connector.read_feed(position)
        assert reading.was_reset
        assert told(reading.hints) == told(await place.connector.list_changes(None))


async def test_a_feed_without_change_tracking_is_a_matter_of_set_up(place: Place) -> None:
    body = json.dumps({"error": {"code": "0x80044900", "message": "Change tracking is not enabled"}})
    place.sandbox.simulator.wire.faults.add(
        Fault(kind=FaultKind.STATUS, route=LISTS, status=400, body=body, times=None)
    )
    with pytest.raises(ScopeMissing):
        await place.connector.read_feed(None)


# --- writing ----------------------------------------------------------------------------------------------------------
async def test_a_delivery_status_stands_beside_a_deal_that_is_closed(place: Place) -> None:
    before = await place.admin.call("GET", f"opportunities({place.deal})")
    await place.connector.amend_delivery_status(place.deal, ACTIVATED)
    row = await place.admin.call("GET", f"thl_deliverystatuses({place.deal})")
    assert (row["thl_deliverystage"], row["thl_psaprojectid"], row["thl_deliverymessage"]) == (727000002, "77", "Go.")
    assert row["_thl_opportunityid_value"] == place.deal
    assert await place.admin.call("GET", f"opportunities({place.deal})") == before
    writes = place.sandbox.calls("PATCH")
    await place.connector.amend_delivery_status(place.deal, ACTIVATED)
    assert place.sandbox.calls("PATCH") == writes, "what stands so is left alone"
    for unknown in (str(uuid4()), "nonsense"):
        with pytest.raises(NotFound):
            await place.connector.amend_delivery_status(unknown, ACTIVATED)
    assert place.sandbox.simulator.counts()["thl_deliverystatus"] == 1


async def test_a_delivery_status_on_the_deal_never_makes_a_deal(place: Place) -> None:
    connector = open_connector(binding_for(place.url, delivery_on="opportunity"))
    try:
        with pytest.raises(RuleViolated, match="closed"):
            await connector.amend_delivery_status(place.deal, ACTIVATED)
        place.switch(closed_rows="writable")
        await connector.amend_delivery_status(place.deal, ACTIVATED)
        with pytest.raises(NotFound):
            await connector.amend_delivery_status(str(uuid4()), ACTIVATED)
    finally:
        await connector.aclose()
    row = await place.admin.call("GET", f"opportunities({place.deal})")
    assert (row["thl_deliverystage"], row["thl_projectid"]) == (727000002, "prj_1")
    counts = place.sandbox.simulator.counts()
    assert (counts["opportunity"], counts["thl_deliverystatus"]) == (1, 0)


async def test_an_invoice_status_is_one_row_with_the_latest_values(place: Place) -> None:
    await place.connector.amend_invoice_status(place.deal, "inv_1", invoice())
    await place.connector.amend_invoice_status(place.deal, "inv_1", invoice(InvoiceStage.PAID))
    await place.connector.amend_invoice_status(place.deal, "inv_2", invoice())
    rows = await ask(place.url, "thl_invoicestatuses", orderby="thl_invoiceid", expand="transactioncurrencyid")
    assert [row["thl_invoiceid"] for row in rows] == ["inv_1", "inv_2"]
    assert (rows[0]["thl_stage"], rows[0]["thl_gross"]) == (727000002, Decimal("119.1000"))
    assert rows[0]["transactioncurrencyid"]["isocurrencycode"] == "EUR"
    with pytest.raises(MappingMissing, match="CHF"):
        await place.connector.amend_invoice_status(place.deal, "inv_3", invoice(currency="CHF"))
    with pytest.raises(NotFound):
        await place.connector.amend_invoice_status(str(uuid4()), "inv_3", invoice())
    money = {"currencyname": "Franc", "isocurrencycode": "CHF", "currencysymbol": "Fr", "currencyprecision": 2}
    await place.admin.call("POST", "transactioncurrencies", {**money, "exchangerate": 1})
    await place.connector.amend_invoice_status(place.deal, "inv_3", invoice(currency="CHF"))


async def test_an_invoice_status_costs_one_call_once_the_environment_is_known(place: Place) -> None:
    await place.connector.amend_invoice_status(place.deal, "inv_1", invoice())
    before = place.sandbox.calls("")
    await place.connector.amend_invoice_status(place.deal, "inv_2", invoice())
    assert place.sandbox.calls("") - before == 1


async def test_who_makes_a_row_a_moment_too_late_finds_it_there(place: Place) -> None:
    body = json.dumps({"error": {"code": "0x80040237", "message": "A record with matching key values already exists."}})
    fault = Fault(kind=FaultKind.STATUS, route="PATCH", status=412, body=body)
    place.sandbox.simulator.wire.faults.add(fault)
    await place.connector.amend_invoice_status(place.deal, "inv_1", invoice())
    assert place.sandbox.has_struck(fault)
    assert place.sandbox.simulator.counts()["thl_invoicestatus"] == 1
    place.sandbox.simulator.wire.faults.add(fault.model_copy(update={"times": None}))
    with pytest.raises(Conflict):
        await place.connector.amend_invoice_status(place.deal, "inv_1", invoice())


async def test_a_write_whose_outcome_stays_open_is_told_as_such(place: Place) -> None:
    fault = Fault(kind=FaultKind.STATUS, route="PATCH", status=503, body="{}", times=None)
    place.sandbox.simulator.wire.faults.add(fault)
    with pytest.raises(OutcomeUnknown):
        await place.connector.amend_invoice_status(place.deal, "inv_1", invoice())


async def test_a_tenants_own_columns_and_words_are_used_in_both_directions(place: Place, tmp_path: Path) -> None:
    """Stage and billing model are kept in option sets of the tenant's own."""
    words = {"10": "in_review", "20": "exception", "30": "activated", "40": "cancelled"}
    own = {
        "delivery_status": {"stage": {"path": "harb_workstate", "values": words}},
        "opportunity_line": {
            "billing_model": {"path": "harb_terms", "values": {"1": "time_and_materials", "2": "fixed_fee"}}
        },
        "customer": {"industry": {"path": "address1_stateorprovince", "values": {"SH": "coast"}}},
    }
    file = tmp_path / "own.yaml"
    file.write_text(json.dumps(own), encoding="utf-8")
    place.switch(closed_rows="writable")
    for number in (1, 2):
        await place.amend(f"opportunityproducts(thl_reference='D0000-{number}')", harb_terms=number)
    await place.amend("accounts(accountnumber='A0000')", address1_stateorprovince="SH")
    connector = open_connector(replace(binding_for(place.url), overrides=file))
    try:
        deal = await connector.get_opportunity(place.deal)
        assert [line.billing_model for line in deal.lines] == ["time_and_materials", "fixed_fee"]
        assert (await connector.get_customer(deal.customer_ref)).industry == "coast"
        await connector.amend_delivery_status(place.deal, ACTIVATED)
        row = await place.admin.call("GET", f"thl_deliverystatuses({place.deal})")
        assert (row["harb_workstate"], row["thl_deliverystage"]) == (30, None)
        writes = place.sandbox.calls("PATCH")
        await connector.amend_delivery_status(place.deal, ACTIVATED)
        assert place.sandbox.calls("PATCH") == writes
        await place.amend("accounts(accountnumber='A0000')", address1_stateorprovince="NI")
        with pytest.raises(MappingMissing, match="NI"):
            await connector.get_customer(deal.customer_ref)
    finally:
        await connector.aclose()


# --- ways in, and trouble ---------------------------------------------------------------------------------------------
async def test_a_token_may_end_in_the_middle_of_a_list(place: Place) -> None:
    await load_closed(place.url, tables(deals=25))
    place.switch(page_size=5)
    logins = place.sandbox.calls("oauth2")
    fault = place.sandbox.fault(FaultKind.SESSION_EXPIRED, r"GET /api/data/v9\.2/accounts\?", skip=2)
    hints = await place.connector.list_changes(None)
    assert place.sandbox.has_struck(fault)
    assert len([hint for hint in hints if hint.entity == "customer"]) == 25
    assert place.sandbox.calls("oauth2") - logins <= 2  # the first login, and one more


async def test_every_page_of_a_list_is_asked_for_in_the_same_size(place: Place) -> None:
    await load_closed(place.url, tables(deals=12))
    before = place.sandbox.calls(LISTS)
    found = await place.connector.list_customers(modified_since=None, cursor=None, limit=2)
    assert len(found.items) == 2
    assert place.sandbox.calls(LISTS) - before <= 6


async def test_a_wait_that_is_too_long_is_told_with_its_length(place: Place) -> None:
    body = json.dumps({"error": {"code": "0x80072321", "message": "Combined execution time"}})
    fault = Fault(kind=FaultKind.STATUS, route=LISTS, status=429, body=body, times=None, headers={"retry-after": "240"})
    place.sandbox.simulator.wire.faults.add(fault)
    with pytest.raises(VendorThrottled) as caught:
        await place.connector.get_opportunity(place.deal)
    assert caught.value.retry_after == 240
    assert caught.value.extra["vendor_code"] == "0x80072321"


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (403, "0x80040220", "Principal user is missing prvReadOpportunity privilege", ScopeMissing),
        (403, "0x80072560", "The user is not a member of the organization.", ScopeMissing),
        (404, "0x8006088a", "Resource not found for the segment 'thl_contracts'.", ScopeMissing),
        (404, "-2147220969", "opportunity With Id = 1 Does Not Exist", NotFound),
        (400, "0x0", "Could not find a property named 'thl_region' on type 'x'.", ScopeMissing),
        (400, "", "A binary operator with incompatible types was detected.", VendorRejected),
    ],
)
async def test_refusals_are_told_by_what_should_be_done(
    place: Place, status: int, code: str, message: str, kind: type[Exception]
) -> None:
    body = json.dumps({"error": {"code": code, "message": message}})
    place.sandbox.simulator.wire.faults.add(
        Fault(kind=FaultKind.STATUS, route=LISTS, status=status, body=body, times=None)
    )
    with pytest.raises(kind):
        await place.connector.get_opportunity(place.deal)


async def test_an_app_without_an_application_user_is_a_matter_of_set_up(serve: Serve) -> None:
    sandbox = await serve(simulator(apps=(replace(CONNECTOR_APP, user=None), LOADER_APP)))
    connector = open_connector(binding_for(sandbox.base_url))
    try:
        with pytest.raises(ScopeMissing):
            await connector.ping()
    finally:
        await connector.aclose()


def certificate() -> tuple[str, str, str]:
    """A key, its certificate and its public key, all PEM."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "throughline")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(made.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(made, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key = made.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    public = made.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    return key, signed.public_bytes(pem).decode(), public


async def test_a_certificate_opens_the_door_in_place_of_a_secret(serve: Serve) -> None:
    key, signed, public = certificate()
    app = App(CONNECTOR_APP.client_id, "unused", INTEGRATION_USER, public)
    sandbox = await serve(simulator(apps=(app, LOADER_APP)))
    binding = binding_for(sandbox.base_url, auth_flow="certificate")
    connector = open_connector(replace(binding, secrets={"private_key": key, "certificate": signed}))
    try:
        await connector.ping()
    finally:
        await connector.aclose()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"auth_flow": "magic"}, "auth_flow"),
        ({"delivery_on": "moon"}, "delivery_on"),
        ({"lines_touch_deal": "maybe"}, "lines_touch_deal"),
        ({"overlap_seconds": "soon"}, "overlap_seconds"),
        ({"tenant_id": ""}, "tenant_id"),
        ({"auth_flow": "certificate"}, "private_key"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(settings: dict[str, str], named: str) -> None:
    with pytest.raises(Misconfigured, match=named):
        open_connector(binding_for("http://127.0.0.1:1/x", **settings))
    broken = replace(
        binding_for("http://127.0.0.1:1/x", auth_flow="certificate"),
        secrets={"private_key": "x", "certificate": "y"},
    )
    with pytest.raises(Misconfigured, match="PEM"):
        open_connector(broken)


async def test_the_metadata_is_told_in_our_terms(place: Place) -> None:
    facts = await place.connector.describe(["thl_milestone", "nonsense", "opportunity"])
    assert facts.keys() == {"thl_milestone", "opportunity"}
    deal = {fact.name: fact for fact in facts["opportunity"]}
    assert deal["statecode"].values == ("0", "1", "2")
    assert deal["thl_deliverystage"].values[0] == "727000000"
    assert (deal["_parentaccountid_value"].kind, deal["totalamount"].is_writable) == ("Lookup", False)
    line = {fact.name: fact for fact in (await place.connector.describe(["opportunityproduct"]))["opportunityproduct"]}
    assert line["_opportunityid_value"].is_required
    assert not line["opportunityproductid"].is_required
