"""Reads again what a hint speaks of, by the port of the system that gave it; knows no database and no loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

from shared.errors.taxonomy import NotFound
from system_apis.catalog import Catalog
from system_apis.intake.facts import (
    WORK,
    Reading,
    contract_facts,
    customer_facts,
    opportunity_facts,
    payment_facts,
    reference_facts,
    work_facts,
)
from system_apis.intake_store import OVERLAP, PendingHints
from system_apis.ports.crm import CrmPort
from system_apis.ports.erp import ErpPort

_PAYMENTS = 500
_ELSEWHERE = Reading(note="the tenant has another system in this role now")


class Reader:
    """From hints on one record to what is to be told of it."""

    def __init__(self, catalog: Catalog, watermark: Callable[[str, str, str], Awaitable[datetime | None]]) -> None:
        """`watermark(tenant, system, feed)` tells how far a feed was read."""
        self._catalog = catalog
        self._watermark = watermark

    async def read(self, hints: PendingHints) -> AsyncIterator[Reading]:
        """The reading, in parts where it is long. Raises what the port raises, except for records that are gone."""
        if hints.entity == "payment":
            async for part in self._payments(hints):
                yield part
        elif hints.entity in {"opportunity", "customer", "contract"}:
            yield await self._crm_record(hints)
        elif hints.entity in WORK:
            yield work_facts(hints)
        elif hints.entity == "reference_data":
            yield reference_facts(hints)
        else:
            yield Reading()

    async def _crm_record(self, hints: PendingHints) -> Reading:
        crm, vendor = self._catalog.crm(hints.tenant)
        if vendor != hints.system:
            return _ELSEWHERE
        try:
            return await _told(crm, hints)
        except NotFound as error:  # deleted since, or not ours to see: nothing to tell
            return Reading(note=f"{error.code}: {error.message}"[:500])

    async def _payments(self, hints: PendingHints) -> AsyncIterator[Reading]:
        try:
            erp = self._catalog.erp_named(hints.tenant, hints.system)
        except NotFound:
            yield _ELSEWHERE
            return
        since = await self._watermark(hints.tenant, hints.system, "payments")
        async for part in _pages(erp, hints.tenant, hints.system, since - OVERLAP if since else None):
            yield part


async def _told(crm: CrmPort, hints: PendingHints) -> Reading:
    if hints.entity == "opportunity":
        return opportunity_facts(await crm.get_opportunity(hints.ref))
    if hints.entity == "customer":
        return customer_facts(await crm.get_customer(hints.ref))
    return contract_facts(await crm.get_contract(hints.ref))


async def _pages(erp: ErpPort, tenant: str, vendor: str, since: datetime | None) -> AsyncIterator[Reading]:
    """Payments by change, oldest first, so that what was told up to any page need not be read again."""
    cursor: str | None = None
    while True:
        page = await erp.list_payments(modified_since=since, cursor=cursor, limit=_PAYMENTS)
        cursor = page.next_cursor
        yield payment_facts(tenant, vendor, page.items, is_last=cursor is None)
        if cursor is None:
            return
