"""What the issuer remembers of clients, keys and revocations; plain records and the port to them, no machinery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class GrantType(StrEnum):
    """Ways to get a token."""

    CLIENT_CREDENTIALS = "client_credentials"
    TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name of RFC 8693, no secret


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """An OAuth client: for whom it acts, in which tenant, and how far it may go.

    `subject` is the person (or machine) its tokens speak for; two clients of one person share it, so that segregation
    of duties sees one person. `acts_at` names the audience a tier serves: only tokens addressed to that audience may be
    exchanged by it.
    """

    client_id: str
    name: str
    tenant: str
    subject: str
    plan: str
    scopes: frozenset[str]
    audiences: tuple[str, ...]
    grant_types: frozenset[str]
    acts_at: str | None = None
    secret_hashes: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class SealedKey:
    """A signing key at rest: public half in clear, private half sealed; it signs from `signs_from` until retired."""

    kid: str
    algorithm: str
    public: Mapping[str, Any]
    sealed: str = field(repr=False)
    signs_from: datetime
    retires_at: datetime | None = None


class Register(Protocol):
    """Port to the issuer's memory."""

    async def client(self, client_id: str) -> OAuthClient | None:
        """The enabled client of that id with the secrets that still count, if there is one."""
        ...

    async def enrol(self, clients: Sequence[OAuthClient]) -> None:
        """Make the file's clients exactly these: new ones added, changed ones replaced, missing ones disabled."""
        ...

    async def keys(self) -> Sequence[SealedKey]:
        """All keys that are not yet retired, newest last."""
        ...

    async def add_first_key(self, key: SealedKey) -> None:
        """Keep the key if there is none yet: replicas that start together end with one key."""
        ...

    async def succeed_with(self, key: SealedKey, *, others_retire_at: datetime) -> None:
        """Keep a further key; those before it count until then."""
        ...

    async def revoke(self, jti: str, *, tenant: str, client_id: str, expires_at: datetime) -> None:
        """Remember that a token no longer counts. Repeat: no effect."""
        ...

    async def is_revoked(self, jti: str) -> bool:
        """Whether the token was revoked."""
        ...
