"""A small firm in canonical and in CSV words, for the Tryton tests."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from shared.canonical.billing import BillingMark, BillingSchedule, ContractLine, ErpContract, ScheduleEntry
from shared.canonical.customers import Address, Customer
from shared.canonical.invoices import InvoiceDraft, InvoiceLine, LineKind
from shared.canonical.money import Money, rounded
from shared.canonical.opportunities import BillingModel
from shared.canonical.projects import MilestonePlan, ProjectPlan, Workstream
from shared.canonical.references import SourceRef


def table(header: str, *lines: str) -> list[dict[str, str]]:
    """Rows of a CSV table."""
    return [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]


LEGAL_ENTITIES = table(
    "code,name,country,currency,approved,standard_tax_rate",
    "HC-DE,Harbour GmbH,DE,EUR,true,0.19",
    "HC-JP,Harbour K.K.,JP,JPY,false,0.10",
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
    "RC-DE,Engineer,EUR,125,2026-07-01,",
    "RC-JP,Engineer,JPY,13000,2026-01-01,",
)
USERS = table("user_id,name,role", "1,Ada,Engineer", "2,Ben,")
DEALS = {
    "accounts": table(
        "account_id,name,parent_account_id,sector,billing_country,billing_city,billing_street,billing_postal_code,tax_id,po_required",
        "ACC-1,Acme Group,,shipping,DE,Hamburg,Quay 1,20457,DE123456789,true",
        "ACC-2,Acme Nord,ACC-1,,DE,Kiel,,24103,,false",
    ),
    "products": table("product_code,name", "GTX Pro,Implementation"),
    "opportunities": table(
        "opportunity_id,account_id,name,stage,amount,currency,close_date,owner,region,legal_entity,revision",
        "OPP-1,ACC-1,Acme rollout,Closed Won,1500.50,EUR,2026-03-01,Kary,West,HC-DE,3",
        "OPP-2,ACC-2,Acme Nord training,Closed Lost,300.00,EUR,2026-03-02,Kary,,HC-DE,1",
    ),
    "opportunity_lines": table(
        "line_id,opportunity_id,product_code,workstream,quantity,unit_price,amount,billing_model,start_date",
        "OPP-1-1,OPP-1,GTX Pro,WS1,1,1000.50,1000.50,time_and_materials,2026-03-15",
        "OPP-1-2,OPP-1,GTXPro,WS2,2,250.00,500.00,fixed_fee,2026-03-15",
        "OPP-2-1,OPP-2,GTX Pro,WS1,1,300.00,300.00,time_and_materials,2026-03-15",
    ),
    "contracts": table(
        "contract_id,opportunity_id,status,signed_on,payment_terms_days,cap_amount,po_number,rate_card,revision",
        "SOW-1,OPP-1,in_review,2026-03-01,45,900.00,,RC-DE,2",
        "SOW-2,OPP-2,approved,2026-03-01,30,,PO-2,RC-DE,1",
    ),
    "milestones": table(
        "milestone_id,opportunity_id,line_id,workstream,name,amount,due_date",
        "OPP-1-2-M1,OPP-1,OPP-1-2,WS2,Acceptance,300.00,2026-05-01",
        "OPP-1-2-M0,OPP-1,OPP-1-2,WS2,Kick-off,200.00,2026-04-01",
    ),
}


def customer(identifier: str = "cus_acme", **changes: object) -> Customer:
    made = Customer(
        tenant="harbour",
        id=identifier,
        source=SourceRef(system="salesforce", ref="001A", version="1"),
        name="Acme Shipping",
        bill_to=Address(street="Quay 1", city="Hamburg", postal_code="20457", country="DE"),
        tax_id="DE123456789",
    )
    return made.model_copy(update=changes)


def plan(identifier: str = "prj_acme", *, legal_entity: str = "HC-DE", currency: str = "EUR") -> ProjectPlan:
    budget = Money.of(30000, currency)
    return ProjectPlan(
        id=identifier,
        opportunity_id="opp_acme",
        opportunity_reference="006A",
        contract_id="con_acme",
        contract_reference="SOW-9",
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
                        reference=f"{identifier}-M1",
                        name="Acceptance",
                        amount=Money.of("500", currency),
                        due_on=date(2026, 10, 1),
                    ),
                ),
            ),
        ),
    )


def contract(**changes: object) -> ErpContract:
    made = ErpContract(
        id="con_acme",
        reference="SOW-9",
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
        ),
    )
    return made.model_copy(update=changes)


def schedule(entries: int = 2, amount: str = "5000.05") -> BillingSchedule:
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
                amount=Money.of(amount, "EUR"),
                due_on=date(2026, 10, number),
            )
            for number in range(1, entries + 1)
        ),
    )


def draft(
    identifier: str = "inv_acme",
    *,
    amounts: tuple[str, ...] = ("367.53", "0.07"),
    period: str = "2026-10",
    legal_entity: str = "HC-DE",
    currency: str = "EUR",
    tax_rate: str = "0.19",
    quantity: str = "3.05",
    rate: str = "120.50",
) -> InvoiceDraft:
    net = sum((Decimal(amount) for amount in amounts), Decimal(0))
    tax = rounded(net * Decimal(tax_rate), currency)
    return InvoiceDraft(
        id=identifier,
        contract_id="con_acme",
        contract_reference="SOW-9",
        project_id="prj_acme",
        customer_id="cus_acme",
        legal_entity_code=legal_entity,
        period=period,
        invoice_on=date.fromisoformat(f"{period}-28"),
        payment_terms_days=14,
        purchase_order="PO-7",
        currency=currency,
        lines=tuple(
            InvoiceLine(
                id=f"{identifier}-{number}",
                kind=LineKind.TIME,
                item_code="SVC-IMPL",
                workstream_id="wks_prj_acme_1",
                description=f"Engineer, line {number}",
                quantity=Decimal(quantity),
                rate=Decimal(rate),
                net=Money.of(amount, currency),
            )
            for number, amount in enumerate(amounts, 1)
        ),
        tax_rate=Decimal(tax_rate),
        net=Money.of(net, currency),
        tax=Money.of(tax, currency),
        gross=Money.of(net + tax, currency),
    )


def mark(invoice: str = "inv_acme", time: tuple[str, ...] = (), milestones: tuple[str, ...] = ()) -> BillingMark:
    return BillingMark(
        invoice_id=invoice,
        invoice_ref="42",
        project_id="prj_acme",
        invoice_on=date(2026, 10, 28),
        purchase_order="PO-7",
        time_entry_refs=time,
        milestone_refs=milestones,
    )
