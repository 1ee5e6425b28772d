"""Who may come in: client credentials and JWT bearer grants, access tokens, their end."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCES = ("https://login.salesforce.com", "https://test.salesforce.com")
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Client:
    """An app that may connect: its secret, the user it runs as, and the public key its assertions are checked with."""

    client_id: str
    secret: str
    run_as: str
    public_key: str | None = None
    users: frozenset[str] = frozenset()


class GrantRefused(Exception):
    """The token endpoint's refusal."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        """`error` and `error_description` of the answer."""
        super().__init__(description)
        self.status = status
        self.body = {"error": error, "error_description": description}


@dataclass(slots=True)
class Session:
    """An access token's owner."""

    username: str
    client_id: str
    used_at: float


@dataclass(slots=True)
class Sessions:
    """Clients and living tokens; a token unused for `idle_seconds` is dead."""

    clients: dict[str, Client]
    idle_seconds: float = 7200
    audiences: tuple[str, ...] = AUDIENCES
    _tokens: dict[str, Session] = field(default_factory=dict[str, Session])
    logins: int = 0

    def grant(self, form: Mapping[str, str], authorization: str, own_url: str) -> tuple[str, Session]:
        """A token for a grant. Raises GrantRefused."""
        kind = form.get("grant_type", "")
        if kind == "client_credentials":
            username, client_id = self._client_credentials(form, authorization)
        elif kind == JWT_BEARER:
            username, client_id = self._assertion(form.get("assertion", ""), own_url)
        else:
            raise GrantRefused("unsupported_grant_type", "grant type not supported")
        token = f"00D!{secrets.token_urlsafe(48)}"
        session = Session(username, client_id, time.monotonic())
        self._tokens[token] = session
        self.logins += 1
        return token, session

    def owner(self, token: str) -> Session | None:
        """The session of a living token."""
        session = self._tokens.get(token)
        if session is None:
            return None
        now = time.monotonic()
        if now - session.used_at > self.idle_seconds:
            del self._tokens[token]
            return None
        session.used_at = now
        return session

    def revoke(self, token: str) -> bool:
        """End a token; whether there was one."""
        return self._tokens.pop(token, None) is not None

    def expire(self) -> None:
        """All tokens are stale."""
        self._tokens.clear()

    def _client_credentials(self, form: Mapping[str, str], authorization: str) -> tuple[str, str]:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        if authorization.lower().startswith("basic "):
            try:
                pair = base64.b64decode(authorization[6:], validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise GrantRefused("invalid_client", "invalid client credentials", 401) from None
            client_id, _, secret = (unquote_plus(part) for part in pair.partition(":"))
        client = self.clients.get(client_id)
        if client is None:
            raise GrantRefused("invalid_client_id", "client identifier invalid")
        if not hmac.compare_digest(client.secret.encode(), secret.encode()):
            raise GrantRefused("invalid_client", "invalid client credentials")
        if not client.run_as:
            raise GrantRefused("invalid_grant", "no client credentials user enabled")
        return client.run_as, client_id

    def _assertion(self, assertion: str, own_url: str) -> tuple[str, str]:
        claims: dict[str, Any] = {}
        client: Client | None = None
        for candidate in self.clients.values():
            if candidate.public_key is None:
                continue
            try:
                claims = jwt.decode(assertion, RSAKey.import_key(candidate.public_key), algorithms=["RS256"]).claims
            except (JoseError, ValueError):
                continue
            client = candidate
            break
        if client is None or claims.get("iss") != client.client_id:
            raise GrantRefused("invalid_grant", "invalid assertion")
        audiences: Any = claims.get("aud")
        named: set[str] = {audiences} if isinstance(audiences, str) else set(audiences or ())
        if not named & {*self.audiences, own_url}:
            raise GrantRefused("invalid_grant", "audience is invalid")
        try:
            left = float(claims.get("exp", 0)) - time.time()
        except (TypeError, ValueError):
            left = 0
        if not 0 < left <= _LONGEST:
            raise GrantRefused("invalid_grant", "expired authorization code" if left <= 0 else "invalid assertion")
        if (username := claims.get("sub")) not in client.users:
            raise GrantRefused("invalid_grant", "user hasn't approved this consumer")
        return str(username), client.client_id
