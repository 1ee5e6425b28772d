"""What the issuer takes back no longer counts in any tier within ten seconds; key changes are noticed by nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from experience_apis.identity.keys import ANNOUNCED_BEFORE, KeyRing, Seal
from experience_apis.identity.revocation_store import Revocations
from experience_apis.identity.store import IdentityStore
from shared.identity.revocations import Withdrawn
from shared.persistence.database import Database
from shared.serving.app import build_app
from tests.serving import listener, serving
from tests.unit.gateway.door import Things, documents, routes, settings

from .conftest import SECRETS
from .tier import Tier, running_tier

BOUND_SECONDS = 10.0
SCOPES = {"system": "crm.read", "process": "deals.read"}
CLIENTS = {"system": "tier-system", "process": "tier-process"}


@asynccontextmanager
async def inner_tier(name: str, issuer: str) -> AsyncGenerator[httpx.AsyncClient]:
    """A tier of that name with the real gate, following the issuer with its own client over HTTP."""
    operations: dict[str, Any] = {
        "GET /things/{id}": {"scopes": [SCOPES[name]]},
        "GET /things": {"scopes": [SCOPES[name]]},
        "POST /things": {"scopes": [SCOPES[name]]},
        "GET /open": {"public": "Shows what a public operation is"},
    }
    app = build_app(
        tier="system",
        title=name,
        routers=[routes(Things())],
        settings=settings(
            issuer_url=issuer,
            audience=f"throughline-{name}",
            client_id=CLIENTS[name],
            client_secret=SECRETS[CLIENTS[name]],
            log_level="error",
        ),
        gateway=documents(operations=operations),
    )
    bound, url = listener()
    async with serving(app, bound, lifespan="on"), httpx.AsyncClient(base_url=url, timeout=20) as client:
        yield client


@dataclass
class Platform:
    """Three tiers, and hands inside the issuer."""

    tier: Tier
    system: httpx.AsyncClient
    process: httpx.AsyncClient
    revocations: Revocations
    keys: KeyRing

    async def token(self, client: str, **form: str) -> str:
        answer = await self.tier.client.post(
            "/oauth/token", data={"grant_type": "client_credentials", **form}, auth=(client, SECRETS[client])
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def inner(self, outer: str) -> str:
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": outer,
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "audience": "throughline-process",
        }
        return await self.token("tier-experience", **form)

    async def asks(self, where: str, token: str) -> int:
        """The status of a read with this token at one of the tiers."""
        headers = {"authorization": f"Bearer {token}"}
        if where == "experience":
            return (await self.tier.client.get("/pmo/v1/approvals", headers=headers)).status_code
        client = self.system if where == "system" else self.process
        return (await client.get("/things/v1/things", headers=headers)).status_code


@pytest.fixture
async def platform(monkeypatch: pytest.MonkeyPatch, postgres_url: str, clients_file: Path) -> AsyncIterator[Platform]:
    async with AsyncExitStack() as stack:
        tier = await stack.enter_async_context(running_tier(monkeypatch, postgres_url, clients_file))
        tier.process.says("GET /approvals/v1/approvals", {"items": [], "next_cursor": None})
        issuer = str(tier.client.base_url).rstrip("/")
        system = await stack.enter_async_context(inner_tier("system", issuer))
        process = await stack.enter_async_context(inner_tier("process", issuer))
        database = Database(postgres_url, pool=3)
        stack.push_async_callback(database.aclose)
        ring = KeyRing(IdentityStore(database), Seal("a sealing key of tests"))
        await ring.open()
        yield Platform(tier, system, process, Revocations(database), ring)


async def test_whatever_is_withdrawn_ends_in_every_tier_within_the_bound_and_keys_change_unnoticed(
    platform: Platform,
) -> None:
    good = {
        "token": await platform.token("fiona", audience="throughline-experience"),
        "client": await platform.token("dan"),
        "subject": await platform.token("fiona"),
        "untouched": await platform.token("partner-demo"),
    }
    machine = await platform.token("tier-process", audience="throughline-system")
    inner = {name: await platform.inner(good[name]) for name in ("token", "client", "subject")}
    for name in ("token", "client", "subject"):
        assert await platform.asks("experience", good[name]) == 200
        assert await platform.asks("process", inner[name]) == 200
    assert await platform.asks("system", machine) == 200

    # a new key is announced: every tier, none restarted, goes on with tokens of the old one
    old = (await platform.keys.current()).kid
    fresh = await platform.keys.rotate()
    published = (await platform.tier.client.get("/.well-known/jwks.json")).json()["keys"]
    assert old in {key["kid"] for key in published}
    assert [key.state for key in await platform.keys.listed()] == ["signing", "announced"]

    # a token by its owner, a client by an administrator, a person by whoever looks after people
    withdrawn_at = time.monotonic()
    revoked = await platform.tier.client.post(
        "/oauth/revoke", data={"token": good["token"]}, auth=("fiona", SECRETS["fiona"])
    )
    assert revoked.status_code == 200
    administrator = {"authorization": f"Bearer {await platform.token('amy')}"}
    ended = await platform.tier.client.post(
        "/clients/v1/clients/dan/end", json={"reason": "left the firm"}, headers=administrator
    )
    assert ended.status_code == 200, ended.text
    assert (await platform.tier.client.get("/clients/v1/clients/dan", headers=administrator)).json()[
        "state"
    ] == "disabled"
    await platform.revocations.withdraw(Withdrawn.SUBJECT, "fiona.berg", tenant="harbour", reason="left")
    outer_and_inner = [
        (where, held[name]) for name in inner for where, held in (("experience", good), ("process", inner))
    ]
    await all_refused(platform, set(outer_and_inner), withdrawn_at)
    refused = await platform.tier.client.post(
        "/oauth/token", data={"grant_type": "client_credentials"}, auth=("dan", SECRETS["dan"])
    )
    assert refused.status_code == 401

    # the signing key leaks: whatever it signed ends everywhere, and another key signs from that moment
    assert await platform.asks("system", machine) == 200
    assert await platform.keys.revoke(old, reason="leaked")
    await platform.revocations.withdraw(Withdrawn.KEY, old, reason="leaked")
    await all_refused(platform, {("experience", good["untouched"]), ("system", machine)}, time.monotonic())
    states = {key.kid: key.state for key in await platform.keys.listed()}
    assert states[old] == "retired"
    assert states[fresh] == "announced"
    assert list(states.values()).count("signing") == 1
    anew = await platform.token("tier-process", audience="throughline-system")
    assert await platform.asks("system", anew) == 200
    assert ANNOUNCED_BEFORE.total_seconds() > 300  # the longest any tier keeps keys without asking

    # the feed is for tiers only, and told in order
    assert (await platform.tier.client.get("/oauth/revocations", headers=administrator)).status_code in {401, 403}
    tier_token = await platform.token("tier-system")
    told = await platform.tier.client.get(
        "/oauth/revocations", params={"limit": 2}, headers={"authorization": f"Bearer {tier_token}"}
    )
    assert told.status_code == 200
    assert [item["kind"] for item in told.json()["items"]] == ["token", "client"]
    assert told.json()["has_more"]


async def all_refused(platform: Platform, waiting: set[tuple[str, str]], since: float) -> None:
    """Ask again and again until every token is refused; the bound holds from the moment of the withdrawal."""
    while waiting:
        for where, token in list(waiting):
            if await platform.asks(where, token) == 401:
                waiting.discard((where, token))
        assert time.monotonic() - since < BOUND_SECONDS, waiting
        await asyncio.sleep(0.1)
