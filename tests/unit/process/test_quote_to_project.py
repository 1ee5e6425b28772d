"""The story of a deal on fake systems and the real durable engine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from process_apis.approvals.models import ApprovalKind, Decider, DecisionBody
from process_apis.durable import engine
from process_apis.exceptions.models import ItemState, OwnerRole, Remedy
from process_apis.quote_to_project.models import Admission, DealState
from process_apis.quote_to_project.routes import take_in
from process_apis.quote_to_project.steps import DECISION, SIGNAL
from process_apis.quote_to_project.store import Deals
from process_apis.rooms import furnish
from process_apis.systems.connectors import Drift
from process_apis.tenants import Tenants
from shared.canonical.contracts import ContractApproval
from shared.canonical.events import ContractChanged, CustomerChanged
from shared.canonical.money import Money
from shared.canonical.opportunities import DeliveryStage
from shared.errors.taxonomy import (
    AlreadyDecided,
    Conflict,
    FieldFinding,
    OutcomeUnknown,
    PlatformError,
    SameApprover,
    SameRequester,
    ScopeMissing,
    VendorDrift,
    VendorRejected,
    VendorUnavailable,
)
from tests.unit.process.events import fact
from tests.unit.process.fake_systems import TENANT, contract, customer

if TYPE_CHECKING:
    from shared.canonical.customers import Customer
    from tests.unit.process.conftest import House


async def test_a_clean_deal_becomes_one_project_in_psa_and_erp(house: House) -> None:
    house.systems.add_deal()
    request = await house.wins()
    await house.approves_all(request)
    deal = await house.reaches(request, DealState.ACTIVATED)
    assert list(house.systems.psa.projects) == [deal.project_id] == list(house.systems.erp.projects)
    assert [each.name for each in house.systems.psa.projects[str(deal.project_id)].workstreams] == ["WS1", "WS2"]
    assert list(house.systems.erp.contracts) == ["con_1"]
    assert list(house.systems.erp.schedules) == ["bs-con_1"]
    told = house.systems.crm.told["opp_1"]
    assert [each.stage for each in told] == [DeliveryStage.ACTIVATED]
    assert await house.events() == ["project.activated.v1"]
    assert len(await house.sentences(request)) == 12


async def test_a_deal_won_twice_is_set_up_once(house: House) -> None:
    house.systems.add_deal()
    request = await house.wins()
    await house.wins()
    await house.approves_all(request)
    await house.reaches(request, DealState.ACTIVATED)
    await house.wins()
    assert house.systems.troubles.calls["psa.create_project"] == 1


async def test_a_small_deal_needs_delivery_only(house: House) -> None:
    house.systems.add_deal(amount=Money.of("2249.99", "EUR"))
    request = await house.wins()
    await house.approves_all(request, count=1)
    deal = await house.reaches(request, DealState.ACTIVATED)
    assert [kind.value for kind in deal.approval_kinds] == ["delivery"]


async def test_all_findings_are_reported_at_once_and_a_fixed_source_wakes_the_deal(house: House) -> None:
    house.systems.add_deal()
    house.systems.crm.customers["cus_1"] = customer(tax_id=None, requires_purchase_order=True)
    house.systems.crm.contracts["opp_1"] = contract(approval=ContractApproval.IN_REVIEW)
    request = await house.wins()
    await house.reaches(request, DealState.EXCEPTION)
    item = (await house.items(request))[0]
    codes = [each.code for each in item.findings]
    assert codes == ["contract_not_approved", "purchase_order_missing", "tax_id_missing"]
    assert (await house.last_told("opp_1")).message == f"Waiting: {'; '.join(codes)}"
    house.systems.crm.customers["cus_1"] = customer()
    house.systems.crm.contracts["opp_1"] = contract()
    await take_in(fact(CustomerChanged(customer_id="cus_1"), "cus_1"))
    await house.approves_all(request)
    await house.reaches(request, DealState.ACTIVATED)
    assert not await house.items(request)
    assert len(await house.items(request, ItemState.RESOLVED)) == 1
    stages = [each.stage for each in house.systems.crm.told["opp_1"]]
    assert stages == [DeliveryStage.EXCEPTION, DeliveryStage.IN_REVIEW, DeliveryStage.ACTIVATED]


async def test_a_product_alias_clears_every_deal_it_helps(house: House) -> None:
    lines = house.systems.add_deal().lines
    sold = (lines[0].model_copy(update={"product_code": "GTXPro"}), lines[1])
    house.systems.add_deal("1", lines=sold)
    house.systems.add_deal("2", lines=sold)
    first, second = await house.wins("1"), await house.wins("2")
    await house.reaches(first, DealState.EXCEPTION)
    await house.reaches(second, DealState.EXCEPTION)
    async with house.rooms.database.transaction() as conn:
        remedy = Remedy(kind="product_alias", subject="GTXPro", value="GTX Pro")
        waiting = await house.rooms.exceptions.supply(conn, TENANT, remedy, who="fiona")
    await house.exceptions.wake(waiting)
    await house.reaches(first, DealState.AWAITING_APPROVAL)
    await house.reaches(second, DealState.AWAITING_APPROVAL)


async def test_a_lost_wake_is_sent_again(house: House) -> None:
    house.systems.add_deal()
    house.systems.crm.customers["cus_1"] = customer(tax_id=None)
    request = await house.wins()
    await house.reaches(request, DealState.EXCEPTION)
    house.systems.crm.customers["cus_1"] = customer()
    item = (await house.items(request))[0]
    async with house.rooms.database.transaction() as conn:
        await house.rooms.exceptions.wake_item(conn, TENANT, item.id, who="olga", because="and the process died")
    await house.exceptions.wake_forgotten(older_than=0)
    await house.reaches(request, DealState.AWAITING_APPROVAL)


async def test_duties_are_segregated(house: House) -> None:
    rules = house.rooms.tenants.of(TENANT).model_copy(update={"people": {"Olive Ng": "olive"}})
    furnish(replace(house.rooms, tenants=Tenants({TENANT: rules})))
    house.systems.add_deal(owner="Olive Ng")
    request = await house.wins()
    delivery, finance = await house.open_approvals(request, 2)
    assert (delivery.requested_by, (await house.deal(request)).requested_by) == ("olive", "olive")
    with pytest.raises(SameRequester):
        await house.decides(delivery, "olive")
    await house.decides(delivery, "dan")
    with pytest.raises(SameApprover):
        await house.decides(finance, "dan")
    with pytest.raises(AlreadyDecided):
        await house.decides(delivery, "eve")
    await house.decides(finance, "fiona")
    await house.reaches(request, DealState.ACTIVATED)


async def test_an_owner_whose_subject_nobody_told_is_not_taken_for_one(house: House) -> None:
    house.systems.add_deal(owner="dan", amount=Money.of("100", "EUR"))
    request = await house.wins()
    (delivery,) = await house.open_approvals(request, 1)
    assert (delivery.requested_by, (await house.deal(request)).requested_by) == ("crm:dan", "crm:dan")
    await house.decides(delivery, "dan")
    await house.reaches(request, DealState.ACTIVATED)


async def test_two_decisions_racing_each_other_cannot_both_be_one_persons(house: House) -> None:
    house.systems.add_deal()
    request = await house.wins()
    both = await house.open_approvals(request, 2)
    done = await asyncio.gather(*(house.decides(each, "dan") for each in both), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["Approval", "SameApprover"]


async def test_a_declined_deal_creates_nothing(house: House) -> None:
    house.systems.add_deal()
    request = await house.wins()
    delivery, _ = await house.open_approvals(request, 2)
    await house.decides(delivery, "dan", "reject")
    await house.reaches(request, DealState.REJECTED)
    assert not house.systems.psa.projects
    assert not await house.open_approvals(request, 0)


async def test_a_decision_nobody_was_told_of_is_told_later(house: House) -> None:
    house.systems.add_deal(amount=Money.of("100", "EUR"))
    request = await house.wins()
    approval = (await house.open_approvals(request, 1))[0]
    async with house.rooms.database.transaction() as conn:
        await house.rooms.approvals.decide(conn, TENANT, approval.id, *_approved_by("dan"))
    await house.approvals.tell_forgotten(older_than=0)
    await house.reaches(request, DealState.ACTIVATED)


async def test_a_vendor_that_is_down_for_a_while_does_not_fail_the_deal(house: House) -> None:
    house.systems.add_deal()
    house.systems.troubles.expect("psa.create_project", VendorUnavailable(), VendorUnavailable(), OutcomeUnknown())
    request = await house.wins()
    await house.approves_all(request)
    await house.reaches(request, DealState.ACTIVATED)
    assert not await house.items(request)
    assert house.systems.troubles.calls["psa.create_project"] == 4


async def test_a_refusal_parks_the_deal_and_a_retry_goes_on_where_it_stood(house: House) -> None:
    house.systems.add_deal()
    no = VendorRejected("The PSA says no.", findings=[FieldFinding("title", "is too long")], extra={"system": "psa"})
    house.systems.troubles.expect("erp.amend_project", no)
    request = await house.wins()
    await house.approves_all(request)
    deal = await house.reaches(request, DealState.EXCEPTION)
    assert [each.field for each in deal.findings] == ["set up the project in the ERP", "psa.title"]
    await house.retries(request)
    await house.reaches(request, DealState.ACTIVATED)
    assert house.systems.troubles.calls["psa.create_project"] == 1
    assert not await house.items(request)


@pytest.mark.parametrize(
    "trouble",
    [
        VendorDrift(
            "some-crm answered opportunity without Region__c.", findings=[FieldFinding("Region__c", "is gone")]
        ),
        VendorRejected("some-crm knows no field Region__c."),
        ScopeMissing("some-crm has no field Region__c for us."),
    ],
)
async def test_a_deal_that_cannot_be_read_since_a_schema_changed_is_parked_with_that(
    house: House, trouble: PlatformError
) -> None:
    house.systems.add_deal()
    gone = Drift(entity="opportunity", field="region", kind="field_missing", reason="Deal has no field Region__c")
    shown = gone.model_copy(update={"field": "model", "kind": "value_unmapped"})
    house.systems.connectors.drift_now = {"crm": (gone, shown)}
    house.systems.troubles.expect("crm.get_opportunity", trouble)
    request = await house.wins()
    deal = await house.reaches(request, DealState.EXCEPTION)
    assert [(each.code, each.field, each.owner) for each in deal.findings] == [
        ("schema_drift", "systems.crm.opportunity.region", OwnerRole.OPERATIONS)
    ]
    assert deal.findings[0].reason == "The schema of some-crm changed: Deal has no field Region__c."
    house.systems.connectors.drift_now = {}
    await house.retries(request)
    await house.approves_all(request)
    await house.reaches(request, DealState.ACTIVATED)
    assert not await house.items(request)


async def test_drift_without_a_changed_schema_is_told_as_it_came(house: House) -> None:
    house.systems.add_deal()
    house.systems.connectors.drift_now = {
        "crm": (Drift(entity="opportunity", field="model", kind="value_unmapped", reason="Deal.Model__c may be R"),)
    }
    house.systems.troubles.expect("crm.get_opportunity", VendorDrift("some-crm answered strangely."))
    request = await house.wins()
    deal = await house.reaches(request, DealState.EXCEPTION)
    assert [(each.code, each.field) for each in deal.findings] == [("vendor_drift", "check the deal")]


async def test_a_customer_put_right_during_set_up_is_sent_as_it_is_now(house: House) -> None:
    house.systems.add_deal()
    house.systems.troubles.expect("erp.amend_customer", VendorRejected("The ERP says no."))
    request = await house.wins()
    await house.approves_all(request)
    await house.reaches(request, DealState.EXCEPTION)
    house.systems.crm.customers["cus_1"] = customer(name="Put Right")
    await take_in(fact(CustomerChanged(customer_id="cus_1"), "cus_1"))
    await house.reaches(request, DealState.ACTIVATED)
    assert house.systems.erp.sent["cus_1"].name == "Put Right"


@pytest.mark.parametrize(
    "change", [CustomerChanged(customer_id="cus_1"), ContractChanged(contract_id="con_1", opportunity_id="opp_1")]
)
async def test_a_change_that_comes_while_the_deal_is_being_read_is_not_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch, change: CustomerChanged | ContractChanged
) -> None:
    house.systems.add_deal()
    house.systems.crm.customers["cus_1"] = customer(tax_id=None)

    async def outdated(customer_id: str) -> Customer:
        found = house.systems.crm.customers[customer_id]
        if found.tax_id is None:
            house.systems.crm.customers[customer_id] = customer()
            await take_in(fact(change, customer_id))
        return found

    monkeypatch.setattr(house.systems.crm, "get_customer", outdated)
    request = await house.wins()
    await house.reaches(request, DealState.AWAITING_APPROVAL)
    assert len(await house.items(request, ItemState.RESOLVED)) == 1


async def test_a_deal_is_not_begun_while_a_newer_revision_is_taken_in(house: House) -> None:
    house.systems.add_deal(revision=2)
    first = await house.wins(revision=1)
    await house.reaches(first, DealState.AWAITING_APPROVAL)
    second = first.model_copy(update={"revision": 2})

    async def begun() -> bool:
        async with house.rooms.database.transaction() as conn:
            return await Deals().begin_set_up(conn, first)

    async with house.rooms.database.transaction() as conn:
        key = "hashtextextended(:tenant || '|' || :opportunity_id, 42)"
        await conn.execute(
            text(f"SELECT pg_advisory_xact_lock({key})"), {"tenant": TENANT, "opportunity_id": first.opportunity_id}
        )
        beginning = asyncio.create_task(begun())
        await asyncio.sleep(0.3)
        assert await Deals().admit(conn, second) == (Admission.ADMITTED, [first.run_id])
    assert not await beginning


async def test_a_cancelled_deal_is_taken_back_in_reverse(house: House) -> None:
    deal = house.systems.add_deal()
    house.systems.troubles.expect("erp.amend_project", VendorRejected())
    request = await house.wins()
    await house.approves_all(request)
    await house.reaches(request, DealState.EXCEPTION)
    async with house.rooms.database.transaction() as conn:
        assert await Deals().cancel(conn, TENANT, request.run_id, who="olga", because="The customer left.")
    await engine.notify(request.run_id, SIGNAL, {"because": "cancelled"})
    await house.reaches(request, DealState.CANCELLED)
    project_id = next(iter(house.systems.psa.projects))
    assert house.systems.psa.closed == house.systems.erp.closed == [project_id]
    assert house.systems.crm.told[deal.id][-1].stage is DeliveryStage.CANCELLED
    assert not await house.events()
    assert not await house.items(request)


async def test_a_newer_revision_takes_over_a_waiting_deal_and_an_older_one_comes_late(house: House) -> None:
    house.systems.add_deal(revision=2)
    first = await house.wins(revision=1)
    await house.reaches(first, DealState.AWAITING_APPROVAL)
    second = await house.wins(revision=2)
    await house.reaches(first, DealState.SUPERSEDED)
    await house.approves_all(second)
    await house.reaches(second, DealState.ACTIVATED)
    late = await house.wins(revision=3)
    await house.reaches(late, DealState.LATE)
    assert house.systems.troubles.calls["psa.create_project"] == 1


async def test_what_changed_while_people_decided_is_decided_again(house: House) -> None:
    house.systems.add_deal(amount=Money.of("100", "EUR"))
    request = await house.wins()
    approval = (await house.open_approvals(request, 1))[0]
    house.systems.add_deal(amount=Money.of("200", "EUR"))
    await take_in(fact(CustomerChanged(customer_id="cus_1"), "cus_1", number=2))
    await house.decides(approval, "dan")
    again = (await house.open_approvals(request, 1))[0]
    assert again.id != approval.id
    assert again.amount == Money.of("200", "EUR")
    await house.decides(again, "dan")
    await house.reaches(request, DealState.ACTIVATED)


async def test_an_approval_past_its_day_expires_and_is_asked_for_again(house: House) -> None:
    house.systems.add_deal(amount=Money.of("100", "EUR"))
    request = await house.wins()
    approval = (await house.open_approvals(request, 1))[0]
    async with house.rooms.database.transaction() as conn:
        await conn.execute(text("UPDATE approvals SET expires_at = now() - interval '1 minute'"))
    with pytest.raises(Conflict, match="expired"):
        await house.decides(approval, "dan")
    await engine.notify(request.run_id, DECISION, {"because": "time passed"})
    await house.reaches(request, DealState.EXCEPTION)
    assert [each.code for each in (await house.items(request))[0].findings] == ["approval_expired"]
    await house.retries(request)
    again = (await house.open_approvals(request, 1))[0]
    assert again.id != approval.id
    await house.decides(again, "dan")
    await house.reaches(request, DealState.ACTIVATED)


async def test_decisions_and_journal_lines_are_final(house: House) -> None:
    house.systems.add_deal(amount=Money.of("100", "EUR"))
    request = await house.wins()
    await house.approves_all(request, count=1)
    await house.reaches(request, DealState.ACTIVATED)
    for statement in ("UPDATE approval_decisions SET decided_by = 'eve'", "DELETE FROM journal_entries"):
        with pytest.raises(DBAPIError, match="only ever added"):
            async with house.rooms.database.transaction() as conn:
                await conn.execute(text(statement))
    async with house.rooms.database.transaction() as conn:
        row = (await conn.execute(text("SELECT decided_by, through, saw FROM approval_decisions"))).one()
    assert (row.decided_by, row.through) == ("person-0", "test")
    assert row.saw["opportunity"]["reference"] == "O-1"


def _approved_by(who: str) -> tuple[DecisionBody, Decider]:
    return DecisionBody(decision="approve"), Decider(who=who, through="test", kinds=frozenset(ApprovalKind))
