"""From posted invoices to cash: customers pay as their account says, payments are applied, the CRM is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from deploy.local.firm import Firm
from deploy.local.main_job.desk import Desk
from deploy.local.main_job.progress import Display
from deploy.local.main_job.vendors import Vendors, share_of
from deploy.local.main_job.waiting import Patience, Stalled
from deploy.sandbox.kit.firm import ErpInvoiceRow


@dataclass(frozen=True, slots=True)
class Due:
    """What a customer pays on one invoice, and when."""

    invoice: ErpInvoiceRow
    amount: Decimal
    on: date


async def pay(firm: Firm, desk: Desk, vendors: Vendors, display: Display, paid: frozenset[str]) -> frozenset[str]:
    """Pay every invoice that is not among those paid before; all that are paid now."""
    deals, invoices = await asyncio.gather(vendors.crm.read_deals(), vendors.erp_invoices())
    deal_of = {deal.project_id: reference for reference, deal in deals.items() if deal.project_id}
    due = [payment for payment in dues(firm, invoices, deal_of) if payment.invoice.invoice_id not in paid]
    done = 0

    async def settle(payment: Due) -> None:
        nonlocal done
        reference = f"payment-{payment.invoice.invoice_id}"
        await vendors.pay(payment.invoice, payment.amount, payment.on, reference)
        done += 1
        display.show("customers pay", done, len(due))

    await asyncio.gather(*(settle(payment) for payment in due))
    await _wait_until_applied(desk, vendors, display)
    return paid | {payment.invoice.invoice_id for payment in due}


def dues(firm: Firm, invoices: list[ErpInvoiceRow], deal_of: Mapping[str, str]) -> list[Due]:
    """Who pays how much of what, and when (`deal_of`: project → opportunity); who pays nothing is left out."""
    accounts = {row["account_id"]: row for row in firm["crm/accounts.csv"]}
    payer = {row["opportunity_id"]: accounts[row["account_id"]] for row in firm.won()}
    found: list[Due] = []
    for invoice in invoices:
        account = payer[deal_of[invoice.project_id]]
        amount = share_of(invoice.gross, Decimal(account["payment_share"]), invoice.currency)
        on = invoice.posted_on + timedelta(days=int(account["payment_after_days"]))
        if amount > 0:
            found.append(Due(invoice, amount, on))
    return found


async def _wait_until_applied(desk: Desk, vendors: Vendors, display: Display) -> None:
    """Until our books and the CRM show what the ERP shows as paid."""
    shown = {invoice.invoice_id: invoice.paid for invoice in await vendors.erp_invoices()}
    await desk.poll()
    patience = Patience("payments")
    while True:
        told = {status.invoice_id: status.paid for status in await vendors.crm.read_invoice_statuses()}
        open_ones = [number for number, paid in shown.items() if told.get(number) != paid]
        display.show("payments applied, CRM told", len(shown) - len(open_ones), len(shown))
        if not open_ones:
            break
        await patience.pause(len(open_ones), f"not yet applied or told: {', '.join(open_ones[:5])}")
    ours = {str(invoice["id"]): Decimal(invoice["paid"]["amount"]) for invoice in await desk.invoices()}
    if wrong := [number for number, paid in shown.items() if ours.get(number) != paid]:
        raise Stalled(f"our books show other payments than the ERP: {', '.join(wrong[:5])}")
