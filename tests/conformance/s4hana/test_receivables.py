"""Invoices end as drafted or not at all; payments are told by what they settle."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from deploy.sandbox.kit.faults import FaultKind
from deploy.sandbox.kit.firm import WireRefused
from deploy.sandbox.s4hana.firm import S4Firm
from shared.canonical.invoices import InvoiceState
from shared.errors.taxonomy import OutcomeUnknown, PeriodClosed, VendorRejected
from system_apis.connectors.s4hana.connector import S4Connector, open_connector
from tests.conformance.erp_firm import customer, draft, plan
from tests.conformance.s4hana.conftest import bound
from tests.conformance.served import Sandbox

BILLING = "API_BILLING_DOCUMENT_SRV/A_BillingDocument"
REQUESTS = "API_DEBIT_MEMO_REQUEST_SRV/A_DebitMemoRequest"
BY_HAND = {"price_condition": "YTLA", "price_is_fixed_amount": "true", "tax_condition": "YTLT"}
UNEVEN = ("10.03", "10.03", "10.03")  # 19 % of each is 1.9057, of all 5.7171: 1.91 three times is 5.73, not 5.72


async def ready(connector: S4Connector) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())


def switch(s4hana: Sandbox, **switches: object) -> None:
    assert s4hana.simulator.configure is not None
    s4hana.simulator.configure(switches)


async def test_amounts_end_exactly_as_drafted(connector: S4Connector, firm: S4Firm) -> None:
    await ready(connector)
    wanted = draft(amounts=UNEVEN)
    posted = await connector.create_invoice(wanted)
    assert (posted.net, posted.tax, posted.gross) == (wanted.net, wanted.tax, wanted.gross)
    assert (posted.id, posted.state, posted.legal_entity_code) == ("inv_acme", InvoiceState.OPEN, "HC-DE")
    items = await firm.rows("API_BILLING_DOCUMENT_SRV/A_BillingDocumentItem")
    assert [row["NetAmount"] for row in items] == list(UNEVEN)
    assert sum(Decimal(row["TaxAmount"]) for row in items) == wanted.tax.amount
    assert [row["YY1_TLLine_BDI"] for row in items] == ["inv_acme-1", "inv_acme-2", "inv_acme-3"]
    assert {row["WBSElement"] for row in items} == {"WKS_PRJ_ACME_1"}


async def test_tax_given_by_hand_and_hours_as_quantity(s4hana: Sandbox, firm: S4Firm) -> None:
    switch(s4hana, tax_rounding="item")
    opened = open_connector(bound(s4hana.base_url, BY_HAND))
    await ready(opened)
    wanted = draft(amounts=UNEVEN)
    posted = await opened.create_invoice(wanted)
    await opened.aclose()
    assert (posted.net, posted.tax, posted.gross) == (wanted.net, wanted.tax, wanted.gross)
    items = await firm.rows("API_BILLING_DOCUMENT_SRV/A_BillingDocumentItem")
    assert {(Decimal(row["BillingQuantity"]), row["BillingQuantityUnit"]) for row in items} == {(Decimal("3.05"), "H")}


async def test_an_invoice_that_comes_out_otherwise_is_taken_back(
    s4hana: Sandbox, connector: S4Connector, firm: S4Firm
) -> None:
    await ready(connector)
    switch(s4hana, tax_rounding="item")
    with pytest.raises(VendorRejected, match=r"tax is 5\.73 EUR, not 5\.72 EUR"):
        await connector.create_invoice(draft(amounts=UNEVEN))
    assert await connector.find_invoice("inv_acme") is None
    assert await firm.read_invoices() == []
    (request,) = await firm.rows(REQUESTS)
    assert request["OverallSDDocumentRejectionSts"] == "C"
    ledger = await firm.rows("API_GLACCOUNTLINEITEM/GLAccountLineItem")
    assert sum(Decimal(row["AmountInTransactionCurrency"]) for row in ledger if row["GLAccount"] == "12100000") == 0
    switch(s4hana, tax_rounding="document")
    posted = await connector.create_invoice(draft(amounts=UNEVEN))
    assert [row.record_id for row in await firm.read_invoices()] == [posted.source.ref]


async def test_taking_back_that_is_not_answered_is_an_unknown_outcome(s4hana: Sandbox, connector: S4Connector) -> None:
    await ready(connector)
    switch(s4hana, tax_rounding="item")
    s4hana.fault(FaultKind.CUT_AFTER, "POST .*Cancel")
    with pytest.raises(OutcomeUnknown):
        await connector.create_invoice(draft(amounts=UNEVEN))


async def test_another_invoice_under_our_id_is_never_changed(connector: S4Connector, firm: S4Firm) -> None:
    await ready(connector)
    first = await connector.create_invoice(draft())
    assert await connector.create_invoice(draft()) == first
    with pytest.raises(VendorRejected, match="holds another invoice"):
        await connector.create_invoice(draft(amounts=("1.00",)))
    assert await firm.count(BILLING) == 1


async def test_a_closed_period_takes_nothing(s4hana: Sandbox, connector: S4Connector, firm: S4Firm) -> None:
    await ready(connector)
    switch(s4hana, closed_periods=["2026-10"])
    with pytest.raises(PeriodClosed, match="F5/201"):
        await connector.create_invoice(draft())
    assert await firm.count(BILLING) == 0
    switch(s4hana, open_periods=["2026-10"])
    await connector.create_invoice(draft())
    assert (await firm.count(BILLING), await firm.count(REQUESTS)) == (1, 1)


async def test_a_document_that_did_not_reach_the_ledger_is_cancelled(
    s4hana: Sandbox, connector: S4Connector, firm: S4Firm
) -> None:
    await ready(connector)
    switch(s4hana, closed_periods=["2026-10"], closed_period_creates_document=True)
    with pytest.raises(PeriodClosed, match="not open"):
        await connector.create_invoice(draft())
    assert await connector.find_invoice("inv_acme") is None
    assert await firm.count(BILLING, "BillingDocumentIsCancelled eq true") == 1
    switch(s4hana, open_periods=["2026-10"])
    posted = await connector.create_invoice(draft())
    assert await connector.find_invoice("inv_acme") == posted


async def test_a_request_left_by_a_broken_attempt_with_other_amounts_is_rejected(
    s4hana: Sandbox, connector: S4Connector, firm: S4Firm
) -> None:
    await ready(connector)
    s4hana.fault(FaultKind.CUT_BEFORE, "POST .*CreateFromSDDocument")
    with pytest.raises(OutcomeUnknown):
        await connector.create_invoice(draft(amounts=("1.00",)))
    await connector.create_invoice(draft())
    statuses = sorted(row["OverallSDDocumentRejectionSts"] for row in await firm.rows(REQUESTS))
    assert statuses == ["A", "C"]
    assert [row.net for row in await firm.read_invoices()] == [Decimal("361.57")]


async def test_a_blocked_request_is_released(s4hana: Sandbox, connector: S4Connector) -> None:
    await ready(connector)
    switch(s4hana, request_is_blocked=True)
    assert (await connector.create_invoice(draft())).state is InvoiceState.OPEN


async def test_customers_abroad_pay_no_tax_and_yen_have_no_digits(connector: S4Connector) -> None:
    await connector.amend_customer(customer(country="FR"), "HC-DE")
    await connector.amend_project(plan())
    abroad = await connector.create_invoice(draft(tax_rate="0"))
    assert abroad.tax.amount == 0
    await connector.amend_customer(customer("cus_jp", country="JP"), "HC-JP")
    japanese = plan("prj_jp", legal_entity="HC-JP", currency="JPY").model_copy(update={"customer_id": "cus_jp"})
    await connector.amend_project(japanese)
    wanted = draft(
        "inv_jp", amounts=("13005", "7"), legal_entity="HC-JP", currency="JPY", project="prj_jp", tax_rate="0.10",
        customer_id="cus_jp",
    )  # fmt: skip
    posted = await connector.create_invoice(wanted)
    assert (str(posted.net), str(posted.tax), str(posted.gross)) == ("13012 JPY", "1301 JPY", "14313 JPY")


async def test_a_long_description_is_kept_whole_as_a_text(connector: S4Connector, firm: S4Firm) -> None:
    await ready(connector)
    one = draft(amounts=("5.00",))
    words = "Discovery workshop with the board, two days in Hamburg"
    long = one.model_copy(update={"lines": (one.lines[0].model_copy(update={"description": words}),)})
    await connector.create_invoice(long)
    (text,) = await firm.rows("API_DEBIT_MEMO_REQUEST_SRV/A_DebitMemoReqItemText")
    assert text["LongText"] == words


async def test_an_invoice_that_finance_cancels_is_voided(connector: S4Connector, firm: S4Firm) -> None:
    await ready(connector)
    posted = await connector.create_invoice(draft())
    await firm.ask("POST", f"API_BILLING_DOCUMENT_SRV/Cancel?BillingDocument='{posted.source.ref}'")
    found = await connector.find_invoice("inv_acme")
    assert found is not None
    assert found.state is InvoiceState.VOIDED
    listed = await connector.list_invoices(modified_since=None, cursor=None, limit=10)
    assert [(one.id, one.state) for one in listed.items] == [("inv_acme", InvoiceState.VOIDED)]
    with pytest.raises(WireRefused, match="VF/108"):
        await firm.ask("POST", f"API_BILLING_DOCUMENT_SRV/Cancel?BillingDocument='{posted.source.ref}'")


async def test_a_printed_invoice_is_a_document(connector: S4Connector, firm: S4Firm) -> None:
    await ready(connector)
    posted = await connector.create_invoice(draft())
    page = await firm.ask("GET", f"API_BILLING_DOCUMENT_SRV/GetPDF?BillingDocument='{posted.source.ref}'")
    assert page["GetPDF"]["BillingDocumentBinary"].startswith("JVBERi")


# --- payments ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("points", [True, False])
async def test_payments_settle_their_invoices(
    s4hana: Sandbox, connector: S4Connector, firm: S4Firm, points: bool
) -> None:
    switch(s4hana, payment_points_at_invoice=points)
    await ready(connector)
    for name in ("inv_whole", "inv_parts", "inv_open"):
        await connector.create_invoice(draft(name))
    refs = {row.invoice_id: row for row in await firm.read_invoices()}
    await firm.pay(refs["inv_whole"].record_id, refs["inv_whole"].gross, date(2026, 11, 5), "P1")
    await firm.pay(refs["inv_parts"].record_id, Decimal("100.00"), date(2026, 11, 6), "P2")
    await firm.pay(refs["inv_parts"].record_id, Decimal("100.00"), date(2026, 11, 6), "P2")
    partly = await connector.find_invoice("inv_parts")
    assert partly is not None
    assert (partly.state, partly.paid.amount) == (InvoiceState.OPEN, Decimal("100.00"))
    rest = refs["inv_parts"].gross - 100
    await firm.pay(refs["inv_parts"].record_id, rest, date(2026, 11, 7), "P3")
    page = await connector.list_payments(modified_since=None, cursor=None, limit=100)
    told = {
        (payment.received_on.day, applied.invoice_id, applied.amount.amount)
        for payment in page.items
        for applied in payment.applications
    }
    gross = refs["inv_whole"].gross
    assert told == {(5, "inv_whole", gross), (6, "inv_parts", Decimal("100.00")), (7, "inv_parts", rest)}
    assert {payment.customer_id for payment in page.items} == {"cus_acme"}
    invoices = await connector.list_invoices(modified_since=None, cursor=None, limit=100)
    assert {one.id: (one.state, one.paid.amount) for one in invoices.items} == {
        "inv_whole": (InvoiceState.PAID, gross),
        "inv_parts": (InvoiceState.PAID, gross),
        "inv_open": (InvoiceState.OPEN, Decimal("0.00")),
    }
    assert {row.invoice_id: row.paid for row in await firm.read_invoices()}["inv_parts"] == gross


async def test_a_payment_is_hinted_and_listed_since_an_instant(connector: S4Connector, firm: S4Firm) -> None:
    await ready(connector)
    posted = await connector.create_invoice(draft())
    await firm.pay(posted.source.ref, Decimal("10.00"), date(2026, 11, 5), "P1")
    page = await connector.list_payments(modified_since=None, cursor=None, limit=100)
    hints = await connector.list_changes(None)
    assert page.items[0].source.ref in {hint.ref for hint in hints if hint.entity == "payment"}
    later = datetime(2100, 1, 1, tzinfo=UTC)
    assert (await connector.list_payments(modified_since=later, cursor=None, limit=10)).items == ()
    assert (await connector.list_invoices(modified_since=later, cursor=None, limit=10)).items == ()
    assert await connector.list_changes(later) == []


async def test_a_paid_invoice_is_not_cancelled_behind_our_back(connector: S4Connector, firm: S4Firm) -> None:
    await ready(connector)
    posted = await connector.create_invoice(draft())
    await firm.pay(posted.source.ref, posted.gross.amount, date(2026, 11, 5), "P1")
    with pytest.raises(WireRefused, match="F5A/344"):
        await firm.ask("POST", f"API_BILLING_DOCUMENT_SRV/Cancel?BillingDocument='{posted.source.ref}'")
    with pytest.raises(WireRefused, match="paid already"):
        await firm.pay(posted.source.ref, Decimal("1.00"), date(2026, 11, 6), "P2")
