"""Signatures as the account checks them and as we make them, held against the example in the vendor's own help."""

from __future__ import annotations

import re
import time

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.sandbox.netsuite.signatures import AccessToken, Asked, Signatures, new_token
from shared.outbound import OAuth1Signer

# Help page "The Signature for Web Services and RESTlets" (section_1534941088): REST web services, realm 123456.
ADDRESS = "https://123456.suitetalk.api.netsuite.com/services/rest/record/v1/employee/40"
EXAMPLE = AccessToken(
    "ef40afdd8abaac111b13825dd5e5e2ddddb44f86d5a0dd6dcf38c20aae6b67e4",
    "d26ad321a4b2f23b0741c8d38392ce01c3e23e109df6c96eac6d099e9ab9e8b5",
    "2b0ce516420110bcbd36b69e99196d1b7f6de3c6234c5afb799b73d87569f5cc",
    "c29a677df7d5439a458c063654187e3d678d73aca8e3c9d8bea1478a3eb0d295",
)
NONCE, MOMENT, SIGNATURE = "fjaLirsIcCGVZWzBX0pg", 1508242306, "B5OIWznZ2YP0OB7VrJrGkYsTh%2B8H%2B5T9Hag%2Bo92q0zY%3D"
HEADER = (
    f'OAuth realm="123456", oauth_token="{EXAMPLE.token_id}", oauth_consumer_key="{EXAMPLE.consumer_key}", '
    f'oauth_nonce="{NONCE}", oauth_timestamp="{MOMENT}", oauth_signature_method="HMAC-SHA256", '
    f'oauth_version="1.0", oauth_signature="{SIGNATURE}"'
)
TOKEN = new_token()


def signer(token: AccessToken, realm: str) -> OAuth1Signer:
    return OAuth1Signer(realm, token.consumer_key, token.consumer_secret, token.token_id, token.token_secret)


def asked(header: str, *, method: str = "GET", address: str = ADDRESS, query: str = "") -> Asked:
    return Asked(method, address, query, header)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Signatures:
    """The account of the example, at the time of the example."""
    monkeypatch.setattr(time, "time", lambda: MOMENT + 2.5)
    return Signatures([EXAMPLE], account="123456")


def test_the_vendors_example_is_admitted_once(account: Signatures) -> None:
    assert account.refusal(asked(HEADER)) is None
    assert account.refusal(asked(HEADER)) == "NonceUsed"
    account.forget()
    assert account.refusal(asked(HEADER)) is None


def test_we_sign_the_vendors_example_as_the_vendor_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: MOMENT + 0.9)
    monkeypatch.setattr("secrets.token_hex", lambda _: NONCE)
    made = signer(EXAMPLE, "123456").sign("get", httpx.URL(ADDRESS))["Authorization"]
    assert sorted(made.removeprefix("OAuth ").split(", ")) == sorted(HEADER.removeprefix("OAuth ").split(", "))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ((r'realm="\w+"', 'realm="654321"'), "token_rejected"),
        ((r'realm="\w+", ', ""), "MissingTokenPassportRequiredFields"),
        ((r'oauth_nonce="\w+"', 'oauth_nonce=""'), "MissingTokenPassportRequiredFields"),
        ((r'(oauth_nonce="\w+")', r"\1, \1"), "MissingTokenPassportRequiredFields"),
        ((r'oauth_nonce="(\w+)"', r"oauth_nonce=\1"), "MissingTokenPassportRequiredFields"),
        ((r"^OAuth", "Bearer"), "MissingTokenPassportRequiredFields"),
        ((r'oauth_version="1.0"', 'oauth_version="2.0"'), "VersionRejected"),
        ((r"HMAC-SHA256", "HMAC-SHA1"), "UnknownAlgorithm"),
        ((r"HMAC-SHA256", "RSA-SHA1"), "UnknownAlgorithm"),
        ((r'oauth_consumer_key="\w+"', 'oauth_consumer_key="somebody"'), "consumer_key_unknown"),
        ((r'oauth_token="\w+"', 'oauth_token="another"'), "token_rejected"),
        ((r"1508242306", str(MOMENT - 299)), "InvalidTimestamp"),
        ((r"1508242306", str(MOMENT + 303)), "InvalidTimestamp"),
        ((r"1508242306", "now"), "InvalidTimestamp"),
        ((r"1508242306", "9" * 400), "InvalidTimestamp"),
        ((r"1508242306", str(MOMENT - 296)), "InvalidSignature"),
        ((r"fjaLirsIcCGVZWzBX0pg", "fjaLirsIcCGVZWzBX0ph"), "InvalidSignature"),
        ((r", oauth_version=\"1.0\"", ""), "InvalidSignature"),
        ((r"B5OIW", "B5OIX"), "InvalidSignature"),
    ],
)
def test_what_does_not_fit_is_named_as_in_the_login_audit_trail(
    account: Signatures, change: tuple[str, str], word: str
) -> None:
    assert account.refusal(asked(re.sub(*change, HEADER))) == word
    assert account.refusal(asked(HEADER)) is None, "a refused request spends no nonce"


def test_method_address_and_query_are_signed(account: Signatures) -> None:
    for other in (
        asked(HEADER, method="DELETE"),
        asked(HEADER, address=ADDRESS.replace("/40", "/41")),
        asked(HEADER, address=ADDRESS.replace("https", "http")),
        asked(HEADER, query="expandSubResources=true"),
    ):
        assert account.refusal(other) == "InvalidSignature"
    spelt_otherwise = ADDRESS.replace(
        "https://123456.suitetalk.api.netsuite.com", "HTTPS://123456.SuiteTalk.api.netsuite.com:443"
    )
    assert account.refusal(asked(HEADER, address=spelt_otherwise)) is None


def test_a_token_belongs_to_the_integration_it_was_made_for(account: Signatures) -> None:
    account.know([EXAMPLE, TOKEN])
    theirs = re.sub(r'oauth_token="\w+"', f'oauth_token="{TOKEN.token_id}"', HEADER)
    assert account.refusal(asked(theirs)) == "token_rejected"


def test_spent_nonces_are_kept_as_long_as_their_timestamps_count(monkeypatch: pytest.MonkeyPatch) -> None:
    now = float(MOMENT)
    monkeypatch.setattr(time, "time", lambda: now)
    account = Signatures([TOKEN])
    ours = signer(TOKEN, account.account)
    first = asked(ours.sign("GET", httpx.URL(ADDRESS))["Authorization"])
    assert account.refusal(first) is None
    for _ in range(3):
        now += 290
        assert account.refusal(asked(ours.sign("GET", httpx.URL(ADDRESS))["Authorization"])) is None
    assert account.refusal(first) == "InvalidTimestamp"
    assert len(account._spent) == 2


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"))), max_size=4))
def test_account_and_connector_agree_on_every_query(query: list[tuple[str, str]]) -> None:
    account = Signatures([TOKEN])
    url = httpx.URL("http://127.0.0.1:8110/netsuite/services/rest/record/v1/customer/eid:a-b", params=query)
    header = signer(TOKEN, account.account).sign("PATCH", url)["Authorization"]
    address, _, told = str(url).partition("?")
    assert account.refusal(Asked("PATCH", address, told, header)) is None
    assert account.refusal(Asked("PATCH", address, f"{told}&more=1", header)) == "InvalidSignature"
