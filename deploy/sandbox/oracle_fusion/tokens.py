"""The pod's door: basic authentication, and bearer tokens of its identity domain for two grants."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

AUDIENCE = "https://identity.oraclecloud.com/"
SCOPE = "urn:opc:resource:consumer::all"
ASSERTION_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass(frozen=True, slots=True)
class Application:
    """A confidential application of the identity domain; `public_key` (PEM) verifies its users' assertions."""

    client_id: str
    secret: str = field(repr=False)
    public_key: str = ""


class TokenRefused(Exception):
    """The identity domain gives no token; `error` is OAuth's word."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.document = {"error": error, "error_description": description}


class Door:
    """Who may in, and the tokens given out."""

    def __init__(
        self,
        applications: Mapping[str, Application],
        users: Mapping[str, str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`applications` by client id, `users` name → password."""
        self.applications = dict(applications)
        self.users = dict(users)
        self.token_seconds = 3600
        self.barred: set[str] = set()
        self._clock = clock
        self._tokens: dict[str, float] = {}

    def expire(self) -> None:
        """No token given out so far counts any more."""
        self._tokens.clear()

    def admits(self, authorization: str) -> bool:
        """Whether the header lets a request in."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return self._tokens.get(value, 0.0) > self._clock()
        if scheme.lower() == "basic":
            name, password = _pair(value)
            return bool(name) and self.users.get(name) == password
        return False

    def token(self, authorization: str, form: Mapping[str, str]) -> dict[str, Any]:
        """A token for the form of a grant. Raises TokenRefused."""
        application = self._application(authorization)
        grant = form.get("grant_type", "")
        if grant == ASSERTION_GRANT:
            self._verify(application, form.get("assertion", ""))
        elif grant != "client_credentials":
            raise TokenRefused(400, "unsupported_grant_type", f"The grant {grant} is not supported.")
        if not form.get("scope"):
            raise TokenRefused(400, "invalid_scope", "The scope is missing.")
        value = secrets.token_urlsafe(32)
        self._tokens[value] = self._clock() + self.token_seconds
        return {"access_token": value, "token_type": "Bearer", "expires_in": self.token_seconds}

    def _application(self, authorization: str) -> Application:
        scheme, _, value = authorization.partition(" ")
        name, secret = _pair(value) if scheme.lower() == "basic" else ("", "")
        application = self.applications.get(unquote_plus(name))
        if application is None or application.secret != unquote_plus(secret):
            raise TokenRefused(401, "invalid_client", "Client authentication failed.")
        return application

    def _verify(self, application: Application, assertion: str) -> None:
        try:
            token = jwt.decode(assertion, RSAKey.import_key(application.public_key), algorithms=["RS256"])
            claims = token.claims
        except (JoseError, ValueError) as error:
            raise TokenRefused(400, "invalid_grant", "The assertion cannot be verified.") from error
        audience = claims.get("aud")
        is_ours = AUDIENCE in (audience if isinstance(audience, list) else [audience])
        if not is_ours or claims.get("iss") != application.client_id or claims.get("sub") not in self.users:
            raise TokenRefused(400, "invalid_grant", "Issuer, subject or audience of the assertion is not accepted.")
        if float(claims.get("exp", 0)) <= self._clock():
            raise TokenRefused(400, "invalid_grant", "The assertion has expired.")


def _pair(value: str) -> tuple[str, str]:
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return name, secret
