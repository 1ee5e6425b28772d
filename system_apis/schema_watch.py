"""Compares every connection's mapping with its vendor's schema, at start and again and again."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.errors.taxonomy import PlatformError
from shared.persistence import Database
from shared.telemetry import bind, counter, gauge, get_logger, new_correlation_id
from system_apis.catalog import Bound, Catalog
from system_apis.schema_drift import BLOCKING, DriftFinding, DriftKind, drift_findings, kinds_to_keep
from system_apis.schema_store import SchemaStore, StandingFinding

log = get_logger("system.schema")
_standing = gauge("throughline_system_schema_findings", ["tenant", "system"], "Places where a mapping does not fit.")
_checked = counter(
    "throughline_system_schema_checks_total", ["system", "outcome"], "Schema checks by what came of them."
)
_FIRST_SECONDS: Final = 5.0
_LONGEST: Final = 120.0
_WHILE_BLOCKED: Final = 30.0
"""Seconds between checks while a deal is held up: what somebody mends should not be told as broken for long."""
_TOLD_FOR: Final = timedelta(days=1)
"""How long a changed type is told of; nobody can mend it, and what is read with it shows whether it matters."""


class SchemaWatch:
    """One loop per connection; a vendor that cannot be asked is asked again at the next turn."""

    def __init__(self, database: Database, catalog: Catalog, *, every_seconds: float) -> None:
        """`every_seconds` between checks; 0: only on request."""
        self._store = SchemaStore(database)
        self._every = every_seconds
        self._connections = {(one.tenant, one.vendor): one for one in catalog.all()}
        self._tasks: list[asyncio.Task[None]] = []
        self._looking: dict[tuple[str, str], asyncio.Lock] = {}

    def start(self) -> None:
        """Begin checking."""
        if self._every > 0:
            self._tasks = [asyncio.create_task(self._keep_checking(one)) for one in self._connections.values()]

    async def stop(self) -> None:
        """End."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def check(self, bound: Bound) -> Sequence[DriftFinding]:
        """Compare now; everything that does not fit. Raises what the vendor's metadata call raises.

        A type that changed is accepted as it is a day after it was found.
        """
        now = datetime.now(UTC)
        told = await bound.connector.describe(bound.fields.objects())
        before = await self._store.snapshot(bound.tenant, bound.vendor)
        accepted = _accepted(await self._store.standing(bound.tenant, bound.vendor), now)
        found = tuple(one for one in drift_findings(bound.fields, told, before) if one.reason not in accepted)
        kept = kinds_to_keep(bound.fields, told, before, found)
        fresh = await self._store.keep(bound.tenant, bound.vendor, found, kept, checked_at=now)
        for one in fresh:
            log.warning(
                "schema_drift",
                tenant=bound.tenant,
                vendor=bound.vendor,
                entity=one.entity,
                field=one.field,
                kind=one.kind.value,
                reason=one.reason,
            )
        _standing.labels(bound.tenant, bound.vendor).set(len(found))
        return found

    async def standing(
        self, bound: Bound, *, at_most: float = math.inf
    ) -> tuple[list[StandingFinding], datetime | None]:
        """What does not fit at present, and when that was last looked at.

        Findings that hold up work and are older than `at_most` seconds are looked at again first, and with 0 it is
        looked whether there are any; once for all who ask. A vendor that cannot be asked leaves them as they stand.
        """
        asked_at = datetime.now(UTC)
        async with self._looking.setdefault((bound.tenant, bound.vendor), asyncio.Lock()):
            told = await self._standing(bound)
            if not (_is_blocked(told[0]) or at_most <= 0) or _age(told[1], asked_at) <= at_most:
                return told
            await self._survived(bound)
            return await self._standing(bound)

    async def _standing(self, bound: Bound) -> tuple[list[StandingFinding], datetime | None]:
        findings = await self._store.standing(bound.tenant, bound.vendor)
        return findings, await self._store.checked_at(bound.tenant, bound.vendor)

    async def _keep_checking(self, bound: Bound) -> None:
        pause = min(_FIRST_SECONDS, self._every)
        while True:
            await asyncio.sleep(pause)
            if not await self._survived(bound):
                pause = min(self._every, _LONGEST)
            else:
                stands = await self._store.standing(bound.tenant, bound.vendor)
                pause = min(self._every, _WHILE_BLOCKED) if _is_blocked(stands) else self._every

    async def _survived(self, bound: Bound) -> bool:
        with bind(tenant=bound.tenant, correlation_id=new_correlation_id()):
            outcome = (await asyncio.gather(self.check(bound), return_exceptions=True))[0]
            if isinstance(outcome, PlatformError):
                log.warning("schema_check_failed", vendor=bound.vendor, code=outcome.code, said=outcome.message)
            elif isinstance(outcome, BaseException):
                log.error("schema_check_broke", vendor=bound.vendor, exc_info=outcome)
            failed = isinstance(outcome, BaseException)
            code = outcome.code if isinstance(outcome, PlatformError) else "defect"
            _checked.labels(bound.vendor, code if failed else "ok").inc()
            return not failed


def _age(checked_at: datetime | None, asked_at: datetime) -> float:
    return math.inf if checked_at is None else (asked_at - checked_at).total_seconds()


def _is_blocked(standing: Iterable[StandingFinding]) -> bool:
    return any(one.finding.kind in BLOCKING for one in standing)


def _accepted(standing: Iterable[StandingFinding], now: datetime) -> set[str]:
    """Which changes of types were told for long enough, in the words that name place, old type and new."""
    changed = (one for one in standing if one.finding.kind is DriftKind.TYPE_CHANGED)
    return {one.finding.reason for one in changed if now - one.found_at >= _TOLD_FOR}
