"""`/customer/v1`: a customer's own projects and invoices."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from experience_apis.customer import screens
from experience_apis.customer.models import CustomerInvoice, CustomerInvoiceView, CustomerProject
from experience_apis.desk.asking import Asking, IdCursor, Limit, PlaceCursor
from experience_apis.desk.models import ID_PATTERN, ShapedPage
from experience_apis.processes.tier import Processes
from experience_apis.wording.catalog import AskedWording
from shared.errors.taxonomy import NotFound

router = APIRouter(prefix="/customer/v1", tags=["customer"])


@router.get("/projects", operation_id="listCustomerProjects", summary="Projects and where they stand")
async def list_projects(
    caller: Asking,
    processes: Processes,
    words: AskedWording,
    state: Annotated[
        Literal["provisioning", "activated"],
        Query(description="Being set up, or active.", examples=["activated"]),
    ] = "activated",
    cursor: PlaceCursor = None,
    limit: Limit = 50,
) -> ShapedPage[CustomerProject]:
    """What the firm delivers for the caller's customers; active projects unless asked otherwise."""
    page = await processes.deals.list_deals(caller, state=state, cursor=cursor, limit=limit)
    return screens.project_list(page, caller.principal, words)


@router.get("/invoices", operation_id="listCustomerInvoices", summary="Invoices and what is open")
async def list_invoices(
    caller: Asking, processes: Processes, words: AskedWording, cursor: IdCursor = None, limit: Limit = 50
) -> ShapedPage[CustomerInvoice]:
    """Invoices sent to the caller's customers, by id; drafts do not exist here."""
    page = await processes.billing.list_invoices(
        caller, status=screens.POSTED, contract_id=None, cursor=cursor, limit=limit
    )
    return screens.invoice_list(page, caller.principal, words)


@router.get("/invoices/{invoice_id}", operation_id="readCustomerInvoice", summary="One invoice")
async def read_invoice(
    caller: Asking,
    processes: Processes,
    words: AskedWording,
    invoice_id: Annotated[
        str,
        Path(
            pattern=ID_PATTERN,
            max_length=120,
            description="Our id of the invoice.",
            examples=["inv_fzlqoebb7e3kgqd7oyvq"],
        ),
    ],
) -> CustomerInvoiceView:
    """What was billed, line by line, and what is open."""
    invoice = await processes.billing.get_invoice(caller, invoice_id)
    if not screens.is_sent(invoice, caller.principal):
        raise NotFound(f"There is no invoice {invoice_id}.")
    return screens.invoice_view(invoice, words)
