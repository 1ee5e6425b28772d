"""A small firm for ERP tests: what finance enters, in the sample firm's rows, and what we write, in canonical words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from shared.canonical.billing import BillingSchedule, ContractLine, ErpContract, ScheduleEntry
from shared.canonical.customers import Address, Customer
from shared.canonical.invoices import InvoiceDraft, InvoiceLine, LineKind
from shared.canonical.money import Money, rounded
from shared.canonical.opportunities import BillingModel
from shared.canonical.projects import MilestonePlan, ProjectPlan, Workstream
from shared.canonical.references import SourceRef

STARTS_ON = date(2026, 9, 1)


def table(header: str, *lines: str) -> list[dict[str, str]]:
    """Rows of a CSV table."""
    return [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]


LEGAL_ENTITIES = table(
    "code,name,country,currency,approved,standard_tax_rate",
    "HC-DE,Harbour GmbH,DE,EUR,true,0.19",
    "HC-JP,Harbour K.K.,JP,JPY,true,0.10",
    "HC-BR,Harbour Ltda,BR,BRL,false,0.15",
)
SERVICE_ITEMS = table(
    "product_code,item_code,name,revenue_account",
    "GTX Pro,SVC-IMPL,Implementation,40020",
    "GTX Plus,SVC-IMPL,Implementation,40020",
    "MG Special,SVC-TRAIN,Training day,40040",
)
RATE_CARDS = table(
    "rate_card,role,currency,rate,effective_from,effective_to",
    "RC-DE,Engineer,EUR,120.50,2026-01-01,2026-06-30",
    "RC-DE,Engineer,EUR,125.00,2026-07-01,",
    "RC-JP,Engineer,JPY,13000,2026-01-01,",
)


def customer(identifier: str = "cus_acme", *, country: str = "DE", **changes: object) -> Customer:
    """A customer with an address of two lines."""
    made = Customer(
        tenant="harbour",
        id=identifier,
        source=SourceRef(system="salesforce", ref="001A", version="1"),
        name="Acme Shipping",
        bill_to=Address(street="Quay 1\nGate B", city="Hamburg", postal_code="20457", country=country),
        tax_id="DE123456789",
        industry="shipping",
    )
    return made.model_copy(update=changes)


def plan(
    identifier: str = "prj_acme",
    *,
    legal_entity: str = "HC-DE",
    currency: str = "EUR",
    milestones: int = 2,
    workstreams: int = 2,
) -> ProjectPlan:
    """Work by the hour in the first workstream, so many milestones in every other one."""
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
        start_on=STARTS_ON,
        workstreams=tuple(
            Workstream(
                id=f"wks_{identifier}_{number}",
                name=f"WS{number}",
                item_code=_item(number),
                billing_model=_model(number),
                budget=budget,
                start_on=STARTS_ON,
                milestones=tuple(
                    MilestonePlan(
                        id=f"mil_{identifier}_{number}_{at}",
                        reference=f"M-{at}",
                        name=f"Milestone {at}",
                        amount=Money.of("5000.05" if currency == "EUR" else "5000", currency),
                        due_on=date(2026, 10, at),
                    )
                    for at in range(1, milestones + 1)
                    if number > 1
                ),
            )
            for number in range(1, workstreams + 1)
        ),
    )


def contract(*, amounts: Sequence[str] = ("20000.10", "10000.10"), **changes: object) -> ErpContract:
    """The contract of the plan's project, a line for each of its workstreams."""
    made = ErpContract(
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
        starts_on=STARTS_ON,
        lines=tuple(
            ContractLine(
                workstream_id=f"wks_prj_acme_{number}",
                item_code=_item(number),
                description=f"WS{number}",
                amount=Money.of(amount, "EUR"),
                billing_model=_model(number),
            )
            for number, amount in enumerate(amounts, 1)
        ),
    )
    return made.model_copy(update=changes)


def schedule(entries: int = 2, *, amount: str = "5000.05") -> BillingSchedule:
    """Milestones of the contract's second workstream, one a day."""
    return BillingSchedule(
        id="bs-con_acme",
        contract_id="con_acme",
        project_id="prj_acme",
        currency="EUR",
        entries=tuple(
            ScheduleEntry(
                milestone_id=f"mil_{number}",
                reference=f"M-{number}",
                workstream_id="wks_prj_acme_2",
                name=f"Milestone {number}",
                amount=Money.of(amount, "EUR"),
                due_on=date(2026, 10, number),
            )
            for number in range(1, entries + 1)
        ),
    )


def draft(
    identifier: str = "inv_acme",
    *,
    amounts: Sequence[str] = ("361.50", "0.07"),
    period: str = "2026-10",
    legal_entity: str = "HC-DE",
    currency: str = "EUR",
    project: str = "prj_acme",
    customer_id: str = "cus_acme",
    quantity: str = "3.05",
    rate: str = "120.50",
    tax_rate: str = "0.19",
    tax: str | None = None,
) -> InvoiceDraft:
    """Hours of the first workstream; a net is a sum of rounded entries, not the quantity times the rate."""
    net = sum((Decimal(amount) for amount in amounts), Decimal(0))
    taxes = rounded(net * Decimal(tax_rate), currency) if tax is None else Decimal(tax)
    return InvoiceDraft(
        id=identifier,
        contract_id="con_acme",
        contract_reference="SOW-1",
        project_id=project,
        customer_id=customer_id,
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
                workstream_id=f"wks_{project}_1",
                description=f"Engineer, line {number}",
                quantity=Decimal(quantity),
                rate=Decimal(rate),
                net=Money.of(amount, currency),
            )
            for number, amount in enumerate(amounts, 1)
        ),
        tax_rate=Decimal(tax_rate),
        net=Money.of(net, currency),
        tax=Money.of(taxes, currency),
        gross=Money.of(net + taxes, currency),
    )


def _item(number: int) -> str:
    return "SVC-IMPL" if number == 1 else "SVC-TRAIN"


def _model(number: int) -> BillingModel:
    return BillingModel.TIME_AND_MATERIALS if number == 1 else BillingModel.FIXED_FEE
