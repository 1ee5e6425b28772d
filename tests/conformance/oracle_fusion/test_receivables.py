"""Invoices that end as drafted or not at all, and payments read from receipts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from deploy.sandbox.kit.faults import FaultKind
from deploy.sandbox.oracle_fusion.firm import OracleFusionFirm
from shared.canonical.invoices import InvoiceState
from shared.canonical.money import Money
from shared.errors.taxonomy import (
    OutcomeUnknown,
    PeriodClosed,
    UnknownReference,
    VendorRejected,
)
from system_apis.connectors.oracle_fusion.connector import OracleFusionConnector
from tests.conformance.erp_firm import customer, draft
from tests.conformance.oracle_fusion.beginnings import set_up, switch
from tests.conformance.served import Sandbox

pytestmark = pytest.mark.usefixtures("firm")


# --- invoices --------------------------------------------------------------------------------------------------------
async def test_amounts_end_exactly_as_drafted_line_by_line(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    invoice = await connector.create_invoice(draft(amounts=("361.50", "0.07", "367.53")))
    assert (invoice.net.amount, invoice.tax.amount, invoice.gross.amount) == (
        Decimal("729.10"),
        Decimal("138.53"),
        Decimal("867.63"),
    )
    assert invoice.state is InvoiceState.OPEN
    assert invoice.number
    lines = await firm.rows(
        f"receivablesInvoices/{invoice.source.ref}/child/receivablesInvoiceLines",
        expand="receivablesInvoiceLineTaxLines",
    )
    assert [line["LineAmount"] for line in lines] == [Decimal("361.5"), Decimal("0.07"), Decimal("367.53")]
    assert [(line["Quantity"], line["UnitSellingPrice"]) for line in lines] == [
        (1, Decimal("361.5")),
        (1, Decimal("0.07")),
        (Decimal("3.05"), Decimal("120.5")),
    ]
    taxes = [line["receivablesInvoiceLineTaxLines"]["items"][0]["TaxAmount"] for line in lines]
    assert sum(taxes) == Decimal("138.53")
    assert lines[0]["Description"] == "Engineer, line 1 (3.05 x 120.5)"


async def test_no_tax_is_stated_so_that_the_pod_calculates_none(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    invoice = await connector.create_invoice(draft(tax_rate="0"))
    assert invoice.tax.amount == 0
    (line, *_) = await firm.rows(
        f"receivablesInvoices/{invoice.source.ref}/child/receivablesInvoiceLines",
        expand="receivablesInvoiceLineTaxLines",
    )
    assert line["receivablesInvoiceLineTaxLines"]["items"][0]["TaxRateCode"] == "DE_ZERO"


async def test_yen_have_no_cents(connector: OracleFusionConnector) -> None:
    await connector.amend_customer(customer(), "HC-JP")
    invoice = await connector.create_invoice(
        draft("inv_jp", amounts=("361", "7"), legal_entity="HC-JP", currency="JPY", tax_rate="0.10")
    )
    assert invoice.gross == Money.of(405, "JPY")


async def test_more_lines_than_a_child_page_holds_are_compared_too(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    invoice = await connector.create_invoice(draft(amounts=tuple(f"{number}.11" for number in range(1, 71))))
    assert invoice.net.amount == Decimal("2492.70")
    (row,) = await firm.read_invoices()
    assert row.gross == invoice.gross.amount


async def test_a_wrong_invoice_cannot_stay(
    connector: OracleFusionConnector, firm: OracleFusionFirm, fusion: Sandbox
) -> None:
    await set_up(connector)
    switch(fusion, tax_drift="0.01")
    with pytest.raises(VendorRejected, match=r"deleted again: tax is 68\.72, not 68\.70"):
        await connector.create_invoice(draft())
    assert await firm.rows("receivablesInvoices") == []
    switch(fusion, tax_drift="0")
    assert (await connector.create_invoice(draft())).tax.amount == Decimal("68.70")


async def test_a_wrong_invoice_that_may_not_go_stays_incomplete(
    connector: OracleFusionConnector, firm: OracleFusionFirm, fusion: Sandbox
) -> None:
    await set_up(connector)
    switch(fusion, tax_drift="0.01", lets_delete=False)
    with pytest.raises(VendorRejected):
        await connector.create_invoice(draft())
    (row,) = await firm.rows("receivablesInvoices")
    assert (row["InvoiceStatus"], row["InvoiceBalanceAmount"]) == ("Incomplete", 0)
    assert await connector.find_invoice("inv_acme") is None
    switch(fusion, tax_drift="0", lets_delete=True)
    assert (await connector.create_invoice(draft())).tax.amount == Decimal("68.70")
    assert len(await firm.rows("receivablesInvoices")) == 1


async def test_an_invoice_cut_off_before_completion_is_completed_not_made_again(
    connector: OracleFusionConnector, firm: OracleFusionFirm, fusion: Sandbox
) -> None:
    await set_up(connector)
    fault = fusion.fault(FaultKind.CUT_BEFORE, "PATCH .*/receivablesInvoices/", times=None)
    with pytest.raises(OutcomeUnknown):
        await connector.create_invoice(draft())
    assert fusion.has_struck(fault)
    fusion.heal()
    assert await connector.find_invoice("inv_acme") is None
    invoice = await connector.create_invoice(draft())
    (row,) = await firm.rows("receivablesInvoices")
    assert (row["InvoiceStatus"], str(row["CustomerTransactionId"])) == ("Complete", invoice.source.ref)


async def test_another_invoice_under_our_id_is_never_touched(connector: OracleFusionConnector) -> None:
    await set_up(connector)
    await connector.create_invoice(draft())
    with pytest.raises(VendorRejected, match=r"holds another invoice under inv_acme: net is 361\.57 EUR"):
        await connector.create_invoice(draft(amounts=("1.00",)))


@pytest.mark.parametrize("language", ["en", "de"])
async def test_a_closed_period_is_told_in_any_language(
    connector: OracleFusionConnector, fusion: Sandbox, language: str
) -> None:
    await set_up(connector)
    switch(fusion, closed_periods=["2026-10"], language=language)
    with pytest.raises(PeriodClosed):
        await connector.create_invoice(draft())
    switch(fusion, open_periods=["2026-10"])
    assert (await connector.create_invoice(draft())).period == "2026-10"


async def test_a_period_closed_between_making_and_completing_is_told_too(
    connector: OracleFusionConnector, fusion: Sandbox
) -> None:
    await set_up(connector)
    fusion.fault(FaultKind.CUT_BEFORE, "PATCH .*/receivablesInvoices/", times=None)
    with pytest.raises(OutcomeUnknown):
        await connector.create_invoice(draft())
    fusion.heal()
    switch(fusion, closed_periods=["2026-10"], language="de")
    with pytest.raises(PeriodClosed):
        await connector.create_invoice(draft())


async def test_an_unknown_item_or_entity_is_named(connector: OracleFusionConnector) -> None:
    await set_up(connector)
    line = draft().lines[0].model_copy(update={"item_code": "SVC-NONE"})
    with pytest.raises(UnknownReference, match="SVC-NONE"):
        await connector.create_invoice(draft().model_copy(update={"lines": (line, *draft().lines[1:])}))
    with pytest.raises(UnknownReference, match="HC-XX"):
        await connector.create_invoice(draft(legal_entity="HC-XX"))


async def test_terms_the_pod_lacks_are_told_by_the_due_date(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    await connector.create_invoice(draft().model_copy(update={"payment_terms_days": 33}))
    (row,) = await firm.rows("receivablesInvoices")
    assert (row["PaymentTerms"], row["DueDate"]) == ("IMMEDIATE", "2026-11-30")


# --- payments and changes --------------------------------------------------------------------------------------------
async def test_payments_are_receipts_with_what_they_settle(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    invoice = await connector.create_invoice(draft())
    await firm.pay(invoice.source.ref, Decimal("100.01"), date(2026, 11, 5), "PAY-1")
    await firm.pay(invoice.source.ref, Decimal("100.01"), date(2026, 11, 5), "PAY-1")
    (payment,) = (await connector.list_payments(modified_since=None, cursor=None, limit=10)).items
    assert payment.customer_id == "cus_acme"
    assert payment.amount == Money.of("100.01", "EUR")
    assert [(a.invoice_id, a.amount.amount) for a in payment.applications] == [("inv_acme", Decimal("100.01"))]
    assert payment.received_on == date(2026, 11, 5)
    part_paid = await connector.find_invoice("inv_acme")
    assert part_paid
    assert (part_paid.state, part_paid.paid.amount) == (InvoiceState.OPEN, Decimal("100.01"))
    await firm.pay(invoice.source.ref, invoice.gross.amount - Decimal("100.01"), date(2026, 11, 6), "PAY-2")
    paid = await connector.find_invoice("inv_acme")
    assert paid
    assert paid.state is InvoiceState.PAID
    assert paid.source.version != part_paid.source.version


async def test_cash_of_nobody_is_a_payment_that_settles_nothing(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    body = {"ReceiptMethod": "Electronic", "BusinessUnit": "HC-DE Business Unit", "Amount": Decimal("5.55")}
    await firm.ask("POST", "standardReceipts", body=body)
    (payment,) = (await connector.list_payments(modified_since=None, cursor=None, limit=10)).items
    assert (payment.customer_id, payment.applications, payment.amount.amount) == (None, (), Decimal("5.55"))


async def test_receipts_matched_by_reference_are_read_like_others(
    connector: OracleFusionConnector, firm: OracleFusionFirm, fusion: Sandbox
) -> None:
    await set_up(connector)
    invoice = await connector.create_invoice(draft())
    switch(fusion, matches_at_once=True)
    body = {
        "ReceiptMethod": "Lockbox",
        "BusinessUnit": "HC-DE Business Unit",
        "Amount": invoice.gross.amount,
        "CustomerAccountNumber": "cus_acme",
        "remittanceReferences": [{"ReceiptMatchBy": "Transaction Number", "ReferenceNumber": invoice.number}],
    }
    await firm.ask("POST", "standardReceipts", body=body)
    (payment,) = (await connector.list_payments(modified_since=None, cursor=None, limit=10)).items
    assert [(a.invoice_ref, a.amount) for a in payment.applications] == [(invoice.source.ref, invoice.gross)]


async def test_changes_are_asked_since_an_instant_with_an_overlap(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await set_up(connector)
    invoice = await connector.create_invoice(draft())
    now = datetime.now(UTC)
    hints = await connector.list_changes(now)
    assert ("invoice", invoice.source.ref) in {(hint.entity, hint.ref) for hint in hints}
    assert {hint.ref for hint in hints if hint.entity == "reference_data"} == {
        "legal_entity", "service_item", "rate_card",
    }  # fmt: skip
    assert await connector.list_changes(now + timedelta(minutes=5)) == []
    before = {hint.key for hint in hints}
    await firm.pay(invoice.source.ref, Decimal("1.00"), date(2026, 11, 5), "PAY-1")
    after = await connector.list_changes(now)
    assert {hint.entity for hint in after if hint.key not in before} == {"invoice", "payment"}


async def test_invoices_of_others_are_listed_without_an_id_of_ours(
    connector: OracleFusionConnector, firm: OracleFusionFirm
) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    body = {
        "BusinessUnit": "HC-DE Business Unit",
        "TransactionSource": "THROUGHLINE",
        "BillToCustomerNumber": "cus_acme",
        "receivablesInvoiceLines": [{"Description": "Rent", "Quantity": 1, "UnitSellingPrice": Decimal("10.00")}],
    }
    await firm.ask("POST", "receivablesInvoices", body=body)
    (invoice,) = (await connector.list_invoices(modified_since=None, cursor=None, limit=10)).items
    assert (invoice.period, invoice.customer_id, invoice.legal_entity_code) == (None, None, "HC-DE")
    assert invoice.gross.amount == Decimal("11.90")
