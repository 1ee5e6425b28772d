"""What every list and order takes from a request: cursor, page size, ids, idempotency key, caller; models may enter."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Header, Query

from experience_apis.desk.models import ID_PATTERN
from experience_apis.processes.wire import Caller
from shared.identity.principal import Principal
from shared.serving.principal import current_principal

_READ_ON = "`next_cursor` of the page before; leave it out to start."
PlaceCursor = Annotated[
    str | None, Query(pattern=r"^[0-9]{1,18}$", max_length=18, description=_READ_ON, examples=["1042"])
]
IdCursor = Annotated[
    str | None,
    Query(pattern=r"^[A-Za-z0-9_.:+-]+$", max_length=200, description=_READ_ON, examples=["inv_fzlqoebb7e3kgqd7oyvq"]),
]
RunCursor = Annotated[
    str | None, Query(pattern=r"^[0-9]{1,16}$", max_length=16, description=_READ_ON, examples=["1493708400000000"])
]
Limit = Annotated[int, Query(ge=1, le=200, description="Most rows of a page.", examples=[50])]
AskedState = Annotated[
    Literal["open", "approved", "rejected", "expired", "withdrawn", "all"],
    Query(description="Only approvals in this state.", examples=["open"]),
]
OfOpportunity = Annotated[
    str | None,
    Query(
        pattern=ID_PATTERN,
        max_length=120,
        description="Only those of this opportunity (our id).",
        examples=["opp_uowvshkezju2kbbqurcu"],
    ),
]


def told_state(asked: str) -> str | None:
    """The filter as the process tier takes it: none for all."""
    return None if asked == "all" else asked


async def asking(principal: Annotated[Principal, Depends(current_principal)]) -> Caller:
    """The caller of a read."""
    return Caller(principal)


async def ordering(
    principal: Annotated[Principal, Depends(current_principal)],
    idempotency_key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=257,
            description="Same key, same request: the first answer again.",
            include_in_schema=False,
        ),
    ] = None,
) -> Caller:
    """The caller of an order, with their idempotency key."""
    return Caller(principal, idempotency_key)


Asking = Annotated[Caller, Depends(asking)]
Ordering = Annotated[Caller, Depends(ordering)]
