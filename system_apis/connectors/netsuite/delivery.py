"""What must stand in NetSuite before a deal can be billed: customer, project, contract, schedule; each under our id."""

from __future__ import annotations

import asyncio
from typing import Any

from shared.canonical.billing import BillingSchedule, ErpContract
from shared.canonical.customers import Customer
from shared.canonical.projects import PlacedPart, Project, ProjectPlan
from shared.canonical.references import Written
from shared.errors.taxonomy import NotFound
from system_apis.connectors.netsuite import bodies
from system_apis.connectors.netsuite.bodies import Parties
from system_apis.connectors.netsuite.client import literal
from system_apis.connectors.netsuite.desk import Desk
from system_apis.connectors.netsuite.directory import external_id
from system_apis.connectors.netsuite.door import VENDOR
from system_apis.connectors.netsuite.mapping import to_written
from system_apis.connectors.netsuite.payloads import (
    CustomerRecord,
    ExternalRow,
    JobRecord,
    RecordStub,
    ScheduleRecord,
)
from system_apis.ports.binding import Binding
from system_apis.ports.outcomes import begun

#: what tells where a record stands; a schedule tells no time of its change
_STUBS = {"salesOrder": "id,lastModifiedDate", "billingSchedule": "id"}


class Delivery:
    """Every act creates a record under our id, or brings the one that stands there to the given state.

    Records with lines are made by PUT and changed by PATCH: only of PATCH it is documented that lines can be replaced.
    """

    def __init__(self, binding: Binding, desk: Desk, schedule_type: str) -> None:
        self._binding = binding
        self._desk = desk
        self._client = desk.client
        self._directory = desk.directory
        self._schedule_type = schedule_type

    async def customer(self, customer: Customer, legal_entity_code: str) -> Written:
        """A second legal entity is related to the customer, its first one stays."""
        subsidiary = await self._directory.subsidiary(legal_entity_code)
        currency = await self._directory.currency(subsidiary.currency)
        key = external_id(customer.id)
        body = bodies.from_customer(customer, self._desk.fields)
        async with self._desk.writers.of(customer.id):
            found = await self._client.find("customer", f"eid:{key}", CustomerRecord, expands=True)
            if found is None:
                body |= {"subsidiary": {"id": subsidiary.id}, "currency": {"id": currency}}
                await self._client.put("customer", key, body, repeatable=False)
            else:
                if currency not in _currencies(found):
                    body["currencyList"] = {"items": [{"currency": {"id": currency}}]}
                replaced = [name for name in ("addressBook", "taxRegistration") if name in body]
                await self._client.patch("customer", found.id, body, replace=",".join(replaced))
            with begun(VENDOR, f"customer {customer.id}"):
                with_us = await self._desk.read_back("customer", key, CustomerRecord)
                if with_us.subsidiary.id != subsidiary.id:
                    link = {"entity": {"id": with_us.id}, "subsidiary": {"id": subsidiary.id}}
                    await self._client.put("customerSubsidiaryRelationship", f"{key}-{subsidiary.id}", link)
        self._directory.keep("customer", customer.id, with_us.id)
        return to_written(self._binding, customer.id, with_us, was_created=found is None)

    async def project(self, plan: ProjectPlan) -> Project:
        """The job, then one task per workstream, side by side."""
        parties = Parties(
            customer=await self._directory.internal("customer", plan.customer_id),
            job="",
            subsidiary=(await self._directory.subsidiary(plan.legal_entity_code)).id,
            currency=await self._directory.currency(plan.budget.currency),
        )
        fields = self._desk.fields
        keys = [external_id(workstream.id) for workstream in plan.workstreams]
        async with self._desk.writers.of(plan.id):
            await self._client.put("job", external_id(plan.id), bodies.from_project(plan, parties, fields))
            with begun(VENDOR, f"project {plan.id}"):
                job = await self._desk.read_back("job", external_id(plan.id), JobRecord)
                self._directory.keep("job", plan.id, job.id)
                made = await asyncio.gather(
                    *(
                        self._client.put("projectTask", key, bodies.from_workstream(workstream, job.id, fields))
                        for key, workstream in zip(keys, plan.workstreams, strict=True)
                    ),
                    return_exceptions=True,
                )
                for failure in made:
                    if isinstance(failure, BaseException):
                        raise failure
                return await self._placed(plan.id, job)

    async def find_project(self, project_id: str) -> Project | None:
        """A project taken out of use counts as none."""
        job = await self._desk.held("job", project_id, JobRecord)
        return None if job is None or job.is_inactive else await self._placed(project_id, job)

    async def _placed(self, project_id: str, job: JobRecord) -> Project:
        tasks = await self._tasks(job.id)
        placed = to_written(self._binding, project_id, job, was_created=False)
        return Project(
            tenant=self._binding.tenant,
            id=project_id,
            source=placed.source,
            name=job.company_name,
            workstreams=tuple(PlacedPart(id=task.externalid, ref=task.id) for task in tasks if task.externalid),
            milestones=(),
        )

    async def _tasks(self, job: str) -> list[ExternalRow]:
        return await self._client.rows(
            f"SELECT id, externalid FROM projecttask WHERE project = {literal(job)}", ExternalRow
        )

    async def close_project(self, project_id: str) -> None:
        """Take the job out of use; its records stay for the auditors."""
        job = await self._desk.held("job", project_id, JobRecord)
        if job is None:
            raise NotFound(f"netsuite has no project with our id {project_id}")
        if not job.is_inactive:
            await self._client.patch("job", job.id, self._desk.fields["project"].give({"isInactive": True}))

    async def contract(self, contract: ErpContract) -> Written:
        """The sales order; its lines are replaced whole."""
        parties = await self._desk.parties(
            contract.customer_id, contract.project_id, contract.legal_entity_code, contract.currency
        )
        body = bodies.from_contract(
            contract,
            parties,
            self._desk.fields,
            items=await self._directory.items(line.item_code for line in contract.lines),
            term=await self._directory.term(contract.payment_terms_days),
        )
        key = external_id(contract.id)
        async with self._desk.writers.of(contract.id):
            found = await self._client.find("salesOrder", f"eid:{key}", RecordStub, only=_STUBS["salesOrder"])
            return await self._brought("salesOrder", contract.id, found, body, "item", len(contract.lines))

    async def schedule(self, schedule: BillingSchedule) -> Written:
        """Lines are merged by their number so that reached milestones stay reached; replaced when there are fewer."""
        key = external_id(schedule.id)
        job = await self._directory.internal("job", schedule.project_id)
        tasks = {task.externalid: task.id for task in await self._tasks(job) if task.externalid}
        body = bodies.from_billing_schedule(schedule, self._desk.fields, job=job, tasks=tasks, kind=self._schedule_type)
        async with self._desk.writers.of(schedule.id):
            held = await self._client.find("billingSchedule", f"eid:{key}", ScheduleRecord, expands=True)
            shrinks = held is not None and len(held.milestone.items) > len(schedule.entries)
            if shrinks:
                body.setdefault("milestone", {"items": []})
            replaced = "milestone" if shrinks else ""
            return await self._brought("billingSchedule", schedule.id, held, body, replaced, len(schedule.entries))

    async def _brought(
        self, record: str, identifier: str, found: RecordStub | None, body: dict[str, Any], replace: str, lines: int
    ) -> Written:
        key = external_id(identifier)
        if found is None:
            await self._client.put(record, key, body, repeatable=False, lines=lines)
        else:
            await self._client.patch(record, found.id, body, replace=replace, lines=lines)
        with begun(VENDOR, f"{record} {identifier}"):
            with_us = await self._desk.read_back(record, key, RecordStub, only=_STUBS[record])
        return to_written(self._binding, identifier, with_us, was_created=found is None)

    async def find(self, record: str, identifier: str) -> Written | None:
        """Where the record with our id stands."""
        found = await self._desk.held(record, identifier, RecordStub)
        return None if found is None else to_written(self._binding, identifier, found, was_created=False)


def _currencies(customer: CustomerRecord) -> set[str]:
    listed = {line.currency.id for line in customer.currency_list.items}
    return listed | ({customer.currency.id} if customer.currency else set())
