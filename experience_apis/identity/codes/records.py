"""What portals may do for people: codes, grants and refresh tokens as plain records, and the port to their store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from experience_apis.identity.people.records import Person


@dataclass(frozen=True, slots=True)
class Grant:
    """What one code stands for; once redeemed, what its access and refresh tokens share: they live and end together.

    `person` is as of now, not as of then: roles taken away are gone at the next refresh. `is_alive` tells that neither
    the grant nor its session has ended and the person is still enabled.
    """

    id: str
    client_id: str
    person: Person
    session_id: str
    redirect_uri: str
    challenge: str
    nonce: str | None
    scopes: frozenset[str]
    auth_time: datetime
    key_thumbprint: str | None
    code_ends_at: datetime
    is_code_used: bool
    ends_at: datetime
    is_alive: bool


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One refresh token of a grant: counts once, until `ends_at`."""

    grant: Grant
    issued_at: datetime
    ends_at: datetime
    is_used: bool


@dataclass(frozen=True, slots=True)
class Issued:
    """An access token of a grant, as far as its end needs to know it."""

    jti: str
    client_id: str
    tenant: str
    expires_at: datetime


class GrantShelf(Protocol):
    """Port to grants; codes and refresh tokens are known by digest only."""

    async def keep(self, grant: Grant, code_digest: bytes) -> None:
        """Keep what a fresh code stands for."""
        ...

    async def of_code(self, code_digest: bytes) -> Grant | None:
        """What the code stands for, used or not."""
        ...

    async def of_refresh(self, digest: bytes) -> RefreshToken | None:
        """The refresh token, used or not."""
        ...

    async def use_code(self, grant_id: str, key_thumbprint: str | None) -> bool:
        """Mark the code used and bind its grant to a key; False when somebody was faster or the grant has ended."""
        ...

    async def use_refresh(self, digest: bytes) -> bool:
        """Mark the refresh token used; False when somebody was faster or its grant has ended."""
        ...

    async def issued(
        self, grant_id: str, jti: str, expires_at: datetime, refresh: tuple[bytes, datetime] | None
    ) -> bool:
        """Remember an access token and its refresh token; False when the grant has ended meanwhile."""
        ...

    async def end(self, grant_id: str, reason: str) -> Sequence[Issued]:
        """End the grant for good; answers its access tokens that are still alive. Repeat: the same tokens again."""
        ...

    async def consented(self, person: str, client_id: str) -> frozenset[str]:
        """The scopes the person has agreed to for good."""
        ...

    async def consent(self, person: str, client_id: str, scopes: frozenset[str]) -> None:
        """Remember that the person agrees to these as well."""
        ...
