"""Typed client of `/time-to-bill/v1`: billing runs, invoices, the ledger of work."""

from __future__ import annotations

from experience_apis.processes.models import (
    BillingRun,
    Invoice,
    InvoiceDetail,
    ToldPage,
    WorkItem,
    WorkStateSum,
)
from experience_apis.processes.wire import Caller, ProcessWire

_ROOT = "/time-to-bill/v1"


class Billing:
    """Time to bill."""

    def __init__(self, wire: ProcessWire) -> None:
        """Uses the tier's connection."""
        self._wire = wire

    async def start_run(self, caller: Caller, *, through: str | None, contract_id: str | None) -> BillingRun:
        """Collect, rate and draft what is ready."""
        body = {"through": through, "contract_id": contract_id}
        return await self._wire.post(caller, BillingRun, _ROOT + "/runs", body, repeatable=True)

    async def list_runs(self, caller: Caller, *, cursor: str | None, limit: int) -> ToldPage[BillingRun]:
        """Runs, newest first."""
        params = {"cursor": cursor, "limit": limit}
        return await self._wire.page(caller, BillingRun, _ROOT + "/runs", params)

    async def get_run(self, caller: Caller, run_id: str) -> BillingRun:
        """One run. Raises NotFound."""
        return await self._wire.get(caller, BillingRun, _ROOT + "/runs/{id}", id=run_id)

    async def list_invoices(
        self, caller: Caller, *, status: str | None, contract_id: str | None, cursor: str | None, limit: int
    ) -> ToldPage[Invoice]:
        """Drafts and posted invoices."""
        params = {"status": status, "contract_id": contract_id, "cursor": cursor, "limit": limit}
        return await self._wire.page(caller, Invoice, _ROOT + "/invoices", params)

    async def get_invoice(self, caller: Caller, invoice_id: str) -> InvoiceDetail:
        """One invoice with its lines. Raises NotFound."""
        return await self._wire.get(caller, InvoiceDetail, _ROOT + "/invoices/{id}", id=invoice_id)

    async def list_work(
        self, caller: Caller, *, state: str | None, contract_id: str | None, cursor: str | None, limit: int
    ) -> ToldPage[WorkItem]:
        """Ledger rows."""
        params = {"state": state, "contract_id": contract_id, "cursor": cursor, "limit": limit}
        return await self._wire.page(caller, WorkItem, _ROOT + "/work", params)

    async def sum_work(
        self, caller: Caller, *, contract_id: str | None, cursor: str | None, limit: int
    ) -> ToldPage[WorkStateSum]:
        """Ledger rows summed by kind and state."""
        params = {"contract_id": contract_id, "cursor": cursor, "limit": limit}
        return await self._wire.page(caller, WorkStateSum, _ROOT + "/work-states", params)
