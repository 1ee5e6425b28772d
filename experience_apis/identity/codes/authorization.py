"""Decides on portals' wishes: who has to log in or agree first, and what code or refusal goes back to the portal."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import urlencode, urlsplit

from experience_apis.identity.codes.records import Grant, GrantShelf
from experience_apis.identity.codes.wishes import PERSON_SCOPES, Wish, WishRefused, read_wish, single
from experience_apis.identity.people.records import AuditLine, Person, PersonSession
from experience_apis.identity.records import OAuthClient
from experience_apis.identity.roles import RoleBook
from shared.telemetry.metrics import counter

CODE_LIFETIME = timedelta(seconds=60)
_outcomes = counter(
    "throughline_experience_authorizations_total", ["outcome"], "Authorization requests by error code or ok."
)


class Next(StrEnum):
    """What has to happen before the portal gets its code."""

    LOGIN = "login"
    PASSWORD = "password"  # noqa: S105 - the name of a page
    CONSENT = "consent"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Answer:
    """Where the browser is sent with the outcome."""

    address: str


class AuthorizationDesk:
    """Answers authorization requests (RFC 6749 §4.1 with RFC 7636, RFC 9207 and OpenID Connect)."""

    def __init__(
        self,
        *,
        issuer: str,
        client: Callable[[str], Awaitable[OAuthClient | None]],
        shelf: GrantShelf,
        book: RoleBook,
        audit: AuditLine,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._issuer = issuer
        self._client = client
        self._shelf = shelf
        self._book = book
        self._audit = audit
        self._now = now

    async def wish(self, parameters: Sequence[tuple[str, str]]) -> Wish:
        """The wish of an authorization request.

        Raises: WishRefused.
        """
        try:
            given = single(parameters)
            client = await self._client(given.get("client_id", ""))
            return read_wish(given, client, self._book.known())
        except WishRefused as refusal:
            _outcomes.labels(refusal.error).inc()
            raise

    async def next(self, wish: Wish, session: PersonSession | None) -> Next:
        """What has to happen first.

        Raises: WishRefused when the person may not use the client, or when the portal forbade to ask (`prompt=none`).
        """
        is_silent = "none" in wish.prompts
        if session is None or self._is_too_old(wish, session):
            if is_silent:
                raise self.refused(wish, "login_required", "The person is not logged in.")
            return Next.LOGIN
        if session.person.must_change_password:
            if is_silent:
                raise self.refused(wish, "interaction_required", "The person has to choose a new password.")
            return Next.PASSWORD
        scopes = self._scopes(wish, session.person)
        if wish.client.is_first_party and "consent" not in wish.prompts:
            return Next.NOTHING
        agreed = await self._shelf.consented(session.person.name, wish.client.client_id)
        if scopes <= agreed and "consent" not in wish.prompts:
            return Next.NOTHING
        if is_silent:
            raise self.refused(wish, "consent_required", "The person has not agreed to this yet.")
        return Next.CONSENT

    def granted_scopes(self, wish: Wish, person: Person) -> frozenset[str]:
        """What the client may have, the person holds, and the portal asked for; WishRefused when that is nothing."""
        return self._scopes(wish, person)

    async def grant(self, wish: Wish, session: PersonSession, *, remember: bool = False) -> Answer:
        """A code for the portal; with `remember` the person is not asked for these scopes again."""
        scopes, now = self._scopes(wish, session.person), self._now()
        if remember:
            await self._shelf.consent(session.person.name, wish.client.client_id, scopes)
        code = secrets.token_urlsafe(32)
        grant = Grant(
            id=secrets.token_urlsafe(18),
            client_id=wish.client.client_id,
            person=session.person,
            session_id=session.id,
            redirect_uri=wish.redirect_uri,
            challenge=wish.challenge,
            nonce=wish.nonce,
            scopes=scopes,
            auth_time=session.auth_time,
            key_thumbprint=wish.key_thumbprint,
            code_ends_at=now + CODE_LIFETIME,
            is_code_used=False,
            ends_at=session.ends_at,
            is_alive=True,
        )
        await self._shelf.keep(grant, digest_of(code))
        self._told(wish, session.person, "ok", scopes)
        return self._answer(wish.redirect_uri, wish.state, {"code": code})

    def deny(self, wish: Wish, person: Person) -> Answer:
        """The person does not agree."""
        self._told(wish, person, "access_denied", wish.scopes)
        reason = "The person did not agree."
        return self._answer(wish.redirect_uri, wish.state, {"error": "access_denied", "error_description": reason})

    def refusal(self, refusal: WishRefused) -> Answer | None:
        """Where the portal hears of a refusal; None when the browser must not be sent anywhere."""
        if refusal.redirect_uri is None:
            return None
        told = {"error": refusal.error, "error_description": refusal.reason}
        return self._answer(refusal.redirect_uri, refusal.state, told)

    def refused(self, wish: Wish, error: str, reason: str) -> WishRefused:
        """A refusal of a wish that was well-formed."""
        _outcomes.labels(error).inc()
        return WishRefused(error, reason, wish.redirect_uri, wish.state)

    def _is_too_old(self, wish: Wish, session: PersonSession) -> bool:
        if wish.prompts & {"login", "select_account"}:
            return True
        return wish.max_age is not None and self._now() - session.auth_time > timedelta(seconds=wish.max_age)

    def _scopes(self, wish: Wish, person: Person) -> frozenset[str]:
        if person.tenant != wish.client.tenant:
            raise self.refused(wish, "access_denied", "The client serves another tenant.")
        scopes = held_scopes(wish.scopes, person, wish.client, self._book)
        if not scopes:
            raise self.refused(wish, "invalid_scope", "The person holds none of the scopes asked for.")
        return scopes

    def _answer(self, redirect_uri: str, state: str | None, told: Mapping[str, str]) -> Answer:
        outcome = {**told, **({"state": state} if state is not None else {}), "iss": self._issuer}
        return Answer(f"{redirect_uri}{'&' if urlsplit(redirect_uri).query else '?'}{urlencode(outcome)}")

    def _told(self, wish: Wish, person: Person, outcome: str, scopes: frozenset[str]) -> None:
        _outcomes.labels(outcome).inc()
        self._audit(
            {
                "event": "authorization",
                "outcome": outcome,
                "client_id": wish.client.client_id,
                "person": person.name,
                "subject": person.subject,
                "tenant": person.tenant,
                "scopes": sorted(scopes),
            }
        )


def held_scopes(scopes: frozenset[str], person: Person, client: OAuthClient, book: RoleBook) -> frozenset[str]:
    """Of these scopes those that the person's roles and the client hold today."""
    held = book.scopes_of(person.roles & book.roles.keys()) & client.scopes
    return scopes & (held | PERSON_SCOPES)


def digest_of(secret: str) -> bytes:
    """How a code or refresh token is kept: it is random and long, so a plain digest is enough."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
