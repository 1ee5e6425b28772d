"""`/erp/v1`: reference data, projects, contracts, invoices and payments of the tenant's ERP."""

from __future__ import annotations

from typing import TypeVar

from fastapi import APIRouter, Response
from pydantic import Field

from shared.canonical.billing import BillingSchedule, ErpContract
from shared.canonical.catalog import LegalEntity, RateCard, ServiceItem
from shared.canonical.customers import Customer
from shared.canonical.fields import LegalEntityCode
from shared.canonical.invoices import Invoice, InvoiceDraft, Payment
from shared.canonical.projects import Project, ProjectPlan
from shared.canonical.references import CanonicalModel, Entity, Page, Written
from shared.errors.taxonomy import FieldFinding, InvalidRequest, NotFound
from shared.serving.paging import page_of
from system_apis.crossref_store import CrossReference
from system_apis.reference_cache import Kept
from system_apis.routes.parameters import AtMost, Caller, Cursor, EntityId, InRooms, Limit, ModifiedSince, Rooms
from system_apis.routes.psa import project_references, same_id

Item = TypeVar("Item")
router = APIRouter(prefix="/erp/v1", tags=["ERP"])


class ErpCustomer(CanonicalModel):
    """A customer and the legal entity that will invoice it."""

    customer: Customer = Field(description="The customer as the CRM holds it; its id is that of the path.")
    legal_entity_code: LegalEntityCode


def _by_id(record: Entity) -> str:
    return record.id


async def _remember(rooms: Rooms, tenant: str, entity: str, written: Written) -> Written:
    await rooms.references.record(
        tenant, [CrossReference(entity, written.id, written.source.system, written.source.ref)]
    )
    return written


def _aged(answer: Response, kept: Kept[tuple[Item, ...]]) -> tuple[Item, ...]:
    """The content; a header tells how many seconds ago it was read. It is never older than `REFERENCE_SECONDS`."""
    answer.headers["Age"] = str(int(kept.age))
    return kept.content


def _found(written: Written | None, what: str) -> Written:
    if written is None:
        raise NotFound(f"The ERP has no {what}.")
    return written


@router.get("/legal-entities", summary="List legal entities", operation_id="listLegalEntities")
async def list_legal_entities(
    caller: Caller, rooms: InRooms, answer: Response, age: AtMost, cursor: Cursor = None, limit: Limit = 100
) -> Page[LegalEntity]:
    """All companies of the firm, approved or not, by id."""
    erp = rooms.catalog.erp(caller.tenant)
    kept = await rooms.reference.get(caller.tenant, "legal_entities", erp.list_legal_entities, at_most=age)
    return page_of(_aged(answer, kept), _by_id, cursor, limit)


@router.get("/service-items", summary="List service items", operation_id="listServiceItems")
async def list_service_items(
    caller: Caller, rooms: InRooms, answer: Response, age: AtMost, cursor: Cursor = None, limit: Limit = 100
) -> Page[ServiceItem]:
    """The service catalog of the ERP, by id."""
    erp = rooms.catalog.erp(caller.tenant)
    kept = await rooms.reference.get(caller.tenant, "service_items", erp.list_service_items, at_most=age)
    return page_of(_aged(answer, kept), _by_id, cursor, limit)


@router.get("/rate-cards", summary="List rate cards", operation_id="listRateCards")
async def list_rate_cards(
    caller: Caller, rooms: InRooms, answer: Response, age: AtMost, cursor: Cursor = None, limit: Limit = 100
) -> Page[RateCard]:
    """All rate cards with their effective dates, by id."""
    erp = rooms.catalog.erp(caller.tenant)
    kept = await rooms.reference.get(caller.tenant, "rate_cards", erp.list_rate_cards, at_most=age)
    return page_of(_aged(answer, kept), _by_id, cursor, limit)


@router.get("/customers/{customer_id}", summary="Find a customer in the ERP", operation_id="getErpCustomer")
async def get_customer(caller: Caller, rooms: InRooms, customer_id: EntityId) -> Written:
    """Where the customer stands."""
    erp = rooms.catalog.erp(caller.tenant)
    return _found(await erp.find_customer(customer_id), f"customer {customer_id}")


@router.put("/customers/{customer_id}", summary="Create or amend a customer", operation_id="putErpCustomer")
async def put_customer(caller: Caller, rooms: InRooms, customer_id: EntityId, body: ErpCustomer) -> Written:
    """The customer, usable by the legal entity. Repeat: the same record."""
    same_id(customer_id, body.customer.id, "customer.id")
    if body.customer.tenant != caller.tenant:
        raise InvalidRequest(findings=[FieldFinding("body.customer.tenant", "must be the caller's own tenant")])
    erp = rooms.catalog.erp(caller.tenant)
    async with rooms.references.one_at_a_time(caller.tenant, "erp_customer", customer_id):
        written = await erp.amend_customer(body.customer, body.legal_entity_code)
    return await _remember(rooms, caller.tenant, "erp_customer", written)


@router.get("/projects/{project_id}", summary="Find a project in the ERP", operation_id="getErpProject")
async def get_project(caller: Caller, rooms: InRooms, project_id: EntityId) -> Project:
    """Where the project and its children stand."""
    erp = rooms.catalog.erp(caller.tenant)
    project = await erp.find_project(project_id)
    if project is None:
        raise NotFound(f"The ERP has no project {project_id}.")
    return project


@router.put("/projects/{project_id}", summary="Create or amend a project", operation_id="putErpProject")
async def put_project(caller: Caller, rooms: InRooms, project_id: EntityId, plan: ProjectPlan) -> Project:
    """Project with one child per workstream. Repeat: the same records."""
    same_id(project_id, plan.id, "id")
    erp = rooms.catalog.erp(caller.tenant)
    async with rooms.references.one_at_a_time(caller.tenant, "erp_project", project_id):
        project = await erp.amend_project(plan)
    await rooms.references.record(caller.tenant, project_references(project))
    return project


@router.delete("/projects/{project_id}", summary="Close a project", operation_id="closeErpProject", status_code=204)
async def close_project(caller: Caller, rooms: InRooms, project_id: EntityId) -> Response:
    """Take the project out of use."""
    erp = rooms.catalog.erp(caller.tenant)
    await erp.close_project(project_id)
    return Response(status_code=204)


@router.get("/contracts/{contract_id}", summary="Find a contract in the ERP", operation_id="getErpContract")
async def get_contract(caller: Caller, rooms: InRooms, contract_id: EntityId) -> Written:
    """Where the contract stands."""
    erp = rooms.catalog.erp(caller.tenant)
    return _found(await erp.find_contract(contract_id), f"contract {contract_id}")


@router.put("/contracts/{contract_id}", summary="Create or amend a contract", operation_id="putErpContract")
async def put_contract(caller: Caller, rooms: InRooms, contract_id: EntityId, contract: ErpContract) -> Written:
    """The contract with its lines. Repeat: the same record."""
    same_id(contract_id, contract.id, "id")
    erp = rooms.catalog.erp(caller.tenant)
    async with rooms.references.one_at_a_time(caller.tenant, "erp_contract", contract_id):
        written = await erp.amend_contract(contract)
    return await _remember(rooms, caller.tenant, "erp_contract", written)


@router.get("/billing-schedules/{schedule_id}", summary="Find a billing schedule", operation_id="getBillingSchedule")
async def get_billing_schedule(caller: Caller, rooms: InRooms, schedule_id: EntityId) -> Written:
    """Where the schedule stands."""
    erp = rooms.catalog.erp(caller.tenant)
    return _found(await erp.find_billing_schedule(schedule_id), f"billing schedule {schedule_id}")


@router.put(
    "/billing-schedules/{schedule_id}", summary="Create or amend a billing schedule", operation_id="putBillingSchedule"
)
async def put_billing_schedule(
    caller: Caller, rooms: InRooms, schedule_id: EntityId, schedule: BillingSchedule
) -> Written:
    """When the agreed amounts fall due. Repeat: the same record."""
    same_id(schedule_id, schedule.id, "id")
    erp = rooms.catalog.erp(caller.tenant)
    async with rooms.references.one_at_a_time(caller.tenant, "billing_schedule", schedule_id):
        return await erp.amend_billing_schedule(schedule)


@router.get("/invoices", summary="List invoices", operation_id="listErpInvoices")
async def list_invoices(
    caller: Caller, rooms: InRooms, modified_since: ModifiedSince = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[Invoice]:
    """Posted invoices, oldest change first."""
    erp = rooms.catalog.erp(caller.tenant)
    return await erp.list_invoices(modified_since=modified_since, cursor=cursor, limit=limit)


@router.get("/invoices/{invoice_id}", summary="Read an invoice", operation_id="getErpInvoice")
async def get_invoice(caller: Caller, rooms: InRooms, invoice_id: EntityId) -> Invoice:
    """The invoice posted under our id."""
    erp = rooms.catalog.erp(caller.tenant)
    invoice = await erp.find_invoice(invoice_id)
    if invoice is None:
        raise NotFound(f"The ERP has no invoice {invoice_id}.")
    return invoice


@router.put("/invoices/{invoice_id}", summary="Post an invoice", operation_id="putErpInvoice")
async def put_invoice(caller: Caller, rooms: InRooms, invoice_id: EntityId, draft: InvoiceDraft) -> Invoice:
    """Post once. Repeat: the invoice already posted under the id."""
    same_id(invoice_id, draft.id, "id")
    erp = rooms.catalog.erp(caller.tenant)
    async with rooms.references.one_at_a_time(caller.tenant, "erp_invoice", invoice_id):
        invoice = await erp.create_invoice(draft)
    await rooms.references.record(
        caller.tenant, [CrossReference("erp_invoice", invoice.id, invoice.source.system, invoice.source.ref)]
    )
    return invoice


@router.get("/payments", summary="List payments", operation_id="listPayments")
async def list_payments(
    caller: Caller, rooms: InRooms, modified_since: ModifiedSince = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[Payment]:
    """Customer payments, oldest change first."""
    erp = rooms.catalog.erp(caller.tenant)
    return await erp.list_payments(modified_since=modified_since, cursor=cursor, limit=limit)
