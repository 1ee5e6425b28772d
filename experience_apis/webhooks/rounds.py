"""Makes the rounds: takes what is due in hand, carries it, notes what came of it; facts become messages here."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from experience_apis.webhooks.delivery_store import CONSUMER, DeliveryStore
from experience_apis.webhooks.records import DeliveryState, Due, Message, Outcome
from experience_apis.webhooks.rules import (
    BY_EVENT,
    ENDS_AFTER,
    TEST,
    is_gone,
    is_taken,
    pause_after,
    signature,
    told,
)
from shared.canonical.events import Event
from shared.errors.taxonomy import PlatformError
from shared.outbound.courier import Courier, Receipt
from shared.persistence import Bus
from shared.telemetry import counter, get_logger, histogram

_attempts = counter("throughline_experience_webhook_attempts_total", ["outcome"], "Attempts at telling partners.")
_seconds = histogram("throughline_experience_webhook_seconds", [], "Time from the fact to its being taken.")
_log = get_logger("throughline.webhooks")
_AT_ONCE: Final = 16
_IDLE_SECONDS: Final = 1.0
_TROUBLE_SECONDS: Final = 2.0
_LEASE: Final = timedelta(seconds=60)
_KEPT: Final = timedelta(days=30)
_SWEEP_SECONDS: Final = 3600.0
Line = Callable[[Mapping[str, Any]], None]
"""Takes one line of the audit log."""


class Rounds:
    """One replica's part in telling partners; any number of replicas share the work."""

    def __init__(self, store: DeliveryStore, courier: Courier, audit: Line) -> None:
        """`audit` is told of endpoints that were disabled."""
        self._store = store
        self._courier = courier
        self._audit = audit
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._carrying: set[asyncio.Task[None]] = set()

    async def listen(self, bus: Bus) -> None:
        """Hear of facts partners may be told."""
        await bus.subscribe(CONSUMER, sorted(BY_EVENT), self.hear)

    async def hear(self, event: Event) -> None:
        """Owe a fact to all who may hear it. Repeat: nothing more."""
        if await self._store.spread(f"{event.source}#{event.id}", message_of(event)):
            self._news.set()

    def wake(self) -> None:
        """Something is due now."""
        self._news.set()

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._go(), name="webhooks")

    async def stop(self) -> None:
        """End; what is in hand falls due again when its lease ends."""
        tasks = [*self._carrying] if self._task is None else [self._task, *self._carrying]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._courier.aclose()

    async def _go(self) -> None:
        swept = 0.0
        clock = asyncio.get_running_loop().time
        while True:
            try:
                begun = await self.begin()
                if clock() - swept > _SWEEP_SECONDS:
                    swept = clock()
                    await self._store.forget_before(datetime.now(UTC) - _KEPT)
            except PlatformError as error:
                _log.warning("webhooks wait", code=error.code, reason=error.message)
                await asyncio.sleep(_TROUBLE_SECONDS)
                continue
            if not begun:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_IDLE_SECONDS):  # wait_for may swallow a cancellation (Python 3.11)
                        await self._news.wait()
                self._news.clear()

    async def begin(self) -> Sequence[asyncio.Task[None]]:
        """Take in hand what is due, as far as hands are free, and begin to carry it: who is slow holds up nobody."""
        free = _AT_ONCE - len(self._carrying)
        due = await self._store.take(free, _LEASE) if free else ()
        begun = [asyncio.create_task(self._carry(one)) for one in due]
        for task in begun:
            self._carrying.add(task)
            task.add_done_callback(self._ended)
        return begun

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._carrying.discard(task)
        self._news.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("a delivery was not noted; it falls due again", reason=str(error))

    async def _carry(self, due: Due) -> None:
        body, now = due.body.encode(), datetime.now(UTC)
        timestamp = int(now.timestamp())
        headers = {
            "webhook-id": due.message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(due.keys, due.message_id, timestamp, body),
        }
        receipt = await self._courier.post(due.url, body, headers)
        outcome = await self._judged(due, receipt, now)
        await self._store.settle(due, outcome)
        _attempts.labels(outcome.state.value).inc()
        if outcome.disable_because is not None:
            self._audit(
                {"event": "webhook endpoint disabled", "endpoint": due.endpoint_id, "because": outcome.disable_because}
            )

    async def _judged(self, due: Due, receipt: Receipt, now: datetime) -> Outcome:
        def outcome(
            state: DeliveryState, next_at: datetime | None = None, disable_because: str | None = None
        ) -> Outcome:
            error = receipt.error or (None if is_taken(receipt.status) else f"Answered {receipt.status}.")
            return Outcome(receipt.status, receipt.ms, error, receipt.answer, state, next_at, disable_because)

        if is_taken(receipt.status):
            return outcome(DeliveryState.DELIVERED)
        if is_gone(receipt.status):
            return outcome(DeliveryState.FAILED, disable_because="It answered 410 Gone.")
        since = await self._store.failing_since(due.endpoint_id)
        pause = pause_after(due.attempts, receipt.retry_after, random.random())  # noqa: S311 - spreads load
        if pause is not None:
            return outcome(DeliveryState.PENDING, now + pause)
        if now - since >= ENDS_AFTER:
            told_since = f"It has taken nothing since {since:%Y-%m-%d %H:%M} UTC."
            return outcome(DeliveryState.FAILED, disable_because=told_since)
        return outcome(DeliveryState.FAILED)


def message_of(event: Event) -> Message:
    """A fact of ours as partners are told it: `type`, `timestamp`, and the members of the type."""
    kind = BY_EVENT[event.type]
    message_id = f"msg_{event.tenant}_{event.id}"
    body = {
        "type": kind.name,
        "timestamp": event.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "data": told(kind, event.data),
    }
    return Message(message_id, event.tenant, kind.name, event.data.get("customer_id"), json.dumps(body), event.time)


def test_message(tenant: str, endpoint_id: str, message_id: str) -> Message:
    """A message that tells of nothing, to try an endpoint."""
    now = datetime.now(UTC)
    body = {
        "type": TEST,
        "timestamp": now.isoformat().replace("+00:00", "Z"),
        "data": {"endpoint_id": endpoint_id},
    }
    return Message(message_id, tenant, TEST, None, json.dumps(body), now)
