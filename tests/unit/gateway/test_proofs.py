"""Tokens bound to a key (RFC 9449): only who holds the key may use them, and each proof counts once."""

from __future__ import annotations

import base64
import hashlib
import uuid
from time import time
from typing import Any

import httpx
import jwt as pyjwt  # an independent signer
import pytest
from joserfc.jwk import ECKey

from shared.persistence.once import OnceHere, UsedIdsUnknown, once
from tests.unit.gateway.door import Door, documents, opened
from tests.unit.gateway.redis_store import RedisStore

PLACE = "http://tier.test/things/v1/things"


class Holder:
    """A client with a key of its own."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256")
        self.jwk = self.key.as_dict(private=False)

    def token(self, door: Door, **claims: Any) -> str:
        return door.issuer.token(cnf={"jkt": self.key.thumbprint()}, **claims)

    def proof(self, token: str, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        ath = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
        said = {"jti": uuid.uuid4().hex, "htm": "GET", "htu": PLACE, "iat": int(time()), "ath": ath} | claims
        said = {name: value for name, value in said.items() if value is not None}
        stated = {"typ": "dpop+jwt", "jwk": self.jwk} | (header or {})
        return pyjwt.encode(said, self.key.as_pem(private=True), algorithm="ES256", headers=stated)


async def ask(door: Door, token: str, *proofs: str, scheme: str = "DPoP") -> httpx.Response:
    headers = [("authorization", f"{scheme} {token}"), *(("dpop", proof) for proof in proofs)]
    return await door.client.get("/things/v1/things", headers=headers)


async def test_the_holder_of_the_key_gets_in_again_and_again_with_a_fresh_proof(door: Door) -> None:
    holder = Holder()
    token = holder.token(door)
    for _ in range(3):
        assert (await ask(door, token, holder.proof(token))).status_code == 200
    assert (
        await ask(door, token, holder.proof(token, htu="HTTP://TIER.test:80/things/v1/things?a=b#c"))
    ).status_code == 200


async def test_an_address_may_be_spelled_with_escapes(door: Door) -> None:
    holder = Holder()
    token = holder.token(door)
    for asked, spelled in (("a%20b", "a%20b"), ("a~b", "a%7Eb"), ("a%2525b", "a%2525b"), ("a%3Fb", "a%3fb")):
        proof = holder.proof(token, htu=f"{PLACE}/{spelled}")
        headers = {"authorization": f"DPoP {token}", "dpop": proof}
        answer = await door.client.get(f"/things/v1/things/{asked}", headers=headers)
        assert answer.status_code == 200, answer.text


async def test_who_asks_for_the_head_proves_that(door: Door) -> None:
    holder = Holder()
    token = holder.token(door)
    for method, status in (("HEAD", 200), ("GET", 401)):
        headers = {"authorization": f"DPoP {token}", "dpop": holder.proof(token, htm=method)}
        assert (await door.client.head("/things/v1/things", headers=headers)).status_code == status


async def test_a_stolen_token_is_worth_nothing(door: Door) -> None:
    holder, thief = Holder(), Holder()
    token = holder.token(door)
    as_bearer = await ask(door, token, scheme="Bearer")
    assert as_bearer.status_code == 401
    assert as_bearer.headers["www-authenticate"].startswith("DPoP ")
    assert (await ask(door, token)).json()["code"] == "invalid_dpop_proof"
    answer = await ask(door, token, thief.proof(token))
    assert "another key" in answer.json()["detail"]
    assert 'error="invalid_dpop_proof"' in answer.headers["www-authenticate"]
    # and once the holder has been in, the remembered token still asks for proof
    assert (await ask(door, token, holder.proof(token))).status_code == 200
    assert (await ask(door, token)).status_code == 401
    assert (await ask(door, token, thief.proof(token))).status_code == 401


async def test_a_proof_counts_once(door: Door) -> None:
    holder = Holder()
    token = holder.token(door)
    proof = holder.proof(token)
    assert (await ask(door, token, proof)).status_code == 200
    assert "used before" in (await ask(door, token, proof)).json()["detail"]


@pytest.mark.parametrize(
    ("claims", "header", "told"),
    [
        ({"htm": "POST"}, {}, "another method"),
        ({"htu": "http://tier.test/things/v1/open"}, {}, "another address"),
        ({"htu": "http://elsewhere.test/things/v1/things"}, {}, "another address"),
        ({"htu": "http://tier.test:bad/"}, {}, "another address"),
        ({"htu": None}, {}, "another address"),
        ({"iat": int(time()) - 7200}, {}, "not made just now"),
        ({"iat": int(time()) + 7200}, {}, "not made just now"),
        ({"iat": None}, {}, "does not say when"),
        ({"jti": None}, {}, "no usable jti"),
        ({"jti": "x" * 300}, {}, "no usable jti"),
        ({"ath": "AAAA"}, {}, "another access token"),
        ({"ath": None}, {}, "another access token"),
        ({}, {"typ": "JWT"}, "not of type dpop+jwt"),
        ({}, {"jwk": None}, "public key"),
        ({}, {"jwk": {"kty": "oct", "k": "AAAA"}}, "public key"),
        ({}, {"jwk": {"kty": "EC", "crv": "P-256"}}, "cannot be read"),
    ],
)
async def test_a_proof_for_something_else_proves_nothing(
    door: Door, claims: dict[str, Any], header: dict[str, Any], told: str
) -> None:
    holder = Holder()
    token = holder.token(door)
    answer = await ask(door, token, holder.proof(token, header=header, **claims))
    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid_dpop_proof"
    assert told in answer.json()["detail"]


async def test_a_private_key_or_a_foreign_signature_in_a_proof_is_refused(door: Door) -> None:
    holder, other = Holder(), Holder()
    token = holder.token(door)
    shown = holder.proof(token, header={"jwk": holder.key.as_dict(private=True)})
    assert "public key" in (await ask(door, token, shown)).json()["detail"]
    swapped = other.proof(token, header={"jwk": holder.jwk})
    assert "signature" in (await ask(door, token, swapped)).json()["detail"]


async def test_two_proofs_none_or_rubbish_are_refused(door: Door) -> None:
    holder = Holder()
    token = holder.token(door)
    for proofs in ([], [holder.proof(token), holder.proof(token)], ["x"], ["x" * 5000], ["a.b.c"]):
        assert (await ask(door, token, *proofs)).status_code == 401


async def test_a_bearer_token_is_not_presented_with_the_scheme_of_bound_ones(door: Door) -> None:
    answer = await ask(door, door.issuer.token(), Holder().proof("x"))
    assert answer.status_code == 401
    assert "not bound" in answer.json()["detail"]


async def test_where_no_proofs_are_taken_bound_tokens_are_refused() -> None:
    policies = {"jwt": {"when_revocations_are_stale": "admit"}}
    async with opened(documents(policies=policies)) as door:
        holder = Holder()
        token = holder.token(door)
        for scheme in ("DPoP", "Bearer"):
            answer = await ask(door, token, holder.proof(token), scheme=scheme)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer ")


@pytest.mark.parametrize(("declared", "status"), [("refuse", 503), ("admit", 200)])
async def test_when_used_proofs_cannot_be_remembered_the_declared_choice_holds(
    declared: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any, **__: Any) -> bool:
        raise UsedIdsUnknown

    monkeypatch.setattr(OnceHere, "is_first", away)
    policies = {"jwt": {"when_revocations_are_stale": "admit", "dpop": {"when_proofs_cannot_be_remembered": declared}}}
    async with opened(documents(policies=policies)) as door:
        holder = Holder()
        token = holder.token(door)
        assert (await ask(door, token, holder.proof(token))).status_code == status


async def test_replicas_that_share_counters_share_used_proofs_and_say_so_when_they_cannot(
    redis_store: RedisStore,
) -> None:
    first, second = once(redis_store.url), once(redis_store.url)
    try:
        assert await first.is_first("dpop", "a", seconds=60)
        assert not await second.is_first("dpop", "a", seconds=60)
        assert await second.is_first("assertion", "a", seconds=60)
    finally:
        await first.aclose()
        await second.aclose()
    away = once("redis://127.0.0.1:1")
    with pytest.raises(UsedIdsUnknown):
        await away.is_first("dpop", "b", seconds=60)
    await away.aclose()


async def test_used_proofs_are_forgotten_when_they_would_be_too_old_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("shared.persistence.once.time", lambda: clock[0])
    used = OnceHere()
    assert await used.is_first("dpop", "a", seconds=60)
    assert not await used.is_first("dpop", "a", seconds=60)
    clock[0] += 61
    assert await used.is_first("dpop", "a", seconds=60)
    monkeypatch.setattr("shared.persistence.once._AT_MOST", 1)
    with pytest.raises(UsedIdsUnknown):
        await used.is_first("dpop", "b", seconds=60)
