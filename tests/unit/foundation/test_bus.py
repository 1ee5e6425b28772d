"""Consumers of the bus: order per subject, patience, dead letters, restarts."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from shared.canonical.events import Event
from shared.errors.taxonomy import OutcomeUnknown, VendorUnavailable
from shared.persistence import Bus, Database, DeadLetters
from shared.persistence.dead_letter_store import DeadLetter
from shared.telemetry import correlation_id, traceparent
from tests.unit.foundation.facts import KIND, QUICK, Taken, event, until
from tests.unit.foundation.scripted import NatsProcess


async def publish(bus: Bus, *events: Event) -> None:
    for fact in events:
        body = fact.model_dump_json(exclude_none=True).encode()
        await (await bus.publish(tenant=fact.tenant, kind=fact.type, message_id=uuid4().hex, body=body))


async def published(bus: Bus, fact: Event) -> None:
    """Handed over as an outbox does it: again until the server, which may not be quite itself yet, has taken it."""
    async with asyncio.timeout(40):
        while True:
            try:
                await publish(bus, fact)
            except (VendorUnavailable, OutcomeUnknown):
                await asyncio.sleep(0.2)
            else:
                return


async def test_a_failing_event_is_tried_again_and_its_followers_wait(bus: Bus) -> None:
    taken = Taken({"cus_1:1": 2})
    await bus.subscribe("views", [KIND], taken, patience=QUICK)
    await publish(bus, event(1), event(2), event(1, "cus_2"))
    await until(lambda: len(taken.ids) == 3)
    assert [name for name in taken.ids if name.startswith("cus_1:")] == ["cus_1:1", "cus_1:2"]
    assert taken.failures == 2


async def test_an_event_that_keeps_failing_is_a_dead_letter_and_its_followers_go_on(bus: Bus, db: Database) -> None:
    taken = Taken({"cus_1:1": -1}, ValueError("password of postgresql://a:secret@h/x is wrong"))
    await bus.subscribe("views", [KIND], taken, patience=QUICK)
    await publish(bus, event(1), event(2))
    await until(lambda: taken.ids == ["cus_1:2"])
    assert taken.failures == QUICK.attempts
    (letter,) = await DeadLetters(db).list_letters("harbour")
    assert (letter.consumer, letter.event, letter.attempts) == ("views", event(1), QUICK.attempts)
    assert letter.error_code == "ValueError"
    assert "secret" not in letter.error
    assert await DeadLetters(db).list_letters("other") == []
    assert not await DeadLetters(db).resolve("other", letter.id, "dismissed")
    assert await DeadLetters(db).resolve("harbour", letter.id, "dismissed: known")
    assert not await DeadLetters(db).resolve("harbour", letter.id, "again")
    assert await DeadLetters(db).list_letters("harbour") == []
    assert len(await DeadLetters(db).list_letters("harbour", with_resolved=True)) == 1


@pytest.mark.parametrize("trouble", [OutcomeUnknown(), RuntimeError("broken")])
async def test_an_event_that_could_not_be_buried_is_tried_again(
    bus: Bus, db: Database, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    bury, troubles = DeadLetters.bury, [trouble]

    async def breaking(letters: DeadLetters, letter: DeadLetter) -> None:
        if troubles:
            raise troubles.pop()
        await bury(letters, letter)

    monkeypatch.setattr(DeadLetters, "bury", breaking)
    taken = Taken({"cus_1:1": -1})
    await bus.subscribe("views", [KIND], taken, patience=QUICK)
    await publish(bus, event(1), event(2))
    await until(lambda: taken.ids == ["cus_1:2"])
    (letter,) = await DeadLetters(db).list_letters("harbour")
    assert letter.event == event(1)


async def test_an_error_that_passes_by_waiting_is_waited_for_longer(bus: Bus) -> None:
    taken = Taken({"cus_1:1": QUICK.waiting - 1}, VendorUnavailable())
    await bus.subscribe("views", [KIND], taken, patience=QUICK)
    await publish(bus, event(1))
    await until(lambda: taken.ids == ["cus_1:1"])


async def test_an_unreadable_message_stops_nobody(bus: Bus) -> None:
    taken = Taken()
    await bus.subscribe("views", [KIND], taken)
    await (await bus.publish(tenant="harbour", kind=KIND, message_id="x", body=b"{"))
    await publish(bus, event(1))
    await until(lambda: taken.ids == ["cus_1:1"])


async def test_a_consumer_gets_only_the_types_it_asked_for(bus: Bus) -> None:
    taken = Taken()
    await bus.subscribe("views.v1", [KIND, "work.recorded.v1"], taken)
    await publish(bus, event(1, kind="contract.changed.v1"), event(2), event(3, kind="work.recorded.v1"))
    await until(lambda: len(taken.ids) == 2)
    assert taken.ids == ["cus_1:2", "cus_1:3"]


async def test_what_came_while_a_consumer_was_away_is_taken_in_later_once(bus: Bus) -> None:
    first, second = Taken(), Taken()
    subscription = await bus.subscribe("views", [KIND], first)
    await publish(bus, event(1))
    await until(lambda: len(first.ids) == 1)
    await subscription.stop()
    assert not subscription.is_running
    await publish(bus, event(2))
    await bus.subscribe("views", [KIND, "work.recorded.v1"], second)
    await until(lambda: len(second.ids) == 1)
    assert second.ids == ["cus_1:2"]


async def test_events_in_hand_at_a_stop_go_to_another_replica(bus: Bus) -> None:
    failing, taken = Taken({"cus_1:1": -1}), Taken()
    subscription = await bus.subscribe("views", [KIND], failing)
    await publish(bus, event(1), event(2))
    await until(lambda: failing.failures > 0)
    await subscription.stop()
    await bus.subscribe("views", [KIND], taken)
    await until(lambda: len(taken.ids) == 2)


async def test_subjects_are_handled_at_the_same_time_up_to_a_bound(bus: Bus) -> None:
    most = now = done = 0

    async def take(_fact: Event) -> None:
        nonlocal most, now, done
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        done += 1

    await bus.subscribe("views", [KIND], take, at_once=4)
    await publish(bus, *(event(1, f"cus_{n}") for n in range(20)))
    await until(lambda: done == 20)
    assert most == 4


async def test_more_events_than_fit_in_hand_are_all_taken(bus: Bus) -> None:
    taken = Taken()
    await publish(bus, *(event(n, f"cus_{n % 7}") for n in range(700)))
    await bus.subscribe("views", [KIND], taken)
    await until(lambda: len(taken.ids) == 700)
    assert len(set(taken.ids)) == 700


async def test_correlation_and_trace_reach_the_handler(bus: Bus) -> None:
    seen: list[tuple[str | None, str | None]] = []

    async def take(_fact: Event) -> None:
        seen.append((correlation_id.get(), traceparent.get()))

    trace = "0af7651916cd43dd8448eb211c80319c"
    await bus.subscribe("views", [KIND], take)
    carried = {"correlationid": "corr-1", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    await publish(bus, event(1).model_copy(update=carried))
    await until(lambda: bool(seen))
    assert seen[0][0] == "corr-1"
    assert seen[0][1] is not None
    assert trace in seen[0][1]


async def test_a_restarted_server_is_found_again() -> None:
    taken = Taken()
    with NatsProcess() as server:
        bus = await Bus().connect(server.url)
        await bus.subscribe("views", [KIND], taken, patience=QUICK)
        await publish(bus, event(1))
        await until(lambda: len(taken.ids) == 1)
        server.kill()
        with pytest.raises(VendorUnavailable):
            await bus.ping()
        server.start()
        await until(lambda: bus.is_connected, 40)
        await published(bus, event(2))
        await until(lambda: "cus_1:2" in taken.ids, 40)
        assert set(taken.ids) == {"cus_1:1", "cus_1:2"}, "the first may come twice: its acknowledgement may be lost"
        await bus.ping()
        await bus.aclose()


async def test_a_bus_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(VendorUnavailable):
        await Bus().connect("nats://127.0.0.1:1", patience=0.5)
    with pytest.raises(VendorUnavailable):
        await Bus().ping()
