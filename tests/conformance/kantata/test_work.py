"""Hours, expenses and milestones are read whole, with their approvals, however the vendor keeps its instants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from deploy.sandbox.kit.faults import FaultKind
from shared.canonical.time import TimeEntry
from shared.errors.taxonomy import InvalidRequest, ScopeMissing, VendorDrift
from shared.outbound import pack_cursor
from system_apis.connectors.kantata.changes import Told
from system_apis.connectors.kantata.client import Fed, Found, Position
from system_apis.connectors.kantata.connector import open_connector
from tests.conformance.kantata.account import binding
from tests.conformance.kantata.conftest import Kantata
from tests.conformance.psa_firm import plan, read_whole

_STRANGE_NAME = pack_cursor({**dict.fromkeys(("asked", "since", "low", "reached")), "began": "2026-01-01", "told": []})


async def _entries(kantata: Kantata, since: datetime | None = None) -> list[TimeEntry]:
    page = await kantata.connector.list_time_entries(modified_since=since, cursor=None, limit=1000)
    assert page.next_cursor is None
    return list(page.items)


async def _walk(kantata: Kantata, since: datetime | None = None) -> AsyncIterator[list[TimeEntry]]:
    cursor: str | None = None
    while True:
        page = await kantata.connector.list_time_entries(modified_since=since, cursor=cursor, limit=100)
        yield list(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return


async def _next_second() -> datetime:
    """Kantata's instants are whole seconds."""
    await asyncio.sleep(1.05)
    return datetime.now(UTC).replace(microsecond=0)


async def test_an_entry_is_told_with_its_project_workstream_role_and_reference(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    role = await kantata.account.make("roles", "role", {"name": "Engineer"})
    story = next(part.ref for part in project.workstreams if part.id == "wks_1-2")
    await kantata.account.entries(project.source.ref, story_id=story, role_id=role, time_in_minutes=20, billable=False)
    (entry,) = await _entries(kantata)
    assert (entry.project_id, entry.workstream_id, entry.role) == ("prj_1", "wks_1-2", "Engineer")
    assert (entry.hours, entry.work_on, entry.is_billable) == (Decimal("0.3333"), date(2026, 2, 3), False)
    assert entry.reference == f"E-{project.source.ref}-0"
    assert not entry.is_approved


async def test_the_role_of_the_person_stands_in_for_a_blank_one(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    role = await kantata.account.make("roles", "role", {"name": "Analyst"})
    invited = await kantata.account.post(
        "account_invitations",
        "account_invitation",
        {"full_name": "Ada", "email_address": "ada@people.example", "default_role_id": role},
        include="invitee",
    )
    (ada,) = (row["invitee_id"] for row in invited["account_invitations"].values())
    await kantata.account.entries(project.source.ref, user_id=ada)
    await kantata.account.entries(project.source.ref)
    entries = await _entries(kantata)
    assert sorted((entry.resource_name, entry.role) for entry in entries) == [
        ("Ada", "Analyst"),
        ("Sandbox Administrator", None),
    ]


async def test_hours_on_a_task_beneath_a_workstream_belong_to_the_workstream(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    task = {"workspace_id": project.source.ref, "title": "Detail", "parent_id": project.workstreams[0].ref}
    story = await kantata.account.make("stories", "story", task)
    await kantata.account.entries(project.source.ref, story_id=story)
    (entry,) = await _entries(kantata)
    assert entry.workstream_id == project.workstreams[0].id


async def test_hours_of_projects_that_are_not_ours_are_left_out(kantata: Kantata) -> None:
    await kantata.account.entries(await kantata.account.workspace())
    assert await _entries(kantata) == []


async def test_hours_of_an_archived_project_are_told(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    await kantata.account.entries(project.source.ref)
    await kantata.connector.close_project("prj_1")
    assert len(await _entries(kantata)) == 1


@pytest.mark.parametrize("is_touching", [True, False])
async def test_an_approval_is_told_whether_or_not_it_touches_the_entry(kantata: Kantata, is_touching: bool) -> None:
    kantata.switch(approval_touches_entries=is_touching)
    project = await kantata.connector.create_project(plan())
    booked = await kantata.account.entries(project.source.ref, 3)
    (before, *_) = await _entries(kantata)
    since = await _next_second()
    await kantata.account.approve(project.source.ref, booked[:2])
    told = await _entries(kantata, since)
    assert {entry.source.ref for entry in told if entry.is_approved} == set(booked[:2])
    assert all(entry.source.modified_at and entry.source.modified_at >= since for entry in told)
    assert before.source.version not in {entry.source.version for entry in told}


@pytest.mark.parametrize("is_touching", [True, False])
async def test_approvals_given_before_the_first_read_are_told_once(kantata: Kantata, is_touching: bool) -> None:
    kantata.switch(approval_touches_entries=is_touching)
    project = await kantata.connector.create_project(plan())
    booked = await kantata.account.entries(project.source.ref, 450)
    await kantata.account.approve(project.source.ref, booked[:200])
    await _next_second()
    told = await read_whole(kantata.connector.list_time_entries, limit=100)
    assert len(told) == 450
    assert {entry.source.ref for entry in told if entry.is_approved} == set(booked[:200])


@pytest.mark.parametrize("is_touching", [True, False])
@pytest.mark.parametrize("is_since", [True, False])
async def test_a_read_right_after_bulk_approvals_tells_each_entry_once(
    kantata: Kantata, is_touching: bool, is_since: bool
) -> None:
    kantata.switch(approval_touches_entries=is_touching)
    project = await kantata.connector.create_project(plan())
    booked = await kantata.account.entries(project.source.ref, 600)
    since = await _next_second() if is_since else None
    for first in range(0, 400, 100):
        await asyncio.sleep(0.4)  # the approvals lie across second boundaries
        await kantata.account.approve(project.source.ref, booked[first : first + 100])
        await kantata.account.entries(project.source.ref, 60)  # the list has rows in those seconds, so pages end there
    told: list[TimeEntry] = []
    pages = 0
    async for page in _walk(kantata, since=since):
        told, pages = told + page, pages + 1
    assert {entry.source.ref for entry in told if entry.is_approved} == set(booked[:400])
    assert pages > 1
    assert len({entry.source.ref for entry in told}) == len(told)
    assert is_since or len(told) == 840


async def test_entries_approved_while_the_list_is_read_are_told_once_more_at_most(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    booked = await kantata.account.entries(project.source.ref, 600)
    told: list[TimeEntry] = []
    unapproved = [booked[first : first + 20] for first in range(0, 80, 20)]
    async for page in _walk(kantata):
        told += page
        if unapproved:
            await kantata.account.approve(project.source.ref, unapproved.pop())
    latest = {entry.source.ref: entry.is_approved for entry in told}
    assert set(latest) == set(booked)
    assert {ref for ref, is_approved in latest.items() if is_approved} == set(booked[:80])
    versions = [(entry.id, entry.source.version) for entry in told]
    assert len(versions) == len(set(versions))


async def test_an_answer_that_was_lost_is_told_again_whole(kantata: Kantata) -> None:
    kantata.switch(approval_touches_entries=False)
    project = await kantata.connector.create_project(plan())
    booked = await kantata.account.entries(project.source.ref, 450)
    await kantata.account.approve(project.source.ref, booked[:200])
    told: list[str] = []
    cursor: str | None = None
    while True:
        lost = await kantata.connector.list_time_entries(modified_since=None, cursor=cursor, limit=100)
        page = await kantata.connector.list_time_entries(modified_since=None, cursor=cursor, limit=100)
        assert {entry.source.ref for entry in lost.items} <= {entry.source.ref for entry in page.items}
        told += [entry.source.ref for entry in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(told) == sorted(booked)


async def test_a_cursor_is_read_on_by_another_process(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    booked = await kantata.account.entries(project.source.ref, 250)
    seen: set[str] = set()
    cursor: str | None = None
    while True:
        other = open_connector(binding(kantata.sandbox.base_url))
        page = await other.list_time_entries(modified_since=None, cursor=cursor, limit=100)
        await other.aclose()
        seen |= {entry.source.ref for entry in page.items}
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == set(booked)


def _tell(memory: Told, entry: TimeEntry, version: str, cursor: str | None = None) -> tuple[bool, str]:
    """Whether a page that holds the entry in that version tells it, and the cursor to go on with."""
    item = entry.model_copy(update={"source": entry.source.model_copy(update={"version": version})})
    position = Position.of(cursor) if cursor else Position(datetime.now(UTC))
    page = memory.page([item], Fed(Found("kantata"), {}, position, position))
    assert page.next_cursor is not None
    return bool(page.items), page.next_cursor


async def test_an_entry_that_went_back_to_an_earlier_version_is_told_again(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    await kantata.account.entries(project.source.ref)
    (entry,) = await _entries(kantata)
    memory, cursor, told = Told(), None, list[bool]()
    for version in ("open", "open", "approved", "open", "open"):
        is_told, cursor = _tell(memory, entry, version, cursor)
        told.append(is_told)
    assert told == [True, False, True, True, False]


async def test_an_entry_told_on_a_page_that_was_forgotten_is_told_again(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    await kantata.account.entries(project.source.ref)
    (entry,) = await _entries(kantata)
    memory = Told(remembered=2)
    _, cursor = _tell(memory, entry, "open")
    is_told, _ = _tell(memory, entry, "open", cursor)
    assert not is_told
    for _ in range(2):
        _tell(memory, entry, "open")
    is_told, _ = _tell(memory, entry, "open", cursor)
    assert is_told


async def test_an_approval_given_while_the_list_is_read_is_not_lost(kantata: Kantata) -> None:
    kantata.switch(approval_touches_entries=False)
    project = await kantata.connector.create_project(plan())
    booked = await kantata.account.entries(project.source.ref, 300)
    first = await kantata.connector.list_time_entries(modified_since=None, cursor=None, limit=100)
    await kantata.account.approve(project.source.ref, booked[:10])
    told: dict[str, bool] = {entry.source.ref: entry.is_approved for entry in first.items}
    cursor = first.next_cursor
    while cursor is not None:
        page = await kantata.connector.list_time_entries(modified_since=None, cursor=cursor, limit=100)
        told |= {entry.source.ref: entry.is_approved for entry in page.items}
        cursor = page.next_cursor
    assert {ref for ref, is_approved in told.items() if is_approved} == set(booked[:10])


async def test_no_entry_is_left_out_when_others_change_while_the_list_is_read(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    booked = await kantata.account.entries(project.source.ref, 600)
    seen: set[str] = set()
    cursor, pages = None, 0
    while True:
        page = await kantata.connector.list_time_entries(modified_since=None, cursor=cursor, limit=150)
        seen |= {entry.source.ref for entry in page.items}
        cursor, pages = page.next_cursor, pages + 1
        if cursor is None:
            break
        if pages <= 3:  # these were read already; touched, they move to the end and all others move up
            for ref in booked[pages * 10 : pages * 10 + 5]:
                await kantata.account.put(f"time_entries/{ref}", "time_entry", {"notes": f"changed {pages}"})
    assert seen == set(booked)


async def test_entries_come_oldest_change_first_and_only_since_the_instant(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    booked = await kantata.account.entries(project.source.ref, 5)
    since = await _next_second() + timedelta(seconds=1)
    await asyncio.sleep(1.0)
    await kantata.account.put(f"time_entries/{booked[3]}", "time_entry", {"time_in_minutes": 90})
    (changed,) = await _entries(kantata, since)
    assert (changed.source.ref, changed.hours) == (booked[3], Decimal("1.5000"))
    moments = [entry.source.modified_at for entry in await _entries(kantata)]
    assert moments == sorted(moments, key=str)


@pytest.mark.parametrize("cursor", ["nonsense", "e30", "eyJza2lwIjotMX0", _STRANGE_NAME])
async def test_a_cursor_that_is_not_ours_is_refused(kantata: Kantata, cursor: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await kantata.connector.list_time_entries(modified_since=None, cursor=cursor, limit=10)
    assert caught.value.findings[0].field == "cursor"


async def test_an_expense_is_approved_when_its_report_is(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan(currency="JPY"))
    body = {"workspace_id": project.source.ref, "date": "2026-02-01", "category": "Train", "amount_in_cents": 1200}
    spent = [await kantata.account.make("expenses", "expense", body) for _ in range(2)]
    report = {"workspace_id": project.source.ref, "line_item_ids": spent[:1]}
    number = await kantata.account.make("expense_report_submissions", "expense_report_submission", report)
    await kantata.account.post("expense_report_approvals", "resolution", {"submission_ids": [number]})
    page = await kantata.connector.list_expenses(modified_since=None, cursor=None, limit=100)
    told = {expense.source.ref: (expense.is_approved, str(expense.amount)) for expense in page.items}
    assert told == {spent[0]: (True, "1200 JPY"), spent[1]: (False, "1200 JPY")}


async def _fields(kantata: Kantata) -> dict[str, str]:
    made: dict[str, str] = {}
    for name, kind in (("Completed on", "date"), ("Acceptance", "string")):
        made[name] = await kantata.account.field(name, kind)
    return made


async def _note(kantata: Kantata, story: str, fields: dict[str, str], **values: Any) -> None:
    bodies = [
        {
            "subject_type": "Story",
            "subject_id": story,
            "custom_field_id": fields[name.replace("_", " ")],
            "value": value,
        }
        for name, value in values.items()
    ]
    await kantata.account.post("custom_field_values", "custom_field_values", bodies)


async def test_a_milestone_is_told_when_it_is_reached_with_its_day_and_acceptance(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    fields, story = await _fields(kantata), project.milestones[0].ref
    assert await read_whole(kantata.connector.list_milestones) == []
    await _note(kantata, story, fields, Completed_on="2026-02-27", Acceptance="accepted")
    await kantata.account.put(f"stories/{story}", "story", {"state": "completed"})
    (reached,) = await read_whole(kantata.connector.list_milestones)
    assert (reached.project_id, reached.milestone_id, reached.reference) == ("prj_1", "mil_1-1", "OPP1-M1")
    assert (reached.completed_on, reached.is_approved, reached.is_billed) == (date(2026, 2, 27), True, False)


async def test_a_milestone_without_a_noted_day_was_reached_when_its_state_changed(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    await _fields(kantata)
    await kantata.account.put(f"stories/{project.milestones[0].ref}", "story", {"percentage_complete": 100})
    (reached,) = await read_whole(kantata.connector.list_milestones)
    assert abs(reached.completed_on - datetime.now(UTC).date()) <= timedelta(days=1)
    assert not reached.is_approved


@pytest.mark.parametrize("is_noted", [True, False])
async def test_a_milestone_that_was_reopened_is_told_as_not_approved(kantata: Kantata, is_noted: bool) -> None:
    project = await kantata.connector.create_project(plan())
    fields, story = await _fields(kantata), project.milestones[0].ref
    day = {"Completed_on": "2026-02-27"} if is_noted else {}
    await _note(kantata, story, fields, Acceptance="accepted", **day)
    await kantata.account.put(f"stories/{story}", "story", {"state": "completed"})
    (reached,) = await read_whole(kantata.connector.list_milestones)
    await kantata.account.put(f"stories/{story}", "story", {"state": "started"})
    (reopened,) = await read_whole(kantata.connector.list_milestones)
    assert (reached.is_approved, reopened.is_approved) == (True, False)
    assert (reopened.id, reopened.completed_on) == (reached.id, reached.completed_on)
    assert reopened.source.version != reached.source.version


async def test_a_day_noted_ahead_is_no_completion(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    await _note(kantata, project.milestones[0].ref, await _fields(kantata), Completed_on="2026-05-31")
    assert await read_whole(kantata.connector.list_milestones) == []


async def test_a_late_acceptance_is_told_even_if_it_does_not_touch_the_story(kantata: Kantata) -> None:
    kantata.switch(value_touches_subject=False)
    project = await kantata.connector.create_project(plan())
    fields, story = await _fields(kantata), project.milestones[0].ref
    await kantata.account.put(f"stories/{story}", "story", {"state": "completed"})
    since = await _next_second()
    await _note(kantata, story, fields, Acceptance="Accepted")
    page = await kantata.connector.list_milestones(modified_since=since, cursor=None, limit=100)
    assert [(one.source.ref, one.is_approved) for one in page.items] == [(story, True)]


async def test_a_day_that_is_none_is_drift_that_names_the_field(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    await kantata.account.field("Acceptance")
    field = await kantata.account.field("Completed on")
    await _note(kantata, project.milestones[0].ref, {"Completed on": field}, Completed_on="end of May")
    await kantata.account.put(f"stories/{project.milestones[0].ref}", "story", {"state": "completed"})
    with pytest.raises(VendorDrift, match="Completed on"):
        await read_whole(kantata.connector.list_milestones)


async def test_a_role_named_but_not_brought_is_drift(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    role = await kantata.account.make("roles", "role", {"name": "Engineer"})
    await kantata.account.entries(project.source.ref, role_id=role)
    kantata.sandbox.fault(FaultKind.MISSING_FIELD, "GET /api/v1/time_entries", times=None, field="roles")
    with pytest.raises(VendorDrift, match="roles"):
        await read_whole(kantata.connector.list_time_entries)


async def test_changes_of_work_are_hinted_since_the_instant(kantata: Kantata) -> None:
    project = await kantata.connector.create_project(plan())
    booked = await kantata.account.entries(project.source.ref, 2)
    since = await _next_second()
    await asyncio.sleep(1.0)
    submission = await kantata.account.approve(project.source.ref, booked)
    hints = await kantata.connector.list_changes(since)
    assert {(hint.entity, hint.ref) for hint in hints} == {("time", submission), *(("time", ref) for ref in booked)}


async def test_a_token_without_the_permission_is_told_as_such(kantata: Kantata) -> None:
    limited = open_connector(binding(kantata.sandbox.base_url, token="sandbox-kantata-collaborator"))
    try:
        with pytest.raises(ScopeMissing):
            await limited.create_project(plan())
    finally:
        await limited.aclose()
