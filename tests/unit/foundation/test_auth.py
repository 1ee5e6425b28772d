"""Tokens: fetched once for all, kept until shortly before they end, exchanged per person, refused with a reason."""

from __future__ import annotations

import asyncio
from base64 import b64encode

import pytest

from shared.errors.taxonomy import (
    CredentialsRefused,
    NotAuthenticated,
    NotPermitted,
    OutcomeUnknown,
    VendorDrift,
    VendorUnavailable,
)
from shared.outbound import (
    ClientCredentials,
    Outbound,
    RetryPolicy,
    StaticHeaders,
    TokenExchange,
    TokenRequest,
    acting_for,
)
from tests.unit.foundation.scripted import CUT, Asked, Said, Server


def credentials(server: Server) -> ClientCredentials:
    return ClientCredentials(
        token_url=server.url,
        client_id="tier:1",
        client_secret="s%c",
        scopes=["crm.read", "crm.write"],
        audience="inner",
    )


def exchange(server: Server, otherwise: StaticHeaders | None = None) -> TokenExchange:
    return TokenExchange(
        token_url=server.url, client_id="tier", client_secret="s", audience="inner", otherwise=otherwise
    )


def token(value: str, lifetime: float = 300) -> Said:
    return Said(200, {"access_token": value, "token_type": "Bearer", "expires_in": lifetime})


async def test_a_token_is_fetched_once_for_all_who_ask_at_the_same_time(server: Server) -> None:
    flow = credentials(server)
    server.says(token("a"))
    headers = await asyncio.gather(*(flow.headers() for _ in range(10)))
    assert headers == [{"Authorization": "Bearer a"}] * 10
    assert len(server.asked) == 1
    assert server.asked[0].form == {
        "grant_type": "client_credentials",
        "scope": "crm.read crm.write",
        "audience": "inner",
    }
    assert server.asked[0].headers["authorization"] == f"Basic {b64encode(b'tier%3A1:s%25c').decode()}"


async def test_a_token_is_renewed_before_it_ends(server: Server) -> None:
    flow = credentials(server)
    server.says(token("a", 1), token("b"))
    await flow.headers()
    await asyncio.sleep(0.92)
    assert await flow.headers() == {"Authorization": "Bearer b"}


async def test_a_renewed_token_is_a_new_one(server: Server) -> None:
    flow = credentials(server)
    server.says(token("a"), token("b"))
    await flow.headers()
    await flow.renew()
    assert await flow.headers() == {"Authorization": "Bearer b"}


async def test_the_assertion_is_made_afresh_for_each_fetch(server: Server) -> None:
    numbers = iter(range(10))

    async def form() -> dict[str, str]:
        return {"assertion": str(next(numbers))}

    flow = TokenRequest(system="acme", token_url=server.url, form=form)
    server.says(Said(200, {"access_token": "a", "instance_url": "https://x"}))
    assert (await flow.token()).answer["instance_url"] == "https://x"
    await flow.renew()
    await flow.token()
    assert [asked.form["assertion"] for asked in server.asked] == ["0", "1"]


async def test_refused_credentials_name_the_reason_and_no_secret(server: Server) -> None:
    server.says(Said(400, {"error": "invalid_client", "error_description": "who is Bearer abcdefghijklmn"}))
    with pytest.raises(CredentialsRefused, match="invalid_client") as caught:
        await credentials(server).headers()
    assert "abcdefghijklmn" not in str(caught.value.detail)


async def test_a_token_endpoint_that_fails_is_asked_again_then_unavailable(server: Server) -> None:
    server.says(CUT, Said(500), token("a"))
    assert await credentials(server).headers() == {"Authorization": "Bearer a"}
    server.says(Said(503))
    with pytest.raises(VendorUnavailable):
        await credentials(server).headers()


@pytest.mark.parametrize("said", [Said(200, {"token": "a"}), Said(200, [1]), Said(200, raw=b"<html>")])
async def test_an_answer_without_token_is_drift(server: Server, said: Said) -> None:
    server.says(said)
    with pytest.raises(VendorDrift):
        await credentials(server).headers()


async def test_each_person_has_a_token_of_their_own(server: Server) -> None:
    flow = exchange(server)
    server.says(lambda asked: token(f"for {asked.form['subject_token']}"))

    async def headers_of(person: str) -> str:
        with acting_for(person):
            return (await flow.headers())["Authorization"]

    asked = await asyncio.gather(*(headers_of(person) for person in ("ada", "bob", "ada", "bob")))
    assert asked == ["Bearer for ada", "Bearer for bob", "Bearer for ada", "Bearer for bob"]
    assert len(server.asked) == 2
    assert server.asked[0].form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
    assert server.asked[0].form["audience"] == "inner"
    with acting_for("ada"):
        await flow.renew()
    await headers_of("bob")
    assert len(server.asked) == 2
    await headers_of("ada")
    assert len(server.asked) == 3


async def test_nobody_to_act_for_is_not_authenticated(server: Server) -> None:
    with pytest.raises(NotAuthenticated):
        await exchange(server).headers()
    assert await exchange(server, StaticHeaders({"X": "1"})).headers() == {"X": "1"}


async def test_whose_fault_a_refused_exchange_is(server: Server) -> None:
    for code, kind in [
        ("invalid_grant", NotAuthenticated),
        ("invalid_scope", NotPermitted),
        ("invalid_client", CredentialsRefused),
    ]:
        server.says(Said(400, {"error": code}))
        with acting_for("ada"), pytest.raises(kind):
            await exchange(server).headers()


async def test_a_repeatable_write_stays_unknown_when_no_token_can_be_had_for_the_second_try(server: Server) -> None:
    def said(asked: Asked) -> Said:
        return Said(503) if asked.path == "/token" else CUT

    server.says(said)

    class Once(StaticHeaders):
        asked = 0

        async def headers(self) -> dict[str, str]:
            self.asked += 1
            if self.asked > 1:
                raise VendorUnavailable
            return {}

    outbound = Outbound(
        system="acme", base_url=server.url, auth=Once({}), retry=RetryPolicy(first=0.01, total=5), timeout=1
    )
    with pytest.raises(OutcomeUnknown):
        await outbound.write("PUT", "/", repeatable=True)
    await outbound.aclose()
