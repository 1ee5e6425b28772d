"""Reference data of ERPs as last read, at most so many seconds old; forgotten when a vendor tells that it changed."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

Content = TypeVar("Content")


@dataclass(frozen=True, slots=True)
class Kept(Generic[Content]):
    """Content and its age in seconds."""

    content: Content
    age: float


@dataclass(slots=True)
class _Shelf:
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    content: Any = None
    read_at: float | None = None
    forgotten: int = 0


class ReferenceCache:
    """One shelf per tenant and kind; errors are not kept, and whoever asks meanwhile waits for one reading.

    Replicas keep their own: what one is told by a vendor's event the others know after `seconds` at the latest.
    """

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._now = now
        self._shelves: dict[tuple[str, str], _Shelf] = {}

    async def get(
        self, tenant: str, kind: str, read: Callable[[], Awaitable[Content]], *, at_most: float = math.inf
    ) -> Kept[Content]:
        """The content, read now or less than `seconds` (and less than `at_most` seconds) ago."""
        shelf = self._shelves.setdefault((tenant, kind), _Shelf())
        async with shelf.reading:
            age = None if shelf.read_at is None else self._now() - shelf.read_at
            if age is not None and age < min(self.seconds, at_most):
                return Kept(cast("Content", shelf.content), age)
            while True:
                began, round_ = self._now(), shelf.forgotten
                content = await read()
                if round_ == shelf.forgotten:
                    shelf.content, shelf.read_at = content, began
                    return Kept(content, 0.0)

    def forget(self, tenant: str) -> None:
        """Something of the tenant's changed: the next question goes to the vendor."""
        for (owner, _), shelf in self._shelves.items():
            if owner == tenant:
                shelf.read_at = None
                shelf.forgotten += 1
