"""A small firm's people at the portal, taken in as an installation does it, and the connector beside them."""

from __future__ import annotations

from decimal import Decimal

import httpx
import pytest

from deploy.sandbox.hubspot.vendor import VENDOR
from deploy.sandbox.kit.firm import DealRow, InvoiceStatusRow, WireRefused
from shared.canonical.contracts import ContractApproval
from shared.canonical.money import Money
from shared.canonical.opportunities import BillingModel, DeliveryStage, DeliveryStatus, InvoiceStage, InvoiceStatus
from system_apis.connectors.hubspot.connector import open_connector
from system_apis.ports.binding import Binding
from tests.conformance.hubspot.portals import firm_wire, people_wire
from tests.conformance.served import Serve
from tests.conformance.small_firm import read_on, tables


async def test_a_firm_is_sold_read_delivered_and_billed(serve: Serve) -> None:
    kept = VENDOR.generate()
    box = await serve(VENDOR.simulator(kept))
    binding = Binding("harbour", "hubspot", VENDOR.settings(box.base_url, kept), VENDOR.secrets(kept))
    connector = open_connector(binding)
    given = tables(deals=3)
    async with httpx.AsyncClient(trust_env=False) as http:
        firm = VENDOR.crm(box.base_url, http, kept)
        assert await firm.count_accounts() == 0
        assert await firm.read_invoice_statuses() == []
        await firm.load(given)
        assert not any(deal.is_won for deal in await read_on(connector.list_opportunities))
        await firm.close(given["opportunities"])
        deals = await firm.read_deals()
        assert deals["D0001"] == DealRow("D0001", deals["D0001"].record_id, None, None, None, None)

        deal = await connector.get_opportunity(deals["D0001"].record_id)
        assert (deal.reference, deal.name, deal.is_won, deal.owner) == ("D0001", "Deal 0001", True, "Ada")
        assert deal.amount == Money.of("200.50", "EUR")
        assert [line.amount for line in deal.lines] == [Money.of("100.25", "EUR")] * 2
        assert [(line.reference, line.workstream) for line in deal.lines] == [("D0001-1", "WS1"), ("D0001-2", "WS2")]
        assert deal.lines[0].billing_model is BillingModel.FIXED_FEE
        assert (deal.close_on.isoformat(), deal.lines[0].start_on.isoformat()) == ("2026-03-01", "2026-03-15")

        customer = await connector.get_customer(deal.customer_ref)
        assert (customer.name, customer.tax_id, customer.requires_purchase_order) == (
            "Customer 0001",
            "DE123456789",
            True,
        )
        assert customer.bill_to.model_dump() == {
            "street": "1 Quay", "city": "Kiel", "postal_code": "24103", "country": "DE",
        }  # fmt: skip
        above = await connector.get_customer((await connector.get_opportunity(deals["D0000"].record_id)).customer_ref)
        assert (customer.parent_id, above.parent_id) == (above.id, None)

        contract = await connector.find_contract(deal.source.ref)
        assert contract is not None
        assert (contract.reference, contract.approval) == ("SOW-0001", ContractApproval.APPROVED)
        assert (contract.opportunity_id, contract.payment_terms_days) == (deal.id, 30)
        assert contract.cap == Money.of("5000", "EUR")
        assert [one.line_reference for one in contract.milestones] == ["D0001-1", "D0001-2"]
        assert await connector.get_contract(contract.source.ref) == contract

        status = DeliveryStatus(stage=DeliveryStage.ACTIVATED, project_id="prj_1", project_ref="77", message="Go.")
        await connector.amend_delivery_status(deal.source.ref, status)
        paid = InvoiceStatus(
            invoice_ref="INV-1",
            period="2026-03",
            stage=InvoiceStage.PARTLY_PAID,
            gross=Money.of("119.10", "EUR"),
            paid=Money.of("19.10", "EUR"),
        )
        await connector.amend_invoice_status(deal.source.ref, "inv_1", paid)
        shown = (await firm.read_deals())["D0001"]
        assert (shown.delivery_stage, shown.project_id, shown.project_ref, shown.message) == (
            "activated", "prj_1", "77", "Go.",
        )  # fmt: skip
        assert await firm.read_invoice_statuses() == [
            InvoiceStatusRow(
                "inv_1", "D0001", "INV-1", "2026-03", "partly_paid", "EUR", Decimal("119.10"), Decimal("19.10")
            )
        ]
    await connector.aclose()


async def test_loading_twice_leaves_the_same_records(serve: Serve) -> None:
    box = await serve(VENDOR.simulator(VENDOR.generate()))
    async with firm_wire(box.base_url) as firm:
        await firm.load(tables(deals=2))
        await firm.close(tables(deals=2)["opportunities"])
        before = box.simulator.counts()
        deals = await firm.read_deals()
        await firm.load(tables(deals=2))
        assert box.simulator.counts() == before
        assert (await firm.read_deals()).keys() == deals.keys()
    async with people_wire(box.base_url) as wire:
        stages = {row["properties"]["dealstage"] async for row in wire.every("deals", ["dealstage"])}
    assert stages == {"contractsent"}


async def test_a_deal_may_close_otherwise(serve: Serve) -> None:
    box = await serve(VENDOR.simulator(VENDOR.generate()))
    given = tables(deals=3)
    rows = [
        {**row, "stage": stage}
        for row, stage in zip(given["opportunities"], ("Closed Lost", "Negotiation", "Closed Won"), strict=True)
    ]
    async with firm_wire(box.base_url) as firm, people_wire(box.base_url) as wire:
        await firm.load(given)
        await firm.close(rows)
        stages = [row["properties"]["dealstage"] async for row in wire.every("deals", ["dealstage"])]
    assert stages == ["closedlost", "contractsent", "closedwon"]


async def test_fixes_are_made_where_people_make_them(serve: Serve) -> None:
    kept = VENDOR.generate()
    box = await serve(VENDOR.simulator(kept))
    connector = open_connector(Binding("harbour", "hubspot", VENDOR.settings(box.base_url, kept), VENDOR.secrets(kept)))
    async with firm_wire(box.base_url) as firm:
        await firm.load(tables())
        ref = (await firm.read_deals())["D0000"].record_id
        await firm.apply_fix("contract_status", "SOW-0000", "in_review")
        await firm.apply_fix("po_number", "SOW-0000", "PO-99")
        await firm.apply_fix("tax_id", "A0000", "DE999999999")
        await firm.apply_fix("billing_address", "A0000", "2 Quay|Lübeck|23552")
        with pytest.raises(ValueError, match="product_alias"):
            await firm.apply_fix("product_alias", "GTXPro", "GTX Pro")
        with pytest.raises(WireRefused, match="404"):
            await firm.apply_fix("tax_id", "A9999", "DE1")
    contract = await connector.find_contract(ref)
    assert contract is not None
    assert (contract.approval, contract.purchase_order) == (ContractApproval.IN_REVIEW, "PO-99")
    customer = await connector.get_customer((await connector.get_opportunity(ref)).customer_ref)
    assert (customer.tax_id, customer.bill_to.city, customer.bill_to.street) == ("DE999999999", "Lübeck", "2 Quay")
    await connector.aclose()
