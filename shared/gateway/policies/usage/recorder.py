"""What was counted since the last flush, and the flushing; bounded memory, no request ever waits for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from shared.errors.taxonomy import OutcomeUnknown, PlatformError
from shared.persistence.usage_store import UsageCounts, UsageKey, UsageOfHour
from shared.telemetry import get_logger

_HOUR = 3600
_log = get_logger("gateway.usage")


@dataclass(slots=True)
class Tally:
    """Counts of one client, operation and hour."""

    calls: int = 0
    refused: int = 0
    failed: int = 0
    limited: int = 0


Tallies = dict[tuple[str, str, int], Tally]
"""By tenant, client and hour (counted from 1970)."""


class UsageSink(Protocol):
    """Keeps what was counted."""

    async def add(self, rows: list[UsageOfHour]) -> None:
        """Add these counts to those kept."""
        ...


class UsageRecorder:
    """Counts in memory, flushed every few seconds.

    A process that is killed loses what it counted since its last flush; one that is stopped loses nothing. While the
    store is away counts pile up to `most` tallies; beyond that, clients not seen since are counted together under the
    client `(others)`. A flush whose outcome is unknown is not repeated: rather too few than twice.
    """

    def __init__(self, sink: UsageSink, *, every: float = 5.0, most: int = 20_000) -> None:
        self._sink = sink
        self._every = every
        self._most = most
        self._operations: dict[tuple[str, str, str], Tallies] = {}
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._flushing = asyncio.Lock()

    def tallies(self, api: str, version: str, operation: str) -> Tallies:
        """Where an operation's requests are counted; the same object for as long as the recorder lives."""
        return self._operations.setdefault((api, version, operation), {})

    def has_room(self) -> bool:
        """Whether one more client may have a tally of its own."""
        return sum(len(tallies) for tallies in self._operations.values()) < self._most

    async def start(self) -> None:
        """Flush regularly from now on."""
        self._task = asyncio.create_task(self._run(), name="usage flush")

    async def aclose(self) -> None:
        """Flush what is left and stop."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        await self.flush()

    async def flush(self) -> None:
        """Hand over what was counted; kept for the next time when the store says that nothing was written."""
        async with self._flushing:
            rows = self._drained()
            if not rows:
                return
            try:
                await self._sink.add(rows)
            except OutcomeUnknown as error:
                _log.warning("usage lost", rows=len(rows), code=error.code)
            except PlatformError as error:
                _log.warning("usage not kept yet", rows=len(rows), code=error.code)
                self._put_back(rows)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._stopping.wait()
            await self.flush()

    def _drained(self) -> list[UsageOfHour]:
        rows: list[UsageOfHour] = []
        for (api, version, operation), tallies in self._operations.items():
            for (tenant, client_id, hour), tally in tallies.items():
                key = UsageKey(tenant, client_id, api, version, operation, datetime.fromtimestamp(hour * _HOUR, UTC))
                rows.append(UsageOfHour(key, UsageCounts(tally.calls, tally.refused, tally.failed, tally.limited)))
            tallies.clear()
        return rows

    def _put_back(self, rows: list[UsageOfHour]) -> None:
        for row in rows:
            key, counts = row.key, row.counts
            tallies = self.tallies(key.api, key.version, key.operation)
            hour = int(key.hour.timestamp()) // _HOUR
            tally = tallies.setdefault((key.tenant, key.client_id, hour), Tally())
            tally.calls += counts.calls
            tally.refused += counts.refused
            tally.failed += counts.failed
            tally.limited += counts.limited
