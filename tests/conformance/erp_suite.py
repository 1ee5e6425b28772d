"""The conformance suite of ERPs: the acts of their port on the small firm, its invoices and payments; no vendor."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

from deploy.sandbox.kit.firm import ErpFirm
from tests.conformance.conformance_suite import Bench, ConformanceSuite, PagedRead, Write
from tests.conformance.erp_firm import (
    LEGAL_ENTITIES,
    RATE_CARDS,
    SERVICE_ITEMS,
    contract,
    customer,
    draft,
    plan,
    schedule,
)
from tests.conformance.scenarios import Trace
from tests.conformance.served import Sandbox
from tests.conformance.small_firm import read_on

PAGE = 5


class ErpSuite(ConformanceSuite):
    """Inherit instead of `ConformanceSuite`; besides its hooks write `people` and `traces`, and set the two routes."""

    writes = (
        "customers.amend",
        "projects.amend",
        "projects.close",
        "contracts.amend",
        "billing_schedules.amend",
        "invoices.create",
    )
    invoices_route: ClassVar[str]  # finds the calls that page invoices
    payments_route: ClassVar[str]  # finds the calls that page payments

    @abstractmethod
    def people(self, sandbox: Sandbox) -> AbstractAsyncContextManager[ErpFirm]:
        """The firm's finance people there."""

    @abstractmethod
    def traces(self, bench: Bench) -> Mapping[str, Trace]:
        """What each of `writes` leaves; the firm's customer stands already, and of later ones project and contract."""

    async def prepare(self, sandbox: Sandbox) -> object:
        async with self.people(sandbox) as firm:
            return await firm.load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)

    async def plain_read(self, bench: Bench) -> object:
        return await bench.connector.list_legal_entities()

    async def write(self, bench: Bench, name: str) -> Write:
        erp = bench.connector
        acts: Mapping[str, Callable[[], Awaitable[object]]] = {
            "customers.amend": lambda: erp.amend_customer(customer(), "HC-DE"),
            "projects.amend": lambda: erp.amend_project(plan()),
            "projects.close": lambda: erp.close_project("prj_acme"),
            "contracts.amend": lambda: erp.amend_contract(contract()),
            "billing_schedules.amend": lambda: erp.amend_billing_schedule(schedule()),
            "invoices.create": lambda: erp.create_invoice(draft()),
        }
        if name != "customers.amend":
            await acts["customers.amend"]()
        if name not in {"customers.amend", "projects.amend"}:
            await acts["projects.amend"]()
        if name == "billing_schedules.amend":
            await acts["contracts.amend"]()
        left = self.traces(bench)[name]
        return Write(acts[name], left.count, left.route, left.steps, left.expected)

    async def set_up(self, bench: Bench) -> None:
        """The firm's customer and project."""
        await bench.connector.amend_customer(customer(), "HC-DE")
        await bench.connector.amend_project(plan())

    async def bill(self, bench: Bench) -> Any:
        """The invoice of what has been set up."""
        await self.set_up(bench)
        return await bench.connector.create_invoice(draft())

    async def billed(self, bench: Bench) -> object:
        """The invoice, read."""
        await self.bill(bench)
        return await bench.connector.find_invoice("inv_acme")

    async def pay(self, bench: Bench, rows: int) -> Sequence[str]:
        """Payments for so many of the invoices, every other one of the whole amount; the invoices' ids."""
        async with self.people(bench.sandbox) as firm:
            posted = (await firm.read_invoices())[:rows]
            for number, row in enumerate(posted):
                amount = row.gross if number % 2 else Decimal("10.01")
                await firm.pay(row.record_id, amount, date(2026, 11, 5), f"PAY-{row.invoice_id}")
        return [row.invoice_id for row in posted]

    def invoice_uses(self, bench: Bench) -> Mapping[str, Callable[[], Awaitable[object]]]:
        """Acts that need every field of an invoice, for the hook `removed`."""
        return {
            "create_invoice": lambda: self.bill(bench),
            "find_invoice": lambda: bench.connector.find_invoice("inv_acme"),
            "list_invoices": lambda: read_on(bench.connector.list_invoices),
        }

    def paged_reads(self, bench: Bench) -> Mapping[str, PagedRead]:
        async def invoices(rows: int) -> Sequence[str]:
            await self.set_up(bench)
            names = [f"inv_{number}" for number in range(rows)]
            for name in names:
                await bench.connector.create_invoice(draft(name))
            return names

        async def payments(rows: int) -> Sequence[str]:
            return await self.pay(bench, rows)

        async def read_payments() -> Sequence[str]:
            paid = await read_on(bench.connector.list_payments, PAGE)
            return [applied.invoice_id for payment in paid for applied in payment.applications]

        async def read_invoices() -> Sequence[str]:
            return [invoice.id for invoice in await read_on(bench.connector.list_invoices, PAGE)]

        return {
            "invoices": PagedRead(invoices, read_invoices, self.invoices_route, rows=17),
            "payments": PagedRead(payments, read_payments, self.payments_route, rows=16),
        }
