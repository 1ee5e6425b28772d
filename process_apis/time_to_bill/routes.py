"""`/time-to-bill/v1`: start and watch billing runs, read invoices and the ledger."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import Field

from process_apis.durable import engine
from process_apis.rooms import Subscriptions, rooms
from process_apis.time_to_bill.invoice_store import InvoiceStore
from process_apis.time_to_bill.models import (
    PERIOD,
    BilledInvoice,
    BilledInvoiceDetail,
    BilledInvoiceState,
    BillingRun,
    BillWork,
    WorkItem,
    WorkState,
    WorkStateSum,
)
from process_apis.time_to_bill.work_store import WorkStore
from process_apis.time_to_bill.workflow import bill_work
from shared.canonical.events import Event
from shared.canonical.references import CanonicalModel, Identifier, Page
from shared.identity.principal import Principal
from shared.serving.paging import page_of
from shared.serving.parameters import ID_PATTERN, Cursor, Limit
from shared.serving.principal import current_principal

router = APIRouter(prefix="/time-to-bill/v1", tags=["Time to bill"])
Caller = Annotated[Principal, Depends(current_principal)]
IdCursor = Annotated[
    str | None,
    Query(
        max_length=200,
        pattern=r"^[A-Za-z0-9_.:+-]+$",
        description="`next_cursor` of the page before; leave it out to start.",
        examples=["inv_fzlqoebb7e3kgqd7oyvq"],
    ),
]
RunCursor = Annotated[
    str | None,
    Query(
        pattern=r"^[0-9]{1,16}$",
        max_length=16,
        description="`next_cursor` of the page before; leave it out to start.",
        examples=["1493708400000000"],
    ),
]
ContractFilter = Annotated[
    str | None,
    Query(
        pattern=ID_PATTERN,
        max_length=120,
        description="Only this contract (our id).",
        examples=["con_lbrnl2pkbpchp6ss2ffg"],
    ),
]


class BillingRequest(CanonicalModel):
    """What to bill; nothing given: everything that is ready."""

    through: str | None = Field(
        default=None, pattern=PERIOD, description="Bill work up to the end of this month.", examples=["2017-04"]
    )
    contract_id: Identifier | None = Field(
        default=None, description="Bill only this contract.", examples=["con_lbrnl2pkbpchp6ss2ffg"]
    )


@router.post("/runs", summary="Start a billing run", operation_id="startBillingRun", status_code=202)
async def start_run(caller: Caller, body: BillingRequest) -> BillingRun:
    """Collect, rate and draft; each draft then waits for its approval, which its starter may not give."""
    run_id = f"bill-{datetime.now(UTC):%Y%m%d%H%M%S}-{secrets.token_hex(4)}"
    request = BillWork(
        tenant=caller.tenant,
        run_id=run_id,
        requested_by=caller.subject,
        through=body.through,
        contract_id=body.contract_id,
    )
    store = WorkStore(rooms().database)
    await store.begin(request)
    await engine.start(bill_work, f"time-to-bill:{caller.tenant}:{run_id}", request)
    return await store.get_run(caller.tenant, run_id)


@router.get("/runs", summary="List billing runs", operation_id="listBillingRuns")
async def list_runs(caller: Caller, cursor: RunCursor = None, limit: Limit = 50) -> Page[BillingRun]:
    """Runs, newest first."""
    before = datetime.fromtimestamp(int(cursor) / 1_000_000, UTC) if cursor else None
    return await WorkStore(rooms().database).list_runs(caller.tenant, before=before, limit=limit)


@router.get("/runs/{run_id}", summary="Read a billing run", operation_id="getBillingRun")
async def get_run(
    caller: Caller,
    run_id: Annotated[
        str,
        Path(
            pattern=ID_PATTERN, max_length=120, description="Id of the run.", examples=["bill-20170502070000-9f2c11ab"]
        ),
    ],
) -> BillingRun:
    """How far a run is."""
    return await WorkStore(rooms().database).get_run(caller.tenant, run_id)


@router.get("/invoices", summary="List invoices", operation_id="listInvoices")
async def list_invoices(
    caller: Caller,
    status: Annotated[BilledInvoiceState | None, Query(description="Only invoices in this state.")] = None,
    contract_id: ContractFilter = None,
    cursor: IdCursor = None,
    limit: Limit = 100,
) -> Page[BilledInvoice]:
    """Drafts and posted invoices, by id."""
    return await InvoiceStore(rooms().database).list_page(
        caller.tenant,
        state=status,
        contract_id=contract_id,
        after=cursor,
        limit=limit,
        customers=caller.customers,
    )


@router.get("/invoices/{invoice_id}", summary="Read an invoice", operation_id="getInvoice")
async def get_invoice(
    caller: Caller,
    invoice_id: Annotated[
        str,
        Path(
            pattern=ID_PATTERN,
            max_length=120,
            description="Our id of the invoice.",
            examples=["inv_fzlqoebb7e3kgqd7oyvq"],
        ),
    ],
) -> BilledInvoiceDetail:
    """One invoice with its lines."""
    return await InvoiceStore(rooms().database).get(caller.tenant, invoice_id, seen_by=caller)


@router.get("/work", summary="List ledger rows", operation_id="listWork")
async def list_work(
    caller: Caller,
    state: Annotated[WorkState | None, Query(description="Only rows in this state.")] = None,
    contract_id: ContractFilter = None,
    cursor: IdCursor = None,
    limit: Limit = 100,
) -> Page[WorkItem]:
    """Every source entry once, with its state and the reason it is not billed."""
    return await WorkStore(rooms().database).list_work(
        caller.tenant, state=state, contract_id=contract_id, after=cursor, limit=limit
    )


@router.get("/work-states", summary="Sum the ledger by state", operation_id="listWorkStates")
async def list_work_states(
    caller: Caller, contract_id: ContractFilter = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[WorkStateSum]:
    """Rows and hours by kind and state."""
    sums = await WorkStore(rooms().database).sums(caller.tenant, contract_id)
    return page_of(sums, lambda one: f"{one.kind}.{one.state}", cursor, limit)


def register(subscriptions: Subscriptions) -> None:
    """Adopt an activated deal as soon as it is told, so that its first hours find their contract."""

    async def adopt(event: Event) -> None:
        await WorkStore(rooms().database).adopt_activated(event.tenant)

    subscriptions.on("project.activated.v1", consumer="time-to-bill", act=adopt)
