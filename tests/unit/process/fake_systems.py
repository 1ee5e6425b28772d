"""Fake systems behind the typed clients' protocols: they keep what they are told and can be told to fail."""

# ruff: noqa: ARG002 - a fake takes all that the protocol gives

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from process_apis.systems.connectors import ConnectedSystem, Drift
from process_apis.systems.directory import ConnectedSystems
from shared.canonical.billing import BillingMark, BillingSchedule, ErpContract
from shared.canonical.catalog import LegalEntity, RateCard, ServiceItem
from shared.canonical.contracts import Contract, ContractApproval, ContractMilestone
from shared.canonical.customers import Address, Customer
from shared.canonical.invoices import Invoice, InvoiceDraft, Payment
from shared.canonical.money import Money
from shared.canonical.opportunities import (
    BillingModel,
    DeliveryStatus,
    InvoiceStatus,
    Opportunity,
    OpportunityLine,
)
from shared.canonical.projects import PlacedPart, Project, ProjectPlan
from shared.canonical.references import Page, SourceRef, Written
from shared.canonical.time import Expense, MilestoneCompletion, TimeEntry
from shared.errors.taxonomy import NotFound, PlatformError

TENANT = "harbour"


def source(ref: str, system: str = "fake") -> SourceRef:
    return SourceRef(system=system, ref=ref, version="1", modified_at=datetime(2026, 11, 20, tzinfo=UTC))


def customer(number: str = "1", **changes: Any) -> Customer:
    facts: dict[str, Any] = {
        "tenant": TENANT,
        "id": f"cus_{number}",
        "source": source(f"A{number}"),
        "name": f"Customer {number}",
        "bill_to": Address(street="1 Quay", city="Hamburg", postal_code="20457", country="DE"),
        "tax_id": "DE123",
    }
    return Customer(**{**facts, **changes})


def opportunity(number: str = "1", **changes: Any) -> Opportunity:
    facts: dict[str, Any] = {
        "tenant": TENANT,
        "id": f"opp_{number}",
        "source": source(f"O{number}"),
        "reference": f"O-{number}",
        "name": f"Deal {number}",
        "customer_id": "cus_1",
        "customer_ref": "A1",
        "is_won": True,
        "amount": Money.of("9000", "EUR"),
        "close_on": date(2026, 10, 1),
        "region": "Central",
        "legal_entity_code": "HC-DE",
        "owner": "olive",
        "revision": 1,
        "lines": (
            OpportunityLine(
                ref="L1",
                reference="L1",
                product_code="GTX Pro",
                workstream="WS1",
                amount=Money.of("6000", "EUR"),
                billing_model=BillingModel.TIME_AND_MATERIALS,
                start_on=date(2026, 10, 15),
            ),
            OpportunityLine(
                ref="L2",
                reference="L2",
                product_code="GTX Basic",
                workstream="WS2",
                amount=Money.of("3000", "EUR"),
                billing_model=BillingModel.FIXED_FEE,
                start_on=date(2026, 10, 20),
            ),
        ),
    }
    return Opportunity(**{**facts, **changes})


def contract(number: str = "1", **changes: Any) -> Contract:
    facts: dict[str, Any] = {
        "tenant": TENANT,
        "id": f"con_{number}",
        "source": source(f"C{number}"),
        "reference": f"SOW-{number}",
        "opportunity_id": f"opp_{number}",
        "approval": ContractApproval.APPROVED,
        "payment_terms_days": 30,
        "rate_card_code": "RC-DE",
        "revision": 1,
        "milestones": (
            ContractMilestone(
                id=f"mil_{number}",
                reference=f"M{number}",
                line_reference="L2",
                workstream="WS2",
                name="Acceptance",
                amount=Money.of("3000", "EUR"),
                due_on=date(2026, 12, 1),
            ),
        ),
    }
    return Contract(**{**facts, **changes})


def legal_entity(code: str = "HC-DE", currency: str = "EUR", *, is_approved: bool = True) -> LegalEntity:
    return LegalEntity(
        tenant=TENANT,
        id=f"ent_{code.lower()}",
        source=source(code),
        code=code,
        name=f"Harbour {code}",
        country="DE",
        currency=currency,
        is_approved=is_approved,
        standard_tax_rate=Decimal("0.19"),
    )


def service_item(product_code: str) -> ServiceItem:
    code = product_code.upper().replace(" ", "-")
    return ServiceItem(
        tenant=TENANT,
        id=f"svc_{code.lower()}",
        source=source(code),
        product_code=product_code,
        item_code=f"SVC-{code}",
        name=product_code,
    )


class Troubles:
    """Errors to raise, by name of the act; each is raised once, in order."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[PlatformError]] = {}
        self.calls: Counter[str] = Counter()

    def expect(self, act: str, *errors: PlatformError) -> None:
        self._waiting.setdefault(act, []).extend(errors)

    def enter(self, act: str) -> None:
        self.calls[act] += 1
        if self._waiting.get(act):
            raise self._waiting[act].pop(0)


class FakeCrm:
    def __init__(self, troubles: Troubles) -> None:
        self._troubles = troubles
        self.opportunities: dict[str, Opportunity] = {}
        self.customers: dict[str, Customer] = {}
        self.contracts: dict[str, Contract] = {}
        self.told: dict[str, list[DeliveryStatus]] = {}

    async def get_opportunity(self, opportunity_id: str) -> Opportunity:
        self._troubles.enter("crm.get_opportunity")
        return _known(self.opportunities, opportunity_id)

    async def list_opportunities(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 200
    ) -> Page[Opportunity]:
        return Page(items=tuple(self.opportunities.values()))

    async def get_customer(self, customer_id: str) -> Customer:
        return _known(self.customers, customer_id)

    async def list_customers(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[Customer]:
        return Page(items=tuple(self.customers.values()))

    async def find_contract(self, opportunity_id: str) -> Contract | None:
        return self.contracts.get(opportunity_id)

    async def amend_delivery_status(self, opportunity_id: str, status: DeliveryStatus) -> None:
        self._troubles.enter("crm.amend_delivery_status")
        self.told.setdefault(opportunity_id, []).append(status)

    async def amend_invoice_status(self, opportunity_id: str, invoice_id: str, status: InvoiceStatus) -> None:
        self._troubles.enter("crm.amend_invoice_status")


class FakePsa:
    def __init__(self, troubles: Troubles) -> None:
        self._troubles = troubles
        self.projects: dict[str, ProjectPlan] = {}
        self.closed: list[str] = []

    async def find_project(self, project_id: str) -> Project | None:
        return _project(self.projects[project_id], "psa") if project_id in self.projects else None

    async def create_project(self, plan: ProjectPlan) -> Project:
        self._troubles.enter("psa.create_project")
        self.projects.setdefault(plan.id, plan)
        return _project(plan, "psa")

    async def close_project(self, project_id: str) -> None:
        self._troubles.enter("psa.close_project")
        self.closed.append(project_id)

    async def list_time_entries(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[TimeEntry]:
        return Page(items=())

    async def list_expenses(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[Expense]:
        return Page(items=())

    async def list_milestones(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[MilestoneCompletion]:
        return Page(items=())

    async def mark_billed(self, mark: BillingMark) -> Written:
        return _written(mark.invoice_id)

    async def find_billing_mark(self, invoice_id: str) -> Written | None:
        return None


class FakeErp:
    def __init__(self, troubles: Troubles) -> None:
        self._troubles = troubles
        self.entities: list[LegalEntity] = [legal_entity()]
        self.items: list[ServiceItem] = [service_item("GTX Pro"), service_item("GTX Basic")]
        self.customers: list[tuple[str, str]] = []
        self.sent: dict[str, Customer] = {}
        self.projects: dict[str, ProjectPlan] = {}
        self.contracts: dict[str, ErpContract] = {}
        self.schedules: dict[str, BillingSchedule] = {}
        self.closed: list[str] = []

    async def list_legal_entities(self, *, now: bool = False) -> tuple[LegalEntity, ...]:
        return tuple(self.entities)

    async def list_service_items(self) -> tuple[ServiceItem, ...]:
        return tuple(self.items)

    def forget_reference_data(self) -> None:
        self.forgotten = True

    async def list_rate_cards(self) -> tuple[RateCard, ...]:
        return ()

    async def amend_customer(self, customer: Customer, legal_entity_code: str) -> Written:
        self._troubles.enter("erp.amend_customer")
        self.customers.append((customer.id, legal_entity_code))
        self.sent[customer.id] = customer
        return _written(customer.id)

    async def find_customer(self, customer_id: str) -> Written | None:
        return _written(customer_id)

    async def amend_project(self, plan: ProjectPlan) -> Project:
        self._troubles.enter("erp.amend_project")
        self.projects[plan.id] = plan
        return _project(plan, "erp")

    async def find_project(self, project_id: str) -> Project | None:
        return _project(self.projects[project_id], "erp") if project_id in self.projects else None

    async def close_project(self, project_id: str) -> None:
        self._troubles.enter("erp.close_project")
        self.closed.append(project_id)

    async def amend_contract(self, contract: ErpContract) -> Written:
        self._troubles.enter("erp.amend_contract")
        self.contracts[contract.id] = contract
        return _written(contract.id)

    async def amend_billing_schedule(self, schedule: BillingSchedule) -> Written:
        self._troubles.enter("erp.amend_billing_schedule")
        self.schedules[schedule.id] = schedule
        return _written(schedule.id)

    async def create_invoice(self, draft: InvoiceDraft) -> Invoice:
        raise NotImplementedError

    async def find_invoice(self, invoice_id: str) -> Invoice | None:
        return None

    async def list_invoices(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[Invoice]:
        return Page(items=())

    async def list_payments(
        self, *, modified_since: datetime | None = None, cursor: str | None = None, limit: int = 500
    ) -> Page[Payment]:
        return Page(items=())


class FakeConnectors:
    """Three systems that can do everything a deal asks for, unless a test takes something away.

    `drift_now`, by role, is seen only by who has schemas compared at this moment.
    """

    def __init__(self) -> None:
        self.drift_now: dict[str, tuple[Drift, ...]] = {}
        self.can: dict[str, dict[str, tuple[str, ...]]] = {
            "crm": {"delivery_statuses": ("amend",), "invoice_statuses": ("amend",)},
            "psa": {
                "projects": ("create",),
                "billing_marks": ("create",),
                "time_entries": ("list_since",),
                "milestones": ("list_since",),
            },
            "erp": {
                "customers": ("amend",),
                "projects": ("amend",),
                "contracts": ("amend",),
                "billing_schedules": ("amend",),
                "invoices": ("create",),
            },
        }

    async def list_connectors(self, *, now: bool = False) -> tuple[ConnectedSystem, ...]:
        drift = self.drift_now if now else {}
        return tuple(
            ConnectedSystem(name=f"some-{role}", role=role, can=can, drift=drift.get(role, ()))
            for role, can in self.can.items()
        )


class FakeSystems:
    """One firm's systems, whoever asks."""

    def __init__(self) -> None:
        self.troubles = Troubles()
        self.crm = FakeCrm(self.troubles)
        self.psa = FakePsa(self.troubles)
        self.erp = FakeErp(self.troubles)
        self.connectors = FakeConnectors()

    def of(self, tenant: str) -> ConnectedSystems:
        assert tenant == TENANT
        return ConnectedSystems(crm=self.crm, psa=self.psa, erp=self.erp, connectors=self.connectors)

    async def aclose(self) -> None:
        return

    def add_deal(self, number: str = "1", **changes: Any) -> Opportunity:
        deal = opportunity(number, **changes)
        self.crm.opportunities[deal.id] = deal
        self.crm.customers.setdefault(deal.customer_id, customer())
        self.crm.contracts.setdefault(deal.id, contract(number))
        return deal


def _known(kept: dict[str, Any], key: str) -> Any:
    if key not in kept:
        raise NotFound(f"There is no {key}.")
    return kept[key]


def _written(record_id: str) -> Written:
    return Written(id=record_id, source=source(f"R-{record_id}"), was_created=True)


def _project(plan: ProjectPlan, system: str) -> Project:
    return Project(
        tenant=TENANT,
        id=plan.id,
        source=source(f"{system}-{plan.id}", system),
        name=plan.name,
        workstreams=tuple(PlacedPart(id=each.id, ref=f"{system}-{each.id}") for each in plan.workstreams),
        milestones=tuple(
            PlacedPart(id=part.id, ref=f"{system}-{part.id}") for each in plan.workstreams for part in each.milestones
        ),
    )
