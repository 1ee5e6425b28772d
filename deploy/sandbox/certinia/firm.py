"""A firm's people, hours and completions in Certinia PSA, and what stands there read back; only the vendor's wire."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

import httpx

from deploy.sandbox.certinia.words import DAYS, EVENT, HEADER, ITEM, MILESTONE, PROJECT
from deploy.sandbox.kit.firm import Progress, ProjectRow, PsaInvoiceRow, Row, WireRefused
from deploy.sandbox.salesforce.session import API, loader_session

Json = dict[str, Any]
Key = tuple[str, ...]
PHASE, ASSIGNMENT, SCHEDULE, TASK = (
    "pse__Project_Phase__c",
    "pse__Assignment__c",
    "pse__Schedule__c",
    "pse__Project_Task__c",
)
TEMPLATES: Final = ("time-and-materials", "fixed-scope", "managed-service", "mixed")
CURRENCIES: Final = ("USD", "EUR", "GBP", "JPY", "BRL")
TEMPLATE_START: Final = date(2020, 1, 6)
_USER, _OURS = "Firm_User_Id__c", "Throughline_Id__c"
_AT_ONCE: Final = 4
_HEADERS_AT_ONCE: Final = 50
_ROWS: Final = 200
_IDS: Final = 150


def week_of(day: date) -> date:
    """The Sunday on which the org's week of a day begins."""
    return day - timedelta(days=(day.weekday() + 1) % 7)


def _batched(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[first : first + size] for first in range(0, len(items), size)]


def _listed(refs: Iterable[str]) -> str:
    return "(" + ", ".join(f"'{ref}'" for ref in refs) + ")"


class CertiniaFirm:
    """Books the firm's data as its people would; booking the same rows again books none twice."""

    def __init__(self, base_url: str, client: httpx.AsyncClient) -> None:
        """`base_url` is the org's root, such as http://127.0.0.1:8110/certinia."""
        self._wire = loader_session(base_url, client)
        self._gate = asyncio.Semaphore(_AT_ONCE)

    # --- people and templates --------------------------------------------------------------------------------------
    async def load_users(self, users: Sequence[Row]) -> None:
        """Resources with their roles, and one template of each kind in every currency the firm sells in.

        People who have left stay active resources: their hours are still booked in the sample.
        """
        rows = [
            {
                _USER: row["user_id"],
                "LastName": row["name"],
                "pse__Is_Resource__c": True,
                "pse__Is_Resource_Active__c": True,
                "pse__Resource_Role__c": row["role"] or None,
            }
            for row in users
        ]
        await self._wire.upsert("Contact", _USER, rows)
        await self._set_up_templates()

    async def _set_up_templates(self) -> None:
        where = f"pse__Is_Template__c = TRUE AND Name IN {_listed(TEMPLATES)}"
        held = {
            (row["Name"], row["CurrencyIsoCode"])
            async for row in self._wire.query(f"SELECT Name, CurrencyIsoCode FROM {PROJECT} WHERE {where}")
        }
        fresh = [(name, code) for name in TEMPLATES for code in CURRENCIES if (name, code) not in held]
        templates = [
            {
                "Name": name,
                "CurrencyIsoCode": code,
                "pse__Is_Template__c": True,
                "pse__Is_Billable__c": True,
                "pse__Start_Date__c": TEMPLATE_START.isoformat(),
                "pse__Stage__c": "Planned",
            }
            for name, code in fresh
        ]
        made = await self._made(PROJECT, templates)
        tasks = [
            {"Name": task, "pse__Project__c": ref, "pse__Order__c": order, "pse__Status__c": "Planned"}
            for ref in made
            for order, task in enumerate(("Kick-off", "Delivery", "Hand-over"), 1)
        ]
        await self._made(TASK, tasks)

    async def _made(self, sobject: str, rows: Sequence[Json], size: int = _ROWS) -> list[str]:
        """New rows' ids, in order."""

        async def make(some: Sequence[Json]) -> list[str]:
            body = {"allOrNone": True, "records": [{"attributes": {"type": sobject}, **row} for row in some]}
            async with self._gate:
                results: list[Json] = await self._wire.call("POST", f"{API}/composite/sobjects", body)
            if bad := [e for one in results for e in one["errors"] if "ROLLED_BACK" not in e["statusCode"]]:
                raise WireRefused(f"POST {sobject}: {bad[0]['statusCode']} {bad[0]['message']}")
            return [str(one["id"]) for one in results]

        found = await asyncio.gather(*(make(some) for some in _batched(rows, size)))
        return [ref for refs in found for ref in refs]

    async def _read(self, select: str, sobject: str, key: str, refs: Sequence[str]) -> list[Json]:
        """Rows whose `key` is one of the ids."""

        async def some(part: Sequence[str]) -> list[Json]:
            soql = f"SELECT {select} FROM {sobject} WHERE {key} IN {_listed(part)} ORDER BY Id"
            async with self._gate:
                return [row async for row in self._wire.query(soql)]

        found = await asyncio.gather(*(some(part) for part in _batched(refs, _IDS)))
        return [row for rows in found for row in rows]

    # --- work ------------------------------------------------------------------------------------------------------
    async def book(
        self,
        projects: Mapping[str, str],
        entries: Sequence[Row],
        completions: Sequence[Row],
        progress: Progress | None = None,
    ) -> int:
        """Timecards week by week, submitted and approved where the row says so; milestones completed."""
        refs = sorted(set(projects.values()))
        booked = await self._booked(refs)
        mine = [row for row in entries if row["opportunity_id"] in projects and row["entry_id"] not in booked]
        done = [row for row in completions if row["opportunity_id"] in projects]
        total, made = len(mine) + len(done), 0

        def tell(more: int) -> None:
            nonlocal made
            made += more
            if progress is not None:
                progress(made, total)

        people = {row[_USER]: row["Id"] async for row in self._wire.query(f"SELECT Id, {_USER} FROM Contact")}
        assigned = await self._assigned(mine, projects, people)
        phases = {
            (row["pse__Project__c"], row["Name"]): row["Id"]
            for row in await self._read("Id, Name, pse__Project__c", PHASE, "pse__Project__c", refs)
        }
        cards = self._cards(mine, projects, people, assigned, phases)
        await asyncio.gather(*(self._book(some, tell) for some in _batched(cards, _HEADERS_AT_ONCE)))
        await self._complete(refs, done)
        tell(len(done))
        return len(mine)

    async def _booked(self, refs: Sequence[str]) -> set[str]:
        """The firm's entry ids that stand on timecards already."""
        names = [f"{day}_Reference__c" for day in DAYS]
        rows = await self._read(", ".join(names), HEADER, "pse__Project__c", refs)
        return {row[name] for row in rows for name in names if row[name]}

    async def _assigned(
        self, entries: Sequence[Row], projects: Mapping[str, str], people: Mapping[str, str]
    ) -> dict[Key, str]:
        """(project, person, role) → assignment; missing ones are made with a schedule that spans their days.

        The rate is zero: hours are priced in the ERP.
        """
        days: dict[Key, list[str]] = defaultdict(list)
        for row in entries:
            days[projects[row["opportunity_id"]], people[row["user_id"]], row["role"]].append(row["work_date"])
        select = "Id, pse__Project__c, pse__Resource__c, pse__Role__c"
        rows = await self._read(select, ASSIGNMENT, "pse__Project__c", sorted({key[0] for key in days}))
        there = {(r["pse__Project__c"], r["pse__Resource__c"], r["pse__Role__c"] or ""): r["Id"] for r in rows}
        fresh = [key for key in days if key not in there]
        hours = {f"pse__{day}_Hours__c": 0 if day in {"Saturday", "Sunday"} else 8 for day in DAYS}
        schedules = [
            {"pse__Start_Date__c": min(days[key]), "pse__End_Date__c": max(days[key]), **hours} for key in fresh
        ]
        currencies = {
            row["Id"]: row["CurrencyIsoCode"]
            for row in await self._read("Id, CurrencyIsoCode", PROJECT, "Id", sorted({key[0] for key in fresh}))
        }
        assignments = [
            {
                "Name": f"{role or 'as employed'}"[:80],
                "CurrencyIsoCode": currencies[project],
                "pse__Project__c": project,
                "pse__Resource__c": person,
                "pse__Role__c": role or None,
                "pse__Schedule__c": schedule,
                "pse__Bill_Rate__c": 0,
                "pse__Is_Billable__c": True,
                "pse__Status__c": "Scheduled",
            }
            for (project, person, role), schedule in zip(fresh, await self._made(SCHEDULE, schedules), strict=True)
        ]
        return there | dict(zip(fresh, await self._made(ASSIGNMENT, assignments), strict=True))

    def _cards(
        self,
        entries: Sequence[Row],
        projects: Mapping[str, str],
        people: Mapping[str, str],
        assigned: Mapping[Key, str],
        phases: Mapping[Key, str],
    ) -> list[tuple[Json, bool, int]]:
        """Timecards with whether they are approved and how many entries they hold.

        A timecard has one number for each day: a second entry of the same day stands on another timecard.
        """
        cards: dict[tuple[object, ...], Json] = {}
        layers: dict[tuple[object, ...], int] = defaultdict(int)
        counts: dict[tuple[object, ...], int] = defaultdict(int)
        for row in entries:
            project, person = projects[row["opportunity_id"]], people[row["user_id"]]
            day = date.fromisoformat(row["work_date"])
            about = (project, person, row["workstream"], row["role"], row["billable"], row["approved"])
            layer = layers[(*about, day)]
            layers[(*about, day)] += 1
            week = week_of(day)
            key = (*about, week, layer)
            card = cards.setdefault(
                key,
                {
                    "pse__Project__c": project,
                    "pse__Resource__c": person,
                    "pse__Assignment__c": assigned[project, person, row["role"]],
                    "pse__Project_Phase_Object__c": phases[project, row["workstream"]],
                    "pse__Start_Date__c": week.isoformat(),
                    "pse__End_Date__c": (week + timedelta(days=6)).isoformat(),
                    "pse__Billable__c": row["billable"] == "true",
                    "pse__Status__c": "Saved",
                },
            )
            name = DAYS[day.weekday()]
            card |= {f"pse__{name}_Hours__c": Decimal(row["hours"]), f"{name}_Reference__c": row["entry_id"]}
            counts[key] += 1
        return [(card, key[5] == "true", counts[key]) for key, card in cards.items()]

    async def _book(self, cards: Sequence[tuple[Json, bool, int]], tell: Any) -> None:
        """Make timecards; submit those that are to be approved, and approve them."""
        made = await self._made(HEADER, [card for card, _, _ in cards], _HEADERS_AT_ONCE)
        approved = [ref for ref, (_, is_approved, _) in zip(made, cards, strict=True) if is_approved]
        if approved:
            submitted = await self._step("Submit", approved)
            await self._step("Approve", [item for one in submitted for item in one["newWorkitemIds"]])
        tell(sum(count for _, _, count in cards))

    async def _step(self, kind: str, contexts: Sequence[str]) -> list[Json]:
        body = {"requests": [{"actionType": kind, "contextId": context} for context in contexts]}
        async with self._gate:
            answer: list[Json] = await self._wire.call("POST", f"{API}/process/approvals", body)
        return answer

    async def _complete(self, projects: Sequence[str], done: Sequence[Row]) -> None:
        """Milestones by the reference people know them by: their day, and approval where the row says so."""
        rows = await self._read(
            "Id, Throughline_Reference__c, pse__Actual_Date__c", MILESTONE, "pse__Project__c", projects
        )
        known = {row["Throughline_Reference__c"]: row for row in rows}
        changes: list[Json] = []
        for row in done:
            stands = known[row["milestone_id"]]
            if stands["pse__Actual_Date__c"] == row["completed_on"]:
                continue
            is_approved = row["approved"] == "true"
            changes.append(
                {
                    "attributes": {"type": MILESTONE},
                    "id": stands["Id"],
                    "pse__Actual_Date__c": row["completed_on"],
                    "pse__Status__c": "Approved" if is_approved else "Open",
                    "pse__Approved__c": is_approved,
                    "pse__Include_In_Financials__c": is_approved,
                }
            )
        for some in _batched(changes, _ROWS):
            body = {"allOrNone": True, "records": some}
            results: list[Json] = await self._wire.call("PATCH", f"{API}/composite/sobjects", body)
            if bad := [e for one in results for e in one["errors"] if "ROLLED_BACK" not in e["statusCode"]]:
                raise WireRefused(f"PATCH {MILESTONE}: {bad[0]['statusCode']} {bad[0]['message']}")

    # --- reading back ----------------------------------------------------------------------------------------------
    async def read_projects(self) -> dict[str, ProjectRow]:
        """What carries ids of ours: row id → project, those out of use too."""
        parts: dict[tuple[str, str], list[str]] = defaultdict(list)
        for sobject in (PHASE, MILESTONE):
            soql = f"SELECT Id, {_OURS}, pse__Project__c FROM {sobject} WHERE {_OURS} != null ORDER BY Id"
            async for row in self._wire.query(soql):
                parts[sobject, row["pse__Project__c"]].append(row[_OURS])
        soql = f"SELECT Id, Name, {_OURS}, pse__Is_Active__c FROM {PROJECT} WHERE {_OURS} != null ORDER BY Id"
        return {
            row["Id"]: ProjectRow(
                project_id=row[_OURS],
                title=row["Name"],
                workstreams=tuple(parts[PHASE, row["Id"]]),
                milestones=tuple(parts[MILESTONE, row["Id"]]),
                is_archived=not row["pse__Is_Active__c"],
            )
            async for row in self._wire.query(soql)
        }

    async def read_invoices(self) -> list[PsaInvoiceRow]:
        """Invoiced billing events that carry a key of ours, with the days of work and the milestones on them."""
        days: dict[str, int] = defaultdict(int)
        milestones: dict[str, int] = defaultdict(int)
        soql = f"SELECT pse__Billing_Event__c, pse__Category__c, Throughline_Days__c FROM {ITEM}"
        async for row in self._wire.query(f"{soql} WHERE Throughline_Key__c != null"):
            days[row["pse__Billing_Event__c"]] += len((row["Throughline_Days__c"] or "").split())
            milestones[row["pse__Billing_Event__c"]] += row["pse__Category__c"] == "Milestone"
        soql = f"SELECT Id, pse__Event_Key__c, pse__Project__c FROM {EVENT} WHERE pse__Invoiced__c = TRUE ORDER BY Id"
        return [
            PsaInvoiceRow(row["pse__Event_Key__c"], row["pse__Project__c"], days[row["Id"]], milestones[row["Id"]])
            async for row in self._wire.query(soql)
            if row["pse__Event_Key__c"]
        ]
