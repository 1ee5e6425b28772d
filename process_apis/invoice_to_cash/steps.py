"""The only hands of invoice-to-cash; each step may be given twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from process_apis.durable import engine
from process_apis.exceptions.models import Finding, OwnerRole, Parking
from process_apis.invoice_to_cash.models import ApplyPayment, CollectOutcome, CollectPayments, Settled
from process_apis.invoice_to_cash.rules import invoice_stage, payment_state
from process_apis.invoice_to_cash.store import Owed, PaymentStore
from process_apis.journal.models import Entry
from process_apis.rooms import rooms
from shared.canonical.events import Event, InvoicePaid, PaymentReceived, event_type, fact_id
from shared.canonical.invoices import Payment
from shared.canonical.money import Money
from shared.canonical.opportunities import InvoiceStatus
from shared.canonical.references import CanonicalModel

PROCESS = "invoice-to-cash"
OVERLAP = timedelta(minutes=2)


@engine.step("settle invoices")
async def settle_invoices(request: ApplyPayment) -> Settled:
    """Apply the payment in our books; every invoice it settles or settled is told in the same transaction."""
    house, payment = rooms(), request.payment
    store = PaymentStore(house.database)
    async with house.database.transaction() as connection:
        touched = await store.settle(connection, request.tenant, payment)
        for owed in await store.owed(connection, request.tenant, touched):
            body = InvoicePaid(
                invoice_id=owed.invoice_id, paid=owed.paid, gross=owed.gross, customer_id=owed.customer_id
            )
            key = f"{owed.invoice_id}:{payment.id}:{payment.source.version}"
            await house.events.append(connection, [_event(request.tenant, body, owed.invoice_id, key)])
            await house.journal.write(connection, _entry(request.tenant, payment, owed))
    return Settled(invoice_ids=tuple(touched))


@engine.step("tell the account team of payment", lane="crm")
async def tell_account_team(request: ApplyPayment, settled: Settled) -> None:
    """Write the invoices' status to the CRM. Repeat: the same values again.

    Another payment may come in meanwhile; whoever tells last tells the latest.
    """
    house = rooms()
    crm = house.systems.of(request.tenant).crm
    told: dict[str, Money] = {}
    while True:
        async with house.database.transaction() as connection:
            standing = await PaymentStore(house.database).owed(connection, request.tenant, settled.invoice_ids)
        news = [owed for owed in standing if told.get(owed.invoice_id) != owed.paid]
        if not news:
            return
        for owed in news:
            status = InvoiceStatus(
                invoice_ref=owed.erp_ref,
                period=owed.period,
                stage=invoice_stage(payment_state(owed.gross.amount, owed.paid.amount)),
                gross=owed.gross,
                paid=owed.paid,
            )
            await crm.amend_invoice_status(owed.opportunity_id, owed.invoice_id, status)
            told[owed.invoice_id] = owed.paid


@engine.step("park the payment")
async def park_payment(request: ApplyPayment, code: str, message: str) -> None:
    """Show people what keeps the payment from being booked or told; the run waits for them."""
    house, payment = rooms(), request.payment
    finding = Finding(
        code=code,
        field="payment",
        reason=message,
        owner=OwnerRole.FINANCE,
        remedy="Correct the cause in the connected system, then retry this item.",
    )
    async with house.database.transaction() as connection:
        invoices = [a.invoice_id for a in payment.applications]
        concerned = await PaymentStore(house.database).owed(connection, request.tenant, invoices)
        await house.exceptions.park(
            connection,
            Parking(
                tenant=request.tenant,
                process=PROCESS,
                subject_id=concerned[0].opportunity_id if concerned else payment.id,
                run_id=engine.run_id(),
                title=f"Payment {payment.source.ref} cannot go on",
                findings=(finding,),
            ),
        )


@engine.step("look again at the parked payment")
async def look_again(request: ApplyPayment) -> None:
    """Somebody asked to go on: what they asked for is being done."""
    house = rooms()
    async with house.database.transaction() as connection:
        await house.exceptions.checking(connection, request.tenant, engine.run_id())


@engine.step("resolve the parked payment")
async def resolve_payment(request: ApplyPayment) -> None:
    """The cause is gone."""
    house = rooms()
    async with house.database.transaction() as connection:
        await house.exceptions.resolve(
            connection, request.tenant, engine.run_id(), how="The payment is booked and told."
        )


@engine.step("read payments", lane="erp")
async def read_payments(request: CollectPayments) -> CollectOutcome:
    """Tell every payment the ERP booked since the watermark as an event; seen before: told once all the same."""
    house = rooms()
    store, erp = PaymentStore(house.database), house.systems.of(request.tenant).erp
    since = await store.watermark(request.tenant)
    cursor: str | None = None
    count = 0
    while True:
        page = await erp.list_payments(modified_since=since - OVERLAP if since else None, cursor=cursor, limit=1000)
        events = [_received(request.tenant, payment) for payment in page.items]
        async with house.database.transaction() as connection:
            await house.events.append(connection, events)
        count += len(events)
        if moments := [p.source.modified_at for p in page.items if p.source.modified_at]:
            await store.advance(request.tenant, max(moments))
        cursor = page.next_cursor
        if cursor is None:
            return CollectOutcome(payments=count)


def _received(tenant: str, payment: Payment) -> Event:
    return _event(tenant, PaymentReceived(payment=payment), payment.id, f"{payment.id}:{payment.source.version}")


def _event(tenant: str, body: CanonicalModel, subject: str, key: str) -> Event:
    kind = event_type(body)
    return Event(
        id=fact_id(kind, tenant, key),
        source="/process/invoice-to-cash",
        type=kind,
        subject=subject,
        time=datetime.now(UTC),
        tenant=tenant,
        data=body.model_dump(mode="json"),
    )


def _entry(tenant: str, payment: Payment, owed: Owed) -> Entry:
    return Entry(
        tenant=tenant,
        subject_id=owed.opportunity_id,
        run_id=engine.run_id(),
        step=f"paid-{owed.invoice_id}",
        sentence=f"Payment of {payment.received_on} applied; {owed.paid} of {owed.gross} are paid.",
        system=payment.source.system,
        ref=payment.source.ref,
        amount=payment.amount,
    )
