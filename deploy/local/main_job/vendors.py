"""The firm's people at the vendors' screens: load, book hours, pay, correct; only the vendors' wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import httpx

from deploy.local.firm import Firm, Row
from deploy.local.installation import Installation
from deploy.sandbox.kantata.firm import KantataFirm, ProjectRow, PsaInvoiceRow
from deploy.sandbox.kantata.firm import WireRefused as KantataRefused
from deploy.sandbox.netsuite.firm import ErpInvoiceRow, NetSuiteFirm
from deploy.sandbox.netsuite.firm import FirmRefused as NetSuiteRefused
from deploy.sandbox.netsuite.tokens import Certificate, MachineCredentials
from deploy.sandbox.salesforce.firm import OPEN_STAGE, DealRow, InvoiceStatusRow, SalesforceFirm
from deploy.sandbox.salesforce.session import WireRefused as SalesforceRefused
from shared.canonical.money import rounded

VENDOR_TROUBLE: tuple[type[Exception], ...] = (SalesforceRefused, KantataRefused, NetSuiteRefused)
VENDORS = ("salesforce", "kantata", "netsuite")
WEBHOOKS = "/intake/v1/webhooks/salesforce"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the three vendors show at one moment."""

    deals: dict[str, DealRow]
    projects: dict[str, ProjectRow]
    erp_projects: dict[str, str]
    erp_invoices: list[ErpInvoiceRow]
    psa_invoices: list[PsaInvoiceRow]
    statuses: list[InvoiceStatusRow]


class Vendors:
    """The sandbox of one installation."""

    def __init__(self, installation: Installation, http: httpx.AsyncClient) -> None:
        """`http` is used for all three."""
        self._http = http
        self._sandbox = installation.url("sandbox")
        self._system = installation.url("system")
        self._secrets = kept = installation.secrets
        self.salesforce = SalesforceFirm(f"{self._sandbox}/salesforce", http)
        self.kantata = KantataFirm(f"{self._sandbox}/kantata", http, token=kept.kantata_token)
        self.netsuite = NetSuiteFirm(
            f"{self._sandbox}/netsuite",
            http,
            MachineCredentials(
                kept.netsuite_client_id,
                kept.netsuite_certificate_id,
                kept.netsuite_private_key,
                Certificate(kept.netsuite_client_id, kept.netsuite_public_key),
            ),
        )

    async def reset(self) -> None:
        """Empty the three vendors."""
        await asyncio.gather(*(self._control("POST", vendor, "reset") for vendor in VENDORS))

    async def customers(self) -> int:
        """How many accounts the CRM holds; none before a firm is loaded."""
        return (await self._control("GET", "salesforce", "counts")).get("Account", 0)

    async def load_reference_data(self, firm: Firm) -> None:
        """ERP and PSA: what must stand before the first deal is won."""
        await self.netsuite.load(
            firm["erp/legal_entities.csv"], firm["erp/service_items.csv"], firm["erp/rate_cards.csv"]
        )
        await self.kantata.load_users(firm["psa/users.csv"])

    async def subscribe(self) -> None:
        """From now on the CRM pushes its changes to the system tier."""
        body = {"url": f"{self._system}{WEBHOOKS}", "secret": self._secrets.salesforce_webhook_secret}
        await self._control("PUT", "salesforce", "deliveries", body)

    async def load_deals(self, firm: Firm) -> None:
        """CRM: accounts, contracts with their milestones, and the deals while they are still being sold."""
        tables = {name: firm[f"crm/{name}.csv"] for name in ("accounts", "opportunity_lines", "products")}
        tables |= {name: firm[f"clm/{name}.csv"] for name in ("contracts", "milestones")}
        still_open = [row | {"stage": OPEN_STAGE} for row in firm["crm/opportunities.csv"]]
        await self.salesforce.load(tables | {"opportunities": still_open})

    async def close_deals(self, firm: Firm) -> None:
        """Every deal comes to the stage that the firm's table says: won, or lost."""
        nothing: list[Row] = []
        others = ("accounts", "opportunity_lines", "products", "contracts", "milestones")
        await self.salesforce.load(dict.fromkeys(others, nothing) | {"opportunities": firm["crm/opportunities.csv"]})

    async def waiting_deliveries(self) -> int:
        """Changes the CRM has not yet been able to deliver."""
        return int((await self._control("GET", "salesforce", "deliveries"))["waiting"])

    async def book(self, firm: Firm, projects: dict[str, str], tell: Callable[[int, int], None]) -> int:
        """Hours and milestones of the given deals (opportunity id → workspace); how many hours rows."""
        return await self.kantata.book(
            projects, firm["psa/time_entries.csv"], firm["psa/milestone_completions.csv"], tell
        )

    async def correct(self, fix: Row) -> None:
        """What a person corrects in the CRM."""
        await self.salesforce.apply_fix(fix["kind"], fix["subject"], fix["value"])

    async def look(self) -> Seen:
        """Read everything back."""
        deals, projects, erp_projects, erp_invoices, psa_invoices, statuses = await asyncio.gather(
            self.salesforce.read_deals(),
            self.kantata.read_projects(),
            self.netsuite.read_projects(),
            self.netsuite.read_invoices(),
            self.kantata.read_invoices(),
            self.salesforce.read_invoice_statuses(),
        )
        return Seen(deals, projects, erp_projects, erp_invoices, psa_invoices, statuses)

    async def _control(self, method: str, vendor: str, what: str, body: object = None) -> dict[str, int]:
        answer = await self._http.request(method, f"{self._sandbox}/_control/{vendor}/{what}", json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else {}


def share_of(gross: Decimal, share: Decimal, currency: str) -> Decimal:
    """What a customer pays of an invoice, half-up to the currency's minor unit."""
    return rounded(gross * share, currency)
