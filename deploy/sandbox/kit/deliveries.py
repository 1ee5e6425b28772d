"""Event deliveries of a simulator: signed POSTs to subscribers, at least once, and on demand doubled or reversed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field


class Subscription(BaseModel):
    """Where deliveries go. `order` `held` collects until released; `reversed` delivers the held ones last first.

    Signature as in Standard Webhooks: `webhook-signature: v1,base64(hmac-sha256(secret, id.timestamp.body))`.
    """

    model_config = ConfigDict(extra="forbid")

    url: str = Field(pattern=r"^http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?/")
    secret: str = Field(min_length=16)
    copies: int = Field(default=1, ge=0, le=5)
    order: Literal["straight", "held"] = "straight"


def signature(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    """The value of `webhook-signature` for a body."""
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


Dress = Callable[[Subscription, str, bytes], Mapping[str, str]]


def standard_webhooks(target: Subscription, number: str, body: bytes) -> Mapping[str, str]:
    """The headers of Standard Webhooks for one attempt."""
    stamp = str(int(time.time()))
    signed = signature(target.secret, number, stamp, body)
    return {"webhook-id": number, "webhook-timestamp": stamp, "webhook-signature": signed}


class Deliveries:
    """Queue and sender of one vendor's events; retries with growing pauses, gives up after `attempts`."""

    def __init__(self, vendor: str, *, attempts: int = 8, dress: Dress = standard_webhooks) -> None:
        """Nothing is sent until somebody subscribes; `dress` makes the headers by which a vendor shows who sends."""
        self.vendor = vendor
        self.dress = dress
        self.subscription: Subscription | None = None
        self.sent = 0
        self.failed = 0
        self._attempts = attempts
        self._queue: deque[tuple[str, bytes]] = deque()
        self._held: list[tuple[str, bytes]] = []
        self._numbers = count(1)
        self._task: asyncio.Task[None] | None = None
        self._busy = 0

    def emit(self, payload: dict[str, Any] | list[Any]) -> None:
        """Take an event to be delivered; dropped while nobody subscribes, as the vendor would."""
        if self.subscription is None:
            return
        item = (f"msg_{self.vendor}_{next(self._numbers)}", json.dumps(payload).encode())
        for _ in range(self.subscription.copies):
            (self._held if self.subscription.order == "held" else self._queue).append(item)
        self._wake()

    def release(self, *, reverse: bool = False) -> int:
        """Send what was held, in order or last first; how many."""
        items = self._held[::-1] if reverse else self._held[:]
        self._held.clear()
        self._queue.extend(items)
        self._wake()
        return len(items)

    def forget(self) -> None:
        """Drop everything not yet sent and the subscription."""
        self._queue.clear()
        self._held.clear()
        self.subscription = None

    @property
    def waiting(self) -> int:
        """Deliveries not yet acknowledged."""
        return len(self._queue) + self._busy

    def _wake(self) -> None:
        if self._queue and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            while self._queue and (target := self.subscription):
                batch = [self._queue.popleft() for _ in range(min(8, len(self._queue)))]
                self._busy = len(batch)
                if target.copies > 1 or target.order == "held":
                    for item in batch:
                        await self._deliver(client, target, *item)
                else:
                    await asyncio.gather(*(self._deliver(client, target, *item) for item in batch))
                self._busy = 0

    async def _deliver(self, client: httpx.AsyncClient, target: Subscription, number: str, body: bytes) -> None:
        for attempt in range(self._attempts):
            headers = {"content-type": "application/json", **self.dress(target, number, body)}
            try:
                answer = await client.post(target.url, content=body, headers=headers)
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.is_success:
                self.sent += 1
                return
            await asyncio.sleep(min(5.0, 0.1 * 2**attempt))
        self.failed += 1
