"""A small firm for CRM tests, in the sample firm's rows, and how a list of a port is read to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

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


async def read_on(
    listed: Any, limit: int = 6, *, since: datetime | None = None, cursor: str | None = None
) -> list[Any]:
    """Every item of a list of the port (from the cursor on), page by page."""
    found: list[Any] = []
    for _ in range(500):
        page = await listed(modified_since=since, cursor=cursor, limit=limit)
        assert len(page.items) <= limit, "a page is longer than its limit"
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found
    raise AssertionError("the list has no end")
