"""What the authorization server issues, to whom, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jwt as pyjwt  # an independent reader of our tokens

from experience_apis.identity.issuer import OAuthCall

from .conftest import ISSUER, House


async def verified(house: House, token: str, audience: str) -> dict[str, Any]:
    """The claims as PyJWT reads them from the published keys."""
    keys = pyjwt.PyJWKSet.from_json(json.dumps(await house.issuer.jwks()))
    kid = pyjwt.get_unverified_header(token)["kid"]
    return pyjwt.decode(token, keys[kid].key, algorithms=["ES256"], audience=audience, issuer=ISSUER)


async def test_a_token_says_who_may_do_what_where(house: House) -> None:
    reply = await house.token("fiona")
    assert reply.status == 200
    assert reply.headers["Cache-Control"] == "no-store"
    token = reply.body["access_token"]
    claims = await verified(house, token, "throughline-experience")
    assert pyjwt.get_unverified_header(token)["typ"] == "at+jwt"
    assert claims["sub"] == "fiona.berg"
    assert claims["client_id"] == "fiona"
    assert claims["aud"] == ["throughline-experience"]
    assert (claims["tenant"], claims["plan"]) == ("harbour", "standard")
    assert claims["exp"] - claims["iat"] == reply.body["expires_in"] == 900
    assert "approvals.decide.invoice" in claims["scope"].split()
    assert "approvals.decide.delivery" not in claims["scope"].split()
    assert "act" not in claims


async def test_a_clients_token_names_the_customers_it_is_bound_to_at_every_tier(house: House) -> None:
    unbound = await verified(house, await house.access_token("fiona"), "throughline-experience")
    assert "customers" not in unbound
    bound = replace(house.register.clients["fiona"], customers=frozenset({"cus_b", "cus_a"}))
    house.register.clients["fiona"] = bound
    outer = await house.access_token("fiona")
    assert (await verified(house, outer, "throughline-experience"))["customers"] == ["cus_a", "cus_b"]
    inner = str((await house.exchange(outer)).body["access_token"])
    assert (await verified(house, inner, "throughline-process"))["customers"] == ["cus_a", "cus_b"]


async def test_scopes_are_narrowed_to_those_asked_for_and_held(house: House) -> None:
    reply = await house.token("fiona", scope="billing.read approvals.decide.delivery")
    assert reply.body["scope"] == "billing.read"


async def test_no_held_scope_among_those_asked_for_is_refused(house: House) -> None:
    reply = await house.token("fiona", scope="approvals.decide.delivery")
    assert (reply.status, reply.body["error"]) == (400, "invalid_scope")


async def test_an_unheard_of_scope_is_refused(house: House) -> None:
    reply = await house.token("fiona", scope="moon.fly")
    assert (reply.status, reply.body["error"]) == (400, "invalid_scope")


async def test_a_wrong_secret_and_an_unknown_client_get_the_same_answer(house: House) -> None:
    wrong, unknown = await house.token("fiona", "not-the-secret"), await house.token("nobody", "not-the-secret")
    assert wrong.status == unknown.status == 401
    assert wrong.body == unknown.body
    assert wrong.body["error"] == "invalid_client"
    assert wrong.headers["WWW-Authenticate"].startswith('Basic realm="throughline", error="invalid_client"')


async def test_failed_secrets_are_throttled_but_a_client_at_work_goes_on(house: House) -> None:
    await house.access_token("dan")
    for _ in range(3):
        assert (await house.token("dan", "guess")).status == 401
    held_up = await house.token("dan", "guess")
    assert held_up.status == 429
    assert int(held_up.headers["Retry-After"]) >= 1
    assert (await house.token("dan")).status == 200


async def test_the_secret_may_stand_in_the_form(house: House) -> None:
    form = [("grant_type", "client_credentials"), ("client_id", "dan"), ("client_secret", "dan-secret-0123456789")]
    reply = await house.issuer.token(OAuthCall(form=form, authorization=None, address="203.0.113.7"))
    assert reply.status == 200


async def test_two_kinds_of_client_authentication_at_once_are_refused(house: House) -> None:
    reply = await house.token("dan", client_secret="dan-secret-0123456789")
    assert (reply.status, reply.body["error"]) == (400, "invalid_request")


async def test_a_parameter_given_twice_is_refused(house: House) -> None:
    form = [("grant_type", "client_credentials"), ("scope", "deals.read"), ("scope", "deals.write")]
    reply = await house.issuer.token(house.call("dan", None, form))
    assert (reply.status, reply.body["error"]) == (400, "invalid_request")


async def test_no_or_a_strange_authorization_is_refused(house: House) -> None:
    form = [("grant_type", "client_credentials")]
    for header in (None, "Bearer x", "Basic !!!", "Basic " + "Zm9v"):
        reply = await house.issuer.token(OAuthCall(form=form, authorization=header, address="203.0.113.7"))
        assert (reply.status, reply.body["error"]) == (401, "invalid_client")


async def test_grants_that_are_missing_or_unknown_are_refused(house: House) -> None:
    assert (await house.token("dan", grant_type="")).body["error"] == "invalid_request"
    assert (await house.token("dan", grant_type="password")).body["error"] == "unsupported_grant_type"


async def test_a_client_gets_no_token_for_a_foreign_audience(house: House) -> None:
    reply = await house.token("fiona", audience="throughline-system")
    assert (reply.status, reply.body["error"]) == (400, "invalid_target")


async def test_an_exchanged_token_keeps_the_person_and_names_the_tier(house: House) -> None:
    reply = await house.exchange(await house.access_token("fiona"))
    assert reply.body["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    claims = await verified(house, reply.body["access_token"], "throughline-process")
    assert claims["sub"] == "fiona.berg"
    assert claims["act"] == {"sub": "tier-experience", "client_id": "tier-experience"}
    assert claims["client_id"] == "tier-experience"
    assert (claims["tenant"], claims["plan"]) == ("harbour", "internal")
    assert "approvals.decide.finance" in claims["scope"].split()


async def test_an_exchange_never_widens_scopes(house: House) -> None:
    reply = await house.exchange(await house.access_token("fiona", scope="billing.read"))
    assert reply.body["scope"] == "billing.read"
    wider = await house.exchange(await house.access_token("fiona", scope="billing.read"), scope="billing.run")
    assert wider.body["error"] == "invalid_scope"


async def test_a_partner_scope_is_worth_reading_deals_at_the_process_tier_and_nothing_more(house: House) -> None:
    reply = await house.exchange(await house.access_token("partner-demo"))
    assert reply.body["scope"] == "deals.read"


async def test_the_tenant_of_the_caller_survives_the_exchange(house: House) -> None:
    reply = await house.exchange(await house.access_token("other-fiona"))
    assert (await verified(house, reply.body["access_token"], "throughline-process"))["tenant"] == "other"


async def test_an_exchanged_token_does_not_outlive_the_callers(house: House) -> None:
    token = await house.access_token("fiona")
    house.clock[0] += 600
    assert (await house.exchange(token)).body["expires_in"] == 300


async def test_only_tokens_addressed_to_the_tier_may_be_exchanged_by_it(house: House) -> None:
    inner = (await house.exchange(await house.access_token("fiona"))).body["access_token"]
    for subject_token in (inner, await house.access_token("tier-process"), "not.a.token"):
        assert (await house.exchange(subject_token)).body["error"] == "invalid_request"


async def test_expired_and_revoked_tokens_are_not_exchanged(house: House) -> None:
    token = await house.access_token("fiona")
    assert (await house.issuer.revoke(house.call("fiona", None, [("token", token)]))).status == 200
    assert (await house.exchange(token)).body["error"] == "invalid_request"
    token = await house.access_token("fiona")
    house.clock[0] += 901
    assert (await house.exchange(token)).body["error"] == "invalid_request"


async def test_people_may_not_exchange_tokens(house: House) -> None:
    reply = await house.exchange(await house.access_token("fiona"), actor="dan")
    assert (reply.status, reply.body["error"]) == (400, "unauthorized_client")


async def test_introspection_tells_the_tiers_and_the_owner_and_nobody_else(house: House) -> None:
    token = await house.access_token("fiona")
    for client, active in (("fiona", True), ("tier-process", True), ("dan", False), ("other-fiona", False)):
        reply = await house.issuer.introspect(house.call(client, None, [("token", token)]))
        assert reply.body["active"] is active
    await house.issuer.revoke(house.call("fiona", None, [("token", token)]))
    assert (await house.issuer.introspect(house.call("fiona", None, [("token", token)]))).body == {"active": False}


async def test_only_the_owner_revokes_and_nobody_learns_which_tokens_exist(house: House) -> None:
    token = await house.access_token("fiona")
    for client, shown in (("dan", token), ("fiona", "not.a.token")):
        reply = await house.issuer.revoke(house.call(client, None, [("token", shown)]))
        assert (reply.status, reply.body) == (200, {})
    assert (await house.issuer.introspect(house.call("fiona", None, [("token", token)]))).body["active"] is True


async def test_the_metadata_names_every_endpoint(house: House) -> None:
    document = house.issuer.metadata()
    assert document["issuer"] == ISSUER
    assert document["token_endpoint"] == f"{ISSUER}/oauth/token"
    assert document["jwks_uri"] == f"{ISSUER}/.well-known/jwks.json"
    assert "client_credentials" in document["grant_types_supported"]


async def test_published_keys_hold_no_private_part(house: House) -> None:
    for key in (await house.issuer.jwks())["keys"]:
        assert "d" not in key
        assert key["kid"]


async def test_a_chain_of_tiers_names_every_actor_and_only_ever_narrows(house: House) -> None:
    seed = house.register.clients["tier-experience"]
    house.register.clients["tier-process-2"] = replace(
        seed,
        client_id="tier-process-2",
        subject="tier-process-2",
        audiences=("throughline-system",),
        acts_at="throughline-process",
        scopes=frozenset({"deals.read", "billing.read", "crm.read", "events.replay"}),
    )
    outer = await house.access_token("fiona", scope="deals.read billing.read kpis.read")
    middle = await house.exchange(outer, scope="deals.read billing.read events.replay crm.read")
    assert middle.body["scope"] == "billing.read deals.read"
    inner = await house.exchange(
        str(middle.body["access_token"]), actor="tier-process-2", audience="throughline-system"
    )
    claims = await verified(house, inner.body["access_token"], "throughline-system")
    assert claims["sub"] == "fiona.berg"
    assert claims["scope"] == "billing.read deals.read"  # never crm.read or events.replay, which only the tier holds
    assert claims["act"]["client_id"] == "tier-process-2"
    assert claims["act"]["act"]["client_id"] == "tier-experience"
    first = pyjwt.decode(outer, options={"verify_signature": False})
    assert claims["origin"] == {"jti": first["jti"], "client_id": "fiona"}
    assert claims["exp"] <= first["exp"]
    # whoever withdraws the first token withdraws the whole chain
    await house.issuer.revoke(house.call("fiona", None, [("token", outer)]))
    told = await house.exchange(str(middle.body["access_token"]), actor="tier-process-2", audience="throughline-system")
    assert told.status == 400


async def test_a_token_opens_one_tier_unless_more_are_asked_for(house: House) -> None:
    plain = pyjwt.decode(await house.access_token("tier-process"), options={"verify_signature": False})
    assert plain["aud"] == ["throughline-system"]
