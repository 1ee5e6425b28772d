"""Changes of the vendors become canonical events once, however they are told: pushed, polled, doubled, reversed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from pathlib import Path

import pytest

from deploy.sandbox.kit.faults import Fault, FaultKind
from shared.canonical.events import Event
from shared.canonical.references import canonical_id
from shared.persistence import Bus
from tests.conformance.erp_firm import contract, customer, draft, plan
from tests.unit.system.tier import Tier, Vendors, change_event, opened, replica, until

WON = "opportunity.won.v1"
CHANGED = "opportunity.changed.v1"


@pytest.fixture
async def tier(tmp_path: Path, postgres_url: str, nats_url: str) -> AsyncIterator[Tier]:
    async with opened(tmp_path, postgres_url, nats_url=nats_url) as tier:
        yield tier


@pytest.fixture
def firm(tier: Tier) -> Vendors:
    return tier.vendors["harbour"]


async def on_the_bus(nats_url: str, count: int, types: list[str]) -> list[Event]:
    """So many events as a consumer gets them."""
    heard: list[Event] = []

    async def hear(event: Event) -> None:
        heard.append(event)

    bus = await Bus().connect(nats_url)
    try:
        await bus.subscribe("listener", types, hear)

        async def enough() -> bool | None:
            return True if len(heard) >= count else None

        await until(enough)
        await asyncio.sleep(0.3)  # long enough for one too many to arrive
    finally:
        await bus.aclose()
    return heard


async def test_a_deal_that_is_pushed_and_polled_is_told_once(tier: Tier, firm: Vendors, nats_url: str) -> None:
    firm.pushes(tier.url, firm.crm)
    await firm.load(1)
    assert firm.crm.simulator.deliveries
    await until(_sent(firm))
    await tier.settled()
    pushed = await tier.log(WON)
    assert [kind for kind, _, _ in pushed] == [WON]
    await tier.polls()
    await tier.polls()
    await tier.settled()
    assert await tier.log(WON) == pushed
    deal = canonical_id("opportunity", "harbour", "salesforce", firm.refs["D0000"])
    assert pushed[0][2] == deal
    heard = await on_the_bus(nats_url, 1, [WON])
    assert [(event.type, event.id, event.subject) for event in heard] == pushed
    assert heard[0].data == {"opportunity_id": deal, "revision": 1, "reference": "D0000"}


async def test_a_poll_alone_tells_the_same_event_as_a_push_would(tier: Tier, firm: Vendors) -> None:
    await firm.load(1)
    await tier.polls()
    await tier.settled()
    polled = await tier.log(WON, CHANGED)
    sent = await tier.delivers("salesforce", change_event("Opportunity", firm.refs["D0000"]), firm.webhook_secret)
    assert (sent.status_code, sent.json()) == (202, {"hints": 1, "new": 1})
    await tier.settled()
    assert await tier.log(WON, CHANGED) == polled
    assert len(polled) == 2


async def test_events_delivered_twice_and_in_reverse_are_told_once(tier: Tier, firm: Vendors) -> None:
    await firm.load(1)
    firm.pushes(tier.url, firm.crm, copies=2, order="held")
    for step in ("Call", "Meet", "Sign"):
        await firm.amend("Opportunity", firm.refs["D0000"], NextStep=step)
    await firm.amend("Opportunity", firm.refs["D0000"], Revision__c=2)
    deliveries = firm.crm.simulator.deliveries
    assert deliveries
    assert deliveries.release(reverse=True) == 8
    await until(_sent(firm, 8))
    await tier.settled()
    facts = await tier.log(WON)
    assert len(facts) == 1
    told = await tier.rows("SELECT body->'data'->>'revision' FROM event_log WHERE type = %s", WON)
    assert told == [("2",)]
    await tier.polls()
    await tier.settled()
    assert await tier.log(WON) == facts


async def test_a_won_deal_that_changes_again_is_a_change_not_a_second_win(tier: Tier, firm: Vendors) -> None:
    await firm.load(1)
    await tier.polls()
    await tier.settled()
    for name, told in (("Renamed", 2), ("Renamed", 2), ("Named again", 3), ("Renamed", 4)):
        await asyncio.sleep(1.1)  # the vendor's clock ticks in seconds
        await firm.amend("Opportunity", firm.refs["D0000"], Name=name)
        await tier.polls()
        await tier.settled()
        assert len(await tier.log(WON)) == 1
        assert len(await tier.log(CHANGED)) == told


async def test_what_we_write_back_to_a_deal_is_no_news(tier: Tier, firm: Vendors) -> None:
    await firm.load(1)
    await tier.polls()
    await tier.settled()
    before = await tier.log(CHANGED)
    await asyncio.sleep(1.1)  # the vendor's clock ticks in seconds
    await firm.amend("Opportunity", firm.refs["D0000"], Delivery_Stage__c="activated", NextStep="Celebrate")
    await tier.polls()
    await tier.settled()
    assert await tier.log(CHANGED) == before


async def test_a_changed_milestone_is_a_changed_contract(tier: Tier, firm: Vendors) -> None:
    await firm.load(1)
    firm.pushes(tier.url, firm.crm)
    [milestone, _] = [row async for row in firm.admin.query("SELECT Id FROM Billing_Milestone__c ORDER BY Id")]
    await firm.amend("Billing_Milestone__c", milestone["Id"], Amount__c=90.25)
    await until(_sent(firm))
    await tier.settled()
    facts = await tier.log("contract.changed.v1")
    assert len(facts) == 1
    read = await tier.get(f"/crm/v1/opportunities/{await _deal(tier, firm)}/contract")
    assert "90.25" in [one["amount"]["amount"] for one in read["milestones"]]
    await tier.polls()
    await tier.settled()
    assert await tier.log("contract.changed.v1") == facts


async def test_a_record_that_was_deleted_is_read_and_tells_nothing(tier: Tier, firm: Vendors) -> None:
    await firm.load(1)
    firm.crm.fault(FaultKind.STATUS, r"/query", times=2)  # the first look fails, by the second the deal is gone
    body = change_event("Opportunity", firm.refs["D0000"])
    await firm.delete("Opportunity", firm.refs["D0000"])
    assert (await tier.delivers("salesforce", body, firm.webhook_secret)).status_code == 202
    await tier.settled()
    assert await tier.log(WON, CHANGED) == []
    [(_, _, _, _, state, _, reason)] = await tier.hints()
    assert state == "read"
    assert reason.startswith("not_found:")


async def test_a_vendor_that_is_away_is_waited_for(tier: Tier, firm: Vendors) -> None:
    await firm.load(1)
    down = firm.crm.fault(FaultKind.STATUS, "", times=None)
    body = change_event("Opportunity", firm.refs["D0000"])
    assert (await tier.delivers("salesforce", body, firm.webhook_secret)).status_code == 202

    async def postponed() -> str | None:
        return next((hint[6] for hint in await tier.hints("pending") if hint[5] > 0), None)

    reason = await until(postponed, 40)
    assert reason.startswith("vendor_unavailable:")
    assert firm.crm.has_struck(down)
    # However long it takes: what the vendor owes is never charged to the record.
    await tier.rows("UPDATE change_hints SET attempts = 5000, due_at = now()")

    async def tried_again() -> bool | None:
        [(count, failures, state)] = await tier.rows("SELECT attempts, failures, state FROM change_hints")
        return True if count > 5000 and failures == 0 and state == "pending" else None

    await until(tried_again, 40)
    firm.crm.heal()
    await tier.rows("UPDATE change_hints SET due_at = now()")
    await tier.settled()
    assert len(await tier.log(WON)) == 1


async def test_a_missing_field_is_seen_by_the_operator_and_read_after_a_retry(tier: Tier, firm: Vendors) -> None:
    await firm.load(2)
    firm.crm.fault(FaultKind.MISSING_FIELD, r"/query", times=None, field="IsWon")
    for number, deal in enumerate(("D0000", "D0001")):
        body = change_event("Opportunity", firm.refs[deal])
        await tier.delivers("salesforce", body, firm.webhook_secret, number=f"msg-{number}")

    async def given_up() -> bool | None:
        await tier.rows("UPDATE change_hints SET due_at = now() WHERE state = 'pending' AND leased_until IS NULL")
        return True if len(await tier.hints("failed")) == 2 else None

    await until(given_up)
    failed = await tier.get("/intake/v1/failed-hints", limit=1)
    assert failed["items"][0]["reason"].startswith("vendor_drift:")
    assert "IsWon" in failed["items"][0]["reason"]
    assert failed["items"][0]["ref"] == firm.refs["D0000"]
    rest = await tier.get("/intake/v1/failed-hints", limit=1, cursor=failed["next_cursor"])
    assert [one["ref"] for one in rest["items"]] == [firm.refs["D0001"]]
    assert rest["next_cursor"] is None
    crm = await tier.get("/connectors/v1/connectors/salesforce")
    assert crm["hints"] == {"failed": 2}
    firm.crm.heal()
    none = await tier.ask("POST", "/intake/v1/failed-hints/retries", json={"connector": "kantata"})
    assert none.json() == {"hints": 0}
    one = await tier.ask("POST", "/intake/v1/failed-hints/retries", json={"ids": [failed["items"][0]["id"]]})
    assert one.json() == {"hints": 1}
    rest = await tier.ask("POST", "/intake/v1/failed-hints/retries", json={})
    assert rest.json() == {"hints": 1}
    await tier.settled()
    assert len(await tier.log(WON)) == 2
    assert (await tier.get("/intake/v1/failed-hints"))["items"] == []


async def test_an_answer_that_tarries_holds_up_no_other_record(tier: Tier, firm: Vendors) -> None:
    await firm.load(20)
    slow = Fault(kind=FaultKind.LATENCY, route=r"/query.*Id(\+|%20)IN", skip=3, seconds=6)
    firm.crm.simulator.wire.faults.add(slow)
    await tier.polls()

    async def others_told() -> bool | None:
        return True if len(await tier.hints("read")) >= len(await tier.hints()) - 1 else None

    await until(others_told)
    assert firm.crm.has_struck(slow)
    assert len(await tier.hints("pending")) == 1
    await tier.settled()
    assert len(await tier.log(WON)) == 20


async def test_two_replicas_share_the_work_and_tell_everything_once(
    tier: Tier, firm: Vendors, tmp_path: Path, postgres_url: str
) -> None:
    await firm.load(20)
    async with replica(tmp_path, postgres_url, [firm]) as second:
        await asyncio.gather(tier.polls(), second.polls(), tier.polls())
        await tier.settled()
    assert len(await tier.log(WON)) == len(await tier.log(CHANGED)) == 20
    assert len(await tier.hints("read")) == len(await tier.hints())


async def test_payments_are_read_by_watermark_and_told_once(tier: Tier, firm: Vendors) -> None:
    await firm.load(1)
    body = {"customer": customer().model_dump(mode="json"), "legal_entity_code": "HC-DE"}
    assert (await tier.ask("PUT", "/erp/v1/customers/cus_acme", json=body)).status_code == 200
    for path, model in (("projects", plan()), ("contracts", contract()), ("invoices", draft())):
        answer = await tier.ask("PUT", f"/erp/v1/{path}/{model.id}", json=model.model_dump(mode="json"))
        assert answer.status_code == 200, answer.text
    row = (await firm.books.read_invoices())[0]
    firm.pushes(tier.url, firm.erp)
    await firm.pays(row.record_id, "100.05", "PAY-1", date(2026, 11, 20))
    await until(_sent(firm, 1, "erp"))
    await tier.settled()
    first = await tier.log("payment.received.v1")
    assert len(first) == 1
    await tier.polls()
    await tier.settled()
    assert await tier.log("payment.received.v1") == first
    marks = await tier.rows("SELECT name FROM watermarks WHERE system = 'netsuite' ORDER BY name")
    assert marks == [("changes",), ("payments",), ("polled",)]
    await firm.pays(row.record_id, "50.00", "PAY-2", date(2026, 11, 21))
    await tier.polls()
    await tier.settled()
    await tier.settled()
    assert len(await tier.log("payment.received.v1")) == 2
    listed = await tier.get("/erp/v1/payments")
    assert {one["amount"]["amount"] for one in listed["items"]} == {"100.05", "50.00"}


async def test_recorded_work_is_told_as_such(tier: Tier, firm: Vendors) -> None:
    made = await tier.ask("PUT", "/psa/v1/projects/prj_acme", json=plan().model_dump(mode="json"))
    assert made.status_code == 200, made.text
    await firm.account.entries(made.json()["source"]["ref"], 5)
    assert (await tier.polls())["kantata"]["new"] > 0
    await tier.settled()
    assert len(await tier.log("work.recorded.v1")) == 1
    await tier.polls()  # what the first full scan told has names of its own in the feed
    await tier.settled()
    assert (await tier.polls())["kantata"]["new"] == 0
    assert len((await tier.get("/psa/v1/time-entries"))["items"]) == 5


async def test_one_vendor_that_is_away_keeps_none_of_the_others_from_being_polled(tier: Tier, firm: Vendors) -> None:
    await firm.load(1)
    firm.psa.fault(FaultKind.STATUS, "", times=None)
    polled = await tier.polls()
    assert polled["salesforce"]["new"] == 3
    assert polled["salesforce"]["problem"] is None
    assert polled["netsuite"]["new"] > 0
    assert polled["kantata"]["new"] == 0
    assert polled["kantata"]["problem"]["code"] == "vendor_unavailable"
    health = await tier.get("/connectors/v1/connectors/kantata")
    assert (health["is_healthy"], health["role"]) == (False, "psa")
    assert "kantata" in health["problem"]
    assert (await tier.get("/connectors/v1/connectors/salesforce"))["is_healthy"] is True
    ready = await tier.http.get(f"{tier.url}/ready")
    assert ready.json()["ready"] is True
    assert [check["name"] for check in ready.json()["checks"]] == ["database", "event bus"]


async def test_the_tier_polls_by_itself_where_asked(tmp_path: Path, postgres_url: str) -> None:
    async with opened(tmp_path, postgres_url, poll_seconds=0.2) as tier:
        await tier.vendors["harbour"].load(1)

        async def told() -> bool | None:
            return True if await tier.log(WON) else None

        await until(told)


def _sent(firm: Vendors, count: int = 1, side: str = "crm") -> Callable[[], Awaitable[bool | None]]:
    deliveries = (firm.crm if side == "crm" else firm.erp).simulator.deliveries
    assert deliveries

    async def all_sent() -> bool | None:
        assert deliveries.failed == 0
        return True if deliveries.sent >= count and not deliveries.waiting else None

    return all_sent


async def _deal(tier: Tier, firm: Vendors) -> str:
    deal = canonical_id("opportunity", "harbour", "salesforce", firm.refs["D0000"])
    await tier.get("/crm/v1/opportunities")
    return deal
