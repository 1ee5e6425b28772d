"""People of another OpenID provider (idpyoidc) at the experience tier's door, and behind it as themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from experience_apis.identity.providers import Providers, read_providers
from experience_apis.identity.roles import role_book
from shared.gateway.policies.jwt.keys import IssuerKeys

from .provider import ForeignProvider, foreign_provider
from .tier import Tier, running_tier

BOARD: dict[str, Any] = {"items": [], "next_cursor": None}
PEOPLE: dict[str, dict[str, Any]] = {
    "ada": {"sub": "ada", "groups": ["Delivery Office", "Chess club"], "org": "acme-de", "buyers": ["cus_1"]},
    "bob": {"sub": "bob", "groups": ["Chess club"], "org": "acme-de"},
    "cleo": {"sub": "cleo", "groups": ["Delivery Office"], "org": "unheard-of"},
    "dan": {"sub": "dan", "groups": ["Delivery Office"]},
    "eve": {"sub": "eve", "groups": ["Delivery Office"], "org": ["acme-de", "acme-fr"]},
}


def entry(issuer: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": "acme",
        "issuer": issuer,
        "audience": "harbour-desk",
        "algorithms": ["ES256"],
        "token_types": ["none"],
        "must_say": {"token_class": "access_token"},
        "tenant": {"claim": "org", "values": {"acme-de": "harbour", "acme-fr": "orchard"}},
        "roles": {"claim": "groups", "values": {"Delivery Office": "pmo"}},
        "plan": "partner",
    } | changes


@dataclass
class Firm:
    """Our tier and their provider."""

    tier: Tier
    provider: ForeignProvider

    async def board(self, token: str) -> httpx.Response:
        return await self.tier.client.get("/pmo/v1/board", headers={"authorization": f"Bearer {token}"})


@pytest.fixture
async def firm(
    monkeypatch: pytest.MonkeyPatch, postgres_url: str, clients_file: Path, tmp_path: Path
) -> AsyncIterator[Firm]:
    made = IssuerKeys.__init__
    monkeypatch.setattr(IssuerKeys, "__init__", lambda self, *a, **k: made(self, *a, **{**k, "pause": 0.2}))
    async with foreign_provider(tmp_path, PEOPLE) as provider:
        file = tmp_path / "issuers.yaml"
        file.write_text(yaml.safe_dump({"trusted_issuers": [entry(provider.issuer)]}), "utf-8")
        monkeypatch.setenv("THROUGHLINE_EXPERIENCE_TRUSTED_ISSUERS_FILE", str(file))
        async with running_tier(monkeypatch, postgres_url, clients_file) as tier:
            tier.process.says("GET /quote-to-project/v1/runs", BOARD)
            yield Firm(tier, provider)


async def test_a_person_of_the_provider_works_here_and_inner_tiers_see_who_and_through_whom(firm: Firm) -> None:
    ada = await firm.provider.logs_in("ada")
    answer = await firm.board(ada["access_token"])
    assert answer.status_code == 200, answer.text
    said = firm.tier.process.heard[-1].claims()
    assert said["sub"] == "acme:ada"
    assert said["tenant"] == "harbour"
    assert said["act"] == {"sub": "tier-experience", "client_id": "tier-experience"}
    assert said["origin"]["client_id"] == "acme:harbour-desk"
    assert said["iss"] != firm.provider.issuer

    # claims that mean nothing here are refused with the reason, and an ID token is no access token
    reasons = {"bob": "`groups`", "cleo": "`org`", "dan": "`org`", "eve": "`org`"}
    for who, reason in reasons.items():
        refused = await firm.board((await firm.provider.logs_in(who))["access_token"])
        assert refused.status_code == 403
        assert reason in refused.json()["detail"]
    shown = await firm.board(ada["id_token"])
    assert shown.status_code == 401

    # the provider changes its keys: new tokens count at once, those of the old key no longer
    unseen = (await firm.provider.logs_in("ada"))["access_token"]
    firm.provider.rekey()
    await asyncio.sleep(0.25)
    fresh = (await firm.provider.logs_in("ada"))["access_token"]
    assert (await firm.board(fresh)).status_code == 200
    assert "unknown key" in (await firm.board(unseen)).json()["detail"]

    # what is no good at the door is no good at the token exchange either
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": "throughline-process",
    }
    auth = ("tier-experience", "tier-experience-secret-01")
    for token in (unseen, ada["id_token"], (await firm.provider.logs_in("bob"))["access_token"]):
        answer = await firm.tier.client.post("/oauth/token", data={**form, "subject_token": token}, auth=auth)
        assert answer.status_code == 400
    # the provider's discovery was read once, not with every key
    assert firm.provider.asked.count("/.well-known/openid-configuration") <= 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"roles": {"claim": "groups", "values": {"x": "king"}}}, "no such role: king"),
        ({"must_say": {}}, "ID tokens would be taken"),
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"tenant": None}, "tenant"),
        ({"surprise": 1}, "surprise"),
        ({"issuer": "http://ours.test"}, "is this issuer itself"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    file = tmp_path / "issuers.yaml"
    file.write_text(
        yaml.safe_dump({"trusted_issuers": [entry(**{"issuer": "https://acme.example", **changes})]}), "utf-8"
    )
    with pytest.raises(ValueError, match=told) as caught:
        read_providers(file, role_book(), own="http://ours.test")
    assert str(file) in str(caught.value)


def test_two_providers_are_told_apart_by_name_and_issuer(tmp_path: Path) -> None:
    file = tmp_path / "issuers.yaml"
    twice = {"trusted_issuers": [entry("https://acme.example"), entry("https://other.example")]}
    file.write_text(yaml.safe_dump(twice), "utf-8")
    with pytest.raises(ValueError, match="same name"):
        read_providers(file, role_book(), own="http://ours.test")
    assert read_providers(None, role_book(), own="http://ours.test") == ()


def test_nested_claims_and_limits_to_customers_are_read(tmp_path: Path) -> None:
    file = tmp_path / "issuers.yaml"
    changed = entry(
        "https://acme.example",
        roles={"claim": "realm_access.roles", "values": {"buyer": "customer"}},
        tenant="harbour",
        customers_claim="buyers",
        plan={"claim": "tier", "values": {"gold": "partner"}},
    )
    file.write_text(yaml.safe_dump({"trusted_issuers": [changed]}), "utf-8")
    named = read_providers(file, role_book(), own="http://ours.test")
    (trusted,) = Providers(named, role_book(), audience="throughline-experience").trusted
    said: dict[str, Any] = {
        "iss": "https://acme.example",
        "sub": "u1",
        "azp": "app",
        "aud": "harbour-desk",
        "exp": 2e9,
        "iat": 1e9,
        "jti": "j",
        "realm_access": {"roles": ["buyer"]},
        "tier": "gold",
        "buyers": ["cus_1", "cus_2"],
    }
    claims = trusted.read({**said, "token_class": "access_token"})
    assert claims.customers == ["cus_1", "cus_2"]
    assert (claims.plan, claims.client_id) == ("partner", "acme:app")
    assert "customer.read" in claims.scope.split()
    assert "deals.read" not in claims.scope.split()
    # no claim about customers means none, never all
    assert trusted.read({**said, "token_class": "access_token", "buyers": None}).customers == []
