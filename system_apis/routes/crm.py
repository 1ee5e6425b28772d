"""`/crm/v1`: deals, customers and contracts of the tenant's CRM."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from shared.canonical.contracts import Contract
from shared.canonical.customers import Customer
from shared.canonical.opportunities import DeliveryStatus, InvoiceStatus, Opportunity
from shared.canonical.references import Page
from shared.errors.taxonomy import NotFound
from shared.serving.parameters import ID_PATTERN
from system_apis.crossref_store import CrossReference
from system_apis.intake import references_of_opportunity
from system_apis.routes.parameters import Caller, Cursor, EntityId, InRooms, Limit, ModifiedSince

router = APIRouter(prefix="/crm/v1", tags=["CRM"])
InvoiceId = Annotated[
    str,
    Path(
        pattern=ID_PATTERN, max_length=120, description="Our id of the invoice.", examples=["inv_fzlqoebb7e3kgqd7oyvq"]
    ),
]


@router.get("/opportunities", summary="List opportunities", operation_id="listOpportunities")
async def list_opportunities(
    caller: Caller, rooms: InRooms, modified_since: ModifiedSince = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[Opportunity]:
    """Deals, oldest change first; changes of their lines count."""
    crm, _ = rooms.catalog.crm(caller.tenant)
    page = await crm.list_opportunities(modified_since=modified_since, cursor=cursor, limit=limit)
    await rooms.references.record(caller.tenant, [r for o in page.items for r in references_of_opportunity(o)])
    return page


@router.get("/opportunities/{opportunity_id}", summary="Read an opportunity", operation_id="getOpportunity")
async def get_opportunity(caller: Caller, rooms: InRooms, opportunity_id: EntityId) -> Opportunity:
    """One deal with its lines, read from the CRM now."""
    crm, system = rooms.catalog.crm(caller.tenant)
    ref = await rooms.references.get_ref(caller.tenant, "opportunity", opportunity_id, system)
    opportunity = await crm.get_opportunity(ref)
    await rooms.references.record(caller.tenant, references_of_opportunity(opportunity))
    return opportunity


@router.get(
    "/opportunities/{opportunity_id}/contract", summary="Read a deal's contract", operation_id="getOpportunityContract"
)
async def get_opportunity_contract(caller: Caller, rooms: InRooms, opportunity_id: EntityId) -> Contract:
    """The statement of work with its milestones; 404 while there is none."""
    crm, system = rooms.catalog.crm(caller.tenant)
    ref = await rooms.references.get_ref(caller.tenant, "opportunity", opportunity_id, system)
    contract = await crm.find_contract(ref)
    if contract is None:
        raise NotFound(f"Opportunity {opportunity_id} has no contract.")
    await rooms.references.record(caller.tenant, [CrossReference("contract", contract.id, system, contract.source.ref)])
    return contract


@router.put(
    "/opportunities/{opportunity_id}/delivery-status",
    summary="Write the delivery status",
    operation_id="putDeliveryStatus",
    status_code=204,
)
async def put_delivery_status(
    caller: Caller, rooms: InRooms, opportunity_id: EntityId, status: DeliveryStatus
) -> Response:
    """Tell the account team where delivery stands. Repeat: the same values again."""
    crm, system = rooms.catalog.crm(caller.tenant)
    ref = await rooms.references.get_ref(caller.tenant, "opportunity", opportunity_id, system)
    await crm.amend_delivery_status(ref, status)
    return Response(status_code=204)


@router.put(
    "/opportunities/{opportunity_id}/invoices/{invoice_id}",
    summary="Write an invoice's status",
    operation_id="putInvoiceStatus",
    status_code=204,
)
async def put_invoice_status(
    caller: Caller, rooms: InRooms, opportunity_id: EntityId, invoice_id: InvoiceId, status: InvoiceStatus
) -> Response:
    """Tell the account team where one invoice stands. Repeat: one row, latest values."""
    crm, system = rooms.catalog.crm(caller.tenant)
    ref = await rooms.references.get_ref(caller.tenant, "opportunity", opportunity_id, system)
    async with rooms.references.one_at_a_time(caller.tenant, "invoice_status", invoice_id):
        await crm.amend_invoice_status(ref, invoice_id, status)
    return Response(status_code=204)


@router.get("/customers", summary="List customers", operation_id="listCustomers")
async def list_customers(
    caller: Caller, rooms: InRooms, modified_since: ModifiedSince = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[Customer]:
    """Customers, oldest change first."""
    crm, system = rooms.catalog.crm(caller.tenant)
    page = await crm.list_customers(modified_since=modified_since, cursor=cursor, limit=limit)
    await rooms.references.record(
        caller.tenant, [CrossReference("customer", c.id, system, c.source.ref) for c in page.items]
    )
    return page


@router.get("/customers/{customer_id}", summary="Read a customer", operation_id="getCustomer")
async def get_customer(caller: Caller, rooms: InRooms, customer_id: EntityId) -> Customer:
    """One customer, read from the CRM now."""
    crm, system = rooms.catalog.crm(caller.tenant)
    return await crm.get_customer(await rooms.references.get_ref(caller.tenant, "customer", customer_id, system))


@router.get("/contracts", summary="List contracts", operation_id="listContracts")
async def list_contracts(
    caller: Caller, rooms: InRooms, modified_since: ModifiedSince = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[Contract]:
    """Contracts with their milestones, oldest change first."""
    crm, system = rooms.catalog.crm(caller.tenant)
    page = await crm.list_contracts(modified_since=modified_since, cursor=cursor, limit=limit)
    await rooms.references.record(
        caller.tenant, [CrossReference("contract", c.id, system, c.source.ref) for c in page.items]
    )
    return page
