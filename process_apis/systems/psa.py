"""The PSA through the system tier: projects, the work done on them, marks of what was billed; ids are ours."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from process_apis.systems.wire import SystemWire
from shared.canonical.billing import BillingMark
from shared.canonical.projects import Project, ProjectPlan
from shared.canonical.references import Page, Written
from shared.canonical.time import Expense, MilestoneCompletion, TimeEntry


class Psa(Protocol):
    """What the processes ask of the PSA."""

    async def find_project(self, project_id: str) -> Project | None:
        """The project, or None."""
        ...

    async def create_project(self, plan: ProjectPlan) -> Project:
        """Parent, children, milestones. Repeat: what is there is kept, what is missing is made."""
        ...

    async def close_project(self, project_id: str) -> None:
        """Undo of `create_project`. Repeat: nothing more."""
        ...

    async def list_time_entries(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[TimeEntry]:
        """Entries changed at or after the instant, oldest change first."""
        ...

    async def list_expenses(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[Expense]:
        """Expenses changed at or after the instant, oldest change first."""
        ...

    async def list_milestones(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[MilestoneCompletion]:
        """Milestones completed or changed at or after the instant, oldest change first."""
        ...

    async def mark_billed(self, mark: BillingMark) -> Written:
        """Tell which records stand on the invoice. Repeat: recognised by the invoice id."""
        ...

    async def find_billing_mark(self, invoice_id: str) -> Written | None:
        """The mark of an invoice, or None."""
        ...


class PsaApi:
    """The PSA over the system tier's `/psa/v1`."""

    def __init__(self, wire: SystemWire) -> None:
        self._wire = wire

    async def find_project(self, project_id: str) -> Project | None:
        """The project, or None."""
        return await self._wire.find(Project, "/psa/v1/projects/{id}", id=project_id)

    async def create_project(self, plan: ProjectPlan) -> Project:
        """Parent, children, milestones. Repeat: what is there is kept, what is missing is made."""
        return await self._wire.put(Project, plan, "/psa/v1/projects/{id}", id=plan.id)

    async def close_project(self, project_id: str) -> None:
        """Undo of `create_project`. Repeat: nothing more."""
        await self._wire.delete("/psa/v1/projects/{id}", id=project_id)

    async def list_time_entries(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[TimeEntry]:
        """Entries changed at or after the instant, oldest change first."""
        path = "/psa/v1/time-entries"
        return await self._wire.page(TimeEntry, path, since=modified_since, cursor=cursor, limit=limit)

    async def list_expenses(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[Expense]:
        """Expenses changed at or after the instant, oldest change first."""
        return await self._wire.page(Expense, "/psa/v1/expenses", since=modified_since, cursor=cursor, limit=limit)

    async def list_milestones(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[MilestoneCompletion]:
        """Milestones completed or changed at or after the instant, oldest change first."""
        path = "/psa/v1/milestones"
        return await self._wire.page(MilestoneCompletion, path, since=modified_since, cursor=cursor, limit=limit)

    async def mark_billed(self, mark: BillingMark) -> Written:
        """Tell which records stand on the invoice. Repeat: recognised by the invoice id."""
        return await self._wire.put(Written, mark, "/psa/v1/billing-marks/{id}", id=mark.invoice_id)

    async def find_billing_mark(self, invoice_id: str) -> Written | None:
        """The mark of an invoice, or None."""
        return await self._wire.find(Written, "/psa/v1/billing-marks/{id}", id=invoice_id)
