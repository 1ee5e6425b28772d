"""The feed: change events read on from the last one, a full scan when it is forgotten, the poll where they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from deploy.sandbox.kit.faults import FaultKind
from deploy.sandbox.salesforce import simulator
from deploy.sandbox.salesforce.session import API, SalesforceSession
from deploy.sandbox.salesforce.simulator import CONNECTOR_CLIENT
from shared.canonical.opportunities import DeliveryStage, DeliveryStatus
from shared.errors.taxonomy import Misconfigured, VendorThrottled, VendorUnavailable
from shared.outbound import pack_cursor, unpack_cursor
from system_apis.connectors.salesforce.connector import FollowingConnector, open_connector
from system_apis.dialects.salesforce import feed as feed_room
from system_apis.dialects.salesforce.streaming import cookies_of
from system_apis.ports.changes import ChangeHint
from tests.conformance.salesforce.conftest import Org
from tests.conformance.salesforce.orgs import ask, binding_for
from tests.conformance.served import Serve

STREAM, DATA = "POST /cometd/60.0", "/services/data/"


@pytest.fixture
def connector(org: Org) -> FollowingConnector:
    assert isinstance(org.connector, FollowingConnector)
    return org.connector


def switch(org: Org, **switches: object) -> None:
    assert org.sandbox.simulator.configure
    org.sandbox.simulator.configure(dict(switches))


async def patch(org: Org, sobject: str, ref: str, **values: Any) -> None:
    await org.admin.call("PATCH", f"{API}/sobjects/{sobject}/{ref}", values)


async def ids(org: Org, sobject: str) -> list[str]:
    return [row["Id"] for row in await ask(org.sandbox.base_url, f"SELECT Id FROM {sobject} ORDER BY Id")]


async def anchored(org: Org, connector: FollowingConnector) -> str:
    """A position behind events of every object, so that nothing but the streams is asked from there on."""
    begun = await connector.read_feed(None)
    await patch(org, "Opportunity", org.deal, NextStep="Begin")
    await patch(org, "Account", (await ids(org, "Account"))[0], BillingCity="Begin")
    await patch(org, "Contract", (await ids(org, "Contract"))[0], PO_Number__c="Begin")
    await patch(org, "OpportunityLineItem", (await ids(org, "OpportunityLineItem"))[0], ServiceDate="2026-03-16")
    await patch(org, "Billing_Milestone__c", (await ids(org, "Billing_Milestone__c"))[0], Due_Date__c="2026-04-02")
    assert begun.position
    first = await connector.read_feed(begun.position)
    assert first.position
    assert len(unpack_cursor(first.position)["heard"]) == 5
    return first.position


def told(hints: Sequence[ChangeHint]) -> set[tuple[str, str]]:
    return {(hint.entity, hint.ref) for hint in hints}


@asynccontextmanager
async def opened(org: Org, **settings: str) -> Any:
    made = open_connector(binding_for(org.sandbox.base_url, **settings))
    try:
        yield made
    finally:
        await made.aclose()


async def test_a_reading_without_news_costs_no_api_call_and_five_requests_where_a_poll_costs_five_calls(
    org: Org, connector: FollowingConnector
) -> None:
    position = await anchored(org, connector)
    before, stream = org.sandbox.calls(DATA), org.sandbox.calls(STREAM)
    idle = await connector.read_feed(position)
    assert (list(idle.hints), idle.was_reset) == ([], False)
    assert org.sandbox.calls(DATA) == before
    assert org.sandbox.calls(STREAM) - stream == 5
    await connector.list_changes(datetime.now(UTC))
    assert org.sandbox.calls(DATA) - before == 5


async def test_each_object_speaks_of_the_record_that_is_read_for_it(org: Org, connector: FollowingConnector) -> None:
    position = await anchored(org, connector)
    (account,), (contract,) = await ids(org, "Account"), await ids(org, "Contract")
    line, milestone = (await ids(org, "OpportunityLineItem"))[0], (await ids(org, "Billing_Milestone__c"))[0]
    for change, expected in (
        (("OpportunityLineItem", line, {"TotalPrice": 99.75}), ("opportunity", org.deal)),
        (("Billing_Milestone__c", milestone, {"Amount__c": 1}), ("contract", contract)),
        (("Account", account, {"BillingCity": "Husum"}), ("customer", account)),
        (("Contract", contract, {"PO_Number__c": "PO-2"}), ("contract", contract)),
    ):
        await patch(org, change[0], change[1], **change[2])
        before = org.sandbox.calls(DATA)
        reading = await connector.read_feed(position)
        assert told(reading.hints) == {expected}
        assert org.sandbox.calls(DATA) == before
        assert reading.position
        position = reading.position


async def test_hints_have_the_keys_of_the_poll_so_that_what_both_tell_counts_once(
    org: Org, connector: FollowingConnector
) -> None:
    position = await anchored(org, connector)
    await patch(org, "Opportunity", org.deal, NextStep="Call")
    (hint,) = (await connector.read_feed(position)).hints
    assert hint in await connector.list_changes(None)
    assert (await connector.read_feed(position)).hints == [hint]


async def test_events_that_name_no_parent_have_it_asked_for_even_of_deleted_rows(
    org: Org, connector: FollowingConnector
) -> None:
    position = await anchored(org, connector)
    switch(org, enriched={})
    (contract,), milestones = await ids(org, "Contract"), await ids(org, "Billing_Milestone__c")
    await patch(org, "Billing_Milestone__c", milestones[0], Amount__c=1)
    await org.admin.call("DELETE", f"{API}/sobjects/Billing_Milestone__c/{milestones[1]}")
    before = org.sandbox.calls(DATA)
    reading = await connector.read_feed(position)
    assert [(hint.entity, hint.ref) for hint in reading.hints] == [("contract", contract)] * 2
    assert len({hint.key for hint in reading.hints}) == 2
    assert org.sandbox.calls(DATA) - before == 1


async def test_our_own_delivery_status_is_no_news_but_what_the_org_adds_to_it_is(
    org: Org, connector: FollowingConnector
) -> None:
    position = await anchored(org, connector)
    await connector.amend_delivery_status(org.deal, DeliveryStatus(stage=DeliveryStage.IN_REVIEW))
    own = await connector.read_feed(position)
    assert list(own.hints) == []
    assert own.position
    assert unpack_cursor(own.position)["replays"] != unpack_cursor(position)["replays"]
    async with httpx.AsyncClient(trust_env=False, headers={"Sforce-Call-Options": "client=throughline"}) as http:
        ours = SalesforceSession(
            org.sandbox.base_url, http, client_id=CONNECTOR_CLIENT.client_id, client_secret=CONNECTOR_CLIENT.secret
        )
        body = {"Delivery_Stage__c": "activated", "Amount": 7}  # as a flow of the org would in our transaction
        await ours.call("PATCH", f"{API}/sobjects/Opportunity/{org.deal}", body)
    assert told((await connector.read_feed(own.position)).hints) == {("opportunity", org.deal)}


async def test_gap_events_hint_and_an_overflow_is_a_full_scan(org: Org, connector: FollowingConnector) -> None:
    position = await anchored(org, connector)
    switch(org, gap_events=True)
    line = (await ids(org, "OpportunityLineItem"))[0]
    await patch(org, "OpportunityLineItem", line, TotalPrice=99.75)
    gap = await connector.read_feed(position)
    assert told(gap.hints) == {("opportunity", org.deal)}
    switch(org, gap_events=False, most_changes=0)
    await patch(org, "Account", (await ids(org, "Account"))[0], BillingCity="Husum")
    assert gap.position
    overflow = await connector.read_feed(gap.position)
    assert {hint.entity for hint in overflow.hints} == {"customer", "opportunity", "contract"}
    assert not overflow.was_reset
    assert overflow.position
    assert list((await connector.read_feed(overflow.position)).hints) == []


@pytest.mark.parametrize("code", [402, 403])
async def test_events_of_a_lost_answer_or_session_are_told_all_the_same(
    org: Org, connector: FollowingConnector, code: int
) -> None:
    position = await anchored(org, connector)
    switch(org, unknown_client_code=code, events_per_answer=1, replay_lag=0)
    (account,) = await ids(org, "Account")
    for city in ("Husum", "Kiel", "Bremen"):
        await patch(org, "Account", account, BillingCity=city)
    cut = org.sandbox.fault(FaultKind.CUT_AFTER, "/connect", skip=1)
    reading = await connector.read_feed(position)
    assert org.sandbox.has_struck(cut)
    assert [hint.ref for hint in reading.hints] == [account] * 3
    org.sandbox.heal()
    switch(org, client_seconds=0)  # every client is forgotten at once
    with pytest.raises(VendorUnavailable, match="again and again"):
        await connector.read_feed(position)


async def test_events_that_come_with_other_answers_count_too(org: Org, connector: FollowingConnector) -> None:
    position = await anchored(org, connector)
    switch(org, piggybacks=True, replay_lag=0)
    await patch(org, "Opportunity", org.deal, NextStep="Call")
    reading = await connector.read_feed(position)
    assert told(reading.hints) == {("opportunity", org.deal)}
    assert reading.position
    assert list((await connector.read_feed(reading.position)).hints) == []


async def test_a_flood_is_told_in_parts_none_twice_and_none_never(
    org: Org, connector: FollowingConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_room, "_MOST_EVENTS", 4)
    position = await anchored(org, connector)
    switch(org, events_per_answer=2)
    for step in range(9):
        await patch(org, "Opportunity", org.deal, NextStep=f"Step {step}")
    keys: list[str] = []
    parts = 0
    while (reading := await connector.read_feed(position)).hints:
        keys += [hint.key for hint in reading.hints]
        parts += 1
        assert reading.position
        position = reading.position
        assert parts < 10
    assert (len(keys), len(set(keys)), parts) == (9, 9, 3)


async def test_an_id_that_the_org_forgot_is_a_full_scan_from_which_is_read_on(
    org: Org, connector: FollowingConnector
) -> None:
    position = await anchored(org, connector)
    switch(org, forget_events=True)
    reading = await connector.read_feed(position)
    assert reading.was_reset
    assert {hint.entity for hint in reading.hints} == {"customer", "opportunity", "contract"}
    assert reading.position
    await patch(org, "Opportunity", org.deal, NextStep="Call")
    onward = await connector.read_feed(reading.position)
    assert ("opportunity", org.deal) in told(onward.hints)
    assert not onward.was_reset


async def test_an_org_that_takes_a_forgotten_id_for_all_that_it_has_tells_nothing_less(
    org: Org, connector: FollowingConnector
) -> None:
    position = await anchored(org, connector)
    switch(org, forgives_old_replay=True, forget_events=True)
    await patch(org, "Opportunity", org.deal, NextStep="Call")
    reading = await connector.read_feed(position)
    assert told(reading.hints) == {("opportunity", org.deal)}
    assert not reading.was_reset


async def test_three_days_are_read_on_and_a_position_older_than_them_is_scanned(
    org: Org, connector: FollowingConnector
) -> None:
    state = unpack_cursor(await anchored(org, connector))
    for hours, was_reset in ((70, False), (71.5, True)):
        old = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
        reading = await connector.read_feed(pack_cursor({**state, "at": old}))
        assert reading.was_reset is was_reset


@pytest.mark.parametrize(
    "position",
    [
        "nonsense",
        pack_cursor({}),
        pack_cursor(
            {"at": "2026-01-01", "swept": "2026-01-01", "scanned": "2026-01-01", "channels": [], "replays": {}}
        ),
    ],
)
async def test_a_position_that_is_none_of_ours_is_read_as_forgotten(
    org: Org, connector: FollowingConnector, position: str
) -> None:
    reading = await connector.read_feed(position)
    assert reading.was_reset
    assert {hint.entity for hint in reading.hints} == {"customer", "opportunity", "contract"}
    assert org.deal in {hint.ref for hint in reading.hints}


async def test_another_channel_begins_anew_and_one_of_the_orgs_own_is_followed(
    org: Org, connector: FollowingConnector
) -> None:
    position = await anchored(org, connector)
    switch(org, channels={"Delivery__chn": ["Opportunity", "OpportunityLineItem"]})
    async with opened(org, feed_channels="/data/Delivery__chn") as other:
        begun = await other.read_feed(position)
        assert begun.was_reset
        await patch(org, "Opportunity", org.deal, NextStep="Call")
        onward = await other.read_feed(begun.position)
        assert ("opportunity", org.deal) in told(onward.hints)
        assert list(unpack_cursor(onward.position)["replays"]) == ["/data/Delivery__chn"]
        before = org.sandbox.calls(DATA)
        await patch(org, "Account", (await ids(org, "Account"))[0], BillingCity="Husum")
        assert "customer" in {hint.entity for hint in (await other.read_feed(onward.position)).hints}
        polls = org.sandbox.calls(DATA) - before - 2  # the two are ours
        assert polls == 3, "objects of which the channel has told nothing are polled"


async def test_what_changes_during_the_first_scan_is_not_lost(org: Org, connector: FollowingConnector) -> None:
    polled = connector._polled

    async def slow(since: datetime | None, objects: frozenset[str] | None) -> Sequence[ChangeHint]:
        hints = await polled(since, objects)
        await patch(org, "Opportunity", org.deal, NextStep="Meanwhile")
        return hints

    connector._feed._poll = slow
    begun = await connector.read_feed(None)
    assert begun.position
    assert unpack_cursor(begun.position)["heard"] == ["Opportunity"]
    assert max((hint for hint in begun.hints if hint.ref == org.deal), key=lambda hint: hint.key) in await polled(
        None, None
    )


async def test_a_clock_of_ours_that_is_wrong_loses_nothing(org: Org, connector: FollowingConnector) -> None:
    connector._feed._clock = lambda: datetime.now(UTC) + timedelta(minutes=10)
    begun = await connector.read_feed(None)
    await patch(org, "Opportunity", org.deal, NextStep="Call")
    assert begun.position
    reading = await connector.read_feed(begun.position)
    assert {hint.key for hint in reading.hints} & {hint.key for hint in await connector.list_changes(None)}
    assert ("opportunity", org.deal) in told(reading.hints)


@pytest.mark.parametrize(
    "closed",
    [
        {"streaming": False},
        {"clients_allowed": 0},
        {"events_allowed": 0},
    ],
)
async def test_where_the_streams_are_closed_the_poll_stands_in_and_they_are_left_alone_for_a_while(
    org: Org, connector: FollowingConnector, closed: dict[str, Any]
) -> None:
    position = await anchored(org, connector)
    switch(org, **closed)
    await patch(org, "Opportunity", org.deal, NextStep="Call")
    reading = await connector.read_feed(position)
    assert ("opportunity", org.deal) in told(reading.hints)
    assert not reading.was_reset
    before = org.sandbox.calls(STREAM)
    assert reading.position
    await patch(org, "Account", (await ids(org, "Account"))[0], BillingCity="Husum")
    again = await connector.read_feed(reading.position)
    assert "customer" in {hint.entity for hint in again.hints}
    assert org.sandbox.calls(STREAM) == before
    switch(org, streaming=True, clients_allowed=10, events_allowed=1000)
    connector._feed._refused_until = 0
    assert again.position
    back = await connector.read_feed(again.position)
    assert told(back.hints) == {("opportunity", org.deal), ("customer", (await ids(org, "Account"))[0])}


async def test_an_unknown_channel_is_told_by_the_poll_from_the_beginning(org: Org) -> None:
    async with opened(org, feed_channels="/data/Ghost__ChangeEvent") as lost:
        begun = await lost.read_feed(None)
        assert {hint.entity for hint in begun.hints} == {"customer", "opportunity", "contract"}
        await patch(org, "Opportunity", org.deal, NextStep="Call")
        assert ("opportunity", org.deal) in told((await lost.read_feed(begun.position)).hints)


async def test_an_org_that_captures_nothing_is_polled_as_if_there_were_no_feed(
    org: Org, connector: FollowingConnector
) -> None:
    switch(org, captured=[], forget_events=True)
    begun = await connector.read_feed(None)
    await patch(org, "Opportunity", org.deal, NextStep="Call")
    assert begun.position
    silent = await connector.read_feed(begun.position)
    assert ("opportunity", org.deal) in told(silent.hints)
    before = org.sandbox.calls(STREAM)
    assert silent.position
    await patch(org, "Opportunity", org.deal, NextStep="Call again")
    again = await connector.read_feed(silent.position)
    assert ("opportunity", org.deal) in told(again.hints)
    assert org.sandbox.calls(STREAM) == before, "the streams are tried again some minutes later only"
    switch(org, captured=["Opportunity"])
    await patch(org, "Opportunity", org.deal, NextStep="Heard")
    connector._feed._silent_until = 0
    assert again.position
    heard = await connector.read_feed(again.position)
    assert heard.position
    assert unpack_cursor(heard.position)["heard"] == ["Opportunity"]
    await patch(org, "Account", (await ids(org, "Account"))[0], BillingCity="Husum")
    assert "customer" in {hint.entity for hint in (await connector.read_feed(heard.position)).hints}


async def test_events_of_objects_that_others_selected_prove_nothing_of_ours(
    org: Org, connector: FollowingConnector
) -> None:
    switch(org, captured=["Contact"], forget_events=True)
    begun = await connector.read_feed(None)
    await org.admin.call("POST", f"{API}/sobjects/Contact", {"LastName": "Ada"})
    await patch(org, "Opportunity", org.deal, NextStep="Call")
    assert begun.position
    reading = await connector.read_feed(begun.position)
    assert ("opportunity", org.deal) in told(reading.hints)
    assert reading.position
    state = unpack_cursor(reading.position)
    assert state["replays"]
    assert state["heard"] == []


async def test_what_nobody_selected_for_capture_is_found_by_the_sweep(org: Org, connector: FollowingConnector) -> None:
    position = await anchored(org, connector)
    switch(org, captured=["Opportunity"])
    (account,) = await ids(org, "Account")
    await patch(org, "Account", account, BillingCity="Husum")
    assert list((await connector.read_feed(position)).hints) == []
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1, minutes=1)).isoformat()
    swept = await connector.read_feed(pack_cursor({**unpack_cursor(position), "swept": an_hour_ago}))
    assert ("customer", account) in told(swept.hints)
    assert swept.position
    assert list((await connector.read_feed(swept.position)).hints) == []


@pytest.mark.parametrize("status", [200, 400, 401, 403])
async def test_a_session_that_expired_is_renewed_once_whatever_status_the_refusal_has(
    org: Org, connector: FollowingConnector, status: int
) -> None:
    position = await anchored(org, connector)
    switch(org, refusal_status=status)
    await patch(org, "Opportunity", org.deal, NextStep="Call")
    for step in ("handshake", "subscribe", "connect"):
        org.sandbox.heal()
        logins = org.sandbox.calls("POST /services/oauth2/token")
        fault = org.sandbox.fault(FaultKind.SESSION_EXPIRED, f"/cometd/60.0/{step}")
        assert told((await connector.read_feed(position)).hints) == {("opportunity", org.deal)}
        assert org.sandbox.has_struck(fault)
        assert org.sandbox.calls("POST /services/oauth2/token") == logins + 1


async def test_an_org_that_holds_the_answer_longer_than_asked_is_not_waited_for(
    org: Org, connector: FollowingConnector
) -> None:
    position = await anchored(org, connector)
    switch(org, honours_advice=False)
    await patch(org, "Opportunity", org.deal, NextStep="Call")
    async with asyncio.timeout(5):
        reading = await connector.read_feed(position)
    assert told(reading.hints) == {("opportunity", org.deal)}


async def test_throttling_and_trouble_keep_the_position_and_are_told(org: Org, connector: FollowingConnector) -> None:
    position = await anchored(org, connector)
    org.sandbox.fault(FaultKind.THROTTLED, "/cometd/", times=None)
    with pytest.raises(VendorThrottled):
        await connector.read_feed(position)
    org.sandbox.heal()
    org.sandbox.fault(FaultKind.STATUS, "/cometd/60.0/handshake", times=None)
    with pytest.raises(VendorUnavailable):
        await connector.read_feed(position)
    org.sandbox.heal()
    org.sandbox.fault(FaultKind.MISSING_FIELD, "/connect", times=None, field="commitTimestamp")
    await patch(org, "Opportunity", org.deal, NextStep="Call")
    assert ("opportunity", org.deal) in told((await connector.read_feed(position)).hints)
    assert connector._feed._refused_until > 0


async def test_without_a_channel_there_is_no_feed_and_changes_are_polled(serve: Serve) -> None:
    sandbox = await serve(simulator())
    connector = open_connector(binding_for(sandbox.base_url, feed_channels="none"))
    try:
        assert not hasattr(connector, "read_feed")
        assert list(await connector.list_changes(None)) == []
        assert sandbox.calls(STREAM) == 0
    finally:
        await connector.aclose()


@pytest.mark.parametrize("name", ["feed_wait_seconds", "feed_sweep_seconds"])
def test_a_setting_that_is_no_number_is_named(name: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        open_connector(binding_for("http://unused", **{name: "soon"}))


def test_cookies_are_told_apart_though_their_lines_come_as_one() -> None:
    lines = "BAYEUX_BROWSER=ab12; Path=/cometd/; HttpOnly, t=!0vaF/JE==; expires=Sun, 24-Sep-2023 19:55:37 GMT; Path=/"
    assert cookies_of({"set-cookie": lines + ", force-stream=x"}) == {
        "BAYEUX_BROWSER": "ab12",
        "t": "!0vaF/JE==",
        "force-stream": "x",
    }
    assert cookies_of({}) == {}
