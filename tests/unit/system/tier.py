"""The system tier served with its real connectors on real simulators, one set of vendors per tenant."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
import yaml

from deploy.sandbox.kantata import simulator as kantata
from deploy.sandbox.kantata.simulator import TOKEN
from deploy.sandbox.kit.control import sandbox_app
from deploy.sandbox.kit.deliveries import Subscription, signature
from deploy.sandbox.netsuite.firm import NetSuiteFirm
from deploy.sandbox.netsuite.simulator import simulator as netsuite
from deploy.sandbox.netsuite.tokens import new_credentials
from deploy.sandbox.salesforce import simulator as salesforce
from deploy.sandbox.salesforce.firm import SalesforceFirm
from deploy.sandbox.salesforce.session import API, SalesforceSession, loader_session
from deploy.sandbox.salesforce.simulator import CONNECTOR_CLIENT
from shared.serving.app import TierApp
from system_apis.app import create_app
from system_apis.routes.parameters import Rooms
from system_apis.settings import SystemSettings
from tests.conformance.erp_firm import LEGAL_ENTITIES, RATE_CARDS, SERVICE_ITEMS
from tests.conformance.kantata.account import Account
from tests.conformance.served import Sandbox, listening
from tests.conformance.small_firm import tables
from tests.unit.gateway.door import AUDIENCE, GATEWAY_DIR, ISSUER, Issuer

CREDENTIALS = new_credentials()
EVERY_SCOPE = "crm.read crm.write psa.read psa.write erp.read erp.write intake.write connectors.read"
Found = TypeVar("Found")


@dataclass
class Vendors:
    """One tenant's three systems, with the people who work in them."""

    tenant: str
    url: str
    crm: Sandbox
    psa: Sandbox
    erp: Sandbox
    admin: SalesforceSession
    deals: SalesforceFirm
    account: Account
    books: NetSuiteFirm
    refs: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def webhook_secret(self) -> str:
        return f"webhook-secret-of-{self.tenant}"

    async def load(self, count: int = 1, **options: Any) -> None:
        """So many deals in the CRM, and the reference data of the ERP."""
        deals = tables(count, **options)
        await self.deals.load(deals)
        await self.deals.close(deals["opportunities"])
        await self.books.load(LEGAL_ENTITIES, SERVICE_ITEMS, RATE_CARDS)
        self.refs = {reference: row.record_id for reference, row in (await self.deals.read_deals()).items()}

    async def amend(self, sobject: str, record_id: str, **values: Any) -> None:
        await self.admin.call("PATCH", f"{API}/sobjects/{sobject}/{record_id}", values)

    async def delete(self, sobject: str, record_id: str) -> None:
        await self.admin.call("DELETE", f"{API}/sobjects/{sobject}/{record_id}")

    async def pays(self, record_id: str, amount: str, reference: str, on: Any) -> None:
        await self.books.pay(record_id, Decimal(amount), on, reference)

    def pushes(self, tier_url: str, sandbox: Sandbox, **how: Any) -> None:
        """The vendor posts its changes to the tier."""
        assert sandbox.simulator.deliveries
        url = f"{tier_url}/intake/v1/webhooks/{sandbox.simulator.name}"
        sandbox.simulator.deliveries.subscription = Subscription(url=url, secret=self.webhook_secret, **how)

    def settings(self) -> dict[str, Any]:
        """What the tenant's file says."""
        signed = {"webhook_secret": self.webhook_secret}
        return {
            "tenant": self.tenant,
            "connectors": {
                "crm": {
                    "vendor": "salesforce",
                    "settings": {"base_url": self.crm.base_url, "client_id": CONNECTOR_CLIENT.client_id},
                    "secrets": {"client_secret": CONNECTOR_CLIENT.secret, **signed},
                },
                "psa": {
                    "vendor": "kantata",
                    "settings": {"base_url": self.psa.base_url},
                    "secrets": {"access_token": TOKEN},
                },
                "erp": {
                    "vendor": "netsuite",
                    "settings": {
                        "base_url": self.erp.base_url,
                        "client_id": CREDENTIALS.client_id,
                        "certificate_id": CREDENTIALS.certificate_id,
                    },
                    "secrets": {"private_key": CREDENTIALS.private_key, **signed},
                },
            },
        }


@asynccontextmanager
async def vendors_of(tenant: str) -> AsyncGenerator[Vendors]:
    """Three simulators on one loopback port."""
    made = {
        "salesforce": salesforce(),
        "kantata": kantata(strict_filters=True),
        "netsuite": netsuite(certificates={CREDENTIALS.certificate_id: CREDENTIALS.certificate}),
    }
    async with listening(sandbox_app(made)) as url, httpx.AsyncClient(trust_env=False, timeout=30) as http:
        boxes = {name: Sandbox(simulator, url) for name, simulator in made.items()}
        account = Account(boxes["kantata"].base_url, http)
        for name, kind in (("Completed on", "date"), ("Acceptance", "string")):
            await account.field(name, kind)
        yield Vendors(
            tenant=tenant,
            url=url,
            crm=boxes["salesforce"],
            psa=boxes["kantata"],
            erp=boxes["netsuite"],
            admin=loader_session(boxes["salesforce"].base_url, http),
            deals=SalesforceFirm(boxes["salesforce"].base_url, http),
            account=account,
            books=NetSuiteFirm(boxes["netsuite"].base_url, http, CREDENTIALS),
        )


@dataclass
class Tier:
    """The served tier and a way to ask it as any tenant."""

    app: TierApp
    url: str
    http: httpx.AsyncClient
    issuer: Issuer
    database_url: str
    vendors: dict[str, Vendors]

    @property
    def rooms(self) -> Rooms:
        rooms: Rooms = self.app.state.rooms
        return rooms

    async def ask(
        self, method: str, path: str, *, tenant: str = "harbour", scope: str = EVERY_SCOPE, **options: Any
    ) -> httpx.Response:
        token = self.issuer.token(tenant=tenant, scope=scope, plan="internal")
        headers = {"authorization": f"Bearer {token}", **options.pop("headers", {})}
        return await self.http.request(method, self.url + path, headers=headers, **options)

    async def get(self, path: str, *, tenant: str = "harbour", **params: Any) -> Any:
        answer = await self.ask("GET", path, tenant=tenant, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def polls(self, tenant: str = "harbour") -> dict[str, Any]:
        """Poll now; the outcome by connector."""
        answer = await self.ask("POST", "/intake/v1/polls", tenant=tenant)
        assert answer.status_code == 200, answer.text
        return {one["connector"]: one for one in answer.json()["results"]}

    async def delivers(
        self,
        connector: str,
        body: bytes,
        secret: str,
        *,
        number: str = "msg-1",
        at: float | None = None,
        **headers: str,
    ) -> httpx.Response:
        """A signed delivery; `headers` (underscores for hyphens) replace the honest ones, an empty one is left out."""
        stamp = str(int(at if at is not None else time.time()))
        honest = {
            "content-type": "application/json",
            "webhook-id": number,
            "webhook-timestamp": stamp,
            "webhook-signature": signature(secret, number, stamp, body),
        } | {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in honest.items() if value}
        return await self.http.post(f"{self.url}/intake/v1/webhooks/{connector}", content=body, headers=sent)

    async def rows(self, query: str, *values: Any) -> list[Any]:
        """Rows of the tier's database."""

        def run() -> list[Any]:
            with psycopg.connect(self.database_url, autocommit=True) as connection:
                found = connection.execute(query.encode(), values)
                return found.fetchall() if found.description else []

        return await asyncio.to_thread(run)

    async def log(self, *types: str, tenant: str = "harbour") -> list[tuple[str, str, str]]:
        """(type, id, subject) of the events of the log, in order."""
        found = await self.rows("SELECT type, event_id, subject FROM event_log WHERE tenant = %s ORDER BY 1, 2", tenant)
        return [(row[0], row[1], row[2]) for row in found if not types or row[0] in types]

    async def hints(self, state: str | None = None) -> list[Any]:
        """(tenant, system, entity, ref, state, attempts, reason) of the inbox."""
        found = await self.rows(
            "SELECT tenant, system, entity, ref, state, attempts, reason FROM change_hints ORDER BY id"
        )
        return [row for row in found if state in {None, row[4]}]

    async def settled(self) -> None:
        """Until every hint was answered or given up."""

        async def all_answered() -> bool | None:
            return None if await self.hints("pending") else True

        await until(all_answered)


async def until(look: Callable[[], Awaitable[Found | None]], seconds: float = 20) -> Found:
    """What is looked for, once it is there."""
    async with asyncio.timeout(seconds):
        while True:
            found = await look()
            if found is not None:
                return found
            await asyncio.sleep(0.05)


def change_event(sobject: str, record_id: str, *, at: float | None = None) -> bytes:
    """The body of a CRM change event."""
    header = {
        "entityName": sobject,
        "recordIds": [record_id],
        "changeType": "UPDATE",
        "changeOrigin": "com/salesforce/api/rest/60.0",
        "commitTimestamp": int((time.time() if at is None else at) * 1000),
    }
    return json.dumps({"data": {"payload": {"ChangeEventHeader": header}}}).encode()


def write_tenants(folder: Path, vendors: Sequence[Vendors]) -> None:
    """The tenants' files."""
    for each in vendors:
        (folder / f"{each.tenant}.yaml").write_text(yaml.safe_dump(each.settings()), encoding="utf-8")


@asynccontextmanager
async def opened(
    folder: Path,
    postgres_url: str,
    *tenants: str,
    nats_url: str | None = None,
    poll_seconds: float = 0,
) -> AsyncGenerator[Tier]:
    """The tier on its own database, with these tenants (harbour by default) bound to simulators of their own."""
    async with AsyncExitStack() as stack:
        names = tenants or ("harbour",)
        vendors = [await stack.enter_async_context(vendors_of(name)) for name in names]
        write_tenants(folder, vendors)
        yield await stack.enter_async_context(replica(folder, postgres_url, vendors, nats_url, poll_seconds))


@asynccontextmanager
async def replica(
    folder: Path,
    postgres_url: str,
    vendors: Sequence[Vendors],
    nats_url: str | None = None,
    poll_seconds: float = 0,
) -> AsyncGenerator[Tier]:
    """One served process of the tier; several may share database and vendors."""
    settings = SystemSettings(
        port=0,
        database_url=postgres_url,
        nats_url=nats_url,
        issuer_url=ISSUER,
        audience=AUDIENCE,
        gateway_dir=GATEWAY_DIR,
        tenants_dir=folder,
        poll_seconds=poll_seconds,
    )
    issuer = Issuer()
    app = create_app(settings, keys=issuer.keys)
    async with (
        app.router.lifespan_context(app),
        listening(app) as url,
        httpx.AsyncClient(trust_env=False, timeout=60) as http,
    ):
        yield Tier(app, url, http, issuer, postgres_url, {each.tenant: each for each in vendors})
