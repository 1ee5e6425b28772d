"""Clients that sign instead of knowing a secret (RFC 7523), and tokens bound to their keys (RFC 9449)."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt as pyjwt  # an independent signer
import pytest
import yaml
from joserfc.jwk import ECKey, OctKey, RSAKey

from experience_apis.identity.assertions import ASSERTION_TYPE, client_keys
from experience_apis.identity.authority import OAuthReply
from experience_apis.identity.issuer import OAuthCall
from experience_apis.identity.roles import role_book
from experience_apis.identity.seeds import enrol
from shared.outbound import guarded

from .conftest import ISSUER, House

CLIENT = "signing-partner"


@pytest.fixture
def key() -> ECKey:
    return ECKey.generate_key("P-256", {"kid": "p-1"})


@pytest.fixture
async def signing(house: House, key: ECKey, tmp_path: Path) -> House:
    """The issuer with a client of the clients file that has keys instead of a secret."""
    seed = {
        "client_id": CLIENT,
        "tenant": "harbour",
        "roles": ["partner"],
        "jwks": {"keys": [key.as_dict(private=False)]},
    }
    file = tmp_path / "signing.yaml"
    file.write_text(yaml.safe_dump({"clients": [seed]}), "utf-8")
    before = list(house.register.clients.values())
    await enrol(file, register=house.register, keeper=house.keeper, book=role_book())
    house.register.clients |= {client.client_id: client for client in before}
    return house


def assertion(house: House, key: ECKey, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
    now = int(house.clock[0])
    said = {"iss": CLIENT, "sub": CLIENT, "aud": ISSUER, "iat": now, "exp": now + 60, "jti": uuid.uuid4().hex} | claims
    said = {name: value for name, value in said.items() if value is not None}
    return pyjwt.encode(said, key.as_pem(private=True), algorithm="ES256", headers={"kid": key.kid} | (header or {}))


async def ask(house: House, shown: str, *, proofs: tuple[str, ...] = (), **form: str) -> OAuthReply:
    given = {
        "grant_type": "client_credentials",
        "client_assertion": shown,
        "client_assertion_type": ASSERTION_TYPE,
    } | form
    return await house.issuer.token(OAuthCall(list(given.items()), None, "203.0.113.9", proofs))


async def test_an_assertion_earns_a_token_at_issuer_or_endpoint_and_counts_once(signing: House, key: ECKey) -> None:
    shown = assertion(signing, key)
    assert (await ask(signing, shown)).status == 200
    assert (await ask(signing, shown)).body["error"] == "invalid_client"
    for audience in (f"{ISSUER}/oauth/token", [ISSUER]):
        assert (await ask(signing, assertion(signing, key, aud=audience), client_id=CLIENT)).status == 200


@pytest.mark.parametrize(
    "claims",
    [
        lambda _: {"iss": "fiona"},
        lambda _: {"aud": "https://elsewhere.example"},
        lambda _: {"aud": [ISSUER, "https://elsewhere.example"]},
        lambda _: {"aud": None},
        lambda now: {"exp": now - 60},
        lambda now: {"exp": now + 3600},
        lambda _: {"exp": None},
        lambda _: {"exp": True},
        lambda now: {"nbf": now + 120},
        lambda now: {"iat": now + 120},
        lambda _: {"iat": "soon"},
        lambda _: {"jti": None},
        lambda _: {"jti": "x" * 300},
        lambda _: {"header": {"kid": "another"}},
        lambda _: {"header": {"typ": "at+jwt"}},
        lambda _: {"header": {"crit": ["x"], "x": 1}},
    ],
)
async def test_an_assertion_that_does_not_fit_is_refused(
    signing: House, key: ECKey, claims: Callable[[int], dict[str, Any]]
) -> None:
    reply = await ask(signing, assertion(signing, key, **claims(int(signing.clock[0]))))
    assert (reply.status, reply.body["error"]) == (401, "invalid_client")


async def test_foreign_keys_shared_secrets_and_rubbish_are_refused_and_throttled(signing: House, key: ECKey) -> None:
    stranger = ECKey.generate_key("P-256", {"kid": "p-1"})
    signed, _, _ = assertion(signing, key, header={"alg": "ES256"}).rpartition(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).rstrip(b"=").decode()
    for shown in (assertion(signing, stranger), f"{none}.{signed.split('.')[1]}.", f"{signed}.AAAA"):
        assert (await ask(signing, shown)).body["error"] == "invalid_client"
    held_up = await ask(signing, assertion(signing, key))
    assert held_up.status == 429
    assert int(held_up.headers["Retry-After"]) >= 1
    assert (await ask(signing, "rubbish")).body["error"] == "invalid_client"


async def test_a_client_of_one_kind_does_not_prove_itself_the_other_way(signing: House, key: ECKey) -> None:
    as_fiona = assertion(signing, key, iss="fiona", sub="fiona")
    assert (await ask(signing, as_fiona)).body["error"] == "invalid_client"
    assert (await signing.token(CLIENT, "any-secret-at-all")).body["error"] == "invalid_client"
    both = await ask(signing, assertion(signing, key), client_secret="x")
    assert both.body["error"] == "invalid_request"
    other = await ask(signing, assertion(signing, key), client_id="fiona")
    assert other.body["error"] == "invalid_request"


async def test_keys_published_elsewhere_are_fetched_kept_and_asked_for_again_when_unknown(
    signing: House, key: ECKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    published = [key.as_dict(private=False)]

    async def fetch(address: str, _rules: object) -> Any:
        asked.append(address)
        return {"keys": published}

    monkeypatch.setattr("experience_apis.identity.assertions.fetch_json", fetch)
    known = signing.register.clients[CLIENT]
    signing.register.clients[CLIENT] = replace(known, jwks=None, jwks_uri="https://partner.example/jwks")
    for _ in range(3):
        assert (await ask(signing, assertion(signing, key))).status == 200
    assert len(asked) == 1
    fresh = ECKey.generate_key("P-256", {"kid": "p-2"})
    published.append(fresh.as_dict(private=False))
    assert (await ask(signing, assertion(signing, fresh))).status == 401  # not asked again within ten seconds
    signing.clock[0] += 11
    assert (await ask(signing, assertion(signing, fresh))).status == 200
    assert len(asked) == 2


def test_only_public_keys_of_sufficient_strength_are_registered() -> None:
    good = RSAKey.generate_key(2048)
    assert len(client_keys({"keys": [good.as_dict(private=False)]})) == 1
    for keys in (
        {},
        {"keys": []},
        {"keys": "x"},
        {"keys": [{"kty": "EC"}]},
        {"keys": [good.as_dict(private=True)]},
        {"keys": [OctKey.generate_key(256).as_dict(private=True)]},
        {"keys": [good.as_dict(private=False)] * 21},
    ):
        with pytest.raises(ValueError, match="jwks"):
            client_keys(keys)


def proof(house: House, key: ECKey, **claims: Any) -> str:
    said = {"jti": uuid.uuid4().hex, "htm": "POST", "htu": f"{ISSUER}/oauth/token", "iat": int(house.clock[0])} | claims
    header = {"typ": "dpop+jwt", "jwk": key.as_dict(private=False)}
    return pyjwt.encode(said, key.as_pem(private=True), algorithm="ES256", headers=header)


async def test_a_token_is_bound_to_the_key_that_was_proven(signing: House, key: ECKey) -> None:
    holder = ECKey.generate_key("P-256")
    reply = await ask(signing, assertion(signing, key), proofs=(proof(signing, holder),))
    assert reply.body["token_type"] == "DPoP"
    said = pyjwt.decode(reply.body["access_token"], options={"verify_signature": False})
    assert said["cnf"] == {"jkt": holder.thumbprint()}
    told = await signing.issuer.introspect(signing.call("fiona", None, [("token", reply.body["access_token"])]))
    assert told.body == {"active": False}  # not fiona's to know


async def test_half_a_surrogate_pair_is_no_trouble_of_ours(signing: House, key: ECKey) -> None:
    for name in ("\ud800", "a\x00", "a\u00e9", "", ["fiona"]):
        body = base64.urlsafe_b64encode(json.dumps({"sub": name, "iss": name}).encode()).rstrip(b"=").decode()
        refused = await ask(signing, f"e30.{body}.AA")
        assert (refused.status, refused.body["error"]) == (401, "invalid_client")
    odd = proof(signing, key, jti="\ud800")
    assert (await ask(signing, assertion(signing, key), proofs=(odd,))).status == 200
    assert (await ask(signing, assertion(signing, key), proofs=(odd,))).body["error"] == "invalid_dpop_proof"
    assert (await ask(signing, assertion(signing, key, jti="\udfff"))).status == 200


async def test_a_client_that_must_prove_its_key_gets_nothing_without(signing: House, key: ECKey) -> None:
    signing.register.clients[CLIENT] = replace(signing.register.clients[CLIENT], requires_dpop=True)
    holder = ECKey.generate_key("P-256")
    good = proof(signing, holder)
    for proofs in ((), (good, proof(signing, holder)), (proof(signing, holder, htm="GET"),), ("rubbish",)):
        reply = await ask(signing, assertion(signing, key), proofs=proofs)
        assert (reply.status, reply.body["error"]) == (400, "invalid_dpop_proof")
    assert (await ask(signing, assertion(signing, key), proofs=(good,))).body["token_type"] == "DPoP"
    assert (await ask(signing, assertion(signing, key), proofs=(good,))).body["error"] == "invalid_dpop_proof"


@pytest.mark.parametrize(
    "address",
    [
        "http://partner.example/jwks",
        "https://127.0.0.1/jwks",
        "https://localhost/jwks",
        "https://10.0.0.8/jwks",
        "https://192.168.1.1/jwks",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/jwks",
        "https://[::ffff:10.0.0.1]/jwks",
        "https://[64:ff9b::a00:1]/jwks",
        "https://[2002:a00:1::]/jwks",
        "https://[fe80::1]/jwks",
        "https://0.0.0.0/jwks",
        "https://224.0.0.1/jwks",
        "https://2130706433/jwks",
        "https://user:secret@example.com/jwks",
        "ftp://example.com/jwks",
        "file:///etc/passwd",
        "https://",
        "nonsense",
    ],
)
async def test_an_address_inside_our_network_is_never_asked(address: str) -> None:
    with pytest.raises((guarded.AddressRefused, guarded.VendorUnavailable)):
        await guarded.admitted(address, guarded.AddressRules())


async def test_a_name_is_judged_by_every_address_it_has_and_asked_at_the_judged_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = [guarded.ip_address("93.184.215.14")]

    async def resolved(_url: object) -> list[Any]:
        return found

    monkeypatch.setattr(guarded, "_resolved", resolved)
    place = await guarded.admitted("https://partner.example:8443/jwks?x=1", guarded.AddressRules())
    assert str(place.url) == "https://93.184.215.14:8443/jwks?x=1"
    assert place.headers == {"Host": "partner.example:8443"}
    assert place.extensions == {"sni_hostname": "partner.example"}
    found.append(guarded.ip_address("10.0.0.1"))
    with pytest.raises(guarded.AddressRefused):
        await guarded.admitted("https://partner.example/jwks", guarded.AddressRules())
