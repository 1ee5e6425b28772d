"""Entra ID: client credentials by secret or certificate assertion, access tokens and their end."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SECONDS = 3599


@dataclass(frozen=True, slots=True)
class App:
    """An app registration: its secret, the certificate's public key (PEM), and the application user it is here."""

    client_id: str
    secret: str = field(repr=False)
    user: str | None = None
    public_key: str | None = None


class GrantRefused(Exception):
    """The token endpoint's refusal."""

    def __init__(self, status: int, error: str, number: int, text: str) -> None:
        """`number` is that of the AADSTS text."""
        super().__init__(text)
        self.status = status
        self.error = error
        self.number = number

    def body(self, now: datetime) -> dict[str, object]:
        """The answer."""
        return {
            "error": self.error,
            "error_description": f"AADSTS{self.number}: {self}",
            "error_codes": [self.number],
            "timestamp": now.strftime("%Y-%m-%d %H:%M:%SZ"),
            "trace_id": str(uuid4()),
            "correlation_id": str(uuid4()),
        }


@dataclass(frozen=True, slots=True)
class Access:
    """Whose token it is and until when."""

    client_id: str
    until: float


@dataclass(slots=True)
class Tokens:
    """App registrations of one tenant and the tokens that live."""

    tenant_id: str
    apps: Mapping[str, App]
    now: Callable[[], datetime]
    lifetime: float = SECONDS
    _living: dict[str, Access] = field(default_factory=dict[str, Access])

    def grant(self, tenant_id: str, form: Mapping[str, str], scope: str, token_url: str) -> str:
        """A token for the environment with that scope. Raises GrantRefused."""
        if tenant_id.lower() != self.tenant_id.lower():
            raise GrantRefused(400, "invalid_request", 90002, f"Tenant '{tenant_id}' not found.")
        if form.get("grant_type") != "client_credentials":
            raise GrantRefused(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        app = self.apps.get(form.get("client_id", ""))
        if app is None:
            text = f"Application with identifier '{form.get('client_id', '')}' was not found in the directory."
            raise GrantRefused(400, "unauthorized_client", 700016, text)
        self._prove(app, form, token_url)
        if form.get("scope") != scope:
            text = f"The provided value for the input parameter 'scope' is not valid. The scope {form.get('scope')} is."
            raise GrantRefused(400, "invalid_scope", 70011, text)
        token = f"eyJ0eXAiOiJKV1QifQ.{secrets.token_urlsafe(48)}"
        self._living[token] = Access(app.client_id, self.now().timestamp() + self.lifetime)
        return token

    def owner(self, token: str) -> App | None:
        """The app of a living token."""
        access = self._living.get(token)
        if access is None:
            return None
        if access.until <= self.now().timestamp():
            del self._living[token]
            return None
        return self.apps.get(access.client_id)

    def expire(self) -> None:
        """All tokens are stale."""
        self._living.clear()

    def _prove(self, app: App, form: Mapping[str, str], token_url: str) -> None:
        if form.get("client_assertion_type") == ASSERTION:
            if not app.public_key or not self._is_signed(app, form.get("client_assertion", ""), token_url):
                raise GrantRefused(401, "invalid_client", 700027, "Client assertion failed signature validation.")
        elif not hmac.compare_digest(app.secret.encode(), form.get("client_secret", "").encode()):
            text = f"Invalid client secret provided for app '{app.client_id}'."
            raise GrantRefused(401, "invalid_client", 7000215, text)

    def _is_signed(self, app: App, assertion: str, token_url: str) -> bool:
        try:
            claims = jwt.decode(
                assertion, RSAKey.import_key(app.public_key or ""), algorithms=["RS256", "PS256"]
            ).claims
        except (JoseError, ValueError):
            return False
        names = {claims.get("iss"), claims.get("sub")} == {app.client_id}
        left = float(claims.get("exp") or 0) - self.now().timestamp()
        return names and claims.get("aud") == token_url and left > 0
