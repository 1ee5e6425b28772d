"""Posting invoices of one company: those that wait are posted together, as each call of Tryton costs the same again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass

from shared.errors.taxonomy import Conflict, PeriodClosed, PlatformError, RuleViolated, VendorRejected
from system_apis.connectors.tryton.client import TrytonClient

_AT_ONCE = 10
_PAST = "invoice_payment_term"
_MODEL = "account.invoice"
_ABOUT_ONE = (VendorRejected, PeriodClosed, RuleViolated, Conflict)


@dataclass(frozen=True, slots=True)
class _Waiting:
    invoice: int
    is_past: bool
    posted: asyncio.Future[None]


class Poster:
    """Posts the drafts of one company one batch at a time; number sequences without gaps let nobody in meanwhile.

    A batch belongs to all who wait for it: that one of them runs out of time ends it for nobody.
    """

    def __init__(self, client: TrytonClient, company: int) -> None:
        self._client = client
        self._company = company
        self._waiting: deque[_Waiting] = deque()
        self._at_work: asyncio.Task[None] | None = None

    async def post(self, invoice: int, *, is_past: bool) -> None:
        """Post one draft, alone or with others. Raises what Tryton says about this one."""
        mine = _Waiting(invoice, is_past, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        if self._at_work is None or self._at_work.done():
            # a context of its own: the deadline of whoever came first is not that of the others
            self._at_work = asyncio.create_task(self._work(), context=Context(), name="posting of tryton")
        await mine.posted

    async def aclose(self) -> None:
        """End; what is under way at Tryton goes on there."""
        if self._at_work is not None:
            self._at_work.cancel()
            await asyncio.gather(self._at_work, return_exceptions=True)

    async def _work(self) -> None:
        while self._waiting:
            batch: list[_Waiting] = []
            while self._waiting and len(batch) < _AT_ONCE:
                one = self._waiting.popleft()
                if not one.posted.done():  # who gave up before its turn is not posted
                    batch.append(one)
            try:
                outcome = (await asyncio.gather(self._post_all(batch), return_exceptions=True))[0]
            except asyncio.CancelledError:
                for one in (*batch, *self._waiting):
                    one.posted.cancel()
                raise
            if isinstance(outcome, Exception):  # a defect of ours: whoever waits is told, the next batch is tried
                _tell(batch, outcome)

    async def _post_all(self, batch: Sequence[_Waiting]) -> None:
        if not batch:
            return
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
        else:
            _tell(batch, None)

    async def _press(self, batch: Sequence[_Waiting]) -> None:
        past = [one.invoice for one in batch if one.is_past]
        if names := self._client.foreseen(_PAST, _MODEL, past):
            await self._client.answer(names, company=self._company)
        await self._client.press(_MODEL, "post", [one.invoice for one in batch], company=self._company)


def _tell(batch: Sequence[_Waiting], error: Exception | None) -> None:
    for one in batch:
        if one.posted.done():
            continue
        if error is None:
            one.posted.set_result(None)
        else:
            one.posted.set_exception(error)
