"""What the connector makes of S/4HANA beyond the suite: states brought about, versions, cuts at every step."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox.kit.faults import FaultKind
from deploy.sandbox.s4hana.firm import S4Firm
from shared.canonical.opportunities import BillingModel
from shared.errors.taxonomy import (
    CredentialsRefused,
    InvalidRequest,
    Misconfigured,
    NotFound,
    OutcomeUnknown,
    ScopeMissing,
    StaleVersion,
    UnknownReference,
    VendorRejected,
    VendorThrottled,
)
from system_apis.connectors.s4hana.client import path_of
from system_apis.connectors.s4hana.connector import S4Connector, open_connector
from tests.conformance.erp_firm import contract, customer, draft, plan, schedule
from tests.conformance.s4hana.conftest import bound
from tests.conformance.served import Sandbox

PARTNERS = "API_BUSINESS_PARTNER"
ORDERS = "API_SALES_ORDER_SRV"
PROJECTS = "API_ENTERPRISE_PROJECT_SRV;v=0002"


async def ready(connector: S4Connector) -> None:
    """Customer, project and contract stand."""
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    await connector.amend_contract(contract())


# --- the way in ----------------------------------------------------------------------------------------------------
async def test_a_stale_token_is_fetched_again_once(s4hana: Sandbox, connector: S4Connector) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    fetched = s4hana.calls("HEAD ")
    assert fetched == 1
    assert s4hana.simulator.configure is not None
    s4hana.simulator.configure({"end_sessions": True})
    await connector.amend_customer(customer("cus_other"), "HC-DE")
    assert s4hana.calls("HEAD ") == fetched + 1


async def test_a_token_that_never_counts_is_given_up(s4hana: Sandbox, connector: S4Connector) -> None:
    assert s4hana.simulator.configure is not None
    s4hana.simulator.configure({"csrf_seconds": 0})
    with pytest.raises(CredentialsRefused):
        await connector.amend_customer(customer(), "HC-DE")
    assert s4hana.calls("HEAD ") == 2
    assert await connector.find_customer("cus_acme") is None


async def test_every_worker_has_its_own_pair(s4hana: Sandbox, connector: S4Connector) -> None:
    other = open_connector(bound(s4hana.base_url))
    await connector.amend_customer(customer("cus_a"), "HC-DE")
    await other.amend_customer(customer("cus_b"), "HC-DE")
    await connector.amend_customer(customer("cus_c"), "HC-DE")
    await other.aclose()
    assert s4hana.calls("HEAD ") == 2


async def test_a_system_without_head_is_asked_by_get(s4hana: Sandbox, connector: S4Connector) -> None:
    assert s4hana.simulator.configure is not None
    s4hana.simulator.configure({"head_is_refused": True})
    assert (await connector.amend_customer(customer(), "HC-DE")).was_created


async def test_a_missing_right_is_not_taken_for_a_stale_token(s4hana: Sandbox, connector: S4Connector) -> None:
    s4hana.simulator.wire.faults.clear()
    fault = s4hana.fault(FaultKind.STATUS, "GET .*A_Product", times=None)
    s4hana.simulator.wire.faults.clear()
    s4hana.simulator.wire.faults.add(
        fault.model_copy(
            update={"status": 403, "body": '{"error":{"code":"SU/53","message":{"value":"No authorization"}}}'}
        )
    )
    with pytest.raises(ScopeMissing):
        await connector.list_service_items()


async def test_basic_with_a_wrong_password_is_refused(s4hana: Sandbox) -> None:
    binding = replace(bound(s4hana.base_url), secrets={"password": "wrong"})
    opened = open_connector(binding)
    with pytest.raises(CredentialsRefused):
        await opened.ping()
    await opened.aclose()


@pytest.mark.parametrize(
    "settings",
    [{"auth": "saml"}, {"price_is_fixed_amount": "yes"}, {"payment_terms": "NT{weeks}"}, {"user": ""}],
)
def test_a_wrong_setting_is_named(settings: dict[str, str]) -> None:
    with pytest.raises(Misconfigured, match=next(iter(settings))):
        open_connector(bound("http://127.0.0.1:1", settings))


# --- customers -----------------------------------------------------------------------------------------------------
async def test_a_customer_is_a_partner_with_role_ledger_and_sales_area(connector: S4Connector, firm: S4Firm) -> None:
    written = await connector.amend_customer(customer(), "HC-DE")
    (partner,) = await firm.rows(f"{PARTNERS}/A_BusinessPartner")
    assert partner["BusinessPartner"] == written.source.ref
    assert (partner["OrganizationBPName1"], partner["YY1_TLIndustry_bus"]) == ("Acme Shipping", "shipping")
    roles = await firm.rows(f"{PARTNERS}/A_BusinessPartnerRole")
    assert {row["BusinessPartnerRole"] for row in roles} == {"FLCU00", "FLCU01"}
    (address,) = await firm.rows(f"{PARTNERS}/A_BusinessPartnerAddress")
    assert (address["StreetName"], address["StreetPrefixName"], address["Country"]) == ("Quay 1", "Gate B", "DE")
    (area,) = await firm.rows(f"{PARTNERS}/A_CustomerSalesArea")
    assert (area["SalesOrganization"], area["Currency"]) == ("1010", "EUR")
    (company,) = await firm.rows(f"{PARTNERS}/A_CustomerCompany")
    assert company["ReconciliationAccount"] == "12100000"


async def test_a_second_legal_entity_is_added_and_what_differs_is_changed(
    s4hana: Sandbox, connector: S4Connector, firm: S4Firm
) -> None:
    first = await connector.amend_customer(customer(), "HC-DE")
    before = s4hana.calls("POST .*batch")
    again = await connector.amend_customer(customer(), "HC-DE")
    assert (again.was_created, again.source.version) == (False, first.source.version)
    assert s4hana.calls("POST .*batch") == before, "nothing differed, so nothing was written"
    moved = customer(name="Acme Shipping " + "and Trading " * 4)
    moved = moved.model_copy(update={"bill_to": moved.bill_to.model_copy(update={"city": "Bremen"}), "tax_id": "DE9"})
    await connector.amend_customer(moved, "HC-JP")
    (partner,) = await firm.rows(f"{PARTNERS}/A_BusinessPartner")
    assert partner["OrganizationBPName1"] == "Acme Shipping and Trading and Trading"
    assert partner["OrganizationBPName2"] == "and Trading and Trading"
    (address,) = await firm.rows(f"{PARTNERS}/A_BusinessPartnerAddress")
    assert address["CityName"] == "Bremen"
    (tax,) = await firm.rows(f"{PARTNERS}/A_BusinessPartnerTaxNumber")
    assert (tax["BPTaxType"], tax["BPTaxNumber"]) == ("DE0", "DE9")
    areas = await firm.rows(f"{PARTNERS}/A_CustomerSalesArea")
    assert {row["SalesOrganization"] for row in areas} == {"1010", "1510"}


async def test_a_partner_changed_between_read_and_write_is_a_stale_version(connector: S4Connector) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    client = connector._client
    original = client.change_set

    async def meanwhile(service: str, changes: Any) -> None:
        path = path_of("A_BusinessPartner", "10100001")
        await client.change(service, path, {"SearchTerm1": "MEANWHILE"}, "*")
        await original(service, changes)

    client.change_set = meanwhile  # type: ignore[method-assign]
    with pytest.raises(StaleVersion):
        await connector.amend_customer(customer(name="Other"), "HC-DE")


async def test_a_locked_partner_is_waited_for_and_then_told_of(s4hana: Sandbox, connector: S4Connector) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    assert s4hana.simulator.configure is not None
    s4hana.simulator.configure({"locked": ["10100001"]})
    with pytest.raises(VendorThrottled):
        await connector.amend_customer(customer(name="Other"), "HC-DE")


async def test_an_unknown_legal_entity_is_named(connector: S4Connector) -> None:
    with pytest.raises(UnknownReference, match="HC-XX"):
        await connector.amend_customer(customer(), "HC-XX")


# --- projects ------------------------------------------------------------------------------------------------------
async def test_a_project_is_released_with_its_workstreams_and_milestones(connector: S4Connector, firm: S4Firm) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    project = await connector.amend_project(plan())
    assert [part.id for part in project.workstreams] == ["wks_prj_acme_1", "wks_prj_acme_2"]
    assert [part.id for part in project.milestones] == ["mil_prj_acme_2_1", "mil_prj_acme_2_2"]
    assert await connector.find_project("prj_acme") == project
    elements = {row["ProjectElement"]: row for row in await firm.rows(f"{PROJECTS}/A_EnterpriseProjectElement")}
    assert {row["ProcessingStatus"] for row in elements.values()} == {"10"}
    parent = elements["WKS_PRJ_ACME_2"]["ProjectElementUUID"]
    assert elements["MIL_PRJ_ACME_2_1"]["ParentObjectUUID"] == parent
    assert elements["MIL_PRJ_ACME_2_1"]["IsProjectMilestone"] == "X"
    assert elements["WKS_PRJ_ACME_1"]["WBSElementIsBillingElement"] is True


async def test_a_project_is_brought_to_a_changed_plan(connector: S4Connector, firm: S4Firm) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    before = await connector.amend_project(plan(milestones=1))
    longer = plan(milestones=3, workstreams=3).model_copy(update={"name": "Acme, renamed"})
    after = await connector.amend_project(longer)
    assert after.source.ref == before.source.ref
    assert after.name == "Acme, renamed"
    assert len(after.workstreams) == 3
    assert {part.id for part in after.milestones} == {f"mil_prj_acme_{w}_{m}" for w in (2, 3) for m in (1, 2, 3)}
    assert await firm.count(f"{PROJECTS}/A_EnterpriseProject") == 1


async def test_a_closed_project_counts_as_none_until_it_is_wanted_again(connector: S4Connector, firm: S4Firm) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    await connector.close_project("prj_acme")
    assert await connector.find_project("prj_acme") is None
    assert await firm.read_projects() == {}
    again = await connector.amend_project(plan())
    assert await connector.find_project("prj_acme") == again
    assert (await firm.read_projects()).keys() == {"prj_acme"}


async def test_a_project_that_cannot_be_reopened_is_told(s4hana: Sandbox, connector: S4Connector) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    await connector.close_project("prj_acme")
    assert s4hana.simulator.configure is not None
    s4hana.simulator.configure({"reopens_closed_projects": False})
    with pytest.raises(VendorRejected, match="STATUS"):
        await connector.amend_project(plan())


async def test_what_is_not_there_is_told(connector: S4Connector) -> None:
    with pytest.raises(NotFound):
        await connector.close_project("prj_nobody")
    with pytest.raises(NotFound):
        await connector.amend_project(plan())
    for find in (connector.find_customer, connector.find_contract, connector.find_billing_schedule):
        assert await find("nobody") is None
        assert await find("no body") is None
    assert await connector.find_project("Capital") is None
    assert await connector.find_invoice("no body") is None


@pytest.mark.parametrize("identifier", ["prj_Capital", "prj_" + "x" * 21])
async def test_an_id_that_cannot_be_kept_is_refused_before_anything_is_sent(
    s4hana: Sandbox, connector: S4Connector, identifier: str
) -> None:
    before = s4hana.calls("")
    with pytest.raises(InvalidRequest):
        await connector.amend_project(plan(identifier))
    assert s4hana.calls("") == before


# --- contracts -----------------------------------------------------------------------------------------------------
async def test_a_contract_is_an_order_with_priced_items_and_billing_plans(connector: S4Connector, firm: S4Firm) -> None:
    await ready(connector)
    (order,) = await firm.rows(f"{ORDERS}/A_SalesOrder")
    assert (order["TotalNetAmount"], order["CustomerPaymentTerms"]) == ("30000.20", "NT30")
    assert (order["PurchaseOrderByCustomer"], order["YY1_TLCap_SDH"]) == ("PO-7", "25000.00")
    items = await firm.rows(f"{ORDERS}/A_SalesOrderItem")
    assert [(row["SalesOrderItemCategory"], row["WBSElement"]) for row in items] == [
        ("TAD", "WKS_PRJ_ACME_1"),
        ("TAO", "WKS_PRJ_ACME_2"),
    ]
    assert await firm.count(f"{ORDERS}/A_SalesOrderItemBillingPlan") == 1


async def test_a_contract_is_brought_to_a_changed_state(s4hana: Sandbox, connector: S4Connector, firm: S4Firm) -> None:
    await ready(connector)
    before = s4hana.calls("batch")
    assert not (await connector.amend_contract(contract())).was_created
    assert s4hana.calls("batch") == before
    await connector.amend_contract(contract(amounts=("20000.11",), purchase_order="PO-8"))
    (order,) = await firm.rows(f"{ORDERS}/A_SalesOrder")
    assert (order["TotalNetAmount"], order["PurchaseOrderByCustomer"]) == ("20000.11", "PO-8")
    switched = contract(amounts=("20000.11", "1.00"))
    line = switched.lines[0].model_copy(update={"billing_model": BillingModel.MILESTONE})
    await connector.amend_contract(switched.model_copy(update={"lines": (line, switched.lines[1])}))
    items = await firm.rows(f"{ORDERS}/A_SalesOrderItem")
    assert {row["SalesOrderItemCategory"] for row in items} == {"TAO"}
    assert len(items) == 2


async def test_a_periodic_category_gives_time_lines_a_plan(s4hana: Sandbox, firm: S4Firm) -> None:
    opened = open_connector(bound(s4hana.base_url, {"time_item_category": "WVN"}))
    await ready(opened)
    assert await firm.count(f"{ORDERS}/A_SlsOrderItemBillingPlanItem") == 12
    await opened.amend_billing_schedule(schedule())
    await opened.aclose()
    assert await firm.count(f"{ORDERS}/A_SlsOrderItemBillingPlanItem") == 14


async def test_a_schedule_is_the_plan_of_its_lines(connector: S4Connector, firm: S4Firm) -> None:
    await ready(connector)
    made = await connector.amend_billing_schedule(schedule(3))
    assert made.was_created
    rows = await firm.rows(f"{ORDERS}/A_SlsOrderItemBillingPlanItem")
    assert [row["BillingPlanAmount"] for row in rows] == ["5000.05"] * 3
    assert {row["BillingBlockReason"] for row in rows} == {"02"}
    again = await connector.amend_billing_schedule(schedule(2, amount="6000.01"))
    assert (again.was_created, again.source.ref) == (False, made.source.ref)
    rows = await firm.rows(f"{ORDERS}/A_SlsOrderItemBillingPlanItem")
    assert [row["BillingPlanAmount"] for row in rows] == ["6000.01"] * 2
    found = await connector.find_billing_schedule("bs-con_acme")
    assert found is not None
    assert found.source == again.source


async def test_a_milestone_of_a_line_billed_by_time_has_no_place(connector: S4Connector) -> None:
    await ready(connector)
    one = schedule(1)
    elsewhere = one.model_copy(
        update={"entries": (one.entries[0].model_copy(update={"workstream_id": "wks_prj_acme_1"}),)}
    )
    with pytest.raises(UnknownReference, match="wks_prj_acme_1"):
        await connector.amend_billing_schedule(elsewhere)
    nowhere = one.model_copy(update={"entries": (one.entries[0].model_copy(update={"workstream_id": "wks_other"}),)})
    with pytest.raises(UnknownReference, match="wks_other"):
        await connector.amend_billing_schedule(nowhere)


async def test_payment_terms_without_a_code_are_told(connector: S4Connector) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    with pytest.raises(UnknownReference, match="120 days"):
        await connector.amend_contract(contract().model_copy(update={"payment_terms_days": 120}))


# --- cuts ----------------------------------------------------------------------------------------------------------
CUTS: Mapping[str, tuple[str, int]] = {
    "project": (r"POST .*API_ENTERPRISE_PROJECT_SRV", 2),
    "changed project": (r"POST .*API_ENTERPRISE_PROJECT_SRV", 1),
    "changed customer": (r"POST .*API_BUSINESS_PARTNER", 1),
    "changed contract": (r"POST .*API_SALES_ORDER_SRV", 1),
    "invoice": (r"POST .*(A_DebitMemoRequest|CreateFromSDDocument)", 2),
}


@pytest.mark.parametrize("kind", [FaultKind.CUT_BEFORE, FaultKind.CUT_AFTER])
@pytest.mark.parametrize(("name", "step"), [(name, at) for name, (_, steps) in CUTS.items() for at in range(steps)])
async def test_a_cut_at_any_call_is_mended_by_repeating(
    s4hana: Sandbox, connector: S4Connector, firm: S4Firm, kind: FaultKind, name: str, step: int
) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    if name != "project":
        await ready(connector)
    acts = {
        "project": lambda: connector.amend_project(plan()),
        "changed project": lambda: connector.amend_project(plan(milestones=3)),
        "changed customer": lambda: connector.amend_customer(customer(name="Other"), "HC-JP"),
        "changed contract": lambda: connector.amend_contract(contract(amounts=("1.00", "2.00"))),
        "invoice": lambda: connector.create_invoice(draft()),
    }
    fault = s4hana.fault(kind, CUTS[name][0], skip=step)
    with suppress(OutcomeUnknown):
        await acts[name]()
    assert s4hana.has_struck(fault)
    s4hana.heal()
    await acts[name]()
    counts = s4hana.simulator.counts()
    assert counts["A_BusinessPartner"] == counts["A_EnterpriseProject"] == 1
    if name == "changed customer":
        assert {row["OrganizationBPName1"] for row in await firm.rows(f"{PARTNERS}/A_BusinessPartner")} == {"Other"}
        assert counts["A_CustomerSalesArea"] == 2
    if name == "changed contract":
        assert (await firm.rows(f"{ORDERS}/A_SalesOrder"))[0]["TotalNetAmount"] == "3.00"
    if name in {"project", "changed project"}:
        assert counts["A_EnterpriseProjectElement"] == (5 if name == "project" else 6)
    if name == "invoice":
        assert counts["A_BillingDocument"] == counts["A_DebitMemoRequest"] == 1


# --- a tenant's own fields -----------------------------------------------------------------------------------------
async def test_writes_go_where_the_tenant_keeps_a_field(
    s4hana: Sandbox, connector: S4Connector, firm: S4Firm, tmp_path: Path
) -> None:
    await ready(connector)
    assert s4hana.simulator.configure is not None
    added = {
        "A_DebitMemoRequest": {"YY1_Month_SDH": "String(10)"},
        "A_BillingDocument": {"YY1_Month_BDH": "String(10)"},
    }
    s4hana.simulator.configure({"custom_fields": added})
    file = tmp_path / "own.yaml"
    file.write_text(
        "invoice_request: {period: {path: YY1_Month_SDH, values: {OCT: '2026-10'}}}\n"
        "invoice: {period: {path: YY1_Month_BDH, values: {OCT: '2026-10'}}}\n",
        encoding="utf-8",
    )
    binding = replace(bound(s4hana.base_url), overrides=file)
    opened = open_connector(binding)
    posted = await opened.create_invoice(draft())
    await opened.aclose()
    assert posted.period == "2026-10"
    (row,) = await firm.rows("API_BILLING_DOCUMENT_SRV/A_BillingDocument")
    assert (row["YY1_Month_BDH"], row["YY1_TLPeriod_BDH"]) == ("OCT", "")


async def test_metadata_is_told_of_what_is_there(connector: S4Connector) -> None:
    told = await connector.describe(("A_BusinessPartner", "A_Unheard"))
    assert set(told) == {"A_BusinessPartner"}
    facts = {one.name: one for one in told["A_BusinessPartner"]}
    assert facts["SearchTerm1"].kind == "Edm.String(20)"
    assert not facts["BusinessPartnerUUID"].is_writable


async def test_a_bearer_token_that_ends_between_two_pages_is_renewed(s4hana: Sandbox, firm: S4Firm) -> None:
    del firm
    assert s4hana.simulator.configure is not None
    s4hana.simulator.configure({"page_size": 1})
    opened = open_connector(bound(s4hana.base_url, {"auth": "oauth"}))
    fault = s4hana.fault(FaultKind.SESSION_EXPIRED, "GET .*YY1_TLRATE.*skiptoken", skip=1)
    cards = await opened.list_rate_cards()
    await opened.aclose()
    assert s4hana.has_struck(fault)
    assert sum(len(card.rates) for card in cards) == 3
    assert s4hana.calls("POST /sap/bc/sec/oauth2/token") == 2
