"""Project trees of `project.work`, which PSA and ERP share: found by our ids, made whole, brought up to a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.canonical.billing import BillingSchedule
from shared.canonical.projects import ProjectPlan
from shared.errors.taxonomy import NotFound, UnknownReference
from system_apis.connectors.tryton import mapping
from system_apis.connectors.tryton.client import Json, TrytonClient, parsed
from system_apis.connectors.tryton.customers import Customers
from system_apis.connectors.tryton.directory import Directory
from system_apis.connectors.tryton.payloads import Work
from system_apis.connectors.tryton.records import Library
from system_apis.connectors.tryton.tags import holds, led_by

OPEN = "Open"


class Projects:
    """Reads and writes project trees."""

    def __init__(
        self, client: TrytonClient, library: Library, directory: Directory, customers: Customers, *, closed: str
    ) -> None:
        self._client = client
        self._records = library["project"]
        self._directory = directory
        self._customers = customers
        self._closed = closed

    def is_closed(self, tree: list[Work]) -> bool:
        """Whether the project was taken out of use."""
        return tree[0].status.name == self._closed

    async def find(self, project_id: str) -> list[Work]:
        """The tree that carries our id, the project first; nothing where there is none."""
        column = self._records.folded
        wanted = [["type", "=", mapping.PROJECT], [column, *led_by("project", project_id)]]
        rows = await self._client.find(self._records.model, wanted, self._records.columns, limit=1)
        if not rows:
            return []
        root = int(rows[0]["id"])
        tree = await self._client.find_all(self._records.model, [["parent", "child_of", [root]]], self._records.columns)
        works = parsed(Work, self._records.take_all(tree))
        return sorted(works, key=lambda work: (work.id != root, work.id))

    async def numbers(self) -> list[int]:
        """The works that are projects of ours."""
        wanted = [["type", "=", mapping.PROJECT], [self._records.folded, *led_by("project")]]
        return [int(row["id"]) for row in await self._client.find_all(self._records.model, wanted, ["id"])]

    async def get(self, project_id: str) -> list[Work]:
        """The tree. Raises NotFound."""
        tree = await self.find(project_id)
        if not tree:
            raise NotFound(f"tryton has no project {project_id}.")
        return tree

    async def bring_up(self, plan: ProjectPlan, *, with_milestones: bool) -> list[Work]:
        """The tree of a plan: made in one call, or completed part by part, or opened again."""
        async with self._client.alone(plan.id):
            tree = await self.find(plan.id)
            company = await self._company(plan)
            status = await self._directory.status(OPEN)
            if not tree:
                party = await self._customers.find_number(plan.customer_id)
                body = mapping.from_plan(plan, status=status, party=party)
                children = [
                    self._stream(plan, number, None, status, company[1], with_milestones=with_milestones)
                    for number in range(len(plan.workstreams))
                ]
                given = self._records.give({**body, "children": [["create", children]]})
                await self._client.create(self._records.model, [given], company=company[0])
                return await self.get(plan.id)
            if self.is_closed(tree):
                await self._client.write(self._records.model, tree[0].id, {"status": status}, company=company[0])
            missing = self._missing(plan, tree, status, company[1], with_milestones=with_milestones)
            if missing:
                await self._client.create(self._records.model, missing, company=company[0])
            return await self.get(plan.id) if missing or self.is_closed(tree) else tree

    async def close(self, project_id: str) -> None:
        """Take the project out of use; its tasks stay for the auditors."""
        async with self._client.alone(project_id):
            tree = await self.get(project_id)
            if not self.is_closed(tree):
                status = await self._directory.status(self._closed)
                await self._client.write(self._records.model, tree[0].id, {"status": status})

    async def schedule(self, schedule: BillingSchedule) -> tuple[Work, bool]:
        """Bring the milestones of the project to the schedule; whether its project had none under that id before."""
        async with self._client.alone(schedule.project_id):
            tree = await self.get(schedule.project_id)
            root, was_new = tree[0], tree[0].comment.schedule != schedule.id
            placed = {work.comment.milestone: work for work in tree if work.comment.milestone}
            streams = {work.comment.workstream: work.id for work in tree if work.comment.workstream}
            status = await self._directory.status(OPEN)
            currency = root.company.currency.code
            fresh: list[Json] = []
            for entry in schedule.entries:
                held = placed.get(entry.milestone_id)
                parent = streams.get(entry.workstream_id, root.id)
                body = mapping.from_milestone(entry, entry.milestone_id, parent, status, currency)
                if held is None:
                    fresh.append(self._records.give(body))
                elif (held.comment.amount, held.comment.due) != (body["comment"]["amount"], body["comment"]["due"]):
                    await self._amend(held, {**body["comment"], "completed": held.comment.completed}, body)
            if fresh:
                await self._client.create(self._records.model, fresh, company=await self._company_of(root))
            if was_new:
                await self._records.retag(self._client, root.id, {"schedule": schedule.id})
            return (await self.get(schedule.project_id))[0], was_new

    async def find_schedule(self, schedule_id: str) -> Work | None:
        """The project whose comment names the schedule."""
        column = self._records.folded
        wanted = [["type", "=", mapping.PROJECT], [column, *holds("schedule", schedule_id)]]
        rows = await self._client.find(self._records.model, wanted, self._records.columns, limit=1)
        return parsed(Work, self._records.take_all(rows))[0] if rows else None

    # --- parts -----------------------------------------------------------------------------------------------------
    def _stream(
        self,
        plan: ProjectPlan,
        number: int,
        parent: int | None,
        status: int,
        currency: str | None,
        *,
        with_milestones: bool,
    ) -> Json:
        stream = plan.workstreams[number]
        body = mapping.from_workstream(stream, parent, status)
        if with_milestones and stream.milestones:
            due = [mapping.from_milestone(one, one.id, None, status, currency) for one in stream.milestones]
            body["children"] = [["create", [self._records.give(_sparse(one)) for one in due]]]
        return self._records.give(_sparse(body))

    def _missing(
        self, plan: ProjectPlan, tree: list[Work], status: int, currency: str | None, *, with_milestones: bool
    ) -> list[Json]:
        streams = {work.comment.workstream: work.id for work in tree if work.comment.workstream}
        due = {work.comment.milestone for work in tree if work.comment.milestone}
        bodies: list[Json] = []
        for number, stream in enumerate(plan.workstreams):
            if stream.id not in streams:
                bodies.append(self._stream(plan, number, tree[0].id, status, currency, with_milestones=with_milestones))
                continue
            bodies += [
                self._records.give(mapping.from_milestone(one, one.id, streams[stream.id], status, currency))
                for one in stream.milestones
                if with_milestones and one.id not in due
            ]
        return bodies

    async def _company(self, plan: ProjectPlan) -> tuple[int | None, str | None]:
        """The company of the legal entity and its currency; a PSA that knows no such company takes our user's own."""
        try:
            company = await self._directory.company(plan.legal_entity_code)
        except UnknownReference:
            return await self._directory.home(), None
        return company.id, company.currency.code

    async def _company_of(self, root: Work) -> int | None:
        return (await self._directory.company(root.company.party.code or "")).id

    async def _amend(self, held: Work, tags: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        values = {name: body[name] for name in ("list_price",) if name in body}
        await self._client.write(self._records.model, held.id, values)
        await self._records.retag(self._client, held.id, tags)


def _sparse(body: Mapping[str, Any]) -> Json:
    """A nested body has no parent of its own: Tryton sets it."""
    return {name: value for name, value in body.items() if name != "parent" or value is not None}
