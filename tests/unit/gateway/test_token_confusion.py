"""Tokens dressed up as what they are not: every one is refused, and says why."""

from __future__ import annotations

import base64
import hmac
import json
import zlib
from time import time
from typing import Any

import pytest
from joserfc import jwe, jws, jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from tests.unit.gateway.door import Door, Issuer, opened


def part(content: Any) -> str:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def headed(token: str, **header: Any) -> str:
    """The token with other words in its header, and its signature as it was."""
    _, body, signature = token.split(".")
    return f"{part({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 'one', **header})}.{body}.{signature}"


async def refused(door: Door, token: str) -> str:
    answer = await door.get("/things/v1/things", token=token)
    assert answer.status_code == 401, answer.text
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    return str(answer.json()["detail"])


async def test_the_algorithm_none_counts_in_no_spelling(door: Door) -> None:
    body = door.issuer.token().split(".")[1]
    for algorithm in ("none", "None", "NONE", "", None, 0, ["ES256"]):
        head = part({"alg": algorithm, "typ": "at+jwt", "kid": "one"})
        for signature in ("", part(b"x" * 64)):
            await refused(door, f"{head}.{body}.{signature}")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_a_public_key_is_no_shared_secret(door: Door, algorithm: str) -> None:
    signed = headed(door.issuer.token(), alg=algorithm).rpartition(".")[0]
    for secret in (door.issuer.key.as_pem(private=False), json.dumps(door.issuer.key.as_dict(private=False)).encode()):
        forged = hmac.new(secret, signed.encode(), f"sha{algorithm[2:]}").digest()
        assert "algorithm" in await refused(door, f"{signed}.{part(forged)}")


async def test_a_shared_secret_in_the_key_set_verifies_nothing() -> None:
    weak = OctKey.generate_key(256, {"kid": "one", "alg": "HS256"})
    async with opened(issuer=Issuer(published=[weak])) as door:
        assert "algorithm" in await refused(door, door.issuer.token(key=weak, header={"alg": "HS256"}))
        assert "unknown key" in await refused(door, door.issuer.token(header={"kid": "one"}))


async def test_a_key_for_encryption_verifies_nothing() -> None:
    key = ECKey.generate_key("P-256", {"kid": "one"})
    sealing = ECKey.import_key({**key.as_dict(private=False), "use": "enc"})
    async with opened(issuer=Issuer(published=[sealing])) as door:
        assert "unknown key" in await refused(door, door.issuer.token(key=key))


async def test_keys_named_inside_a_token_are_not_used(door: Door) -> None:
    own = ECKey.generate_key("P-256", {"kid": "mine"})
    public = own.as_dict(private=False)
    for bait in (
        {"jwk": public},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/x"},
        {"x5c": ["MIIB"]},
    ):
        assert "unknown key" in await refused(door, door.issuer.token(key=own, header=bait))
        assert "does not hold" in await refused(door, door.issuer.token(key=own, header={**bait, "kid": "one"}))
    assert door.issuer.asked == 1  # unknown keys are asked for at a bounded rate


async def test_what_the_header_demands_beyond_our_knowledge_is_refused(door: Door) -> None:
    token = door.issuer.token()
    for demand in ({"crit": ["exp"]}, {"crit": []}, {"zip": "DEF"}, {"cty": "JWT"}, {"b64": False, "crit": ["b64"]}):
        assert "not understood" in await refused(door, headed(token, **demand))


async def test_nested_compressed_encrypted_and_huge_tokens_are_refused(door: Door) -> None:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": "one"}
    nested = jws.serialize_compact(header, door.issuer.token(), door.issuer.key)
    squeezed = jws.serialize_compact(header, zlib.compress(b'{"sub":"ada"}'), door.issuer.key)
    sealed = jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, door.issuer.token(), OctKey.generate_key(256))
    deep = f"{part(header)}.{part(b'[' * 5000)}.{part(b'x')}"
    for token in (nested, squeezed, sealed, deep, door.issuer.token(bulk="x" * 7000), "a.b", "a.b.c.d", "..", ".e30."):
        assert "cannot be read" in await refused(door, token)


async def test_another_kind_of_token_opens_nothing(door: Door) -> None:
    for kind in ("JWT", "id+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", ""):
        assert "not an access token" in await refused(door, door.issuer.token(header={"typ": kind}))


async def test_a_token_for_another_tier_opens_nothing_inside_or_outside(door: Door) -> None:
    for audience in (["throughline-experience"], "throughline-process", [], None, ["throughline-system "], {"a": 1}):
        assert "another audience" in await refused(door, door.issuer.token(aud=audience))


async def test_issuers_are_compared_to_the_letter(door: Door) -> None:
    for issuer in (
        "http://issuer.test/",
        "HTTP://issuer.test",
        "http://issuer.test.evil.example",
        ["http://issuer.test"],
        None,
    ):
        assert "another issuer" in await refused(door, door.issuer.token(iss=issuer))


async def test_times_that_are_no_times_are_refused(door: Door) -> None:
    now = int(time())
    for claims in (
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": 1e400},
        {"iat": -1},
        {"iat": None},
        {"nbf": "x"},
    ):
        body = json.loads(base64.urlsafe_b64decode(door.issuer.token().split(".")[1] + "==")) | claims
        said = {name: value for name, value in body.items() if value is not None}
        token = jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "one"}, said, door.issuer.key)
        answer = await door.get("/things/v1/things", token=token)
        assert answer.status_code == 401, claims
    assert "expired" in await refused(door, door.issuer.token(exp=now - 31))
    assert "not valid yet" in await refused(door, door.issuer.token(iat=now + 61))


async def test_a_claim_of_another_tenant_needs_the_issuers_signature(door: Door) -> None:
    head, _, signature = door.issuer.token().split(".")
    stolen = door.issuer.token(tenant="orchard").split(".")[1]
    assert "does not hold" in await refused(door, f"{head}.{stolen}.{signature}")


async def test_an_rsa_key_of_the_same_name_does_not_verify_what_an_ec_key_signed() -> None:
    other = RSAKey.generate_key(2048, {"kid": "one"})
    async with opened(issuer=Issuer(published=[other])) as door:
        assert "does not hold" in await refused(door, door.issuer.token())


async def test_a_hundred_unknown_keys_cost_one_question(door: Door) -> None:
    await door.get("/things/v1/things")
    for number in range(100):
        forged = ECKey.generate_key("P-256", {"kid": f"k{number}"})
        await refused(door, door.issuer.token(key=forged))
    assert door.issuer.asked == 1


async def test_who_lacks_a_scope_is_told_which_and_where_to_read_about_it(door: Door) -> None:
    answer = await door.get("/things/v1/things", token=door.issuer.token(scope="other.read"))
    challenge = answer.headers["www-authenticate"]
    assert answer.status_code == 403
    assert challenge.startswith('Bearer realm="throughline", error="insufficient_scope"')
    assert 'scope="things.read"' in challenge
    assert 'resource_metadata="http://tier.test/.well-known/oauth-protected-resource/things/v1"' in challenge


async def test_who_has_no_token_finds_the_metadata_and_there_the_issuer(door: Door) -> None:
    answer = await door.get("/things/v1/things", token=None)
    bearer, proof = answer.headers.get_list("www-authenticate")
    assert bearer.startswith("Bearer ")
    assert proof.startswith("DPoP ")
    assert 'algs="ES256 EdDSA Ed25519"' in proof
    place = bearer.split('resource_metadata="')[1].partition('"')[0]
    told = await door.client.get(place)
    assert told.json() == {
        "resource": "http://tier.test/things/v1",
        "resource_name": "Things",
        "authorization_servers": ["http://issuer.test"],
        "scopes_supported": ["things.read", "things.write"],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": ["ES256", "EdDSA", "Ed25519"],
        "dpop_bound_access_tokens_required": False,
    }
    whole = await door.client.get("/.well-known/oauth-protected-resource")
    assert whole.json()["resource"] == "http://tier.test"
    assert (await door.client.get("/.well-known/oauth-protected-resource/nothing/v1")).status_code == 404
