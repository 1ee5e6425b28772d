"""Enterprise projects: found by our id, made whole, released; workstreams and milestones are WBS elements."""

from __future__ import annotations

from shared.canonical.projects import Project, ProjectPlan, Workstream
from shared.errors.taxonomy import NotFound
from shared.outbound import drift
from system_apis.connectors.s4hana import bodies
from system_apis.connectors.s4hana.client import PROJECTS, Change, Json, Query, etag, nested, path_of, quoted
from system_apis.connectors.s4hana.differences import changed
from system_apis.connectors.s4hana.directory import VENDOR, kept_id
from system_apis.connectors.s4hana.mapping import is_keepable_object, to_project
from system_apis.connectors.s4hana.payloads import ElementRow, ProjectRow
from system_apis.connectors.s4hana.writing import Desk
from system_apis.ports.outcomes import begun, canonical

_ELEMENTS = "to_EnterpriseProjectElement"


class Projects(Desk):
    """The port's project methods."""

    async def amend(self, plan: ProjectPlan) -> Project:
        """Make the project in one deep insert, or bring header and elements to the plan in one change set; released."""
        for identifier in (plan.id, *_parts(plan)):
            kept_id(identifier, is_good=is_keepable_object(identifier))
        at = await self._directory.organisation(plan.legal_entity_code)
        customer = str(await self._directory.uuid(plan.customer_id))
        async with self._writers.of(plan.id):
            row = await self._held(plan.id)
            if row is None:
                body = bodies.from_new_project(plan, customer, at, self._fields, self._settings)
                made = await self._client.create(PROJECTS, "A_EnterpriseProject", body)
                with begun(VENDOR, f"project {plan.id}"):
                    return await self._released(plan.id, self._project(made))
            project = self._project(row)
            if project.status == self._settings.closed_status:
                await self._step(project, self._settings.released_status)
                with begun(VENDOR, f"project {plan.id}"):
                    row = await self._held(plan.id) or row
            changes = self._changes(plan, row)
            with begun(VENDOR, f"project {plan.id}"):
                await self._client.change_set(PROJECTS, changes)
                return await self._released(plan.id, self._project(row), is_fresh=not changes, row=row)

    async def find(self, project_id: str) -> Project | None:
        """By our id; a project taken out of use counts as none."""
        row = await self._held(project_id) if is_keepable_object(project_id) else None
        if row is None or self._project(row).status == self._settings.closed_status:
            return None
        return self._shown(row)

    async def close(self, project_id: str) -> None:
        """Complete the project; its records stay for the auditors."""
        row = await self._held(project_id) if is_keepable_object(project_id) else None
        if row is None:
            raise NotFound(f"{VENDOR} has no project with our id {project_id}")
        project = self._project(row)
        if project.status == self._settings.closed_status:
            return
        async with self._writers.of(project_id):
            if project.status != self._settings.released_status:
                await self._step(project, self._settings.released_status)
            await self._step(project, self._settings.closed_status)

    async def _released(
        self, project_id: str, project: ProjectRow, *, is_fresh: bool = False, row: Json | None = None
    ) -> Project:
        """A project takes postings once it is released; how it stands afterwards."""
        if project.status != self._settings.released_status:
            await self._step(project, self._settings.released_status)
        elif is_fresh and row is not None:
            return self._shown(row)
        found = await self._held(project_id)
        if found is None:
            raise NotFound(f"{VENDOR} lost project {project_id} between two reads")
        return self._shown(found)

    async def _step(self, project: ProjectRow, status: str) -> None:
        await self._client.call(PROJECTS, "ChangeEntProjProcgStatus", ProjectUUID=project.uuid, ProcessingStatus=status)

    async def _held(self, project_id: str) -> Json | None:
        path = self._fields["project"].column("Project")
        where = f"{path} eq {quoted(bodies.element_of(project_id))}"
        rows = await self._client.rows(PROJECTS, "A_EnterpriseProject", Query(where=where, expand=(_ELEMENTS,)))
        return rows[0] if rows else None

    def _project(self, row: Json) -> ProjectRow:
        return drift(VENDOR, ProjectRow, self._fields["project"].take(row))

    def _elements(self, row: Json) -> list[tuple[ElementRow, Json]]:
        take = self._fields["workstream"].take
        return [(drift(VENDOR, ElementRow, take(one)), one) for one in nested(row, _ELEMENTS)]

    def _shown(self, row: Json) -> Project:
        elements = [element for element, _ in self._elements(row)]
        with canonical(VENDOR):
            return to_project(self._binding, self._project(row), elements)

    # --- what a plan changes ---------------------------------------------------------------------------------------
    def _changes(self, plan: ProjectPlan, row: Json) -> list[Change]:
        project = self._project(row)
        held = {element.element: (element, one) for element, one in self._elements(row)}
        changes: list[Change] = []
        if own := changed(bodies.from_project(plan, self._fields), row):
            changes.append(Change("PATCH", path_of("A_EnterpriseProject", project.uuid), own, etag(row)))
        for workstream in plan.workstreams:
            known = held.get(bodies.element_of(workstream.id))
            if known is None:
                fresh = {**bodies.from_new_workstream(workstream, self._fields), "ProjectUUID": str(project.uuid)}
                changes.append(Change("POST", "A_EnterpriseProjectElement", fresh))
                continue
            element, there = known
            changes += _patch(element, there, bodies.from_workstream(workstream, self._fields))
            changes += self._milestones(project, element, workstream, held)
        return changes

    def _milestones(
        self, project: ProjectRow, parent: ElementRow, workstream: Workstream, held: dict[str, tuple[ElementRow, Json]]
    ) -> list[Change]:
        changes: list[Change] = []
        for milestone in workstream.milestones:
            known = held.get(bodies.element_of(milestone.id))
            if known is None:
                fresh = bodies.from_new_milestone(milestone, self._fields)
                place = {"ProjectUUID": str(project.uuid), "ParentObjectUUID": str(parent.uuid)}
                changes.append(Change("POST", "A_EnterpriseProjectElement", {**fresh, **place}))
            else:
                changes += _patch(*known, bodies.from_milestone(milestone, self._fields))
        return changes


def _patch(element: ElementRow, there: Json, body: bodies.Body) -> list[Change]:
    differing = changed(body, there)
    path = path_of("A_EnterpriseProjectElement", element.uuid)
    return [Change("PATCH", path, differing, etag(there))] if differing else []


def _parts(plan: ProjectPlan) -> list[str]:
    milestones = [milestone.id for workstream in plan.workstreams for milestone in workstream.milestones]
    return [*(workstream.id for workstream in plan.workstreams), *milestones]
