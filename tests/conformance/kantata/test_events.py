"""The feed: subscribed events within the vendor's nine days, a full scan after them, the poll where there are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from deploy.sandbox.kit.faults import FaultKind
from shared.errors.taxonomy import InvalidRequest, VendorUnavailable
from shared.outbound import pack_cursor
from system_apis.connectors.kantata.connector import open_connector
from tests.conformance.kantata.account import binding
from tests.conformance.kantata.conftest import Kantata
from tests.conformance.psa_firm import plan

_DAY = 86_400
_EVENTS = r"GET /api/v1/subscribed_events"


async def _begun(kantata: Kantata) -> str:
    begun = await kantata.connector.read_feed(None)
    assert begun.position
    return begun.position


async def test_events_tell_hours_approvals_and_what_was_deleted(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    position = await _begun(kantata)
    kept, gone = await kantata.account.entries(project.source.ref, 2)
    submission = await kantata.account.approve(project.source.ref, [kept])
    await kantata.account.call("DELETE", f"time_entries/{gone}")
    reading = await kantata.connector.read_feed(position)
    assert {(hint.entity, hint.ref) for hint in reading.hints} >= {
        ("time", kept),
        ("time", gone),
        ("time", submission),
    }
    assert all(hint.key.startswith("event:") for hint in reading.hints if hint.entity == "time")


async def test_of_stories_only_our_milestones_are_told(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    kantata.switch(clock_ahead=600)  # what made the project lies before the overlap of two minutes
    task = await kantata.account.make("stories", "story", {"workspace_id": project.source.ref, "title": "Detail"})
    position = await _begun(kantata)
    kantata.switch(clock_ahead=1200)
    await kantata.account.put(f"stories/{task}", "story", {"state": "completed"})
    await kantata.account.put(f"stories/{project.milestones[0].ref}", "story", {"state": "completed"})
    reading = await kantata.connector.read_feed(position)
    told = {hint.ref for hint in reading.hints if hint.key.startswith("event:")}
    assert told == {project.milestones[0].ref}


async def test_a_value_of_a_custom_field_is_told_although_no_event_tells_it(kantata: Kantata) -> None:
    kantata.switch(value_touches_subject=False)
    project = await kantata.connector.create_project(plan())
    field = await kantata.account.field("Acceptance")
    position = await _begun(kantata)
    await kantata.account.value(field, project.milestones[0].ref, "accepted")
    reading = await kantata.connector.read_feed(position)
    assert any(hint.key.startswith("custom_field_values:") and hint.entity == "milestone" for hint in reading.hints)


async def test_events_told_late_and_twice_are_hinted_once_and_in_order(kantata: Kantata) -> None:
    kantata.switch(events_are_disordered=True)
    project = await kantata.connector.create_project(plan())
    position = await _begun(kantata)
    await kantata.account.entries(project.source.ref, 5)
    reading = await kantata.connector.read_feed(position)
    keys = [hint.key for hint in reading.hints]
    assert len(set(keys)) == len(keys)
    numbers = [int(key.removeprefix("event:")) for key in keys if key.startswith("event:")]
    assert numbers == sorted(numbers)


async def test_more_than_two_hundred_events_are_read_whole(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    position = await _begun(kantata)
    booked = await kantata.account.entries(project.source.ref, 450)
    reading = await kantata.connector.read_feed(position)
    assert {hint.ref for hint in reading.hints} >= set(booked)


async def test_a_flood_of_events_is_told_by_what_it_leaves_behind(
    kantata: Kantata, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("system_apis.connectors.kantata.events._MOST", 250)
    project = await kantata.connector.create_project(plan())
    position = await _begun(kantata)
    await kantata.account.entries(project.source.ref, 300)
    before = kantata.sandbox.calls(_EVENTS)
    reading = await kantata.connector.read_feed(position)
    assert kantata.sandbox.calls(_EVENTS) - before == 2
    assert not reading.was_reset
    assert "time" in {hint.entity for hint in reading.hints}
    assert reading.position
    rest = await kantata.connector.read_feed(reading.position)
    assert {hint.key for hint in rest.hints} <= {hint.key for hint in reading.hints}


async def test_eight_days_are_read_on_and_ten_are_scanned(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    position = await _begun(kantata)
    kantata.switch(clock_ahead=8 * _DAY)
    (early,) = await kantata.account.entries(project.source.ref, 1)
    within = await kantata.connector.read_feed(position)
    assert (within.was_reset, early in {hint.ref for hint in within.hints}) == (False, True)
    kantata.switch(clock_ahead=10 * _DAY)
    beyond = await kantata.connector.read_feed(position)
    assert (beyond.was_reset, early in {hint.ref for hint in beyond.hints}) == (True, True)
    assert beyond.position
    onward = await kantata.connector.read_feed(beyond.position)
    assert not onward.was_reset


async def test_an_account_without_any_event_is_scanned_when_its_position_is_too_old(kantata: Kantata) -> None:
    for days, was_reset in ((8, False), (10, True)):
        old = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        reading = await kantata.connector.read_feed(pack_cursor({"at": old, "anchor": None}))
        assert reading.was_reset is was_reset


@pytest.mark.parametrize("cause", ["no add-on", "no administrator"])
async def test_an_account_without_events_is_polled(kantata: Kantata, cause: str) -> None:
    project = await kantata.connector.create_project(plan())
    token = "sandbox-kantata-collaborator" if cause == "no administrator" else None
    kantata.switch(has_events=cause != "no add-on")
    opened = open_connector(binding(kantata.sandbox.base_url, **({"token": token} if token else {})))
    try:
        begun = await opened.read_feed(None)
        assert begun.position
        booked = await kantata.account.entries(project.source.ref, 2)
        before = kantata.sandbox.calls(_EVENTS)
        reading = await opened.read_feed(begun.position)
        assert {hint.ref for hint in reading.hints} >= set(booked)
        assert not reading.was_reset
        assert reading.position
        assert kantata.sandbox.calls(_EVENTS) == before, "a refusal is remembered for a while"
    finally:
        await opened.aclose()


async def test_a_feed_that_cannot_be_read_is_trouble_and_no_silence(kantata: Kantata) -> None:
    position = await _begun(kantata)
    kantata.sandbox.fault(FaultKind.STATUS, _EVENTS, times=None)
    with pytest.raises(VendorUnavailable):
        await kantata.connector.read_feed(position)


@pytest.mark.parametrize("position", ["nonsense", pack_cursor({"at": "yesterday", "anchor": None}), pack_cursor({})])
async def test_a_position_that_is_not_ours_is_refused(kantata: Kantata, position: str) -> None:
    with pytest.raises(InvalidRequest):
        await kantata.connector.read_feed(position)
