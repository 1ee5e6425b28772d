"""The conformance suite of CRMs: the small firm's deals read, what is told to the account team; no vendor."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, ClassVar

from deploy.sandbox.kit.firm import CrmFirm, DealRow
from system_apis.ports.binding import Binding
from system_apis.ports.changes import ChangeHint
from tests.conformance.conformance_suite import Bench, ConformanceSuite, PagedRead, Write
from tests.conformance.port_rules import DELIVERY, INVOICE
from tests.conformance.scenarios import Trace
from tests.conformance.served import Sandbox
from tests.conformance.small_firm import Tables, read_on, tables

ROWS, PAGE = 25, 5


class CrmSuite(ConformanceSuite):
    """Inherit instead of `ConformanceSuite`; besides its hooks write `people`, `bound` and `traces`, set the route."""

    writes = ("delivery_statuses.amend", "invoice_statuses.amend")
    lists_route: ClassVar[str]  # finds the calls that page deals, customers and contracts, and changes
    wrong_secret: ClassVar[str] = "client_secret"  # the one without which the connector is not let in

    @abstractmethod
    def people(self, sandbox: Sandbox) -> AbstractAsyncContextManager[CrmFirm]:
        """The firm's sales people there."""

    @abstractmethod
    def bound(self, base_url: str) -> Binding:
        """The binding that is let in."""

    @abstractmethod
    def traces(self, bench: Bench) -> Mapping[str, Trace]:
        """What each of `writes` leaves."""

    def binding(self, base_url: str, *, is_known: bool = True) -> Binding:
        known = self.bound(base_url)
        return known if is_known else replace(known, secrets={**known.secrets, self.wrong_secret: "wrong"})

    async def load(self, sandbox: Sandbox, made: Tables) -> Mapping[str, DealRow]:
        """The firm, its deals at the stages of their rows; the deals by the ids the firm knows them by."""
        async with self.people(sandbox) as firm:
            await firm.load(made)
            await firm.close(made["opportunities"])
            return await firm.read_deals()

    async def prepare(self, sandbox: Sandbox) -> str:
        """One deal, won; its record id."""
        return (await self.load(sandbox, tables()))["D0000"].record_id

    async def plain_read(self, bench: Bench) -> object:
        return await bench.connector.get_opportunity(bench.seeded)

    async def write(self, bench: Bench, name: str) -> Write:
        crm = bench.connector
        acts: Mapping[str, Callable[[], Awaitable[object]]] = {
            "delivery_statuses.amend": lambda: crm.amend_delivery_status(bench.seeded, DELIVERY),
            "invoice_statuses.amend": lambda: crm.amend_invoice_status(bench.seeded, "inv_1", INVOICE),
        }
        left = self.traces(bench)[name]
        return Write(acts[name], left.count, left.route, left.steps, left.expected)

    async def contract(self, bench: Bench) -> object:
        """The deal's contract."""
        return await bench.connector.find_contract(bench.seeded)

    async def customers(self, bench: Bench) -> object:
        """All customers."""
        return await read_on(bench.connector.list_customers)

    def contract_uses(self, bench: Bench) -> Mapping[str, Callable[[], Awaitable[object]]]:
        """Acts that need every field of a contract, for the hook `removed`."""
        return {
            "find_contract": lambda: self.contract(bench),
            "list_contracts": lambda: read_on(bench.connector.list_contracts),
        }

    async def hinted(self, bench: Bench, hints: Callable[[], Awaitable[Sequence[ChangeHint]]]) -> Sequence[str]:
        """The deals that are hinted at, where the vendor's pages are small."""
        assert bench.sandbox.simulator.configure is not None
        bench.sandbox.simulator.configure({"page_size": PAGE})
        told = await hints()
        async with self.people(bench.sandbox) as firm:
            names = {row.record_id: _name(row.opportunity_id) for row in (await firm.read_deals()).values()}
        return [names[hint.ref] for hint in told if hint.entity == "opportunity"]

    def paged_reads(self, bench: Bench) -> Mapping[str, PagedRead]:
        async def seed(rows: int) -> Sequence[str]:
            return [_name(deal) for deal in await self.load(bench.sandbox, tables(deals=rows))]

        async def deals() -> Sequence[str]:
            return [deal.name for deal in await read_on(bench.connector.list_opportunities)]

        async def customers() -> Sequence[str]:
            found = await read_on(bench.connector.list_customers)
            return [customer.name.replace("Customer", "Deal") for customer in found]

        async def contracts() -> Sequence[str]:
            found = await read_on(bench.connector.list_contracts)
            return [contract.reference.replace("SOW-", "Deal ") for contract in found]

        async def changes() -> Sequence[str]:
            return await self.hinted(bench, lambda: bench.connector.list_changes(None))

        reads = {"opportunities": deals, "customers": customers, "contracts": contracts, "changes": changes}
        return {name: PagedRead(seed, read, self.lists_route, ROWS) for name, read in reads.items()}


async def tax_id(connector: Any) -> str | None:
    """The first customer's, for the hook `moved`."""
    return next(c.tax_id for c in await read_on(connector.list_customers) if c.name == "Customer 0000")


def _name(deal: str) -> str:
    return deal.replace("D", "Deal ")
