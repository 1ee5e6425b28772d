"""What a PSA can be asked."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from shared.canonical.billing import BillingMark
from shared.canonical.projects import Project, ProjectPlan
from shared.canonical.references import Page, Written
from shared.canonical.time import Expense, MilestoneCompletion, TimeEntry


class PsaPort(Protocol):
    """Projects, the work done on them, and marks of what was billed."""

    async def find_project(self, project_id: str) -> Project | None:
        """The project that carries our id as its external reference, whole or half-made, or None."""
        ...

    async def create_project(self, plan: ProjectPlan) -> Project:
        """Parent, one child per workstream, milestones.

        Repeat: parts found by our reference are kept and only missing ones are made; a closed one is opened again.
        """
        ...

    async def close_project(self, project_id: str) -> None:
        """Take the project out of use (undo of `create_project`). Repeat: nothing more. Raises NotFound."""
        ...

    async def list_time_entries(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[TimeEntry]:
        """Entries of our projects changed at or after the instant, oldest first, approved or not, billed or not."""
        ...

    async def list_expenses(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Expense]:
        """Expenses of our projects changed at or after the instant, oldest change first."""
        ...

    async def list_milestones(
        self, *, modified_since: datetime | None, cursor: str | None, limit: int
    ) -> Page[MilestoneCompletion]:
        """Completed milestones of our projects changed at or after the instant, oldest change first."""
        ...

    async def mark_billed(self, mark: BillingMark) -> Written:
        """Tell which records stand on the invoice. Repeat: recognised by the invoice id, `was_created` False."""
        ...

    async def find_billing_mark(self, invoice_id: str) -> Written | None:
        """The mark of an invoice, or None."""
        ...
