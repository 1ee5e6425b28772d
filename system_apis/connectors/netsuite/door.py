"""The way in: an OAuth 2.0 assertion signed with the account's certificate, or a signature on every request (TBA)."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from shared.errors.taxonomy import Misconfigured
from shared.outbound import AuthFlow, OAuth1Signer, RequestSigner, TokenRequest
from system_apis.ports.binding import Binding

VENDOR = "netsuite"
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 300


def credentials(binding: Binding, rest: str) -> AuthFlow | RequestSigner:
    """What the setting `auth` says; `rest` is the address of the account's REST services. Raises Misconfigured."""
    flow = binding.choice("auth", "oauth2", "token")
    if flow == "oauth2":
        token_url = f"{rest}/auth/oauth2/v1/token"
        assertions = _Assertions(binding, token_url)
        return TokenRequest(system=VENDOR, token_url=token_url, form=assertions.form)
    return OAuth1Signer(
        realm=_account(binding),
        consumer_key=binding.setting("consumer_key"),
        consumer_secret=binding.secret("consumer_secret"),
        token=binding.setting("token_id"),
        token_secret=binding.secret("token_secret"),
    )


def _account(binding: Binding) -> str:
    account = binding.setting("account")
    if not re.fullmatch(r"[A-Z0-9_]+", account):
        raise Misconfigured(
            f"connector {VENDOR}: setting account: {account!r} is not written as the account shows it, e.g. 1234567_SB1"
        )
    return account


class _Assertions:
    """Forms of the client credentials grant, each with a fresh assertion."""

    def __init__(self, binding: Binding, token_url: str) -> None:
        self._token_url = token_url
        self._client_id = binding.setting("client_id")
        self._certificate_id = binding.setting("certificate_id")
        self._key = _private_key(binding)

    def form(self) -> Mapping[str, str]:
        """The form of one token request."""
        now = int(time.time())
        claims = {
            "iss": self._client_id,
            "scope": "rest_webservices",
            "aud": self._token_url,
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
            "jti": uuid.uuid4().hex,
        }
        header = {"typ": "JWT", "alg": "ES256", "kid": self._certificate_id}
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": jwt.encode(header, claims, self._key),
        }


def _private_key(binding: Binding) -> ECKey:
    try:
        key = ECKey.import_key(binding.secret("private_key"))
    except (JoseError, ValueError) as error:
        raise Misconfigured(f"connector {VENDOR}: secret private_key is not a P-256 key in PEM") from error
    if not key.is_private or key.curve_name != "P-256":
        raise Misconfigured(f"connector {VENDOR}: secret private_key must be a private key on P-256 (ES256)")
    return key
