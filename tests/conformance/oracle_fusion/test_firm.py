"""The firm's people and the connector on one pod: load, read in canonical words, write, pay, read back."""

from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

import deploy.sandbox.firm as sample_firm
from deploy.sandbox.oracle_fusion.vendor import VENDOR
from shared.canonical.references import Page
from system_apis.connectors.oracle_fusion.connector import open_connector
from system_apis.ports.binding import Binding
from tests.conformance.erp_firm import contract, customer, draft, plan, schedule
from tests.conformance.served import Serve

FILES = Path(next(iter(sample_firm.__path__))) / "erp"


def table(name: str) -> list[dict[str, str]]:
    with (FILES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


async def test_the_sample_firm_does_its_job_on_a_pod(serve: Serve) -> None:
    kept = VENDOR.generate()
    sandbox = await serve(VENDOR.simulator(kept))
    settings, secrets = VENDOR.settings(sandbox.base_url, kept), VENDOR.secrets(kept)
    entities, items, rates = table("legal_entities.csv"), table("service_items.csv"), table("rate_cards.csv")
    connector = open_connector(Binding("harbour", VENDOR.name, settings, secrets))
    async with httpx.AsyncClient(trust_env=False) as http:
        firm = VENDOR.erp(sandbox.base_url, http, kept)
        await firm.load(entities, items, rates)
        loaded = sandbox.simulator.counts()
        await firm.load(entities, items, rates)
        repeated = sandbox.simulator.counts()
        assert {**repeated, "setupTaskCSVImports": 0} == {**loaded, "setupTaskCSVImports": 0}

        assert {e.code: (e.currency, e.country, e.is_approved) for e in await connector.list_legal_entities()} == {
            row["code"]: (row["currency"], row["country"], row["approved"] == "true") for row in entities
        }
        assert {i.product_code: i.item_code for i in await connector.list_service_items()} == {
            row["product_code"]: row["item_code"] for row in items
        }
        cards = await connector.list_rate_cards()
        assert sum(len(card.rates) for card in cards) == len(rates)
        assert {
            (card.code, rate.role, str(rate.effective_from), rate.rate) for card in cards for rate in card.rates
        } == {(row["rate_card"], row["role"], row["effective_from"], Decimal(row["rate"])) for row in rates}

        await connector.amend_customer(customer(), "HC-DE")
        project = await connector.amend_project(plan())
        await connector.amend_contract(contract())
        await connector.amend_billing_schedule(schedule())
        invoice = await connector.create_invoice(draft())
        assert await firm.read_projects() == {"prj_acme": project.source.ref}
        (row,) = await firm.read_invoices()
        assert (row.invoice_id, row.record_id, row.net, row.tax, row.gross) == (
            invoice.id,
            invoice.source.ref,
            invoice.net.amount,
            invoice.tax.amount,
            invoice.gross.amount,
        )
        assert (row.legal_entity, row.period, row.contract_id, row.project_id, row.posted_on) == (
            "HC-DE",
            "2026-10",
            "con_acme",
            "prj_acme",
            date(2026, 10, 28),
        )
        for _ in range(2):
            await firm.pay(row.record_id, row.gross, date(2026, 11, 20), "inv_acme paid on the twentieth of November")
        (row,) = await firm.read_invoices()
        assert row.paid == row.gross
        page: Page[object] = await connector.list_payments(modified_since=None, cursor=None, limit=10)
        assert len(page.items) == 1
        await connector.close_project("prj_acme")
        assert await firm.read_projects() == {}
    await connector.aclose()


@pytest.mark.parametrize("role", ["crm", "psa"])
async def test_it_plays_no_other_role(role: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(LookupError):
            getattr(VENDOR, role)("http://127.0.0.1:1", http, {})
