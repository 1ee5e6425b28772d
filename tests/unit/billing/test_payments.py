"""Payments settle what they name, by their latest version, whatever order they are told in."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from process_apis.invoice_to_cash.store import PaymentStore
from process_apis.time_to_bill.draft_store import DraftStore
from process_apis.time_to_bill.invoice_store import InvoiceStore
from process_apis.time_to_bill.ledger_store import LedgerStore
from shared.canonical.invoices import Payment, PaymentApplication
from shared.canonical.money import Money
from shared.canonical.references import SourceRef
from shared.persistence import Database
from tests.unit.billing.conftest import TENANT, lay_in
from tests.unit.billing.test_ledger import FEW


@pytest.fixture
async def posted(database: Database) -> tuple[str, str]:
    """Two posted invoices of one currency."""
    await lay_in(database, FEW)
    await LedgerStore(database).rate(TENANT, None)
    await DraftStore(database).draft(TENANT, "run-1", "olga", None, None)
    store = InvoiceStore(database)
    page = await store.list_page(TENANT, state=None, contract_id=None, after=None, limit=100)
    currency = page.items[0].gross.currency
    first, second = [one.id for one in page.items if one.gross.currency == currency][:2]
    async with database.transaction() as connection:
        for invoice in (first, second):
            await store.post(connection, TENANT, invoice, "erp", f"r-{invoice}")
    return first, second


def payment(version: int, parts: dict[str, str], currency: str, total: str = "500") -> Payment:
    moment = datetime(2026, 11, 20, 12, version, tzinfo=UTC)
    return Payment(
        tenant=TENANT,
        id="pay_1",
        source=SourceRef(system="erp", ref="77", version=str(version), modified_at=moment),
        received_on=date(2026, 11, 20),
        amount=Money.of(total, currency),
        applications=tuple(
            PaymentApplication(invoice_id=invoice, invoice_ref=f"r-{invoice}", amount=Money.of(amount, currency))
            for invoice, amount in parts.items()
        ),
    )


async def settled(database: Database, one: Payment) -> list[str]:
    async with database.transaction() as connection:
        return await PaymentStore(database).settle(connection, TENANT, one)


async def paid(database: Database, invoice: str) -> Money:
    return (await InvoiceStore(database).get(TENANT, invoice)).paid


async def test_a_payment_counts_once_however_often_it_is_told(database: Database, posted: tuple[str, str]) -> None:
    first, _ = posted
    currency = (await paid(database, first)).currency
    for _ in range(3):
        assert await settled(database, payment(1, {first: "500"}, currency)) == [first]
    assert await paid(database, first) == Money.of(500, currency)


async def test_an_older_version_that_comes_late_changes_nothing(database: Database, posted: tuple[str, str]) -> None:
    first, second = posted
    currency = (await paid(database, first)).currency
    await settled(database, payment(1, {first: "500"}, currency))
    moved = payment(2, {second: "500"}, currency)
    for _ in range(2):  # both invoices are told, also when the step is repeated after a crash
        assert await settled(database, moved) == sorted([first, second])
    await settled(database, payment(1, {first: "500"}, currency))
    assert await paid(database, first) == Money.zero(currency)
    assert await paid(database, second) == Money.of(500, currency)


async def test_more_applied_than_received_is_booked_as_the_erp_has_it(
    database: Database, posted: tuple[str, str]
) -> None:
    first, _ = posted
    currency = (await paid(database, first)).currency
    await settled(database, payment(1, {first: "600"}, currency, total="500"))
    assert await paid(database, first) == Money.of(600, currency)
    await settled(database, payment(2, {}, currency, total="500"))
    (cash,) = await PaymentStore(database).unapplied(TENANT)
    assert (cash.amount, cash.currency) == (500, currency)
