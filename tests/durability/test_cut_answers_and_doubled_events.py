"""Answers are lost after the vendor acted, and every event comes twice and in reverse: all the same exactly once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import nats
import psycopg
from nats.js import JetStreamContext

from deploy.local.bus import Nats
from deploy.local.supervisor import House
from deploy.sandbox.kit.faults import Fault, FaultKind
from tests.durability.shift import Shift
from tests.factories.little_deals import LittleDeal

SETTING_UP = (
    ("netsuite", r"^PUT .*/customer/"),
    ("kantata", r"^POST .*/workspaces"),
    ("kantata", r"^POST .*/stories"),
    ("kantata", r"^POST .*/billing_milestones"),
    ("netsuite", r"^PUT .*/job/"),
    ("netsuite", r"^PUT .*/projectTask/"),
    ("netsuite", r"^PUT .*/salesOrder/"),
    ("netsuite", r"^PUT .*/billingSchedule/"),
    ("salesforce", r"^PATCH /services/data/v[0-9.]+/sobjects/Opportunity/"),
)
BILLING = (
    ("netsuite", r"^PUT .*/invoice/"),
    ("kantata", r"^POST .*/invoices"),
    ("salesforce", r"^PATCH .*/sobjects/Invoice_Status__c/"),
)
STREAM = "THROUGHLINE"
VENDORS = ("salesforce", "kantata", "netsuite")


def _cut(calls: tuple[tuple[str, str], ...]) -> list[tuple[str, Fault]]:
    """The first two answers of each call are lost on their way."""
    return [(vendor, Fault(kind=FaultKind.CUT_AFTER, route=route, times=2)) for vendor, route in calls]


async def test_every_write_whose_answer_is_cut_is_done_once(shift: Shift) -> None:
    deals = [LittleDeal("CUT-A"), LittleDeal("CUT-B")]
    before = await shift.auditor.count()
    await shift.faults(*_cut(SETTING_UP))
    await shift.win(*deals)
    await shift.until_active(*deals)
    assert await shift.struck(*VENDORS) == [2] * len(SETTING_UP)
    await shift.auditor.assert_set_up_once(deals, before)

    await shift.book(*deals)
    before = await shift.auditor.count()
    await shift.faults(*_cut(BILLING))
    await shift.desk.start_billing()
    await shift.until_billed(*deals)
    assert await shift.struck(*VENDORS) == [2] * len(BILLING)
    await shift.auditor.assert_billed_once(deals, before)


async def test_changes_pushed_twice_and_in_reverse_set_a_deal_up_once(shift: Shift) -> None:
    deals = [LittleDeal("TWICE-A"), LittleDeal("TWICE-B")]
    before = await shift.auditor.count()
    await shift.deliveries(copies=2, order="held")
    await shift.win(*deals)
    sent = (await shift.delivered())["sent"]
    await shift.release_reversed()

    async def are_delivered() -> bool:
        return (await shift.delivered())["waiting"] == 0

    await shift.until("all held changes delivered", are_delivered)
    delivered = await shift.delivered()
    assert delivered["failed"] == 0
    pushed = delivered["sent"] - sent
    assert pushed >= 2 * len(deals) * 2, "each deal's account, deal and contract came at least twice"
    assert pushed % 2 == 0
    await shift.until_active(*deals)
    await shift.auditor.assert_set_up_once(deals, before)


async def test_facts_told_twice_more_and_in_reverse_change_nothing(shift: Shift, house: House) -> None:
    deal = LittleDeal("AGAIN")
    await shift.win(deal)
    await shift.until_active(deal)
    await shift.book(deal)
    before = await shift.auditor.count()
    await shift.desk.start_billing()
    await shift.until_billed(deal)
    await shift.pay(deal)
    await shift.desk.poll()
    await shift.until("paid", lambda: shift.auditor.is_paid(deal))
    await shift.settled()
    after = await shift.auditor.count()

    async with _stream(house) as stream:
        told = await _tell_again(stream)
        assert told > 0
        await shift.until("all facts heard again", lambda: _is_heard(stream))
        # Once more to consumers that have forgotten what they have seen: the acts themselves must be repeatable.
        async with await psycopg.AsyncConnection.connect(house.database_url("process")) as connection:
            forgotten = await connection.execute("DELETE FROM inbox")
            assert forgotten.rowcount > 0
        assert await _tell_again(stream) == 2 * told
        await shift.until("all facts heard again", lambda: _is_heard(stream))
    run = await shift.desk.start_billing()
    await shift.until("a second billing run has ended", lambda: _has_ended(shift, run))

    assert (await shift.desk.billing_run(run))["invoices"] == 0
    assert await shift.auditor.count() == after
    before["netsuite customerPayment"] += 2
    await shift.auditor.assert_billed_once([deal], before, is_paid=True)


@asynccontextmanager
async def _stream(house: House) -> AsyncGenerator[JetStreamContext]:
    kept = house.installation
    server = Nats(kept.places.nats / "nats.conf", kept.ports.nats, kept.secrets.nats_password)
    client = await nats.connect(server.url)  # pyright: ignore[reportUnknownMemberType] - untyped options
    try:
        yield client.jetstream()  # pyright: ignore[reportUnknownMemberType] - untyped options
    finally:
        await client.close()


async def _tell_again(stream: JetStreamContext) -> int:
    """Every message of the stream once more, the last first, without the id by which the bus would drop it."""
    state = (await stream.stream_info(STREAM)).state
    numbers = range(state.last_seq, state.first_seq - 1, -1)
    for number in numbers:
        message = await stream.get_msg(STREAM, number)
        assert message.subject is not None
        await stream.publish(message.subject, message.data or b"")
    return len(numbers)


async def _is_heard(stream: JetStreamContext) -> bool:
    consumers = await stream.consumers_info(STREAM)
    return bool(consumers) and all(one.num_pending == 0 and one.num_ack_pending == 0 for one in consumers)


async def _has_ended(shift: Shift, run: str) -> bool:
    return (await shift.desk.billing_run(run))["state"] != "running"
