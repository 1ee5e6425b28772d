"""Typed client of `/exceptions/v1`: what is parked and why, trying again, supplying what was missing."""

from __future__ import annotations

from experience_apis.processes.models import ExceptionItem, RemedyTaken, ToldPage
from experience_apis.processes.wire import Caller, ProcessWire

_PATH = "/exceptions/v1/items"


class Exceptions:
    """Parked deals."""

    def __init__(self, wire: ProcessWire) -> None:
        """Uses the tier's connection."""
        self._wire = wire

    async def list_items(
        self, caller: Caller, *, status: str | None, cursor: str | None, limit: int
    ) -> ToldPage[ExceptionItem]:
        """Exception items, oldest first."""
        params = {"status": status, "cursor": cursor, "limit": limit}
        return await self._wire.page(caller, ExceptionItem, _PATH, params)

    async def get_item(self, caller: Caller, item_id: str) -> ExceptionItem:
        """One item. Raises NotFound."""
        return await self._wire.get(caller, ExceptionItem, _PATH + "/{id}", id=item_id)

    async def retry(self, caller: Caller, item_id: str, note: str | None) -> ExceptionItem:
        """Have the deal checked again. Raises Conflict when the item is closed."""
        return await self._wire.post(
            caller, ExceptionItem, _PATH + "/{id}/retry", {"note": note}, repeatable=True, id=item_id
        )

    async def assign(self, caller: Caller, item_id: str, assignee: str) -> ExceptionItem:
        """Say who takes care of it."""
        body = {"assignee": assignee}
        return await self._wire.post(
            caller, ExceptionItem, _PATH + "/{id}/assignment", body, repeatable=True, id=item_id
        )

    async def remedy(self, caller: Caller, kind: str, subject: str, value: str) -> RemedyTaken:
        """Supply a mapping; every parked deal it may help is checked again."""
        body = {"kind": kind, "subject": subject, "value": value}
        return await self._wire.post(caller, RemedyTaken, "/exceptions/v1/remedies", body, repeatable=True)
