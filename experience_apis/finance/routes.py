"""`/finance/v1`: the finance workbench - billing runs, invoices, approvals, work in progress, remedies, figures."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from experience_apis.desk import screens as desk
from experience_apis.desk.asking import (
    AskedState,
    Asking,
    IdCursor,
    Limit,
    OfOpportunity,
    Ordering,
    PlaceCursor,
    RunCursor,
    told_state,
)
from experience_apis.desk.figures import Figures, figures
from experience_apis.desk.models import (
    ID_PATTERN,
    ApprovalCard,
    ApprovalDetail,
    DecisionOrder,
    DecisionOrders,
    DecisionResults,
    ShapedPage,
)
from experience_apis.finance import screens
from experience_apis.finance.models import (
    BillingOrder,
    BillingRunCard,
    InvoiceCard,
    InvoiceView,
    RemedyOrder,
    RemedyResult,
    WorkRow,
    WorkSum,
)
from experience_apis.processes.tier import Processes
from experience_apis.wording.catalog import AskedWording
from shared.serving.parameters import Cursor

router = APIRouter(prefix="/finance/v1", tags=["finance"])
InvoiceState = Literal["draft", "approved", "posted", "rejected"]
WorkState = Literal[
    "collected",
    "awaiting_project",
    "not_billable",
    "unapproved",
    "awaiting_rate",
    "over_cap",
    "billed_elsewhere",
    "ready",
    "drafted",
    "billed",
]
OfContract = Annotated[
    str | None,
    Query(
        pattern=ID_PATTERN,
        max_length=120,
        description="Only this contract (our id).",
        examples=["con_lbrnl2pkbpchp6ss2ffg"],
    ),
]


@router.post("/billing-runs", operation_id="startFinanceBillingRun", summary="Bill what is ready", status_code=202)
async def start_billing_run(
    order: BillingOrder, caller: Ordering, processes: Processes, words: AskedWording
) -> BillingRunCard:
    """Collects approved work, rates it and drafts invoices; whoever starts it may not approve them."""
    run = await processes.billing.start_run(caller, through=order.through, contract_id=order.contract_id)
    return screens.run_card(run, words)


@router.get("/billing-runs", operation_id="listFinanceBillingRuns", summary="Billing runs")
async def list_billing_runs(
    caller: Asking, processes: Processes, words: AskedWording, cursor: RunCursor = None, limit: Limit = 50
) -> ShapedPage[BillingRunCard]:
    """Newest first."""
    page = await processes.billing.list_runs(caller, cursor=cursor, limit=limit)
    return screens.run_page(page, words)


@router.get("/billing-runs/{run_id}", operation_id="readFinanceBillingRun", summary="One billing run")
async def read_billing_run(
    caller: Asking,
    processes: Processes,
    words: AskedWording,
    run_id: Annotated[
        str,
        Path(
            pattern=ID_PATTERN, max_length=120, description="Id of the run.", examples=["bill-20170502070000-9f2c11ab"]
        ),
    ],
) -> BillingRunCard:
    """How far it is."""
    return screens.run_card(await processes.billing.get_run(caller, run_id), words)


@router.get("/invoices", operation_id="listFinanceInvoices", summary="Invoices")
async def list_invoices(
    caller: Asking,
    processes: Processes,
    words: AskedWording,
    status: Annotated[InvoiceState | None, Query(description="Only invoices in this state.")] = None,
    contract_id: OfContract = None,
    cursor: IdCursor = None,
    limit: Limit = 50,
) -> ShapedPage[InvoiceCard]:
    """Drafts, posted and rejected ones."""
    page = await processes.billing.list_invoices(
        caller, status=status, contract_id=contract_id, cursor=cursor, limit=limit
    )
    return screens.invoice_page(page, words)


@router.get("/invoices/{invoice_id}", operation_id="readFinanceInvoice", summary="One invoice")
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
) -> InvoiceView:
    """With its lines."""
    return screens.invoice_view(await processes.billing.get_invoice(caller, invoice_id), words)


@router.get("/approvals", operation_id="listFinanceApprovals", summary="Decisions asked of finance")
async def list_approvals(
    caller: Asking,
    processes: Processes,
    words: AskedWording,
    *,
    kind: Annotated[Literal["invoice", "finance"], Query(description="Invoices, or deals.")] = "invoice",
    status: AskedState = "open",
    opportunity_id: OfOpportunity = None,
    cursor: PlaceCursor = None,
    limit: Limit = 50,
) -> ShapedPage[ApprovalCard]:
    """Oldest first; open invoice approvals unless asked otherwise."""
    page = await processes.approvals.list_approvals(
        caller, status=told_state(status), kind=kind, opportunity_id=opportunity_id, cursor=cursor, limit=limit
    )
    return desk.approval_page(page, caller.principal.scopes, words)


@router.get("/approvals/{approval_id}", operation_id="readFinanceApproval", summary="One decision asked for")
async def read_approval(
    caller: Asking,
    processes: Processes,
    words: AskedWording,
    approval_id: Annotated[
        str, Path(pattern=ID_PATTERN, max_length=120, description="Id of the approval.", examples=["apr_4r7c2m5xk3ta"])
    ],
) -> ApprovalDetail:
    """With the facts the decision is about."""
    approval = await processes.approvals.get_approval(caller, approval_id)
    return desk.approval_detail(approval, caller.principal.scopes, words)


@router.post("/approvals/{approval_id}/decision", operation_id="decideFinanceApproval", summary="Approve or reject")
async def decide_approval(
    order: DecisionOrder,
    caller: Ordering,
    processes: Processes,
    words: AskedWording,
    approval_id: Annotated[
        str, Path(pattern=ID_PATTERN, max_length=120, description="Id of the approval.", examples=["apr_4r7c2m5xk3ta"])
    ],
) -> ApprovalCard:
    """The process tier checks who may decide: never whoever asked, never one person twice."""
    approval = await processes.approvals.decide(caller, approval_id, order.decision, order.comment)
    return desk.approval_card(approval, caller.principal.scopes, words)


@router.post("/decisions", operation_id="decideFinanceApprovals", summary="Decide up to 200 approvals")
async def decide_approvals(
    orders: DecisionOrders, caller: Ordering, processes: Processes, words: AskedWording
) -> DecisionResults:
    """Each decision is taken or refused for itself."""
    wanted = [order.model_dump() for order in orders.decisions]
    return desk.decision_results(await processes.approvals.decide_many(caller, wanted), words)


@router.get("/work-in-progress", operation_id="sumFinanceWork", summary="Work in progress")
async def sum_work(
    caller: Asking,
    processes: Processes,
    words: AskedWording,
    contract_id: OfContract = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> ShapedPage[WorkSum]:
    """Entries and hours by kind and state."""
    page = await processes.billing.sum_work(caller, contract_id=contract_id, cursor=cursor, limit=limit)
    return screens.work_sums(page, contract_id, words)


@router.get("/work-in-progress/rows", operation_id="listFinanceWork", summary="Entries of work in progress")
async def list_work(
    caller: Asking,
    processes: Processes,
    words: AskedWording,
    state: Annotated[WorkState | None, Query(description="Only entries in this state.")] = None,
    contract_id: OfContract = None,
    cursor: IdCursor = None,
    limit: Limit = 50,
) -> ShapedPage[WorkRow]:
    """Every source entry once, with the reason why it is not billed."""
    page = await processes.billing.list_work(caller, state=state, contract_id=contract_id, cursor=cursor, limit=limit)
    return screens.work_rows(page, words)


@router.post("/remedies", operation_id="supplyFinanceRemedy", summary="Supply a missing mapping")
async def supply_remedy(
    order: RemedyOrder, caller: Ordering, processes: Processes, words: AskedWording
) -> RemedyResult:
    """Every parked deal that it may help is checked again."""
    taken = await processes.exceptions.remedy(caller, order.kind, order.subject, order.value)
    return screens.remedy_result(order, taken, words)


@router.get("/kpis", operation_id="readFinanceKpis", summary="Key figures")
async def read_kpis(caller: Asking, processes: Processes, words: AskedWording) -> Figures:
    """How fast and how cleanly deals become projects and invoices."""
    return figures(await processes.deals.get_kpis(caller), words)
