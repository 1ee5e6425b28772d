"""One writer per record, as looking for a record and making it are two calls to most systems."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from shared.errors.taxonomy import VendorRejected


class Writers:
    """Writes of one record are made one at a time; after a refusal whatever was kept is forgotten."""

    def __init__(self, forget: Callable[[], None]) -> None:
        """`forget`: a refusal may come of ids and codes that were kept and are gone."""
        self._forget = forget
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, identifier: str) -> AsyncGenerator[None]:
        """The one writer of that record."""
        lock = self._locks.setdefault(identifier, asyncio.Lock())
        async with lock:
            try:
                yield
            except VendorRejected:
                self._forget()
                raise
