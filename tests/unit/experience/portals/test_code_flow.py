"""Authorization code with PKCE, from the portal's request to its tokens, with every refusal on the way."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import jwt as pyjwt
import pytest
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import ECKey

from .browser import DONE, ISSUER, Browser, Flow
from .conftest import OTHER_PORTAL, PORTAL, PortalHouse

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def verified(house: PortalHouse, token: str, audience: str) -> dict[str, Any]:
    keys = pyjwt.PyJWKSet.from_json((await house.get("/.well-known/jwks.json")).text)
    return pyjwt.decode(token, keys.keys[0].key, algorithms=["ES256"], audience=audience, issuer=ISSUER)


async def logged_in(house: PortalHouse, name: str = "paul") -> Browser:
    browser = house.browser()
    await browser.logs_in(name)
    return browser


async def test_a_person_logs_in_agrees_and_the_portal_gets_tokens_that_say_who_it_is(house: PortalHouse) -> None:
    browser, flow = house.browser(), Flow(scope="openid profile email deals.read deals.write billing.run")
    page = await browser.visits(flow.address)
    assert page.url.path == "/login"
    await browser.sends(name=" Paul ", password="kettle on a paul tuesday")
    assert "Delivery cockpit asks to act for you, Paul Ott" in browser.text
    assert "See deals and projects" in browser.text
    assert "Start billing runs" not in browser.text, "a PMO has no such right to lend"
    await browser.sends(decision="allow", remember="yes")
    landed = browser.landed
    assert landed["state"] == "the state & more"
    assert landed["iss"] == ISSUER
    answer = await house.post("/oauth/token", flow.redemption(landed["code"]))
    tokens = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert tokens["token_type"] == "Bearer"
    assert tokens["scope"] == "deals.read deals.write email openid profile"

    claims = await verified(house, tokens["access_token"], "throughline-experience")
    told = await verified(house, tokens["id_token"], "portal")
    assert claims["sub"] == told["sub"] == "pmo-paul", "the same person that approvals know"
    assert (claims["tenant"], claims["client_id"], claims["sid"]) == ("harbour", "portal", told["sid"])
    assert claims["auth_time"] == told["auth_time"] <= claims["iat"]
    assert (told["nonce"], told["name"], told["email"]) == ("n-0S6_WzA2Mj", "Paul Ott", "paul@harbour.example")
    half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert told["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()

    who = (await house.get("/oauth/userinfo", tokens["access_token"])).json()
    assert who == {
        "sub": "pmo-paul",
        "tenant": "harbour",
        "name": "Paul Ott",
        "preferred_username": "paul",
        "roles": ["pmo"],
        "email": "paul@harbour.example",
    }
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await browser.http.post("/oauth/userinfo", headers=bearer)).json() == who, "OpenID Connect Core §5.3"

    again = await browser.visits(Flow(scope="openid deals.read").address)
    assert again.status_code == 303, "neither login nor consent are asked for twice"
    assert browser.landed["code"]
    await browser.visits(Flow(scope="openid deals.read kpis.read").address)
    assert "See key figures" in browser.text, "more than was agreed to is asked for"
    await browser.sends(decision="deny")
    assert browser.landed["error"] == "access_denied"
    assert browser.landed["iss"] == ISSUER


async def test_a_portal_of_ours_asks_for_no_consent_and_needs_no_secret(house: PortalHouse) -> None:
    browser, flow = await logged_in(house, "dora"), Flow(client_id="own-portal", scope="openid clients.read deals.read")
    code = await house.code(browser, flow)
    form = {**flow.redemption(code), "client_id": "own-portal"}
    tokens = (await house.post("/oauth/token", form, auth=None)).json()
    assert tokens["scope"] == "clients.read openid"
    asked = {"token": tokens["refresh_token"], "client_id": "own-portal"}
    assert (await house.post("/oauth/introspect", asked, auth=None)).status_code == 401
    machine = {"grant_type": "client_credentials", "client_id": "own-portal"}
    assert (await house.post("/oauth/token", machine, auth=None)).json()["error"] == "invalid_client"
    stranger = {**flow.redemption("whatever"), "client_id": "portal"}
    assert (await house.post("/oauth/token", stranger, auth=None)).status_code == 401, "a secret cannot be left out"
    assert (await house.post("/oauth/revoke", asked, auth=None)).status_code == 200
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": "own-portal"}
    assert (await house.post("/oauth/token", refresh, auth=None)).json()["error"] == "invalid_grant"
    assert not await house.counts(tokens["access_token"])


async def test_a_customers_person_carries_its_customers_in_the_token(house: PortalHouse) -> None:
    browser = await logged_in(house, "carl")
    house.runs("UPDATE oauth_clients SET scopes = scopes || '{customer.read}' WHERE client_id = 'portal'")
    tokens = await house.tokens(browser, Flow(scope="openid customer.read deals.read"))
    claims = await verified(house, tokens["access_token"], "throughline-experience")
    assert claims["customers"] == ["cus_a", "cus_b"]
    assert tokens["scope"] == "customer.read openid"
    assert (await house.get("/oauth/userinfo", tokens["access_token"])).json()["sub"] == "carl"

    # a portal bound to customers opens those which the person may see too
    for bound, left in (("{cus_b,cus_c}", ["cus_b"]), ("{cus_c}", [])):
        house.runs(f"UPDATE oauth_clients SET customers = '{bound}' WHERE client_id = 'portal'")
        tokens = await house.tokens(browser, Flow(scope="openid customer.read"))
        assert (await verified(house, tokens["access_token"], "throughline-experience"))["customers"] == left


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"client_id": "nobody"}, "There is no such client."),
        ({"client_id": ""}, "There is no such client."),
        ({"redirect_uri": ""}, "redirect_uri is not one"),
        ({"redirect_uri": DONE + "/"}, "redirect_uri is not one"),
        ({"redirect_uri": DONE + "?from=throughline&more=1"}, "redirect_uri is not one"),
        ({"redirect_uri": "https://portal.example.evil.example/done"}, "redirect_uri is not one"),
        ({"redirect_uri": 'https://evil.example/"<script>'}, "redirect_uri is not one"),
        ({"client_id": "machine"}, "redirect_uri is not one"),
        ({"state": "ü"}, "not plain ASCII"),
    ],
)
async def test_a_request_whose_portal_is_in_doubt_ends_on_a_page_of_ours(
    house: PortalHouse, change: dict[str, str], reason: str
) -> None:
    browser = house.browser()
    page = await browser.visits(Flow(extra=change).address)
    assert page.status_code == 400
    assert reason in browser.text
    assert "location" not in page.headers


async def test_a_parameter_given_twice_is_refused_on_a_page_of_ours(house: PortalHouse) -> None:
    browser = house.browser()
    for name in ("client_id", "redirect_uri", "scope", "code_challenge", "state"):
        page = await browser.visits(f"{Flow().address}&{urlencode({name: 'other'})}")
        assert page.status_code == 400, name
    assert (await browser.visits(f"{Flow().address}&{'&'.join(['a=b'] * 60)}")).status_code == 400


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": ""}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"request_uri": "https://portal.example/r"}, "request_uri_not_supported"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "too-short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"scope": "deals.read no.such"}, "invalid_scope"),
        ({"scope": "clients.read"}, "invalid_scope"),
        ({"prompt": "none"}, "login_required"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"dpop_jkt": "short"}, "invalid_request"),
    ],
)
async def test_a_wrong_request_of_a_known_portal_is_told_to_it_with_state_and_issuer(
    house: PortalHouse, change: dict[str, str], error: str
) -> None:
    browser = house.browser()
    page = await browser.visits(Flow(extra=change).address)
    assert page.status_code == 303, page.text
    landed = browser.landed
    assert (landed["error"], landed["state"], landed["iss"]) == (error, "the state & more", ISSUER)
    assert "code" not in landed


async def test_nobody_gets_what_roles_or_tenant_do_not_give(house: PortalHouse) -> None:
    browser = await logged_in(house, "paul")
    await browser.visits(Flow(scope="billing.read").address)
    assert browser.landed["error"] == "invalid_scope"
    await browser.visits(Flow(client_id="far-portal").address)
    assert browser.landed["error"] == "access_denied"


async def test_prompt_and_max_age_ask_again_once(house: PortalHouse) -> None:
    browser = await logged_in(house, "fiona")
    silent = Flow(scope="openid billing.read", extra={"prompt": "none"})
    await browser.visits(silent.address)
    assert browser.landed["error"] == "consent_required"
    await browser.visits(Flow(scope="openid billing.read").address)
    assert "Zugriff erlauben?" in browser.text, "Fiona reads German"
    await browser.sends(decision="allow", remember="yes")
    await browser.visits(silent.address)
    assert browser.landed["code"]

    await browser.visits(Flow(scope="openid", extra={"prompt": "consent"}).address)
    assert "Zugriff erlauben?" in browser.text
    for fresh in ({"prompt": "login"}, {"max_age": "0"}, {"prompt": "select_account", "login_hint": "fiona"}):
        page = await browser.visits(Flow(scope="openid", extra=fresh).address)
        assert page.url.path == "/login", fresh
        await browser.logs_in("fiona")
        assert browser.landed["code"], fresh
    house.runs("UPDATE person_sessions SET auth_time = now() - interval '10 minutes' WHERE person = 'fiona'")
    assert (await browser.visits(Flow(scope="openid", extra={"max_age": "700"}).address)).status_code == 303
    assert (await browser.visits(Flow(scope="openid", extra={"max_age": "500"}).address)).url.path == "/login"


async def test_the_request_may_come_by_form_and_an_answer_to_consent_needs_the_sessions_token(
    house: PortalHouse,
) -> None:
    browser = await logged_in(house, "paul")
    posted = await browser.http.post("/oauth/authorize", data=Flow(scope="openid exceptions.read").parameters())
    assert posted.status_code == 303
    await browser.visits(posted.headers["location"])
    assert "See what is parked and why" in browser.text
    forged = await browser.sends_only(decision="allow", csrf="forged")
    assert forged.headers["location"].startswith("/oauth/authorize?"), "asked again, nothing given"
    tampered = await browser.sends_only(
        decision="allow", request=Flow(extra={"redirect_uri": "https://e.example"}).address
    )
    assert tampered.status_code == 400
    headers = {"Sec-Fetch-Site": "cross-site"}
    crossed = await browser.http.post("/oauth/consent", data={"decision": "allow"}, headers=headers)
    assert crossed.status_code == 403


@pytest.mark.parametrize(
    ("change", "auth"),
    [
        ({"code_verifier": "x" * 43}, PORTAL),
        ({"code_verifier": ""}, PORTAL),
        ({"redirect_uri": f"{DONE}?from=throughline"}, PORTAL),
        ({"redirect_uri": ""}, PORTAL),
        ({"code": "made-up"}, PORTAL),
        ({"code": ""}, PORTAL),
        ({}, OTHER_PORTAL),
    ],
)
async def test_a_code_counts_for_its_portal_address_and_verifier_only(
    house: PortalHouse, change: dict[str, str], auth: tuple[str, str]
) -> None:
    browser, flow = await logged_in(house), Flow(scope="openid")
    code = await house.code(browser, flow)
    form = {name: value for name, value in (flow.redemption(code) | change).items() if value}
    refused = await house.post("/oauth/token", form, auth=auth)
    assert refused.status_code == 400
    assert refused.json()["error"] in {"invalid_grant", "invalid_request"}
    right = await house.post("/oauth/token", flow.redemption(code))
    # what another portal or a made-up code did is no harm; a wrong verifier or address has burnt the code
    is_burnt = "code" not in change and auth == PORTAL
    assert right.status_code == (400 if is_burnt else 200)


async def test_a_code_counts_once_and_for_a_minute_and_its_reuse_ends_its_tokens(house: PortalHouse) -> None:
    browser, flow = await logged_in(house), Flow(scope="openid deals.read")
    code = await house.code(browser, flow)
    tokens = (await house.post("/oauth/token", flow.redemption(code))).json()
    assert await house.counts(tokens["access_token"])
    again = await house.post("/oauth/token", flow.redemption(code))
    assert again.json()["error"] == "invalid_grant"
    assert not await house.counts(tokens["access_token"])
    assert not await house.counts(tokens["refresh_token"])

    late = await house.code(browser, flow)
    house.runs("UPDATE oauth_grants SET code_ends_at = now() - interval '1 second' WHERE code_used_at IS NULL")
    assert (await house.post("/oauth/token", flow.redemption(late))).json()["error"] == "invalid_grant"

    raced = await house.code(browser, flow)
    both = await asyncio.gather(*(house.post("/oauth/token", flow.redemption(raced)) for _ in range(2)))
    assert sorted(one.status_code for one in both) != [200, 200]


async def test_refresh_tokens_rotate_and_an_old_one_ends_the_whole_family(house: PortalHouse) -> None:
    browser = await logged_in(house)
    first = await house.tokens(browser, Flow(scope="openid deals.read kpis.read"))
    told = (await house.post("/oauth/introspect", {"token": first["refresh_token"]})).json()
    assert (told["active"], told["sub"], told["client_id"]) == (True, "pmo-paul", "portal")
    foreign = await house.post("/oauth/introspect", {"token": first["refresh_token"]}, auth=OTHER_PORTAL)
    assert foreign.json() == {"active": False}

    second = (await house.refreshed(first["refresh_token"], scope="deals.read")).json()
    assert second["scope"] == "deals.read"
    third = (await house.refreshed(second["refresh_token"])).json()
    assert third["scope"] == "deals.read kpis.read openid", "narrowing was for one token only"
    assert "nonce" not in await verified(house, third["id_token"], "portal")
    wider = await house.refreshed(third["refresh_token"], scope="deals.read deals.write")
    assert wider.json()["error"] == "invalid_scope"
    assert await house.counts(third["refresh_token"]), "a refusal uses nothing up"

    stolen = await house.post(
        "/oauth/token", {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}, auth=OTHER_PORTAL
    )
    assert stolen.json()["error"] == "invalid_grant"
    assert await house.counts(third["refresh_token"]), "another client's guess ends nothing"
    assert (await house.refreshed(first["refresh_token"])).json()["error"] == "invalid_grant"
    ended = house.told("grant_ended")[-1]
    assert (ended["reason"], ended["client_id"], ended["person"]) == ("refresh_token_reused", "portal", "paul")
    for token in (first, second, third):
        assert not await house.counts(token["access_token"])
    assert (await house.refreshed(third["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_grant_that_began_with_a_key_goes_on_with_no_other(house: PortalHouse) -> None:
    mine, other = (ECKey.generate_key("P-256", private=True) for _ in range(2))

    def proof(key: ECKey) -> dict[str, str]:
        header = {"alg": "ES256", "typ": "dpop+jwt", "jwk": key.as_dict(private=False)}
        claims = {"htm": "POST", "htu": f"{ISSUER}/oauth/token", "iat": int(time.time()), "jti": uuid4().hex}
        return {"DPoP": joserfc_jwt.encode(header, claims, key, algorithms=["ES256"])}

    browser = await logged_in(house)
    announced = Flow(scope="openid", extra={"dpop_jkt": mine.thumbprint()})
    refused = await house.post("/oauth/token", announced.redemption(await house.code(browser, announced)))
    assert refused.json()["error"] == "invalid_grant", "the code was meant for that key"
    flow = Flow(scope="openid")
    code = await house.code(browser, flow)
    first = (await house.post("/oauth/token", flow.redemption(code), headers=proof(mine))).json()
    assert first["token_type"] == "DPoP"
    claims = await verified(house, first["access_token"], "throughline-experience")
    assert claims["cnf"] == {"jkt": mine.thumbprint()}
    refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    assert (await house.post("/oauth/token", refresh)).json()["error"] == "invalid_grant"
    assert (await house.post("/oauth/token", refresh, headers=proof(other))).json()["error"] == "invalid_grant"
    again = await house.post("/oauth/token", refresh, headers=proof(mine))
    assert again.json()["token_type"] == "DPoP", "a wrong key has used nothing up"


async def test_of_two_refreshes_at_once_no_more_than_one_token_is_left(house: PortalHouse) -> None:
    tokens = await house.tokens(await logged_in(house), Flow(scope="openid"))
    answers = await asyncio.gather(*(house.refreshed(tokens["refresh_token"]) for _ in range(4)))
    assert sum(one.status_code == 200 for one in answers) <= 1
    for one in answers:
        if one.status_code == 200:
            assert not await house.counts(one.json()["access_token"]), "used twice: nobody keeps anything"


async def test_a_refresh_token_ends_unused_with_its_session_and_with_its_roles(house: PortalHouse) -> None:
    browser = await logged_in(house)
    unused = await house.tokens(browser, Flow(scope="openid"))
    house.runs("UPDATE oauth_refresh_tokens SET ends_at = now() WHERE used_at IS NULL")
    assert (await house.refreshed(unused["refresh_token"])).json()["error"] == "invalid_grant"

    kept = await house.tokens(browser, Flow(scope="deals.read kpis.read"))
    house.runs("UPDATE people SET roles = '{account_manager}' WHERE name = 'paul'")
    assert (await house.refreshed(kept["refresh_token"])).json()["error"] == "invalid_scope"
    house.runs("UPDATE people SET roles = '{pmo}' WHERE name = 'paul'")
    house.runs("UPDATE person_sessions SET ends_at = now() WHERE person = 'paul'")
    assert (await house.refreshed(kept["refresh_token"])).json()["error"] == "invalid_grant"


async def test_the_metadata_tell_all_of_this_alike_in_both_places(house: PortalHouse) -> None:
    told = (await house.get("/.well-known/openid-configuration")).json()
    assert told == (await house.get("/.well-known/oauth-authorization-server")).json()
    assert told["authorization_endpoint"] == f"{ISSUER}/oauth/authorize"
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["response_types_supported"] == ["code"]
    assert told["authorization_response_iss_parameter_supported"] is True
    assert {"authorization_code", "refresh_token"} <= set(told["grant_types_supported"])
    assert {"openid", "deals.read"} <= set(told["scopes_supported"])
    machine = await house.post(
        "/oauth/token", {"grant_type": "client_credentials"}, ("machine", "machine-secret-0123456789")
    )
    token = machine.json()["access_token"]
    assert (await house.get("/oauth/userinfo", token)).status_code == 403
    assert (await house.get("/oauth/userinfo")).status_code == 401
