"""What the connector makes of the product beyond the suite: companies, documents, posting, taking back, packages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox.dynamics_finance.firm import DynamicsFinanceFirm
from deploy.sandbox.kit.faults import FaultKind
from shared.canonical.invoices import InvoiceState
from shared.canonical.money import Money
from shared.errors.taxonomy import (
    CredentialsRefused,
    InvalidRequest,
    Misconfigured,
    NotFound,
    OutcomeUnknown,
    PeriodClosed,
    ScopeMissing,
    UnknownReference,
    VendorRejected,
    VendorThrottled,
)
from system_apis.connectors.dynamics_finance.client import FinanceClient
from system_apis.connectors.dynamics_finance.connector import DynamicsFinanceConnector, open_connector
from tests.conformance.dynamics_finance.conftest import CONNECTOR, bound
from tests.conformance.erp_firm import contract, customer, draft, plan, schedule
from tests.conformance.served import Sandbox

Opened = Callable[..., Awaitable[DynamicsFinanceConnector]]
PROPOSALS = {"invoice_by": "project_proposal"}
IMPLEMENTATION = "/data/ProjectCategoryEntities(dataAreaId='hcde',Category='SVC-IMPL')?cross-company=true"


@pytest.fixture
async def opened(finance: Sandbox, firm: DynamicsFinanceFirm) -> AsyncIterator[Opened]:
    """Connectors with settings of a test's own, with customer, project and contract written through them."""
    del firm  # the firm is loaded
    async with AsyncExitStack() as stack:

        async def start(**settings: str) -> DynamicsFinanceConnector:
            connector = open_connector(bound(finance.base_url, **settings))
            stack.push_async_callback(connector.aclose)
            await connector.amend_customer(customer(), "HC-DE")
            await connector.amend_project(plan())
            await connector.amend_contract(contract())
            return connector

        yield start


def switch(finance: Sandbox, **switches: Any) -> None:
    assert finance.simulator.configure is not None
    finance.simulator.configure(switches)


async def rows(firm: DynamicsFinanceFirm, name: str, wanted: str = "") -> list[dict[str, Any]]:
    return [row async for row in firm.rows(name, wanted)]


# --- reference data ------------------------------------------------------------------------------------------------
async def test_companies_items_and_prices_come_back_as_the_firm_entered_them(
    connector: DynamicsFinanceConnector, firm: DynamicsFinanceFirm
) -> None:
    del firm
    entities = {one.code: one for one in await connector.list_legal_entities()}
    assert {code: (one.country, one.currency, one.is_approved) for code, one in entities.items()} == {
        "HC-DE": ("DE", "EUR", True),
        "HC-JP": ("JP", "JPY", True),
        "HC-BR": ("BR", "BRL", False),
    }
    assert entities["HC-DE"].standard_tax_rate == Decimal("0.19")
    items = {one.product_code: one for one in await connector.list_service_items()}
    assert {code: one.item_code for code, one in items.items()} == {
        "GTX Pro": "SVC-IMPL",
        "GTX Plus": "SVC-IMPL",
        "MG Special": "SVC-TRAIN",
    }
    assert items["GTX Pro"].revenue_account == "40020"
    assert items["GTX Pro"].legal_entity_codes is None
    cards = {one.code: one for one in await connector.list_rate_cards()}
    first, second = sorted(cards["RC-DE"].rates, key=lambda rate: rate.effective_from)
    assert (first.rate, first.effective_to) == (Decimal("120.50"), date(2026, 6, 30))
    assert (second.rate, second.effective_to) == (Decimal("125.00"), None)
    assert cards["RC-JP"].currency == "JPY"


async def test_an_item_that_not_all_companies_sell_names_those_that_do(
    connector: DynamicsFinanceConnector, firm: DynamicsFinanceFirm
) -> None:
    await firm.ask("DELETE", "/data/ProjectCategoryEntities(dataAreaId='hcjp',Category='SVC-TRAIN')?cross-company=true")
    items = {one.product_code: one for one in await connector.list_service_items()}
    assert items["MG Special"].legal_entity_codes == ("HC-BR", "HC-DE")
    assert items["GTX Pro"].legal_entity_codes is None


async def test_released_products_are_sold_with_the_account_of_their_category(
    opened: Opened, firm: DynamicsFinanceFirm
) -> None:
    connector = await opened(service_items="released_products")
    item = next(one for one in await connector.list_service_items() if one.product_code == "GTX Pro")
    assert (item.item_code, item.revenue_account) == ("SVC-IMPL", "40020")
    await connector.create_invoice(draft())
    (line, _) = await rows(firm, "FreeTextInvoiceLines")
    assert (line["CategoryId"], line["MainAccountDisplayValue"]) == ("SVC-IMPL", "40020")


# --- delivery ------------------------------------------------------------------------------------------------------
async def test_every_company_keeps_its_own_account_of_a_customer(
    connector: DynamicsFinanceConnector, firm: DynamicsFinanceFirm
) -> None:
    first = await connector.amend_customer(customer(), "HC-DE")
    second = await connector.amend_customer(customer(), "HC-JP")
    assert (first.was_created, second.was_created) == (True, True)
    assert (await connector.amend_customer(customer(), "HC-JP")).was_created is False
    kept = {row["dataAreaId"]: row for row in await rows(firm, "CustomersV3")}
    assert {company: row["SalesCurrencyCode"] for company, row in kept.items()} == {"hcde": "EUR", "hcjp": "JPY"}
    assert kept["hcde"]["TLExternalId"] == "cus_acme"
    assert kept["hcde"]["AddressCity"] == "Hamburg"
    assert kept["hcde"]["TaxExemptNumber"] == "DE123456789"


async def test_a_workstream_is_a_sub_project_with_the_group_of_its_billing(
    opened: Opened, firm: DynamicsFinanceFirm
) -> None:
    connector = await opened()
    project = await connector.find_project("prj_acme")
    assert project
    assert {part.id for part in project.workstreams} == {"wks_prj_acme_1", "wks_prj_acme_2"}
    kept = {row["TLExternalId"]: row for row in await rows(firm, "Projects")}
    assert kept["prj_acme"]["CustomerAccount"] == "ACME"
    assert kept["wks_prj_acme_1"]["ParentProject"] == kept["prj_acme"]["ProjectID"]
    assert {name: row["ProjectGroup"] for name, row in kept.items()} == {
        "prj_acme": "TL-TM",
        "wks_prj_acme_1": "TL-TM",
        "wks_prj_acme_2": "TL-FP",
    }
    assert kept["wks_prj_acme_2"]["ProjectType"] == "FixedPrice"


async def test_a_project_that_begins_on_a_weekend_begins_on_monday_in_classic_projects(
    opened: Opened, firm: DynamicsFinanceFirm
) -> None:
    connector = await opened()
    saturday = date(2026, 10, 3)
    other = plan("prj_other").model_copy(update={"start_on": saturday, "contract_id": "con_other"})
    await connector.amend_project(other)
    (row,) = await rows(firm, "Projects", "TLExternalId eq 'prj_other'")
    assert row["StartDate1"][:10] == "2026-10-05"


async def test_with_project_operations_the_new_entities_hold_contract_lines_too(
    finance: Sandbox, opened: Opened, firm: DynamicsFinanceFirm
) -> None:
    switch(finance, project_operations=True)
    connector = await opened()
    assert await rows(firm, "Projects") == []
    (header,) = await rows(firm, "ProjectContractHeaders")
    assert (header["CustomersOrderReference"], header["TermsOfPayment"]) == ("PO-7", "Net30")
    assert [
        (line["LineProjectId"], line["BillingMethod"], Decimal(str(line["LineAmount"])))
        for line in await rows(firm, "ProjectContractLines")
    ] == [
        ("PRJ_ACME_1", "TimeAndMaterial", Decimal("20000.10")),
        ("PRJ_ACME_2", "FixedPrice", Decimal("10000.10")),
    ]
    await connector.amend_contract(contract(amounts=("20000.10",)))
    assert [row["LineProjectId"] for row in await rows(firm, "ProjectContractLines")] == ["PRJ_ACME_1"]
    await connector.amend_contract(contract())
    assert [row["LineProjectId"] for row in await rows(firm, "ProjectContractLines")] == ["PRJ_ACME_1", "PRJ_ACME_2"]


async def test_writing_to_the_wrong_entities_is_refused_with_the_products_own_words(opened: Opened) -> None:
    with pytest.raises(VendorRejected, match="has not turned on Project Operations Integration"):
        await opened(project_operations="on")


async def test_a_contract_that_only_carries_a_project_counts_as_none(
    connector: DynamicsFinanceConnector, firm: DynamicsFinanceFirm
) -> None:
    del firm
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    assert await connector.find_contract("con_acme") is None
    assert (await connector.amend_contract(contract())).was_created is True
    assert (await connector.amend_contract(contract())).was_created is False


async def test_a_schedule_is_forecasts_of_the_workstreams_project(opened: Opened, firm: DynamicsFinanceFirm) -> None:
    connector = await opened()
    assert await connector.find_billing_schedule("bs-con_acme") is None
    written = await connector.amend_billing_schedule(schedule(3))
    assert written.was_created
    kept = {row["TLExternalId"]: row for row in await rows(firm, "ProjectOnAccForecasts")}
    assert kept["mil_2"]["ProjectID"] == "PRJ_ACME_2"
    assert kept["mil_2"]["InvoiceDate"][:10] == "2026-10-02"
    assert Decimal(str(kept["mil_2"]["SalesPrice"])) == Decimal("5000.05")
    assert (await connector.amend_billing_schedule(schedule(1))).was_created is False
    assert [row["TLExternalId"] for row in await rows(firm, "ProjectOnAccForecasts")] == ["mil_1"]
    empty = schedule(1).model_copy(update={"entries": ()})
    await connector.amend_billing_schedule(empty)
    assert await connector.find_billing_schedule("bs-con_acme") is not None


async def test_a_closed_project_is_out_of_use_until_it_is_wanted_again(
    opened: Opened, firm: DynamicsFinanceFirm
) -> None:
    connector = await opened()
    await connector.close_project("prj_acme")
    assert await connector.find_project("prj_acme") is None
    assert {row["ProjectStage"] for row in await rows(firm, "Projects")} == {"Completed"}
    assert await firm.read_projects() == {}
    await connector.amend_project(plan())
    assert await connector.find_project("prj_acme") is not None
    with pytest.raises(NotFound):
        await connector.close_project("prj_nobody")


async def test_a_row_that_somebody_changes_meanwhile_is_read_again_and_keeps_both_changes(
    opened: Opened, firm: DynamicsFinanceFirm, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = await opened()
    ask, meddled = FinanceClient.one, list[str]()

    async def one(self: FinanceClient, entity: str, model: Any, equal: Any) -> Any:
        row = await ask(self, entity, model, equal)
        if entity == "customer" and not meddled:
            meddled.append(row.account)
            key = f"/data/CustomersV3(dataAreaId='hcde',CustomerAccount='{row.account}')?cross-company=true"
            await firm.ask("PATCH", key, body={"NameAlias": "by a colleague"})
        return row

    monkeypatch.setattr(FinanceClient, "one", one)
    await connector.amend_customer(customer().model_copy(update={"name": "Acme Ferries"}), "HC-DE")
    (kept,) = await rows(firm, "CustomersV3")
    assert meddled == ["ACME"]
    assert (kept["OrganizationName"], kept["NameAlias"]) == ("Acme Ferries", "by a colleague")


async def test_an_update_conflict_with_another_process_is_waited_for(finance: Sandbox, opened: Opened) -> None:
    connector = await opened()
    switch(finance, update_conflicts={"CustomersV3": 2})
    assert (await connector.amend_customer(customer(), "HC-DE")).was_created is False


async def test_references_that_are_not_there_are_named(opened: Opened) -> None:
    connector = await opened()
    with pytest.raises(UnknownReference, match="HC-XX"):
        await connector.amend_customer(customer(), "HC-XX")
    with pytest.raises(NotFound, match="cus_nobody"):
        await connector.amend_project(plan().model_copy(update={"customer_id": "cus_nobody"}))
    strange = draft("inv_strange")
    line = strange.lines[0].model_copy(update={"item_code": "SVC-NONE"})
    with pytest.raises(UnknownReference, match="SVC-NONE"):
        await connector.create_invoice(strange.model_copy(update={"lines": (line, *strange.lines[1:])}))
    with pytest.raises(UnknownReference, match="sales tax group of 7 %"):
        await connector.create_invoice(draft("inv_tax", tax_rate="0.07"))


# --- invoices ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("settings", [{}, PROPOSALS], ids=["free_text", "project_proposal"])
async def test_both_kinds_of_document_end_in_the_same_invoice(
    opened: Opened, firm: DynamicsFinanceFirm, settings: dict[str, str]
) -> None:
    connector = await opened(**settings)
    wanted = draft(amounts=("361.50", "0.07", "-12.33"))
    posted = await connector.create_invoice(wanted)
    assert (posted.id, posted.state, posted.period) == ("inv_acme", InvoiceState.OPEN, "2026-10")
    assert (posted.net, posted.tax, posted.gross) == (wanted.net, wanted.tax, wanted.gross)
    assert (posted.invoice_on, posted.legal_entity_code) == (date(2026, 10, 28), "HC-DE")
    assert posted.customer_id == "cus_acme"
    again = await connector.create_invoice(wanted)
    assert again == posted == await connector.find_invoice("inv_acme")
    (row,) = await firm.read_invoices()
    assert (row.net, row.tax, row.gross) == (wanted.net.amount, wanted.tax.amount, wanted.gross.amount)
    assert (row.contract_id, row.project_id) == ("con_acme", "prj_acme")
    await firm.pay(row.record_id, wanted.gross.amount, date(2026, 11, 20), "TRANSFER-1")
    await firm.pay(row.record_id, wanted.gross.amount, date(2026, 11, 20), "TRANSFER-1")
    paid = await connector.find_invoice("inv_acme")
    assert paid
    assert (paid.state, paid.paid) == (InvoiceState.PAID, wanted.gross)
    (payment,) = (await connector.list_payments(modified_since=None, cursor=None, limit=10)).items
    assert (payment.amount, payment.received_on) == (wanted.gross, date(2026, 11, 20))
    assert payment.customer_id == "cus_acme"
    (applied,) = payment.applications
    assert (applied.invoice_id, applied.invoice_ref) == ("inv_acme", posted.source.ref)


async def test_a_yen_invoice_has_no_digits_after_the_point(opened: Opened) -> None:
    connector = await opened()
    await connector.amend_customer(customer(), "HC-JP")
    await connector.amend_project(plan("prj_jp", legal_entity="HC-JP", currency="JPY"))
    wanted = draft(
        "inv_jp", amounts=("39650", "13"), legal_entity="HC-JP", currency="JPY", project="prj_jp", tax_rate="0.10"
    )
    posted = await connector.create_invoice(wanted)
    assert posted.gross == Money.of(43629, "JPY")


async def test_a_closed_period_leaves_nothing_behind(
    finance: Sandbox, opened: Opened, firm: DynamicsFinanceFirm
) -> None:
    connector = await opened()
    switch(finance, closed_periods=["2026-10"])
    with pytest.raises(PeriodClosed):
        await connector.create_invoice(draft())
    assert await rows(firm, "FreeTextInvoiceHeaders") == []
    assert await rows(firm, "FreeTextInvoiceLines") == []
    assert await connector.find_invoice("inv_acme") is None
    switch(finance, open_periods=["2026-10"])
    assert (await connector.create_invoice(draft())).number == "FTI-00000001"


async def test_an_invoice_posted_otherwise_is_taken_back_and_may_be_tried_again(
    finance: Sandbox, opened: Opened, firm: DynamicsFinanceFirm
) -> None:
    connector = await opened()
    switch(finance, tax_override=False, tax_by_line=True)
    wanted = draft(amounts=("0.03", "0.03"))  # 0.01 tax on the whole, 0.02 on the lines
    with pytest.raises(VendorRejected, match=r"taken back.*tax is 0\.02 EUR, not 0\.01 EUR"):
        await connector.create_invoice(wanted)
    assert await connector.find_invoice("inv_acme") is None
    assert sum(Decimal(str(row["AmountCur"])) for row in await rows(firm, "CustTransactions")) == 0
    assert await firm.read_invoices() == []
    listed = (await connector.list_invoices(modified_since=None, cursor=None, limit=10)).items
    assert {one.state for one in listed} == {InvoiceState.VOIDED}
    assert "inv_acme" not in {one.id for one in listed}
    switch(finance, tax_override=True)
    assert (await connector.create_invoice(wanted)).gross == wanted.gross


async def test_a_credit_note_that_was_not_posted_is_finished_before_anything_else(
    finance: Sandbox, opened: Opened, firm: DynamicsFinanceFirm
) -> None:
    connector = await opened()
    switch(finance, tax_override=False, tax_by_line=True)
    wanted = draft(amounts=("0.03", "0.03"))
    finance.fault(FaultKind.CUT_BEFORE, "POST /api/services", skip=1)
    with pytest.raises(OutcomeUnknown):
        await connector.create_invoice(wanted)
    finance.heal()
    with pytest.raises(VendorRejected, match="taken back"):
        await connector.create_invoice(wanted)
    assert sum(Decimal(str(row["AmountCur"])) for row in await rows(firm, "CustTransactions")) == 0
    switch(finance, tax_override=True)
    assert (await connector.create_invoice(wanted)).tax == wanted.tax


async def test_other_amounts_under_our_id_are_refused(opened: Opened) -> None:
    connector = await opened()
    await connector.create_invoice(draft())
    with pytest.raises(VendorRejected, match="holds another invoice"):
        await connector.create_invoice(draft(amounts=("1.00",)))


async def test_a_cut_posting_is_recognised(finance: Sandbox, opened: Opened, firm: DynamicsFinanceFirm) -> None:
    connector = await opened()
    for kind in (FaultKind.CUT_BEFORE, FaultKind.CUT_AFTER):
        fault = finance.fault(kind, "POST /api/services")
        with pytest.raises(OutcomeUnknown):
            await connector.create_invoice(draft())
        assert finance.has_struck(fault)
        finance.heal()
    await connector.create_invoice(draft())
    assert len(await rows(firm, "FreeTextInvoiceHeaders")) == 1


async def test_a_document_left_without_lines_is_written_anew(
    finance: Sandbox, opened: Opened, firm: DynamicsFinanceFirm
) -> None:
    connector = await opened()
    finance.fault(FaultKind.CUT_BEFORE, r"POST /data/\$batch")
    with pytest.raises(OutcomeUnknown):
        await connector.create_invoice(draft())
    finance.heal()
    assert (await connector.create_invoice(draft())).gross == draft().gross
    assert len(await rows(firm, "FreeTextInvoiceHeaders")) == 1


async def test_a_product_that_prices_lines_itself_is_given_the_net_as_price(
    finance: Sandbox, opened: Opened, firm: DynamicsFinanceFirm
) -> None:
    switch(finance, line_amounts="priced")
    connector = await opened()
    with pytest.raises(VendorRejected, match="would invoice"):  # 3.05 times 120.50 is not the agreed 0.07
        await connector.create_invoice(draft())
    assert await rows(firm, "FreeTextInvoiceHeaders") == []
    priced = await opened(line_amounts="priced")
    assert (await priced.create_invoice(draft())).gross == draft().gross
    lines = await rows(firm, "FreeTextInvoiceLines")
    assert "3.05 x 120.50" in lines[0]["InvoiceText"]


async def test_a_batch_posts_what_is_marked_as_ready(
    finance: Sandbox, opened: Opened, firm: DynamicsFinanceFirm
) -> None:
    connector = await opened(posting="batch", posting_wait_seconds="0.05")
    with pytest.raises(OutcomeUnknown, match="not posted yet"):
        await connector.create_invoice(draft())
    assert await connector.find_invoice("inv_acme") is None
    (row,) = await rows(firm, "FreeTextInvoiceHeaders")
    assert (row["TLIsReady"], row["IsPosted"]) == ("Yes", "No")
    switch(finance, run_batch=True)
    assert (await connector.create_invoice(draft())).number == "FTI-00000001"
    assert len(await rows(firm, "FreeTextInvoiceHeaders")) == 1


async def test_proposals_must_be_there_and_allowed(finance: Sandbox, opened: Opened) -> None:
    connector = await opened(**PROPOSALS)
    switch(finance, proposals="absent")
    with pytest.raises(Misconfigured, match="no entity set ProjectInvoiceProposalHeaders"):
        await connector.create_invoice(draft())
    switch(finance, proposals="forbidden")
    with pytest.raises(ScopeMissing):
        await connector.create_invoice(draft())


async def test_a_proposal_whose_tax_would_be_another_is_never_begun(opened: Opened, firm: DynamicsFinanceFirm) -> None:
    connector = await opened(**PROPOSALS)
    whole = draft()
    odd = whole.model_copy(
        update={
            "tax": Money.of(whole.tax.amount + Decimal("0.01"), "EUR"),
            "gross": Money.of(whole.gross.amount + Decimal("0.01"), "EUR"),
        }
    )
    with pytest.raises(VendorRejected, match="computes the tax of a project invoice itself"):
        await connector.create_invoice(odd)
    assert await rows(firm, "ProjectInvoiceProposalHeaders") == []


async def test_a_proposal_posted_otherwise_is_taken_back(
    finance: Sandbox, opened: Opened, firm: DynamicsFinanceFirm
) -> None:
    connector = await opened(**PROPOSALS)
    switch(finance, tax_by_line=True)
    with pytest.raises(VendorRejected, match="taken back"):
        await connector.create_invoice(draft(amounts=("0.03", "0.03")))
    assert sum(Decimal(str(row["AmountCur"])) for row in await rows(firm, "CustTransactions")) == 0
    assert await connector.find_invoice("inv_acme") is None


# --- many rows -----------------------------------------------------------------------------------------------------
async def test_many_lines_go_as_a_data_package(finance: Sandbox, opened: Opened, firm: DynamicsFinanceFirm) -> None:
    connector = await opened(bulk_from="20")
    wanted = draft(amounts=tuple(f"{number}.01" for number in range(1, 41)))
    posted = await connector.create_invoice(wanted)
    assert posted.gross == wanted.gross
    assert finance.calls(r"DataEntities\.ImportFromPackage") == 2  # the firm's set-up, and this
    assert finance.calls(r"POST /data/\$batch") == 0
    assert len(await rows(firm, "FreeTextInvoiceLines")) == 40
    await connector.amend_billing_schedule(schedule(25))
    assert len(await rows(firm, "ProjectOnAccForecasts")) == 25


async def test_a_package_with_bad_rows_leaves_no_document(
    finance: Sandbox, opened: Opened, firm: DynamicsFinanceFirm
) -> None:
    await firm.ask("PATCH", IMPLEMENTATION, body={"TLRevenueAccount": "99999"})  # there is no such account
    connector = await opened(bulk_from="2")
    with pytest.raises(VendorRejected, match="99999"):
        await connector.create_invoice(draft())
    assert await rows(firm, "FreeTextInvoiceHeaders") == []
    assert finance.simulator.counts()["FreeTextInvoiceLines"] == 0


async def test_a_refused_change_set_leaves_no_document(opened: Opened, firm: DynamicsFinanceFirm) -> None:
    await firm.ask("PATCH", IMPLEMENTATION, body={"TLRevenueAccount": "99999"})
    connector = await opened()
    with pytest.raises(VendorRejected, match="Main account 99999 is not valid"):
        await connector.create_invoice(draft())
    assert await rows(firm, "FreeTextInvoiceHeaders") == []


# --- lists and changes ---------------------------------------------------------------------------------------------
async def test_a_payment_is_a_change_of_its_invoice(
    finance: Sandbox, opened: Opened, firm: DynamicsFinanceFirm
) -> None:
    connector = await opened()
    await connector.create_invoice(draft())
    before = {hint.key for hint in await connector.list_changes(None)}
    (row,) = await firm.read_invoices()
    await firm.pay(row.record_id, Decimal("10.01"), date(2026, 11, 5), "PART")
    fresh = [hint for hint in await connector.list_changes(None) if hint.key not in before]
    assert {(hint.entity, hint.ref) for hint in fresh} == {
        ("invoice", "hcde:FTI-00000001"),
        ("payment", "hcde:PV-00000001"),
    }
    later = datetime.now(UTC) + timedelta(minutes=10)
    assert await connector.list_changes(later) == []
    assert (await connector.list_invoices(modified_since=later, cursor=None, limit=5)).items == ()
    assert finance.calls("GET /data/CustTransactions") > 0


async def test_a_cursor_of_another_list_is_refused(opened: Opened) -> None:
    connector = await opened()
    for cursor in ("nonsense", "eyJhdCI6MX0"):
        with pytest.raises(InvalidRequest):
            await connector.list_invoices(modified_since=None, cursor=cursor, limit=5)


async def test_a_list_goes_on_when_the_token_ends_in_the_middle(finance: Sandbox, opened: Opened) -> None:
    connector = await opened()
    whole = await connector.list_rate_cards()
    switch(finance, page_rows=1)
    fault = finance.fault(FaultKind.SESSION_EXPIRED, "GET /data/ProjHourSalesPricesV2", skip=1)
    assert await connector.list_rate_cards() == whole
    assert finance.has_struck(fault)


async def test_a_service_short_of_resources_is_told_as_such(finance: Sandbox, opened: Opened) -> None:
    connector = await opened()
    switch(finance, priorities={CONNECTOR.client_id: "low"}, load=65)
    with pytest.raises(VendorThrottled):
        await connector.list_legal_entities()


async def test_an_application_that_is_not_registered_inside_is_told_as_refused(
    finance: Sandbox, opened: Opened
) -> None:
    connector = await opened()
    switch(finance, registered={CONNECTOR.client_id: False})
    with pytest.raises(CredentialsRefused):
        await connector.ping()


# --- mapping metadata ----------------------------------------------------------------------------------------------
async def test_metadata_tells_closed_lists_and_leaves_out_what_is_absent(finance: Sandbox, opened: Opened) -> None:
    connector = await opened()
    switch(finance, proposals="absent")
    told = await connector.describe(["Projects", "ProjectInvoiceProposalHeaders", "Nothing"])
    assert set(told) == {"Projects"}
    facts = {one.name: one for one in told["Projects"]}
    assert "Completed" in facts["ProjectStage"].values
    assert facts["ProjectID"].is_required
    assert not facts["CustomerAccount"].is_writable
    assert facts["TLBudget"].kind == "Edm.Decimal"


async def test_a_tenants_own_place_is_written_and_looked_up(
    finance: Sandbox, firm: DynamicsFinanceFirm, tmp_path: Path
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("customer:\n  external_id: NameAlias\n", encoding="utf-8")
    connector = open_connector(replace(bound(finance.base_url), overrides=file))
    try:
        assert (await connector.amend_customer(customer(), "HC-DE")).was_created
        assert (await connector.amend_customer(customer(), "HC-DE")).was_created is False
        assert await connector.find_customer("cus_acme") is not None
    finally:
        await connector.aclose()
    (row,) = await rows(firm, "CustomersV3")
    assert (row["NameAlias"], row["TLExternalId"]) == ("cus_acme", "")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"invoice_by": "carrier_pigeon"}, "invoice_by"),
        ({"posting_wait_seconds": "soon"}, "posting_wait_seconds"),
        ({"bulk_from": "-1"}, "bulk_from"),
        ({"set_names": "Alone"}, "set_names"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, str], named: str) -> None:
    with pytest.raises(Misconfigured, match=named):
        open_connector(bound("http://127.0.0.1:9", **settings))


async def test_a_set_that_is_called_otherwise_says_which_setting_helps(
    finance: Sandbox, opened: Opened, firm: DynamicsFinanceFirm
) -> None:
    connector = await opened()
    switch(finance, set_names={"ProjectCategoryEntities": "ProjectCategories"})
    with pytest.raises(Misconfigured, match=r"ProjectCategoryEntities.*set_names"):
        await connector.list_service_items()
    assert await firm.count("ProjectCategories") == 6
