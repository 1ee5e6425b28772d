"""Getting into an org: the client-credentials and JWT-bearer flows of the platform's token endpoint."""

from __future__ import annotations

import time
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import RSAKey

from shared.errors.taxonomy import Misconfigured
from shared.outbound import TokenRequest
from system_apis.ports.binding import Binding

_ASSERTION_SECONDS: Final = 180
_LOGIN: Final = "https://login.salesforce.com"
_JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def session_of(binding: Binding) -> TokenRequest:
    """The session of a binding: settings base_url, client_id, auth_flow, username, audience; secrets of the flow.

    Raises Misconfigured naming what is missing or cannot be.
    """
    flow = binding.choice("auth_flow", "client_credentials", "jwt_bearer")
    form = _jwt_bearer(binding) if flow == "jwt_bearer" else _client_secret(binding)
    base_url = binding.setting("base_url").rstrip("/")
    return TokenRequest(system=binding.system, token_url=f"{base_url}/services/oauth2/token", form=form)


def _client_secret(binding: Binding) -> Any:
    form = {
        "grant_type": "client_credentials",
        "client_id": binding.setting("client_id"),
        "client_secret": binding.secret("client_secret"),
    }
    return lambda: form


def _jwt_bearer(binding: Binding) -> Any:
    issuer, subject = binding.setting("client_id"), binding.setting("username")
    audience = binding.settings.get("audience") or _LOGIN
    try:
        key = RSAKey.import_key(binding.secret("private_key"))
    except ValueError as error:
        raise Misconfigured(f"connector {binding.system}: secret private_key is not an RSA key in PEM form") from error

    def form() -> dict[str, str]:
        claims = {"iss": issuer, "sub": subject, "aud": audience, "exp": int(time.time()) + _ASSERTION_SECONDS}
        return {"grant_type": _JWT_BEARER, "assertion": jwt.encode({"alg": "RS256"}, claims, key)}

    return form
