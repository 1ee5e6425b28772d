"""A small firm in canonical and in CSV words, for the Oracle Fusion tests."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from shared.canonical.billing import BillingSchedule, ContractLine, ErpContract, ScheduleEntry
from shared.canonical.customers import Address, Customer
from shared.canonical.invoices import InvoiceDraft, InvoiceLine, LineKind
from shared.canonical.money import Money, rounded
from shared.canonical.opportunities import BillingModel
from shared.canonical.projects import MilestonePlan, ProjectPlan, Workstream
from shared.canonical.references import SourceRef


def _table(header: str, *lines: str) -> list[dict[str, str]]:
    return [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]


LEGAL_ENTITIES = _table(
    "code,name,country,currency,approved,standard_tax_rate",
    "HC-DE,Harbour GmbH,DE,EUR,true,0.19",
    "HC-JP,Harbour K.K.,JP,JPY,true,0.10",
    "HC-BR,Harbour Ltda,BR,BRL,false,0.15",
)
SERVICE_ITEMS = _table(
    "product_code,item_code,name,revenue_account",
    "GTX Pro,SVC-IMPL,Implementation,40020",
    "GTX Plus,SVC-IMPL,Implementation,40020",
    "MG Special,SVC-TRAIN,Training day,40040",
)
RATE_CARDS = _table(
    "rate_card,role,currency,rate,effective_from,effective_to",
    "RC-DE,Engineer,EUR,120.50,2026-01-01,2026-06-30",
    "RC-DE,Engineer,EUR,125.00,2026-07-01,",
    "RC-JP,Engineer,JPY,13000,2026-01-01,",
)


def customer(identifier: str = "cus_acme") -> Customer:
    return Customer(
        tenant="harbour",
        id=identifier,
        source=SourceRef(system="salesforce", ref="001A", version="1"),
        name="Acme Shipping",
        bill_to=Address(street="Quay 1", city="Hamburg", postal_code="20457", country="DE"),
        tax_id="DE123456789",
    )


def plan(identifier: str = "prj_acme", *, legal_entity: str = "HC-DE", currency: str = "EUR") -> ProjectPlan:
    budget = Money.of(30000, currency)
    return ProjectPlan(
        id=identifier,
        opportunity_id="opp_acme",
        opportunity_reference="006A",
        contract_id="con_acme",
        contract_reference="SOW-1",
        customer_id="cus_acme",
        customer_name="Acme Shipping",
        name=f"Acme {identifier}",
        legal_entity_code=legal_entity,
        budget=budget,
        start_on=date(2026, 9, 1),
        workstreams=(
            Workstream(
                id=f"wks_{identifier}_1",
                name="WS1",
                item_code="SVC-IMPL",
                billing_model=BillingModel.TIME_AND_MATERIALS,
                budget=budget,
                start_on=date(2026, 9, 1),
            ),
            Workstream(
                id=f"wks_{identifier}_2",
                name="WS2",
                item_code="SVC-TRAIN",
                billing_model=BillingModel.FIXED_FEE,
                budget=budget,
                start_on=date(2026, 9, 1),
                milestones=(
                    MilestonePlan(
                        id=f"mil_{identifier}_1",
                        reference="M-1",
                        name="Acceptance",
                        amount=Money.of(5000, currency),
                        due_on=date(2026, 10, 1),
                    ),
                ),
            ),
        ),
    )


def contract() -> ErpContract:
    return ErpContract(
        id="con_acme",
        reference="SOW-1",
        customer_id="cus_acme",
        project_id="prj_acme",
        legal_entity_code="HC-DE",
        currency="EUR",
        payment_terms_days=30,
        purchase_order="PO-7",
        rate_card_code="RC-DE",
        cap=Money.of("25000.00", "EUR"),
        starts_on=date(2026, 9, 1),
        lines=(
            ContractLine(
                workstream_id="wks_prj_acme_1",
                item_code="SVC-IMPL",
                description="WS1",
                amount=Money.of("20000.10", "EUR"),
                billing_model=BillingModel.TIME_AND_MATERIALS,
            ),
            ContractLine(
                workstream_id="wks_prj_acme_2",
                item_code="SVC-TRAIN",
                description="WS2",
                amount=Money.of("10000.00", "EUR"),
                billing_model=BillingModel.FIXED_FEE,
            ),
        ),
    )


def schedule(entries: int = 2) -> BillingSchedule:
    return BillingSchedule(
        id="con_acme",
        contract_id="con_acme",
        project_id="prj_acme",
        currency="EUR",
        entries=tuple(
            ScheduleEntry(
                milestone_id=f"mil_{number}",
                reference=f"M-{number}",
                workstream_id="wks_prj_acme_2",
                name=f"Milestone {number}",
                amount=Money.of("5000.05", "EUR"),
                due_on=date(2026, 10, number),
            )
            for number in range(1, entries + 1)
        ),
    )


def draft(
    identifier: str = "inv_acme",
    *,
    amounts: tuple[str, ...] = ("361.50", "0.07"),
    period: str = "2026-10",
    legal_entity: str = "HC-DE",
    currency: str = "EUR",
    project: str = "prj_acme",
    tax_rate: str = "0.19",
) -> InvoiceDraft:
    net = sum((Decimal(amount) for amount in amounts), Decimal(0))
    tax = rounded(net * Decimal(tax_rate), currency)
    return InvoiceDraft(
        id=identifier,
        contract_id="con_acme",
        contract_reference="SOW-1",
        project_id=project,
        customer_id="cus_acme",
        legal_entity_code=legal_entity,
        period=period,
        invoice_on=date.fromisoformat(f"{period}-28"),
        payment_terms_days=30,
        purchase_order="PO-7",
        currency=currency,
        lines=tuple(
            InvoiceLine(
                id=f"{identifier}-{number}",
                kind=LineKind.TIME,
                item_code="SVC-IMPL",
                workstream_id="wks_prj_acme_1",
                description=f"Engineer, line {number}",
                quantity=Decimal("3.05"),
                rate=Decimal("120.50"),
                net=Money.of(amount, currency),
            )
            for number, amount in enumerate(amounts, 1)
        ),
        tax_rate=Decimal(tax_rate),
        net=Money.of(net, currency),
        tax=Money.of(tax, currency),
        gross=Money.of(net + tax, currency),
    )
