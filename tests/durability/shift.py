"""One test's people at a house whose ground breaks: they win deals, book, bill, pay and approve; faults and kills."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

import httpx
import psycopg

from deploy.local.main_job.callers import CallFailed
from deploy.local.main_job.desk import Desk
from deploy.local.main_job.vendors import Vendors
from deploy.local.supervisor import House
from deploy.sandbox.kit.faults import Fault, FaultKind
from tests.durability.auditor import COUNTED, Auditor
from tests.factories.little_deals import LEGAL_ENTITIES, RATE_CARDS, SERVICE_ITEMS, USERS, LittleDeal, joined

TARRY = 3.0
"""Seconds between a vendor's deed and its answer: longer than a tier needs to come up again on an idle machine."""
_PATIENCE = 60.0
_PAUSE = 0.05
_PEACE = 0.4
_DOWN = frozenset({500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Point:
    """A moment to strike: the act's name, the vendor and the route of its call; the first `skip` calls pass."""

    act: str
    vendor: str
    route: str
    skip: int = 0
    kind: FaultKind = FaultKind.LATENCY_AFTER


class Shift:
    """What the people of one test do, and what is done to the house meanwhile."""

    _slowest_restart: ClassVar[float] = 2.0

    def __init__(self, house: House, http: httpx.AsyncClient) -> None:
        """The house must be up."""
        self.house = house
        self.vendors = Vendors(house.installation, http)
        self.desk = Desk(house.installation, http)
        self.auditor = Auditor(house.installation, http)
        self._http = http
        self._late_until = 0.0

    # --- the firm --------------------------------------------------------------------------------------------------
    async def open_books(self) -> None:
        """Reference data of ERP and PSA; the CRM pushes its changes from now on."""
        await self.vendors.erps["netsuite"].load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)
        await self.vendors.psa.load_users(USERS)
        await self.vendors.subscribe()

    async def win(self, *deals: LittleDeal) -> None:
        """The deals are entered in the CRM and won."""
        tables = joined(deals)
        await self.vendors.crm.load(tables)
        await self.vendors.crm.close(tables["opportunities"])

    async def book(self, *deals: LittleDeal) -> None:
        """All hours and completions of the deals are booked and approved in the PSA."""
        shown = await self.vendors.crm.read_deals()
        projects = {deal.reference: str(shown[deal.reference].project_ref) for deal in deals}
        entries = [row for deal in deals for row in deal.time_entries()]
        done = [row for deal in deals for row in deal.completions()]
        await self.vendors.psa.book(projects, entries, done)

    async def pay(self, *deals: LittleDeal) -> None:
        """The customers pay in full."""
        mine = {await self.auditor.project_id(deal) for deal in deals}
        for invoice in await self.vendors.erp_invoices():
            if invoice.project_id in mine:
                paid_on = date(2025, 7, 15)
                await self.vendors.pay(invoice, invoice.gross, paid_on, f"pay-{invoice.invoice_id}")

    # --- waiting ---------------------------------------------------------------------------------------------------
    @asynccontextmanager
    async def approving(self) -> AsyncGenerator[None]:
        """Meanwhile Dan and Fiona approve whatever asks for it, and are not put off by a tier that is down."""
        task = asyncio.create_task(self._keep_approving())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _keep_approving(self) -> None:
        while True:
            try:
                await self.desk.approve_deals()
                await self.desk.approve_invoices()
            except CallFailed as failed:
                if failed.status not in _DOWN:
                    raise
            await asyncio.sleep(0.2)

    @staticmethod
    async def until(what: str, is_so: Callable[[], Awaitable[bool]], *, seconds: float = _PATIENCE) -> None:
        """Wait for it. Fails naming what did not come about."""
        deadline = time.monotonic() + seconds
        while not await is_so():
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
            await asyncio.sleep(_PAUSE * 2)

    async def stands_at(self, deal: LittleDeal) -> str | None:
        """What the CRM shows of the deal's delivery."""
        return (await self.vendors.crm.read_deals())[deal.reference].delivery_stage

    async def until_active(self, *deals: LittleDeal) -> None:
        """Approve and wait until the CRM and our own board show the deals as active."""
        wanted = {deal.reference for deal in deals}

        async def are_active() -> bool:
            shown = await self.vendors.crm.read_deals()
            if any(shown[reference].delivery_stage != "activated" for reference in wanted):
                return False
            board = {item["reference"]: item["state"] for item in await self.desk.deals()}
            return all(board.get(reference) == "activated" for reference in wanted)

        async with self.approving():
            await self.until(f"{', '.join(sorted(wanted))} active", are_active)
        await self.settled()

    async def until_billed(self, *deals: LittleDeal) -> None:
        """Approve and wait until every expected invoice is posted, marked in the PSA and told to the CRM."""

        async def are_billed() -> bool:
            return all([await self.auditor.is_billed(deal) for deal in deals])

        async with self.approving():
            await self.until(f"{', '.join(deal.reference for deal in deals)} billed", are_billed)
        await self.settled()

    async def settled(self) -> None:
        """Wait until the last late call has been answered and the vendors are left in peace: only then count."""
        await asyncio.sleep(max(0.0, self._late_until - time.monotonic()))
        before = -1
        while (now := await self._calls()) != before:
            before = now
            await asyncio.sleep(_PEACE)

    async def _calls(self) -> int:
        return sum([sum((await self._control("GET", vendor, "calls")).values()) for vendor in COUNTED])

    # --- breaking the ground ---------------------------------------------------------------------------------------
    async def faults(self, *faults: tuple[str, Fault]) -> None:
        """Put faults in force, vendor by vendor; those of before are forgotten."""
        for vendor in {vendor for vendor, _ in faults}:
            await self.heal(vendor)
        for vendor, fault in faults:
            await self._control("POST", vendor, "faults", fault.model_dump(mode="json"))

    async def heal(self, vendor: str) -> None:
        """The vendor works again."""
        await self._control("DELETE", vendor, "faults")

    async def struck(self, *vendors: str) -> list[int]:
        """How often each fault in force has struck."""
        return [rule["struck"] for vendor in vendors for rule in await self._control("GET", vendor, "faults")]

    async def kill_at(
        self,
        tiers: Sequence[str],
        points: Sequence[Point],
        act: Callable[[], Awaitable[Any]],
        *,
        seconds: float = TARRY,
    ) -> None:
        """Do `act`; when the calls of all points are under way, kill the tiers, and start them again.

        Proves that the kill fell before the answers: the vendor has acted, or is going to, and we have no record of it.
        """
        vendors = sorted({point.vendor for point in points})
        faults = [
            (point.vendor, Fault(kind=point.kind, route=point.route, skip=point.skip, seconds=seconds))
            for point in points
        ]
        await self.faults(*faults)
        async with self.approving():
            await act()
            unstruck_at = time.monotonic()
            deadline = unstruck_at + _PATIENCE
            while True:
                asked_at = time.monotonic()
                struck = await self.struck(*vendors)
                if all(struck):
                    break
                if not any(struck):
                    unstruck_at = asked_at
                assert asked_at < deadline, f"calls struck: {struck} of {[point.route for point in points]}"
                await asyncio.sleep(_PAUSE)
        self._late_until = time.monotonic() + seconds
        for tier in tiers:
            self.house.kill(tier)
        assert time.monotonic() - unstruck_at < seconds, "an answer came before the kill; nothing would be proved"
        await self.restart(*tiers)
        assert await self.struck(*vendors) == [1] * len(points)

    async def kill_while_held_up(self, lock: str, act: Callable[[], Awaitable[Any]]) -> None:
        """Kill the process tier while a statement of its transaction waits for a lock that we hold; start it again."""
        waiting = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE NOT l.granted"
        url = self.house.database_url("process")
        async with (
            await psycopg.AsyncConnection.connect(url) as holder,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as watcher,
        ):
            await holder.execute(lock.encode())

            async def is_held_up() -> bool:
                row = await (await watcher.execute(waiting.encode())).fetchone()
                return row is not None and row[0] > 0

            async with self.approving():
                await act()
                await self.until(f"held up by {lock}", is_held_up)
            self.house.kill("process")
            await holder.rollback()
        await self.restart("process")

    def long_enough(self) -> float:
        """Seconds within which a tier has surely come up and begun its work afresh, as busy as this machine is."""
        return self._slowest_restart * 2.5 + TARRY

    async def restart(self, *tiers: str) -> None:
        """Start killed tiers; from this thread, since processes end with the thread that started them."""
        began = time.monotonic()
        for tier in tiers:
            self.house.start(tier, wait=False)
        for tier in tiers:
            await asyncio.to_thread(self.house.wait_ready, tier)
        Shift._slowest_restart = max(Shift._slowest_restart, time.monotonic() - began)

    async def deliveries(self, *, copies: int, order: str) -> None:
        """How the CRM delivers its changes from now on."""
        subscription = {
            "url": f"{self.house.url('system')}/intake/v1/webhooks/salesforce",
            "secret": self.house.installation.secrets.vendors["salesforce"]["webhook_secret"],
            "copies": copies,
            "order": order,
        }
        await self._control("PUT", "salesforce", "deliveries", subscription)

    async def release_reversed(self) -> dict[str, int]:
        """Deliver what was held, the last change first; what the CRM counts then."""
        return await self._control("POST", "salesforce", "deliveries?reverse=true")

    async def switch(self, vendor: str, switches: dict[str, Any]) -> None:
        """Turn switches of a simulator."""
        await self._control("POST", vendor, "switches", switches)

    async def delivered(self) -> dict[str, int]:
        """Deliveries `sent`, `failed`, `waiting`."""
        return await self._control("GET", "salesforce", "deliveries")

    async def _control(self, method: str, vendor: str, what: str, body: Any = None) -> Any:
        address = f"{self.house.url('sandbox')}/_control/{vendor}/{what}"
        answer = await self._http.request(method, address, json=body)
        assert answer.is_success, f"{method} {address}: {answer.status_code} {answer.text[:300]}"
        return answer.json() if answer.content else None
