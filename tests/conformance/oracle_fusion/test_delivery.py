"""What the connector makes of reference data, customers, projects, contracts and schedules."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from deploy.sandbox.kit.faults import Fault, FaultKind
from deploy.sandbox.oracle_fusion.firm import OracleFusionFirm
from shared.errors.taxonomy import (
    Conflict,
    InvalidRequest,
    MappingMissing,
    NotFound,
    VendorRejected,
)
from system_apis.connectors.oracle_fusion.connector import OracleFusionConnector, open_connector
from tests.conformance.erp_firm import contract, customer, plan, schedule
from tests.conformance.oracle_fusion.beginnings import set_up
from tests.conformance.served import Sandbox

pytestmark = pytest.mark.usefixtures("firm")


# --- reference data --------------------------------------------------------------------------------------------------
async def test_a_legal_entity_is_put_together_from_lookup_unit_ledger_and_entity(
    connector: OracleFusionConnector,
) -> None:
    found = {entity.code: entity for entity in await connector.list_legal_entities()}
    assert set(found) == {"HC-DE", "HC-JP", "HC-BR"}
    german = found["HC-DE"]
    assert (german.name, german.country, german.currency) == ("Harbour GmbH", "DE", "EUR")
    assert german.standard_tax_rate == Decimal("0.19")
    assert [entity.code for entity in found.values() if not entity.is_approved] == ["HC-BR"]


async def test_products_share_items_and_keep_their_accounts(connector: OracleFusionConnector) -> None:
    items = {item.product_code: item for item in await connector.list_service_items()}
    assert {code: item.item_code for code, item in items.items()} == {
        "GTX Pro": "SVC-IMPL",
        "GTX Plus": "SVC-IMPL",
        "MG Special": "SVC-TRAIN",
    }
    assert items["GTX Pro"].name == "Implementation"
    assert items["MG Special"].revenue_account == "40040"


async def test_a_rate_schedule_is_a_card_with_dated_prices(connector: OracleFusionConnector) -> None:
    cards = {card.code: card for card in await connector.list_rate_cards()}
    assert [(r.rate, r.effective_from, r.effective_to) for r in cards["RC-DE"].rates] == [
        (Decimal("120.5"), date(2026, 1, 1), date(2026, 6, 30)),
        (Decimal(125), date(2026, 7, 1), None),
    ]
    assert cards["RC-JP"].currency == "JPY"


async def test_a_lookup_that_names_no_unit_is_told_by_its_code(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    path = "standardLookups/THROUGHLINE_LEGAL_ENTITY/child/lookupCodes/HC-JP"
    await firm.ask("PATCH", path, body={"lookupCodesDFF": [{"businessUnit": "Nowhere"}]})
    with pytest.raises(MappingMissing, match=r"HC-JP names business unit Nowhere"):
        await connector.list_legal_entities()


async def test_a_product_whose_item_is_not_there_is_named(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    codes = await firm.rows("standardLookups/THROUGHLINE_SERVICE_ITEM/child/lookupCodes")
    path = f"standardLookups/THROUGHLINE_SERVICE_ITEM/child/lookupCodes/{codes[0]['LookupCode']}"
    await firm.ask("PATCH", path, body={"lookupCodesDFF": [{"itemCode": "SVC-GONE"}]})
    with pytest.raises(MappingMissing, match=r"GTX Pro names item SVC-GONE"):
        await connector.list_service_items()


# --- customers -------------------------------------------------------------------------------------------------------
async def test_a_customer_is_one_party_and_one_account_with_a_site_per_legal_entity(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    first = await connector.amend_customer(customer(), "HC-DE")
    second = await connector.amend_customer(customer(), "HC-JP")
    assert (first.was_created, second.was_created) == (True, False)
    assert first.source.ref == second.source.ref
    parties = await firm.ask("GET", "hubOrganizations", params={"expand": "Address"}, root="crmRestApi")
    assert [party["PartyNumber"] for party in parties["items"]] == ["cus_acme"]
    assert [address["Address1"] for address in parties["items"][0]["Address"]["items"]] == ["Quay 1"]
    sites = await firm.rows("customerAccountSitesLOV")
    assert len({site["SetId"] for site in sites}) == 2
    assert {site["AccountNumber"] for site in sites} == {"cus_acme"}
    found = await connector.find_customer("cus_acme")
    assert found
    assert found.source.ref == first.source.ref


async def test_a_moved_customer_keeps_one_address(connector: OracleFusionConnector, firm: OracleFusionFirm) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    bill_to = customer().bill_to.model_copy(update={"street": "New Quay 2\nGate 7", "city": "Bremen"})
    await connector.amend_customer(customer().model_copy(update={"bill_to": bill_to}), "HC-DE")
    parties = await firm.ask("GET", "hubOrganizations", params={"expand": "Address"}, root="crmRestApi")
    (address,) = parties["items"][0]["Address"]["items"]
    assert (address["Address1"], address["Address2"], address["City"]) == ("New Quay 2", "Gate 7", "Bremen")


async def test_a_customer_without_a_country_is_refused_with_the_field(connector: OracleFusionConnector) -> None:
    nowhere = customer().model_copy(update={"bill_to": customer().bill_to.model_copy(update={"country": None})})
    with pytest.raises(InvalidRequest) as caught:
        await connector.amend_customer(nowhere, "HC-DE")
    assert caught.value.findings[0].field == "body.bill_to.country"


async def test_a_fault_of_the_account_service_is_a_refusal(connector: OracleFusionConnector, fusion: Sandbox) -> None:
    said = "<env:Fault><faultstring>JBO-26048: The account number is used.</faultstring></env:Fault>"
    fault = Fault(kind=FaultKind.STATUS, route="POST /crmService/", status=500, body=said)
    fusion.simulator.wire.faults.add(fault)
    with pytest.raises(VendorRejected):
        await connector.amend_customer(customer(), "HC-DE")
    assert (await connector.amend_customer(customer(), "HC-DE")).was_created


async def test_an_id_too_long_for_the_pod_is_refused_and_found_nowhere(connector: OracleFusionConnector) -> None:
    long = "cus_" + "x" * 40
    with pytest.raises(InvalidRequest, match="cannot be kept"):
        await connector.amend_customer(customer(long), "HC-DE")
    assert await connector.find_customer(long) is None


# --- projects --------------------------------------------------------------------------------------------------------
async def test_milestones_are_tasks_beneath_their_workstream(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    project = await connector.amend_project(plan())
    assert project.name == "Acme prj_acme"
    assert [part.id for part in project.workstreams] == ["wks_prj_acme_1", "wks_prj_acme_2"]
    assert [part.id for part in project.milestones] == ["mil_prj_acme_2_1", "mil_prj_acme_2_2"]
    tasks = await firm.rows(f"projects/{project.source.ref}/child/Tasks")
    assert [(task["TaskNumber"], task["ParentTaskNumber"], task["TaskLevel"]) for task in tasks] == [
        ("1", None, 1),
        ("2", None, 1),
        ("2.1", "2", 2),
        ("2.2", "2", 2),
    ]


async def test_a_project_brought_to_the_same_state_is_not_written_again(
    connector: OracleFusionConnector, fusion: Sandbox
) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    first = await connector.amend_project(plan())
    before = fusion.calls("^(POST|PATCH) .*/resources/")
    again = await connector.amend_project(plan())
    assert fusion.calls("^(POST|PATCH) .*/resources/") == before
    assert again == first


async def test_a_changed_plan_comes_in_one_batch_and_closed_projects_open_again(
    connector: OracleFusionConnector, fusion: Sandbox
) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    await connector.close_project("prj_acme")
    assert await connector.find_project("prj_acme") is None
    third = plan().workstreams[0].model_copy(update={"id": "wks_prj_acme_3", "name": "WS3"})
    wider = plan().model_copy(update={"workstreams": (*plan().workstreams, third)})
    before = fusion.calls("^(POST|PATCH) ")
    project = await connector.amend_project(wider)
    assert fusion.calls("^(POST|PATCH) ") == before + 1
    assert [part.id for part in project.workstreams] == ["wks_prj_acme_1", "wks_prj_acme_2", "wks_prj_acme_3"]
    assert await connector.find_project("prj_acme") == project


async def test_a_project_changed_meanwhile_is_read_again_and_brought(
    connector: OracleFusionConnector, fusion: Sandbox, firm: OracleFusionFirm
) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    first = await connector.amend_project(plan())
    renamed = plan().model_copy(update={"name": "Acme renamed"})
    stale = '{"parts":[{"payload":{"o:errorDetails":[{"detail":"changed","o:errorCode":"27600"}]}}]}'
    changed = Fault(kind=FaultKind.STATUS, route="POST .*/11.13.18.05/$", status=412, body=stale)
    fusion.simulator.wire.faults.add(changed)
    project = await connector.amend_project(renamed)
    assert fusion.has_struck(changed)
    assert project.name == "Acme renamed"
    assert project.source.ref == first.source.ref
    (row,) = await firm.rows("projects")
    assert row["ProjectName"] == "Acme renamed (SOW-1)"


async def test_projects_of_one_name_are_told_apart_by_their_contracts(connector: OracleFusionConnector) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    other = plan("prj_other").model_copy(update={"name": plan().name, "contract_reference": "SOW-2"})
    first, second = await connector.amend_project(plan()), await connector.amend_project(other)
    assert first.name == second.name
    assert first.source.ref != second.source.ref


async def test_more_tasks_than_a_child_page_holds_are_all_seen(connector: OracleFusionConnector) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    many = tuple(
        plan().workstreams[0].model_copy(update={"id": f"wks_many_{number}", "name": f"WS{number}"})
        for number in range(1, 61)
    )
    project = await connector.amend_project(plan().model_copy(update={"workstreams": many}))
    assert len(project.workstreams) == 60
    found = await connector.find_project("prj_acme")
    assert found
    assert found.workstreams == project.workstreams


async def test_a_project_needs_its_customer_first(connector: OracleFusionConnector) -> None:
    with pytest.raises(NotFound, match="no customer with our id cus_acme"):
        await connector.amend_project(plan())
    with pytest.raises(NotFound):
        await connector.close_project("prj_nowhere")


# --- contracts and schedules -----------------------------------------------------------------------------------------
async def test_a_contract_names_projects_tasks_and_party(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    (row,) = await firm.rows("contracts", expand="ContractLine.AssociatedProject,ContractHeaderFlexfieldVA")
    assert (row["ContractNumber"], row["EstimatedAmount"], row["BuyOrSell"]) == ("SOW-1", Decimal("30000.2"), "S")
    assert row["ContractHeaderFlexfieldVA"]["items"][0]["throughlineCap"] == 25000
    lines = row["ContractLine"]["items"]
    assert [line["LineNumber"] for line in lines] == ["1", "2"]
    assert [line["AssociatedProject"]["items"][0]["TaskNumber"] for line in lines] == ["1", "2"]


async def test_a_line_no_longer_sold_is_cancelled(connector: OracleFusionConnector, firm: OracleFusionFirm) -> None:
    await set_up(connector)
    await connector.amend_contract(contract().model_copy(update={"lines": contract().lines[:1]}))
    (row,) = await firm.rows("contracts", expand="ContractLine")
    assert [line["StsCode"] for line in row["ContractLine"]["items"]] == ["DRAFT", "CANCELED"]


async def test_a_number_that_another_contract_has_is_a_conflict(connector: OracleFusionConnector) -> None:
    await set_up(connector)
    with pytest.raises(Conflict):
        await connector.amend_contract(contract().model_copy(update={"id": "con_other"}))


async def test_a_schedule_is_events_on_hold_written_once(
    connector: OracleFusionConnector, firm: OracleFusionFirm, fusion: Sandbox
) -> None:
    await set_up(connector)
    written = await connector.amend_billing_schedule(schedule())
    assert written.was_created
    events = await firm.rows("projectBillingEvents")
    assert {event["BillHold"] for event in events} == {"Y"}
    assert [event["BillTrnsAmount"] for event in events] == [Decimal("5000.05")] * 2
    before = fusion.calls("POST .*/11.13.18.05/$")
    again = await connector.amend_billing_schedule(schedule())
    assert not again.was_created
    assert fusion.calls("POST .*/11.13.18.05/$") == before
    found = await connector.find_billing_schedule("bs-con_acme")
    assert found
    assert found.source == again.source


async def test_a_shorter_schedule_takes_its_events_away(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    await connector.amend_billing_schedule(schedule(entries=3))
    await connector.amend_billing_schedule(schedule(entries=1))
    assert [event["SourceReference"] for event in await firm.rows("projectBillingEvents")] == ["bs-con_acme:mil_1"]


async def test_a_schedule_without_entries_is_found_by_its_mark(connector: OracleFusionConnector) -> None:
    await set_up(connector)
    empty = schedule(entries=0)
    assert await connector.find_billing_schedule(empty.id) is None
    written = await connector.amend_billing_schedule(empty)
    assert written.was_created
    assert not (await connector.amend_billing_schedule(empty)).was_created
    found = await connector.find_billing_schedule(empty.id)
    assert found
    assert found.source == written.source


async def test_one_refused_event_leaves_none(connector: OracleFusionConnector, firm: OracleFusionFirm) -> None:
    await set_up(connector)
    wrong = replace_event_type(connector)
    with pytest.raises(VendorRejected, match="PJB_EVT_INVALID_TYPE"):
        await wrong.amend_billing_schedule(schedule())
    await wrong.aclose()
    assert await firm.rows("projectBillingEvents") == []


def replace_event_type(connector: OracleFusionConnector) -> OracleFusionConnector:
    known = connector._account.binding
    return open_connector(replace(known, settings={**known.settings, "event_type": "No such type"}))
