"""A firm's people at the screens of a CRM, a PSA and an ERP, whichever vendor's: what they enter and what they see.

Every vendor's `firm.py` does these acts over the vendor's own wire. Repeating an act leaves the same records. Rows are
those of the sample firm's files (`deploy/sandbox/firm/README.md`), texts as they stand there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol

Row = Mapping[str, str]
Progress = Callable[[int, int], None]


class WireRefused(Exception):
    """What a vendor refuses the firm's people is raised as this; tells call, status and body."""


@dataclass(frozen=True, slots=True)
class DealRow:
    """What the account team sees of a deal's delivery; `project_id` is ours, `project_ref` the PSA's."""

    opportunity_id: str
    record_id: str
    delivery_stage: str | None
    project_id: str | None
    project_ref: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class InvoiceStatusRow:
    """What the account team sees of one invoice; `opportunity_id` is the firm's own."""

    invoice_id: str
    opportunity_id: str
    invoice_ref: str | None
    period: str | None
    stage: str | None
    currency: str
    gross: Decimal
    paid: Decimal


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A project as the PSA holds it; `project_id`, `workstreams` and `milestones` are our ids."""

    project_id: str
    title: str
    workstreams: tuple[str, ...]
    milestones: tuple[str, ...]
    is_archived: bool = False


@dataclass(frozen=True, slots=True)
class PsaInvoiceRow:
    """What the PSA shows as billed on one invoice of ours."""

    invoice_id: str
    workspace_id: str
    """The project's id in the PSA."""
    time_entries: int
    milestones: int


@dataclass(frozen=True, slots=True)
class ErpInvoiceRow:
    """An invoice as the ERP shows it; ids are ours except `record_id`."""

    invoice_id: str
    record_id: str
    period: str
    legal_entity: str
    currency: str
    net: Decimal
    tax: Decimal
    gross: Decimal
    paid: Decimal
    contract_id: str
    project_id: str
    posted_on: date


class CrmFirm(Protocol):
    """Sales people and whoever keeps the contracts."""

    async def load(self, tables: Mapping[str, Sequence[Row]]) -> None:
        """Tables `accounts`, `products`, `opportunities`, `opportunity_lines`, `contracts`, `milestones`.

        A blank text is no value. Custom fields that the connector reads or writes are made here too. Every deal is
        still being sold afterwards, whatever its row's stage says.
        """
        ...

    async def close(self, opportunities: Sequence[Row]) -> None:
        """Every deal comes to the stage of its row (`Closed Won`, or any other): winning it is a change."""
        ...

    async def apply_fix(self, kind: str, subject: str, value: str) -> None:
        """A correction of `fixes.csv`: contract_status, po_number, tax_id, billing_address. Raises ValueError.

        `product_alias` is none of the CRM's: finance supplies the missing mapping.
        """
        ...

    async def count_accounts(self) -> int:
        """How many customers the CRM holds; none before a firm is loaded."""
        ...

    async def read_deals(self) -> dict[str, DealRow]:
        """Every deal by the id the firm knows it by."""
        ...

    async def read_invoice_statuses(self) -> list[InvoiceStatusRow]:
        """Every invoice the account team sees."""
        ...


class PsaFirm(Protocol):
    """Consultants, and the managers who approve their time."""

    async def load_users(self, users: Sequence[Row]) -> None:
        """The firm's people (`psa/users.csv`) with their roles.

        Whatever else must stand before projects can be made (templates, calendars, custom fields) is set up here too.
        """
        ...

    async def book(
        self,
        projects: Mapping[str, str],
        entries: Sequence[Row],
        completions: Sequence[Row],
        progress: Progress | None = None,
    ) -> int:
        """Book the hours of these projects, approve those whose row says so, complete milestones; how many hours rows.

        `projects`: the firm's opportunity_id → the project's id in this PSA, as the CRM was told it (`project_ref`).
        Rows of other opportunities are left alone; rows booked before are not booked again. A row's `workstream` is the
        workstream's name, its `milestone_id` the milestone's `reference`; its `entry_id` comes back as
        `TimeEntry.reference` (a cap goes by its order).
        """
        ...

    async def read_projects(self) -> dict[str, ProjectRow]:
        """Project's id in this PSA → project; closed ones too."""
        ...

    async def read_invoices(self) -> list[PsaInvoiceRow]:
        """Which of the work is shown as billed, by our invoice."""
        ...


class ErpFirm(Protocol):
    """Finance, and the customers who pay."""

    async def load(
        self, legal_entities: Sequence[Row], service_items: Sequence[Row], rate_cards: Sequence[Row]
    ) -> object:
        """The rows of `erp/*.csv`, and whatever else must stand before anything can be invoiced."""
        ...

    async def pay(self, record_id: str, amount: Decimal, on: date, reference: str) -> None:
        """The customer's money for one invoice, applied to it. Repeat with the reference: the same payment."""
        ...

    async def read_invoices(self) -> list[ErpInvoiceRow]:
        """Every invoice that carries an id of ours."""
        ...

    async def read_projects(self) -> dict[str, str]:
        """Projects in use: our id → record id."""
        ...
