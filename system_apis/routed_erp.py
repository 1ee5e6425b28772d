"""Several ERPs that look like one: every legal entity's business goes to the ERP its firm chose for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeVar

from shared.canonical.billing import BillingSchedule, ErpContract
from shared.canonical.catalog import LegalEntity, RateCard, ServiceItem
from shared.canonical.customers import Customer
from shared.canonical.invoices import Invoice, InvoiceDraft, Payment
from shared.canonical.projects import Project, ProjectPlan
from shared.canonical.references import Page, Written
from shared.errors.taxonomy import FieldFinding, Misconfigured, NotFound, UnknownReference
from shared.outbound import foreign_cursor, pack_cursor, unpack_cursor
from system_apis.ports.erp import ErpPort

Found = TypeVar("Found")
Item = TypeVar("Item")
_REMEMBERED: Final = 20_000


class RoutedErp:
    """ErpPort over several of them: `erps` by vendor, `of_entity` legal entity → vendor, all others go to `general`."""

    def __init__(self, erps: Mapping[str, ErpPort], general: str, of_entity: Mapping[str, str]) -> None:
        self._erps = dict(erps)
        self._general = general
        self._of_entity = dict(of_entity)
        self._places: dict[str, str] = {}

    # --- reference data --------------------------------------------------------------------------------------------
    async def list_legal_entities(self) -> tuple[LegalEntity, ...]:
        """Every ERP's own legal entities; one that is kept in an ERP it does not use is left out there."""
        by_erp = await self._each(lambda erp: erp.list_legal_entities())
        return tuple(
            entity for vendor, entities in by_erp.items() for entity in entities if self._vendor(entity.code) == vendor
        )

    async def list_service_items(self) -> tuple[ServiceItem, ...]:
        """Every ERP's catalog, each item with the legal entities that may use it."""
        entities, by_erp = await asyncio.gather(
            self.list_legal_entities(), self._each(lambda erp: erp.list_service_items())
        )
        codes = self._codes(entities)
        return tuple(
            item.model_copy(update={"legal_entity_codes": codes[vendor]})
            for vendor, items in by_erp.items()
            for item in items
        )

    async def list_rate_cards(self) -> tuple[RateCard, ...]:
        """Every ERP's rate cards, each code once. Raises Misconfigured for a card that two ERPs price differently."""
        by_erp = await self._each(lambda erp: erp.list_rate_cards())
        found: dict[str, tuple[str, RateCard]] = {}
        for vendor, cards in by_erp.items():
            for card in cards:
                known = found.setdefault(card.code, (vendor, card))
                if (known[1].currency, sorted(known[1].rates, key=repr)) != (
                    card.currency,
                    sorted(card.rates, key=repr),
                ):
                    reason = f"has other prices in {known[0]} than in {vendor}; give it one set of prices or two codes"
                    sentence = f"Rate card {card.code} {reason}."
                    raise Misconfigured(sentence, findings=[FieldFinding(f"rate_cards.{card.code}", reason)])
        return tuple(card for _, card in found.values())

    # --- delivery --------------------------------------------------------------------------------------------------
    async def amend_customer(self, customer: Customer, legal_entity_code: str) -> Written:
        """The customer in the ERP of that legal entity."""
        return await self._of(legal_entity_code).amend_customer(customer, legal_entity_code)

    async def find_customer(self, customer_id: str) -> Written | None:
        """Where the customer stands first; it may stand in several ERPs."""
        return await self._find(lambda erp: erp.find_customer(customer_id))

    async def amend_project(self, plan: ProjectPlan) -> Project:
        """The project in the ERP of its legal entity."""
        project = await self._of(plan.legal_entity_code).amend_project(plan)
        self._remember(plan.id, self._vendor(plan.legal_entity_code))
        return project

    async def find_project(self, project_id: str) -> Project | None:
        """Where the project stands."""
        return await self._find(lambda erp: erp.find_project(project_id), project_id)

    async def amend_contract(self, contract: ErpContract) -> Written:
        """The contract in the ERP of its legal entity."""
        written = await self._of(contract.legal_entity_code).amend_contract(contract)
        self._remember(contract.id, self._vendor(contract.legal_entity_code))
        return written

    async def find_contract(self, contract_id: str) -> Written | None:
        """Where the contract stands."""
        return await self._find(lambda erp: erp.find_contract(contract_id), contract_id)

    async def amend_billing_schedule(self, schedule: BillingSchedule) -> Written:
        """The schedule beside its contract. Raises UnknownReference while no ERP holds the contract."""
        return await (await self._holding_contract(schedule)).amend_billing_schedule(schedule)

    async def find_billing_schedule(self, schedule_id: str) -> Written | None:
        """Where the schedule stands."""
        return await self._find(lambda erp: erp.find_billing_schedule(schedule_id))

    async def close_project(self, project_id: str) -> None:
        """Take the project out of use where it stands. Raises NotFound."""
        if project_id not in self._places and await self.find_project(project_id) is None:
            raise NotFound(f"No ERP has a project {project_id}.")
        await self._erps[self._places[project_id]].close_project(project_id)

    # --- receivables -----------------------------------------------------------------------------------------------
    async def create_invoice(self, draft: InvoiceDraft) -> Invoice:
        """Post in the ERP of the draft's legal entity."""
        invoice = await self._of(draft.legal_entity_code).create_invoice(draft)
        self._remember(draft.id, self._vendor(draft.legal_entity_code))
        return invoice

    async def find_invoice(self, invoice_id: str) -> Invoice | None:
        """The invoice, wherever it was posted."""
        return await self._find(lambda erp: erp.find_invoice(invoice_id), invoice_id)

    async def list_invoices(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Invoice]:
        """One ERP after the other, oldest change first within each."""

        async def page(erp: ErpPort, inner: str | None) -> Page[Invoice]:
            return await erp.list_invoices(modified_since=modified_since, cursor=inner, limit=limit)

        return await self._paged(page, cursor)

    async def list_payments(self, *, modified_since: datetime | None, cursor: str | None, limit: int) -> Page[Payment]:
        """One ERP after the other, oldest change first within each."""

        async def page(erp: ErpPort, inner: str | None) -> Page[Payment]:
            return await erp.list_payments(modified_since=modified_since, cursor=inner, limit=limit)

        return await self._paged(page, cursor)

    # --- ways ------------------------------------------------------------------------------------------------------
    def _vendor(self, legal_entity_code: str) -> str:
        return self._of_entity.get(legal_entity_code, self._general)

    def _of(self, legal_entity_code: str) -> ErpPort:
        return self._erps[self._vendor(legal_entity_code)]

    def _codes(self, entities: Iterable[LegalEntity]) -> dict[str, tuple[str, ...]]:
        codes: dict[str, list[str]] = {vendor: [] for vendor in self._erps}
        for entity in entities:
            codes[self._vendor(entity.code)].append(entity.code)
        return {vendor: tuple(sorted(held)) for vendor, held in codes.items()}

    async def _each(self, ask: Callable[[ErpPort], Awaitable[Sequence[Item]]]) -> dict[str, Sequence[Item]]:
        answers = await asyncio.gather(*(ask(erp) for erp in self._erps.values()))
        return dict(zip(self._erps, answers, strict=True))

    async def _find(self, ask: Callable[[ErpPort], Awaitable[Found | None]], key: str | None = None) -> Found | None:
        """The first that has it, the one that had it last first; a record never moves to another ERP."""
        last = self._places.get(key) if key else None
        for vendor in sorted(self._erps, key=lambda name: (name != last, name != self._general)):
            found = await ask(self._erps[vendor])
            if found is not None:
                if key:
                    self._remember(key, vendor)
                return found
        return None

    async def _holding_contract(self, schedule: BillingSchedule) -> ErpPort:
        number = schedule.contract_id
        if number not in self._places and await self.find_contract(number) is None:
            reason = f"no ERP has a contract {number}"
            raise UnknownReference(f"{reason}.", findings=[FieldFinding("body.contract_id", reason)])
        return self._erps[self._places[number]]

    def _remember(self, key: str, vendor: str) -> None:
        if len(self._places) >= _REMEMBERED:
            del self._places[next(iter(self._places))]
        self._places[key] = vendor

    async def _paged(
        self, page: Callable[[ErpPort, str | None], Awaitable[Page[Item]]], cursor: str | None
    ) -> Page[Item]:
        order = list(self._erps)
        vendor, inner = order[0], None
        if cursor is not None:
            state = unpack_cursor(cursor)
            vendor, inner = str(state.get("erp")), state.get("at")
            if vendor not in self._erps or not isinstance(inner, str | None):
                raise foreign_cursor()
        while True:
            found = await page(self._erps[vendor], inner)
            inner = found.next_cursor
            if inner is None and vendor != order[-1]:
                vendor = order[order.index(vendor) + 1]
            elif inner is None:
                return Page(items=found.items)
            if found.items:
                return Page(items=found.items, next_cursor=pack_cursor({"erp": vendor, "at": inner}))
