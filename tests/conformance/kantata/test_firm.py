"""The firm's hours and completions arrive in Kantata as its files say, once, and come back through the connector."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest

from deploy.sandbox.kantata.firm import KantataFirm
from deploy.sandbox.kantata.vendor import VENDOR
from system_apis.connectors.kantata.connector import open_connector
from system_apis.ports.binding import Binding
from tests.conformance.kantata.conftest import Kantata
from tests.conformance.psa_firm import USERS, entry, plan, read_whole
from tests.conformance.served import Serve


async def test_hours_come_back_as_they_were_booked(kantata: Kantata) -> None:
    firm = KantataFirm(kantata.sandbox.base_url, kantata.account.client)
    project = await kantata.connector.create_project(plan())
    entries = [
        entry(1),
        entry(2, user_id="8", hours="0.05", approved="false"),
        entry(3, user_id="8", role="Architect", billable="false", workstream="WS1"),
        entry(4, opportunity_id="OPP9"),
        *(entry(number) for number in range(10, 260)),
    ]
    told: list[tuple[int, int]] = []
    await firm.load_users(USERS)
    booked = await firm.book({"OPP1": project.source.ref}, entries, [], lambda done, total: told.append((done, total)))
    assert booked == 253
    assert told[-1] == (253, 253)
    seen = {one.reference: one for one in await read_whole(kantata.connector.list_time_entries)}
    assert len(seen) == 253
    assert (seen["E-1"].hours, seen["E-1"].role, seen["E-1"].resource_name) == (Decimal("7.2500"), "Engineer", "Ada")
    assert (seen["E-2"].hours, seen["E-2"].role, seen["E-2"].is_approved) == (Decimal("0.0500"), None, False)
    assert (seen["E-3"].role, seen["E-3"].is_billable, seen["E-3"].workstream_id) == ("Architect", False, "wks_1-1")
    assert sum(one.is_approved for one in seen.values()) == 252


async def test_booking_again_books_nothing_twice(kantata: Kantata) -> None:
    firm = KantataFirm(kantata.sandbox.base_url, kantata.account.client)
    project = await kantata.connector.create_project(plan())
    await firm.load_users(USERS)
    await firm.load_users(USERS)
    assert await firm.book({"OPP1": project.source.ref}, [entry(1)], []) == 1
    assert await firm.book({"OPP1": project.source.ref}, [entry(1), entry(2)], []) == 1
    assert len(await kantata.account.rows("time_entries")) == 2
    assert len(await kantata.account.rows("users", on_my_account="true")) == 3


async def test_milestones_are_completed_on_their_day(kantata: Kantata) -> None:
    firm = KantataFirm(kantata.sandbox.base_url, kantata.account.client)
    project = await kantata.connector.create_project(plan())
    done = [
        {"milestone_id": "OPP1-M1", "opportunity_id": "OPP1", "completed_on": "2017-05-10", "approved": "true"},
        {"milestone_id": "OPP1-M2", "opportunity_id": "OPP1", "completed_on": "2017-05-11", "approved": "false"},
    ]
    await firm.book({"OPP1": project.source.ref}, [], done)
    reached = await read_whole(kantata.connector.list_milestones)
    assert sorted((one.reference, one.completed_on.isoformat(), one.is_approved) for one in reached) == [
        ("OPP1-M1", "2017-05-10", True),
        ("OPP1-M2", "2017-05-11", False),
    ]


async def test_projects_are_read_back_with_our_ids(kantata: Kantata) -> None:
    firm = KantataFirm(kantata.sandbox.base_url, kantata.account.client)
    project = await kantata.connector.create_project(plan())
    await kantata.account.workspace(title="Not ours")
    (row,) = (await firm.read_projects()).items()
    assert row[0] == project.source.ref
    assert (row[1].project_id, row[1].title) == ("prj_1", "Project 1")
    assert (row[1].workstreams, row[1].milestones) == (("wks_1-1", "wks_1-2"), ("mil_1-1", "mil_1-2"))
    assert await firm.read_invoices() == []


async def test_hours_that_are_not_whole_minutes_are_refused(kantata: Kantata) -> None:
    firm = KantataFirm(kantata.sandbox.base_url, kantata.account.client)
    project = await kantata.connector.create_project(plan())
    await firm.load_users(USERS)
    with pytest.raises(ValueError, match="E-1"):
        await firm.book({"OPP1": project.source.ref}, [entry(1, hours="0.333")], [])


async def test_hours_that_were_booked_but_not_approved_are_approved_when_the_act_is_repeated(kantata: Kantata) -> None:
    firm = KantataFirm(kantata.sandbox.base_url, kantata.account.client)
    project = await kantata.connector.create_project(plan())
    await firm.load_users(USERS)
    await firm.book({"OPP1": project.source.ref}, [entry(1, approved="false"), entry(2, approved="false")], [])
    assert await firm.book({"OPP1": project.source.ref}, [entry(1), entry(2, approved="false")], []) == 0
    assert await firm.book({"OPP1": project.source.ref}, [entry(1), entry(2, approved="false")], []) == 0
    told = {one.reference: one.is_approved for one in await read_whole(kantata.connector.list_time_entries)}
    assert told == {"E-1": True, "E-2": False}


async def test_an_installation_takes_the_vendor_in(serve: Serve) -> None:
    kept = VENDOR.generate()
    assert kept != VENDOR.generate()
    sandbox = await serve(VENDOR.simulator(kept))
    opened = open_connector(
        Binding("harbour", VENDOR.name, VENDOR.settings(sandbox.base_url, kept), VENDOR.secrets(kept))
    )
    async with httpx.AsyncClient(trust_env=False) as http:
        people = VENDOR.psa(sandbox.base_url, http, kept)
        await people.load_users(USERS)
        project = await opened.create_project(plan())
        assert await people.book({"OPP1": project.source.ref}, [entry(1)], []) == 1
        assert [row.project_id for row in (await people.read_projects()).values()] == ["prj_1"]
    assert [one.reference for one in await read_whole(opened.list_time_entries)] == ["E-1"]
    await opened.aclose()
    with pytest.raises(LookupError):
        VENDOR.erp(sandbox.base_url, http, kept)
