"""People who log in and their sessions: plain records and the ports to where they are kept, no machinery."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

AuditLine = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who logs in by `name`.

    `subject` is who tokens and approvals speak of: an OAuth client with the same subject is the same person there.
    `customers` is set for a customer's own people and says whose records exist for them.
    """

    name: str
    subject: str
    tenant: str
    full_name: str
    roles: frozenset[str]
    email: str | None = None
    customers: frozenset[str] | None = None
    language: str | None = None
    is_enabled: bool = True
    must_change_password: bool = False
    password_hash: str = field(default="", repr=False)
    seeded_hash: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PersonSession:
    """One browser of a person between login and logout; `id` is the `sid` of tokens, never the cookie."""

    id: str
    person: Person
    auth_time: datetime
    seen_at: datetime
    ends_at: datetime
    address: str
    browser: str


class People(Protocol):
    """Port to the people."""

    async def find(self, name: str) -> Person | None:
        """The person of that login name, enabled or not."""
        ...

    async def of_subject(self, tenant: str, subject: str) -> Person | None:
        """The person tokens of that tenant call so."""
        ...

    async def list_of(self, tenant: str | None) -> Sequence[Person]:
        """Everybody of a tenant (None: of all), by name."""
        ...

    async def add(self, person: Person) -> bool:
        """Keep a new person; False when the name, or the subject within the tenant, is taken."""
        ...

    async def enrol(self, people: Sequence[Person]) -> None:
        """Make the file's people as they stand there; those no longer in the file are disabled. Repeat: no effect."""
        ...

    async def set_password(self, name: str, password_hash: str, *, must_change: bool) -> None:
        """Replace the password."""
        ...

    async def set_enabled(self, name: str, *, is_enabled: bool) -> None:
        """Open or close the account."""
        ...


class Failures(Protocol):
    """Port to the count of failed logins per account and per address, shared by all replicas."""

    async def take(self, kind: str, what: str, *, free: int, longest: float) -> float:
        """Count an attempt as failed before it is tried; seconds to wait when it may not be tried at all, else 0.

        Counting first leaves no gap between look and count for attempts that come at the same time.
        """
        ...

    async def forget(self, kind: str, what: str) -> None:
        """The attempt succeeded (or an administrator says so): nothing is held against it any more."""
        ...

    async def give_back(self, kind: str, what: str) -> None:
        """One attempt that was counted turned out well; earlier ones stay counted."""
        ...


class SessionShelf(Protocol):
    """Port to the sessions; cookies are known by digest only."""

    async def begin(self, session: PersonSession, cookie_digest: bytes) -> None:
        """Keep a new session."""
        ...

    async def find(self, cookie_digest: bytes, *, idle: float) -> PersonSession | None:
        """The living session of that cookie whose person is enabled."""
        ...

    async def seen(self, session_id: str) -> None:
        """The person has just used it."""
        ...

    async def list_of(self, person: str, *, idle: float) -> Sequence[PersonSession]:
        """The person's living sessions, latest used first."""
        ...

    async def end(self, session_ids: Sequence[str], reason: str) -> Sequence[str]:
        """End those that have not ended yet; answers which."""
        ...

    async def of_person(self, person: str) -> Sequence[str]:
        """Ids of all sessions of the person that have not ended."""
        ...
