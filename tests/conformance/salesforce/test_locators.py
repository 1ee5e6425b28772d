"""Locators that expire while a list is read: it begins anew behind its last row, and nothing is lost or told twice."""

from __future__ import annotations

import pytest

from shared.errors.taxonomy import CursorExpired, Reaction
from system_apis.connectors.salesforce.payloads import AccountPayload
from system_apis.dialects.salesforce.soql import columns
from tests.conformance.salesforce.conftest import Org
from tests.conformance.salesforce.orgs import ask, firm_wire, load_closed
from tests.conformance.small_firm import read_on, tables

READ_ON = "GET .*/query/"


def switch(org: Org, **switches: object) -> None:
    assert org.sandbox.simulator.configure
    org.sandbox.simulator.configure(dict(switches))


async def load(org: Org, deals: int = 9, lines: int = 3) -> None:
    async with firm_wire(org.sandbox.base_url) as firm:
        await load_closed(firm, tables(deals=deals, lines=lines))


@pytest.mark.parametrize("whole_seconds", [False, True])
@pytest.mark.parametrize("expiries", [1, 3, 12])
async def test_a_list_goes_on_behind_its_last_row(org: Org, expiries: int, *, whole_seconds: bool) -> None:
    switch(org, whole_seconds=whole_seconds)
    await load(org)
    deals = await read_on(org.connector.list_opportunities, 7)
    hints = list(await org.connector.list_changes(None))
    assert len({deal.id for deal in deals}) == len(deals) == 9
    switch(org, page_size=2, locators_expire=expiries)
    before = org.sandbox.calls(READ_ON)
    assert await read_on(org.connector.list_opportunities, 7) == deals
    switch(org, locators_expire=expiries)
    assert list(await org.connector.list_changes(None)) == hints
    assert org.sandbox.calls(READ_ON) > before + 2 * expiries, "it was read on, and none of the expiries was left over"


async def test_children_over_several_pages_come_whole_when_their_locator_expires(org: Org) -> None:
    await load(org, deals=1, lines=11)
    whole = await org.connector.get_opportunity(org.deal)
    switch(org, child_page_size=3, locators_expire=1)
    assert await org.connector.get_opportunity(org.deal) == whole
    assert len(whole.lines) == 11


async def test_a_list_without_an_order_begins_once_from_its_start(org: Org) -> None:
    await load(org)
    refs = [row["Id"] for row in await ask(org.sandbox.base_url, "SELECT Id FROM Account")]
    head = f"SELECT {columns(AccountPayload, org.connector._fields)} FROM Account"
    wire = org.connector._client
    switch(org, page_size=4, locators_expire=1)
    found = await wire.rows_by_id(head, refs, AccountPayload)
    assert sorted(row.id for row in found) == sorted(refs)
    switch(org, locators_expire=2)
    with pytest.raises(CursorExpired) as expired:
        await wire.rows_by_id(head, refs, AccountPayload)
    assert (expired.value.status, expired.value.reaction) == (503, Reaction.WAIT)
    assert expired.value.extra["vendor_code"] == "INVALID_QUERY_LOCATOR"


async def test_an_org_that_forgets_every_time_is_not_asked_for_ever(org: Org) -> None:
    await load(org, deals=30, lines=1)
    switch(org, page_size=1, locators_expire=10_000)
    with pytest.raises(CursorExpired):
        await org.connector.list_changes(None)
    assert org.sandbox.calls(READ_ON) == 21
