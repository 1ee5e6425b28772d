"""An org with the package under test: the vendor's wire by hand, and plans as the process tier makes them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any

import httpx

from deploy.sandbox.certinia.firm import CertiniaFirm, week_of
from deploy.sandbox.certinia.words import DAYS, EXPENSE, HEADER, MILESTONE, REPORT
from deploy.sandbox.kit.firm import WireRefused
from deploy.sandbox.salesforce.session import API, SalesforceSession, loader_session
from deploy.sandbox.salesforce.simulator import CONNECTOR_CLIENT
from system_apis.ports.binding import Binding


def binding(base_url: str, *, secret: str = CONNECTOR_CLIENT.secret, **settings: str) -> Binding:
    known = {"base_url": base_url, "client_id": CONNECTOR_CLIENT.client_id}
    known |= {"copy_wait_seconds": "5", "feed_wait_seconds": "0.1", **settings}
    return Binding("harbour", "certinia", known, {"client_secret": secret})


class Hands:
    """The org as its administrator sees it."""

    def __init__(self, wire: SalesforceSession, firm: CertiniaFirm) -> None:
        self.wire = wire
        self.firm = firm

    async def ask(self, soql: str) -> list[dict[str, Any]]:
        return [row async for row in self.wire.query(soql)]

    async def one(self, soql: str) -> dict[str, Any]:
        (row,) = await self.ask(soql)
        return row

    async def count(self, of: str) -> int:
        return int((await self.wire.call("GET", f"{API}/query", q=f"SELECT COUNT() FROM {of}"))["totalSize"])

    async def make(self, sobject: str, **values: Any) -> str:
        return str((await self.wire.call("POST", f"{API}/sobjects/{sobject}", values))["id"])

    async def patch(self, sobject: str, ref: str, **values: Any) -> None:
        await self.wire.call("PATCH", f"{API}/sobjects/{sobject}/{ref}", values)

    async def refused(self, sobject: str, ref: str | None = None, **values: Any) -> str:
        """What the org says to a write that it must not take."""
        try:
            await (self.patch(sobject, ref, **values) if ref else self.make(sobject, **values))
        except WireRefused as refusal:
            return str(refusal)
        raise AssertionError(f"{sobject} was taken: {values}")

    async def person(self, user_id: str = "7") -> str:
        return str((await self.one(f"SELECT Id FROM Contact WHERE Firm_User_Id__c = '{user_id}'"))["Id"])

    async def assignment(self, project: str, person: str, role: str | None = None) -> str:
        days = {f"pse__{day}_Hours__c": 8 for day in DAYS}
        schedule = await self.make(
            "pse__Schedule__c", pse__Start_Date__c="2026-01-01", pse__End_Date__c="2026-12-31", **days
        )
        currency = (await self.one(f"SELECT CurrencyIsoCode FROM pse__Proj__c WHERE Id = '{project}'"))[
            "CurrencyIsoCode"
        ]
        return await self.make(
            "pse__Assignment__c",
            Name="Assigned",
            CurrencyIsoCode=currency,
            pse__Project__c=project,
            pse__Resource__c=person,
            pse__Schedule__c=schedule,
            pse__Role__c=role,
            pse__Bill_Rate__c=0,
            pse__Is_Billable__c=True,
        )

    async def card(self, project: str, hours: dict[date, Any], *, approved: bool = True, **values: Any) -> str:
        """A timecard of the week of these days; its id."""
        week = week_of(min(hours))
        person = values.pop("person", None) or await self.person()
        assignment = values.pop("assignment", None) or await self.assignment(project, person)
        named = {f"pse__{DAYS[day.weekday()]}_Hours__c": worked for day, worked in hours.items()}
        ref = await self.make(
            HEADER,
            pse__Project__c=project,
            pse__Resource__c=person,
            pse__Assignment__c=assignment,
            pse__Start_Date__c=week.isoformat(),
            pse__End_Date__c=(week + timedelta(days=6)).isoformat(),
            pse__Status__c="Saved",
            **named,
            **values,
        )
        if approved:
            await self.approve([ref])
        return ref

    async def approve(self, refs: Sequence[str]) -> None:
        flags = {"pse__Submitted__c": True, "pse__Approved__c": True, "pse__Include_In_Financials__c": True}
        for ref in refs:
            await self.patch(HEADER, ref, pse__Status__c="Approved", **flags)

    async def expense(self, project: str, *, approved: bool = True, **values: Any) -> str:
        person = await self.person()
        report = await self.make(REPORT, Name="Trip", pse__Project__c=project, pse__Resource__c=person)
        ref = await self.make(
            EXPENSE,
            **{
                "pse__Expense_Report__c": report,
                "pse__Project__c": project,
                "pse__Resource__c": person,
                "pse__Amount__c": 100,
                "pse__Billing_Amount__c": 84.2,
                "pse__Billing_Currency__c": "EUR",
                "pse__Expense_Date__c": "2026-02-03",
                "pse__Type__c": "Taxi",
                "pse__Billable__c": True,
                **values,
            },
        )
        if approved:
            await self.patch(
                REPORT,
                report,
                pse__Status__c="Approved",
                pse__Submitted__c=True,
                pse__Approved__c=True,
                pse__Include_In_Financials__c=True,
            )
        return ref

    async def complete(self, our_id: str, on: str = "2026-02-20") -> str:
        ref = str((await self.one(f"SELECT Id FROM {MILESTONE} WHERE Throughline_Id__c = '{our_id}'"))["Id"])
        await self.patch(
            MILESTONE,
            ref,
            pse__Actual_Date__c=on,
            pse__Status__c="Approved",
            pse__Approved__c=True,
            pse__Include_In_Financials__c=True,
        )
        return ref


@asynccontextmanager
async def hands(base_url: str) -> AsyncGenerator[Hands]:
    """The administrator's session, and the firm's people, in the org there."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield Hands(loader_session(base_url, client), CertiniaFirm(base_url, client))
