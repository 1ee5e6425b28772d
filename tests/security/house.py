"""One house for all tests of this folder: three tiers on real sockets and databases, two tenants, their customers."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import yaml
from joserfc import jwt
from joserfc.jwk import ECKey
from psycopg import sql

from experience_apis.app import create_app as create_experience
from experience_apis.identity.keys import KeyRing, Seal
from experience_apis.identity.roles import role_book
from experience_apis.identity.store import IdentityStore
from experience_apis.settings import ExperienceSettings
from process_apis.app import create_app as create_process
from process_apis.settings import ProcessSettings
from shared.gateway.document import Operation
from shared.persistence.database import Database
from shared.serving.app import TierApp
from system_apis.app import create_app as create_system
from system_apis.settings import SystemSettings
from tests.conformance import erp_firm as samples_of
from tests.security.firms import MARKS, Firms, at_work, billed, fill, until
from tests.serving import listener, serving
from tests.unit.experience.portals.browser import Browser
from tests.unit.gateway.door import GATEWAY_DIR
from tests.unit.system.tier import Vendors, vendors_of, write_tenants

OURS, THEIRS = "harbour", "islands"
TIERS = ("system", "process", "experience")
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
SEALING = "not a secret: a test"
PASSWORD = "correct horse battery 7"
_SECRET = "-secret-0123456789"
DONE = "https://portal.example/done"
MACHINES = ("experience_tier", "process_tier", "system_tier")


def secret_of(client_id: str) -> str:
    """The secret of a client of the house."""
    return f"{client_id}{_SECRET}"


def clients() -> list[dict[str, Any]]:
    """The tiers, and in each tenant one client per role, named `<tenant>-<role>`."""
    exchanging = {"grant_types": [EXCHANGE], "acts_at": "throughline-experience", "audiences": ["throughline-process"]}
    made: list[dict[str, Any]] = [
        {"client_id": "tier-experience", "tenant": OURS, "roles": ["experience_tier"], "plan": "internal"} | exchanging,
        {
            "client_id": "tier-process",
            "tenant": OURS,
            "roles": ["process_tier"],
            "plan": "internal",
            "audiences": ["throughline-system", "throughline-experience"],
        },
    ]
    for tenant in (OURS, THEIRS):
        made += [
            {"client_id": f"{tenant}-{role}".replace("_", "-"), "tenant": tenant, "roles": [role], "plan": "internal"}
            for role in role_book().roles
            if role not in MACHINES and role != "customer"
        ]
    portal: dict[str, Any] = {
        "client_id": "portal",
        "tenant": OURS,
        "roles": ["pmo", "customer"],
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": [DONE],
        "is_first_party": True,
    }
    made.append(portal)
    return [one | {"secret": secret_of(one["client_id"])} for one in made]


def people() -> list[dict[str, Any]]:
    """A developer and an administrator in each tenant, and a customer's person."""
    made = [
        {"name": f"{role}-{tenant}", "full_name": f"{role} of {tenant}", "tenant": tenant, "roles": [role]}
        for tenant in (OURS, THEIRS)
        for role in ("developer", "administrator", "pmo")
    ]
    carla = {"name": "carla", "full_name": "Carla", "tenant": OURS, "roles": ["customer"], "customers": ["cus_hrb1"]}
    return [one | {"password": PASSWORD} for one in [*made, carla]]


@dataclass(frozen=True)
class Served:
    """One tier as it is served."""

    name: str
    app: TierApp
    url: str
    database_url: str

    @property
    def operations(self) -> list[Operation]:
        """Every declared operation."""
        return self.app.documents.operations()

    @property
    def guarded(self) -> list[Operation]:
        """Those that need a token."""
        return [one for one in self.operations if not one.is_public]

    def every_scope(self) -> str:
        """All scopes of the tier's operations and of what they mask."""
        asked = {scope for one in self.operations for scope in (*one.scopes, *one.one_of)}
        masks = [one.policies.masking for one in self.operations if one.policies.masking is not None]
        return " ".join(sorted(asked | {rule.unless_scope for mask in masks for rule in mask.fields.values()}))


@dataclass
class House:
    """The tiers, the issuer's hand, and ways to ask."""

    tiers: dict[str, Served]
    vendors: dict[str, Vendors]
    firms: Firms
    http: httpx.AsyncClient
    key: ECKey
    kid: str
    read: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict[tuple[str, str], dict[str, Any]])

    @property
    def issuer(self) -> str:
        """Who signs here."""
        return self.tiers["experience"].url

    def claims(self, tier: str, tenant: Any = OURS, **changes: Any) -> dict[str, Any]:
        """Claims of a good token with every scope of the tier."""
        now = int(time())
        said = {
            "iss": self.issuer,
            "sub": f"somebody-of-{tenant}",
            "client_id": f"client-of-{tenant}",
            "aud": [f"throughline-{tier}"],
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "jti": uuid4().hex,
            "scope": self.tiers[tier].every_scope(),
            "tenant": tenant,
            "plan": "internal",
        } | changes
        return {name: value for name, value in said.items() if value is not None}

    def token(self, tier: str, tenant: Any = OURS, *, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """A token as the issuer itself signs it; a claim that is None is left out."""
        stated: dict[str, Any] = {"alg": "ES256", "typ": "at+jwt", "kid": self.kid, **(header or {})}
        return jwt.encode(stated, self.claims(tier, tenant, **changes), self.key)

    async def ask(
        self,
        tier: str,
        method: str,
        path: str,
        *,
        token: str | None = "",
        tenant: str = OURS,
        claims: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """A request with every scope unless told otherwise; a fresh idempotency key goes along with writes."""
        headers: dict[str, str] = {"authorization": f"Bearer {token or self.token(tier, tenant, **(claims or {}))}"}
        if token is None:
            headers = {}
        if method != "GET":
            headers["idempotency-key"] = uuid4().hex
        headers |= options.pop("headers", {})
        return await self.http.request(method, self.tiers[tier].url + path, headers=headers, **options)

    async def items(self, tier: str, path: str, tenant: str = OURS, **params: Any) -> list[dict[str, Any]]:
        """All items of a list; asked again where a tier says that it is overloaded, as one loop for all may be."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, Any] = {}
        patience = 20
        while True:
            answer = await self.ask(tier, "GET", path, tenant=tenant, params=params | cursor)
            if answer.status_code == 503 and answer.json()["code"] == "overloaded" and patience:
                patience -= 1
                await asyncio.sleep(float(answer.headers["retry-after"]))
                continue
            assert answer.status_code == 200, f"{path}: {answer.text}"
            told = answer.json()
            found += told["items"]
            if not told.get("next_cursor"):
                return found
            cursor = {"cursor": told["next_cursor"]}

    def browser(self) -> Browser:
        """A browser nobody has used yet, at an address of its own."""
        address = f"10.9.{secrets.randbelow(250)}.{secrets.randbelow(250)}"
        transport = httpx.ASGITransport(self.tiers["experience"].app, client=(address, 40_000))
        return Browser(httpx.AsyncClient(transport=transport, base_url=self.issuer))

    async def real_token(self, client_id: str, **form: str) -> str:
        """A token earned at the token endpoint."""
        answer = await self.http.post(
            f"{self.issuer}/oauth/token",
            data={"grant_type": "client_credentials", **form},
            auth=(client_id, secret_of(client_id)),
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def rows(self, tier: str, tenant: str) -> dict[str, list[str]]:
        """Every row of every table of the tier that belongs to the tenant; what must not change when others write."""
        found: dict[str, list[str]] = {}
        with psycopg.connect(self.tiers[tier].database_url, autocommit=True) as connection:
            tables = connection.execute(
                "SELECT c.table_name FROM information_schema.columns c JOIN information_schema.tables t"
                " USING (table_schema, table_name) WHERE c.column_name = 'tenant' AND c.table_schema = 'public'"
                " AND t.table_type = 'BASE TABLE' AND c.table_name NOT IN ('api_usage', 'idempotency_keys') ORDER BY 1"
            ).fetchall()
            for (name,) in tables:
                asked = sql.SQL("SELECT to_jsonb(x)::text FROM {} x WHERE tenant = %s ORDER BY 1")
                rows = connection.execute(asked.format(sql.Identifier(name)), (tenant,)).fetchall()
                found[name] = [row[0] for row in rows]
        return found

    def ask_database(self, tier: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with psycopg.connect(self.tiers[tier].database_url, autocommit=True) as connection:
            found = connection.execute(query.encode(), values)
            return list(found.fetchall()) if found.description else []


@asynccontextmanager
async def opened(folder: Path, databases: Mapping[str, str]) -> AsyncGenerator[House]:
    """Everything up and filled."""
    async with AsyncExitStack() as stack:
        vendors = {name: await stack.enter_async_context(vendors_of(name)) for name in (OURS, THEIRS)}
        tenants, rules = folder / "connectors", folder / "rules"
        tenants.mkdir()
        rules.mkdir()
        write_tenants(tenants, list(vendors.values()))
        harbour = (GATEWAY_DIR.parent / "local" / "tenants" / "harbour.yaml").read_text("utf-8")
        (rules / "harbour.yaml").write_text(harbour, "utf-8")
        (rules / "islands.yaml").write_text(harbour.replace("tenant: harbour", "tenant: islands"), "utf-8")
        (folder / "clients.yaml").write_text(yaml.safe_dump({"clients": clients()}), "utf-8")
        (folder / "users.yaml").write_text(yaml.safe_dump({"users": people()}), "utf-8")
        bound = {name: listener() for name in TIERS}
        urls = {name: url for name, (_, url) in bound.items()}

        def common(tier: str) -> dict[str, Any]:
            return {
                "port": 0,
                "audience": f"throughline-{tier}",
                "database_url": databases[tier],
                "issuer_url": urls["experience"],
                "gateway_dir": GATEWAY_DIR,
                "openapi_dir": GATEWAY_DIR.parents[1] / "openapi",
                "log_level": "error",
                "client_id": "",
            }

        firms = Firms()
        experience = common("experience") | {
            "process_url": urls["process"],
            "client_id": "tier-experience",
            "client_secret": secret_of("tier-experience"),
            "clients_file": folder / "clients.yaml",
            "users_file": folder / "users.yaml",
            "sealing_key": SEALING,
            "webhook_seconds": 1.0,
        }
        process = common("process") | {"system_url": urls["system"], "tenants_dir": rules}
        system = common("system") | {"tenants_dir": tenants, "poll_seconds": 0, "schema_check_seconds": 0}
        apps = {
            "experience": create_experience(ExperienceSettings.model_validate(experience)),
            "system": create_system(SystemSettings.model_validate(system)),
            "process": create_process(ProcessSettings.model_validate(process), systems=firms),
        }
        for name, app in apps.items():
            await stack.enter_async_context(serving(app, bound[name][0], lifespan="on"))
        served = {name: Served(name, app, urls[name], databases[name]) for name, app in apps.items()}
        database = Database(databases["experience"], pool=2)
        stack.push_async_callback(database.aclose)
        ring = KeyRing(IdentityStore(database), Seal(SEALING))
        await ring.open()
        limits = httpx.Limits(max_connections=50)
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=60, trust_env=False, limits=limits))
        signing = await ring.current()
        house = House(served, vendors, firms, http, signing.key, signing.kid)
        await asyncio.gather(*(furnished(house, tenant) for tenant in MARKS))
        yield house


async def furnished(house: House, tenant: str) -> None:
    """Data of the tenant in all three tiers."""
    await house.vendors[tenant].load(2)
    for path in ("/crm/v1/opportunities", "/crm/v1/customers", "/erp/v1/legal-entities", "/erp/v1/rate-cards"):
        assert await house.items("system", path, tenant)
    await connected(house, tenant)
    await fill(house.firms, tenant)
    mark = MARKS[tenant]
    waiting = await house.items("process", "/approvals/v1/approvals", tenant, status="open")
    ours = [one for one in waiting if one["subject_id"] in {f"opp_{mark}1", f"opp_{mark}2"}]
    for number, one in enumerate(ours):
        decided = await house.ask(
            "process",
            "POST",
            f"/approvals/v1/approvals/{one['id']}/decision",
            tenant=tenant,
            claims={"sub": f"boss-{number}"},
            json={"decision": "approve"},
        )
        assert decided.status_code == 200, decided.text

    async def active() -> bool:
        return len(await house.items("process", "/quote-to-project/v1/runs", tenant, status="activated")) == 2

    await until(f"active deals of {tenant}", active)
    await billed(tenant)
    await at_work(tenant, 1, 2, 2)
    run = await house.ask("process", "POST", "/time-to-bill/v1/runs", tenant=tenant, json={})
    assert run.status_code == 202, run.text
    cash = await house.ask("process", "POST", "/invoice-to-cash/v1/runs", tenant=tenant, json={})
    assert cash.status_code == 202, cash.text

    async def drafted() -> bool:
        asked = {"status": "open", "kind": "invoice"}
        return bool(await house.items("process", "/approvals/v1/approvals", tenant, **asked))

    await until(f"invoice approval of {tenant}", drafted)
    await people_of(house, tenant)


async def connected(house: House, tenant: str) -> None:
    """Customer, project, contract, schedule and invoice of the tenant in its PSA and ERP."""
    samples: list[tuple[str, Any]] = [
        (
            "/erp/v1/customers/cus_acme",
            {"customer": samples_of.customer().model_dump(mode="json"), "legal_entity_code": "HC-DE"},
        ),
        ("/psa/v1/projects/prj_acme", samples_of.plan().model_dump(mode="json")),
        ("/erp/v1/projects/prj_acme", samples_of.plan().model_dump(mode="json")),
        ("/erp/v1/contracts/con_acme", samples_of.contract().model_dump(mode="json")),
        ("/erp/v1/billing-schedules/bs-con_acme", samples_of.schedule().model_dump(mode="json")),
        ("/erp/v1/invoices/inv_acme", samples_of.draft().model_dump(mode="json")),
    ]
    for path, body in samples:
        text = json.dumps(body).replace("_acme", f"_{MARKS[tenant]}").replace('"harbour"', f'"{tenant}"')
        own = path.replace("_acme", f"_{MARKS[tenant]}")
        answer = await house.ask("system", "PUT", own, tenant=tenant, json=json.loads(text))
        assert answer.status_code == 200, f"{path}: {answer.text}"


async def people_of(house: House, tenant: str) -> None:
    """A registered application, a webhook endpoint and a delivery of the tenant."""
    order = {
        "name": f"App of {tenant}",
        "contact": f"dev@{tenant}.example",
        "purpose": "A test",
        "plan": "trial",
        "scopes": ["deals.read"],
    }
    made = await house.ask("experience", "POST", "/clients/v1/clients", tenant=tenant, json=order)
    assert made.status_code == 201, made.text
    # a numbered public address needs no look-up; nothing is ever sent there before an event is told
    hook = {"url": "https://8.8.8.8/hooks", "event_types": ["project.activated"]}
    added = await house.ask("experience", "POST", "/webhooks/v1/endpoints", tenant=tenant, json=hook)
    assert added.status_code == 201, added.text
    await recorded(house, added.json()["id"], tenant)


async def recorded(house: House, endpoint: str, tenant: str) -> None:
    """A message to the endpoint that was delivered long ago."""
    message, delivery = f"msg_{MARKS[tenant]}", f"wdl_{MARKS[tenant]}"
    house.ask_database(
        "experience",
        "INSERT INTO webhook_messages (message_id, tenant, event_type, body, occurred_at)"
        " VALUES (%s, %s, 'project.activated', '{}', now())",
        message,
        tenant,
    )
    house.ask_database(
        "experience",
        "INSERT INTO webhook_deliveries (delivery_id, endpoint_id, message_id, state, attempts, next_at, delivered_at)"
        " VALUES (%s, %s, %s, 'delivered', 1, NULL, now())",
        delivery,
        endpoint,
        message,
    )


def body_of(answer: httpx.Response) -> Any:
    """The JSON of an answer, or its text."""
    try:
        return json.loads(answer.content)
    except ValueError:
        return answer.text
