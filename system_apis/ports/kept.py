"""Something read whole from a connected system and kept for a while, as directories keep codes and ids."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

FRESH_SECONDS: Final = 60.0
MOST_KEPT: Final = 50_000
Key = TypeVar("Key")
Content = TypeVar("Content")
Found = TypeVar("Found")


class Kept(Generic[Content]):
    """Content that is read once for all who ask meanwhile, and again when it is old; an error is not kept."""

    def __init__(
        self,
        read: Callable[[], Awaitable[Content]],
        *,
        seconds: float = FRESH_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._seconds = seconds
        self._now = now
        self._held: tuple[float, Content] | None = None
        self._trusted_from = now()
        self._reading = asyncio.Lock()

    async def get(self, *, younger_than: float | None = None) -> Content:
        """The content, its reading begun at most so many seconds ago; 0: now."""
        since = self._now() - (self._seconds if younger_than is None else younger_than)
        async with self._reading:
            if self._held is None or self._held[0] < max(since, self._trusted_from):
                began = self._now()
                self._held = (began, await self._read())
            return self._held[1]

    async def holding(self, has: Callable[[Content], bool]) -> Content:
        """The content; where it does not have what is wanted it is read now, and may have it then."""
        held = await self.get()
        return held if has(held) else await self.get(younger_than=0.0)

    async def find(self, look: Callable[[Content], Found | None]) -> Found | None:
        """What `look` finds; where it finds nothing it looks once more in content read now."""
        return look(await self.holding(lambda held: look(held) is not None))

    def forget(self) -> None:
        """Nothing read so far is trusted any more, neither what is being read at this moment."""
        self._trusted_from = self._now()


def keep(known: dict[Key, Content], key: Key, content: Content, *, most: int = MOST_KEPT) -> Content:
    """Remember what never changes, such as an id; a memory that is full begins anew."""
    if len(known) >= most:
        known.clear()
    known[key] = content
    return content
