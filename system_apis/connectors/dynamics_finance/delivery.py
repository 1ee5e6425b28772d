"""Customers, projects, contracts and schedules: how each is looked up by our id, created and brought to a state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

from shared.canonical.billing import BillingSchedule, ErpContract
from shared.canonical.customers import Customer
from shared.canonical.opportunities import BillingModel
from shared.canonical.projects import Project, ProjectPlan, Workstream
from shared.canonical.references import Written
from shared.errors.taxonomy import NotFound, OutcomeUnknown, StaleVersion
from system_apis.connectors.dynamics_finance import mapping
from system_apis.connectors.dynamics_finance.client import Change, FinanceClient
from system_apis.connectors.dynamics_finance.directory import Directory
from system_apis.connectors.dynamics_finance.mapping import OUT_OF_USE, Values, to_number, to_written
from system_apis.connectors.dynamics_finance.options import Options
from system_apis.connectors.dynamics_finance.payloads import (
    ContractLineRow,
    ContractRow,
    CustomerRow,
    ForecastRow,
    FundingSourceRow,
    Payload,
    ProjectRow,
)
from system_apis.connectors.dynamics_finance.rows import VENDOR
from system_apis.ports.binding import Binding
from system_apis.ports.outcomes import begun, canonical

Row = TypeVar("Row", bound=Payload)
_ATTEMPTS = 3


class Delivery:
    """What stands in the product for a customer, a project, a contract and a schedule of ours."""

    def __init__(self, binding: Binding, client: FinanceClient, directory: Directory, options: Options) -> None:
        self._binding = binding
        self._client = client
        self._directory = directory
        self._options = options

    async def _changed(
        self, entity: str, model: type[Row], found: Row, key: Mapping[str, Any], values: Values, equal: Values
    ) -> None:
        """The row gets these values, only while nobody else changes it; read again where somebody did."""
        for left in reversed(range(_ATTEMPTS)):
            try:
                await self._client.amend(entity, Change(key, values, found.etag))
            except StaleVersion:
                if not left:
                    raise
                found = await self._read_back(entity, model, equal)
            else:
                return

    async def _brought(
        self, entity: str, model: type[Row], found: Row, key: Mapping[str, Any], values: Values, equal: Values
    ) -> Row:
        """The row after it got these values."""
        await self._changed(entity, model, found, key, values, equal)
        with begun(VENDOR, f"{entity} {key}"):
            return await self._read_back(entity, model, equal)

    async def _read_back(self, entity: str, model: type[Row], equal: Values) -> Row:
        again = await self._client.one(entity, model, equal)
        if again is None:
            raise OutcomeUnknown(f"{VENDOR} took {entity} {equal} but does not have it.")
        return again

    # --- customers ---------------------------------------------------------------------------------------------------
    async def amend_customer(self, customer: Customer, legal_entity_code: str) -> Written:
        """The customer as an account of that company; every company keeps its own."""
        company = await self._directory.company(legal_entity_code)
        equal: Values = {"company": company, "external_id": customer.id}
        values = mapping.from_customer(customer)
        found = await self._client.one("customer", CustomerRow, equal)
        if found is None:
            row = await self._client.create("customer", CustomerRow, values | await self._account(customer, company))
        else:
            key = {"company": company, "account": found.account}
            row = await self._brought("customer", CustomerRow, found, key, values, equal)
        self._directory.keep_account(company, customer.id, row.account)
        return to_written(self._binding, customer.id, row, row.account, was_created=found is None)

    async def _account(self, customer: Customer, company: str) -> Values:
        codes = await self._directory.codes()
        values: Values = {
            "company": company,
            "party_type": "Organization",
            "group": self._options.customer_group,
            "currency": await self._directory.currency(codes[company]),
        }
        if self._options.customer_numbers == "manual":
            values["account"] = to_number(customer.id)
        return values

    async def find_customer(self, customer_id: str) -> Written | None:
        """By our id, in whichever company."""
        row = await self._client.one("customer", CustomerRow, {"external_id": customer_id})
        return None if row is None else to_written(self._binding, customer_id, row, row.account, was_created=False)

    # --- projects ----------------------------------------------------------------------------------------------------
    async def amend_project(self, plan: ProjectPlan) -> Project:
        """Contract (a project cannot be without one), project, and one sub-project per workstream."""
        company = await self._directory.company(plan.legal_entity_code)
        account = await self._directory.account(company, plan.customer_id)
        contract, _ = await self._contract(
            company, plan.contract_id, plan.contract_reference, account, plan.budget.currency
        )
        entity = await self._directory.project_entity()
        equal: Values = {"company": company, "external_id": plan.id}
        with begun(VENDOR, f"contract {contract.number}"):
            found = await self._client.one(entity, ProjectRow, equal)
        values = mapping.from_project(plan, self._start(entity, plan.start_on))
        fixed: Values = {
            "company": company,
            "number": to_number(plan.id),
            "group": self._group(plan.workstreams),
            "contract": contract.number,
        }
        with begun(VENDOR, f"project {plan.id}"):
            row = await self._placed(entity, found, fixed, values, equal)
            children = {child.external_id: child for child in await self._children(entity, row)}
            placed = [await self._workstream(entity, row, children.get(one.id), one) for one in plan.workstreams]
        kept = [child for child in children.values() if child.external_id not in {one.external_id for one in placed}]
        with canonical(VENDOR):
            return mapping.to_project(self._binding, row, [*placed, *kept])

    async def _placed(
        self, entity: str, found: ProjectRow | None, fixed: Values, values: Values, equal: Values
    ) -> ProjectRow:
        if found is None:
            return await self._client.create(entity, ProjectRow, fixed | values)
        key = {"company": found.company, "number": found.number}
        return await self._brought(entity, ProjectRow, found, key, values, equal)

    async def _workstream(
        self, entity: str, parent: ProjectRow, found: ProjectRow | None, workstream: Workstream
    ) -> ProjectRow:
        values = mapping.from_workstream(workstream, self._start(entity, workstream.start_on))
        fixed: Values = {
            "company": parent.company,
            "number": to_number(workstream.id),
            "group": self._group([workstream]),
            "contract": parent.contract,
            "parent": parent.number,
        }
        equal: Values = {"company": parent.company, "external_id": workstream.id}
        return await self._placed(entity, found, fixed, values, equal)

    def _group(self, workstreams: Sequence[Workstream]) -> str:
        """The project group, which decides how revenue is recognised: by time if anything is billed by time."""
        is_by_time = any(one.billing_model is BillingModel.TIME_AND_MATERIALS for one in workstreams)
        return self._options.project_group_time if is_by_time else self._options.project_group_fixed

    @staticmethod
    def _start(entity: str, day: date) -> date:
        return mapping.working_day(day) if entity == "project" else day

    async def _children(self, entity: str, row: ProjectRow) -> list[ProjectRow]:
        return await self._client.select(entity, ProjectRow, {"company": row.company, "parent": row.number})

    async def find_project(self, project_id: str) -> Project | None:
        """By our id; a project taken out of use counts as none."""
        entity = await self._directory.project_entity()
        row = await self._client.one(entity, ProjectRow, {"external_id": project_id})
        if row is None or row.stage == OUT_OF_USE:
            return None
        with canonical(VENDOR):
            return mapping.to_project(self._binding, row, await self._children(entity, row))

    async def close_project(self, project_id: str) -> None:
        """The stage that takes no more postings, for the project and its sub-projects at once."""
        entity = await self._directory.project_entity()
        row = await self._client.one(entity, ProjectRow, {"external_id": project_id})
        if row is None:
            raise NotFound(f"{VENDOR} has no project with our id {project_id}")
        open_ones = [one for one in (*await self._children(entity, row), row) if one.stage != OUT_OF_USE]
        changes = [
            Change({"company": one.company, "number": one.number}, {"stage": OUT_OF_USE}, one.etag) for one in open_ones
        ]
        await self._client.change_set(entity, (), changes)

    # --- contracts ---------------------------------------------------------------------------------------------------
    async def _contract(
        self, company: str, contract_id: str, reference: str, account: str, currency: str
    ) -> tuple[ContractRow, FundingSourceRow]:
        """The contract under its number, made bare where it is not there yet, and its funding source."""
        entity = await self._directory.contract_entity()
        number = to_number(contract_id)
        equal: Values = {"company": company, "number": number}
        row = await self._client.one(entity, ContractRow, equal)
        if row is None:
            values: Values = {**equal, "name": reference[:60], "currency": currency}
            if entity == "contract_in_operations":
                values["customer"] = account
            row = await self._client.create(entity, ContractRow, values)
        with begun(VENDOR, f"contract {contract_id}"):
            place: Values = {"company": company, "contract": number}
            source = await self._client.one("funding_source", FundingSourceRow, place)
            if source is None:
                values = {
                    **place,
                    "number": account,
                    "funding_type": "Customer",
                    "customer": account,
                    "creates_rule": True,
                }
                source = await self._client.create("funding_source", FundingSourceRow, values)
        return row, source

    async def amend_contract(self, contract: ErpContract) -> Written:
        """Terms at the funding source, billing rules, then the contract itself: its id of ours says it is whole."""
        company = await self._directory.company(contract.legal_entity_code)
        account = await self._directory.account(company, contract.customer_id)
        await self._directory.items(company, (line.item_code for line in contract.lines))
        term = await self._directory.term(company, contract.payment_terms_days)
        row, source = await self._contract(company, contract.id, contract.reference, account, contract.currency)
        with begun(VENDOR, f"contract {contract.id}"):
            terms: Values = {"purchase_order": contract.purchase_order or "", "terms": term}
            payer: Values = {"company": company, "contract": row.number, "number": source.number}
            await self._changed("funding_source", FundingSourceRow, source, payer, terms, payer)
            values = mapping.from_contract(contract)
            entity = await self._directory.contract_entity()
            if entity == "contract_in_operations":
                await self._lines(contract, company, row.number)
                values |= terms
            key = {"company": company, "number": row.number}
            placed = await self._brought(entity, ContractRow, row, key, values, key)
        return to_written(self._binding, contract.id, placed, placed.number, was_created=not row.external_id)

    async def _lines(self, contract: ErpContract, company: str, number: str) -> None:
        place: Values = {"company": company, "contract": number}
        held = {row.sequence: row for row in await self._client.select("contract_line", ContractLineRow, place)}
        inserts: list[Values] = []
        changes: list[Change] = []
        for sequence, line in enumerate(contract.lines, 1):
            values = mapping.from_contract_line(line) | {"project": to_number(line.workstream_id)}
            key = {**place, "sequence": sequence}
            if found := held.pop(sequence, None):
                changes.append(Change(key, values, found.etag))
            else:
                inserts.append({**key, **values})
        changes += [Change({**place, "sequence": gone}, None, row.etag) for gone, row in held.items()]
        await self._client.change_set("contract_line", inserts, changes)

    async def find_contract(self, contract_id: str) -> Written | None:
        """By our id."""
        return await self._found({"external_id": contract_id}, contract_id)

    async def _found(self, equal: Values, identifier: str) -> Written | None:
        row = await self._client.one(await self._directory.contract_entity(), ContractRow, equal)
        return None if row is None else to_written(self._binding, identifier, row, row.number, was_created=False)

    # --- billing schedules -------------------------------------------------------------------------------------------
    async def amend_billing_schedule(self, schedule: BillingSchedule) -> Written:
        """One on-account forecast per milestone in one change set; then the contract says whose schedule it has."""
        project = await self._directory.project(schedule.project_id)
        entity = await self._directory.project_entity()
        children = {row.external_id: row.number for row in await self._children(entity, project)}
        place: Values = {"company": project.company, "contract": project.contract}
        contract_entity = await self._directory.contract_entity()
        at: Values = {"company": project.company, "number": project.contract}
        row = await self._client.one(contract_entity, ContractRow, at)
        if row is None:
            raise NotFound(f"{VENDOR} has no contract {project.contract}")
        source = await self._client.one("funding_source", FundingSourceRow, place)
        held = {one.external_id: one for one in await self._client.select("schedule_entry", ForecastRow, place)}
        inserts: list[Values] = []
        changes: list[Change] = []
        for entry in schedule.entries:
            values = mapping.from_schedule_entry(entry, children.get(entry.workstream_id, project.number))
            found = held.pop(entry.milestone_id, None)
            if found is None:
                fixed = {**place, "number": to_number(entry.milestone_id), "model": self._options.forecast_model}
                inserts.append({**fixed, **values, "funding_source": source.number if source else ""})
            else:
                key = {"company": found.company, "number": found.number}
                amended = {name: value for name, value in values.items() if name != "project"}
                changes.append(Change(key, amended, found.etag))
        changes += [Change({"company": gone.company, "number": gone.number}, None, gone.etag) for gone in held.values()]
        await self._client.change_set("schedule_entry", inserts, changes)
        with begun(VENDOR, f"schedule {schedule.id}"):
            placed = await self._brought(contract_entity, ContractRow, row, at, {"schedule_id": schedule.id}, at)
        return to_written(self._binding, schedule.id, placed, placed.number, was_created=not row.schedule_id)

    async def find_billing_schedule(self, schedule_id: str) -> Written | None:
        """By our id, at its contract."""
        return await self._found({"schedule_id": schedule_id}, schedule_id)
