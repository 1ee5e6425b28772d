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
    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - a name of RFC 6749, no secret
    TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name of RFC 8693, no secret


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """An OAuth client: for whom it acts, in which tenant, and how far it may go.

    `subject` is the person (or machine) its tokens speak for; two clients of one person share it, so that segregation
    of duties sees one person. `acts_at` names the audience a tier serves: only tokens addressed to that audience may be
    exchanged by it. `customers` bounds what its tokens open to these customers' records; None: the whole tenant.
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
    auth_method: str = "client_secret"
    jwks: Mapping[str, Any] | None = field(default=None, repr=False)
    jwks_uri: str | None = None
    requires_dpop: bool = False
    redirect_uris: tuple[str, ...] = ()
    logout_uris: tuple[str, ...] = ()
    is_first_party: bool = False
    customers: frozenset[str] | None = None


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

    async def enrol(self, clients: Sequence[OAuthClient]) -> Sequence[str]:
        """Make the file's clients exactly these: new ones added, changed ones replaced, missing ones disabled.

        Ids of those that were disabled just now. A client that an administrator disabled stays so.
        """
        ...

    async def keys(self) -> Sequence[SealedKey]:
        """All keys that are not yet retired, newest last."""
        ...

    async def add_first_key(self, key: SealedKey) -> None:
        """Keep the key if there is none yet: replicas that start together end with one key."""
        ...

    async def all_keys(self) -> Sequence[SealedKey]:
        """All keys, those retired lately too, newest last."""
        ...

    async def succeed_with(
        self, key: SealedKey, *, others_retire_at: datetime, unless_newer_than: datetime | None = None
    ) -> bool:
        """Keep a further key; those before it count until then.

        With `unless_newer_than` only if no key signs from a later instant: replicas that rotate together end with one.
        Whether it was kept.
        """
        ...

    async def retire(self, kid: str, *, reason: str) -> bool:
        """The key no longer counts, from now on; whether it did until now. Repeat: False."""
        ...
