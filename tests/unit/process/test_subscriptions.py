"""Facts that come twice, late or in the wrong order do no harm; the bus and the engine together."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from process_apis.quote_to_project import routes
from process_apis.quote_to_project.models import DealRequest, DealState
from process_apis.subscriptions import Dispatcher
from shared.canonical.events import (
    ContractChanged,
    CustomerChanged,
    Event,
    OpportunityChanged,
    OpportunityWon,
    ReferenceDataChanged,
)
from shared.persistence import Bus, Relay
from tests.unit.process.conftest import until
from tests.unit.process.events import fact
from tests.unit.process.fake_systems import TENANT, customer, service_item

if TYPE_CHECKING:
    from tests.unit.process.conftest import House


def won(number: str = "1", revision: int = 1) -> Event:
    body = OpportunityWon(opportunity_id=f"opp_{number}", revision=revision, reference=f"O-{number}")
    return fact(body, f"opp_{number}", revision)


def request_of(event: Event) -> DealRequest:
    body = event.body()
    assert isinstance(body, OpportunityWon)
    return DealRequest(
        tenant=TENANT, opportunity_id=body.opportunity_id, revision=body.revision, won_at=datetime.now(UTC)
    )


async def test_an_event_acts_once_per_consumer(house: House) -> None:
    dispatcher, seen = Dispatcher(house.rooms.database), list[str]()

    async def look(event: Event) -> None:
        seen.append(event.id)

    dispatcher.on("opportunity.won.v1", consumer="one", act=look)
    dispatcher.on("opportunity.won.v1", consumer="two", act=look)
    assert await dispatcher.deliver("one", won()) is True
    assert await dispatcher.deliver("one", won()) is False
    assert await dispatcher.deliver("two", won()) is True
    assert len(seen) == 2


async def test_an_act_that_fails_is_not_taken_for_done(house: House) -> None:
    dispatcher, fails = Dispatcher(house.rooms.database), [True]

    async def stumble(_event: Event) -> None:
        if fails.pop() if fails else False:
            raise ConnectionError

    dispatcher.on("opportunity.won.v1", consumer="one", act=stumble)
    failed = await asyncio.gather(dispatcher.deliver("one", won()), return_exceptions=True)
    assert isinstance(failed[0], ConnectionError)
    assert await dispatcher.deliver("one", won()) is True


async def test_won_deals_arrive_over_the_bus_and_activation_is_told_on_it(house: House, nats_url: str) -> None:
    house.systems.add_deal()
    bus = await Bus().connect(nats_url)
    dispatcher = Dispatcher(house.rooms.database)
    routes.register(dispatcher)
    told: list[str] = []

    async def hear(event: Event) -> None:
        told.append(event.type)

    dispatcher.on("project.activated.v1", consumer="listener", act=hear)
    relay = Relay(house.rooms.database, bus)
    relaying = asyncio.create_task(relay.run())
    await dispatcher.listen(bus)
    event = won()
    for number in range(2):
        sent = await bus.publish(
            tenant=TENANT, kind=event.type, message_id=f"{event.id}-{number}", body=event.model_dump_json().encode()
        )
        await sent
    await house.approves_all(request_of(event))
    await house.reaches(request_of(event), DealState.ACTIVATED)

    async def heard() -> bool | None:
        return True if told else None

    await until(heard)
    assert told == ["project.activated.v1"]
    assert house.systems.troubles.calls["psa.create_project"] == 1
    await relay.stop()
    await asyncio.wait([relaying], timeout=5)
    await bus.aclose()


async def test_any_fact_about_a_parked_deal_wakes_it_and_any_other_leaves_it(house: House) -> None:
    house.systems.add_deal()
    house.systems.crm.customers["cus_1"] = customer(tax_id=None)
    house.systems.erp.items.pop()
    request = await house.wins()
    await house.reaches(request, DealState.EXCEPTION)

    async def checked(times: int) -> None:
        async def there() -> bool | None:
            items = await house.items(request)
            return True if items and items[0].times_checked == times else None

        await until(there)

    await checked(1)
    for number, body in enumerate(
        (
            OpportunityChanged(opportunity_id="opp_1", revision=1),
            ContractChanged(contract_id="con_1", opportunity_id="opp_1"),
            CustomerChanged(customer_id="cus_1"),
            ReferenceDataChanged(kind="service_item"),
        )
    ):
        await routes.take_in(fact(body, "opp_1", number))
        await checked(number + 2)
    await routes.take_in(fact(CustomerChanged(customer_id="cus_other"), "cus_other"))
    await routes.take_in(fact(ReferenceDataChanged(kind="rate_card"), "rate_card"))
    await asyncio.sleep(0.3)
    await checked(5)


async def test_wakes_that_come_before_the_deal_looks_again_are_one(house: House) -> None:
    house.systems.add_deal()
    house.systems.crm.customers["cus_1"] = customer(tax_id=None)
    request = await house.wins()
    await house.reaches(request, DealState.EXCEPTION)
    async with house.rooms.database.transaction() as conn:
        first = await house.rooms.exceptions.wake_subjects(conn, TENANT, ["opp_1"], because="a change")
        second = await house.rooms.exceptions.wake_subjects(conn, TENANT, ["opp_1"], because="another")
    assert (len(first), len(second)) == (1, 0)


async def test_revisions_that_arrive_reversed_end_with_the_newest(house: House) -> None:
    house.systems.add_deal(revision=3)
    house.systems.erp.items.append(service_item("Extra"))
    for revision in (3, 1, 2):
        await routes.take_in(won(revision=revision))
    newest = request_of(won(revision=3))
    await house.approves_all(newest)
    await house.reaches(newest, DealState.ACTIVATED)
    for revision in (1, 2):
        older = await house.deal(request_of(won(revision=revision)))
        assert older.state in {DealState.LATE, DealState.SUPERSEDED}
    assert len(house.systems.psa.projects) == 1
