"""API2, authentication: only the issuer's own, current, addressed access tokens open a tier; guessing is made slow."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from time import time
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from tests.security.house import EXCHANGE, OURS, PASSWORD, THEIRS, TIERS, House, secret_of
from tests.unit.experience.portals.browser import Flow

pytestmark = pytest.mark.asyncio(loop_scope="package")
ASKED = {"system": "/crm/v1/customers", "process": "/kpis/v1/kpis", "experience": "/pmo/v1/kpis"}


def part(value: Any) -> str:
    """A part of a token."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(house: House, tier: str) -> dict[str, str]:
    """Tokens with the right claims that the issuer did not sign that way."""
    claims = house.claims(tier)
    body, own = part(claims), ECKey.generate_key("P-256", {"kid": house.kid})
    public = house.key.as_dict(private=False)
    made = {
        f"alg {name!r}": f"{part({'alg': name, 'typ': 'at+jwt', 'kid': house.kid})}.{body}."
        for name in ("none", "None")
    }
    head = f"{part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': house.kid})}.{body}"
    for what, secret in (("PEM", house.key.as_pem(private=False)), ("JWK", json.dumps(public).encode())):
        made[f"HS256 with the public {what}"] = (
            f"{head}.{part(hmac.new(secret, head.encode(), hashlib.sha256).digest())}"
        )
    rsa = RSAKey.generate_key(2048, {"kid": house.kid})
    made["RS256 under our key's name"] = jwt.encode(
        {"alg": "RS256", "typ": "at+jwt", "kid": house.kid}, claims, rsa, algorithms=["RS256"]
    )
    theirs = own.as_dict(private=False)
    for what, bait in {
        "own key": {},
        "jwk": {"jwk": theirs},
        "jku": {"jku": "https://evil.example/jwks.json"},
        "x5u": {"x5u": "https://evil.example/key.pem"},
    }.items():
        stated = {"alg": "ES256", "typ": "at+jwt", "kid": house.kid} | bait
        made[f"{what} in the header"] = jwt.encode(stated, claims, own)
    for kid in ("../../etc/passwd", "' OR 1=1 --", "http://127.0.0.1:1/key", ""):
        made[f"kid {kid!r}"] = jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": kid}, claims, own)
    good = house.token(tier)
    made["another body under a good signature"] = ".".join(
        [good.split(".")[0], part(house.claims(tier, THEIRS)), good.split(".")[2]]
    )
    made["a critical demand we do not know"] = (
        f"{part({'alg': 'ES256', 'typ': 'at+jwt', 'kid': house.kid, 'crit': ['b64'], 'b64': False})}."
        + good.partition(".")[2]
    )
    return made


@pytest.mark.parametrize("tier", TIERS)
async def test_only_what_the_issuer_signed_for_this_tier_and_this_moment_opens_it(house: House, tier: str) -> None:
    now = int(time())
    others = [one for one in TIERS if one != tier]
    bad = forged(house, tier) | {
        **{f"for the {one} tier": house.token(tier, aud=[f"throughline-{one}"]) for one in others},
        "for nobody": house.token(tier, aud=None),
        "another issuer": house.token(tier, iss="https://evil.example"),
        "our issuer with a slash": house.token(tier, iss=f"{house.issuer}/"),
        "expired": house.token(tier, iat=now - 900, nbf=now - 900, exp=now - 120),
        "without end": house.token(tier, exp=None),
        "not yet valid": house.token(tier, nbf=now + 300),
        "issued in the future": house.token(tier, iat=now + 300, exp=now + 900),
        "end as text": house.token(tier, exp="tomorrow"),
        "of no tenant": house.token(tier, tenant=None),
        "tenant as a list": house.token(tier, tenant=[OURS, THEIRS]),
        "of nobody": house.token(tier, sub=None),
        "without number": house.token(tier, jti=None),
        "an identity token": house.token(tier, header={"typ": "JWT"}),
        "a logout token": house.token(tier, header={"typ": "logout+jwt"}),
        "a client's assertion": house.token(tier, header={"typ": "client-authentication+jwt"}),
        "bound to a key, without proof": house.token(tier, cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
        "a password": PASSWORD,
        "huge": "a" * 20_000,
    }
    assert (await house.ask(tier, "GET", ASKED[tier])).status_code == 200
    wrong: list[str] = []
    for what, token in bad.items():
        answer = await house.ask(tier, "GET", ASKED[tier], token=token)
        if answer.status_code not in {401, 431} or (
            answer.status_code == 401 and "www-authenticate" not in answer.headers
        ):
            wrong.append(f"{what}: {answer.status_code} {answer.text[:200]}")
    bound = {"authorization": f"DPoP {bad['bound to a key, without proof']}"}
    if (await house.ask(tier, "GET", ASKED[tier], token=None, headers=bound)).status_code != 401:
        wrong.append("a bound token under its own scheme needs a proof all the same")
    query = await house.ask(tier, "GET", f"{ASKED[tier]}?access_token={house.token(tier)}", token=None)
    if query.status_code != 401:
        wrong.append(f"a token in the address: {query.status_code}")
    assert not wrong, "\n".join(wrong)


async def test_real_tokens_of_one_door_do_not_open_another(house: House) -> None:
    outer = await house.real_token(f"{OURS}-pmo")
    inner = await house.real_token(
        "tier-experience",
        grant_type=EXCHANGE,
        subject_token=outer,
        subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        audience="throughline-process",
    )
    machine = await house.real_token("tier-process", audience="throughline-system")
    opened = {
        (what, tier)
        for what, token in {"outer": outer, "inner": inner, "machine": machine}.items()
        for tier in TIERS
        if (await house.ask(tier, "GET", ASKED[tier], token=token)).status_code == 200
    }
    assert opened == {("outer", "experience"), ("inner", "process"), ("machine", "system")}


async def test_what_a_portal_holds_besides_its_access_token_opens_nothing(house: House) -> None:
    reader = house.browser()
    await reader.logs_in("carla", PASSWORD)
    flow = Flow(scope="openid profile customer.read")
    await reader.visits(flow.address)
    code = reader.landed["code"]
    form = flow.redemption(code)
    portal = ("portal", secret_of("portal"))
    told = (await house.http.post(f"{house.issuer}/oauth/token", data=form, auth=portal)).json()
    assert (
        await house.ask("experience", "GET", "/customer/v1/projects", token=told["access_token"])
    ).status_code == 200
    for name in ("id_token", "refresh_token"):
        assert (await house.ask("experience", "GET", "/customer/v1/projects", token=told[name])).status_code == 401, (
            name
        )
    # a code counts once; used again it takes back what it brought
    again = await house.http.post(f"{house.issuer}/oauth/token", data=form, auth=portal)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    active = await house.http.post(
        f"{house.issuer}/oauth/introspect", data={"token": told["access_token"]}, auth=portal
    )
    assert active.json() == {"active": False}


async def test_a_revoked_token_ends_at_once_at_the_issuers_own_door(house: House) -> None:
    token = await house.real_token(f"{OURS}-pmo")
    client = (f"{OURS}-pmo", secret_of(f"{OURS}-pmo"))
    stranger = (f"{THEIRS}-pmo", secret_of(f"{THEIRS}-pmo"))
    await house.http.post(f"{house.issuer}/oauth/revoke", data={"token": token}, auth=stranger)
    told = await house.http.post(f"{house.issuer}/oauth/introspect", data={"token": token}, auth=stranger)
    assert told.json() == {"active": False}, "another tenant's client learns nothing"
    told = await house.http.post(f"{house.issuer}/oauth/introspect", data={"token": token}, auth=client)
    assert told.json()["active"], "another tenant's client takes nothing back"
    await house.http.post(f"{house.issuer}/oauth/revoke", data={"token": token}, auth=client)
    told = await house.http.post(f"{house.issuer}/oauth/introspect", data={"token": token}, auth=client)
    assert told.json() == {"active": False}


async def test_guessing_secrets_and_passwords_is_throttled_and_tells_nothing(house: House) -> None:
    async def guess(client: str) -> tuple[int, str]:
        answer = await house.http.post(
            f"{house.issuer}/oauth/token", data={"grant_type": "client_credentials"}, auth=(client, uuid4().hex)
        )
        return answer.status_code, str(answer.json()["error"])

    known = [await guess(f"{THEIRS}-operator") for _ in range(12)]
    unknown = [await guess("nobody-at-all") for _ in range(12)]
    assert known == unknown, "whether a client exists does not show"
    assert known[0] == (401, "invalid_client")
    assert known[-1][0] == 429
    pages: dict[str, list[int]] = {}
    for name in (f"pmo-{THEIRS}", "nobody"):
        guesser = house.browser()
        await guesser.visits("/login")
        pages[name] = []
        for _ in range(7):
            answer = await guesser.sends_only(name=name, password=uuid4().hex)
            pages[name].append(answer.status_code)
    assert pages[f"pmo-{THEIRS}"] == pages["nobody"], pages
    assert 429 in pages["nobody"], pages
