"""What the connector makes of a pod, beyond the inherited suite."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from deploy.sandbox.kit.faults import Fault, FaultKind
from deploy.sandbox.oracle_fusion.firm import OracleFusionFirm
from shared.canonical.invoices import InvoiceState
from shared.canonical.money import Money
from shared.errors.taxonomy import (
    Conflict,
    CredentialsRefused,
    InvalidRequest,
    MappingMissing,
    Misconfigured,
    NotFound,
    OutcomeUnknown,
    PeriodClosed,
    UnknownReference,
    VendorRejected,
)
from system_apis.connectors.oracle_fusion.connector import OracleFusionConnector, open_connector
from tests.conformance.oracle_fusion.pods import binding, listen
from tests.conformance.oracle_fusion.samples import LEGAL_ENTITIES, contract, customer, draft, plan, schedule
from tests.conformance.served import Sandbox

pytestmark = pytest.mark.usefixtures("firm")


def switch(fusion: Sandbox, **values: object) -> None:
    assert fusion.simulator.configure
    fusion.simulator.configure(values)


async def set_up(connector: OracleFusionConnector) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    await connector.amend_contract(contract())


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
    assert [part.id for part in project.milestones] == ["mil_prj_acme_1"]
    tasks = await firm.rows(f"projects/{project.source.ref}/child/Tasks")
    assert [(task["TaskNumber"], task["ParentTaskNumber"], task["TaskLevel"]) for task in tasks] == [
        ("1", None, 1),
        ("2", None, 1),
        ("2.1", "2", 2),
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
    assert (row["ContractNumber"], row["EstimatedAmount"], row["BuyOrSell"]) == ("SOW-1", Decimal("30000.1"), "S")
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
    found = await connector.find_billing_schedule("con_acme")
    assert found
    assert found.source == again.source


async def test_a_shorter_schedule_takes_its_events_away(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    await connector.amend_billing_schedule(schedule(entries=3))
    await connector.amend_billing_schedule(schedule(entries=1))
    assert [event["SourceReference"] for event in await firm.rows("projectBillingEvents")] == ["con_acme:mil_1"]


async def test_a_schedule_without_entries_is_found_by_its_mark(connector: OracleFusionConnector) -> None:
    await set_up(connector)
    assert await connector.find_billing_schedule("con_acme") is None
    written = await connector.amend_billing_schedule(schedule(entries=0))
    assert written.was_created
    assert not (await connector.amend_billing_schedule(schedule(entries=0))).was_created
    assert await connector.find_billing_schedule("con_acme") is not None


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


# --- invoices --------------------------------------------------------------------------------------------------------
async def test_amounts_end_exactly_as_drafted_line_by_line(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    invoice = await connector.create_invoice(draft(amounts=("361.50", "0.07", "367.53")))
    assert (invoice.net.amount, invoice.tax.amount, invoice.gross.amount) == (
        Decimal("729.10"),
        Decimal("138.53"),
        Decimal("867.63"),
    )
    assert invoice.state is InvoiceState.OPEN
    assert invoice.number
    lines = await firm.rows(
        f"receivablesInvoices/{invoice.source.ref}/child/receivablesInvoiceLines",
        expand="receivablesInvoiceLineTaxLines",
    )
    assert [line["LineAmount"] for line in lines] == [Decimal("361.5"), Decimal("0.07"), Decimal("367.53")]
    assert [(line["Quantity"], line["UnitSellingPrice"]) for line in lines] == [
        (1, Decimal("361.5")),
        (1, Decimal("0.07")),
        (Decimal("3.05"), Decimal("120.5")),
    ]
    taxes = [line["receivablesInvoiceLineTaxLines"]["items"][0]["TaxAmount"] for line in lines]
    assert sum(taxes) == Decimal("138.53")
    assert lines[0]["Description"] == "Engineer, line 1 (3.05 x 120.5)"


async def test_no_tax_is_stated_so_that_the_pod_calculates_none(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    invoice = await connector.create_invoice(draft(tax_rate="0"))
    assert invoice.tax.amount == 0
    (line, *_) = await firm.rows(
        f"receivablesInvoices/{invoice.source.ref}/child/receivablesInvoiceLines",
        expand="receivablesInvoiceLineTaxLines",
    )
    assert line["receivablesInvoiceLineTaxLines"]["items"][0]["TaxRateCode"] == "DE_ZERO"


async def test_yen_have_no_cents(connector: OracleFusionConnector) -> None:
    await connector.amend_customer(customer(), "HC-JP")
    invoice = await connector.create_invoice(
        draft("inv_jp", amounts=("361", "7"), legal_entity="HC-JP", currency="JPY", tax_rate="0.10")
    )
    assert invoice.gross == Money.of(405, "JPY")


async def test_more_lines_than_a_child_page_holds_are_compared_too(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    invoice = await connector.create_invoice(draft(amounts=tuple(f"{number}.11" for number in range(1, 71))))
    assert invoice.net.amount == Decimal("2492.70")
    (row,) = await firm.read_invoices()
    assert row.gross == invoice.gross.amount


async def test_a_wrong_invoice_cannot_stay(
    connector: OracleFusionConnector, firm: OracleFusionFirm, fusion: Sandbox
) -> None:
    await set_up(connector)
    switch(fusion, tax_drift="0.01")
    with pytest.raises(VendorRejected, match=r"deleted again: tax is 68\.72, not 68\.70"):
        await connector.create_invoice(draft())
    assert await firm.rows("receivablesInvoices") == []
    switch(fusion, tax_drift="0")
    assert (await connector.create_invoice(draft())).tax.amount == Decimal("68.70")


async def test_a_wrong_invoice_that_may_not_go_stays_incomplete(
    connector: OracleFusionConnector, firm: OracleFusionFirm, fusion: Sandbox
) -> None:
    await set_up(connector)
    switch(fusion, tax_drift="0.01", lets_delete=False)
    with pytest.raises(VendorRejected):
        await connector.create_invoice(draft())
    (row,) = await firm.rows("receivablesInvoices")
    assert (row["InvoiceStatus"], row["InvoiceBalanceAmount"]) == ("Incomplete", 0)
    assert await connector.find_invoice("inv_acme") is None
    switch(fusion, tax_drift="0", lets_delete=True)
    assert (await connector.create_invoice(draft())).tax.amount == Decimal("68.70")
    assert len(await firm.rows("receivablesInvoices")) == 1


async def test_an_invoice_cut_off_before_completion_is_completed_not_made_again(
    connector: OracleFusionConnector, firm: OracleFusionFirm, fusion: Sandbox
) -> None:
    await set_up(connector)
    fault = fusion.fault(FaultKind.CUT_BEFORE, "PATCH .*/receivablesInvoices/", times=None)
    with pytest.raises(OutcomeUnknown):
        await connector.create_invoice(draft())
    assert fusion.has_struck(fault)
    fusion.heal()
    assert await connector.find_invoice("inv_acme") is None
    invoice = await connector.create_invoice(draft())
    (row,) = await firm.rows("receivablesInvoices")
    assert (row["InvoiceStatus"], str(row["CustomerTransactionId"])) == ("Complete", invoice.source.ref)


async def test_another_invoice_under_our_id_is_never_touched(connector: OracleFusionConnector) -> None:
    await set_up(connector)
    await connector.create_invoice(draft())
    with pytest.raises(VendorRejected, match=r"holds another invoice under inv_acme: net is 361\.57 EUR"):
        await connector.create_invoice(draft(amounts=("1.00",)))


@pytest.mark.parametrize("language", ["en", "de"])
async def test_a_closed_period_is_told_in_any_language(
    connector: OracleFusionConnector, fusion: Sandbox, language: str
) -> None:
    await set_up(connector)
    switch(fusion, closed_periods=["2026-10"], language=language)
    with pytest.raises(PeriodClosed):
        await connector.create_invoice(draft())
    switch(fusion, open_periods=["2026-10"])
    assert (await connector.create_invoice(draft())).period == "2026-10"


async def test_a_period_closed_between_making_and_completing_is_told_too(
    connector: OracleFusionConnector, fusion: Sandbox
) -> None:
    await set_up(connector)
    fusion.fault(FaultKind.CUT_BEFORE, "PATCH .*/receivablesInvoices/", times=None)
    with pytest.raises(OutcomeUnknown):
        await connector.create_invoice(draft())
    fusion.heal()
    switch(fusion, closed_periods=["2026-10"], language="de")
    with pytest.raises(PeriodClosed):
        await connector.create_invoice(draft())


async def test_an_unknown_item_or_entity_is_named(connector: OracleFusionConnector) -> None:
    await set_up(connector)
    line = draft().lines[0].model_copy(update={"item_code": "SVC-NONE"})
    with pytest.raises(UnknownReference, match="SVC-NONE"):
        await connector.create_invoice(draft().model_copy(update={"lines": (line, *draft().lines[1:])}))
    with pytest.raises(UnknownReference, match="HC-XX"):
        await connector.create_invoice(draft(legal_entity="HC-XX"))


async def test_terms_the_pod_lacks_are_told_by_the_due_date(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    await connector.create_invoice(draft().model_copy(update={"payment_terms_days": 33}))
    (row,) = await firm.rows("receivablesInvoices")
    assert (row["PaymentTerms"], row["DueDate"]) == ("IMMEDIATE", "2026-11-30")


# --- payments and changes --------------------------------------------------------------------------------------------
async def test_payments_are_receipts_with_what_they_settle(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    invoice = await connector.create_invoice(draft())
    await firm.pay(invoice.source.ref, Decimal("100.01"), date(2026, 11, 5), "PAY-1")
    await firm.pay(invoice.source.ref, Decimal("100.01"), date(2026, 11, 5), "PAY-1")
    (payment,) = (await connector.list_payments(modified_since=None, cursor=None, limit=10)).items
    assert payment.customer_id == "cus_acme"
    assert payment.amount == Money.of("100.01", "EUR")
    assert [(a.invoice_id, a.amount.amount) for a in payment.applications] == [("inv_acme", Decimal("100.01"))]
    assert payment.received_on == date(2026, 11, 5)
    part_paid = await connector.find_invoice("inv_acme")
    assert part_paid
    assert (part_paid.state, part_paid.paid.amount) == (InvoiceState.OPEN, Decimal("100.01"))
    await firm.pay(invoice.source.ref, invoice.gross.amount - Decimal("100.01"), date(2026, 11, 6), "PAY-2")
    paid = await connector.find_invoice("inv_acme")
    assert paid
    assert paid.state is InvoiceState.PAID
    assert paid.source.version != part_paid.source.version


async def test_cash_of_nobody_is_a_payment_that_settles_nothing(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    body = {"ReceiptMethod": "Electronic", "BusinessUnit": "HC-DE Business Unit", "Amount": Decimal("5.55")}
    await firm.ask("POST", "standardReceipts", body=body)
    (payment,) = (await connector.list_payments(modified_since=None, cursor=None, limit=10)).items
    assert (payment.customer_id, payment.applications, payment.amount.amount) == (None, (), Decimal("5.55"))


async def test_receipts_matched_by_reference_are_read_like_others(
    connector: OracleFusionConnector, firm: OracleFusionFirm, fusion: Sandbox
) -> None:
    await set_up(connector)
    invoice = await connector.create_invoice(draft())
    switch(fusion, matches_at_once=True)
    body = {
        "ReceiptMethod": "Lockbox",
        "BusinessUnit": "HC-DE Business Unit",
        "Amount": invoice.gross.amount,
        "CustomerAccountNumber": "cus_acme",
        "remittanceReferences": [{"ReceiptMatchBy": "Transaction Number", "ReferenceNumber": invoice.number}],
    }
    await firm.ask("POST", "standardReceipts", body=body)
    (payment,) = (await connector.list_payments(modified_since=None, cursor=None, limit=10)).items
    assert [(a.invoice_ref, a.amount) for a in payment.applications] == [(invoice.source.ref, invoice.gross)]


async def test_changes_are_asked_since_an_instant_with_an_overlap(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    invoice = await connector.create_invoice(draft())
    now = datetime.now(UTC)
    hints = await connector.list_changes(now)
    assert ("invoice", invoice.source.ref) in {(hint.entity, hint.ref) for hint in hints}
    assert {hint.ref for hint in hints if hint.entity == "reference_data"} == {
        "legal_entity", "service_item", "rate_card",
    }  # fmt: skip
    assert await connector.list_changes(now + timedelta(minutes=5)) == []
    before = {hint.key for hint in hints}
    await firm.pay(invoice.source.ref, Decimal("1.00"), date(2026, 11, 5), "PAY-1")
    after = await connector.list_changes(now)
    assert {hint.entity for hint in after if hint.key not in before} == {"invoice", "payment"}


async def test_invoices_of_others_are_listed_without_an_id_of_ours(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    body = {
        "BusinessUnit": "HC-DE Business Unit",
        "TransactionSource": "THROUGHLINE",
        "BillToCustomerNumber": "cus_acme",
        "receivablesInvoiceLines": [{"Description": "Rent", "Quantity": 1, "UnitSellingPrice": Decimal("10.00")}],
    }
    await firm.ask("POST", "receivablesInvoices", body=body)
    (invoice,) = (await connector.list_invoices(modified_since=None, cursor=None, limit=10)).items
    assert (invoice.period, invoice.customer_id, invoice.legal_entity_code) == (None, None, "HC-DE")
    assert invoice.gross.amount == Decimal("11.90")


# --- doors and troubles ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("flow", ["basic", "jwt_assertion", "client_credentials"])
async def test_every_door_lets_in_and_keeps_out(fusion: Sandbox, flow: str) -> None:
    good = open_connector(binding(fusion.base_url, auth_flow=flow))
    await good.ping()
    await good.aclose()
    bad = open_connector(binding(fusion.base_url, is_known=False, auth_flow=flow))
    with pytest.raises(CredentialsRefused):
        await bad.ping()
    await bad.aclose()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("auth_flow", "magic"),
        ("item_kind", "stone"),
        ("contract_type_id", "Services"),
        ("payment_terms_days", "thirty"),
        ("project_template", ""),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(key: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=key):
        open_connector(binding("http://127.0.0.1:1/pod", **{key: value}))


async def test_a_token_that_ends_between_pages_is_renewed(
    connector: OracleFusionConnector, fusion: Sandbox, firm: OracleFusionFirm
) -> None:
    rows = [
        {"rate_card": "RC-LONG", "role": f"Role {n}", "currency": "EUR", "rate": "1.5", "effective_from": "2026-01-01",
         "effective_to": ""}
        for n in range(1, 1102)
    ]  # fmt: skip
    await firm.load([], [], rows)
    fault = fusion.fault(FaultKind.SESSION_EXPIRED, "/child/Rates.*offset=500")
    cards = {card.code: card for card in await connector.list_rate_cards()}
    assert len(cards["RC-LONG"].rates) == 1101
    assert fusion.has_struck(fault)


async def test_a_record_somebody_holds_is_asked_for_again(connector: OracleFusionConnector, fusion: Sandbox) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    switch(fusion, locked=["contracts"])

    async def let_go() -> None:
        await asyncio.sleep(0.2)
        switch(fusion, locked=[])

    written, _ = await asyncio.gather(connector.amend_contract(contract()), let_go())
    assert written.was_created


async def test_two_writers_of_one_customer_make_one_account(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    written = await asyncio.gather(*(connector.amend_customer(customer(), "HC-DE") for _ in range(5)))
    assert [one.was_created for one in written].count(True) == 1
    assert len(await firm.rows("customerAccountSitesLOV")) == 1


async def test_every_call_names_the_framework_version_and_pins_the_resource_version(
    connector: OracleFusionConnector, fusion: Sandbox, firm: OracleFusionFirm
) -> None:
    recorder = listen(fusion)
    await set_up(connector)
    invoice = await connector.create_invoice(draft())
    await firm.pay(invoice.source.ref, Decimal("1.00"), date(2026, 11, 5), "PAY-1")
    await connector.list_payments(modified_since=None, cursor=None, limit=10)
    await connector.describe(["projects"])
    rest = [one for one in recorder.heard if "/resources/" in one.path and "throughline" in one.headers["user-agent"]]
    assert len(rest) > 15
    assert {one.headers.get("rest-framework-version") for one in rest} == {"4"}
    assert all("/resources/11.13.18.05/" in one.path for one in rest)


async def test_a_tenants_own_field_is_written_where_the_tenant_keeps_it(
    fusion: Sandbox, firm: OracleFusionFirm, tmp_path: Path
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "invoice:\n  id: SpecialInstructions\n"
        "task:\n  billing_model: {path: TaskDescription, values: {TM: time_and_materials, FF: fixed_fee}}\n"
    )
    connector = open_connector(replace(binding(fusion.base_url), overrides=file))
    await set_up(connector)
    invoice = await connector.create_invoice(draft())
    assert invoice.id == "inv_acme"
    assert await connector.find_invoice("inv_acme") == invoice
    assert (await connector.create_invoice(draft())).source.ref == invoice.source.ref
    (row,) = await firm.rows("receivablesInvoices")
    assert (row["SpecialInstructions"], row["CrossReference"]) == ("inv_acme", None)
    project = await connector.find_project("prj_acme")
    assert project
    tasks = await firm.rows(f"projects/{project.source.ref}/child/Tasks")
    assert [task["TaskDescription"] for task in tasks[:2]] == ["TM", "FF"]
    await connector.aclose()


async def test_reference_data_changed_by_finance_is_seen_at_once_when_missing(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    late = [*LEGAL_ENTITIES, {**LEGAL_ENTITIES[0], "code": "HC-AT", "name": "Harbour AT", "country": "AT"}]
    await firm.load(late, [], [])
    written = await connector.amend_customer(customer(), "HC-AT")
    assert not written.was_created
