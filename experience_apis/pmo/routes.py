"""`/pmo/v1`: the PMO board - deals, approvals, exceptions, journeys."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from experience_apis.desk import screens as desk
from experience_apis.desk.asking import AskedState, Asking, Limit, OfOpportunity, Ordering, PlaceCursor, told_state
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
from experience_apis.pmo import screens
from experience_apis.pmo.models import (
    AssignmentOrder,
    Board,
    DealView,
    ExceptionCard,
    ExceptionView,
    JourneyView,
    RetryOrder,
)
from experience_apis.processes.tier import Processes
from experience_apis.wording.catalog import AskedWording

router = APIRouter(prefix="/pmo/v1", tags=["pmo"])
DealState = Literal[
    "checking",
    "exception",
    "awaiting_approval",
    "provisioning",
    "activated",
    "rejected",
    "cancelled",
    "superseded",
    "late",
]
OpportunityId = Annotated[
    str,
    Path(
        pattern=ID_PATTERN,
        max_length=120,
        description="Our id of the opportunity.",
        examples=["opp_uowvshkezju2kbbqurcu"],
    ),
]
ApprovalId = Annotated[
    str, Path(pattern=ID_PATTERN, max_length=120, description="Id of the approval.", examples=["apr_4r7c2m5xk3ta"])
]
ItemId = Annotated[
    str, Path(pattern=ID_PATTERN, max_length=120, description="Id of the exception.", examples=["exc_4r7c2m5xk3ta"])
]


@router.get("/board", operation_id="readPmoBoard", summary="Deals by where they stand")
async def read_board(
    caller: Asking,
    processes: Processes,
    words: AskedWording,
    state: Annotated[DealState | None, Query(description="Only deals in this state.")] = None,
    cursor: PlaceCursor = None,
    limit: Limit = 50,
) -> Board:
    """Every deal from won to active, a page at a time."""
    return screens.board(await processes.deals.list_deals(caller, state=state, cursor=cursor, limit=limit), words)


@router.get("/deals/{opportunity_id}", operation_id="readPmoDeal", summary="One deal")
async def read_deal(
    caller: Asking, processes: Processes, words: AskedWording, opportunity_id: OpportunityId
) -> DealView:
    """With what it waits for, who is to act and how."""
    return screens.deal_view(await processes.deals.get_journey(caller, opportunity_id), caller.principal.scopes, words)


@router.get("/journeys/{opportunity_id}", operation_id="readPmoJourney", summary="One deal's whole way")
async def read_journey(
    caller: Asking, processes: Processes, words: AskedWording, opportunity_id: OpportunityId
) -> JourneyView:
    """Every step in every system, oldest first."""
    return screens.journey_view(await processes.deals.get_journey(caller, opportunity_id), words)


@router.get("/approvals", operation_id="listPmoApprovals", summary="Decisions asked for")
async def list_approvals(
    caller: Asking,
    processes: Processes,
    words: AskedWording,
    *,
    kind: Annotated[
        Literal["delivery", "finance", "invoice"] | None, Query(description="Whose consent; all kinds if left out.")
    ] = None,
    status: AskedState = "open",
    opportunity_id: OfOpportunity = None,
    cursor: PlaceCursor = None,
    limit: Limit = 50,
) -> ShapedPage[ApprovalCard]:
    """Oldest first; open ones unless asked otherwise."""
    page = await processes.approvals.list_approvals(
        caller, status=told_state(status), kind=kind, opportunity_id=opportunity_id, cursor=cursor, limit=limit
    )
    return desk.approval_page(page, caller.principal.scopes, words)


@router.get("/approvals/{approval_id}", operation_id="readPmoApproval", summary="One decision asked for")
async def read_approval(
    caller: Asking, processes: Processes, words: AskedWording, approval_id: ApprovalId
) -> ApprovalDetail:
    """With the facts the decision is about."""
    approval = await processes.approvals.get_approval(caller, approval_id)
    return desk.approval_detail(approval, caller.principal.scopes, words)


@router.post("/approvals/{approval_id}/decision", operation_id="decidePmoApproval", summary="Approve or reject")
async def decide_approval(
    order: DecisionOrder, caller: Ordering, processes: Processes, words: AskedWording, approval_id: ApprovalId
) -> ApprovalCard:
    """The process tier checks who may decide: never whoever asked, never one person twice."""
    approval = await processes.approvals.decide(caller, approval_id, order.decision, order.comment)
    return desk.approval_card(approval, caller.principal.scopes, words)


@router.post("/decisions", operation_id="decidePmoApprovals", summary="Decide up to 200 approvals")
async def decide_approvals(
    orders: DecisionOrders, caller: Ordering, processes: Processes, words: AskedWording
) -> DecisionResults:
    """Each decision is taken or refused for itself."""
    wanted = [order.model_dump() for order in orders.decisions]
    return desk.decision_results(await processes.approvals.decide_many(caller, wanted), words)


@router.get("/exceptions", operation_id="listPmoExceptions", summary="Parked deals")
async def list_exceptions(
    caller: Asking,
    processes: Processes,
    words: AskedWording,
    status: Annotated[
        Literal["open", "resolved", "cancelled", "all"], Query(description="Only exceptions in this state.")
    ] = "open",
    cursor: PlaceCursor = None,
    limit: Limit = 50,
) -> ShapedPage[ExceptionCard]:
    """Oldest first; open ones unless asked otherwise."""
    page = await processes.exceptions.list_items(caller, status=told_state(status), cursor=cursor, limit=limit)
    return screens.exception_page(page, words)


@router.get("/exceptions/{item_id}", operation_id="readPmoException", summary="One parked deal")
async def read_exception(caller: Asking, processes: Processes, words: AskedWording, item_id: ItemId) -> ExceptionView:
    """With every finding, its owner and its remedy."""
    return screens.exception_view(await processes.exceptions.get_item(caller, item_id), words)


@router.post(
    "/exceptions/{item_id}/retry", operation_id="retryPmoException", summary="Check a deal again", status_code=202
)
async def retry_exception(
    order: RetryOrder, caller: Ordering, processes: Processes, words: AskedWording, item_id: ItemId
) -> ExceptionView:
    """After the source was corrected: the deal is validated afresh and goes on where it stood."""
    return screens.exception_view(await processes.exceptions.retry(caller, item_id, order.note), words)


@router.post("/exceptions/{item_id}/assignment", operation_id="assignPmoException", summary="Assign a parked deal")
async def assign_exception(
    order: AssignmentOrder, caller: Ordering, processes: Processes, words: AskedWording, item_id: ItemId
) -> ExceptionView:
    """Says who takes care of it."""
    return screens.exception_view(await processes.exceptions.assign(caller, item_id, order.assignee), words)


@router.get("/kpis", operation_id="readPmoKpis", summary="Key figures")
async def read_kpis(caller: Asking, processes: Processes, words: AskedWording) -> Figures:
    """How fast and how cleanly deals become projects."""
    return figures(await processes.deals.get_kpis(caller), words)
