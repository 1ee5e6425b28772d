"""Clients from the wish to the end: registered, approved, rotated, ended; each tenant and developer sees their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jwt as pyjwt  # an independent reader of our tokens
import pytest
from joserfc.jwk import ECKey

from experience_apis.desk.clients import Asker
from shared.errors.taxonomy import InvalidRequest

from .tier import Tier, running_tier

WISH: dict[str, Any] = {
    "name": "Harbour reports",
    "contact": "devi@harbour.example",
    "purpose": "A nightly report",
    "plan": "trial",
    "scopes": ["deals.read", "kpis.read"],
}


@pytest.fixture
async def tier(monkeypatch: pytest.MonkeyPatch, postgres_url: str, clients_file: Path) -> AsyncIterator[Tier]:
    async with running_tier(monkeypatch, postgres_url, clients_file) as running:
        yield running


async def post(tier: Tier, who: str, path: str, body: dict[str, Any], key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"idempotency-key": key}
    return await tier.ask(who, "POST", f"/clients/v1/clients{path}", json=body, headers=headers)


async def works(tier: Tier, client_id: str, secret: str) -> bool:
    answer = await tier.client.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=(client_id, secret))
    return answer.status_code == 200


async def test_a_client_is_asked_for_approved_rotated_and_ended(tier: Tier) -> None:
    # asked for: the secret is shown once, and a repeat names the same client without it
    made = await post(tier, "devi", "", WISH, key="k-1")
    assert made.status_code == 201, made.text
    assert made.headers["cache-control"] == "no-store"
    client, secret = made.json(), made.json()["client_secret"]
    name = client["client_id"]
    assert made.headers["location"] == f"/clients/v1/clients/{name}"
    assert (client["state"], client["scopes"], client["scopes_wished"]) == (
        "requested",
        [],
        ["deals.read", "kpis.read"],
    )
    assert secret.startswith("tlcs_")
    again = await post(tier, "devi", "", WISH, key="k-1")
    assert (again.json()["client_id"], again.json()["client_secret"]) == (name, None)
    assert (await post(tier, "devi", "", {**WISH, "name": "Other"}, key="k-1")).json()[
        "code"
    ] == "key_reused_differently"
    assert (await post(tier, "devi", "", WISH)).status_code in {400, 422}
    assert not await works(tier, name, secret)

    # seen by its owner and the tenant's administrator, by nobody else
    for who, status in (("devi", 200), ("amy", 200), ("dora", 404), ("other-amy", 404), ("fiona", 403)):
        assert (await tier.ask(who, "GET", f"/clients/v1/clients/{name}")).status_code == status, who
    for who, count in (("devi", 1), ("dora", 0), ("other-amy", 0)):
        shown = (await tier.ask(who, "GET", "/clients/v1/clients", params={"state": "requested"})).json()
        assert len(shown["items"]) == count
    everything = (await tier.ask("amy", "GET", "/clients/v1/clients")).text
    assert secret not in everything
    assert "argon2" not in everything
    assert "tier-experience" not in everything  # tiers are nobody's to end

    # approved by an administrator of the tenant, with no more than was asked for
    grant = {"plan": "standard", "scopes": ["deals.read"]}
    for who, status in (("devi", 403), ("other-amy", 404)):
        assert (await post(tier, who, f"/{name}/approval", grant)).status_code == status
    more = await post(tier, "amy", f"/{name}/approval", {**grant, "scopes": ["deals.read", "billing.run"]})
    assert (more.status_code, more.json()["errors"][0]["field"]) == (422, "scopes")
    internal = await post(tier, "amy", f"/{name}/approval", {**grant, "plan": "internal"})
    assert internal.status_code == 422
    for _ in range(2):
        approved = await post(tier, "amy", f"/{name}/approval", grant)
        assert (approved.status_code, approved.json()["state"], approved.json()["decided_by"]) == (200, "active", "amy")
    assert (await post(tier, "amy", f"/{name}/rejection", {"reason": "late"})).status_code == 409
    assert await works(tier, name, secret)

    # rotated with an overlap: both secrets count; at once: the old ones and their tokens end
    fresh = (await post(tier, "devi", f"/{name}/secrets", {"overlap_hours": 2}, key="r-1")).json()
    assert (await post(tier, "devi", f"/{name}/secrets", {"overlap_hours": 2}, key="r-1")).json()[
        "client_secret"
    ] is None
    assert len(fresh["secrets"]) == 2
    assert sum(one["expires_at"] is not None for one in fresh["secrets"]) == 1
    assert await works(tier, name, secret)
    assert await works(tier, name, fresh["client_secret"])
    leaked = await post(tier, "devi", f"/{name}/secrets", {"overlap_hours": 0}, key="r-2")
    assert [await works(tier, name, one) for one in (secret, fresh["client_secret"])] == [False, False]
    assert await works(tier, name, leaked.json()["client_secret"])
    assert (await post(tier, "dora", f"/{name}/secrets", {}, key="r-3")).status_code == 404

    # ended
    for _ in range(2):
        assert (await post(tier, "devi", f"/{name}/end", {"reason": "no longer needed"})).json()["state"] == "disabled"
    assert not await works(tier, name, leaked.json()["client_secret"])
    assert (await post(tier, "devi", f"/{name}/secrets", {}, key="r-4")).status_code == 409


async def test_wishes_that_cannot_be_granted_are_told_field_by_field(tier: Tier) -> None:
    grant = {"plan": "standard", "scopes": ["deals.read"]}
    key = ECKey.generate_key("P-256")
    for number, (changes, field) in enumerate(
        [
            ({"plan": "internal"}, "plan"),
            ({"scopes": ["clients.approve"]}, "scopes"),
            ({"scopes": ["customer.read"]}, "scopes"),
            ({"redirect_uris": ["http://evil.example/back"]}, "redirect_uris.0"),
            ({"redirect_uris": ["https://*.example/back"]}, "redirect_uris.0"),
            ({"auth_method": "private_key_jwt"}, "jwks"),
            ({"auth_method": "none"}, "jwks"),
            ({"jwks": {"keys": [key.as_dict(private=False)]}}, "jwks"),
            ({"auth_method": "private_key_jwt", "jwks": {"keys": [key.as_dict(private=True)]}}, "jwks"),
            ({"auth_method": "private_key_jwt", "jwks_uri": "https://169.254.169.254/keys"}, "jwks_uri"),
            ({"auth_method": "private_key_jwt", "jwks_uri": "http://acme.example/keys"}, "jwks_uri"),
        ]
    ):
        refused = await post(tier, "devi", "", {**WISH, **changes}, key=f"bad-{number}")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field), refused.text
    for extra in ({"tenant": "other"}, {"state": "active"}, {"client_id": "tier-process"}, {"subject": "amy"}):
        assert (await post(tier, "devi", "", {**WISH, **extra}, key="extra")).status_code == 422

    # with keys there is no secret; and an administrator does not approve what they registered themselves
    signing = await post(
        tier,
        "amy",
        "",
        {**WISH, "auth_method": "private_key_jwt", "jwks": {"keys": [key.as_dict(private=False)]}},
        key="s",
    )
    assert (signing.status_code, signing.json()["client_secret"]) == (201, None)
    own = await post(tier, "amy", f"/{signing.json()['client_id']}/approval", grant)
    assert (own.status_code, own.json()["code"]) == (403, "same_requester")
    rejected = await post(tier, "devi", "", WISH, key="k-2")
    said = await post(tier, "amy", f"/{rejected.json()['client_id']}/rejection", {"reason": "no contract"})
    assert (said.json()["state"], said.json()["reason"]) == ("rejected", "no contract")
    assert not await works(tier, rejected.json()["client_id"], rejected.json()["client_secret"])


async def test_an_approval_may_bind_a_client_to_customers_and_its_tokens_say_so(tier: Tier) -> None:
    made = (await post(tier, "devi", "", WISH, key="b-1")).json()
    name, secret = made["client_id"], made["client_secret"]
    grant = {"plan": "standard", "scopes": ["deals.read"], "customers": ["cus_b", "cus_a"]}
    for bad in ([], ["a b"], ["-"], [f"cus_{number}" for number in range(1001)]):
        assert (await post(tier, "amy", f"/{name}/approval", {**grant, "customers": bad})).status_code == 422
    assert made["customers"] is None
    for _ in range(2):
        approved = await post(tier, "amy", f"/{name}/approval", grant)
        assert (approved.status_code, approved.json()["customers"]) == (200, ["cus_a", "cus_b"])
    for other in (None, ["cus_a"]):
        assert (await post(tier, "amy", f"/{name}/approval", {**grant, "customers": other})).status_code == 409
    answer = await tier.client.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=(name, secret))
    claims = pyjwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert claims["customers"] == ["cus_a", "cus_b"]
    # whatever happens to the client later, its bound stays
    assert (await post(tier, "devi", f"/{name}/secrets", {}, key="b-2")).json()["customers"] == ["cus_a", "cus_b"]
    ended = await post(tier, "devi", f"/{name}/end", {"reason": "no longer needed"})
    assert ended.json()["customers"] == ["cus_a", "cus_b"]


async def test_the_desk_itself_refuses_customers_that_are_none(tier: Tier) -> None:
    # the page for administrators asks the desk without the API's models
    name = (await post(tier, "devi", "", WISH, key="d-1")).json()["client_id"]
    desk, amy = tier.app.state.client_desk, Asker("harbour", "amy", may_see_all=True)
    for bad in (frozenset[str](), frozenset({"cus a"}), frozenset(f"cus_{number}" for number in range(1001))):
        with pytest.raises(InvalidRequest) as refused:
            await desk.approve_client(amy, name, plan="trial", scopes=frozenset({"deals.read"}), customers=bad)
        assert refused.value.findings[0].field == "customers"
