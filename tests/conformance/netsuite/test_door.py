"""The account's token endpoint, asked with assertions that a library we did not write has signed (PyJWT)."""

from __future__ import annotations

import time
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from deploy.sandbox.kit.faults import FaultKind
from deploy.sandbox.netsuite.tokens import ASSERTION_TYPE, MachineCredentials
from tests.conformance.served import Sandbox

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=3072)


def claims(sandbox: Sandbox, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    url = f"{sandbox.base_url}/services/rest/auth/oauth2/v1/token"
    good = {"iss": "integration-1", "aud": url, "iat": now, "exp": now + 300, "scope": "rest_webservices"}
    return {**good, **changes}


async def ask(sandbox: Sandbox, http: httpx.AsyncClient, assertion: str) -> httpx.Response:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    }
    return await http.post(f"{sandbox.base_url}/services/rest/auth/oauth2/v1/token", data=form)


def trust_rsa(sandbox: Sandbox) -> None:
    public = RSA_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert sandbox.simulator.configure
    sandbox.simulator.configure(
        {"certificates": {"rsa-1": {"client_id": "integration-1", "public_key": public.decode()}}}
    )


async def test_an_assertion_signed_by_another_library_opens_the_door(
    netsuite: Sandbox, http: httpx.AsyncClient, credentials: MachineCredentials
) -> None:
    header = {"kid": credentials.certificate_id}
    answer = await ask(netsuite, http, jwt.encode(claims(netsuite), credentials.private_key, "ES256", header))
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == "3600"
    listed = await http.get(
        f"{netsuite.base_url}/services/rest/record/v1/currency",
        headers={"authorization": f"Bearer {answer.json()['access_token']}"},
    )
    assert listed.json()["totalResults"] == 4


async def test_ps256_is_taken_and_rs256_is_not(netsuite: Sandbox, http: httpx.AsyncClient) -> None:
    trust_rsa(netsuite)
    for algorithm, status in (("PS256", 200), ("PS512", 200), ("RS256", 400)):
        assertion = jwt.encode(claims(netsuite), RSA_KEY, algorithm, {"kid": "rsa-1"})
        assert (await ask(netsuite, http, assertion)).status_code == status


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "https://elsewhere.example/token"},
        {"iss": "somebody-else"},
        {"exp": 7200},
        {"exp": -1},
        {"iat": 600, "exp": 900},
        {"scope": "restlets"},
        {"iat": None},
    ],
)
async def test_an_assertion_with_a_wrong_claim_is_refused(
    netsuite: Sandbox, http: httpx.AsyncClient, credentials: MachineCredentials, wrong: dict[str, Any]
) -> None:
    now = int(time.time())  # the times are told as seconds from the moment of asking
    wrong = {name: now + value if isinstance(value, int) else value for name, value in wrong.items()}
    changed = {name: value for name, value in claims(netsuite, **wrong).items() if value is not None}
    header = {"kid": credentials.certificate_id}
    answer = await ask(netsuite, http, jwt.encode(changed, credentials.private_key, "ES256", header))
    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_grant", "invalid_scope"}


async def test_an_unknown_certificate_a_foreign_key_and_rubbish_are_refused(
    netsuite: Sandbox, http: httpx.AsyncClient, credentials: MachineCredentials
) -> None:
    trust_rsa(netsuite)
    unknown = jwt.encode(claims(netsuite), credentials.private_key, "ES256", {"kid": "nobody"})
    foreign = jwt.encode(claims(netsuite), RSA_KEY, "PS256", {"kid": credentials.certificate_id})
    unsigned = jwt.encode(claims(netsuite), None, "none", {"kid": credentials.certificate_id})  # type: ignore[arg-type]
    for assertion in (unknown, foreign, unsigned, "", "a.b.c"):
        answer = await ask(netsuite, http, assertion)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_a_call_without_a_living_token_is_an_invalid_login(
    netsuite: Sandbox, http: httpx.AsyncClient, credentials: MachineCredentials
) -> None:
    header = {"kid": credentials.certificate_id}
    opened = await ask(netsuite, http, jwt.encode(claims(netsuite), credentials.private_key, "ES256", header))
    bearer = {"authorization": f"Bearer {opened.json()['access_token']}"}
    url = f"{netsuite.base_url}/services/rest/record/v1/term"
    assert (await http.get(url, headers=bearer)).status_code == 200
    netsuite.fault(FaultKind.SESSION_EXPIRED, "term")
    for headers in (bearer, {}, {"authorization": "Bearer made-up"}):
        answer = await http.get(url, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/vnd.oracle.resource+json; type=error"
        assert answer.json()["o:errorDetails"][0]["o:errorCode"] == "INVALID_LOGIN"


async def test_tokens_end_after_their_seconds(
    netsuite: Sandbox, http: httpx.AsyncClient, credentials: MachineCredentials
) -> None:
    assert netsuite.simulator.configure
    netsuite.simulator.configure({"token_seconds": 0})
    header = {"kid": credentials.certificate_id}
    opened = await ask(netsuite, http, jwt.encode(claims(netsuite), credentials.private_key, "ES256", header))
    bearer = {"authorization": f"Bearer {opened.json()['access_token']}"}
    assert (await http.get(f"{netsuite.base_url}/services/rest/record/v1/term", headers=bearer)).status_code == 401
