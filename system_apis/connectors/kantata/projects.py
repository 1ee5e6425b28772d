"""Projects in Kantata: made part by part, each kind looked up before it is made; of doubles the oldest is the one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from shared.canonical.projects import MilestonePlan, Project, ProjectPlan, Workstream
from shared.errors.taxonomy import NotFound
from system_apis.connectors.kantata import mapping, payloads
from system_apis.connectors.kantata.client import Found, KantataWire
from system_apis.connectors.kantata.custom_fields import CustomFields, demand, included, parted, taken
from system_apis.connectors.kantata.payloads import SERVICE, our_id, our_ids
from system_apis.fields import FieldMap, Json
from system_apis.ports.binding import Binding

BULK, _STORIES_BULK = 100, 300
Item = TypeVar("Item")


def batched(items: Sequence[Item], size: int) -> Iterable[Sequence[Item]]:
    """The items in order, so many at a time."""
    return (items[first : first + size] for first in range(0, len(items), size))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A part that is to stand there: our id, its body, and its custom fields by name."""

    id: str
    body: Json
    customs: Json


class Projects:
    """Workspaces with their deliverables, milestones and amounts."""

    def __init__(self, binding: Binding, wire: KantataWire, fields: FieldMap) -> None:
        self._binding = binding
        self._wire = wire
        self._fields = fields
        self._customs = CustomFields(wire)
        self._workspace_ids: dict[str, str] = {}  # by our project id; a workspace never changes its id

    async def find(self, project_id: str) -> Project | None:
        """The workspace that carries our id, archived or not."""
        workspaces = await self._find_workspaces(project_id)
        return await self._placed(workspaces[0], project_id) if workspaces else None

    async def create(self, plan: ProjectPlan) -> Project:
        """Workspace, deliverables, milestones, amounts: each kind is looked up first and only missing ones are made."""
        places = self._fields["project"]
        workspaces = await self._find_workspaces(plan.id)
        for double in workspaces[1:]:
            await self._archive(double)
        body, customs = parted(places.give(mapping.from_plan(plan)))
        if not workspaces:
            body |= mapping.from_template(plan, await self._find_template(plan.template))
            made = await self._wire.create(
                "workspaces", "workspace", body, include=included(places, "external_references")
            )
            workspaces = taken(made, places, payloads.Workspace)
        workspace = workspaces[0]
        if workspace.archived:
            await self._wire.amend("workspaces", workspace.id, "workspace", {"archived": False})
            workspace = workspace.model_copy(update={"archived": False})
        await self._customs.note("Workspace", {workspace.id: customs})
        await self._create_parts(plan, workspace)
        return await self._placed(workspace, plan.id)

    async def close(self, project_id: str) -> None:
        """Archive the workspace, and a double of it that came late."""
        workspaces = await self._find_workspaces(project_id)
        if not workspaces:
            raise self._absent(project_id)
        for workspace in workspaces:
            await self._archive(workspace)

    async def _archive(self, workspace: payloads.Workspace) -> None:
        if not workspace.archived:
            await self._wire.amend("workspaces", workspace.id, "workspace", {"archived": True})

    async def workspace_id(self, project_id: str) -> str:
        """The workspace of a project. Raises NotFound."""
        if project_id not in self._workspace_ids:
            workspaces = await self._find_workspaces(project_id)
            if not workspaces:
                raise self._absent(project_id)
            self._workspace_ids[project_id] = workspaces[0].id
        return self._workspace_ids[project_id]

    def _absent(self, project_id: str) -> NotFound:
        return NotFound(f"{self._binding.system} has no project {project_id}.")

    async def _find_workspaces(self, project_id: str) -> list[payloads.Workspace]:
        """Those that carry our id, the oldest first: it is the one, the others came late."""
        places = self._fields["project"]
        include = included(places, "external_references")
        found = await self._wire.find_ours(
            "workspaces", payloads.PROJECT, [project_id], archived="include", include=include
        )
        await demand(self._wire, "Workspace", found, places)
        return sorted(taken(found, places, payloads.Workspace), key=lambda one: int(one.id))

    async def _find_template(self, title: str | None) -> str | None:
        """The project template of that title; without one the project is made by hand."""
        if not title:
            return None
        found = await self._wire.find_all("project_templates", search=title)
        return next((str(row["id"]) for row in found.rows if row.get("title") == title), None)

    async def _find_parts(self, workspace: payloads.Workspace) -> Found:
        shown = {"show_from_archived_workspaces": True} if workspace.archived else {}
        return await self._wire.find_all(
            "stories",
            **shown,
            workspace_id=workspace.id,
            external_reference_service_name=SERVICE,
            include="workspace,external_references",
            order="created_at:asc",
        )

    async def _placed(self, workspace: payloads.Workspace, project_id: str) -> Project:
        parts = await self._find_parts(workspace)
        held = _oldest(parts.all(payloads.Place), parts.references())
        return mapping.to_project(self._binding, workspace, project_id, held, parts.references())

    async def _create_parts(self, plan: ProjectPlan, workspace: payloads.Workspace) -> None:
        parts = await self._find_parts(workspace)
        stories, references = parts.all(payloads.Place), parts.references()
        streams = await self._stories(
            [self._workstream(one, workspace) for one in plan.workstreams],
            our_ids(stories, references, payloads.WORKSTREAM),
            payloads.WORKSTREAM,
        )
        planned = [(stream, milestone) for stream in plan.workstreams for milestone in stream.milestones]
        if not planned:
            return
        placed = await self._stories(
            [self._milestone(milestone, workspace, streams[stream.id]) for stream, milestone in planned],
            our_ids(stories, references, payloads.MILESTONE),
            payloads.MILESTONE,
        )
        due = await self._wire.find_all(
            "billing_milestones",
            workspace_ids=workspace.id,
            external_reference_service_name=SERVICE,
            include="story,external_references",
        )
        amounts = our_ids(due.all(payloads.BillingMilestone), due.references(), payloads.BILLING_MILESTONE)
        places = self._fields["milestone_amount"]
        bodies = [
            places.give(mapping.from_milestone_amount(milestone, workspace, placed[milestone.id]))
            for _, milestone in planned
            if milestone.id not in amounts
        ]
        for some in batched(bodies, BULK):
            await self._wire.create("billing_milestones", "billing_milestones", some)

    def _workstream(self, workstream: Workstream, workspace: payloads.Workspace) -> _Wanted:
        body = mapping.from_workstream(workstream, workspace)
        return _Wanted(workstream.id, *parted(self._fields["workstream"].give(body)))

    def _milestone(self, milestone: MilestonePlan, workspace: payloads.Workspace, parent_id: str) -> _Wanted:
        body = mapping.from_milestone(milestone, workspace, parent_id)
        return _Wanted(milestone.id, *parted(self._fields["milestone"].give(body)))

    async def _stories(self, wanted: Sequence[_Wanted], held: Mapping[str, str], model: str) -> dict[str, str]:
        """Make the stories that are missing, in bulk, and note custom fields on all; our id → the vendor's."""
        placed = dict(held)
        for some in batched([one.body for one in wanted if one.id not in placed], _STORIES_BULK):
            found = await self._wire.create("stories", "stories", some, include="workspace,external_references")
            placed |= our_ids(found.all(payloads.Part), found.references(), model)
        await self._customs.note("Story", {placed[one.id]: one.customs for one in wanted})
        return placed


def _oldest(stories: Iterable[payloads.Place], references: Mapping[str, payloads.Reference]) -> list[payloads.Place]:
    """The stories without doubles that came late, in order."""
    seen: set[Any] = set()
    kept: list[payloads.Place] = []
    for story in sorted(stories, key=lambda one: int(one.id)):
        ours = {
            (model, number)
            for model in (payloads.WORKSTREAM, payloads.MILESTONE)
            if (number := our_id(story.external_reference_ids, references, model))
        }
        if not ours & seen:
            kept.append(story)
        seen |= ours
    return kept
