"""The account's limit of requests at once is shared: ours gives way at a refusal, and comes back slowly."""

from __future__ import annotations

import asyncio

import pytest

from deploy.sandbox.netsuite.firm import NetSuiteFirm
from deploy.sandbox.netsuite.tokens import MachineCredentials
from system_apis.connectors.netsuite.connector import NetSuiteConnector, open_connector
from system_apis.connectors.netsuite.lanes import Lanes
from system_apis.ports.binding import Binding
from tests.conformance.erp_firm import customer, draft, plan
from tests.conformance.served import Sandbox


def _open(netsuite: Sandbox, credentials: MachineCredentials, **settings: str) -> NetSuiteConnector:
    known = {
        "base_url": netsuite.base_url,
        "client_id": credentials.client_id,
        "certificate_id": credentials.certificate_id,
    }
    return open_connector(
        Binding("harbour", "netsuite", {**known, **settings}, {"private_key": credentials.private_key})
    )


def _lanes(connector: NetSuiteConnector) -> int:
    return connector._client.lanes  # pyright: ignore[reportPrivateUsage]


def _switch(netsuite: Sandbox, **switches: object) -> None:
    assert netsuite.simulator.configure
    netsuite.simulator.configure(dict(switches))


async def test_refusals_narrow_the_lanes_and_nothing_is_lost(
    netsuite: Sandbox, firm: NetSuiteFirm, credentials: MachineCredentials
) -> None:
    connector = _open(netsuite, credentials, at_once="12")
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    _switch(netsuite, at_once=5, others=3, delay=0.02)
    await asyncio.gather(*(connector.create_invoice(draft(f"inv_{number}")) for number in range(20)))
    assert _lanes(connector) < 12
    _switch(netsuite, at_once=15, others=0, delay=0.0)
    assert await firm.count("invoice") == 20
    await connector.aclose()


async def test_the_limit_is_what_the_account_tells_an_administrator(
    netsuite: Sandbox, firm: NetSuiteFirm, credentials: MachineCredentials
) -> None:
    del firm
    for settings, told, expected in (({}, 9, 9), ({"at_once": "12"}, 9, 9), ({"at_once": "6"}, 9, 6)):
        _switch(netsuite, at_once=told)
        connector = _open(netsuite, credentials, **settings)
        await connector.ping()
        await connector.list_legal_entities()
        assert _lanes(connector) == expected
        await connector.aclose()


async def test_an_account_that_does_not_tell_is_asked_once(
    netsuite: Sandbox, firm: NetSuiteFirm, credentials: MachineCredentials
) -> None:
    del firm
    _switch(netsuite, tells_limits=False)
    connector = _open(netsuite, credentials)
    await connector.ping()
    await connector.ping()
    assert netsuite.calls("governanceLimits") == 1
    assert _lanes(connector) == 5
    await connector.aclose()


def test_lanes_give_way_once_a_second_and_never_to_nothing() -> None:
    now = [0.0]
    lanes = Lanes(10, lambda: now[0])
    for _ in range(5):
        lanes.blocked()
    assert lanes.open == 6, "refusals of one moment have one cause"
    for _ in range(10):
        now[0] += 2
        lanes.blocked()
    assert lanes.open == 1


def test_lanes_come_back_one_by_one_up_to_the_ceiling() -> None:
    lanes = Lanes(4, lambda: 0.0)
    lanes.blocked()
    assert lanes.open == 2
    for _ in range(20):
        lanes.passed()
    assert lanes.open == 2
    for _ in range(60):
        lanes.passed()
    assert lanes.open == 3
    for _ in range(500):
        lanes.passed()
    assert lanes.open == 4


async def test_only_so_many_are_in_flight_as_lanes_are_open() -> None:
    lanes = Lanes(3)
    most = in_flight = 0

    async def drive() -> None:
        nonlocal most, in_flight
        async with lanes.lane():
            in_flight += 1
            most = max(most, in_flight)
            await asyncio.sleep(0.001)
            in_flight -= 1

    await asyncio.gather(*(drive() for _ in range(20)))
    assert (most, in_flight) == (3, 0)
    lanes.told(1)
    most = 0
    await asyncio.gather(*(drive() for _ in range(5)))
    assert most == 1


@pytest.mark.parametrize("limit", [0, -3])
async def test_a_limit_that_makes_no_sense_leaves_one_lane(limit: int) -> None:
    lanes = Lanes(5)
    lanes.told(limit)
    async with lanes.lane():
        assert lanes.open == 1
