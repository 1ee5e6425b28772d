"""Small environments for tests, made over the vendor's wire, and how the connector is bound to them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from deploy.sandbox.dynamics_sales.firm import DataverseFirm
from deploy.sandbox.dynamics_sales.session import DataverseSession, loader_session
from deploy.sandbox.dynamics_sales.simulator import CONNECTOR_APP, TENANT
from system_apis.ports.binding import Binding
from tests.conformance.conformance_suite import WEBHOOK_SECRET

Tables = Mapping[str, Sequence[Mapping[str, str]]]


def _account(number: str) -> Mapping[str, str]:
    return {
        "account_id": f"A{number}",
        "name": f"Customer {number}",
        "parent_account_id": "" if number == "0000" else "A0000",
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


def _deal(number: str, lines: int, stage: str) -> Mapping[str, str]:
    return {
        "opportunity_id": f"D{number}",
        "account_id": f"A{number}",
        "name": f"Deal {number}",
        "stage": stage,
        "amount": f"{lines * 100}.50",
        "currency": "EUR",
        "close_date": "2026-03-01",
        "owner": "Ada",
        "region": "West",
        "legal_entity": "HC-DE",
        "revision": "1",
    }


def _line(number: str, k: int) -> Mapping[str, str]:
    return {
        "line_id": f"D{number}-{k}",
        "opportunity_id": f"D{number}",
        "product_code": "GTXPro",
        "workstream": f"WS{k}",
        "quantity": "1",
        "unit_price": "100.25",
        "amount": "100.25",
        "billing_model": "fixed_fee",
        "start_date": "2026-03-15",
    }


def _contract(number: str) -> Mapping[str, str]:
    return {
        "contract_id": f"SOW-{number}",
        "opportunity_id": f"D{number}",
        "status": "approved",
        "signed_on": "2026-02-28",
        "payment_terms_days": "30",
        "cap_amount": "5000",
        "po_number": "PO-1",
        "rate_card": "RC-HC-DE",
        "revision": "1",
    }


def _milestone(number: str, k: int) -> Mapping[str, str]:
    return {
        "milestone_id": f"D{number}-{k}-M1",
        "opportunity_id": f"D{number}",
        "line_id": f"D{number}-{k}",
        "workstream": f"WS{k}",
        "name": "Acceptance",
        "amount": "100.25",
        "due_date": "2026-04-01",
    }


def tables(deals: int = 1, lines: int = 2, stage: str = "Closed Won") -> Tables:
    """A firm of `deals` deals, each with its own customer, lines, contract and one milestone per line."""
    numbers = [f"{n:04d}" for n in range(deals)]
    each = [(number, k) for number in numbers for k in range(1, lines + 1)]
    return {
        "accounts": [_account(number) for number in numbers],
        "products": [{"product_code": "GTX Pro", "name": "Implementation"}],
        "opportunities": [_deal(number, lines, stage) for number in numbers],
        "opportunity_lines": [_line(*one) for one in each],
        "contracts": [_contract(number) for number in numbers],
        "milestones": [_milestone(*one) for one in each],
    }


@asynccontextmanager
async def firm_wire(base_url: str) -> AsyncGenerator[DataverseFirm]:
    """The firm's loader, speaking to the simulator there."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield DataverseFirm(base_url, client)


async def load_closed(base_url: str, made: Tables) -> None:
    """The firm, its deals at the stages of their rows."""
    async with firm_wire(base_url) as firm:
        await firm.load(made)
        await firm.close(made["opportunities"])


@asynccontextmanager
async def admin_wire(base_url: str) -> AsyncGenerator[DataverseSession]:
    """The administrator's session with the simulator there."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield loader_session(base_url, client)


async def ask(base_url: str, set_name: str, **query: str) -> list[dict[str, Any]]:
    """All rows of a query, asked by the administrator."""
    async with admin_wire(base_url) as session:
        return [row async for row in session.rows(set_name, None, **query)]


async def change(base_url: str, address: str, **values: Any) -> None:
    """Columns of a row that is there, set by the administrator."""
    async with admin_wire(base_url) as session:
        await session.call("PATCH", address, values, {"if-match": "*"})


def binding_for(base_url: str, **settings: str) -> Binding:
    place = {"base_url": base_url, "login_url": base_url, "tenant_id": TENANT, "client_id": CONNECTOR_APP.client_id}
    return Binding(
        tenant="harbour",
        system="dynamics_sales",
        settings={**place, **settings},
        secrets={"client_secret": CONNECTOR_APP.secret, "webhook_secret": WEBHOOK_SECRET},
    )


async def read_on(read: Any, limit: int = 6) -> list[Any]:
    """A list of the port, page by page."""
    found: list[Any] = []
    cursor: str | None = None
    while True:
        page = await read(modified_since=None, cursor=cursor, limit=limit)
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found
