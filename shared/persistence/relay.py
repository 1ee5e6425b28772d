"""Relay: publishes what the event log holds; one replica at a time, in order per subject, at least once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import nats.errors
import psycopg
from nats.js.api import PubAck
from psycopg import AsyncConnection, conninfo
from psycopg.rows import class_row

from shared.errors.taxonomy import VendorUnavailable
from shared.persistence.bus import Bus
from shared.persistence.database import Database, psycopg_url
from shared.persistence.event_log_store import CHANNEL
from shared.telemetry.logging import get_logger
from shared.telemetry.metrics import counter, gauge

_published = counter("throughline_relay_events_total", ["outcome"], "Events of the log by what came of publishing.")
_leading = gauge("throughline_relay_leading", [], "1 in the replica that relays.")
_log = get_logger("throughline.relay")

_LOCK: Final = 0x72656C61
_ACK_SECONDS: Final = 10.0
_SESSION: Final[dict[str, str | int]] = {
    "application_name": "throughline relay",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}

_PICK: Final = """
    SELECT sequence, tenant, source, event_id, subject, type, round, body::text AS body
    FROM event_log WHERE published_at IS NULL ORDER BY sequence LIMIT %s
"""
_MARK: Final = "UPDATE event_log SET published_at = now() WHERE sequence = ANY(%s)"


@dataclass(frozen=True, slots=True)
class _Row:
    sequence: int
    tenant: str
    source: str
    event_id: str
    subject: str
    type: str
    round: int
    body: str

    @property
    def message_id(self) -> str:
        return f"{self.tenant}|{self.source}|{self.event_id}|{self.round}"


class Relay:
    """Log → bus. `run` until `stop`; any number of replicas may run, one of them works.

    What is picked is whatever is unpublished, lowest sequence first: a transaction that commits late with a low
    sequence is picked up too. A subject's next event is sent only when the stream has the one before.
    """

    def __init__(self, db: Database, bus: Bus, *, batch: int = 1000, poll: float = 0.5) -> None:
        self._db = db
        self._bus = bus
        self._batch = batch
        self._poll = poll
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Relay until stopped; trouble with database or bus is waited out."""
        while not self._stopping.is_set():
            try:
                await self._session()
            except (psycopg.Error, OSError, nats.errors.Error, VendorUnavailable, TimeoutError) as error:
                _log.warning("relay_interrupted", reason=type(error).__name__, said=str(error)[:200])
                await self._pause(1.0)

    async def stop(self) -> None:
        """End `run` after the batch in hand."""
        self._stopping.set()

    async def _session(self) -> None:
        async with await AsyncConnection.connect(
            conninfo.make_conninfo(psycopg_url(self._db.url), **_SESSION), autocommit=True
        ) as session:
            while not await self._leads(session):
                if await self._pause(1.0):
                    return
            _leading.set(1)
            try:
                await session.execute(f"LISTEN {CHANNEL}")
                while not self._stopping.is_set():
                    if await self._relay(session) < self._batch:
                        await self._wait_for_news(session)
            finally:
                _leading.set(0)

    async def _leads(self, session: AsyncConnection) -> bool:
        row = await (await session.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))).fetchone()
        return bool(row and row[0])

    async def _wait_for_news(self, session: AsyncConnection) -> None:
        async for _ in session.notifies(timeout=self._poll, stop_after=1):
            pass

    async def _relay(self, session: AsyncConnection) -> int:
        async with session.cursor(row_factory=class_row(_Row)) as cursor:
            await cursor.execute(_PICK, (self._batch,))
            rows = await cursor.fetchall()
        for wave in _waves(rows):
            sent, failure = await self._publish(wave)
            if sent:
                await session.execute(_MARK, (sent,))
                _published.labels("ok").inc(len(sent))
            if failure is not None:
                _published.labels("failed").inc(len(wave) - len(sent))
                raise failure
        return len(rows)

    async def _publish(self, wave: Sequence[_Row]) -> tuple[list[int], Exception | None]:
        waiting: dict[asyncio.Future[PubAck], int] = {}
        failure: Exception | None = None
        try:
            for row in wave:
                future = await self._bus.publish(
                    tenant=row.tenant, kind=row.type, message_id=row.message_id, body=row.body.encode()
                )
                waiting[future] = row.sequence
        except (nats.errors.Error, VendorUnavailable) as error:
            failure = error
        if not waiting:
            return [], failure
        done, late = await asyncio.wait(waiting, timeout=_ACK_SECONDS)
        for future in late:
            future.cancel()
        refused = [future.exception() for future in done if future.exception() is not None]
        if late:
            failure = failure or TimeoutError("the stream did not acknowledge in time")
        if refused:
            failure = failure or VendorUnavailable("The event bus refused events.", detail=str(refused[0]))
        return [waiting[future] for future in done if future.exception() is None], failure

    async def _pause(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True


def _waves(rows: Sequence[_Row]) -> list[list[_Row]]:
    """Rows in waves: the n-th event of each subject is in the n-th wave."""
    waves: list[list[_Row]] = []
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row.tenant, row.subject)
        number = seen[key] = seen.get(key, -1) + 1
        if number == len(waves):
            waves.append([])
        waves[number].append(row)
    return waves
