"""A small firm through its people and the connector: loaded, won, read, written back, corrected, loaded again."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal

import httpx
import pytest

from deploy.sandbox.dynamics_sales import simulator
from deploy.sandbox.dynamics_sales.vendor import VENDOR
from deploy.sandbox.kit.firm import WireRefused
from shared.canonical.contracts import ContractApproval
from shared.canonical.money import Money
from shared.canonical.opportunities import DeliveryStage, DeliveryStatus, InvoiceStage, InvoiceStatus
from system_apis.connectors.dynamics_sales.connector import open_connector
from system_apis.connectors.dynamics_sales.webhooks import open_intake
from system_apis.ports.binding import Binding
from tests.conformance.dynamics_sales.environments import ask, binding_for, firm_wire, load_closed
from tests.conformance.served import Serve
from tests.conformance.small_firm import read_on, tables


async def test_a_firm_goes_from_its_files_to_the_account_teams_screen(serve: Serve) -> None:
    """As an installation takes the vendor in: its own secrets, its own tenant."""
    kept = VENDOR.generate()
    sandbox = await serve(VENDOR.simulator(kept))
    binding = Binding("harbour", VENDOR.name, VENDOR.settings(sandbox.base_url, kept), VENDOR.secrets(kept))
    made = tables(deals=3)
    connector = open_connector(binding)
    open_intake(binding)
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        firm = VENDOR.crm(sandbox.base_url, client, kept)
        assert await firm.count_accounts() == 0
        await firm.load(made)
        assert not [deal for deal in await read_on(connector.list_opportunities) if deal.is_won]
        await firm.close(made["opportunities"])
        assert await firm.count_accounts() == 3
        for deal in await read_on(connector.list_opportunities):
            assert deal.is_won
            status = DeliveryStatus(stage=DeliveryStage.ACTIVATED, project_id=f"prj_{deal.reference}", project_ref="7")
            await connector.amend_delivery_status(deal.source.ref, status)
            shown = InvoiceStatus(
                invoice_ref="INV-1",
                period="2026-03",
                stage=InvoiceStage.PARTLY_PAID,
                gross=Money.of("200.50", "EUR"),
                paid=Money.of("100.25", "EUR"),
            )
            await connector.amend_invoice_status(deal.source.ref, f"inv_{deal.reference}", shown)
        deals = await firm.read_deals()
        assert {key: (deal.delivery_stage, deal.project_id, deal.project_ref) for key, deal in deals.items()} == {
            f"D{n:04d}": ("activated", f"prj_D{n:04d}", "7") for n in range(3)
        }
        rows = await firm.read_invoice_statuses()
        assert [(row.invoice_id, row.opportunity_id, row.stage, row.period) for row in rows] == [
            (f"inv_D{n:04d}", f"D{n:04d}", "partly_paid", "2026-03") for n in range(3)
        ]
        assert {(row.currency, row.gross, row.paid) for row in rows} == {("EUR", Decimal("200.50"), Decimal("100.25"))}
    await connector.aclose()


async def test_corrections_reach_the_connector(serve: Serve) -> None:
    sandbox = await serve(simulator())
    made = tables()
    doubted = {**made, "contracts": [{**row, "status": "in_review"} for row in made["contracts"]]}
    await load_closed(sandbox.base_url, doubted)
    connector = open_connector(binding_for(sandbox.base_url))
    async with firm_wire(sandbox.base_url) as firm:
        deal = (await firm.read_deals())["D0000"].record_id
        contract = await connector.find_contract(deal)
        assert contract
        assert contract.approval is ContractApproval.IN_REVIEW
        await firm.apply_fix("contract_status", "SOW-0000", "approved")
        await firm.apply_fix("po_number", "SOW-0000", "PO-9")
        await firm.apply_fix("tax_id", "A0000", "DE1")
        await firm.apply_fix("billing_address", "A0000", "2 Pier|Kiel|24105")
        with pytest.raises(ValueError, match="product_alias"):
            await firm.apply_fix("product_alias", "GTXPro", "GTX Pro")
        with pytest.raises(WireRefused, match="0x80040217"):
            await firm.apply_fix("po_number", "SOW-none", "PO-9")
        contract = await connector.find_contract(deal)
        assert contract
        assert (contract.approval, contract.purchase_order) == (ContractApproval.APPROVED, "PO-9")
        [customer] = await read_on(connector.list_customers)
        assert (customer.tax_id, customer.bill_to.street, customer.bill_to.postal_code) == ("DE1", "2 Pier", "24105")
    await connector.aclose()


async def test_a_firm_is_loaded_quickly_and_twice_without_doubles(serve: Serve) -> None:
    sandbox = await serve(simulator())
    began = time.perf_counter()
    for _ in range(2):
        await load_closed(sandbox.base_url, tables(deals=120, lines=3))
    assert time.perf_counter() - began < 60  # seconds; a guard against quadratic work, not a measurement
    counts = sandbox.simulator.counts()
    assert (counts["account"], counts["opportunity"], counts["opportunityproduct"]) == (120, 120, 360)
    assert (counts["thl_contract"], counts["thl_milestone"], counts["product"]) == (120, 360, 2)
    won = await ask(sandbox.base_url, "opportunities", filter="statecode eq 1")
    assert len(won) == 120
    assert sandbox.calls(r"POST .*\$batch") < 60, "in bulk"


async def test_a_deal_at_another_stage_stays_open_and_keys_may_hold_any_letter(serve: Serve) -> None:
    sandbox = await serve(simulator())
    made = tables(stage="Negotiation")
    odd = json.loads(json.dumps(made).replace("D0000", "D'0/0#0?&").replace("GTXPro", "GTX+Pro's %20"))
    renamed: Mapping[str, Sequence[Mapping[str, str]]] = odd
    await load_closed(sandbox.base_url, renamed)
    connector = open_connector(binding_for(sandbox.base_url))
    [deal] = await read_on(connector.list_opportunities)
    assert (deal.reference, deal.is_won) == ("D'0/0#0?&", False)
    assert {line.product_code for line in deal.lines} == {"GTX+Pro's %20"}
    await connector.aclose()


async def test_accounts_that_run_in_a_circle_are_refused(serve: Serve) -> None:
    sandbox = await serve(simulator())
    made = tables(deals=2)
    circle = [
        {**row, "parent_account_id": other} for row, other in zip(made["accounts"], ("A0001", "A0000"), strict=True)
    ]
    async with firm_wire(sandbox.base_url) as firm:
        with pytest.raises(ValueError, match="runs in a circle"):
            await firm.load({**made, "accounts": circle})
