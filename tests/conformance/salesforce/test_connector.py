"""What Salesforce's connector promises beyond the suite: exact values, changes of children, its own writes ignored."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from deploy.sandbox.kit.deliveries import Subscription, signature
from deploy.sandbox.kit.faults import Fault, FaultKind
from deploy.sandbox.salesforce.org import INTEGRATION_USER
from deploy.sandbox.salesforce.session import API
from shared.canonical.contracts import ContractApproval
from shared.canonical.money import Money
from shared.canonical.opportunities import BillingModel, DeliveryStage, DeliveryStatus, InvoiceStage, InvoiceStatus
from shared.errors.taxonomy import (
    Conflict,
    InvalidRequest,
    MappingMissing,
    Misconfigured,
    NotAuthenticated,
    NotFound,
    OutcomeUnknown,
    ScopeMissing,
    VendorDrift,
    VendorRejected,
    VendorThrottled,
)
from system_apis.connectors.salesforce.connector import open_connector
from system_apis.connectors.salesforce.mapping import to_opportunity
from system_apis.connectors.salesforce.payloads import OpportunityPayload
from system_apis.connectors.salesforce.webhooks import open_intake
from system_apis.dialects.salesforce.soql import columns
from system_apis.ports.binding import Binding
from system_apis.ports.changes import WebhookDelivery
from system_apis.ports.outcomes import canonical_record
from tests.conformance.conformance_suite import WEBHOOK_SECRET
from tests.conformance.salesforce.conftest import Org
from tests.conformance.salesforce.orgs import ask, binding_for, firm_wire, load_closed
from tests.conformance.served import Mailbox
from tests.conformance.small_firm import read_on, tables

QUERY = "GET .*/query"


async def patch(org: Org, sobject: str, record_id: str, **values: Any) -> None:
    await org.admin.call("PATCH", f"{API}/sobjects/{sobject}/{record_id}", values)


async def one_id(org: Org, sobject: str) -> str:
    return str((await ask(org.sandbox.base_url, f"SELECT Id FROM {sobject} ORDER BY Id LIMIT 1"))[0]["Id"])


async def test_a_deal_is_read_to_the_cent_with_the_codes_as_sold(org: Org) -> None:
    deal = await org.connector.get_opportunity(org.deal)
    assert deal.is_won
    assert (deal.reference, deal.name, deal.owner) == ("D0000", "Deal 0000", "Ada")
    assert deal.amount == Money.of("200.50", "EUR")
    assert deal.close_on == date(2026, 3, 1)
    assert [(line.reference, line.product_code, line.amount.amount) for line in deal.lines] == [
        ("D0000-1", "GTXPro", Decimal("100.25")),
        ("D0000-2", "GTXPro", Decimal("100.25")),
    ]
    assert deal.lines[0].billing_model is BillingModel.FIXED_FEE
    customer = await org.connector.get_customer(deal.customer_ref)
    assert customer.id == deal.customer_id
    assert (customer.bill_to.country, customer.tax_id, customer.requires_purchase_order) == ("DE", "DE123456789", True)


async def test_a_contract_is_read_with_its_milestones_and_its_cap(org: Org) -> None:
    contract = await org.connector.find_contract(org.deal)
    assert contract
    assert contract.approval is ContractApproval.APPROVED
    assert contract.cap == Money.of(5000, "EUR")
    assert [m.reference for m in contract.milestones] == ["D0000-1-M1", "D0000-2-M1"]
    assert contract.opportunity_id == (await org.connector.get_opportunity(org.deal)).id
    assert await org.connector.get_contract(contract.source.ref) == contract


async def test_what_is_not_there_is_not_found(org: Org) -> None:
    nobody = "006000000000000AAA"
    for ask_for in (org.connector.get_opportunity, org.connector.get_contract, org.connector.get_customer):
        with pytest.raises(NotFound):
            await ask_for(nobody)
        with pytest.raises(NotFound):
            await ask_for("no id at all")
    assert await org.connector.find_contract(nobody) is None
    with pytest.raises(NotFound):
        await org.connector.amend_delivery_status(nobody, DeliveryStatus(stage=DeliveryStage.EXCEPTION))


async def test_a_changed_line_brings_its_deal_back_and_a_milestone_its_contract(org: Org) -> None:
    deal = await org.connector.get_opportunity(org.deal)
    seen = deal.source.modified_at
    assert seen
    later = seen + timedelta(milliseconds=1)
    page = await org.connector.list_opportunities(modified_since=later, cursor=None, limit=10)
    assert page.items == ()
    await patch(org, "OpportunityLineItem", deal.lines[1].ref, TotalPrice=99.75)
    page = await org.connector.list_opportunities(modified_since=later, cursor=None, limit=10)
    assert [item.id for item in page.items] == [deal.id]
    assert page.items[0].source.version > deal.source.version
    assert page.items[0].lines[1].amount == Money.of("99.75", "EUR")
    await patch(org, "Billing_Milestone__c", await one_id(org, "Billing_Milestone__c"), Amount__c=1)
    contracts = await org.connector.list_contracts(modified_since=later, cursor=None, limit=10)
    assert contracts.items[0].milestones[0].amount == Money.of(1, "EUR")


async def test_a_deleted_line_brings_its_deal_back(org: Org) -> None:
    deal = await org.connector.get_opportunity(org.deal)
    await org.admin.call("DELETE", f"{API}/sobjects/OpportunityLineItem/{deal.lines[0].ref}")
    page = await org.connector.list_opportunities(modified_since=deal.source.modified_at, cursor=None, limit=10)
    assert [line.reference for item in page.items for line in item.lines] == ["D0000-2"]


@pytest.mark.parametrize("limit", [1, 3, 7])
async def test_pages_come_in_the_order_of_change_each_record_once_even_within_one_second(org: Org, limit: int) -> None:
    configure = org.sandbox.simulator.configure
    assert configure
    configure({"whole_seconds": True})
    async with firm_wire(org.sandbox.base_url) as firm:
        await load_closed(firm, tables(deals=9, lines=3))
    found = await read_on(org.connector.list_opportunities, limit)
    assert sorted(deal.reference for deal in found) == [f"D{n:04d}" for n in range(9)]
    stamps = [deal.source.modified_at for deal in found]
    assert stamps == sorted(stamps)


async def test_children_over_several_pages_come_whole(org: Org) -> None:
    configure = org.sandbox.simulator.configure
    assert configure
    configure({"child_page_size": 3})
    async with firm_wire(org.sandbox.base_url) as firm:
        await load_closed(firm, tables(lines=11))
    assert len((await org.connector.get_opportunity(org.deal)).lines) == 11
    contract = await org.connector.find_contract(org.deal)
    assert contract
    assert len(contract.milestones) == 11


async def test_a_strange_cursor_is_an_invalid_request(org: Org) -> None:
    for cursor in ("nonsense", "e30"):
        with pytest.raises(InvalidRequest) as caught:
            await org.connector.list_customers(modified_since=None, cursor=cursor, limit=10)
        assert caught.value.findings[0].field == "cursor"


async def test_deals_without_customer_or_amount_are_not_deals_yet(org: Org) -> None:
    body = {"Name": "Rumour", "StageName": "Prospecting", "CloseDate": "2026-12-01"}
    made = await org.admin.call("POST", f"{API}/sobjects/Opportunity", body)
    assert [deal.reference for deal in await read_on(org.connector.list_opportunities)] == ["D0000"]
    assert made["id"] not in {hint.ref for hint in await org.connector.list_changes(None)}
    with pytest.raises(NotFound):
        await org.connector.get_opportunity(made["id"])


async def test_a_sum_with_more_digits_than_its_currency_is_drift_and_not_rounded(org: Org) -> None:
    contract_id = await one_id(org, "Contract")
    await patch(org, "Contract", contract_id, Cap_Amount__c=5000.255)
    with pytest.raises(VendorDrift, match="more digits than EUR"):
        await org.connector.find_contract(org.deal)
    await patch(org, "Contract", contract_id, Cap_Amount__c=5000, CurrencyIsoCode="XYZ")
    with pytest.raises(VendorDrift, match="XYZ"):
        await org.connector.find_contract(org.deal)


def test_a_billing_model_we_do_not_know_is_drift_that_names_the_row() -> None:
    line = {"Id": "00k1", "SystemModstamp": "2026-03-01T10:11:12.000+0000", "Reference__c": None, "Name": "Work"}
    line |= {"ProductCode": "GTXPro", "Workstream__c": "WS1", "TotalPrice": 5, "ServiceDate": None}
    deal = dict.fromkeys(
        name.strip() for name in columns(OpportunityPayload).split("(")[0].split(",") if "." not in name
    )
    deal |= {"Id": "006A", "SystemModstamp": line["SystemModstamp"], "Name": "Deal", "AccountId": "001A", "Amount": 5}
    deal |= {"CurrencyIsoCode": "EUR", "IsClosed": True, "IsWon": True, "CloseDate": "2026-03-01", "Owner": None}
    for model, outcome in (("fixed_fee", True), ("barter", False)):
        lines = {"records": [line | {"Billing_Model__c": model}]}
        payload = OpportunityPayload.model_validate(deal | {"OpportunityLineItems": lines})
        if outcome:
            assert to_opportunity(payload, binding_for("http://unused")).lines[0].start_on.year == 2026
        else:
            with pytest.raises(VendorDrift, match=r"006A.*barter"), canonical_record("salesforce", "record 006A"):
                to_opportunity(payload, binding_for("http://unused"))


async def test_delivery_is_written_once_and_not_again_when_it_stands_so(org: Org) -> None:
    status = DeliveryStatus(stage=DeliveryStage.EXCEPTION, message=" tax_id_missing ")
    before = await org.connector.get_opportunity(org.deal)
    await org.connector.amend_delivery_status(org.deal, status)
    written = await org.connector.get_opportunity(org.deal)
    await org.connector.amend_delivery_status(org.deal, status)
    assert await org.connector.get_opportunity(org.deal) == written
    assert written.source.version > before.source.version
    async with firm_wire(org.sandbox.base_url) as firm:
        row = (await firm.read_deals())["D0000"]
    assert (row.delivery_stage, row.message, row.project_ref) == ("exception", "tax_id_missing", None)


async def test_an_invoice_status_is_one_row_with_the_latest_values(org: Org) -> None:
    posted = InvoiceStatus(
        invoice_ref="77",
        period="2026-10",
        stage=InvoiceStage.POSTED,
        gross=Money.of("119.10", "EUR"),
        paid=Money.zero("EUR"),
    )
    await org.connector.amend_invoice_status(org.deal, "inv_a/b c", posted)
    paid = posted.model_copy(update={"stage": InvoiceStage.PAID, "paid": posted.gross})
    await org.connector.amend_invoice_status(org.deal, "inv_a/b c", paid)
    async with firm_wire(org.sandbox.base_url) as firm:
        [row] = await firm.read_invoice_statuses()
    assert (row.invoice_id, row.opportunity_id, row.stage) == ("inv_a/b c", "D0000", "paid")
    assert (row.gross, row.paid) == (Decimal("119.1"), Decimal("119.1"))
    with pytest.raises(NotFound):
        await org.connector.amend_invoice_status("006000000000000AAA", "inv_2", posted)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, "This session is not valid for use with the REST API|INVALID_SESSION_ID", ScopeMissing),
        (403, "no|API_DISABLED_FOR_ORG", ScopeMissing),
        (400, "No such column|INVALID_FIELD", ScopeMissing),
        (400, "unable to obtain exclusive access|UNABLE_TO_LOCK_ROW", VendorThrottled),
        (400, "duplicate value found|DUPLICATE_VALUE", Conflict),
        (400, "flow failed|CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", VendorRejected),
        (300, "several|", Conflict),
        (500, "x|UNKNOWN_EXCEPTION", OutcomeUnknown),
    ],
)
async def test_refused_writes_become_the_error_that_tells_what_to_do(
    org: Org, status: int, body: str, error: type[Exception]
) -> None:
    message, _, code = body.partition("|")
    text = json.dumps([{"message": message, "errorCode": code}]) if code else '["/a", "/b"]'
    logins = org.sandbox.calls("oauth2/token")
    org.sandbox.simulator.wire.faults.add(
        Fault(kind=FaultKind.STATUS, route="PATCH", status=status, body=text, times=None)
    )
    with pytest.raises(error):
        await org.connector.amend_delivery_status(org.deal, DeliveryStatus(stage=DeliveryStage.CANCELLED))
    assert org.sandbox.calls("oauth2/token") - logins <= 1  # the first login, and no refresh in a loop


async def test_html_in_place_of_an_answer_is_drift(org: Org) -> None:
    org.sandbox.simulator.wire.faults.add(
        Fault(kind=FaultKind.STATUS, route=QUERY, status=300 + 99, body="<html>Maintenance</html>")
    )
    with pytest.raises(VendorDrift):
        await org.connector.get_opportunity(org.deal)


async def test_an_assertion_signed_with_the_apps_key_opens_the_org(org: Org) -> None:
    key = RSAKey.generate_key(2048)
    configure = org.sandbox.simulator.configure
    assert configure
    configure({"public_keys": {"throughline-connector": key.as_pem(private=False).decode()}})
    known = binding_for(org.sandbox.base_url, auth_flow="jwt_bearer", username=INTEGRATION_USER)
    binding = Binding("harbour", "salesforce", known.settings, {"private_key": key.as_pem(private=True).decode()})
    connector = open_connector(binding)
    assert (await connector.get_opportunity(org.deal)).reference == "D0000"
    await connector.aclose()
    with pytest.raises(Misconfigured, match="private_key"):
        open_connector(Binding("harbour", "salesforce", known.settings, {"private_key": "nonsense"}))
    with pytest.raises(Misconfigured, match="client_id"):
        open_connector(Binding("harbour", "salesforce", {"base_url": org.sandbox.base_url}))


def delivery(payload: dict[str, Any]) -> WebhookDelivery:
    body = json.dumps({"channel": "/data/ChangeEvents", "data": {"payload": payload}}).encode()
    now = datetime.now(UTC)
    stamp = str(int(now.timestamp()))
    headers = {"webhook-id": "m1", "webhook-timestamp": stamp}
    headers["webhook-signature"] = "v1,other " + signature(WEBHOOK_SECRET, "m1", stamp, body)
    return WebhookDelivery(headers, body, now)


def header(entity: str, *ids: str, origin: str = "com/salesforce/api/rest/60.0") -> dict[str, Any]:
    told = {"entityName": entity, "recordIds": list(ids), "changeType": "UPDATE", "changeOrigin": origin}
    return {"ChangeEventHeader": told | {"commitTimestamp": 1_760_000_000_123}}


def test_events_hint_at_the_record_that_is_read_for_them() -> None:
    intake = open_intake(binding_for("http://unused"))
    [first, second] = intake.read(delivery(header("Account", "001A", "001B")))
    assert (first.entity, first.ref, second.ref) == ("customer", "001A", "001B")
    assert first.key == "001A@1760000000123"
    [line] = intake.read(delivery(header("OpportunityLineItem", "00k1") | {"OpportunityId": "006A"}))
    assert (line.entity, line.ref) == ("opportunity", "006A")
    [milestone] = intake.read(delivery(header("Billing_Milestone__c", "a001") | {"Contract__c": "800A"}))
    assert (milestone.entity, milestone.ref) == ("contract", "800A")


@pytest.mark.parametrize("stamp", ["9" * 400, "9" * 5000, "soon", "1760000000"])
def test_a_time_that_is_none_or_is_past_is_refused_before_anything_is_read(stamp: str) -> None:
    good = delivery(header("Account", "001A"))
    with pytest.raises(NotAuthenticated) as caught:
        open_intake(binding_for("http://unused")).read(
            WebhookDelivery(dict(good.headers) | {"webhook-timestamp": stamp}, good.body, good.received_at)
        )
    assert [found.field for found in caught.value.findings] == ["webhook-timestamp"]


def test_our_own_writes_gaps_without_a_parent_and_strangers_are_no_hints() -> None:
    intake = open_intake(binding_for("http://unused"))
    assert not intake.read(
        delivery(header("Opportunity", "006A", origin="com/salesforce/api/rest/60.0;client=throughline"))
    )
    assert intake.read(
        delivery(header("Opportunity", "006A", origin="com/salesforce/api/rest/60.0;client=throughliner"))
    )
    assert not intake.read(delivery(header("OpportunityLineItem", "00k1")))
    assert not intake.read(delivery(header("Opportunity", "006***")))
    assert not intake.read(delivery(header("Task", "00T1")))


async def test_gap_events_carry_no_fields_and_still_hint_at_the_record(org: Org, mail: Mailbox) -> None:
    box, configure = org.sandbox.simulator.deliveries, org.sandbox.simulator.configure
    assert box
    assert configure
    configure({"gap_events": True})
    box.subscription = Subscription(url=mail.url, secret=WEBHOOK_SECRET)
    await patch(org, "Opportunity", org.deal, NextStep="Call")
    arrived = await mail.first()
    assert b"GAP_UPDATE" in arrived.body
    assert b"NextStep" not in arrived.body
    [hint] = open_intake(binding_for("http://unused")).read(arrived)
    polled = await org.connector.list_changes(None)
    assert hint in polled


async def test_the_connectors_own_write_is_told_by_the_vendor_and_ignored_by_the_intake(
    org: Org, mail: Mailbox
) -> None:
    box = org.sandbox.simulator.deliveries
    assert box
    box.subscription = Subscription(url=mail.url, secret=WEBHOOK_SECRET)
    await org.connector.amend_delivery_status(org.deal, DeliveryStatus(stage=DeliveryStage.IN_REVIEW))
    arrived = await mail.first()
    assert b'client=throughline"' in arrived.body
    assert not open_intake(binding_for("http://unused")).read(arrived)


async def test_a_poll_hints_once_per_record_and_looks_back_a_little(org: Org) -> None:
    hints = await org.connector.list_changes(None)
    assert sorted(hint.entity for hint in hints) == ["contract", "customer", "opportunity"]
    newest = max(hint.occurred_at for hint in hints if hint.occurred_at)
    assert await org.connector.list_changes(newest + timedelta(seconds=30)) == hints
    assert await org.connector.list_changes(newest + timedelta(seconds=90)) == []


async def test_a_tenants_own_field_and_words_are_used_in_both_directions(org: Org, tmp_path: Path) -> None:
    """The delivery stage stands in a picklist of the tenant's own, under its words; deals are read by its fields."""
    words = {"Checking": "in_review", "Blocked": "exception", "Running": "activated", "Stopped": "cancelled"}
    own = {
        "delivery_status": {"stage": {"path": "Work_State__c", "values": words}},
        "opportunity": {"region": {"path": "Type", "values": {"New Business": "North"}}},
    }
    file = tmp_path / "own.yaml"
    file.write_text(json.dumps(own), encoding="utf-8")
    await patch(org, "Opportunity", org.deal, Type="New Business", Region__c=None)
    connector = open_connector(replace(binding_for(org.sandbox.base_url), overrides=file))
    try:
        await connector.amend_delivery_status(org.deal, DeliveryStatus(stage=DeliveryStage.ACTIVATED))
        assert (await connector.get_opportunity(org.deal)).region == "North"
        before = org.sandbox.calls("PATCH")
        await connector.amend_delivery_status(org.deal, DeliveryStatus(stage=DeliveryStage.ACTIVATED))
        assert org.sandbox.calls("PATCH") == before
        (row,) = await ask(org.sandbox.base_url, "SELECT Work_State__c, Delivery_Stage__c FROM Opportunity")
        assert (row["Work_State__c"], row["Delivery_Stage__c"]) == ("Running", None)
        await patch(org, "Opportunity", org.deal, Type="Existing Business")
        with pytest.raises(MappingMissing, match="Existing Business"):
            await connector.get_opportunity(org.deal)
    finally:
        await connector.aclose()
