"""Finance at Tryton: legal entities, services and prices loaded, customers' payments booked, results read."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from deploy.sandbox.kit.firm import ErpInvoiceRow
from deploy.sandbox.tryton.markings import markings
from deploy.sandbox.tryton.seed import CLOSED, Ground, firm_years
from deploy.sandbox.tryton.session import TrytonSession

Row = Mapping[str, str]
_PAY = "wizard.account.invoice.pay"


class TrytonFinance:
    """Loading twice, or paying twice with one reference, leaves the same records."""

    def __init__(self, session: TrytonSession) -> None:
        self._tryton = session
        self._ground = Ground(session)
        self._desks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._methods: dict[int, int] = {}

    async def load(
        self, legal_entities: Sequence[Row], service_items: Sequence[Row], rate_cards: Sequence[Row]
    ) -> dict[str, int]:
        """Companies with their books, then what they sell and at what price; how many of each."""
        years = firm_years(rate_cards)
        companies: dict[str, int] = {}
        for row in legal_entities:
            companies[row["code"]] = await self._ground.company(
                row["code"], row["name"], row["currency"], row["country"]
            )
        await asyncio.gather(*(self._ground.legal_entity(row, years) for row in legal_entities))
        currencies = {companies[row["code"]]: row["currency"] for row in legal_entities}
        if companies:
            await self._ground.service_items(service_items, list(companies.values()))
            await self._ground.rate_cards(rate_cards, companies, currencies)
        return {
            "legal_entities": len(legal_entities), "service_items": len(service_items), "rate_cards": len(rate_cards),
        }  # fmt: skip

    async def pay(self, record_id: str, amount: Decimal, on: date, reference: str) -> None:
        """By the pay wizard; a company's cash is booked by one person at a time, as its moves are numbered in a row."""
        number = int(record_id)
        rows = await self._tryton.find("account.invoice", [["id", "=", number]], ["company"])
        company = int(rows[0]["company"])
        async with self._desks[company]:
            booked = await self._tryton.find(
                "account.move.line", [["invoice_payment", "=", number]], ["move_description_used"], company=company
            )
            if not any(row["move_description_used"] == reference for row in booked):
                await self._pay(number, company, amount, on, reference)

    async def _pay(self, number: int, company: int, amount: Decimal, on: date, reference: str) -> None:
        context = {"company": company, "active_model": "account.invoice", "active_id": number, "active_ids": [number]}
        session, start, _ = await self._tryton.call(f"{_PAY}.create", context=context)

        async def execute(data: dict[str, Any], state: str) -> dict[str, Any]:
            told = await self._tryton.call(f"{_PAY}.execute", session, data, state, context=context)
            defaults: dict[str, Any] = told.get("view", {}).get("defaults", {})
            return {name: value for name, value in defaults.items() if not name.endswith(".")}

        filled = await execute({}, start)
        filled |= {
            "amount": amount, "payment_method": await self._method(company), "date": on, "description": reference,
        }  # fmt: skip
        asked = await execute({"start": filled}, "choice")
        if asked:  # less than the whole
            await execute({"start": filled, "ask": {**asked, "type": "partial"}}, "pay")
        await self._tryton.call(f"{_PAY}.delete", session, context=context)

    async def _method(self, company: int) -> int:
        if company not in self._methods:
            found = await self._tryton.find("account.invoice.payment.method", [["company", "=", company]])
            self._methods[company] = int(found[0]["id"])
        return self._methods[company]

    async def read_invoices(self) -> list[ErpInvoiceRow]:
        """Posted invoices that name a period of ours."""
        columns = ["reference", "comment", "company.party.code", "currency.code", "invoice_date", "state"]
        columns += ["untaxed_amount", "tax_amount", "total_amount", "amount_to_pay"]
        wanted = [["type", "=", "out"], ["state", "in", ["posted", "paid"]], ["comment", "like", "%[period: %"]]
        rows = await self._tryton.find("account.invoice", wanted, columns)
        told: list[ErpInvoiceRow] = []
        for row in rows:
            facts = markings(row["comment"])
            told.append(
                ErpInvoiceRow(
                    invoice_id=row["reference"],
                    record_id=str(row["id"]),
                    period=facts["period"],
                    legal_entity=row["company."]["party."]["code"],
                    currency=row["currency."]["code"],
                    net=row["untaxed_amount"],
                    tax=row["tax_amount"],
                    gross=row["total_amount"],
                    paid=row["total_amount"] - row["amount_to_pay"],
                    contract_id=facts.get("contract", ""),
                    project_id=facts.get("project", ""),
                    posted_on=row["invoice_date"],
                )
            )
        return told

    async def read_projects(self) -> dict[str, str]:
        """Projects in use: our id → record id."""
        wanted = [["type", "=", "project"], ["comment", "like", "[project: %"], ["status.name", "!=", CLOSED]]
        rows = await self._tryton.find("project.work", wanted, ["comment"])
        return {markings(row["comment"])["project"]: str(row["id"]) for row in rows}
