"""How a project comes to stand: found, made of a template or by hand, its parts added where they are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.canonical.projects import Project, ProjectPlan
from shared.errors.taxonomy import NotFound
from system_apis.connectors.certinia import mapping
from system_apis.connectors.certinia.client import copied, made_of_template
from system_apis.connectors.certinia.payloads import (
    BUDGET,
    MILESTONE,
    OUR_CUSTOMER,
    OUR_ID,
    PHASE,
    PROJECT,
    ProjectPayload,
)
from system_apis.dialects.salesforce.soql import columns, soql_instant, soql_text
from system_apis.dialects.salesforce.wire import SalesforceWire
from system_apis.fields import FieldMap
from system_apis.ports.binding import Binding
from system_apis.ports.outcomes import canonical_record

_ACTION, _WAIT = "pse__ActionCPFTAccounts", 20
_OPEN, _CLOSED = "In Progress", "Canceled"


class Projects:
    """Projects of one org."""

    def __init__(self, binding: Binding, wire: SalesforceWire, fields: FieldMap, *, patience: float) -> None:
        self._binding = binding
        self._wire = wire
        self._fields = fields
        self._patience = patience
        self._action = binding.settings.get("template_action") or _ACTION
        self._open = binding.settings.get("stage_open") or _OPEN
        self._closed = binding.settings.get("stage_closed") or _CLOSED

    async def find(self, project_id: str) -> ProjectPayload | None:
        """The row that carries our id, in use or not."""
        key = self._fields["project"].column(OUR_ID)
        return next(iter(await self._rows(f"{key} = {soql_text(project_id)}")), None)

    async def get(self, project_id: str) -> ProjectPayload:
        """The row that carries our id. Raises NotFound."""
        found = await self.find(project_id)
        if found is None:
            raise NotFound(f"{self._binding.system} has no project {project_id}.")
        return found

    async def placed(self, row: ProjectPayload, project_id: str) -> Project:
        """The project with those of its parts that are ours."""
        phases = await self._parts(PHASE, "workstream", row.id)
        return self._made(row, project_id, phases, await self._parts(MILESTONE, "milestone", row.id))

    def _made(
        self, row: ProjectPayload, project_id: str, phases: Mapping[str, str], milestones: Mapping[str, str]
    ) -> Project:
        with canonical_record(self._binding.system, f"record {row.id}"):
            return mapping.to_project(row, project_id, self._binding, phases, milestones)

    async def create(self, plan: ProjectPlan) -> Project:
        """The project and its parts; whatever stands already is kept."""
        row = await self.find(plan.id) or await self._adopted(plan)
        is_new = row is None
        if row is None:
            await self._make(plan)
            row = await self.get(plan.id)
        if row.copy_job:
            await copied(self._wire, row.copy_job, self._patience)
        if not row.is_active or row.closed_for_time:
            await self._amend(row.id, {**mapping.reopened(), "pse__Stage__c": self._open})
        phases, milestones = await self._add_parts(plan, row.id, is_new=is_new)
        return self._made(row, plan.id, phases, milestones)

    async def close(self, project_id: str) -> None:
        """Out of use, and closed for time and expenses."""
        row = await self.get(project_id)
        if row.is_active or not row.closed_for_time:
            await self._amend(row.id, mapping.closed(self._closed))

    # --- making ----------------------------------------------------------------------------------------------------
    async def _adopted(self, plan: ProjectPlan) -> ProjectPayload | None:
        """The project that an earlier attempt made of a template without hearing the answer: it is named by our id."""
        key, name = self._fields["project"].column(OUR_ID), self._fields["project"].column("Name")
        rows = await self._rows(f"{name} = {soql_text(plan.id)} AND {key} = null ORDER BY CreatedDate, Id")
        if not rows:
            return None
        row = rows[0]
        since = f"CreatedById = {soql_text(row.created_by)} AND CreatedDate >= {soql_instant(row.created_at)}"
        where = f"JobType = 'Queueable' AND {since} ORDER BY CreatedDate, Id LIMIT 1"
        jobs = await self._wire.refs_by("AsyncApexJob", "Id", where)
        await self._claim(row.id, plan, await self._account(plan), next(iter(jobs), None))
        return await self.get(plan.id)

    async def _make(self, plan: ProjectPlan) -> None:
        account = await self._account(plan)
        template = await self._template(plan)
        if template is None:
            places = self._fields["project"]
            values = mapping.from_plan(plan, account, self._open) | {"CurrencyIsoCode": plan.budget.currency}
            await self._wire.upsert(PROJECT, places.column(OUR_ID), plan.id, places.give(values))
            return
        inputs = {
            "AccountId": account,
            "TemplateProjectId": template,
            "StartDate": plan.start_on.isoformat(),
            "ProjectName": plan.id,
            "IsActive": True,
            "IsTemplate": False,
        }
        project, job = await made_of_template(self._wire, self._action, inputs)
        await self._claim(project, plan, account, job)

    async def _claim(self, ref: str, plan: ProjectPlan, account: str, job: str | None) -> None:
        """A project made of a template gets our id, the job that copies into it, and what the plan says."""
        known = {OUR_ID: plan.id, "Throughline_Copy_Job__c": job}
        await self._amend(ref, mapping.from_plan(plan, account, self._open) | known)

    async def _template(self, plan: ProjectPlan) -> str | None:
        """The template of that name in the plan's currency: no project ever changes its currency."""
        if not plan.template:
            return None
        column = self._fields["project"].column
        where = f"{column('pse__Is_Template__c')} = TRUE AND {column('Name')} = {soql_text(plan.template)}"
        where += f" AND {column('CurrencyIsoCode')} = {soql_text(plan.budget.currency)}"
        return next(iter(await self._wire.refs_by(PROJECT, "Id", f"{where} ORDER BY CreatedDate, Id LIMIT 1")), None)

    async def _account(self, plan: ProjectPlan) -> str:
        """The account of the customer: by our id, else the only one of its name, which gets our id, else a new one."""
        places = self._fields["customer"]
        key, name = places.column(OUR_CUSTOMER), places.column("Name")
        if found := await self._wire.refs_by("Account", key, f"{key} = {soql_text(plan.customer_id)}"):
            return found[plan.customer_id]
        named = await self._wire.refs_by("Account", "Id", f"{name} = {soql_text(plan.customer_name)} AND {key} = null")
        if len(named) == 1:
            (ref,) = named
            await self._wire.amend("Account", ref, places.give({OUR_CUSTOMER: plan.customer_id}))
            return ref
        await self._wire.upsert("Account", key, plan.customer_id, places.give({"Name": plan.customer_name}))
        return (await self._wire.refs_by("Account", key, f"{key} = {soql_text(plan.customer_id)}"))[plan.customer_id]

    async def _add_parts(
        self, plan: ProjectPlan, ref: str, *, is_new: bool
    ) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Phases, budgets, milestones: what lacks is made; a project just made has none yet. Phases and milestones."""
        planned = [(stream, milestone) for stream in plan.workstreams for milestone in stream.milestones]
        phases, milestones = dict[str, str](), dict[str, str]()
        budgets: Mapping[str, str] = {}
        if not is_new:
            phases = await self._parts(PHASE, "workstream", ref)
            budgets = await self._parts(BUDGET, "budget", ref)
            milestones = await self._parts(MILESTONE, "milestone", ref)
        fresh = [mapping.from_workstream(one, ref) for one in plan.workstreams if one.id not in phases]
        if fresh:
            await self._upsert(PHASE, "workstream", fresh)
            phases = await self._parts(PHASE, "workstream", ref)
        amounts = [mapping.from_budget(one, ref) for one in plan.workstreams if one.id not in budgets]
        await self._upsert(BUDGET, "budget", amounts)
        due = [mapping.from_milestone(m, ref, phases[s.id]) for s, m in planned if m.id not in milestones]
        if due:
            await self._upsert(MILESTONE, "milestone", due)
            milestones = await self._parts(MILESTONE, "milestone", ref)
        return phases, milestones

    # --- the wire --------------------------------------------------------------------------------------------------
    async def _rows(self, where: str) -> list[ProjectPayload]:
        head = f"SELECT {columns(ProjectPayload, self._fields)} FROM {PROJECT}"
        return await self._wire.rows(f"{head} WHERE {where}", ProjectPayload)

    async def _parts(self, sobject: str, entity: str, ref: str) -> dict[str, str]:
        """Our id → row id of a project's parts of one kind, in the order in which they were made."""
        key, project = self._fields[entity].column(OUR_ID), self._fields[entity].column("pse__Project__c")
        where = f"{project} = {soql_text(ref)} AND {key} != null ORDER BY Id"
        return await self._wire.refs_by(sobject, key, where)

    async def _amend(self, ref: str, values: Mapping[str, Any]) -> None:
        await self._wire.amend(PROJECT, ref, self._fields["project"].give(values))

    async def _upsert(self, sobject: str, entity: str, rows: Sequence[Mapping[str, Any]]) -> None:
        places = self._fields[entity]
        await self._wire.upsert_all(sobject, places.column(OUR_ID), [places.give(row) for row in rows])


def patience_of(binding: Binding) -> float:
    """How many seconds a copy is waited for. Raises Misconfigured."""
    return binding.number("copy_wait_seconds", _WAIT)
