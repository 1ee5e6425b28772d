"""Entra's token endpoint and the product's list of registered applications; no record may enter."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TOKEN_BYTES = 24


@dataclass(frozen=True, slots=True)
class Application:
    """An application of the directory; `priority` is what the customer's throttling map says of it.

    `is_registered`: whether the product knows it and has mapped it to a user.
    """

    client_id: str
    secret: str = field(repr=False)
    priority: str = "medium"
    is_registered: bool = True


class TokenRefused(Exception):
    """The OAuth error of the token endpoint."""

    def __init__(self, error: str, number: int, description: str) -> None:
        super().__init__(description)
        self.document: dict[str, Any] = {
            "error": error,
            "error_description": f"AADSTS{number}: {description}",
            "error_codes": [number],
        }


class Door:
    """Knows the applications and their sessions."""

    def __init__(
        self, tenant: str, applications: Mapping[str, Application], standing_tokens: Mapping[str, str] | None = None
    ) -> None:
        """`standing_tokens` never end (token → client id): for clients that bring their own to a loopback address."""
        self.tenant = tenant
        self._standing = dict(standing_tokens or {})
        self.applications = dict(applications)
        self.token_seconds = 3599
        self._sessions: dict[str, tuple[str, float]] = {}

    def expire(self) -> None:
        """Every session is over."""
        self._sessions.clear()

    def caller(self, authorization: str) -> Application | None:
        """Who holds the bearer token, if it lives and the product knows the application."""
        scheme, _, token = authorization.partition(" ")
        client_id, until = self._sessions.get(token, ("", 0.0))
        if until <= time.monotonic():
            client_id = self._standing.get(token, "")
        application = self.applications.get(client_id)
        if scheme.lower() != "bearer" or application is None:
            return None
        return application if application.is_registered else None

    def open(self, tenant: str, form: Mapping[str, str], resource: str) -> dict[str, Any]:
        """A session for good credentials (v2 with `scope`, v1 with `resource`). Raises TokenRefused."""
        if tenant != self.tenant:
            raise TokenRefused("invalid_request", 90002, f"Tenant '{tenant}' not found.")
        if form.get("grant_type") != "client_credentials":
            raise TokenRefused("unsupported_grant_type", 70003, "The grant type is not supported here.")
        application = self.applications.get(form.get("client_id", ""))
        if application is None:
            raise TokenRefused("unauthorized_client", 700016, "The application was not found in the directory.")
        if not secrets.compare_digest(form.get("client_secret", "").encode(), application.secret.encode()):
            raise TokenRefused("invalid_client", 7000215, "Invalid client secret provided.")
        if form.get("scope", "") != f"{resource}/.default" and form.get("resource", "") != resource:
            raise TokenRefused(
                "invalid_scope", 70011, "The scope is not valid: the resource is written without a slash."
            )
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now = time.monotonic()
        self._sessions = {kept: session for kept, session in self._sessions.items() if session[1] > now}
        self._sessions[token] = (application.client_id, now + self.token_seconds)
        return {"token_type": "Bearer", "expires_in": self.token_seconds, "access_token": token}
