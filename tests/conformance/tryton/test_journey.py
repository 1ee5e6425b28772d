"""A small firm's way through Tryton in all three roles: entered by its people, read and written by the connector."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from deploy.sandbox.kit.faults import FaultKind
from shared.canonical.contracts import ContractApproval
from shared.canonical.invoices import InvoiceState
from shared.canonical.money import Money
from shared.canonical.opportunities import BillingModel, DeliveryStage, DeliveryStatus, InvoiceStage, InvoiceStatus
from shared.errors.taxonomy import NotFound, OutcomeUnknown, PeriodClosed, UnknownReference, VendorRejected
from tests.conformance import erp_firm
from tests.conformance.small_firm import read_on
from tests.conformance.tryton import samples
from tests.conformance.tryton.conftest import House
from tests.conformance.tryton.test_conformance import rpc


async def _whole(listing: Any, limit: int = 2) -> list[Any]:
    return await read_on(listing, limit)


# --- CRM -----------------------------------------------------------------------------------------------------------
async def test_a_won_deal_is_read_with_its_lines_and_terms(house: House) -> None:
    deals = {deal.reference: deal for deal in await _whole(house.crm.list_opportunities, 1)}
    assert set(deals) == {"OPP-1", "OPP-2"}
    won = deals["OPP-1"]
    assert (won.is_won, deals["OPP-2"].is_won) == (True, False)
    assert (won.amount, won.close_on) == (Money.of("1500.50", "EUR"), date(2026, 3, 1))
    assert (won.owner, won.region, won.legal_entity_code, won.revision) == ("Kary", "West", "HC-DE", 3)
    assert [(line.reference, line.product_code, line.workstream, line.amount.amount) for line in won.lines] == [
        ("OPP-1-1", "GTX Pro", "WS1", Decimal("1000.50")),
        ("OPP-1-2", "GTXPro", "WS2", Decimal("500.00")),
    ]
    assert won.lines[1].billing_model is BillingModel.FIXED_FEE
    assert await house.crm.get_opportunity(won.source.ref) == won


async def test_a_contract_is_the_deals_order(house: House) -> None:
    deals = {deal.reference: deal for deal in await _whole(house.crm.list_opportunities)}
    found = await house.crm.find_contract(deals["OPP-1"].source.ref)
    assert found.reference == "SOW-1"
    assert found.opportunity_id == deals["OPP-1"].id
    assert found.approval is ContractApproval.IN_REVIEW
    assert (found.payment_terms_days, found.cap, found.rate_card_code) == (45, Money.of("900.00", "EUR"), "RC-DE")
    assert (found.purchase_order, found.revision, found.signed_on) == (None, 2, date(2026, 3, 1))
    assert [(one.reference, one.name, one.amount.amount) for one in found.milestones] == [
        ("OPP-1-2-M0", "Kick-off", Decimal("200.00")),
        ("OPP-1-2-M1", "Acceptance", Decimal("300.00")),
    ]
    assert await house.crm.get_contract(found.source.ref) == found
    assert found.id in {one.id for one in await _whole(house.crm.list_contracts, 1)}


async def test_corrections_of_people_arrive_as_changes(house: House) -> None:
    before = await house.connector.list_changes(None)
    seen_until = max(hint.occurred_at for hint in before if hint.occurred_at)
    await house.sales.apply_fix("contract_status", "SOW-1", "approved")
    await house.sales.apply_fix("po_number", "SOW-1", "PO-9")
    await house.sales.apply_fix("tax_id", "ACC-2", "DE987654321")
    await house.sales.apply_fix("billing_address", "ACC-2", "2 Quay|Kiel|24105")
    deals = {deal.reference: deal for deal in await _whole(house.crm.list_opportunities)}
    contract = await house.crm.find_contract(deals["OPP-1"].source.ref)
    assert (contract.approval, contract.purchase_order) == (ContractApproval.APPROVED, "PO-9")
    customer = await house.crm.get_customer(deals["OPP-2"].customer_ref)
    assert (customer.tax_id, customer.bill_to.street, customer.bill_to.postal_code) == (
        "DE987654321",
        "2 Quay",
        "24105",
    )
    later = [hint for hint in await house.connector.list_changes(seen_until) if hint.key not in {h.key for h in before}]
    assert {"opportunity", "contract", "customer"} <= {hint.entity for hint in later}
    with pytest.raises(ValueError, match="not corrected"):
        await house.sales.apply_fix("product_alias", "GTXPro", "GTX Pro")


async def test_customers_have_their_facts(house: House) -> None:
    customers = {one.name: one for one in await _whole(house.crm.list_customers, 1)}
    assert set(customers) == {"Acme Group", "Acme Nord"}
    group, nord = customers["Acme Group"], customers["Acme Nord"]
    assert (group.tax_id, group.requires_purchase_order, group.industry) == ("DE123456789", True, "shipping")
    assert (nord.tax_id, nord.requires_purchase_order, nord.industry) == (None, False, None)
    assert nord.parent_id == group.id
    assert (nord.bill_to.street, nord.bill_to.city, nord.bill_to.country) == (None, "Kiel", "DE")


async def test_the_account_team_sees_delivery_and_invoices(house: House) -> None:
    deal = next(one for one in await _whole(house.crm.list_opportunities) if one.is_won)
    for stage in (DeliveryStage.IN_REVIEW, DeliveryStage.ACTIVATED):
        status = DeliveryStatus(stage=stage, project_id="prj_1", project_ref="9", message="Two [words] of it.")
        await house.crm.amend_delivery_status(deal.source.ref, status)
    row = (await house.sales.read_deals())["OPP-1"]
    assert (row.delivery_stage, row.project_id, row.project_ref) == ("activated", "prj_1", "9")
    for paid in ("0", "11.90"):
        told = InvoiceStatus(
            invoice_ref="7",
            period="2026-10",
            stage=InvoiceStage.POSTED,
            gross=Money.of("11.90", "EUR"),
            paid=Money.of(paid, "EUR"),
        )
        await house.crm.amend_invoice_status(deal.source.ref, "inv_1", told)
    statuses = await house.sales.read_invoice_statuses()
    assert [(one.invoice_id, one.opportunity_id, one.gross, one.paid) for one in statuses] == [
        ("inv_1", "OPP-1", Decimal("11.90"), Decimal("11.90"))
    ]
    with pytest.raises(NotFound):
        await house.crm.amend_delivery_status("999999", DeliveryStatus(stage=DeliveryStage.ACTIVATED))


async def test_what_is_not_there_is_not_found(house: House) -> None:
    for ask in (house.crm.get_opportunity, house.crm.get_customer, house.crm.get_contract):
        for ref in ("999999", "no number", "9" * 30):
            with pytest.raises(NotFound):
                await ask(ref)
    assert await house.crm.find_contract("999999") is None
    assert await house.erp.find_invoice("inv_none") is None
    assert await house.psa.find_project("prj_none") is None
    with pytest.raises(NotFound):
        await house.psa.close_project("prj_none")


# --- PSA -----------------------------------------------------------------------------------------------------------
async def test_hours_and_milestones_are_read_with_what_tryton_does_not_know(house: House) -> None:
    project = await house.psa.create_project(erp_firm.plan())
    assert (len(project.workstreams), len(project.milestones)) == (2, 2)
    entries = erp_firm.table(
        "entry_id,opportunity_id,workstream,user_id,role,work_date,hours,billable,approved",
        "E-1,OPP-1,WS1,1,,2026-09-02,7.55,true,true",
        "E-2,OPP-1,WS2,2,Architect,2026-09-03,0.05,false,false",
        "E-3,OPP-7,WS2,2,Architect,2026-09-03,1,true,true",
    )
    done = erp_firm.table("milestone_id,opportunity_id,completed_on,approved", "M-1,OPP-1,2026-10-05,true")
    projects = {"OPP-1": project.source.ref}
    assert await house.consultants.book(projects, entries, done) == 2
    assert await house.consultants.book(projects, entries, done) == 0
    booked = {entry.reference: entry for entry in await _whole(house.psa.list_time_entries, 1)}
    assert set(booked) == {"E-1", "E-2"}
    first, second = booked["E-1"], booked["E-2"]
    assert (first.hours, first.role, first.is_billable, first.is_approved) == (Decimal("7.55"), "Engineer", True, True)
    assert (second.hours, second.role) == (Decimal("0.05"), "Architect")
    assert (second.is_billable, second.is_approved) == (False, False)
    assert (first.project_id, first.workstream_id) == ("prj_acme", "wks_prj_acme_1")
    assert first.resource_name == "Ada"
    (reached,) = await _whole(house.psa.list_milestones)
    assert (reached.milestone_id, reached.completed_on, reached.is_approved) == (
        "mil_prj_acme_2_1",
        date(2026, 10, 5),
        True,
    )
    mark = samples.mark(time=(first.source.ref,), milestones=(reached.source.ref,))
    assert (await house.psa.mark_billed(mark)).was_created
    assert not (await house.psa.mark_billed(mark)).was_created
    billed = {entry.reference: entry.is_billed for entry in await _whole(house.psa.list_time_entries)}
    assert billed == {"E-1": True, "E-2": False}
    assert (await _whole(house.psa.list_milestones))[0].is_billed
    (seen,) = await house.consultants.read_invoices()
    assert (seen.invoice_id, seen.workspace_id, seen.time_entries, seen.milestones) == (
        "inv_acme",
        project.source.ref,
        1,
        1,
    )


async def test_a_milestone_opened_again_is_no_longer_approved(house: House) -> None:
    project = await house.psa.create_project(erp_firm.plan())
    done = erp_firm.table("milestone_id,opportunity_id,completed_on,approved", "M-1,OPP-1,2026-10-05,true")
    await house.consultants.book({"OPP-1": project.source.ref}, [], done)
    work = int(project.milestones[0].ref)
    (status,) = await house.session.find("project.work.status", [["name", "=", "Open"]])
    await house.session.write("project.work", [work], {"progress": 0.5, "status": status["id"]})
    (reached,) = await _whole(house.psa.list_milestones)
    assert not reached.is_approved


async def test_a_half_made_project_is_completed_and_a_closed_one_opened(house: House) -> None:
    alone = erp_firm.plan().model_copy(update={"workstreams": erp_firm.plan().workstreams[:1]})
    made = await house.erp.amend_project(alone)
    whole = await house.psa.create_project(erp_firm.plan())
    assert whole.source.ref == made.source.ref
    assert [part.id for part in whole.workstreams] == ["wks_prj_acme_1", "wks_prj_acme_2"]
    assert [part.id for part in whole.milestones] == ["mil_prj_acme_2_1", "mil_prj_acme_2_2"]
    await house.erp.close_project("prj_acme")
    await house.erp.close_project("prj_acme")
    assert await house.erp.find_project("prj_acme") is None
    assert (await house.consultants.read_projects())[made.source.ref].is_archived
    assert await house.psa.find_project("prj_acme") is not None
    again = await house.erp.amend_project(erp_firm.plan())
    assert again.source.ref == made.source.ref
    assert await house.finance.read_projects() == {"prj_acme": made.source.ref}


# --- ERP -----------------------------------------------------------------------------------------------------------
async def test_reference_data_is_read_as_finance_entered_it(house: House) -> None:
    entities = {one.code: one for one in await house.erp.list_legal_entities()}
    assert set(entities) == {"HC-DE", "HC-JP"}
    assert (entities["HC-DE"].is_approved, entities["HC-JP"].is_approved) == (True, False)
    assert entities["HC-DE"].standard_tax_rate == Decimal("0.19")
    assert (entities["HC-JP"].currency, entities["HC-JP"].country) == ("JPY", "JP")
    items = {(one.product_code, one.item_code) for one in await house.erp.list_service_items()}
    assert items == {("GTX Pro", "SVC-IMPL"), ("GTX Plus", "SVC-IMPL"), ("MG Special", "SVC-TRAIN")}
    cards = {card.code: card for card in await house.erp.list_rate_cards()}
    assert [(one.rate, one.effective_from, one.effective_to) for one in cards["RC-DE"].rates] == [
        (Decimal("120.50"), date(2026, 1, 1), date(2026, 6, 30)),
        (Decimal("125.0"), date(2026, 7, 1), None),
    ]
    assert (cards["RC-JP"].currency, cards["RC-JP"].rates[0].rate) == ("JPY", Decimal("13000.0"))


async def test_one_suite_keeps_one_customer_and_one_order(house: House) -> None:
    deal = next(one for one in await _whole(house.crm.list_opportunities) if one.is_won)
    customer = await house.crm.get_customer(deal.customer_ref)
    agreed = await house.crm.find_contract(deal.source.ref)
    parties, orders = await house.session.count("party.party"), await house.session.count("sale.sale")
    written = await house.erp.amend_customer(customer, "HC-DE")
    assert (written.source.ref, written.was_created) == (deal.customer_ref, False)
    assert (await house.erp.find_customer(customer.id)).source.ref == deal.customer_ref
    wanted = erp_firm.contract(id=agreed.id, reference=agreed.reference, customer_id=customer.id)
    order = await house.erp.amend_contract(wanted)
    assert order.source.ref == agreed.source.ref
    assert (await house.erp.find_contract(agreed.id)).source.ref == agreed.source.ref
    assert await house.session.count("party.party") == parties
    assert await house.session.count("sale.sale") == orders
    assert (await house.crm.find_contract(deal.source.ref)).cap == agreed.cap


async def test_a_customer_and_a_contract_are_brought_up_to_date(house: House) -> None:
    created = await house.erp.amend_customer(erp_firm.customer(), "HC-DE")
    assert created.was_created
    changed = erp_firm.customer(name="Acme Ships", tax_id="DE999")
    again = await house.erp.amend_customer(changed, "HC-DE")
    assert (again.source.ref, again.was_created) == (created.source.ref, False)
    stored = await house.crm.get_customer(created.source.ref)
    assert (stored.id, stored.name, stored.tax_id) == ("cus_acme", "Acme Ships", "DE999")
    first = await house.erp.amend_contract(erp_firm.contract())
    line = erp_firm.contract().lines[0]
    other = erp_firm.contract(lines=(line, line.model_copy(update={"amount": Money.of("7.01", "EUR")})))
    second = await house.erp.amend_contract(other)
    assert (second.source.ref, second.was_created) == (first.source.ref, False)
    rows = await house.session.find("sale.line", [["sale", "=", int(first.source.ref)]], ["unit_price"])
    assert [row["unit_price"] for row in rows] == [Decimal("20000.10"), Decimal("7.01")]
    (order,) = await house.session.find("sale.sale", [["id", "=", int(first.source.ref)]], ["state", "invoice_method"])
    assert (order["state"], order["invoice_method"]) == ("quotation", "manual")


async def test_a_schedule_prices_the_milestones_of_the_project(house: House) -> None:
    project = await house.psa.create_project(erp_firm.plan())
    written = await house.erp.amend_billing_schedule(erp_firm.schedule())
    assert (written.was_created, written.source.ref) == (True, project.source.ref)
    assert not (await house.erp.amend_billing_schedule(erp_firm.schedule(amount="6000.00"))).was_created
    rows = await house.session.find("project.work", [["comment", "like", "[milestone: mil_1]%"]], ["list_price"])
    assert [row["list_price"] for row in rows] == [Decimal("6000.00")]
    assert (await house.erp.find_billing_schedule("bs-con_acme")).source.ref == project.source.ref
    assert await house.erp.find_billing_schedule("bs-con_other") is None


async def test_an_invoice_is_posted_exactly_as_drafted_and_paid(house: House) -> None:
    await house.erp.amend_customer(erp_firm.customer(), "HC-DE")
    draft = erp_firm.draft()
    posted = await house.erp.create_invoice(draft)
    assert (posted.id, posted.period, posted.state) == ("inv_acme", "2026-10", InvoiceState.OPEN)
    assert (posted.net, posted.tax, posted.gross) == (draft.net, draft.tax, draft.gross)
    assert (posted.paid, posted.customer_id, posted.number) == (Money.zero("EUR"), "cus_acme", "HC-DE-2026-10-0001")
    assert await house.erp.create_invoice(draft) == posted
    (row,) = await house.finance.read_invoices()
    assert (row.invoice_id, row.gross, row.legal_entity) == ("inv_acme", draft.gross.amount, "HC-DE")
    part = Decimal("100.01")
    for amount, reference in ((part, "pay-1"), (part, "pay-1"), (draft.gross.amount - part, "pay-2")):
        await house.finance.pay(row.record_id, amount, date(2026, 11, 2), reference)
    payments = await _whole(house.erp.list_payments, 1)
    assert sorted(payment.amount.amount for payment in payments) == sorted([part, draft.gross.amount - part])
    assert {payment.applications[0].invoice_id for payment in payments} == {"inv_acme"}
    settled = await house.erp.find_invoice("inv_acme")
    assert (settled.state, settled.paid) == (InvoiceState.PAID, draft.gross)
    assert [one.id for one in await _whole(house.erp.list_invoices)] == ["inv_acme"]


@pytest.mark.parametrize(
    ("legal_entity", "currency", "amounts", "quantity", "rate"),
    [
        ("HC-DE", "EUR", ("1.50",), "1", "1.50"),  # tax 0.285: half-up and half-even differ
        ("HC-DE", "EUR", ("367.50",), "3.05", "120.50"),  # net of rounded entries, not quantity times rate
        ("HC-DE", "EUR", ("1557.67",), "14.2500", "109.310000"),  # zeros count as digits
        ("HC-JP", "JPY", ("39651",), "3.05", "13000"),
        ("HC-JP", "JPY", ("15",), "1", "15"),
    ],
)
async def test_amounts_end_as_drafted_however_tryton_would_round(
    house: House, legal_entity: str, currency: str, amounts: tuple[str, ...], quantity: str, rate: str
) -> None:
    await house.erp.amend_customer(erp_firm.customer(), legal_entity)
    tax_rate = "0.19" if currency == "EUR" else "0.10"
    draft = erp_firm.draft(
        amounts=amounts, legal_entity=legal_entity, currency=currency, tax_rate=tax_rate, quantity=quantity, rate=rate
    )
    posted = await house.erp.create_invoice(draft)
    assert (posted.net, posted.tax, posted.gross) == (draft.net, draft.tax, draft.gross)


async def test_another_draft_under_the_same_id_is_refused(house: House) -> None:
    await house.erp.amend_customer(erp_firm.customer(), "HC-DE")
    await house.erp.create_invoice(erp_firm.draft())
    with pytest.raises(VendorRejected, match="another invoice"):
        await house.erp.create_invoice(erp_firm.draft(amounts=("1.00",)))
    assert await house.session.count("account.invoice") == 1


async def test_a_month_without_books_is_a_closed_period(house: House) -> None:
    await house.erp.amend_customer(erp_firm.customer(), "HC-DE")
    with pytest.raises(PeriodClosed):
        await house.erp.create_invoice(erp_firm.draft(period="1999-10"))
    assert await house.session.count("account.invoice") == 0
    with pytest.raises(UnknownReference):
        await house.erp.create_invoice(erp_firm.draft(legal_entity="HC-XX"))


async def test_many_invoices_at_once_are_posted_in_batches(house: House) -> None:
    await house.erp.amend_customer(erp_firm.customer(), "HC-DE")
    drafts = [erp_firm.draft(f"inv_{number}") for number in range(6)]
    posted = await asyncio.gather(*(house.erp.create_invoice(one) for one in drafts))
    assert {one.id for one in posted} == {one.id for one in drafts}
    assert len({one.number for one in posted}) == 6
    assert house.sandbox.calls(rpc("model.account.invoice.post")) < 6


@pytest.mark.parametrize("method", ["model.account.invoice.post", "model.res.user.warning.skip"])
@pytest.mark.parametrize("kind", [FaultKind.CUT_AFTER, FaultKind.CUT_BEFORE])
async def test_an_invoice_cut_between_its_steps_is_finished_by_the_repeat(
    house: House, method: str, kind: FaultKind
) -> None:
    await house.erp.amend_customer(erp_firm.customer(), "HC-DE")
    draft = erp_firm.draft(period="2026-06")  # due in the past: Tryton asks
    fault = house.sandbox.fault(kind, rpc(method))
    with suppress(OutcomeUnknown):
        await house.erp.create_invoice(draft)
    assert house.sandbox.has_struck(fault)
    house.sandbox.heal()
    posted = await house.erp.create_invoice(draft)
    assert posted.state is InvoiceState.OPEN
    assert await house.session.count("account.invoice") == 1


@pytest.mark.parametrize("kind", [FaultKind.CUT_AFTER, FaultKind.CUT_BEFORE])
async def test_a_quotation_cut_before_it_was_made_is_finished_by_the_repeat(house: House, kind: FaultKind) -> None:
    await house.erp.amend_customer(erp_firm.customer(), "HC-DE")
    house.sandbox.fault(kind, rpc("model.sale.sale.quote"))
    with pytest.raises(OutcomeUnknown):
        await house.erp.amend_contract(erp_firm.contract())
    house.sandbox.heal()
    await house.erp.amend_contract(erp_firm.contract())
    orders = await house.session.find("sale.sale", [["comment", "like", "%[contract_id: con_acme]%"]], ["state"])
    assert [order["state"] for order in orders] == ["quotation"]


async def test_a_session_that_ends_while_pages_are_read_loses_nothing(house: House) -> None:
    project = await house.psa.create_project(erp_firm.plan())
    entries = [
        {
            "entry_id": f"E-{number}",
            "opportunity_id": "OPP-1",
            "workstream": "WS1",
            "user_id": "1",
            "role": "",
            "work_date": "2026-09-02",
            "hours": "1",
            "billable": "true",
            "approved": "true",
        }
        for number in range(7)
    ]
    await house.consultants.book({"OPP-1": project.source.ref}, entries, [])
    house.sandbox.fault(FaultKind.SESSION_EXPIRED, rpc("model.timesheet.line.search_read"), skip=1)
    seen = [entry.reference for entry in await _whole(house.psa.list_time_entries, 2)]
    assert sorted(seen) == sorted(row["entry_id"] for row in entries)


async def test_a_comment_written_meanwhile_is_not_lost(house: House) -> None:
    project = await house.psa.create_project(erp_firm.plan())
    work = int(project.source.ref)
    (row,) = await house.session.find("project.work", [["id", "=", work]], ["comment"])
    await house.session.write("project.work", [work], {"comment": f"{row['comment']}\nCall Ada first."})
    await house.erp.amend_billing_schedule(erp_firm.schedule())
    (row,) = await house.session.find("project.work", [["id", "=", work]], ["comment"])
    assert "Call Ada first." in row["comment"]
    assert "[schedule: bs-con_acme]" in row["comment"]
    assert "[project: prj_acme]" in row["comment"]
