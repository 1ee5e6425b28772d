"""Who may come in: fixed tokens of private apps, refresh tokens of installed apps, access tokens and their end."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.sandbox.hubspot.errors import expired, scopes_missing, unknown_caller
from deploy.sandbox.hubspot.values import iso

EVERYTHING = frozenset({"*"})
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class App:
    """Who calls: a private app with a fixed token, an installed app with a refresh token, or a person at the screens.

    `source` is what events name as the origin of a change.
    """

    app_id: int
    token: str = ""
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""
    scopes: frozenset[str] = EVERYTHING
    source: str = "INTEGRATION"

    def need(self, *scopes: str) -> None:
        """Raises HubspotError unless one of the scopes was granted."""
        if self.scopes != EVERYTHING and not self.scopes & set(scopes):
            raise scopes_missing(scopes)


class GrantRefused(Exception):
    """The token endpoint's refusal."""

    def __init__(self, error: str, description: str, status: str) -> None:
        super().__init__(description)
        self.body = {"error": error, "error_description": description, "status": status, "message": description}


@dataclass(slots=True)
class Sessions:
    """Apps and their living tokens; a token ends `life` milliseconds after it was given."""

    apps: list[App]
    now: Callable[[], int]
    life: int = 1_800_000
    refreshes: int = 0
    _tokens: dict[str, tuple[App, int]] = field(default_factory=dict[str, "tuple[App, int]"])

    def grant(self, form: Mapping[str, str]) -> Json:
        """The answer to a refresh. Raises GrantRefused."""
        if form.get("grant_type") != "refresh_token":
            raise GrantRefused("unsupported_grant_type", "grant type is not supported", "BAD_GRANT_TYPE")
        app = next((one for one in self.apps if one.client_id and one.client_id == form.get("client_id")), None)
        if app is None or not hmac.compare_digest(app.client_secret, form.get("client_secret", "")):
            raise GrantRefused("invalid_client", "missing or invalid client credentials", "BAD_CLIENT_SECRET")
        if not hmac.compare_digest(app.refresh_token, form.get("refresh_token", "")):
            description = "refresh token is invalid, expired or revoked"
            raise GrantRefused("invalid_grant", description, "BAD_REFRESH_TOKEN")
        token = f"CO{secrets.token_urlsafe(240)}"
        self._tokens[token] = (app, self.now() + self.life)
        self.refreshes += 1
        return {
            "access_token": token,
            "refresh_token": app.refresh_token,
            "expires_in": self.life // 1000,
            "token_type": "bearer",
        }

    def caller(self, authorization: str) -> App:
        """The app of a bearer token. Raises HubspotError: unknown, or known and expired."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unknown_caller()
        fixed = next((app for app in self.apps if app.token and hmac.compare_digest(app.token, token)), None)
        if fixed is not None:
            return fixed
        if token not in self._tokens:
            raise unknown_caller()
        app, until = self._tokens[token]
        if self.now() >= until:
            raise expired((self.now() - until) // 1000, iso(until))
        return app

    def expire(self) -> None:
        """All access tokens of installed apps have just ended; fixed tokens have no end."""
        ended = self.now()
        self._tokens = {token: (app, min(until, ended)) for token, (app, until) in self._tokens.items()}
