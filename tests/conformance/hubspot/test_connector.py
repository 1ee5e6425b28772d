"""What the connector makes of HubSpot's own ways: stages, labels, texts, currencies, owners, small portals."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from deploy.sandbox.hubspot import simulator
from deploy.sandbox.hubspot.setup import custom_objects
from deploy.sandbox.hubspot.simulator import CONNECTOR_APP
from deploy.sandbox.kit.faults import Fault, FaultKind
from shared.canonical.opportunities import DeliveryStage, DeliveryStatus
from shared.errors.taxonomy import (
    CredentialsRefused,
    MappingMissing,
    Misconfigured,
    NotFound,
    OutcomeUnknown,
    ScopeMissing,
    VendorDrift,
    VendorRejected,
)
from system_apis.connectors.hubspot.connector import HubspotConnector, open_connector
from system_apis.connectors.hubspot.payloads import DealPayload
from tests.conformance.hubspot.conftest import Portal
from tests.conformance.hubspot.portals import binding_for, firm_wire
from tests.conformance.port_rules import INVOICE
from tests.conformance.served import Serve
from tests.conformance.small_firm import read_on, tables


def _other(portal: Portal, **settings: str) -> HubspotConnector:
    return open_connector(binding_for(portal.sandbox.base_url, **settings))


async def _pipeline(portal: Portal) -> dict[str, tuple[str, str]]:
    """A second pipeline with misleading labels: label → (pipeline, stage)."""
    stages = [
        {"label": "Closed Won", "displayOrder": 0, "metadata": {"isClosed": "false", "probability": "0.5"}},
        {"label": "Thank you, next", "displayOrder": 1, "metadata": {"isClosed": "true", "probability": "1.0"}},
        {"label": "Sure thing", "displayOrder": 2, "metadata": {"isClosed": "false", "probability": "1.0"}},
        {"label": "Won't happen", "displayOrder": 3, "metadata": {"isClosed": "true", "probability": "0.0"}},
    ]
    body = {"label": "Services", "displayOrder": 1, "stages": stages}
    made = await portal.people.call("POST", "/crm/v3/pipelines/deals", body)
    return {stage["label"]: (made["id"], stage["id"]) for stage in made["stages"]}


@pytest.mark.parametrize(
    ("label", "is_won"),
    [("Closed Won", False), ("Thank you, next", True), ("Sure thing", False), ("Won't happen", False)],
)
async def test_a_deal_is_won_by_what_its_stage_means_not_by_its_name(portal: Portal, label: str, is_won: bool) -> None:
    pipeline, stage = (await _pipeline(portal))[label]
    await portal.amend("deals", "D0000", pipeline=pipeline, dealstage=stage)
    assert (await portal.connector.get_opportunity(portal.deal)).is_won is is_won


async def test_an_edited_pipeline_is_noticed_at_once(portal: Portal) -> None:
    assert (await portal.connector.get_opportunity(portal.deal)).is_won
    before = await portal.connector.list_changes(None)
    path = "/crm/v3/pipelines/deals/default/stages/closedwon"
    await portal.people.call("PATCH", path, {"metadata": {"isClosed": "false", "probability": "0.7"}})
    assert not (await portal.connector.get_opportunity(portal.deal)).is_won
    after = await portal.connector.list_changes(None)
    assert {h.key for h in after if h.entity == "opportunity"}.isdisjoint(h.key for h in before)


async def test_stages_are_asked_for_once(portal: Portal) -> None:
    for _ in range(3):
        await portal.connector.get_opportunity(portal.deal)
    assert portal.sandbox.calls("GET /crm/v3/pipelines/deals$") == 1


async def test_a_stage_in_no_pipeline_is_drift(portal: Portal) -> None:
    portal.sandbox.simulator.wire.faults.add(
        Fault(
            kind=FaultKind.STATUS, route="GET /crm/v3/pipelines/deals", times=None, status=399, body='{"results": []}'
        )
    )
    with pytest.raises(VendorDrift, match="closedwon"):
        await portal.connector.get_opportunity(portal.deal)


async def _second_company(portal: Portal, *types: int) -> str:
    made = await portal.people.call("POST", "/crm/v3/objects/companies", {"properties": {"name": "Second"}})
    spec = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": one} for one in types]
    path = f"/crm/v4/objects/deals/{portal.deal}/associations/companies/{made['id']}"
    await portal.people.call("PUT", path, spec)
    return str(made["id"])


async def test_the_primary_company_buys_whoever_else_is_associated(portal: Portal) -> None:
    first = (await portal.connector.get_opportunity(portal.deal)).customer_ref
    second = await _second_company(portal, 341)
    assert (await portal.connector.get_opportunity(portal.deal)).customer_ref == first
    await _second_company(portal, 5)
    assert (await portal.connector.get_opportunity(portal.deal)).customer_ref not in {first, second}


async def test_a_label_of_the_tenants_own_names_who_buys(portal: Portal) -> None:
    second = await _second_company(portal, 341)
    label = {"label": "Bill to", "name": "bill_to", "inverseLabel": "Billed for"}
    made = await portal.people.call("POST", "/crm/v4/associations/deals/companies/labels", label)
    connector = _other(portal, customer_label="bill TO")
    with pytest.raises(NotFound):
        await connector.get_opportunity(portal.deal)
    spec = [{"associationCategory": "USER_DEFINED", "associationTypeId": made["results"][0]["typeId"]}]
    path = f"/crm/v4/objects/deals/{portal.deal}/associations/companies/{second}"
    await portal.people.call("PUT", path, spec)
    assert (await connector.get_opportunity(portal.deal)).customer_ref == second
    await connector.aclose()


async def test_deals_without_buyer_or_amount_are_not_read(portal: Portal) -> None:
    for values in ({"dealname": "No buyer", "amount": "1"}, {"dealname": "No amount"}):
        body = {"properties": {**values, "dealstage": "contractsent", "closedate": "2026-01-01"}}
        made = await portal.people.call("POST", "/crm/v3/objects/deals", body)
        with pytest.raises(NotFound):
            await portal.connector.get_opportunity(made["id"])
    assert [deal.name for deal in await read_on(portal.connector.list_opportunities)] == ["Deal 0000"]


async def test_more_lines_than_a_page_of_associations_come_whole(portal: Portal) -> None:
    portal.switch(association_page=7)
    async with firm_wire(portal.sandbox.base_url) as firm:
        await firm.load(tables(lines=40))
    deal = await portal.connector.get_opportunity(portal.deal)
    assert len({line.ref for line in deal.lines}) == 40


async def test_ids_that_cannot_be_one_are_not_found(portal: Portal) -> None:
    for ref in ("nonsense", "../deals", "١٢", "1"):
        with pytest.raises(NotFound):
            await portal.connector.get_opportunity(ref)
    assert await portal.connector.find_contract("nonsense") is None


@pytest.mark.parametrize(("currency", "home", "told"), [("", "EUR", "EUR"), ("USD", "EUR", "USD")])
async def test_a_portal_with_one_currency_names_it_in_the_settings(
    portal: Portal, currency: str, home: str, told: str
) -> None:
    await portal.amend("deals", "D0000", deal_currency_code=currency)
    connector = _other(portal, home_currency=home)
    assert (await connector.get_opportunity(portal.deal)).amount.currency == told
    await connector.aclose()


async def test_no_currency_is_ever_guessed(portal: Portal) -> None:
    await portal.amend("deals", "D0000", deal_currency_code="")
    with pytest.raises(VendorDrift, match="deal_currency_code"):
        await portal.connector.get_opportunity(portal.deal)


async def test_an_amount_with_more_digits_than_its_currency_is_drift(portal: Portal) -> None:
    await portal.amend("deals", "D0000", amount="100.005")
    with pytest.raises(VendorDrift, match="more digits"):
        await portal.connector.get_opportunity(portal.deal)


async def test_the_owner_is_looked_up_where_the_firm_names_nobody(portal: Portal) -> None:
    await portal.amend("deals", "D0000", tl_sales_owner="", hubspot_owner_id="12")
    assert (await portal.connector.get_opportunity(portal.deal)).owner == "Grace Hopper"
    await portal.amend("deals", "D0000", hubspot_owner_id="99")
    assert (await portal.connector.get_opportunity(portal.deal)).owner is None


async def test_days_are_those_of_the_portals_time_zone(portal: Portal) -> None:
    await portal.amend("deals", "D0000", closedate="2026-03-01T23:30:00Z")
    connector = _other(portal, time_zone="Europe/Berlin")
    assert (await portal.connector.get_opportunity(portal.deal)).close_on.isoformat() == "2026-03-01"
    assert (await connector.get_opportunity(portal.deal)).close_on.isoformat() == "2026-03-02"
    await connector.aclose()


def _deal(**values: Any) -> dict[str, Any]:
    texts = ("tl_reference", "deal_currency_code", "tl_sales_owner", "hubspot_owner_id", "tl_region", "tl_legal_entity")
    held: dict[str, Any] = dict.fromkeys(texts)
    held |= {"hs_object_id": "1", "hs_lastmodifieddate": "2026-03-01T10:00:00Z", "dealname": "x", "pipeline": "p"}
    held |= {"dealstage": "s", "hs_is_closed_won": "true", "amount": "1000.00", "closedate": "2026-03-01T00:00:00Z"}
    return held | {"tl_revision": "2"} | values


def test_values_are_texts_and_blanks_are_none() -> None:
    read = DealPayload.model_validate(_deal(tl_region="", deal_currency_code="EUR"))
    assert (str(read.amount), read.region, read.currency, read.seems_won) == ("1000.00", None, "EUR", True)
    assert DealPayload.model_validate(_deal(hs_is_closed_won=None)).seems_won is None


@pytest.mark.parametrize("values", [{"amount": 1000.0}, {"hs_is_closed_won": True}, {"amount": ""}, {"amount": "ten"}])
def test_values_of_other_types_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        DealPayload.model_validate(_deal(**values))


async def test_a_delivery_status_that_stands_so_is_not_written_again(portal: Portal) -> None:
    status = DeliveryStatus(stage=DeliveryStage.EXCEPTION, message="Two findings.")
    await portal.connector.amend_delivery_status(portal.deal, status)
    await portal.connector.amend_delivery_status(portal.deal, status)
    assert portal.sandbox.calls("PATCH .*/deals/5") == 1
    await portal.connector.amend_delivery_status(portal.deal, DeliveryStatus(stage=DeliveryStage.IN_REVIEW))
    async with firm_wire(portal.sandbox.base_url) as firm:
        assert (await firm.read_deals())["D0000"].message is None


async def test_an_invoice_status_of_no_deal_leaves_nothing_behind(portal: Portal) -> None:
    with pytest.raises(NotFound):
        await portal.connector.amend_invoice_status("1", "inv_9", INVOICE)
    assert portal.sandbox.simulator.counts()["tl_invoice_status"] == 0


async def test_an_upsert_that_is_refused_in_part_is_refused(portal: Portal) -> None:
    kind = (await custom_objects(portal.people))["tl_invoice_status"]
    body = {"inputs": [{"idProperty": "tl_invoice_id", "id": "inv_1", "properties": {"tl_stage": "drawn"}}]}
    body["inputs"][0]["objectWriteTraceId"] = "inv_1"
    answer = await portal.people.call("POST", f"/crm/v3/objects/{kind}/batch/upsert", body, mixed=True)
    assert answer["errors"][0]["context"] == {"ids": ["inv_1"], "objectWriteTraceId": ["inv_1"]}
    assert portal.sandbox.simulator.counts()["tl_invoice_status"] == 0
    told: dict[str, Any] = {**answer, "errors": [{**answer["errors"][0], "category": "OBJECT_NOT_FOUND"}]}
    nothing: dict[str, Any] = {"results": [], "status": "COMPLETE"}
    for errors, kind_of_error in ((told, NotFound), (nothing, OutcomeUnknown)):
        fault = Fault(kind=FaultKind.STATUS, route="batch/upsert", status=399, body=json.dumps(errors))
        portal.sandbox.simulator.wire.faults.add(fault)
        with pytest.raises(kind_of_error):
            await portal.connector.amend_invoice_status(portal.deal, "inv_1", INVOICE)
        portal.sandbox.heal()


async def test_of_several_contracts_the_approved_one_counts(portal: Portal) -> None:
    contract = (await custom_objects(portal.people))["tl_contract"]
    values = {"tl_reference": "SOW-OLD", "tl_approval": "rejected", "tl_currency": "EUR", "tl_payment_terms_days": "30"}
    await portal.people.upsert(contract, "tl_reference", [values])
    ids = await portal.people.upsert(contract, "tl_reference", [values])
    await portal.people.link(contract, "deals", [(ids["SOW-OLD"], portal.deal)])
    found = await portal.connector.find_contract(portal.deal)
    assert found is not None
    assert found.reference == "SOW-0000"


async def test_a_contract_of_two_deals_is_not_read(portal: Portal) -> None:
    async with firm_wire(portal.sandbox.base_url) as firm:
        await firm.load(tables(deals=2))
        second = (await firm.read_deals())["D0001"].record_id
    found = await portal.connector.find_contract(portal.deal)
    assert found is not None
    contract = (await custom_objects(portal.people))["tl_contract"]
    await portal.people.link(contract, "deals", [(found.source.ref, second)])
    assert await portal.connector.find_contract(portal.deal) is None
    with pytest.raises(NotFound):
        await portal.connector.get_contract(found.source.ref)


async def test_payment_terms_are_whole_days(portal: Portal) -> None:
    contract = (await custom_objects(portal.people))["tl_contract"]
    await portal.amend(contract, "SOW-0000", tl_payment_terms_days="30.5")
    with pytest.raises(VendorDrift, match=r"30\.5"):
        await portal.connector.find_contract(portal.deal)


async def test_a_small_portal_is_seen_in_what_is_described(serve: Serve) -> None:
    box = await serve(simulator(custom_objects=False))
    connector = open_connector(binding_for(box.base_url))
    told = await connector.describe(["companies", "deals", "line_items", "tl_contract", "tl_invoice_status"])
    assert told.keys() == {"companies", "deals", "line_items"}
    assert await connector.list_changes(None) == []
    with pytest.raises(Misconfigured, match="tl_contract"):
        await connector.find_contract("1")
    with pytest.raises(Misconfigured, match="tl_invoice_status"):
        await connector.amend_invoice_status("1", "inv_1", INVOICE)
    await connector.aclose()


async def test_metadata_tells_types_lists_and_what_is_demanded(portal: Portal) -> None:
    told = await portal.connector.describe(["deals", "tl_invoice_status", "unheard_of"])
    deals = {facts.name: facts for facts in told["deals"]}
    assert (deals["amount"].kind, deals["amount"].is_writable) == ("number", True)
    assert not deals["hs_is_closed_won"].is_writable
    assert "closedwon" in deals["dealstage"].values
    assert deals["hubspot_owner_id"].values == ()
    statuses = {facts.name: facts for facts in told["tl_invoice_status"]}
    assert statuses["tl_invoice_id"].is_required
    assert statuses["tl_stage"].values == ("posted", "partly_paid", "paid")


async def test_a_private_app_needs_its_token_alone(portal: Portal) -> None:
    known = binding_for(portal.sandbox.base_url, auth_flow="private_app", client_id="")
    connector = open_connector(replace(known, secrets={"access_token": CONNECTOR_APP.token}))
    assert (await connector.get_opportunity(portal.deal)).is_won
    await connector.aclose()
    assert portal.sandbox.calls("oauth") == 0
    stranger = open_connector(replace(known, secrets={"access_token": "pat-eu1-nobody"}))
    with pytest.raises(CredentialsRefused, match="INVALID_AUTHENTICATION"):
        await stranger.ping()
    await stranger.aclose()


async def test_a_scope_that_was_not_granted_is_told(serve: Serve) -> None:
    poor = replace(CONNECTOR_APP, scopes=frozenset({"crm.objects.deals.read"}))
    box = await serve(simulator(apps=(poor,)))
    connector = open_connector(binding_for(box.base_url))
    await connector.ping()
    with pytest.raises(ScopeMissing, match="MISSING_SCOPES"):
        await connector.list_customers(modified_since=None, cursor=None, limit=5)
    await connector.aclose()


async def test_a_property_that_is_not_there_is_a_matter_of_set_up(portal: Portal, tmp_path: Any) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("opportunity: {region: no_such_property, delivery_stage: no_such_either}")
    connector = open_connector(replace(binding_for(portal.sandbox.base_url), overrides=own))
    with pytest.raises(VendorDrift, match="no_such_property"):
        await connector.get_opportunity(portal.deal)
    portal.switch(unknown_properties="refused")
    with pytest.raises(VendorRejected, match="no_such_property"):
        await connector.get_opportunity(portal.deal)
    await connector.aclose()


async def test_moved_fields_are_written_where_the_tenant_keeps_them(portal: Portal, tmp_path: Any) -> None:
    prop = {"name": "phase", "label": "Phase", "groupName": "own", "type": "enumeration", "fieldType": "select"}
    prop["options"] = [{"label": one, "value": one, "hidden": False} for one in ("P1", "P2")]  # type: ignore[assignment]
    await portal.people.call("POST", "/crm/v3/properties/deals", prop)
    own = tmp_path / "own.yaml"
    own.write_text("opportunity: {delivery_stage: {path: phase, values: {P1: in_review, P2: activated}}}")
    connector = open_connector(replace(binding_for(portal.sandbox.base_url), overrides=own))
    await connector.amend_delivery_status(portal.deal, DeliveryStatus(stage=DeliveryStage.ACTIVATED))
    await connector.amend_delivery_status(portal.deal, DeliveryStatus(stage=DeliveryStage.ACTIVATED))
    held = await portal.people.call("GET", f"/crm/v3/objects/deals/{portal.deal}", properties="phase,tl_delivery_stage")
    assert (held["properties"]["phase"], held["properties"]["tl_delivery_stage"]) == ("P2", None)
    assert portal.sandbox.calls("PATCH .*/deals/5") == 1
    with pytest.raises(MappingMissing, match="delivery_stage"):
        await connector.amend_delivery_status(portal.deal, DeliveryStatus(stage=DeliveryStage.CANCELLED))
    await connector.aclose()


@pytest.mark.parametrize(
    "settings",
    [
        {"api_version": "v2"},
        {"auth_flow": "password"},
        {"time_zone": "Mars/Olympus"},
        {"batch_size": "many"},
        {"searches_per_second": "0"},
        {"overlap_seconds": "-1"},
        {"clear_with": "nothing"},
    ],
)
def test_a_setting_that_makes_no_sense_is_named(settings: dict[str, str]) -> None:
    with pytest.raises(Misconfigured, match=next(iter(settings))):
        open_connector(binding_for("http://127.0.0.1:1", **settings))
