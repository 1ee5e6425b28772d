"""The intake at work: accepts hints, polls, and has every connection's hints read on their own, side by side."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar, cast
from uuid import uuid4

from shared.errors.taxonomy import Misconfigured, PlatformError, Reaction
from shared.persistence import Database, EventLog
from shared.telemetry import bind, counter, get_logger, new_correlation_id
from system_apis.catalog import Bound, Catalog
from system_apis.crossref_store import CrossReferences
from system_apis.intake.facts import Reading, coalesced
from system_apis.intake.reader import Reader
from system_apis.intake_store import OVERLAP, FailedHint, IntakeStore, PendingHints
from system_apis.ports.changes import ChangeFeed, ChangeHint

log = get_logger("system.intake")
_answered = counter("throughline_system_hints_total", ["system", "outcome"], "Records re-read by what came of it.")
_polled = counter("throughline_system_polls_total", ["system", "outcome"], "Polls by what came of them.")

AT_ONCE: Final = 8
LEASE_SECONDS: Final = 10.0  # what a killed reader held is read by another after that
_RENEW_SECONDS: Final = LEASE_SECONDS / 4
_READ_SECONDS: Final = 120.0
_IDLE_SECONDS: Final = 0.5
_TIDY_SECONDS: Final = 3600.0
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class PollReport:
    """What one connection had to tell, or why it could not."""

    bound: Bound
    new: int = 0
    trouble: PlatformError | None = None


class Intake:
    """The intake of one system tier process; replicas share the work by leases on single records.

    Nothing is locked and no connection is held while a vendor is asked. Each connection has its own loop, so a vendor
    that hangs holds up nobody else. A reader that dies lets its leases lapse; ids of facts are deterministic, so what
    is read twice is told once.
    """

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        *,
        poll_seconds: float,
        reference_changed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`poll_seconds` between polls of every connector; 0: only on request.

        `reference_changed` is told the tenant whose reference data changed, before anybody else is.
        """
        self._reference_changed = reference_changed
        self._store = IntakeStore(database)
        self._reader = Reader(catalog, self._store.watermark)
        self._poll_seconds = poll_seconds
        self._events = EventLog()
        self._name = uuid4().hex
        self._connections = {(b.tenant, b.vendor): b for b in catalog.all()}
        self._news = {key: asyncio.Event() for key in self._connections}
        self._troubles: dict[tuple[str, str], PlatformError | None] = {}
        self._held: set[int] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin reading hints, and polling where asked."""
        work = [self._keep_leases(), self._keep_tidy(), *map(self._keep_reading, self._connections.values())]
        if self._poll_seconds > 0:
            work += map(self._keep_polling, self._connections.values())
        self._tasks = [asyncio.create_task(one) for one in work]

    async def stop(self) -> None:
        """End cleanly; what was not read is there for the next process at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._held:
            await self._survive("releasing_failed", self._store.release(self._name, self._held))

    async def accept(self, bound: Bound, hints: Sequence[ChangeHint]) -> int:
        """Keep the hints of a delivery; how many were new."""
        new = await self._store.accept(bound.tenant, bound.vendor, coalesced(hints))
        if any(hint.entity == "reference_data" for hint in hints):
            self._reference_changed(bound.tenant)
        if new:
            self._news[bound.tenant, bound.vendor].set()
        return new

    async def poll(self, bound: Bound) -> int:
        """Ask the vendor what changed since last time, by its feed where it keeps one; how many hints were new."""
        feed = cast("ChangeFeed | None", bound.connector if hasattr(bound.connector, "read_feed") else None)
        new = await (self._read_feed(bound, feed) if feed else self._list_changes(bound))
        await self._store.advance(bound.tenant, bound.vendor, "polled", datetime.now(UTC))
        return new

    async def _read_feed(self, bound: Bound, feed: ChangeFeed) -> int:
        """Hints are kept before the position moves on: what is cut between is told again, and known by its keys."""
        reading = await feed.read_feed(await self._store.position(bound.tenant, bound.vendor))
        new = await self.accept(bound, reading.hints)
        if reading.was_reset:
            log.warning("feed_position_lost", tenant=bound.tenant, vendor=bound.vendor, hints=len(reading.hints))
        await self._store.keep_position(bound.tenant, bound.vendor, reading.position, was_reset=reading.was_reset)
        await self._note_reach(bound, reading.hints)
        return new

    async def _list_changes(self, bound: Bound) -> int:
        since = await self._store.watermark(bound.tenant, bound.vendor, "changes")
        hints = await bound.connector.list_changes(since - OVERLAP if since else None)
        new = await self.accept(bound, hints)
        await self._note_reach(bound, hints)
        return new

    async def _note_reach(self, bound: Bound, hints: Sequence[ChangeHint]) -> None:
        seen = [h.occurred_at for h in hints if h.occurred_at]
        if seen:
            await self._store.advance(bound.tenant, bound.vendor, "changes", max(seen))

    async def poll_all(self, tenant: str) -> list[PollReport]:
        """Poll every connection of the tenant; trouble with one is told and keeps none of the others."""
        return await asyncio.gather(*(self._polled(b) for b in self._connections.values() if b.tenant == tenant))

    async def counts(self, bound: Bound) -> dict[str, int]:
        """The connector's hints by state."""
        return await self._store.counts(bound.tenant, bound.vendor)

    async def watermark(self, bound: Bound) -> datetime | None:
        """Up to when the connection was polled."""
        return await self._store.watermark(bound.tenant, bound.vendor, "changes")

    async def polled_at(self, bound: Bound) -> datetime | None:
        """When the connection last told its changes without trouble."""
        return await self._store.watermark(bound.tenant, bound.vendor, "polled")

    def trouble(self, bound: Bound) -> PlatformError | None:
        """What the connection's last poll in this process ended in, or None where it went well or there was none."""
        return self._troubles.get((bound.tenant, bound.vendor))

    async def list_failed(self, tenant: str, system: str | None, *, after: int, limit: int) -> list[FailedHint]:
        """The tenant's hints that were given up, oldest first."""
        return await self._store.list_failed(tenant, system, after=after, limit=limit)

    async def retry_failed(self, tenant: str, system: str | None, ids: Sequence[int] | None) -> int:
        """Have hints that were given up read again; how many."""
        retried = await self._store.retry_failed(tenant, system, ids)
        for (owner, _), news in self._news.items():
            if owner == tenant:
                news.set()
        return retried

    async def _polled(self, bound: Bound) -> PollReport:
        try:
            report = PollReport(bound, await self.poll(bound))
        except PlatformError as error:
            log.warning("poll_failed", tenant=bound.tenant, vendor=bound.vendor, code=error.code, said=error.message)
            report = PollReport(bound, trouble=error)
        self._troubles[bound.tenant, bound.vendor] = report.trouble
        _polled.labels(bound.vendor, report.trouble.code if report.trouble else "ok").inc()
        return report

    async def _keep_polling(self, bound: Bound) -> None:
        while True:
            await asyncio.sleep(self._poll_seconds)
            with bind(tenant=bound.tenant, correlation_id=new_correlation_id()):
                await self._survive("poll_failed", self._polled(bound))

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            if self._held:
                await self._survive("renewal_failed", self._store.renew(self._name, self._held, LEASE_SECONDS))

    async def _keep_tidy(self) -> None:
        while True:
            await asyncio.sleep(_TIDY_SECONDS)
            await self._survive("tidying_failed", self._store.forget_read())

    async def _keep_reading(self, bound: Bound) -> None:
        news = self._news[bound.tenant, bound.vendor]
        running: set[asyncio.Task[None]] = set()

        def ended(task: asyncio.Task[None]) -> None:
            running.discard(task)
            news.set()

        try:
            while True:
                news.clear()
                if len(running) < AT_ONCE:
                    for hints in await self._claimed(bound, AT_ONCE - len(running)):
                        task = asyncio.create_task(self._answer(hints))
                        running.add(task)
                        task.add_done_callback(ended)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_IDLE_SECONDS):  # wait_for may swallow a cancellation (Python 3.11)
                        await news.wait()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _claimed(self, bound: Bound, limit: int) -> list[PendingHints]:
        claim = self._store.claim(bound.tenant, bound.vendor, reader=self._name, limit=limit, seconds=LEASE_SECONDS)
        claimed = await self._survive("claiming_failed", claim) or []
        self._held.update(number for hints in claimed for number in hints.ids)
        return claimed

    async def _answer(self, hints: PendingHints) -> None:
        """Read one record and tell what is new; whatever goes wrong, the hint knows and the loop goes on."""
        with bind(tenant=hints.tenant, correlation_id=new_correlation_id()):
            outcome = (await asyncio.gather(self._read(hints), return_exceptions=True))[0]
            if isinstance(outcome, Exception):
                await self._survive("postponing_failed", self._postpone(hints, outcome))
            _answered.labels(hints.system, "read" if outcome is None else _code(outcome)).inc()
        self._held.difference_update(hints.ids)

    async def _read(self, hints: PendingHints) -> None:
        async with asyncio.timeout(_READ_SECONDS):
            async for reading in self._reader.read(hints):
                await self._tell(hints, reading)

    async def _tell(self, hints: PendingHints, reading: Reading) -> None:
        async with self._store.transaction() as connection:
            await self._events.append(connection, reading.events)
            if (change := reading.change) and await self._store.is_news(connection, hints.tenant, change):
                await self._events.append(connection, [change.event])
            await CrossReferences.record_within(connection, hints.tenant, reading.references)
            if until := reading.payments_read_until:
                await self._store.advance_within(connection, hints.tenant, hints.system, "payments", until)
            if reading.is_last:
                await self._store.settle(connection, hints, reading.note)

    async def _postpone(self, hints: PendingHints, error: Exception) -> None:
        code, said = _code(error), error.message if isinstance(error, PlatformError) else str(error)
        if isinstance(error, PlatformError | TimeoutError):
            log.warning("hint_postponed", vendor=hints.system, entity=hints.entity, ref=hints.ref, code=code)
        else:
            log.error("hint_broke_reading", vendor=hints.system, entity=hints.entity, ref=hints.ref, exc_info=error)
        wait = error.retry_after or 0.0 if isinstance(error, PlatformError) else 0.0
        await self._store.postpone(
            hints, f"{code}: {said}", reader=self._name, is_its_own=_is_its_own(error), wait=min(wait, 300.0)
        )

    async def _survive(self, trouble: str, work: Awaitable[Result]) -> Result | None:
        """The result, or None after logging what went wrong: a loop outlives what one round of it meets."""
        outcome = (await asyncio.gather(work, return_exceptions=True))[0]
        if not isinstance(outcome, BaseException):
            return outcome
        if isinstance(outcome, PlatformError):
            log.warning(trouble, code=outcome.code, said=outcome.message)
        else:
            log.error(trouble, exc_info=outcome)
        return None


def _code(error: BaseException) -> str:
    if isinstance(error, PlatformError):
        return error.code
    return "vendor_unavailable" if isinstance(error, TimeoutError) else "defect"


def _is_its_own(error: Exception) -> bool:
    """Whether the record itself is in the way, rather than the vendor or our set-up for it."""
    if isinstance(error, PlatformError):
        return error.reaction is not Reaction.WAIT and not isinstance(error, Misconfigured)
    return not isinstance(error, TimeoutError)
