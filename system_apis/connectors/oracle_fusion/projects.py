"""Projects: a header from a template, a task per workstream, and beneath it one per milestone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, cast

from shared.canonical.projects import PlacedPart, Project, ProjectPlan
from shared.errors.taxonomy import NotFound, StaleVersion
from system_apis.connectors.oracle_fusion import mapping
from system_apis.connectors.oracle_fusion.account import Account, Body
from system_apis.connectors.oracle_fusion.client import VENDOR, Item, Part, literal, part
from system_apis.connectors.oracle_fusion.directory import below, expanded
from system_apis.connectors.oracle_fusion.payloads import ProjectRow, TaskRow
from system_apis.ports.outcomes import begun, canonical

CLOSED = "CLOSED"


class Projects:
    """Projects of one pod."""

    def __init__(self, account: Account) -> None:
        self._account = account

    async def amend(self, plan: ProjectPlan) -> Project:
        """One call makes header and tasks; on a project that is there, one batch brings what differs or is missing."""
        entity = await self._account.directory.entity(plan.legal_entity_code)
        await self._account.directory.party(plan.customer_id, entity)
        header = mapping.from_project(plan, entity=entity, template=self._account.settings.project_template)
        async with self._account.writers.of(plan.id):
            held = await self._held(plan.id)
            if held is None:
                tasks = [self._account.give("task", task) for task in _tasks(plan, {})]
                body = {**self._account.give("project", header), "Tasks": tasks}
                body["ProjectCustomers"] = [{"PartyNumber": plan.customer_id}]
                made = await self._account.client.create("projects", body)
                with begun(VENDOR, f"project {plan.id}"):
                    return await self._shown(plan, await self._complete(made))
            try:
                await self._bring(plan, header, held)
            except StaleVersion:
                held = await self._held(plan.id)
                if held is None:
                    raise
                await self._bring(plan, header, held)
            with begun(VENDOR, f"project {plan.id}"):
                found = await self._held(plan.id)
            if found is None:
                raise NotFound(f"oracle_fusion no longer has a project with our id {plan.id}")
            return await self._shown(plan, found)

    async def _complete(self, made: Item) -> Item:
        """The answer to a creation may leave out flexfields that others filled; the item is read where it lacks any."""
        names = expanded(self._account.fields, "project")
        if all(name in made.row for name in names):
            return made
        return await self._account.client.get(f"projects/{part(made.key)}", expand=self._expand) or made

    @property
    def _expand(self) -> str:
        fields = self._account.fields
        return ",".join((*expanded(fields, "project"), *below(fields, "task", "Tasks")))

    async def _held(self, project_id: str) -> Item | None:
        """The project by our id, whatever its state; flexfields and tasks with it."""
        if not mapping.is_keepable(project_id):
            return None
        place = self._account.fields["project"]
        q = f"{place.path('id')} = {literal(project_id)} and {place.path('source')} = {literal(mapping.SOURCE)}"
        found = await self._account.client.items("projects", q=q, expand=self._expand, order="ProjectId")
        return found[0] if found else None

    async def _tasks_of(self, held: Item) -> list[Item]:
        expand = ",".join(expanded(self._account.fields, "task"))
        return await self._account.client.children(held, "projects", "Tasks", expand=expand)

    async def _bring(self, plan: ProjectPlan, header: Body, held: Item) -> None:
        """One batch, all or nothing, with what differs; nothing is sent where nothing does."""
        fixed = {"SourceTemplateNumber", "BusinessUnitName"}  # taken when a project is made, and never again
        wanted = self._account.give("project", {n: v for n, v in header.items() if n not in fixed})
        address = f"projects/{part(held.key)}"
        parts = [Part("update", address, wanted, held.etag)] if differs(wanted, held.row) else []
        rows = await self._tasks_of(held)
        by_id = {
            task.source_task_reference: item
            for item in rows
            if (task := self._account.take("task", item.row, TaskRow)).source_task_reference
        }
        numbers = {
            reference: str(item.row[self._account.fields["task"].path("number")]) for reference, item in by_id.items()
        }
        taken = {str(item.row[self._account.fields["task"].path("number")]) for item in rows}
        for body in _tasks(plan, numbers, taken):
            given = self._account.give("task", body)
            there = by_id.get(body["SourceTaskReference"])
            if there is None:
                parts.append(Part("create", f"{address}/child/Tasks", given))
            elif differs(given, there.row):
                parts.append(Part("update", f"{address}/child/Tasks/{part(there.key)}", given))
        if parts:
            await self._account.client.batch(parts)

    async def _shown(self, plan: ProjectPlan, item: Item) -> Project:
        return await self._project(plan.id, item)

    async def _project(self, project_id: str, item: Item) -> Project:
        row = self._account.take("project", item.row, ProjectRow)
        tasks = [self._account.take("task", task.row, TaskRow) for task in await self._tasks_of(item)]
        self._account.directory.keep_project(project_id, row, tasks)
        with canonical(VENDOR):
            return Project(
                tenant=self._account.binding.tenant,
                id=project_id,
                source=self._account.binding.source(
                    str(row.project_id),
                    mapping.to_version(row.last_update_date.isoformat(), row.project_status_code, len(tasks)),
                    row.last_update_date,
                ),
                name=mapping.plain_name(row),
                workstreams=tuple(_placed(task for task in tasks if task.parent_task_number is None)),
                milestones=tuple(_placed(task for task in tasks if task.parent_task_number is not None)),
            )

    async def find(self, project_id: str) -> Project | None:
        """By our id; a closed project counts as none."""
        held = await self._held(project_id)
        if held is None or self._account.take("project", held.row, ProjectRow).project_status_code == CLOSED:
            return None
        return await self._project(project_id, held)

    async def close(self, project_id: str) -> None:
        """Take the project out of use; its records stay for the auditors."""
        async with self._account.writers.of(project_id):
            held = await self._held(project_id)
            if held is None:
                raise NotFound(f"oracle_fusion has no project with our id {project_id}")
            if self._account.take("project", held.row, ProjectRow).project_status_code != CLOSED:
                body = self._account.give("project", {"ProjectStatusCode": CLOSED})
                await self._account.client.patch(f"projects/{part(held.key)}", body)


def _placed(tasks: Iterable[TaskRow]) -> Iterable[PlacedPart]:
    for task in tasks:
        if task.source_task_reference:
            yield PlacedPart(id=task.source_task_reference, ref=str(task.task_id))


def _tasks(plan: ProjectPlan, numbers: Mapping[str, str], taken: Iterable[str] = ()) -> list[Body]:
    """The tasks of a plan, parents first; known ones keep their numbers, others get free ones."""
    bodies: list[Body] = []
    used = set(taken)

    def free(prefix: str) -> str:
        number = 1
        while f"{prefix}{number}" in used:
            number += 1
        used.add(f"{prefix}{number}")
        return f"{prefix}{number}"

    for workstream in plan.workstreams:
        top = numbers.get(workstream.id) or free("")
        bodies.append(mapping.from_workstream(workstream, top))
        bodies += [
            mapping.from_milestone(milestone, numbers.get(milestone.id) or free(f"{top}."), top)
            for milestone in workstream.milestones
        ]
    return bodies


def differs(wanted: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether a row departs from what a body says; flexfields are compared segment by segment."""
    return any(_departs(value, row.get(name)) for name, value in wanted.items())


def _departs(wanted: Any, there: Any) -> bool:
    if isinstance(wanted, Mapping):
        held = cast("Body", there) if isinstance(there, Mapping) else {}
        return differs(cast("Body", wanted), held)
    if isinstance(wanted, list):
        return False  # children are compared on their own
    if isinstance(wanted, date):
        return wanted.isoformat() != there
    return (wanted or None) != (there or None) if isinstance(wanted, str | None) else wanted != there
