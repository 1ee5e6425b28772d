"""Small portals for tests, made over the vendor's wire, and how the connector is bound to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from deploy.sandbox.hubspot.firm import HubspotFirm
from deploy.sandbox.hubspot.session import HubspotSession
from deploy.sandbox.hubspot.simulator import CONNECTOR_APP
from deploy.sandbox.hubspot.vendor import CONTRACT_TYPE, WEBHOOK_URL
from system_apis.ports.binding import Binding
from tests.conformance.conformance_suite import WEBHOOK_SECRET

Tables = Mapping[str, Sequence[Mapping[str, str]]]


def tables(deals: int = 1, lines: int = 2) -> Tables:
    """A firm of `deals` won deals, each with its own customer, lines, contract and one milestone per line."""
    numbers = [f"{n:04d}" for n in range(deals)]
    return {
        "accounts": [
            {
                "account_id": f"A{n}",
                "name": f"Customer {n}",
                "parent_account_id": "" if n == "0000" else "A0000",
                "sector": "retail",
                "billing_country": "DE",
                "billing_city": "Kiel",
                "billing_street": "1 Quay",
                "billing_postal_code": "24103",
                "tax_id": "DE123456789",
                "po_required": "true",
                "payment_share": "1.00",
                "payment_after_days": "10",
            }
            for n in numbers
        ],
        "products": [{"product_code": "GTX Pro", "name": "Implementation"}],
        "opportunities": [
            {
                "opportunity_id": f"D{n}",
                "account_id": f"A{n}",
                "name": f"Deal {n}",
                "stage": "Closed Won",
                "amount": f"{lines * 100}.50",
                "currency": "EUR",
                "close_date": "2026-03-01",
                "owner": "Ada",
                "region": "West",
                "legal_entity": "HC-DE",
                "revision": "1",
            }
            for n in numbers
        ],
        "opportunity_lines": [
            {
                "line_id": f"D{n}-{k}",
                "opportunity_id": f"D{n}",
                "product_code": "GTXPro",
                "workstream": f"WS{k}",
                "quantity": "1",
                "unit_price": "100.25",
                "amount": "100.25",
                "billing_model": "fixed_fee",
                "start_date": "2026-03-15",
            }
            for n in numbers
            for k in range(1, lines + 1)
        ],
        "contracts": [
            {
                "contract_id": f"SOW-{n}",
                "opportunity_id": f"D{n}",
                "status": "approved",
                "signed_on": "2026-02-28",
                "payment_terms_days": "30",
                "cap_amount": "5000",
                "po_number": "PO-1",
                "rate_card": "RC-HC-DE",
                "revision": "1",
            }
            for n in numbers
        ],
        "milestones": [
            {
                "milestone_id": f"D{n}-{k}-M1",
                "opportunity_id": f"D{n}",
                "line_id": f"D{n}-{k}",
                "workstream": f"WS{k}",
                "name": "Acceptance",
                "amount": "100.25",
                "due_date": "2026-04-01",
            }
            for n in numbers
            for k in range(1, lines + 1)
        ],
    }


@asynccontextmanager
async def firm_wire(base_url: str) -> AsyncGenerator[HubspotFirm]:
    """The firm's people, at the portal there."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield HubspotFirm(base_url, client)


@asynccontextmanager
async def people_wire(base_url: str) -> AsyncGenerator[HubspotSession]:
    """Calls by people, to the portal there."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield HubspotSession(base_url, client)


async def load(base_url: str, given: Tables) -> str:
    """A firm with its deals won; the record id of the first."""
    async with firm_wire(base_url) as firm:
        await firm.load(given)
        await firm.close(given["opportunities"])
        return (await firm.read_deals())["D0000"].record_id


def binding_for(base_url: str, **settings: str) -> Binding:
    """The connector as an installed app."""
    return Binding(
        tenant="harbour",
        system="hubspot",
        settings={
            "base_url": base_url,
            "auth_flow": "refresh_token",
            "client_id": CONNECTOR_APP.client_id,
            "webhook_url": WEBHOOK_URL,
            "contract_type_id": CONTRACT_TYPE,
            "requests_per_ten_seconds": "5000",
            "searches_per_second": "1000",
            "pause_seconds": "0.02",
            **settings,
        },
        secrets={
            "client_secret": CONNECTOR_APP.client_secret,
            "refresh_token": CONNECTOR_APP.refresh_token,
            "access_token": CONNECTOR_APP.token,
            "webhook_secret": WEBHOOK_SECRET,
        },
    )


async def read_on(read: Any, limit: int = 6, **more: Any) -> list[Any]:
    """A list of the port, page by page."""
    found: list[Any] = []
    cursor: str | None = None
    while True:
        page = await read(modified_since=more.get("since"), cursor=cursor, limit=limit)
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found
