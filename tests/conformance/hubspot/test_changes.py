"""What changed is told whole and once: beyond the search's window, within one instant, behind a slow index."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deploy.sandbox.hubspot.setup import custom_objects
from deploy.sandbox.kit.faults import FaultKind
from deploy.sandbox.kit.firm import WireRefused
from shared.errors.taxonomy import CredentialsRefused, InvalidRequest
from shared.outbound import pack_cursor
from system_apis.connectors.hubspot.connector import open_connector
from tests.conformance.hubspot.conftest import Portal
from tests.conformance.hubspot.portals import binding_for, firm_wire, load
from tests.conformance.small_firm import read_on, tables


async def _companies(portal: Portal, many: int) -> None:
    """New companies, a hundred to an instant."""
    rows = [{"properties": {"name": f"Company {n}"}} for n in range(many)]
    for at in range(0, many, 100):
        body = {"inputs": rows[at : at + 100]}
        await portal.people.call("POST", "/crm/v3/objects/companies/batch/create", body)


async def test_more_changes_than_a_search_shows_are_told_whole(portal: Portal) -> None:
    await _companies(portal, 10_150)
    asked = {"limit": 200, "after": "9900"}
    with pytest.raises(WireRefused, match="window"):
        await portal.people.call("POST", "/crm/v3/objects/companies/search", asked)
    hints = await portal.connector.list_changes(None)
    told = [hint.ref for hint in hints if hint.entity == "customer"]
    assert len(told) == len(set(told)) == 10_151
    stamps = [hint.occurred_at for hint in hints if hint.occurred_at]
    assert stamps == sorted(stamps)
    assert portal.sandbox.calls("POST .*/companies/search") < 130


async def test_one_instant_with_more_records_than_a_page_is_read_by_id(portal: Portal) -> None:
    await _companies(portal, 100)
    found = await read_on(portal.connector.list_customers, limit=7)
    assert len({customer.source.ref for customer in found}) == len(found) == 101


async def test_a_changed_line_brings_its_deal_and_a_milestone_its_contract(portal: Portal) -> None:
    milestone = (await custom_objects(portal.people))["tl_milestone"]
    before = await portal.connector.get_opportunity(portal.deal)
    agreed = await portal.connector.find_contract(portal.deal)
    assert agreed is not None
    known = {hint.key for hint in await portal.connector.list_changes(None)}
    since = datetime.now(UTC)
    await asyncio.sleep(0.005)
    await portal.amend("line_items", "D0000-1", price="101.25")
    await portal.amend(milestone, "D0000-1-M1", tl_amount="101.25")
    changed = [hint for hint in await portal.connector.list_changes(None) if hint.key not in known]
    assert [(hint.entity, hint.ref) for hint in changed] == [
        ("opportunity", portal.deal),
        ("contract", agreed.source.ref),
    ]
    [deal] = await read_on(portal.connector.list_opportunities, since=since)
    assert deal.lines[0].amount.amount != before.lines[0].amount.amount
    assert deal.source.modified_at is not None
    assert deal.source.modified_at >= since
    assert deal.source.version != before.source.version
    [later] = await read_on(portal.connector.list_contracts, since=since)
    assert later.milestones[0].amount.amount != agreed.milestones[0].amount.amount
    assert await read_on(portal.connector.list_customers, since=since) == []


async def test_a_deal_with_many_changes_is_listed_once_at_its_latest(portal: Portal) -> None:
    base_url = portal.sandbox.base_url
    await load(base_url, tables(deals=5, lines=3))
    for number in (3, 1, 3):
        await portal.amend("line_items", f"D000{number}-2", description=f"again {number}")
        await portal.amend("deals", f"D000{number}", description="again")
    names = [deal.name for deal in await read_on(portal.connector.list_opportunities, limit=2)]
    assert names == ["Deal 0000", "Deal 0002", "Deal 0004", "Deal 0001", "Deal 0003"]


async def test_what_changes_while_a_list_is_read_is_neither_lost_nor_doubled(portal: Portal) -> None:
    await load(portal.sandbox.base_url, tables(deals=9))
    first = await portal.connector.list_opportunities(modified_since=None, cursor=None, limit=3)
    assert len(first.items) == 3
    await portal.amend("deals", "D0007", description="moved to the end")
    await portal.amend("deals", first.items[0].reference, description="changed again")
    names: list[str] = []
    cursor = first.next_cursor
    while cursor:
        page = await portal.connector.list_opportunities(modified_since=None, cursor=cursor, limit=3)
        names += [deal.name for deal in page.items]
        cursor = page.next_cursor
    left = sorted({f"Deal 000{n}" for n in range(9)} - {deal.name for deal in first.items})
    assert names[-2:] == ["Deal 0007", first.items[0].name]
    assert sorted(names[:-1]) == left


async def test_a_slow_index_is_made_up_for_by_looking_back(portal: Portal) -> None:
    await portal.connector.list_changes(None)
    portal.switch(index_lag_ms=60_000)
    await portal.amend("deals", "D0000", description="not indexed yet")
    changed = (await portal.connector.get_opportunity(portal.deal)).source.modified_at
    assert changed is not None
    stale = await portal.connector.list_changes(changed)
    assert changed not in {hint.occurred_at for hint in stale}
    seen = max(hint.occurred_at for hint in await portal.connector.list_changes(None) if hint.occurred_at)
    portal.switch(advance_ms=61_000)
    assert changed in {hint.occurred_at for hint in await portal.connector.list_changes(seen + timedelta(minutes=4))}
    hasty = open_connector(binding_for(portal.sandbox.base_url, overlap_seconds="1"))
    assert await hasty.list_changes(changed + timedelta(seconds=30)) == []
    await hasty.aclose()


async def test_what_the_index_has_not_heard_of_ends_the_list(portal: Portal) -> None:
    await read_on(portal.connector.list_opportunities)
    portal.switch(index_lag_ms=60_000)
    await portal.amend("deals", "D0000", description="not indexed yet")
    [deal] = await read_on(portal.connector.list_opportunities)
    assert deal.source.modified_at == (await portal.connector.get_opportunity(portal.deal)).source.modified_at


async def test_a_token_that_ends_between_two_pages_is_renewed(portal: Portal) -> None:
    await load(portal.sandbox.base_url, tables(deals=9))
    portal.sandbox.fault(FaultKind.SESSION_EXPIRED, "POST .*/line_items/search", skip=1)
    names = {deal.name for deal in await read_on(portal.connector.list_opportunities, limit=3)}
    assert len(names) == 9
    assert portal.sandbox.calls("POST /oauth/v3/token") == 2


async def test_a_token_ends_after_half_an_hour(portal: Portal) -> None:
    await portal.connector.ping()
    portal.switch(advance_ms=1_799_000)
    await portal.connector.ping()
    assert portal.sandbox.calls("POST /oauth/v3/token") == 1
    portal.switch(advance_ms=2_000)
    await portal.connector.ping()
    assert portal.sandbox.calls("POST /oauth/v3/token") == 2


async def test_a_refresh_token_that_was_taken_back_is_told(portal: Portal) -> None:
    known = binding_for(portal.sandbox.base_url)
    stale = open_connector(replace(known, secrets={**known.secrets, "refresh_token": "x"}))
    with pytest.raises(CredentialsRefused, match="invalid_grant"):
        await stale.ping()
    await stale.aclose()


@pytest.mark.parametrize("cursor", [{"at": "x", "rank": 0, "ref": 1}, {"at": "2026-01-01T00:00:00+00:00"}, {}])
async def test_a_strange_cursor_is_refused(portal: Portal, cursor: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        await portal.connector.list_customers(modified_since=None, cursor=pack_cursor(cursor), limit=5)


async def test_loading_a_firm_again_is_a_change_of_everything(portal: Portal) -> None:
    before = {hint.key for hint in await portal.connector.list_changes(None)}
    async with firm_wire(portal.sandbox.base_url) as firm:
        await firm.load(tables())
    after = await portal.connector.list_changes(None)
    assert {hint.key for hint in after}.isdisjoint(before)
    assert {hint.entity for hint in after} == {"customer", "opportunity", "contract"}
