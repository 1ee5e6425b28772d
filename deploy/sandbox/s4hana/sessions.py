"""The tenant's door: communication users with Basic or OAuth, security sessions with their CSRF tokens and cookies."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any

from deploy.sandbox.s4hana.customizing import Switches

SESSION_COOKIE = "SAP_SESSIONID_S4H_100"
CONTEXT_COOKIE = "sap-usercontext=sap-client=100; path=/"


@dataclass(frozen=True, slots=True)
class CommunicationUser:
    """A user of communication arrangements; its name and password serve Basic and the token endpoint alike."""

    name: str
    password: str


@dataclass(frozen=True, slots=True)
class _Session:
    user: str
    token: str
    until: datetime


class Door:
    """Who is let in, and whose writes are believed."""

    def __init__(self, users: tuple[CommunicationUser, ...], switches: Switches, now: Callable[[], datetime]) -> None:
        self.users = {user.name: user for user in users}
        self._switches = switches
        self._now = now
        self._bearers: dict[str, tuple[str, datetime]] = {}
        self._sessions: dict[str, _Session] = {}

    def expire(self) -> None:
        """Every token and every session ends."""
        self._bearers.clear()
        self._sessions.clear()

    def end_sessions(self) -> None:
        """CSRF tokens become stale, bearer tokens stay good."""
        self._sessions.clear()

    def _known(self, name: str, password: str) -> bool:
        user = self.users.get(name)
        return user is not None and compare_digest(user.password.encode(), password.encode())

    def user_of(self, authorization: str) -> str | None:
        """The user that an Authorization header names, or None."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer":
            user, until = self._bearers.get(value, ("", self._now()))
            return user if until > self._now() else None
        if scheme.lower() == "basic" and (pair := _pair(value)) and self._known(*pair):
            return pair[0]
        return None

    def grant(self, authorization: str, form: Mapping[str, str]) -> dict[str, Any] | None:
        """The token endpoint's answer to client credentials; None: refused."""
        scheme, _, value = authorization.partition(" ")
        pair = _pair(value) if scheme.lower() == "basic" else (form.get("client_id"), form.get("client_secret"))
        if form.get("grant_type") != "client_credentials" or pair is None or None in pair:
            return None
        name, password = str(pair[0]), str(pair[1])
        if not self._known(name, password):
            return None
        token = secrets.token_urlsafe(32)
        seconds = self._switches.token_seconds
        self._bearers[token] = (name, self._now() + timedelta(seconds=seconds))
        return {"access_token": token, "token_type": "Bearer", "expires_in": seconds, "scope": form.get("scope", "")}

    def fetch(self, user: str, cookies: Mapping[str, str]) -> tuple[str, str]:
        """CSRF token and session id: those of the session the cookies name, or of a new one."""
        held = cookies.get(SESSION_COOKIE, "")
        session = self._sessions.get(held)
        if session is not None and session.user == user and session.until > self._now():
            return session.token, held
        number, token = secrets.token_urlsafe(24), base64.b64encode(secrets.token_bytes(18)).decode()
        until = self._now() + timedelta(seconds=self._switches.csrf_seconds)
        self._sessions[number] = _Session(user, token, until)
        return token, number

    def believes(self, user: str, token: str, cookies: Mapping[str, str]) -> bool:
        """Whether a write carries the token of its own session."""
        session = self._sessions.get(cookies.get(SESSION_COOKIE, ""))
        if session is None or session.user != user or session.until <= self._now():
            return False
        return compare_digest(session.token.encode(), token.encode())


def _pair(value: str) -> tuple[str, str] | None:
    try:
        name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None
