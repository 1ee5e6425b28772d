"""`/accounts/v1`: the account team's view of the deals they sold."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from experience_apis.accounts import screens
from experience_apis.accounts.models import AccountDeal, AccountDealView
from experience_apis.desk.asking import Asking, Limit, PlaceCursor
from experience_apis.desk.models import ID_PATTERN, ShapedPage
from experience_apis.processes.tier import Processes
from experience_apis.wording.catalog import AskedWording

router = APIRouter(prefix="/accounts/v1", tags=["accounts"])


@router.get("/deals", operation_id="listAccountDeals", summary="Deals sold")
async def list_deals(
    caller: Asking, processes: Processes, words: AskedWording, cursor: PlaceCursor = None, limit: Limit = 50
) -> ShapedPage[AccountDeal]:
    """Won deals and how far delivery is."""
    return screens.account_deals(
        await processes.deals.list_deals(caller, state=None, cursor=cursor, limit=limit), words
    )


@router.get("/deals/{opportunity_id}", operation_id="readAccountDeal", summary="One deal")
async def read_deal(
    caller: Asking,
    processes: Processes,
    words: AskedWording,
    opportunity_id: Annotated[
        str,
        Path(
            pattern=ID_PATTERN,
            max_length=120,
            description="Our id of the opportunity.",
            examples=["opp_uowvshkezju2kbbqurcu"],
        ),
    ],
) -> AccountDealView:
    """What is asked of the account team, what was invoiced, what happened last."""
    return screens.account_deal_view(await processes.deals.get_journey(caller, opportunity_id), words)
