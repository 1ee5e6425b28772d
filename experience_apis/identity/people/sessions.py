"""Sessions of people: begun at login under a new cookie, found again by its digest, ended everywhere at once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from experience_apis.identity.people.records import AuditLine, Person, PersonSession, SessionShelf

_SEEN_EVERY = timedelta(seconds=60)
_BROWSER_AT_MOST = 200


class Withdrawals(Protocol):
    """Tells every tier that tokens no longer count."""

    async def withdraw(self, kind: str, value: str, *, reason: str, tenant: str = "") -> None:
        """Tokens of that kind (token, session, subject) and value are refused from now on."""
        ...


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Seconds without a sign of the person, and seconds in all."""

    idle: float = 1800.0
    absolute: float = 43_200.0


class Sessions:
    """The sessions of all people."""

    def __init__(
        self,
        shelf: SessionShelf,
        withdrawals: Withdrawals,
        audit: AuditLine,
        *,
        limits: SessionLimits,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._shelf = shelf
        self._withdrawals = withdrawals
        self._audit = audit
        self._limits = limits
        self._now = now

    async def begin(
        self, person: Person, *, address: str, browser: str, instead_of: str | None = None
    ) -> tuple[str, PersonSession]:
        """A new session and its cookie; the session of the cookie that came along ends: no cookie outlives a login."""
        if instead_of is not None and (former := await self.find(instead_of)) is not None:
            await self.end(former.person, [former.id], "login_again")
        now = self._now()
        cookie = secrets.token_urlsafe(32)
        session = PersonSession(
            id=secrets.token_urlsafe(18),
            person=person,
            auth_time=now,
            seen_at=now,
            ends_at=now + timedelta(seconds=self._limits.absolute),
            address=address,
            browser=browser[:_BROWSER_AT_MOST],
        )
        await self._shelf.begin(session, _digest(cookie))
        self._audit({"event": "login", "outcome": "ok", **_facts(person), "session": session.id, "address": address})
        return cookie, session

    async def find(self, cookie: str | None) -> PersonSession | None:
        """The living session of the cookie; being found keeps it alive."""
        if not cookie or len(cookie) > _BROWSER_AT_MOST:
            return None
        session = await self._shelf.find(_digest(cookie), idle=self._limits.idle)
        if session is not None and self._now() - session.seen_at > _SEEN_EVERY:
            await self._shelf.seen(session.id)
        return session

    async def list_of(self, person: Person) -> Sequence[PersonSession]:
        """The person's living sessions, latest used first."""
        return await self._shelf.list_of(person.name, idle=self._limits.idle)

    async def end(self, person: Person, session_ids: Sequence[str], reason: str) -> int:
        """End these sessions of the person; their tokens end in every tier. How many there were. Repeat: none."""
        own = set(await self._shelf.of_person(person.name))
        return await self._ended(person, [one for one in session_ids if one in own], reason)

    async def end_all(self, person: Person, reason: str, *, but: str | None = None) -> int:
        """End every session of the person, except one."""
        own = await self._shelf.of_person(person.name)
        return await self._ended(person, [one for one in own if one != but], reason)

    async def _ended(self, person: Person, session_ids: Sequence[str], reason: str) -> int:
        # tokens first: should we break off in between, the person sees a living session and ends it again
        for session_id in session_ids:
            await self._withdrawals.withdraw("session", session_id, reason=reason)
        ended = await self._shelf.end(session_ids, reason) if session_ids else ()
        if ended:
            self._audit({"event": "sessions_ended", **_facts(person), "sessions": list(ended), "reason": reason})
        return len(ended)


def csrf_of(cookie: str) -> str:
    """What every form of this session (or of a browser not logged in yet) carries; only the cookie's holder knows."""
    return base64.urlsafe_b64encode(hmac.digest(cookie.encode(), b"throughline form", hashlib.sha256)).decode()[:43]


def is_csrf_of(cookie: str | None, shown: str | None) -> bool:
    """Whether a form's token belongs to the cookie."""
    return bool(cookie and shown) and hmac.compare_digest(csrf_of(cookie or "").encode(), (shown or "").encode())


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).digest()


def _facts(person: Person) -> dict[str, str]:
    return {"person": person.name, "subject": person.subject, "tenant": person.tenant}
