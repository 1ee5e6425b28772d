"""Tryton as an ERP: companies, services and prices; projects, orders and schedules; invoices posted once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from shared.canonical.billing import BillingSchedule, ErpContract
from shared.canonical.catalog import LegalEntity, RateCard, ServiceItem
from shared.canonical.customers import Customer
from shared.canonical.invoices import Invoice, InvoiceDraft, Payment
from shared.canonical.projects import Project, ProjectPlan
from shared.canonical.references import Page, Written
from shared.errors.taxonomy import (
    Conflict,
    NotFound,
    OutcomeUnknown,
    PeriodClosed,
    UnknownReference,
    VendorRejected,
)
from system_apis.connectors.tryton import mapping, receivables
from system_apis.connectors.tryton.changes import changed_page
from system_apis.connectors.tryton.client import VENDOR, TrytonClient, parsed
from system_apis.connectors.tryton.customers import Customers
from system_apis.connectors.tryton.directory import Directory
from system_apis.connectors.tryton.orders import Orders
from system_apis.connectors.tryton.payloads import InvoiceRecord, MoveLine
from system_apis.connectors.tryton.posting import Poster
from system_apis.connectors.tryton.projects import Projects
from system_apis.connectors.tryton.records import Library
from system_apis.ports.binding import Binding
from system_apis.ports.outcomes import begun, departures

_CUSTOMERS_ONLY = ["type", "=", "out"]


class Erp:
    """Implements ErpPort."""

    def __init__(
        self,
        binding: Binding,
        client: TrytonClient,
        library: Library,
        directory: Directory,
        customers: Customers,
        projects: Projects,
    ) -> None:
        self._binding = binding
        self._client = client
        self._library = library
        self._directory = directory
        self._customers = customers
        self._projects = projects
        self._orders = Orders(binding, client, library, directory, customers)
        self._approved = binding.settings.get("approved_category", "Approved legal entity")
        self._posters: dict[int, Poster] = {}

    # --- reference data --------------------------------------------------------------------------------------------
    async def list_legal_entities(self) -> tuple[LegalEntity, ...]:
        """The companies our user works in, with their standard tax."""
        companies = await self._directory.companies(fresh=True)
        taxes = await self._directory.taxes(fresh=True)
        return tuple(
            mapping.to_legal_entity(self._binding, one, taxes[one.id].rate or mapping.NOTHING, self._approved)
            for one in companies
            if one.id in taxes
        )

    async def list_service_items(self) -> tuple[ServiceItem, ...]:
        """Services with an accounting category, once per product code."""
        companies = await self._directory.companies()
        if not companies:
            return ()
        products = await self._directory.items(companies[0].id)
        return tuple(item for one in products if one.code for item in mapping.to_service_items(self._binding, one))

    async def list_rate_cards(self) -> tuple[RateCard, ...]:
        """Price lists with dated prices."""
        return mapping.to_rate_cards(self._binding, await self._directory.prices())

    # --- delivery --------------------------------------------------------------------------------------------------
    async def amend_customer(self, customer: Customer, legal_entity_code: str) -> Written:
        """A party serves every company."""
        await self._directory.company(legal_entity_code)
        with begun(VENDOR, f"customer {customer.id}"):
            return await self._customers.amend(customer)

    async def find_customer(self, customer_id: str) -> Written | None:
        """By code or identifier."""
        party = await self._customers.find(customer_id)
        return mapping.to_written(self._binding, customer_id, party, was_created=False) if party else None

    async def amend_project(self, plan: ProjectPlan) -> Project:
        """The project PSA and ERP share; made here where no PSA made it."""
        tree = await self._projects.bring_up(plan, with_milestones=False)
        return mapping.to_project(self._binding, plan.id, tree, with_milestones=False)

    async def find_project(self, project_id: str) -> Project | None:
        """By the tag in its comment; one taken out of use counts as none."""
        tree = await self._projects.find(project_id)
        if not tree or self._projects.is_closed(tree):
            return None
        return mapping.to_project(self._binding, project_id, tree, with_milestones=False)

    async def close_project(self, project_id: str) -> None:
        """Into the status of closed works."""
        await self._projects.close(project_id)

    async def amend_contract(self, contract: ErpContract) -> Written:
        """The order: the CRM's own where it is in this Tryton, else a quotation of ours."""
        return await self._orders.amend(contract)

    async def find_contract(self, contract_id: str) -> Written | None:
        """By the tag in its comment."""
        held = await self._orders.find(contract_id)
        return mapping.to_written(self._binding, contract_id, held, was_created=False) if held else None

    async def amend_billing_schedule(self, schedule: BillingSchedule) -> Written:
        """Milestone tasks of the project with their amounts."""
        project, was_created = await self._projects.schedule(schedule)
        return mapping.to_written(self._binding, schedule.id, project, was_created=was_created)

    async def find_billing_schedule(self, schedule_id: str) -> Written | None:
        """The project whose comment names it."""
        project = await self._projects.find_schedule(schedule_id)
        return mapping.to_written(self._binding, schedule_id, project, was_created=False) if project else None

    # --- receivables -----------------------------------------------------------------------------------------------
    async def create_invoice(self, draft: InvoiceDraft) -> Invoice:
        """Look for our id, else make a draft, compare, and post it; a draft that came out otherwise is deleted."""
        async with self._client.alone(draft.id):
            held = await self._held(draft.id)
            if held is None:
                async with self._remembering():
                    held = await self._drafted(draft)
            invoice = receivables.to_invoice(self._binding, held)
            if differences := departures(invoice, draft):
                if held.state == "draft":
                    await self._client.delete("account.invoice", [held.id], company=held.company.id)
                    raise VendorRejected(f"tryton calculated otherwise and the draft was deleted: {differences}")
                raise VendorRejected(f"tryton holds another invoice under {draft.id}: {differences}")
            if held.state not in {"draft", "validated"}:
                return invoice
            is_past = draft.invoice_on + timedelta(days=draft.payment_terms_days) < datetime.now(UTC).date()
            with begun(VENDOR, f"invoice {draft.id} as a draft"):
                await self._posted(held, is_past=is_past)
                posted = await self._held(draft.id)
            if posted is None:
                raise mapping.vanished("invoice", draft.id)
            invoice = receivables.to_invoice(self._binding, posted)
            if differences := departures(invoice, draft):
                raise OutcomeUnknown(f"tryton posted invoice {draft.id} otherwise than its draft: {differences}")
            return invoice

    async def _drafted(self, draft: InvoiceDraft) -> InvoiceRecord:
        books = await self._directory.books(draft.legal_entity_code)
        party, address = await self._customers.billed(draft.customer_id)
        company = books.company
        body = receivables.from_invoice(
            draft,
            company=company,
            party=party,
            address=address,
            currency=await self._directory.currency(draft.currency),
            account=books.receivable,
            journal=books.journal,
            term=await self._directory.term(draft.payment_terms_days),
            tax=(books.tax, books.tax_account, books.tax_name),
            products=await self._directory.products(company, (line.item_code for line in draft.lines)),
        )
        lines = self._library["invoice_line"]
        body["lines"] = [["create", [lines.give(line) for line in body["lines"]]]]
        records = self._library["invoice"]
        await self._client.create(records.model, [records.give(body)], company=company)
        with begun(VENDOR, f"invoice {draft.id} as a draft"):
            held = await self._held(draft.id)
        if held is None:
            raise mapping.vanished("invoice", draft.id)
        return held

    async def _posted(self, held: InvoiceRecord, *, is_past: bool) -> None:
        poster = self._posters.setdefault(held.company.id, Poster(self._client, held.company.id))
        try:
            await poster.post(held.id, is_past=is_past)
        except PeriodClosed:  # the draft would stand in nobody's way, but nobody waits for it either
            await self._client.delete("account.invoice", [held.id], company=held.company.id)
            raise

    async def aclose(self) -> None:
        """End what works in the background."""
        await asyncio.gather(*(poster.aclose() for poster in self._posters.values()))

    async def find_invoice(self, invoice_id: str) -> Invoice | None:
        """By our id in its reference; a draft of ours is not an invoice yet."""
        held = await self._held(invoice_id)
        if held is None or held.state in {"draft", "validated"}:
            return None
        return receivables.to_invoice(self._binding, held)

    async def _held(self, invoice_id: str) -> InvoiceRecord | None:
        records = self._library["invoice"]
        wanted = [[records.column("reference"), "=", invoice_id], _CUSTOMERS_ONLY, ["state", "!=", "cancelled"]]
        rows = await self._client.find(records.model, wanted, records.columns, limit=1)
        return parsed(InvoiceRecord, records.take_all(rows))[0] if rows else None

    async def list_invoices(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Invoice]:
        """Customer invoices by change; drafts are none yet."""
        records = self._library["invoice"]
        wanted = [_CUSTOMERS_ONLY, ["state", "in", ["posted", "paid", "cancelled"]]]
        rows, following = await changed_page(self._client, records, wanted, modified_since, cursor, limit)
        invoices = parsed(InvoiceRecord, records.take_all(rows))
        items = tuple(receivables.to_invoice(self._binding, one) for one in invoices)
        return Page(items=items, next_cursor=following)

    async def list_payments(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Payment]:
        """Money booked against customer invoices, by change."""
        records = self._library["payment"]
        wanted = [["invoice_payment.type", "=", "out"], ["credit", ">", mapping.NOTHING]]
        rows, following = await changed_page(self._client, records, wanted, modified_since, cursor, limit)
        lines = parsed(MoveLine, records.take_all(rows))
        told = await self._invoices_of(line.invoice_payment for line in lines)
        payments: list[Payment] = []
        for line in lines:
            if (record := told.get(line.invoice_payment)) is None:
                continue
            invoice = receivables.to_invoice(self._binding, record)
            payments.append(
                receivables.to_payment(self._binding, line, invoice_id=invoice.id, customer_id=invoice.customer_id)
            )
        return Page(items=tuple(payments), next_cursor=following)

    async def _invoices_of(self, numbers: Iterable[int]) -> dict[int, InvoiceRecord]:
        wanted = sorted(set(numbers))
        if not wanted:
            return {}
        records = self._library["invoice"]
        rows = await self._client.find_all(records.model, [["id", "in", wanted]], records.columns)
        return {one.id: one for one in parsed(InvoiceRecord, records.take_all(rows))}

    @asynccontextmanager
    async def _remembering(self) -> AsyncGenerator[None]:
        """A refusal may come from what we remembered: ids that are gone."""
        try:
            yield
        except (VendorRejected, UnknownReference, Conflict, NotFound):
            self._directory.forget()
            raise
