"""A small firm's whole job: loaded by its people, read and written by the connector, read back by its people."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import httpx

from deploy.sandbox.kit.firm import ErpFirm
from deploy.sandbox.kit.vendor import SandboxVendor
from deploy.sandbox.s4hana.firm import S4Firm
from deploy.sandbox.s4hana.vendor import VENDOR
from system_apis.connectors.s4hana.connector import S4Connector, open_connector
from system_apis.ports.binding import Binding
from tests.conformance.erp_firm import (
    LEGAL_ENTITIES,
    RATE_CARDS,
    SERVICE_ITEMS,
    contract,
    customer,
    draft,
    plan,
    schedule,
)
from tests.conformance.served import Sandbox, Serve


async def test_what_the_firm_has_loaded_is_what_the_connector_reads(connector: S4Connector, firm: S4Firm) -> None:
    entities = {one.code: one for one in await connector.list_legal_entities()}
    assert {
        (code, one.name, one.country, one.currency, one.is_approved, one.standard_tax_rate)
        for code, one in entities.items()
    } == {
        (
            row["code"], row["name"], row["country"], row["currency"], row["approved"] == "true",
            Decimal(row["standard_tax_rate"]),
        )
        for row in LEGAL_ENTITIES
    }  # fmt: skip
    items = await connector.list_service_items()
    assert {(one.product_code, one.item_code, one.name, one.revenue_account) for one in items} == {
        (row["product_code"], row["item_code"], row["name"], row["revenue_account"]) for row in SERVICE_ITEMS
    }
    rates = {
        (card.code, rate.role, card.currency, rate.rate, rate.effective_from, rate.effective_to)
        for card in await connector.list_rate_cards()
        for rate in card.rates
    }
    assert rates == {
        (
            row["rate_card"], row["role"], row["currency"], Decimal(row["rate"]),
            date.fromisoformat(row["effective_from"]),
            date.fromisoformat(row["effective_to"]) if row["effective_to"] else None,
        )
        for row in RATE_CARDS
    }  # fmt: skip
    before = {entity.code: entity.id for entity in entities.values()}
    await firm.load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)
    assert {entity.code: entity.id for entity in await connector.list_legal_entities()} == before
    assert await firm.count("YY1_TLRATE_CDS/YY1_TLRATE") == len(RATE_CARDS)


async def test_a_raised_rate_and_a_new_tax_rate_take_the_place_of_the_old(connector: S4Connector, firm: S4Firm) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    rates = [{**row, "rate": "130.00"} for row in RATE_CARDS]
    entities = [{**row, "standard_tax_rate": "0.16"} if row["code"] == "HC-DE" else row for row in LEGAL_ENTITIES]
    await firm.load(entities, SERVICE_ITEMS, rates)
    cards = {card.code: card for card in await connector.list_rate_cards()}
    assert {rate.rate for rate in cards["RC-DE"].rates} == {Decimal("130.00")}
    posted = await connector.create_invoice(draft(amounts=("100.00",), tax_rate="0.16"))
    assert posted.tax.amount == Decimal("16.00")


async def test_the_whole_job_is_seen_by_the_firm(connector: S4Connector, firm: S4Firm) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    await connector.amend_project(plan())
    await connector.amend_contract(contract())
    await connector.amend_billing_schedule(schedule())
    drafts = [draft(f"inv_{month}", period=f"2026-{month:02d}") for month in range(8, 13)]
    for one in drafts:
        await connector.create_invoice(one)
    rows = {row.invoice_id: row for row in await firm.read_invoices()}
    assert rows.keys() == {one.id for one in drafts}
    for one in drafts:
        row = rows[one.id]
        assert (row.net, row.tax, row.gross) == (one.net.amount, one.tax.amount, one.gross.amount)
        assert (row.period, row.legal_entity, row.currency, row.posted_on) == (
            one.period, "HC-DE", "EUR", one.invoice_on,
        )  # fmt: skip
        assert (row.contract_id, row.project_id, row.paid) == ("con_acme", "prj_acme", 0)
    await firm.pay(rows["inv_9"].record_id, Decimal("0.57"), date(2026, 12, 1), "pay-inv_9")
    rows = {row.invoice_id: row for row in await firm.read_invoices()}
    assert rows["inv_9"].paid == Decimal("0.57")
    assert (await firm.read_projects()).keys() == {"prj_acme"}


async def test_an_installation_takes_it_in(serve: Serve) -> None:
    vendor: SandboxVendor = VENDOR
    kept = vendor.generate()
    sandbox = await serve(vendor.simulator(kept))
    async with httpx.AsyncClient(trust_env=False) as http:
        firm: ErpFirm = vendor.erp(sandbox.base_url, http, kept)
        await firm.load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)
    binding = Binding("harbour", vendor.name, vendor.settings(sandbox.base_url, kept), vendor.secrets(kept))
    opened = open_connector(binding)
    await opened.ping()
    await opened.amend_customer(customer(), "HC-DE")
    await opened.aclose()


async def test_reset_leaves_an_empty_tenant_and_a_connector_that_finds_in_again(
    s4hana: Sandbox, connector: S4Connector, firm: S4Firm
) -> None:
    await connector.amend_customer(customer(), "HC-DE")
    s4hana.simulator.reset()
    assert set(s4hana.simulator.counts()) == {"A_CompanyCode"}
    await firm.load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)
    assert (await connector.amend_customer(customer(), "HC-DE")).was_created
