"""A firm's people, hours and completions booked in Kantata, and what stands there read back; only the vendor's wire."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import httpx

from deploy.sandbox.kantata.simulator import TOKEN
from deploy.sandbox.kit.firm import Progress, ProjectRow, PsaInvoiceRow, Row, WireRefused

__all__ = ["KantataFirm", "Progress", "ProjectRow", "PsaInvoiceRow", "WireRefused"]

Item = TypeVar("Item")
#: the service name under which the firm's own ids are kept as external references
FIRM_SERVICE = "firm"
#: the service name under which Throughline keeps its ids
OUR_SERVICE = "throughline"
COMPLETED_ON = "Completed on"
ACCEPTANCE = "Acceptance"
ACCEPTED, NOT_ACCEPTED = "accepted", "not accepted"
_FIELDS = {COMPLETED_ON: "date", ACCEPTANCE: "string"}
_BULK = 100
_PAGE = 200
_LINES_A_SUBMISSION = 500
_MINUTES = Decimal(60)


def batched(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """The items in order, so many at a time."""
    return [items[first : first + size] for first in range(0, len(items), size)]


class KantataFirm:
    """Books the firm's data as its people would; `book` may be called again with the same rows and books none twice."""

    def __init__(self, base_url: str, client: httpx.AsyncClient, *, token: str = TOKEN, at_once: int = 6) -> None:
        """`base_url` is the vendor's root, such as http://127.0.0.1:8110/kantata."""
        self._root = f"{base_url.rstrip('/')}/api/v1"
        self._client = client
        self._headers = {"authorization": f"Bearer {token}"}
        self._gate = asyncio.Semaphore(at_once)

    # --- the wire --------------------------------------------------------------------------------------------------
    async def _call(self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        async with self._gate:
            answer = await self._client.request(
                method, f"{self._root}/{path}", params=params, json=body, headers=self._headers
            )
        if not answer.is_success:
            raise WireRefused(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None

    async def _all(self, name: str, **params: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Every row of a list in order, and the side-loaded maps."""
        rows: list[dict[str, Any]] = []
        sides: dict[str, Any] = {}
        page = 1
        while True:
            document = await self._call("GET", name, params={**params, "page": page, "per_page": _PAGE})
            rows += [document[name][result["id"]] for result in document["results"]]
            for key, side in document.items():
                if isinstance(side, dict) and key != "meta":
                    sides.setdefault(key, {}).update(side)
            if page >= document["meta"]["page_count"]:
                return rows, sides
            page += 1

    async def _create(self, name: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        document = await self._call("POST", name, body={name: list(rows)})
        return [document[name][result["id"]] for result in document["results"]]

    # --- people ----------------------------------------------------------------------------------------------------
    async def load_users(self, users: Sequence[Row]) -> None:
        """Invite the firm's people with their roles (a role may be blank); their user_id becomes a reference."""
        await self._set_up_fields()
        roles = await self._roles({row["role"] for row in users})
        known = await self._people()
        fresh = [row for row in users if row["user_id"] not in known]

        async def invite(some: Sequence[Row]) -> None:
            body = [
                {
                    "full_name": row["name"],
                    "email_address": f"{row['user_id']}@people.example",
                    "permission": "collaborator",
                    **({"default_role_id": roles[row["role"]]} if row["role"] else {}),
                }
                for row in some
            ]
            document = await self._call(
                "POST", "account_invitations", params={"include": "invitee"}, body={"account_invitations": body}
            )
            invitations = [document["account_invitations"][result["id"]] for result in document["results"]]
            references = [
                {
                    "service_name": FIRM_SERVICE,
                    "service_model": "user",
                    "service_model_ref": row["user_id"],
                    "subject_type": "User",
                    "subject_id": invitation["invitee_id"],
                }
                for row, invitation in zip(some, invitations, strict=True)
            ]
            await asyncio.gather(
                *(
                    self._call("POST", "external_references/create_or_update", body={"external_reference": reference})
                    for reference in references
                )
            )

        await asyncio.gather(*(invite(some) for some in batched(fresh, 50)))

    async def _set_up_fields(self) -> dict[str, str]:
        """The custom fields of tasks that hold a completion, made where they are missing; name → id."""
        rows, _ = await self._all("custom_fields", subject_type="Story")
        held = {row["name"]: row["id"] for row in rows}
        if _FIELDS.keys() <= held.keys():
            return held
        body = {"custom_field_set": {"name": "Completion", "subject_type": "Story"}}
        made = (await self._call("POST", "custom_field_sets", body=body))["results"][0]["id"]
        for name, kind in _FIELDS.items():
            if name not in held:
                field = {"name": name, "value_type": kind, "custom_field_set_id": made}
                document = await self._call("POST", "custom_fields", body={"custom_field": field})
                held[name] = document["results"][0]["id"]
        return held

    async def _roles(self, names: Iterable[str]) -> dict[str, str]:
        rows, _ = await self._all("roles")
        held = {row["name"]: row["id"] for row in rows}
        for name in sorted({name for name in names if name} - held.keys()):
            document = await self._call("POST", "roles", body={"role": {"name": name}})
            held[name] = document["results"][0]["id"]
        return held

    async def _people(self) -> dict[str, str]:
        """The firm's user_id → Kantata's id."""
        rows, sides = await self._all("users", on_my_account="true", include="external_references")
        return {ref: row["id"] for row in rows if (ref := self._reference(row, sides, FIRM_SERVICE))}

    @staticmethod
    def _reference(row: Mapping[str, Any], sides: Mapping[str, Any], service: str) -> str | None:
        references = sides.get("external_references", {})
        for number in row["external_reference_ids"]:
            if references[number]["service_name"] == service:
                return references[number]["service_model_ref"]
        return None

    # --- work ------------------------------------------------------------------------------------------------------
    async def book(
        self,
        projects: Mapping[str, str],
        entries: Iterable[Row],
        completions: Iterable[Row],
        progress: Progress | None = None,
    ) -> int:
        """Book, submit and approve the hours of these projects, complete their milestones; how many hours rows.

        `projects` maps the firm's opportunity_id to the workspace's id; rows of other opportunities are left alone.
        """
        mine = [row for row in entries if row["opportunity_id"] in projects]
        done = [row for row in completions if row["opportunity_id"] in projects]
        workspaces = sorted(set(projects.values()), key=int)
        roles = await self._roles({row["role"] for row in mine})
        people = await self._people()
        stories = await self._workstreams(workspaces)
        booked = await self._booked(workspaces)
        fresh = [row for row in mine if row["entry_id"] not in booked]
        waiting = [  # booked by an earlier act that came no further
            (projects[row["opportunity_id"]], booked[row["entry_id"]])
            for row in mine
            if row["approved"] == "true" and booked.get(row["entry_id"])
        ]
        total, made = len(fresh) + len(done), 0

        def tell(more: int) -> None:
            nonlocal made
            made += more
            if progress is not None:
                progress(made, total)

        async def book_some(some: Sequence[Row]) -> list[tuple[str, str]]:
            bodies = [self._entry(row, projects[row["opportunity_id"]], stories, people, roles) for row in some]
            rows = await self._create("time_entries", bodies)
            tell(len(some))
            return [
                (projects[row["opportunity_id"]], entry["id"])
                for row, entry in zip(some, rows, strict=True)
                if row["approved"] == "true"
            ]

        approved: dict[str, list[str]] = defaultdict(list)
        for pairs in [waiting, *await asyncio.gather(*(book_some(some) for some in batched(fresh, _BULK)))]:
            for workspace, entry in pairs:
                approved[workspace].append(entry)
        await asyncio.gather(*(self._approve(workspace, ids) for workspace, ids in approved.items()))
        await self._complete(workspaces, done, tell)
        return len(fresh)

    def _entry(
        self,
        row: Row,
        workspace: str,
        stories: Mapping[tuple[str, str], str],
        people: Mapping[str, str],
        roles: Mapping[str, str],
    ) -> dict[str, Any]:
        minutes = Decimal(row["hours"]) * _MINUTES
        if minutes != int(minutes):
            raise ValueError(f"entry {row['entry_id']}: {row['hours']} hours are not whole minutes")
        entry: dict[str, Any] = {
            "workspace_id": workspace,
            "story_id": stories[workspace, row["workstream"]],
            "user_id": people[row["user_id"]],
            "date_performed": row["work_date"],
            "time_in_minutes": int(minutes),
            "billable": row["billable"] == "true",
            "external_reference": {
                "service_name": FIRM_SERVICE,
                "service_model": "time_entry",
                "service_model_ref": row["entry_id"],
            },
        }
        if row["role"]:
            entry["role_id"] = roles[row["role"]]
        return entry

    async def _workstreams(self, workspaces: Sequence[str]) -> dict[tuple[str, str], str]:
        """(workspace, workstream's name) → story; the workstreams are the deliverables at the top."""
        rows: list[dict[str, Any]] = []
        for some in batched(workspaces, 50):
            more, _ = await self._all(
                "stories", with_projects=",".join(some), story_type="deliverable", include="workspace"
            )
            rows += more
        return {(row["workspace_id"], row["title"]): row["id"] for row in rows}

    async def _booked(self, workspaces: Sequence[str]) -> dict[str, str]:
        """The firm's entry_ids already there → entry, blank where it is approved or handed in."""
        booked: dict[str, str] = {}
        for some in batched(workspaces, 50):
            rows, sides = await self._all(
                "time_entries",
                workspace_ids=",".join(some),
                include="external_references,active_submission",
                external_reference_service_name=FIRM_SERVICE,
                order="created_at:asc",
            )
            for row in rows:
                if ref := self._reference(row, sides, FIRM_SERVICE):
                    booked[ref] = "" if row["approved"] or row["active_submission_id"] else row["id"]
        return booked

    async def _approve(self, workspace: str, entries: Sequence[str]) -> None:
        """Submit and approve these entries of one project."""
        submissions: list[str] = []
        for some in batched(entries, _LINES_A_SUBMISSION):
            body = {"workspace_id": workspace, "line_item_ids": list(some), "title": f"Hours of project {workspace}"}
            document = await self._call("POST", "timesheet_submissions", body={"timesheet_submission": body})
            submissions.append(document["results"][0]["id"])
        resolution = {"submission_ids": submissions, "description": "approved by the project manager"}
        await self._call("POST", "timesheet_approvals", body={"resolution": resolution})

    async def _complete(self, workspaces: Sequence[str], done: Sequence[Row], tell: Callable[[int], None]) -> None:
        """Complete milestones; Kantata keeps no day of completion and no acceptance, so two custom fields do."""
        if not done:
            return
        fields = await self._set_up_fields()
        stories = await self._milestones(workspaces)

        async def complete(row: Mapping[str, str]) -> None:
            story = stories[row["milestone_id"]]
            acceptance = ACCEPTED if row["approved"] == "true" else NOT_ACCEPTED
            values = [
                {"subject_type": "Story", "subject_id": story, "custom_field_id": fields[name], "value": value}
                for name, value in ((COMPLETED_ON, row["completed_on"]), (ACCEPTANCE, acceptance))
            ]
            await self._call("POST", "custom_field_values", body={"custom_field_values": values})
            await self._call("PUT", f"stories/{story}", body={"story": {"state": "completed"}})
            tell(1)

        await asyncio.gather(*(complete(row) for row in done))

    async def _milestones(self, workspaces: Sequence[str]) -> dict[str, str]:
        """The milestone's reference as people know it (the message of its external reference) → story."""
        found: dict[str, str] = {}
        for some in batched(workspaces, 50):
            rows, sides = await self._all(
                "stories", with_projects=",".join(some), story_type="milestone", include="external_references"
            )
            references = sides.get("external_references", {})
            for row in rows:
                for number in row["external_reference_ids"]:
                    if references[number]["service_name"] == OUR_SERVICE:
                        found[references[number]["external_message"]] = row["id"]
        return found

    # --- reading back ----------------------------------------------------------------------------------------------
    async def read_projects(self) -> dict[str, ProjectRow]:
        """What Throughline made: workspace id → project, archived ones too."""
        workspaces, sides = await self._all(
            "workspaces",
            archived="include",
            include="external_references",
            external_reference_service_name=OUR_SERVICE,
        )
        stories, story_sides = await self._all(
            "stories",
            all_on_account="true",
            show_from_archived_workspaces="true",
            include="workspace,external_references",
            external_reference_service_name=OUR_SERVICE,
            order="created_at:asc",
        )
        parts: dict[tuple[str, str], list[str]] = defaultdict(list)
        for story in stories:
            ref = self._reference(story, story_sides, OUR_SERVICE)
            parts[story["workspace_id"], story["story_type"]].append(str(ref))
        return {
            row["id"]: ProjectRow(
                project_id=str(self._reference(row, sides, OUR_SERVICE)),
                title=row["title"],
                workstreams=tuple(parts[row["id"], "deliverable"]),
                milestones=tuple(parts[row["id"], "milestone"]),
                is_archived=row["archived"],
            )
            for row in workspaces
        }

    async def read_invoices(self) -> list[PsaInvoiceRow]:
        """The billing marks that stand (cancelled ones do not)."""
        rows, sides = await self._all(
            "invoices",
            include="external_references,workspaces,time_entries,billing_milestones",
            external_reference_service_name=OUR_SERVICE,
            order="created_at:asc",
        )
        return [
            PsaInvoiceRow(
                invoice_id=str(self._reference(row, sides, OUR_SERVICE)),
                workspace_id=row["workspace_ids"][0],
                time_entries=len(row["time_entry_ids"]),
                milestones=len(row["billing_milestone_ids"]),
            )
            for row in rows
            if row["status"] != "cancelled"
        ]
