"""Posting invoices of one company: those that wait are posted together, as each call of Tryton costs the same again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors.taxonomy import Conflict, PeriodClosed, PlatformError, RuleViolated, VendorRejected
from system_apis.connectors.tryton.client import TrytonClient

_AT_ONCE = 25
_PAST = "invoice_payment_term"
_MODEL = "account.invoice"
_ABOUT_ONE = (VendorRejected, PeriodClosed, RuleViolated, Conflict)


@dataclass(frozen=True, slots=True)
class _Waiting:
    invoice: int
    is_past: bool
    posted: asyncio.Future[None]


class Poster:
    """Posts the drafts of one company one batch at a time; number sequences without gaps let nobody in meanwhile."""

    def __init__(self, client: TrytonClient, company: int) -> None:
        self._client = client
        self._company = company
        self._waiting: list[_Waiting] = []
        self._lock = asyncio.Lock()

    async def post(self, invoice: int, *, is_past: bool) -> None:
        """Post one draft, alone or with others. Raises what Tryton says about this one."""
        mine = _Waiting(invoice, is_past, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        async with self._lock:
            if not mine.posted.done():
                batch, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
                await self._post_all(batch)
        await mine.posted

    async def _post_all(self, batch: Sequence[_Waiting]) -> None:
        try:
            await self._press(batch)
        except _ABOUT_ONE as error:
            if len(batch) == 1:
                _tell(batch, error)
                return
            for one in batch:  # all or nothing: whom it is about comes out one by one
                await self._post_all([one])
        except PlatformError as error:
            _tell(batch, error)
        except asyncio.CancelledError:
            for one in batch:
                if not one.posted.done():
                    one.posted.cancel()
            raise
        else:
            _tell(batch, None)

    async def _press(self, batch: Sequence[_Waiting]) -> None:
        past = [one.invoice for one in batch if one.is_past]
        if names := self._client.foreseen(_PAST, _MODEL, past):
            await self._client.answer(names, company=self._company)
        await self._client.press(_MODEL, "post", [one.invoice for one in batch], company=self._company)


def _tell(batch: Sequence[_Waiting], error: PlatformError | None) -> None:
    for one in batch:
        if one.posted.done():
            continue
        if error is None:
            one.posted.set_result(None)
        else:
            one.posted.set_exception(error)
