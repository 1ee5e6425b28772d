"""What may be used once: ids of proofs and assertions, remembered until they would be refused for their age anyway."""

from __future__ import annotations

from hashlib import sha256
from heapq import heappop, heappush
from time import time
from typing import Any, Protocol, cast

from limits.aio.storage import Storage
from limits.errors import StorageError
from limits.storage import storage_from_string

from shared.errors.taxonomy import Misconfigured

_AT_MOST = 200_000
_PATIENCE_SECONDS = 0.25


class UsedIdsUnknown(Misconfigured):
    """The store of used ids cannot be asked, and the policy says to refuse then."""

    code = "used_ids_unavailable"
    sentence = "Whether this proof was used before cannot be found out at present; try again shortly."


class Once(Protocol):
    """Remembers ids."""

    async def is_first(self, room: str, used: str, *, seconds: int) -> bool:
        """Whether nobody used this id within that time.

        Repeat: False. Raises: UsedIdsUnknown when the store cannot be asked.
        """
        ...

    async def aclose(self) -> None:
        """Give back what the memory holds open."""
        ...


class OnceHere:
    """For a single replica: in memory, and bounded; when full it refuses rather than forgets."""

    def __init__(self) -> None:
        self._used: dict[bytes, float] = {}
        self._ends: list[tuple[float, bytes]] = []

    async def is_first(self, room: str, used: str, *, seconds: int) -> bool:
        """Whether nobody used this id within that time."""
        now, key = time(), _key(room, used)
        while self._ends and self._ends[0][0] <= now:
            self._used.pop(heappop(self._ends)[1], None)
        if key in self._used:
            return False
        if len(self._used) >= _AT_MOST:
            raise UsedIdsUnknown(retry_after=1)
        self._used[key] = now + seconds
        heappush(self._ends, (now + seconds, key))
        return True

    async def aclose(self) -> None:
        """Nothing is held open."""


class OnceShared:
    """For several replicas: in the store of counters they share."""

    def __init__(self, counters_url: str) -> None:
        storage: Any = storage_from_string(
            f"async+{counters_url}",
            implementation="redispy",
            wrap_exceptions=True,
            socket_timeout=_PATIENCE_SECONDS,
            socket_connect_timeout=_PATIENCE_SECONDS,
        )
        self._storage = cast("Storage", storage)
        self._client: Any = storage.bridge.storage

    async def is_first(self, room: str, used: str, *, seconds: int) -> bool:
        """Whether nobody used this id within that time, at any replica."""
        try:
            return await self._storage.incr(f"once:{_key(room, used).hex()}", seconds) == 1
        except (StorageError, OSError) as error:
            raise UsedIdsUnknown(retry_after=1, detail=type(error).__name__) from error

    async def aclose(self) -> None:
        """Close the connections to the store."""
        await self._client.aclose()


def once(counters_url: str) -> Once:
    """The memory that fits this address of counters."""
    return OnceHere() if counters_url.startswith("memory:") else OnceShared(counters_url)


def _key(room: str, used: str) -> bytes:
    # JSON may escape half a surrogate pair: an id like any other
    return sha256(f"{room}\x1f{used}".encode("utf-8", "surrogatepass")).digest()
