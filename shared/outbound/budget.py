"""What we may ask of a system: so many requests per window, so many at once; kept by waiting in line."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol

from shared.errors.taxonomy import VendorThrottled


class BudgetFacts(Protocol):
    """The manifest's `budget`."""

    @property
    def requests(self) -> int:
        """Requests per window."""
        ...

    @property
    def per_seconds(self) -> float:
        """Length of the window."""
        ...

    @property
    def at_once(self) -> int:
        """Requests in flight at the same moment."""
        ...


class Budget:
    """Keeps one process within a system's budget: never more than `requests` sends in any window, sliding."""

    def __init__(self, facts: BudgetFacts, *, system: str) -> None:
        self._facts = facts
        self._system = system
        self._sent: deque[float] = deque()
        self._queue = asyncio.Lock()
        self._places = asyncio.Semaphore(facts.at_once)

    @asynccontextmanager
    async def place(self, deadline: float) -> AsyncGenerator[None]:
        """Hold a place for one send; `deadline` is in `time.monotonic()` seconds.

        Raises VendorThrottled when no place comes free in time: nothing was sent then.
        """
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                await self._places.acquire()
        except TimeoutError as error:
            raise VendorThrottled(
                f"The budget for {self._system} is used up: {self._facts.at_once} requests at once.", retry_after=1.0
            ) from error
        try:
            await self._wait_for_window(deadline)
            yield
        finally:
            self._places.release()

    async def _wait_for_window(self, deadline: float) -> None:
        async with self._queue:
            now = time.monotonic()
            while self._sent and self._sent[0] <= now - self._facts.per_seconds:
                self._sent.popleft()
            if len(self._sent) >= self._facts.requests:
                wait = self._sent[0] + self._facts.per_seconds - now
                if now + wait > deadline:
                    raise VendorThrottled(
                        f"The budget for {self._system} is used up: "
                        f"{self._facts.requests} requests per {self._facts.per_seconds:g} s.",
                        retry_after=wait,
                    )
                await asyncio.sleep(wait)
                self._sent.popleft()
            self._sent.append(time.monotonic())
