"""A reading that counts for a few seconds: many deals checked at once ask the system tier one time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Generic, TypeVar

SECONDS = 5.0
Content = TypeVar("Content")


class Fresh(Generic[Content]):
    """What `read` gave, kept for `SECONDS`; whoever asks meanwhile waits for one reading instead of making another."""

    def __init__(self, read: Callable[[], Awaitable[Content]]) -> None:
        self._read = read
        self._kept: tuple[float, Content] | None = None
        self._reading = asyncio.Lock()
        self._forgotten = 0

    async def get(self) -> Content:
        """The content, at most `SECONDS` old. Errors of the reading are not kept."""
        async with self._reading:
            if self._kept is not None and monotonic() - self._kept[0] <= SECONDS:
                return self._kept[1]
            while True:
                started, round_ = monotonic(), self._forgotten
                content = await self._read()
                if round_ == self._forgotten:
                    self._kept = (started, content)
                    return content

    def forget(self) -> None:
        """The next question is answered by a new reading."""
        self._kept = None
        self._forgotten += 1
