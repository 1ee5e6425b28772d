"""The feed over the package's objects: hours by card and split, of our projects only, at no cost without news."""

from __future__ import annotations

from datetime import date

from deploy.sandbox.certinia.words import HEADER, MILESTONE, SPLIT
from deploy.sandbox.salesforce.session import API
from shared.canonical.billing import BillingMark
from shared.outbound import unpack_cursor
from system_apis.connectors.certinia.connector import FollowingConnector, open_connector
from system_apis.connectors.certinia.mapping import entry_ref
from tests.conformance.certinia.conftest import Org
from tests.conformance.certinia.orgs import binding

TUESDAY = date(2026, 2, 3)
DATA = "/services/data/"


async def begun(org: Org, ref: str) -> tuple[FollowingConnector, str, str]:
    """The connector, a timecard, and a position from which nothing but the streams is asked."""
    connector = org.connector
    assert isinstance(connector, FollowingConnector)
    first = await connector.read_feed(None)
    card = await org.hands.card(ref, {TUESDAY: 7.5})
    await org.hands.expense(ref, pse__Mobile_Expense_Reference_ID__c="X-1")
    await org.hands.complete("mil_1-1")
    assert first.position
    reading = await connector.read_feed(first.position)
    assert {hint.entity for hint in reading.hints} == {"time", "expense", "milestone"}
    assert reading.position
    assert len(unpack_cursor(reading.position)["heard"]) == 4
    return connector, card, reading.position


async def test_hours_are_hinted_by_their_card_and_an_idle_reading_costs_no_call(org: Org) -> None:
    project = await org.project()
    connector, card, position = await begun(org, project.source.ref)
    before = org.sandbox.calls(DATA)
    assert list((await connector.read_feed(position)).hints) == []
    assert org.sandbox.calls(DATA) == before
    mark = BillingMark(
        invoice_id="inv_1",
        invoice_ref="48213",
        project_id="prj_1",
        invoice_on=date(2026, 2, 28),
        time_entry_refs=(entry_ref(card, TUESDAY),),
    )
    await connector.mark_billed(mark)
    splits = await org.hands.ask(f"SELECT Id FROM {SPLIT}")
    reading = await connector.read_feed(position)
    assert {(hint.entity, hint.ref) for hint in reading.hints} == {("time", card)}
    assert splits[0]["Id"] not in {hint.ref for hint in reading.hints}
    polled = await connector.list_changes(None)
    assert max(hint.key for hint in reading.hints) in {hint.key for hint in polled}


async def test_rows_of_projects_that_are_not_ours_are_left_out(org: Org) -> None:
    project = await org.project()
    connector, _, position = await begun(org, project.source.ref)
    stranger = await org.project(2)
    await org.hands.patch("pse__Proj__c", stranger.source.ref, Throughline_Id__c=None)
    card = await org.hands.card(stranger.source.ref, {TUESDAY: 1.0})
    reading = await connector.read_feed(position)
    assert card not in {hint.ref for hint in reading.hints}
    assert stranger.milestones[0].ref not in {hint.ref for hint in reading.hints if hint.entity == "milestone"}
    assert await org.hands.count(f"{HEADER} WHERE Id = '{card}'") == 1


async def test_events_of_a_crm_in_the_same_org_cost_nothing_but_their_delivery(org: Org) -> None:
    project = await org.project()
    connector, _, position = await begun(org, project.source.ref)
    org.switch(captured=["Account", HEADER, SPLIT, MILESTONE])
    await org.hands.wire.call("POST", f"{API}/sobjects/Account", {"Name": "Prospect"})
    before = org.sandbox.calls(DATA)
    reading = await connector.read_feed(position)
    assert list(reading.hints) == []
    assert org.sandbox.calls(DATA) == before
    assert reading.position != position


async def test_without_a_channel_hours_are_polled(org: Org) -> None:
    connector = open_connector(binding(org.sandbox.base_url, feed_channels="none"))
    try:
        assert not hasattr(connector, "read_feed")
        assert list(await connector.list_changes(None)) == []
    finally:
        await connector.aclose()
