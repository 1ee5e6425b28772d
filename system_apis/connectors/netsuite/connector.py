"""NetSuite as an ERP: what each port method asks of the wire, and how repeats are recognised."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from shared.canonical.billing import BillingSchedule, ErpContract
from shared.canonical.catalog import LegalEntity, RateCard, ServiceItem
from shared.canonical.customers import Customer
from shared.canonical.invoices import Invoice, InvoiceDraft, Payment
from shared.canonical.projects import PlacedPart, Project, ProjectPlan
from shared.canonical.references import Page, Written
from shared.errors.taxonomy import (
    FieldFinding,
    Misconfigured,
    NotFound,
    OutcomeUnknown,
    VendorDrift,
    VendorRejected,
    VendorThrottled,
    VendorUnavailable,
)
from system_apis.connectors.netsuite import mapping
from system_apis.connectors.netsuite.changes import changed_page, changes
from system_apis.connectors.netsuite.client import NetSuiteClient, literal
from system_apis.connectors.netsuite.directory import ITEMS, RATES, SUBSIDIARIES, Directory, external_id
from system_apis.connectors.netsuite.mapping import is_keepable, to_written
from system_apis.connectors.netsuite.payloads import (
    CustomerRecord,
    ExternalRow,
    InvoicePage,
    InvoiceRecord,
    ItemRow,
    JobRecord,
    Payload,
    PaymentRecord,
    RateRow,
    RecordStub,
    ScheduleRecord,
    SubsidiaryRow,
)
from system_apis.manifest import load_manifest
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint

_MILESTONE_SCHEDULE = "4"
Record = TypeVar("Record", bound=Payload)


def open_connector(binding: Binding) -> NetSuiteConnector:
    """The connector of one tenant's account. Raises Misconfigured naming the missing key."""
    return NetSuiteConnector(binding)


@dataclass(frozen=True, slots=True)
class _Parties:
    """Internal ids of whom and what a transaction is about."""

    customer: str
    job: str
    subsidiary: str
    currency: str


class NetSuiteConnector:
    """Implements ErpPort and ChangePoll."""

    def __init__(self, binding: Binding) -> None:
        self.manifest = load_manifest(Path(__file__).parent)
        self._binding = binding
        self._client = NetSuiteClient(binding, self.manifest)
        self._directory = Directory(self._client)
        self._zone = _zone(binding)
        self._schedule_type = binding.settings.get("milestone_schedule_type") or _MILESTONE_SCHEDULE
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def ping(self) -> None:
        """Whether the account lets us in and answers. Raises what stands against it."""
        await self._client.page("SELECT id FROM subsidiary ORDER BY id", ExternalRow, limit=1)

    async def list_changes(self, since: datetime | None) -> Sequence[ChangeHint]:
        """Payments, invoices and reference data changed at or after the instant."""
        return await changes(self._client, since, self._zone)

    # --- reference data ------------------------------------------------------------------------------------------
    async def list_legal_entities(self) -> tuple[LegalEntity, ...]:
        """Active subsidiaries that carry a code of ours."""
        rows = await self._client.rows(SUBSIDIARIES, SubsidiaryRow)
        with _canonical():
            return tuple(mapping.to_legal_entity(self._binding, row, self._zone) for row in rows)

    async def list_service_items(self) -> tuple[ServiceItem, ...]:
        """Active service items, once per product code."""
        rows = await self._client.rows(ITEMS, ItemRow)
        with _canonical():
            return tuple(item for row in rows for item in mapping.to_service_items(self._binding, row, self._zone))

    async def list_rate_cards(self) -> tuple[RateCard, ...]:
        """Billing rate cards with their effective-dated prices."""
        rows = await self._client.rows(RATES, RateRow)
        with _canonical():
            return mapping.to_rate_cards(self._binding, rows, self._zone)

    # --- delivery ------------------------------------------------------------------------------------------------
    async def amend_customer(self, customer: Customer, legal_entity_code: str) -> Written:
        """Upsert; a second legal entity is related to the customer, its first one stays."""
        subsidiary = await self._directory.subsidiary(legal_entity_code)
        currency = await self._directory.currency(subsidiary.currency)
        key = external_id(customer.id)
        body = mapping.from_customer(customer)
        async with self._writing(customer.id):
            found = await self._client.find("customer", f"eid:{key}", CustomerRecord, expands=True)
            if found is None:
                body |= {"subsidiary": {"id": subsidiary.id}, "currency": {"id": currency}}
            elif currency not in _currencies(found):
                body["currencyList"] = {"items": [{"currency": {"id": currency}}]}
            replaced = "addressBook,taxRegistration" if "taxRegistration" in body else "addressBook"
            await self._client.put("customer", key, body, replace=replaced)
            with _begun(f"customer {customer.id}"):
                with_us = await self._read_back("customer", key, CustomerRecord)
                if with_us.subsidiary.id != subsidiary.id:
                    link = {"entity": {"id": with_us.id}, "subsidiary": {"id": subsidiary.id}}
                    await self._client.put("customerSubsidiaryRelationship", f"{key}-{subsidiary.id}", link)
        self._directory.keep("customer", customer.id, with_us.id)
        return to_written(self._binding, customer.id, with_us, was_created=found is None)

    async def find_customer(self, customer_id: str) -> Written | None:
        """By our id."""
        return await self._find("customer", customer_id)

    async def amend_project(self, plan: ProjectPlan) -> Project:
        """Upsert of the job, then of one task per workstream."""
        subsidiary = await self._directory.subsidiary(plan.legal_entity_code)
        currency = await self._directory.currency(plan.budget.currency)
        customer = await self._directory.internal("customer", plan.customer_id)
        body = mapping.from_project(plan, customer=customer, subsidiary=subsidiary.id, currency=currency)
        keys = [external_id(workstream.id) for workstream in plan.workstreams]
        async with self._writing(plan.id):
            await self._client.put("job", external_id(plan.id), body)
            with _begun(f"project {plan.id}"):
                job = await self._read_back("job", external_id(plan.id), JobRecord)
                self._directory.keep("job", plan.id, job.id)
                for key, workstream in zip(keys, plan.workstreams, strict=True):
                    await self._client.put("projectTask", key, mapping.from_workstream(workstream, job.id))
                return await self._project(plan.id, job)

    async def find_project(self, project_id: str) -> Project | None:
        """By our id; a project taken out of use counts as none."""
        job = await self._held("job", project_id, JobRecord)
        return None if job is None or job.is_inactive else await self._project(project_id, job)

    async def _project(self, project_id: str, job: JobRecord) -> Project:
        tasks = await self._client.rows(
            f"SELECT id, externalid FROM projecttask WHERE project = {literal(job.id)} ORDER BY id", ExternalRow
        )
        placed = to_written(self._binding, project_id, job, was_created=False)
        return Project(
            tenant=self._binding.tenant,
            id=project_id,
            source=placed.source,
            name=job.company_name,
            workstreams=tuple(PlacedPart(id=task.externalid, ref=task.id) for task in tasks if task.externalid),
            milestones=(),
        )

    async def close_project(self, project_id: str) -> None:
        """Take the job out of use; its records stay for the auditors."""
        job = await self._held("job", project_id, JobRecord)
        if job is None:
            raise NotFound(f"netsuite has no project with our id {project_id}")
        if not job.is_inactive:
            await self._client.patch("job", job.id, {"isInactive": True})

    async def amend_contract(self, contract: ErpContract) -> Written:
        """Upsert of the sales order; its lines are replaced whole."""
        parties = await self._parties(
            contract.customer_id, contract.project_id, contract.legal_entity_code, contract.currency
        )
        body = mapping.from_contract(
            contract,
            customer=parties.customer,
            job=parties.job,
            subsidiary=parties.subsidiary,
            currency=parties.currency,
            items=await self._directory.items(line.item_code for line in contract.lines),
            term=await self._directory.term(contract.payment_terms_days),
        )
        return await self._amend("salesOrder", contract.id, body, replace="item")

    async def find_contract(self, contract_id: str) -> Written | None:
        """By our id."""
        return await self._find("salesOrder", contract_id)

    async def amend_billing_schedule(self, schedule: BillingSchedule) -> Written:
        """Upsert; lines are merged by their number so that reached milestones stay reached."""
        key = external_id(schedule.id)
        job = await self._directory.internal("job", schedule.project_id)
        project = await self.find_project(schedule.project_id)
        tasks = {part.id: part.ref for part in project.workstreams} if project else {}
        body = mapping.from_billing_schedule(schedule, job=job, tasks=tasks, kind=self._schedule_type)
        held = await self._client.find("billingSchedule", f"eid:{key}", ScheduleRecord, expands=True)
        shrinks = held is not None and len(held.milestone.items) > len(schedule.entries)
        if shrinks:
            body.setdefault("milestone", {"items": []})
        return await self._amend("billingSchedule", schedule.id, body, replace="milestone" if shrinks else "")

    async def find_billing_schedule(self, schedule_id: str) -> Written | None:
        """By our id."""
        return await self._find("billingSchedule", schedule_id)

    async def _find(self, record: str, identifier: str) -> Written | None:
        found = await self._held(record, identifier, RecordStub)
        return None if found is None else to_written(self._binding, identifier, found, was_created=False)

    async def _held(self, record: str, identifier: str, kind: type[Record]) -> Record | None:
        return await self._client.find(record, f"eid:{identifier}", kind) if is_keepable(identifier) else None

    async def _amend(self, record: str, identifier: str, body: dict[str, Any], *, replace: str) -> Written:
        key = external_id(identifier)
        async with self._writing(identifier):
            found = await self._client.find(record, f"eid:{key}", RecordStub)
            await self._client.put(record, key, body, replace=replace)
            with _begun(f"{record} {identifier}"):
                with_us = await self._read_back(record, key, RecordStub)
        return to_written(self._binding, identifier, with_us, was_created=found is None)

    # --- receivables ---------------------------------------------------------------------------------------------
    async def create_invoice(self, draft: InvoiceDraft) -> Invoice:
        """Look for our id, else post once and compare; an invoice that came out otherwise is deleted again."""
        key = external_id(draft.id)
        async with self._writing(draft.id):
            if held := await self.find_invoice(draft.id):
                if differences := _differences(held, draft):
                    raise VendorRejected(f"netsuite holds another invoice under {draft.id}: {differences}")
                return held
            parties = await self._parties(draft.customer_id, draft.project_id, draft.legal_entity_code, draft.currency)
            body = mapping.from_invoice(
                draft,
                customer=parties.customer,
                job=parties.job,
                subsidiary=parties.subsidiary,
                currency=parties.currency,
                items=await self._directory.items(line.item_code for line in draft.lines),
                term=await self._directory.term(draft.payment_terms_days),
            )
            await self._client.put("invoice", key, body, replace="item", repeatable=False)
            with _begun(f"invoice {draft.id}"):
                record = await self._read_back("invoice", key, InvoiceRecord)
                posted = (await self._invoices([record]))[0]
                if differences := _differences(posted, draft):
                    await self._client.delete("invoice", record.id)
                    raise VendorRejected(f"netsuite posted otherwise and the invoice was deleted again: {differences}")
                return posted

    async def find_invoice(self, invoice_id: str) -> Invoice | None:
        """By our id."""
        record = await self._held("invoice", invoice_id, InvoiceRecord)
        return None if record is None else (await self._invoices([record]))[0]

    async def list_invoices(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Invoice]:
        """Invoices by change: ids by SuiteQL, then their records in one batch."""
        rows, following = await changed_page(self._client, "CustInvc", modified_since, cursor, limit, self._zone)
        if not rows:
            return Page(items=())
        page = await self._client.batch("invoice", [row.id for row in rows], InvoicePage)
        by_id = {record.id: record for record in page.items}
        records = [by_id[row.id] for row in rows if row.id in by_id]
        return Page(items=tuple(await self._invoices(records)), next_cursor=following)

    async def list_payments(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Payment]:
        """Payments by change, each read with what it is applied to."""
        rows, following = await changed_page(self._client, "CustPymt", modified_since, cursor, limit, self._zone)
        found = await asyncio.gather(
            *(self._client.find("customerPayment", row.id, PaymentRecord, expands=True) for row in rows)
        )
        records = [record for record in found if record is not None]
        documents = {line.doc.id for record in records for line in record.apply.items if line.apply}
        invoices = await self._directory.ours("transaction", documents, and_only="custbody_tl_period IS NOT NULL")
        customers = await self._directory.ours("customer", (record.customer.id for record in records))
        _, currencies = await self._directory.codes(subsidiaries=(), currencies=(r.currency.id for r in records))
        with _canonical():
            payments = tuple(
                mapping.to_payment(self._binding, record, invoices=invoices, customers=customers, currencies=currencies)
                for record in records
            )
        return Page(items=payments, next_cursor=following)

    async def _invoices(self, records: Sequence[InvoiceRecord]) -> list[Invoice]:
        entities, currencies = await self._directory.codes(
            subsidiaries=(record.subsidiary.id for record in records),
            currencies=(record.currency.id for record in records),
        )
        with _canonical():
            return [
                mapping.to_invoice(self._binding, record, legal_entities=entities, currencies=currencies)
                for record in records
            ]

    # --- common ground -------------------------------------------------------------------------------------------
    async def _parties(self, customer_id: str, project_id: str, legal_entity: str, currency: str) -> _Parties:
        return _Parties(
            customer=await self._directory.internal("customer", customer_id),
            job=await self._directory.internal("job", project_id),
            subsidiary=(await self._directory.subsidiary(legal_entity)).id,
            currency=await self._directory.currency(currency),
        )

    @asynccontextmanager
    async def _writing(self, identifier: str) -> AsyncGenerator[None]:
        """One writer per record, as NetSuite keeps the last write and no version; a refusal empties the directory."""
        lock = self._locks.setdefault(identifier, asyncio.Lock())
        async with lock:
            try:
                yield
            except VendorRejected:
                self._directory.forget()
                raise

    async def _read_back(self, record: str, key: str, model: type[Record]) -> Record:
        """What stands there after our write."""
        found = await self._client.find(record, f"eid:{key}", model)
        if found is None:
            raise OutcomeUnknown(f"netsuite took {record} {key} but does not have it.")
        return found


@contextmanager
def _begun(what: str) -> Generator[None]:
    """Something was written already: that NetSuite falls silent now no longer means that nothing was."""
    try:
        yield
    except (VendorUnavailable, VendorThrottled) as error:
        raise OutcomeUnknown(
            f"netsuite took {what}, whole or in part, and fell silent.", detail=error.message
        ) from error


@contextmanager
def _canonical() -> Generator[None]:
    """What NetSuite holds may not fit our language: an unknown currency, a name of 300 letters."""
    try:
        yield
    except ValidationError as error:
        findings = [FieldFinding(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_url=False)]
        listed = "; ".join(f"{finding.field}: {finding.reason}" for finding in findings)
        raise VendorDrift(f"netsuite holds what does not fit {error.title}: {listed}", findings=findings) from error


def _currencies(customer: CustomerRecord) -> set[str]:
    listed = {line.currency.id for line in customer.currency_list.items}
    return listed | ({customer.currency.id} if customer.currency else set())


def _differences(invoice: Invoice, draft: InvoiceDraft) -> str:
    """Where an invoice departs from its draft; empty when it does not."""
    pairs = (
        ("net", invoice.net, draft.net),
        ("tax", invoice.tax, draft.tax),
        ("gross", invoice.gross, draft.gross),
        ("legal entity", invoice.legal_entity_code, draft.legal_entity_code),
        ("period", invoice.period, draft.period),
    )
    return "; ".join(f"{name} is {there}, not {ours}" for name, there, ours in pairs if there != ours)


def _zone(binding: Binding) -> ZoneInfo:
    name = binding.settings.get("account_time_zone") or "UTC"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Misconfigured(f"connector netsuite: setting account_time_zone: {name!r} is not a time zone") from error
