"""The main job: what happens to a firm, in order, in two phases; who does it stands in the neighbouring modules."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx

from deploy.local.failures import JobFailed
from deploy.local.firm import Firm
from deploy.local.installation import Installation
from deploy.local.main_job import billing, cash, deals
from deploy.local.main_job.desk import Desk
from deploy.local.main_job.portal import open_portal
from deploy.local.main_job.progress import Display
from deploy.local.main_job.read_back import read_back
from deploy.local.main_job.vendors import Vendors
from deploy.local.report import PhaseReport

FIRST_RUN, AFTER_FIXES = "first_run", "after_fixes"
_CONNECTIONS = httpx.Limits(max_connections=40, max_keepalive_connections=40)


class AlreadyLoaded(JobFailed):
    """The house is not empty; the message says what is in it."""


class MainJob:
    """A firm's way through the house."""

    def __init__(self, firm: Firm, installation: Installation, display: Display) -> None:
        """The house must be up."""
        self._firm = firm
        self._installation = installation
        self._display = display
        self._http = httpx.AsyncClient(timeout=60, trust_env=False, limits=_CONNECTIONS)
        self._vendors = Vendors(installation, self._http)
        self._desk = Desk(installation, self._http)
        self._booked: frozenset[str] = frozenset()
        self._paid: frozenset[str] = frozenset()
        self._seconds: dict[str, float] = {}
        self._calls: dict[str, dict[str, int]] = {}

    async def aclose(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def refuse_loaded(self) -> None:
        """Raises AlreadyLoaded where a firm is at work, or where the databases remember one."""
        if await self._vendors.customers():
            raise AlreadyLoaded("a firm is loaded here already; nothing was changed")
        if await self._desk.knows_deals():
            raise AlreadyLoaded("the sandbox is empty, but the databases remember a firm that was loaded before")

    async def first_run(self) -> PhaseReport:
        """Load the firm, win its deals, bill its work, collect its cash."""
        self._display.begin("First run: every won deal as it was sold")
        async with self._timed("load"):
            await self._vendors.reset()
            await self._vendors.load_reference_data(self._firm)
            await self._vendors.load_deals(self._firm)
            await self._desk.poll()
            await deals.read_up(self._desk, self._display)
            await self._vendors.subscribe()
            await self._vendors.close_deals(self._firm)
        async with self._timed("deals"):
            standing = await deals.settle(self._firm, self._desk, self._vendors, self._display)
        return await self._deliver(FIRST_RUN, standing)

    async def after_fixes(self) -> PhaseReport:
        """People correct what was wrong; parked deals go on where they stood."""
        fixes = self._firm["fixes.csv"]
        self._display.begin(f"After {len(fixes)} fixes: parked deals go on where they stood")
        async with self._timed("fixes"):
            for number, fix in enumerate(fixes, 1):
                if fix["kind"] == "product_alias":
                    await self._desk.supply_alias(fix["subject"], fix["value"])
                else:
                    await self._vendors.correct(fix)
                self._display.show("fixes applied", number, len(fixes))
        async with self._timed("deals"):
            standing = await deals.settle(self._firm, self._desk, self._vendors, self._display, fixes)
        return await self._deliver(AFTER_FIXES, standing)

    async def open_portal(self) -> str | None:
        """The customer's person sees a customer of the firm from now on; its name."""
        return await open_portal(self._firm, self._installation, self._desk)

    async def _deliver(self, phase: str, standing: deals.Standing) -> PhaseReport:
        async with self._timed("booking"):
            self._booked = await billing.book_work(self._firm, self._vendors, standing, self._display, self._booked)
        async with self._timed("billing"):
            await billing.bill(self._desk, self._vendors, self._display)
        async with self._timed("cash"):
            self._paid = await cash.pay(self._firm, self._desk, self._vendors, self._display, self._paid)
        async with self._timed("reading back"):
            tables = await read_back(self._firm, self._desk, self._vendors)
        seconds, self._seconds = self._seconds, {}
        calls, self._calls = self._calls, {}
        return PhaseReport(phase, tables, seconds, calls=calls)

    @asynccontextmanager
    async def _timed(self, step: str) -> AsyncGenerator[None]:
        """Note how long the step took, and what our connectors asked of each vendor meanwhile."""
        before = await self._vendors.calls()
        began = time.monotonic()
        yield
        self._seconds[step] = time.monotonic() - began
        after = await self._vendors.calls()
        self._calls[step] = {
            name: count - (before[name] if before[name] <= count else 0) for name, count in after.items()
        }
