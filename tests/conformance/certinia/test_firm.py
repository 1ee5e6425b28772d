"""The firm's hours and completions arrive in Certinia as its files say, once, and come back through the connector."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from deploy.sandbox.catalog import vendor
from deploy.sandbox.certinia.words import HEADER
from shared.canonical.billing import BillingMark
from system_apis.connectors.certinia.connector import open_connector
from system_apis.ports.binding import Binding
from tests.conformance.certinia.conftest import Org
from tests.conformance.certinia.orgs import hands
from tests.conformance.psa_firm import USERS, entry, plan, read_whole
from tests.conformance.served import Serve


async def test_a_small_firm_is_loaded_worked_billed_and_read_back(org: Org) -> None:
    project = await org.project()
    booked = [
        entry(1),
        entry(2, user_id="8", hours="0.05", approved="false"),
        entry(3, user_id="8", role="Architect", billable="false", workstream="WS1"),
        entry(4, opportunity_id="OPP9"),
        entry(5, hours="1.00"),  # a second entry of the same day: another timecard
        entry(6, work_date="2017-07-31"),
        entry(7, work_date="2017-08-01"),
    ]
    done = [{"milestone_id": "OPP1-M1", "opportunity_id": "OPP1", "completed_on": "2017-07-10", "approved": "true"}]
    done += [{"milestone_id": "OPP1-M2", "opportunity_id": "OPP1", "completed_on": "2017-07-11", "approved": "false"}]
    told: list[tuple[int, int]] = []
    projects = {"OPP1": project.source.ref}
    assert await org.hands.firm.book(projects, booked, done, lambda n, total: told.append((n, total))) == 6
    assert told[-1] == (8, 8)
    seen = {one.reference: one for one in await read_whole(org.connector.list_time_entries)}
    assert set(seen) == {"E-1", "E-2", "E-3", "E-5", "E-6", "E-7"}
    assert (seen["E-1"].hours, seen["E-1"].role, seen["E-1"].workstream_id) == (Decimal("7.25"), "Engineer", "wks_1-2")
    assert (seen["E-2"].hours, seen["E-2"].role, seen["E-2"].is_approved) == (Decimal("0.05"), None, False)
    assert (seen["E-3"].role, seen["E-3"].is_billable, seen["E-3"].workstream_id) == ("Architect", False, "wks_1-1")
    reached = await read_whole(org.connector.list_milestones)
    assert sorted((one.reference, one.is_approved) for one in reached) == [("OPP1-M1", True), ("OPP1-M2", False)]
    july = [seen[name].source.ref for name in ("E-1", "E-5", "E-6")]
    whole = BillingMark(
        invoice_id="inv_1",
        invoice_ref="77",
        project_id="prj_1",
        invoice_on=date(2017, 7, 31),
        time_entry_refs=tuple(july),
        milestone_refs=tuple(one.source.ref for one in reached if one.is_approved),
    )
    await org.connector.mark_billed(whole)
    billed = {one.reference for one in await read_whole(org.connector.list_time_entries) if one.is_billed}
    assert billed == {"E-1", "E-5", "E-6"}
    (invoice,) = await org.hands.firm.read_invoices()
    assert (invoice.invoice_id, invoice.time_entries, invoice.milestones) == ("inv_1", 3, 1)
    assert invoice.workspace_id == project.source.ref
    (stands,) = (await org.hands.firm.read_projects()).values()
    assert (stands.project_id, stands.workstreams) == ("prj_1", ("wks_1-1", "wks_1-2"))
    assert (stands.milestones, stands.is_archived) == (("mil_1-1", "mil_1-2"), False)


async def test_booking_again_books_nothing_twice(org: Org) -> None:
    project = await org.project()
    projects = {"OPP1": project.source.ref}
    await org.hands.firm.load_users(USERS)
    assert await org.hands.firm.book(projects, [entry(1)], []) == 1
    assert await org.hands.firm.book(projects, [entry(1), entry(2, work_date="2017-07-12")], []) == 1
    assert await org.hands.count(HEADER) == 2
    assert await org.hands.count("pse__Assignment__c") == 1
    assert await org.hands.count("Contact") == 2
    assert await org.hands.count("pse__Proj__c WHERE pse__Is_Template__c = TRUE") == 20


async def test_an_installation_takes_the_vendor_in_by_its_folder(serve: Serve) -> None:
    found = vendor("certinia")
    kept = found.generate()
    sandbox = await serve(found.simulator(kept))
    settings, secrets = found.settings(sandbox.base_url, kept), found.secrets(kept)
    connector = open_connector(Binding("harbour", "certinia", settings, secrets))
    async with hands(sandbox.base_url) as people:
        await found.psa(sandbox.base_url, people.firm._wire._client, kept).load_users(USERS)
    try:
        assert (await connector.create_project(plan())).name == "Project 1"
    finally:
        await connector.aclose()
