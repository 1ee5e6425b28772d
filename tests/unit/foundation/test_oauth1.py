"""Signed requests: the base string is that of another library, and every send has a signature of its own."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from authlib.oauth1.rfc5849.signature import construct_base_string
from hypothesis import given
from hypothesis import strategies as st

from shared.errors.taxonomy import CredentialsRefused
from shared.outbound import OAuth1Signer, Outbound, RequestSigner, RetryPolicy
from shared.outbound.oauth1 import base_string
from tests.unit.foundation.scripted import CUT, Said, Server
from tests.unit.foundation.test_outbound import Row

SAID = {"oauth_nonce": "n", "oauth_timestamp": "1", "oauth_token": "t~ü/ +"}
SIGNER = OAuth1Signer("ACCOUNT_SB1", "key", "consumer-secret", "token", "token-secret")
TEXTS = st.text(st.characters(codec="utf-8"))


def opened(server: Server, **settings: Any) -> Outbound:
    quick = RetryPolicy(attempts=4, first=0.01, longest=0.02, total=5.0)
    return Outbound(system="vendor", base_url=server.url, auth=SIGNER, retry=quick, **settings)


def told(server: Server, name: str) -> list[str]:
    found = (re.search(rf'{name}="([^"]+)"', asked.headers["authorization"]) for asked in server.asked)
    return [match[1] for match in found if match]


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
def test_the_base_string_is_the_one_of_another_library(query: list[tuple[str, str]]) -> None:
    url = httpx.URL("https://Vendor.Example:443/services/rest/record/v1/customer/eid:a%20b", params=query)
    theirs = construct_base_string("PATCH", str(url), [*SAID.items(), *query])
    assert base_string("patch", url, SAID) == theirs


def test_secrets_are_not_shown() -> None:
    assert isinstance(SIGNER, RequestSigner)
    assert "secret" not in repr(SIGNER).replace("consumer_secret=", "").replace("token_secret=", "")


async def test_a_request_is_signed_as_it_is_sent(server: Server) -> None:
    outbound = opened(server)
    await outbound.read("GET", "/rows", params={"q": 'name IS "a+b c"', "limit": 10})
    await outbound.aclose()
    asked = server.asked[0]
    said = dict(re.findall(r'(\w+)="([^"]*)"', asked.headers["authorization"]))
    assert asked.headers["authorization"].startswith('OAuth realm="ACCOUNT_SB1", ')
    given_back = SIGNER._signature(
        "GET",
        httpx.URL(server.url + asked.target),
        {name: value for name, value in said.items() if name not in {"realm", "oauth_signature"}},
    )
    assert httpx.QueryParams(f"s={said['oauth_signature']}")["s"] == given_back


async def test_a_repeat_is_signed_anew(server: Server) -> None:
    server.says(CUT, Said(503), Said(200, {}))
    outbound = opened(server)
    await outbound.read("GET", "/rows")
    await outbound.aclose()
    assert len(set(told(server, "oauth_nonce"))) == len(set(told(server, "oauth_signature"))) == 3


async def test_a_refused_signature_is_not_tried_again(server: Server) -> None:
    server.says(Said(401, {"code": "INVALID_LOGIN"}))
    outbound = opened(server, errors=[Row(401, "session_expired")])
    with pytest.raises(CredentialsRefused):
        await outbound.read("GET", "/rows")
    await outbound.aclose()
    assert len(server.asked) == 1
