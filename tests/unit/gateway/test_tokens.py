"""Access tokens: what counts and what does not."""

from __future__ import annotations

import base64
import hmac
import json
from time import time

import pytest
from joserfc.jwk import ECKey

from shared.errors.taxonomy import VendorUnavailable
from shared.gateway.policies.jwt.keys import IssuerKeys
from tests.unit.gateway.door import Door, Issuer, documents, opened


async def test_a_good_token_opens_the_door(door: Door) -> None:
    answer = await door.get("/things/v1/things/4711")
    assert answer.status_code == 200
    assert answer.json() == {"id": "4711", "subject": "ada", "tenant": "harbour"}


async def test_without_a_token_the_problem_names_the_header_and_challenges(door: Door) -> None:
    answer = await door.get("/things/v1/things", token=None)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert answer.json()["code"] == "not_authenticated"
    assert answer.json()["errors"][0]["field"] == "header.authorization"


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"exp": int(time()) - 60}, "has expired"),
        ({"aud": ["throughline-process"]}, "another audience"),
        ({"iss": "http://elsewhere.test"}, "another issuer"),
        ({"iat": int(time()) + 3600}, "not valid yet"),
        ({"nbf": int(time()) + 3600}, "not valid yet"),
        ({"tenant": None}, "claim: tenant"),
        ({"client_id": None, "jti": None}, "claim: client_id, jti"),
        ({"exp": "soon"}, "claim: exp"),
    ],
)
async def test_a_token_with_wrong_claims_is_refused_with_the_reason(
    door: Door, claims: dict[str, object], told: str
) -> None:
    answer = await door.get("/things/v1/things", token=door.issuer.token(**claims))
    assert answer.status_code == 401
    assert told in answer.json()["detail"]
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_another_kind_of_token_is_no_access_token(door: Door) -> None:
    answer = await door.get("/things/v1/things", token=door.issuer.token(header={"typ": "JWT"}))
    assert answer.json()["detail"] == "The token is not an access token."


async def test_a_token_without_signature_is_refused(door: Door) -> None:
    head = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "at+jwt", "kid": "one"}).encode()).rstrip(b"=")
    _, body, _ = door.issuer.token().split(".")
    answer = await door.get("/things/v1/things", token=f"{head.decode()}.{body}.")
    assert answer.status_code == 401


async def test_a_token_signed_with_the_public_key_as_a_password_is_refused(door: Door) -> None:
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": "one"}).encode()).rstrip(b"=")
    signed = head + b"." + door.issuer.token().split(".")[1].encode()
    forged = hmac.new(door.issuer.key.as_pem(private=False), signed, "sha256").digest()
    token = signed + b"." + base64.urlsafe_b64encode(forged).rstrip(b"=")
    answer = await door.get("/things/v1/things", token=token.decode())
    assert answer.status_code == 401
    assert "algorithm" in answer.json()["detail"]


async def test_a_token_of_a_key_that_only_claims_the_name_is_refused(door: Door) -> None:
    forged = ECKey.generate_key("P-256", parameters={"kid": "one"})
    answer = await door.get("/things/v1/things", token=door.issuer.token(key=forged))
    assert answer.json()["detail"] == "The signature of the access token does not hold."


@pytest.mark.parametrize(
    "given", ["Bearer", "Basic YWRhOmFkYQ==", "Bearer a b c", "Bearer nonsense", "Bearer " + "x" * 9000]
)
async def test_what_is_not_a_bearer_token_is_refused(door: Door, given: str) -> None:
    answer = await door.client.get("/things/v1/things", headers={"authorization": given})
    assert answer.status_code == 401


async def test_a_verified_token_is_not_verified_again_but_ends_when_it_expires() -> None:
    async with opened() as door:
        token = door.issuer.token()
        assert (await door.get("/things/v1/things", token=token)).status_code == 200
        door.issuer.trouble = VendorUnavailable()
        assert (await door.get("/things/v1/things", token=token)).status_code == 200
        assert door.issuer.asked == 1


async def test_a_new_key_of_the_issuer_is_asked_for_once_per_pause() -> None:
    issuer, now = Issuer(), 1000.0
    new = ECKey.generate_key("P-256", parameters={"kid": "two"})
    keys = IssuerKeys(issuer.keys, pause=10.0, now=lambda: now, warn=lambda _line: None)
    assert await keys.find("one") is not None
    issuer.published = [issuer.key, new]
    assert await keys.find("two") is None
    assert await keys.find("three") is None
    assert issuer.asked == 1
    now += 11
    assert await keys.find("two") is not None
    assert issuer.asked == 2


async def test_keys_at_hand_outlive_an_issuer_that_is_away() -> None:
    issuer, now = Issuer(), 1000.0
    keys = IssuerKeys(issuer.keys, pause=10.0, now=lambda: now, warn=lambda _line: None)
    await keys.find("one")
    issuer.trouble = VendorUnavailable()
    now += 1000
    assert await keys.find("one") is not None


async def test_without_any_key_the_caller_is_asked_to_wait_not_blamed() -> None:
    async with opened(issuer=Issuer(trouble=VendorUnavailable())) as door:
        answer = await door.get("/things/v1/things")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"


async def test_a_withdrawn_key_stops_counting_when_the_keys_are_old() -> None:
    issuer, now = Issuer(), 1000.0
    keys = IssuerKeys(issuer.keys, pause=10.0, now=lambda: now, warn=lambda _line: None)
    await keys.find("one")
    issuer.published = [ECKey.generate_key("P-256", parameters={"kid": "two"})]
    now += 301
    assert await keys.find("one") is None


async def test_a_missing_scope_is_named(door: Door) -> None:
    answer = await door.get("/things/v1/things", token=door.issuer.token(scope="other.read"))
    assert answer.status_code == 403
    assert answer.json()["missing_scopes"] == ["things.read"]


async def test_a_foreign_tenant_is_refused_where_tenants_are_listed() -> None:
    async with opened(documents(policies={"scopes": {"tenants": ["harbour"]}})) as door:
        assert (await door.get("/things/v1/things")).status_code == 200
        answer = await door.get("/things/v1/things", token=door.issuer.token(tenant="orchard"))
        assert answer.status_code == 403


async def test_a_public_operation_needs_no_token(door: Door) -> None:
    assert (await door.get("/things/v1/open", token=None)).status_code == 200
