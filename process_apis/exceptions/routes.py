"""`/exceptions/v1`: what stands still and why; retry, assignment, remedies; the parked runs are woken afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from process_apis.exceptions.models import Assignment, Item, ItemState, Remedy, RemedyTaken, RetryBody, Waiting
from process_apis.exceptions.store import Exceptions
from shared.canonical.references import Page
from shared.persistence import Database
from shared.serving.parameters import ID_PATTERN, Limit, PlaceCursor
from shared.serving.principal import Caller

ItemId = Annotated[
    str, Path(pattern=ID_PATTERN, max_length=120, description="Id of the exception.", examples=["exc_4r7c2m5xk3ta"])
]

Notify = Callable[[str, str, Any], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class ExceptionDesk:
    """Where exceptions are dealt with; `notify` wakes a parked run."""

    database: Database
    exceptions: Exceptions
    notify: Notify

    async def wake(self, waiting: Sequence[Waiting]) -> None:
        """Wake the runs; a wake that gets lost is sent again by the sweep."""
        for each in waiting:
            await self.notify(each.run_id, each.topic, {"because": each.because})

    async def wake_forgotten(self, *, older_than: float = 15.0) -> None:
        """Wake runs again whose wake was asked for but that have not looked since."""
        async with self.database.transaction() as conn:
            forgotten = await self.exceptions.unsent(conn, older_than=older_than)
        await self.wake(forgotten)
        async with self.database.transaction() as conn:
            for each in forgotten:
                await self.exceptions.sent(conn, each)


def exception_router(desk: ExceptionDesk) -> APIRouter:
    """The routes of a desk."""
    router = APIRouter(prefix="/exceptions/v1", tags=["Exceptions"])

    @router.get("/items", summary="List exceptions", operation_id="listExceptions")
    async def list_items(
        caller: Caller,
        status: Annotated[ItemState | None, Query(description="Only exceptions in this state.")] = None,
        code: Annotated[
            str | None,
            Query(
                pattern=r"^[a-z_]{1,64}$",
                max_length=64,
                description="Only with this finding.",
                examples=["tax_id_missing"],
            ),
        ] = None,
        cursor: PlaceCursor = None,
        limit: Limit = 100,
    ) -> Page[Item]:
        """Exceptions in the order they came up."""
        async with desk.database.transaction() as conn:
            items, following = await desk.exceptions.list_page(
                conn, caller.tenant, state=status, code=code, after=int(cursor or 0), limit=limit
            )
        return Page(items=tuple(items), next_cursor=None if following is None else str(following))

    @router.get("/items/{id}", summary="Read an exception", operation_id="getException")
    async def get_item(caller: Caller, id: ItemId) -> Item:  # noqa: A002 - the path parameter's public name
        """One exception with all its findings."""
        async with desk.database.transaction() as conn:
            return await desk.exceptions.get(conn, caller.tenant, id)

    @router.post("/items/{id}/retry", summary="Try again", operation_id="retryException", status_code=202)
    async def retry_item(caller: Caller, id: ItemId, body: RetryBody) -> Item:  # noqa: A002 - the path parameter's public name
        """The parked deal is validated afresh."""
        because = f"{caller.subject} asked for another try. {body.note or ''}".strip()[:1000]
        async with desk.database.transaction() as conn:
            waiting = await desk.exceptions.wake_item(conn, caller.tenant, id, who=caller.subject, because=because)
            item = await desk.exceptions.get(conn, caller.tenant, id)
        await desk.wake(waiting)
        return item

    @router.post("/items/{id}/assignment", summary="Assign an exception", operation_id="assignException")
    async def assign_item(caller: Caller, id: ItemId, body: Assignment) -> Item:  # noqa: A002 - the path parameter's public name
        """Give the exception to somebody."""
        async with desk.database.transaction() as conn:
            return await desk.exceptions.assign(conn, caller.tenant, id, assignee=body.assignee, who=caller.subject)

    @router.post("/remedies", summary="Supply a missing mapping", operation_id="supplyRemedy", status_code=201)
    async def supply_remedy(caller: Caller, body: Remedy) -> RemedyTaken:
        """Every parked deal that it may help is validated afresh."""
        async with desk.database.transaction() as conn:
            waiting = await desk.exceptions.supply(conn, caller.tenant, body, who=caller.subject)
        await desk.wake(waiting)
        return RemedyTaken(remedy=body, woken=len(waiting))

    return router
