"""The vendor's limits: searches have a budget of their own, ten seconds are waited out, a spent day is left alone."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, suppress
from datetime import timedelta

import httpx
import pytest

from deploy.sandbox.hubspot import simulator
from deploy.sandbox.hubspot.simulator import PEOPLE
from deploy.sandbox.kit.faults import Fault, FaultKind
from shared.canonical.opportunities import DeliveryStage, DeliveryStatus
from shared.errors.taxonomy import OutcomeUnknown, VendorThrottled, VendorUnavailable
from system_apis.connectors.hubspot.connector import open_connector
from tests.conformance.hubspot.conftest import Portal
from tests.conformance.hubspot.portals import binding_for
from tests.conformance.served import Serve
from tests.conformance.small_firm import read_on

STATUS = DeliveryStatus(stage=DeliveryStage.IN_REVIEW)


async def test_searches_keep_to_their_own_budget(portal: Portal) -> None:
    polite = open_connector(binding_for(portal.sandbox.base_url, searches_per_second="5"))
    async with aclosing(polite):
        started = time.monotonic()
        await asyncio.gather(*(polite.list_customers(modified_since=None, cursor=None, limit=5) for _ in range(12)))
        assert time.monotonic() - started > 2.2
    assert portal.sandbox.calls("POST .*/companies/search") == 12


async def test_other_calls_do_not_wait_for_searches(portal: Portal) -> None:
    polite = open_connector(binding_for(portal.sandbox.base_url, searches_per_second="1"))
    async with aclosing(polite):
        await polite.ping()
        asked = (polite.list_customers(modified_since=None, cursor=None, limit=5) for _ in range(9))
        searching = asyncio.gather(*asked)
        await asyncio.gather(*(polite.get_opportunity(portal.deal) for _ in range(5)))
        assert not searching.done()
        searching.cancel()
        with suppress(asyncio.CancelledError):
            await searching


async def test_too_many_searches_in_a_second_are_asked_again(portal: Portal) -> None:
    portal.switch(searches=2)
    hasty = open_connector(binding_for(portal.sandbox.base_url, pause_seconds="0.4"))
    async with aclosing(hasty):
        pages = await asyncio.gather(
            *(hasty.list_customers(modified_since=None, cursor=None, limit=5) for _ in range(4))
        )
    assert all(len(page.items) == 1 for page in pages)
    assert portal.sandbox.calls("POST .*/companies/search") >= 4


async def test_the_limit_of_the_day_is_told_and_nothing_more_is_asked(portal: Portal) -> None:
    await portal.connector.ping()
    portal.switch(daily=1)
    with pytest.raises(VendorThrottled, match="day") as caught:
        await portal.connector.get_opportunity(portal.deal)
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 900
    asked = portal.sandbox.calls("/crm/")
    for _ in range(3):
        with pytest.raises(VendorThrottled, match="day"):
            await portal.connector.amend_delivery_status(portal.deal, STATUS)
    assert portal.sandbox.calls("/crm/") == asked


async def test_a_limit_names_its_policy_and_has_no_category(serve: Serve) -> None:
    box = await serve(simulator(ten_seconds=2))
    async with httpx.AsyncClient(trust_env=False, headers={"authorization": f"Bearer {PEOPLE.token}"}) as wire:
        url = f"{box.base_url}/crm/v3/objects/deals"
        first, _, third = [await wire.get(url) for _ in range(3)]
        assert (third.status_code, first.headers["x-hubspot-ratelimit-remaining"]) == (429, "1")
        body = third.json()
        assert (body["policyName"], body["errorType"]) == ("TEN_SECONDLY_ROLLING", "RATE_LIMIT")
        assert "category" not in body
        assert "retry-after" not in third.headers
        assert box.simulator.configure is not None
        box.simulator.configure({"advance_ms": 10_001, "searches": 1})
        assert (await wire.get(url)).status_code == 200
        answers = [await wire.post(f"{url}/search", json={}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].json()["policyName"] == "SECONDLY"
    assert not [name for name in answers[0].headers if "ratelimit" in name]


async def test_ten_seconds_are_waited_out(portal: Portal) -> None:
    await portal.connector.ping()
    portal.switch(ten_seconds=1)
    patient = open_connector(binding_for(portal.sandbox.base_url, pause_seconds="0.3"))

    async def later() -> None:
        await asyncio.sleep(0.2)
        portal.switch(advance_ms=10_001)

    async with aclosing(patient), asyncio.TaskGroup() as group:
        group.create_task(later())
        await patient.ping()


@pytest.mark.parametrize("times", [2, None])
async def test_a_locked_record_is_waited_for(portal: Portal, times: int | None) -> None:
    body = '{"status": "error", "message": "locked", "category": "LOCKED", "correlationId": "1"}'
    fault = Fault(kind=FaultKind.STATUS, route="PATCH .*/deals/", times=times, status=423, body=body)
    portal.sandbox.simulator.wire.faults.add(fault)
    if times is None:
        with pytest.raises(VendorThrottled, match="LOCKED"):
            await portal.connector.amend_delivery_status(portal.deal, STATUS)
    else:
        await portal.connector.amend_delivery_status(portal.deal, STATUS)


async def test_a_record_the_vendor_works_on_is_refused_by_the_simulator(portal: Portal) -> None:
    portal.switch(locked=["deals"])
    with pytest.raises(VendorThrottled, match="LOCKED"):
        await portal.connector.amend_delivery_status(portal.deal, STATUS)


@pytest.mark.parametrize(("status", "body"), [(477, ""), (502, "<html>Bad Gateway</html>"), (524, "<html></html>")])
async def test_gateways_are_asked_again_and_then_told(portal: Portal, status: int, body: str) -> None:
    fault = Fault(kind=FaultKind.STATUS, route="batch/read", times=1, status=status, body=body)
    portal.sandbox.simulator.wire.faults.add(fault)
    await portal.connector.get_opportunity(portal.deal)
    lasting = Fault(kind=FaultKind.STATUS, route="(batch/read|PATCH)", times=None, status=status, body=body)
    portal.sandbox.simulator.wire.faults.add(lasting)
    with pytest.raises(VendorUnavailable):
        await portal.connector.get_opportunity(portal.deal)


async def test_a_write_behind_a_gateway_that_keeps_failing_is_not_known(portal: Portal) -> None:
    await portal.connector.ping()
    fault = Fault(kind=FaultKind.STATUS, route="PATCH", times=None, status=502, body="<html></html>")
    portal.sandbox.simulator.wire.faults.add(fault)
    with pytest.raises(OutcomeUnknown):
        await portal.connector.amend_delivery_status(portal.deal, STATUS)


async def test_a_poll_of_a_quiet_portal_costs_few_calls(portal: Portal) -> None:
    await read_on(portal.connector.list_contracts)
    hints = await portal.connector.list_changes(None)
    newest = max(hint.occurred_at for hint in hints if hint.occurred_at)
    portal.switch(advance_ms=3_600_000)
    await portal.connector.ping()
    portal.sandbox.simulator.wire.calls.clear()
    assert await portal.connector.list_changes(newest + timedelta(hours=1)) == []
    assert portal.sandbox.calls("/crm/") == 5
