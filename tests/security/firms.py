"""Two firms' data in the process tier: deals that wait, run and stand still, work, invoices, payments, exceptions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from process_apis.invoice_to_cash.store import PaymentStore
from process_apis.quote_to_project.workflow import quote_to_project
from process_apis.rooms import rooms
from process_apis.systems.directory import ConnectedSystems
from process_apis.time_to_bill.draft_store import DraftStore
from process_apis.time_to_bill.invoice_store import InvoiceStore
from process_apis.time_to_bill.ledger_store import LedgerStore
from process_apis.time_to_bill.models import WorkKind, WorkRow
from process_apis.time_to_bill.terms_store import TermsStore
from process_apis.time_to_bill.work_store import WorkStore
from shared.canonical.catalog import Rate, RateCard
from shared.canonical.invoices import Payment, PaymentApplication
from shared.canonical.money import Money
from tests.unit.process.fake_systems import (
    FakeErp,
    FakeSystems,
    contract,
    customer,
    legal_entity,
    opportunity,
    service_item,
    source,
)

MARKS = {"harbour": "hrb", "islands": "isl"}


class PricedErp(FakeErp):
    """An ERP that knows a rate."""

    cards: tuple[RateCard, ...] = ()

    async def list_rate_cards(self) -> tuple[RateCard, ...]:
        return self.cards


class Firms:
    """Each tenant's systems; whoever asks for another's gets another's."""

    def __init__(self) -> None:
        self.by_tenant = {tenant: FakeSystems() for tenant in MARKS}
        for tenant, firm in self.by_tenant.items():
            firm.erp = PricedErp(firm.troubles)
            firm.erp.cards = (rate_card(tenant),)

    def of(self, tenant: str) -> ConnectedSystems:
        firm = self.by_tenant[tenant]
        return ConnectedSystems(crm=firm.crm, psa=firm.psa, erp=firm.erp, connectors=firm.connectors)

    async def aclose(self) -> None:
        return


def rate_card(tenant: str) -> RateCard:
    """What an hour costs."""
    rate = Rate(role="Consultant", rate=Decimal(100), effective_from=date(2020, 1, 1))
    return RateCard(
        tenant=tenant, id=f"rat_{MARKS[tenant]}", source=source("RC-DE"), code="RC-DE", currency="EUR", rates=(rate,)
    )


async def until(what: str, look: Callable[[], Awaitable[Any]], seconds: float = 30) -> Any:
    """What is looked for, once it is there."""
    try:
        async with asyncio.timeout(seconds):
            while not (found := await look()):  # noqa: ASYNC110 - what is waited for is a row, which tells nobody
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s: {what}") from None
    return found


def won(firms: Firms, tenant: str, number: int, **changes: Any) -> None:
    """A won deal of the firm's customer of that number."""
    firm, mark = firms.by_tenant[tenant], MARKS[tenant]
    name = f"{mark}{number}"
    own: dict[str, Any] = {"tenant": tenant, "customer_id": f"cus_{name}", "customer_ref": name, "name": f"Deal {name}"}
    deal = opportunity(name, **(own | changes))
    firm.crm.opportunities[deal.id] = deal
    firm.crm.customers[f"cus_{name}"] = customer(name, tenant=tenant, name=f"Secret customer {name}")
    firm.crm.contracts[deal.id] = contract(name, tenant=tenant)
    firm.erp.entities = [legal_entity().model_copy(update={"tenant": tenant})]
    firm.erp.items = [
        service_item(code).model_copy(update={"tenant": tenant, "id": f"svc_{mark}{at}"})
        for at, code in enumerate(("GTX Pro", "GTX Basic"))
    ]


async def at_work(tenant: str, deal: int, number: int, month: int) -> None:
    """Hours on the deal's project, in the ledger."""
    mark = MARKS[tenant]
    async with rooms().database.transaction() as connection:
        found = await connection.exec_driver_sql(
            "SELECT project_id FROM deals WHERE tenant = %s AND opportunity_id = %s", (tenant, f"opp_{mark}{deal}")
        )
        project = str(found.scalar_one())
    rows = [
        WorkRow(
            system="fake",
            kind=WorkKind.TIME,
            source_ref=f"{mark}-{deal}-{number}",
            version="1",
            entry_id=f"tim_{mark}{deal}{number}",
            reference=f"T{number}",
            project_id=project,
            resource_id=f"res_{mark}",
            role="Consultant",
            work_on=date(2025, month, 3),
            hours=Decimal(5),
            is_billable=True,
            is_approved=True,
            is_billed_in_source=False,
        )
    ]
    await LedgerStore(rooms().database).take_in(tenant, rows)


async def billed(tenant: str) -> None:
    """A posted invoice for each of two customers, one of them paid in part, and money nobody can place."""
    mark, database = MARKS[tenant], rooms().database
    terms = TermsStore(database)
    await terms.keep_rates(tenant, [rate_card(tenant)])
    await terms.keep_entities(tenant, [legal_entity().model_copy(update={"tenant": tenant})])
    await WorkStore(database).adopt_activated(tenant)
    for deal in (1, 2):
        await at_work(tenant, deal, 1, 1)
    await LedgerStore(database).rate(tenant, None)
    made = await DraftStore(database).draft(tenant, f"first-{mark}", "olga", None, None)
    assert len(made) == 2, made
    store = InvoiceStore(database)
    async with database.transaction() as connection:
        for invoice in made:
            await store.post(connection, tenant, invoice, "fake", f"r-{invoice}")
        part = PaymentApplication(invoice_id=made[0], invoice_ref=f"r-{made[0]}", amount=Money.of("50", "EUR"))
        paid = Payment(
            tenant=tenant,
            id=f"pay_{mark}",
            source=source(f"P-{mark}"),
            received_on=date(2025, 2, 20),
            amount=Money.of("80", "EUR"),
            applications=(part,),
        )
        await PaymentStore(database).settle(connection, tenant, paid)


async def fill(firms: Firms, tenant: str) -> None:
    """Two active deals of two customers, one that waits for approval, one in exception; work, invoices, a payment."""
    from process_apis.approvals.models import ApprovalState  # noqa: PLC0415 - furnished by now

    mark = MARKS[tenant]
    for number in (1, 2, 3):
        won(firms, tenant, number)
    lines = firms.by_tenant[tenant].crm.opportunities[f"opp_{mark}1"].lines
    odd = lines[0].model_copy(update={"product_code": f"Unknown {mark}"})
    won(firms, tenant, 4, lines=(odd, lines[1]))
    await start(tenant, 1, 2, 3, 4)
    house = rooms()

    async def decided() -> bool:
        async with house.database.transaction() as connection:
            found = await connection.exec_driver_sql(
                "SELECT count(*) FROM approvals WHERE tenant = %s AND state = %s", (tenant, str(ApprovalState.OPEN))
            )
            return found.scalar_one() >= 6

    await until(f"approvals of {tenant}", decided)


async def start(tenant: str, *numbers: int) -> None:
    """The deals' runs."""
    from process_apis.durable import engine  # noqa: PLC0415 - launched by the tier
    from process_apis.quote_to_project.models import DealRequest  # noqa: PLC0415 - furnished by now

    for number in numbers:
        request = DealRequest(
            tenant=tenant, opportunity_id=f"opp_{MARKS[tenant]}{number}", revision=1, won_at=datetime.now(UTC)
        )
        await engine.start(quote_to_project, request.run_id, request)
