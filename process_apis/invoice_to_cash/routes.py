"""`/invoice-to-cash/v1`: collect payments now, and read what is owed."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from process_apis.durable import engine
from process_apis.invoice_to_cash.models import (
    ApplyPayment,
    CollectionRun,
    CollectOutcome,
    CollectPayments,
    Receivable,
    UnappliedCash,
)
from process_apis.invoice_to_cash.store import PaymentStore
from process_apis.invoice_to_cash.workflow import apply_payment, collect_payments
from process_apis.rooms import Subscriptions, rooms
from shared.canonical.events import Event, PaymentReceived
from shared.canonical.references import Page
from shared.errors.taxonomy import NotFound
from shared.identity.principal import Principal
from shared.serving.paging import page_of
from shared.serving.parameters import ID_PATTERN, Cursor, Limit
from shared.serving.principal import current_principal

router = APIRouter(prefix="/invoice-to-cash/v1", tags=["Invoice to cash"])
Caller = Annotated[Principal, Depends(current_principal)]


def _workflow_id(tenant: str, run_id: str) -> str:
    return f"invoice-to-cash:{tenant}:{run_id}"


@router.post("/runs", summary="Collect payments now", operation_id="startCollection", status_code=202)
async def start_run(caller: Caller) -> CollectionRun:
    """Ask the ERP for payments since the watermark; each is applied once."""
    run_id = f"collect-{datetime.now(UTC):%Y%m%d%H%M%S}-{secrets.token_hex(4)}"
    request = CollectPayments(tenant=caller.tenant, run_id=run_id)
    await engine.start(collect_payments, _workflow_id(caller.tenant, run_id), request)
    return CollectionRun(id=run_id, state="running")


@router.get("/runs/{run_id}", summary="Read a collection", operation_id="getCollection")
async def get_run(
    caller: Caller,
    run_id: Annotated[
        str,
        Path(
            pattern=ID_PATTERN,
            max_length=120,
            description="Id of the run.",
            examples=["collect-20170627081500-9f2c11ab"],
        ),
    ],
) -> CollectionRun:
    """How a collection ended."""
    run = await engine.outcome(_workflow_id(caller.tenant, run_id))
    if run is None:
        raise NotFound(f"There is no collection {run_id}.")
    outcome = run.result if isinstance(run.result, CollectOutcome) else None
    return CollectionRun(
        id=run_id,
        state=run.state.value,
        payments=outcome.payments if outcome else None,
        problem=run.error.message if run.error else None,
    )


@router.get("/receivables", summary="List receivables", operation_id="listReceivables")
async def list_receivables(
    caller: Caller,
    open_only: Annotated[bool, Query(description="Leave out what is paid.", examples=[True])] = False,  # noqa: FBT002  (a query flag)
    cursor: Annotated[
        str | None,
        Query(
            pattern=ID_PATTERN,
            max_length=120,
            description="`next_cursor` of the page before; leave it out to start.",
            examples=["inv_fzlqoebb7e3kgqd7oyvq"],
        ),
    ] = None,
    limit: Limit = 100,
) -> Page[Receivable]:
    """Posted invoices and what is owed on them, by id."""
    return await PaymentStore(rooms().database).list_receivables(
        caller.tenant, open_only=open_only, after=cursor, limit=limit, customers=caller.customers
    )


@router.get("/unapplied-cash", summary="List unapplied cash", operation_id="listUnappliedCash")
async def list_unapplied_cash(caller: Caller, cursor: Cursor = None, limit: Limit = 100) -> Page[UnappliedCash]:
    """Money received that settles no invoice of ours, by currency."""
    found = await PaymentStore(rooms().database).unapplied(caller.tenant)
    return page_of(found, lambda cash: cash.currency, cursor, limit)


def register(subscriptions: Subscriptions) -> None:
    """Every payment told by the system tier is applied, once per version."""

    async def apply(event: Event) -> None:
        payment = PaymentReceived.model_validate(event.data).payment
        key = f"invoice-to-cash:{event.tenant}:{payment.id}:{payment.source.version}"
        await engine.start(apply_payment, key, ApplyPayment(tenant=event.tenant, payment=payment))

    subscriptions.on("payment.received.v1", consumer="invoice-to-cash", act=apply)
