"""The firm's people at the vendors' screens: load, book hours, pay, correct; only the vendors' wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import httpx

from deploy.local.firm import Firm
from deploy.local.installation import Installation
from deploy.sandbox.catalog import vendor
from deploy.sandbox.kit.firm import (
    CrmFirm,
    DealRow,
    ErpFirm,
    ErpInvoiceRow,
    InvoiceStatusRow,
    ProjectRow,
    PsaFirm,
    PsaInvoiceRow,
    Row,
    WireRefused,
)
from shared.canonical.money import rounded

_CONTROL_SECONDS = 300  # a real suite is started by its first reset
VENDOR_TROUBLE: tuple[type[Exception], ...] = (WireRefused,)
_TABLES = {
    "accounts": "crm/accounts.csv",
    "products": "crm/products.csv",
    "opportunities": "crm/opportunities.csv",
    "opportunity_lines": "crm/opportunity_lines.csv",
    "contracts": "clm/contracts.csv",
    "milestones": "clm/milestones.csv",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the three kinds of system show at one moment."""

    deals: dict[str, DealRow]
    projects: dict[str, ProjectRow]
    erp_projects: dict[str, str]
    erp_invoices: list[ErpInvoiceRow]
    psa_invoices: list[PsaInvoiceRow]
    statuses: list[InvoiceStatusRow]


class Vendors:
    """The sandbox of one installation, with the firm's people at the vendors it chose."""

    def __init__(self, installation: Installation, http: httpx.AsyncClient) -> None:
        """`http` is used for all of them."""
        self._http = http
        self._sandbox = installation.url("sandbox")
        self._system = installation.url("system")
        self._choice = chosen = installation.choice
        self._kept = installation.secrets.vendors

        def root(name: str) -> tuple[str, httpx.AsyncClient, Mapping[str, str]]:
            return installation.vendor_url(name), http, self._kept[name]

        self.crm: CrmFirm = vendor(chosen.crm).crm(*root(chosen.crm))
        self.psa: PsaFirm = vendor(chosen.psa).psa(*root(chosen.psa))
        self.erps: Mapping[str, ErpFirm] = {name: vendor(name).erp(*root(name)) for name in chosen.erps()}

    async def reset(self) -> None:
        """Empty every vendor."""
        await asyncio.gather(*(self._control("POST", name, "reset") for name in self._choice.vendors()))

    async def customers(self) -> int:
        """How many customers the CRM holds; none before a firm is loaded."""
        return await self.crm.count_accounts()

    async def load_reference_data(self, firm: Firm) -> None:
        """ERPs and PSA: what must stand before the first deal is won; every ERP has its own legal entities only."""
        entities = firm["erp/legal_entities.csv"]
        for name, erp in self.erps.items():
            own = [row for row in entities if self._choice.erp_of(row["code"]) == name]
            await erp.load(own, firm["erp/service_items.csv"], firm["erp/rate_cards.csv"])
        await self.psa.load_users(firm["psa/users.csv"])

    async def subscribe(self) -> None:
        """From now on the CRM pushes its changes to the system tier, where it can."""
        name = self._choice.crm
        if vendor(name).pushes:
            url = f"{self._system}/intake/v1/webhooks/{name}"
            body = {"url": url, "secret": self._kept[name]["webhook_secret"]}
            await self._control("PUT", name, "deliveries", body)

    async def load_deals(self, firm: Firm) -> None:
        """CRM: accounts, contracts with their milestones, and the deals while they are still being sold."""
        await self.crm.load({name: firm[file] for name, file in _TABLES.items()})

    async def close_deals(self, firm: Firm) -> None:
        """Every deal comes to the stage that the firm's table says: won, or lost."""
        await self.crm.close(firm["crm/opportunities.csv"])

    async def waiting_deliveries(self) -> int:
        """Changes the CRM has not yet been able to deliver."""
        name = self._choice.crm
        return int((await self._control("GET", name, "deliveries"))["waiting"]) if vendor(name).pushes else 0

    @property
    def tells_by_itself(self) -> bool:
        """Whether the CRM pushes its changes; another one has to be asked."""
        return vendor(self._choice.crm).pushes

    async def book(self, firm: Firm, projects: dict[str, str], tell: Callable[[int, int], None]) -> int:
        """Hours and milestones of the given deals (opportunity id → project in the PSA); how many hours rows."""
        return await self.psa.book(projects, firm["psa/time_entries.csv"], firm["psa/milestone_completions.csv"], tell)

    async def correct(self, fix: Row) -> None:
        """What a person corrects in the CRM."""
        await self.crm.apply_fix(fix["kind"], fix["subject"], fix["value"])

    async def erp_invoices(self) -> list[ErpInvoiceRow]:
        """Every invoice of every ERP."""
        found = await asyncio.gather(*(erp.read_invoices() for erp in self.erps.values()))
        return [row for rows in found for row in rows]

    async def erp_projects(self) -> dict[str, str]:
        """Projects in use in any ERP: our id → record id."""
        found = await asyncio.gather(*(erp.read_projects() for erp in self.erps.values()))
        return {project: record for projects in found for project, record in projects.items()}

    async def pay(self, invoice: ErpInvoiceRow, amount: Decimal, on: date, reference: str) -> None:
        """The customer's money for one invoice, in the ERP that posted it."""
        erp = self.erps[self._choice.erp_of(invoice.legal_entity)]
        await erp.pay(invoice.record_id, amount, on, reference)

    async def look(self) -> Seen:
        """Read everything back."""
        deals, projects, erp_projects, erp_invoices, psa_invoices, statuses = await asyncio.gather(
            self.crm.read_deals(),
            self.psa.read_projects(),
            self.erp_projects(),
            self.erp_invoices(),
            self.psa.read_invoices(),
            self.crm.read_invoice_statuses(),
        )
        return Seen(deals, projects, erp_projects, erp_invoices, psa_invoices, statuses)

    async def calls(self) -> dict[str, int]:
        """How many calls our connectors have made to each vendor so far; those of the firm's people do not count."""
        counts = {name: await self._control("GET", name, "calls?by=throughline") for name in self._choice.vendors()}
        return {name: sum(of.values()) for name, of in counts.items()}

    async def _control(self, method: str, name: str, what: str, body: object = None) -> dict[str, int]:
        answer = await self._http.request(
            method, f"{self._sandbox}/_control/{name}/{what}", json=body, timeout=_CONTROL_SECONDS
        )
        answer.raise_for_status()
        return answer.json() if answer.content else {}


def share_of(gross: Decimal, share: Decimal, currency: str) -> Decimal:
    """What a customer pays of an invoice, half-up to the currency's minor unit."""
    return rounded(gross * share, currency)
