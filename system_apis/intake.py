"""From hint to fact: keeps hints, re-reads the record, and appends the canonical event in one transaction."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shared.canonical.contracts import Contract
from shared.canonical.customers import Customer
from shared.canonical.events import (
    ContractChanged,
    CustomerChanged,
    Event,
    OpportunityChanged,
    OpportunityWon,
    PaymentReceived,
    ReferenceDataChanged,
    WorkRecorded,
    event_type,
    fact_id,
)
from shared.canonical.invoices import Payment
from shared.canonical.opportunities import Opportunity
from shared.canonical.references import CanonicalModel
from shared.errors.taxonomy import NotFound, PlatformError
from shared.persistence import Database, EventLog
from shared.telemetry import correlation_id, get_logger, new_correlation_id
from system_apis.catalog import Bound, Catalog
from system_apis.crossref_store import CrossReference, CrossReferences
from system_apis.intake_store import OVERLAP, IntakeStore, PendingHints
from system_apis.ports.changes import ChangeHint

log = get_logger("system.intake")
WORK = frozenset({"time", "expense", "milestone"})
BATCH = 40
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Reading:
    """What a re-read gives: facts to tell and cross-references to keep."""

    events: tuple[Event, ...] = ()
    references: tuple[CrossReference, ...] = ()
    payments_read_until: datetime | None = None


class Intake:
    """The intake of one system tier process; several replicas share the work by row locks."""

    def __init__(self, database: Database, catalog: Catalog, *, poll_seconds: float) -> None:
        """`poll_seconds` between polls of every connector; 0: only on request."""
        self._database = database
        self._catalog = catalog
        self._poll_seconds = poll_seconds
        self._store = IntakeStore(database)
        self._work = asyncio.Event()
        self._events = EventLog()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin reading hints, and polling where asked."""
        self._tasks.append(asyncio.create_task(self._keep_reading()))
        if self._poll_seconds > 0:
            self._tasks.append(asyncio.create_task(self._keep_polling()))

    async def stop(self) -> None:
        """End cleanly; unread hints stay for the next process."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def accept(self, bound: Bound, hints: Sequence[ChangeHint]) -> int:
        """Keep the hints of a delivery; how many were new."""
        new = await self._store.accept(bound.tenant, bound.vendor, _coalesced(hints))
        if new:
            self._work.set()
        return new

    async def poll(self, bound: Bound) -> int:
        """Ask the vendor what changed since the watermark; how many hints were new."""
        since = await self._store.watermark(bound.tenant, bound.vendor, "changes")
        hints = await bound.connector.list_changes(since - OVERLAP if since else None)
        new = await self.accept(bound, hints)
        seen = [h.occurred_at for h in hints if h.occurred_at]
        if seen:
            await self._store.advance(bound.tenant, bound.vendor, "changes", max(seen))
        return new

    async def counts(self, bound: Bound) -> dict[str, int]:
        """The connector's hints by state."""
        return await self._store.counts(bound.tenant, bound.vendor)

    async def _keep_polling(self) -> None:
        while True:
            await asyncio.sleep(self._poll_seconds)
            for bound in {id(b.connector): b for b in self._catalog.all()}.values():
                try:
                    await self.poll(bound)
                except PlatformError as error:
                    log.warning("poll_failed", vendor=bound.vendor, code=error.code, reason=error.message)

    async def _keep_reading(self) -> None:
        while True:
            self._work.clear()
            try:
                read = await self.read_due()
            except PlatformError as error:
                log.warning("reading_failed", code=error.code, reason=error.message)
                read = 0
            if not read:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._work.wait(), 0.5)

    async def read_due(self) -> int:
        """Answer the hints that are due; how many records were read."""
        async with self._database.transaction() as connection:
            claimed = await self._store.claim(connection, BATCH)
            gate = asyncio.Semaphore(AT_ONCE)

            async def one(hints: PendingHints) -> Reading | PlatformError:
                async with gate:
                    try:
                        return await self._read(hints)
                    except PlatformError as error:
                        return error

            for hints, reading in zip(claimed, await asyncio.gather(*map(one, claimed)), strict=True):
                if isinstance(reading, PlatformError):
                    log.warning("hint_postponed", entity=hints.entity, ref=hints.ref, code=reading.code)
                    await self._store.postpone(connection, hints, f"{reading.code}: {reading.message}")
                    continue
                await self._events.append(connection, reading.events)
                await CrossReferences.record_within(connection, hints.tenant, reading.references)
                if reading.payments_read_until:
                    await self._store.advance_within(
                        connection, hints.tenant, hints.system, "payments", reading.payments_read_until
                    )
                await self._store.settle(connection, hints)
        return len(claimed)

    async def _read(self, hints: PendingHints) -> Reading:
        try:
            if hints.entity in {"opportunity", "customer", "contract"}:
                return await self._crm_record(hints)
            if hints.entity == "payment":
                return await self._payments(hints)
        except NotFound:
            return Reading()  # deleted since, or not ours to see: nothing to tell
        number = hints.ids[-1]
        if hints.entity in WORK:
            return Reading((_fact(hints.tenant, hints.system, WorkRecorded(), f"work-{number}", f"work:{number}"),))
        if hints.entity == "reference_data":
            return Reading((_reference_fact(hints),))
        return Reading()

    async def _crm_record(self, hints: PendingHints) -> Reading:
        crm, _ = self._catalog.crm(hints.tenant)
        if hints.entity == "opportunity":
            return _opportunity_facts(await crm.get_opportunity(hints.ref))
        if hints.entity == "customer":
            return _customer_facts(await crm.get_customer(hints.ref))
        return _contract_facts(await crm.get_contract(hints.ref))

    async def _payments(self, hints: PendingHints) -> Reading:
        erp, vendor = self._catalog.erp(hints.tenant)
        since = await self._store.watermark(hints.tenant, vendor, "payments")
        cursor: str | None = None
        payments: list[Payment] = []
        while True:
            page = await erp.list_payments(modified_since=since - OVERLAP if since else None, cursor=cursor, limit=1000)
            payments.extend(page.items)
            cursor = page.next_cursor
            if cursor is None:
                break
        moments = [p.source.modified_at for p in payments if p.source.modified_at]
        return Reading(
            tuple(
                _fact(hints.tenant, vendor, PaymentReceived(payment=p), p.id, f"{p.id}:{p.source.version}")
                for p in payments
            ),
            payments_read_until=max(moments) if moments else None,
        )


def _coalesced(hints: Sequence[ChangeHint]) -> list[ChangeHint]:
    """Work and payments are read by watermark, so one hint stands for all of a delivery."""
    kept: list[ChangeHint] = []
    last: dict[str, ChangeHint] = {}
    for hint in hints:
        if hint.entity in WORK:
            last["time"] = replace(hint, entity="time", ref="work")
        elif hint.entity == "payment":
            last["payment"] = replace(hint, ref="payments")
        else:
            kept.append(hint)
    return [*kept, *last.values()]


def _fact(tenant: str, system: str, body: CanonicalModel, subject: str, key: str) -> Event:
    kind = event_type(body)
    return Event(
        id=fact_id(kind, tenant, key),
        source=f"/system/{system}",
        type=kind,
        subject=subject,
        time=datetime.now(UTC),
        tenant=tenant,
        correlationid=correlation_id.get() or new_correlation_id(),
        data=body.model_dump(mode="json"),
    )


def _opportunity_facts(opportunity: Opportunity) -> Reading:
    tenant, system = opportunity.tenant, opportunity.source.system
    changed = OpportunityChanged(opportunity_id=opportunity.id, revision=opportunity.revision)
    events = [_fact(tenant, system, changed, opportunity.id, f"{opportunity.id}:{opportunity.source.version}")]
    if opportunity.is_won:
        won = OpportunityWon(
            opportunity_id=opportunity.id, revision=opportunity.revision, reference=opportunity.reference
        )
        events.insert(0, _fact(tenant, system, won, opportunity.id, f"{opportunity.id}:won:{opportunity.revision}"))
    return Reading(tuple(events), references_of_opportunity(opportunity))


def _customer_facts(customer: Customer) -> Reading:
    body = CustomerChanged(customer_id=customer.id)
    key = f"{customer.id}:{customer.source.version}"
    return Reading(
        (_fact(customer.tenant, customer.source.system, body, customer.id, key),),
        (CrossReference("customer", customer.id, customer.source.system, customer.source.ref),),
    )


def _contract_facts(contract: Contract) -> Reading:
    body = ContractChanged(contract_id=contract.id, opportunity_id=contract.opportunity_id)
    milestones = "".join(f"{m.reference}{m.amount}{m.due_on}" for m in contract.milestones)
    key = f"{contract.id}:{contract.source.version}:{milestones}"
    return Reading(
        (_fact(contract.tenant, contract.source.system, body, contract.id, key),),
        (CrossReference("contract", contract.id, contract.source.system, contract.source.ref),),
    )


def _reference_fact(hints: PendingHints) -> Event:
    kind = hints.ref if hints.ref in {"legal_entity", "service_item", "rate_card"} else "service_item"
    body = ReferenceDataChanged.model_validate({"kind": kind})
    return _fact(hints.tenant, hints.system, body, kind, f"{kind}:{hints.ids[-1]}")


def references_of_opportunity(opportunity: Opportunity) -> tuple[CrossReference, ...]:
    """What reading a deal teaches the registry: the deal's and its customer's place."""
    system = opportunity.source.system
    return (
        CrossReference("opportunity", opportunity.id, system, opportunity.source.ref),
        CrossReference("customer", opportunity.customer_id, system, opportunity.customer_ref),
    )
