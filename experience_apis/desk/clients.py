"""OAuth clients as their owners and administrators see them: the port to the register; no hash and no HTTP enters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class ClientState(StrEnum):
    """Where a client stands: asked for, in use, switched off, or turned down."""

    REQUESTED = "requested"
    ACTIVE = "active"
    DISABLED = "disabled"
    REJECTED = "rejected"


class AuthMethod(StrEnum):
    """How a client proves who it is at the token endpoint; `none`: it can keep no secret, and logs people in."""

    SECRET = "client_secret"  # noqa: S105 - a name of the wire, no secret
    PRIVATE_KEY_JWT = "private_key_jwt"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who turns to the desk: a visitor of a page or the principal of an API call.

    Everything the desk shows or changes is of this tenant; `may_see_all`: an administrator (scope `clients.approve`),
    everybody else sees the clients they registered themselves.
    """

    tenant: str
    subject: str
    may_see_all: bool = False


@dataclass(frozen=True, slots=True)
class ClientWish:
    """What somebody asks for; nothing of it counts before an administrator approves.

    Of `jwks` and `jwks_uri` exactly one is given for `private_key_jwt`, none otherwise. A client that lets people log
    in names its `redirect_uris`; one without any proof of its own (`none`) has to.
    """

    name: str
    contact: str
    purpose: str
    plan: str = "trial"
    scopes: frozenset[str] = frozenset()
    auth_method: AuthMethod = AuthMethod.SECRET
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str | None = None
    redirect_uris: tuple[str, ...] = ()
    requires_dpop: bool = False


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """What is known of a secret without knowing it; `expires_at`: when its overlap with a newer one ends."""

    secret_id: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Client:
    """A client as the desk shows it: never a secret, never a hash; `customers` None: it sees the whole tenant."""

    client_id: str
    name: str
    tenant: str
    state: ClientState
    contact: str
    purpose: str
    plan: str
    plan_wished: str
    scopes: frozenset[str]
    scopes_wished: frozenset[str]
    auth_method: AuthMethod
    jwks_uri: str | None
    redirect_uris: tuple[str, ...]
    requires_dpop: bool
    registered_by: str | None
    created_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str | None = None
    expires_at: datetime | None = None
    secrets: Sequence[SecretFacts] = ()
    is_from_file: bool = False
    customers: frozenset[str] | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class ClientWithSecret:
    """A client and the secret made for it just now: shown once, kept only as a hash; None for a client with keys."""

    client: Client
    secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClientPage:
    """Clients ordered by id; `next_cursor` is the id to go on after."""

    items: Sequence[Client]
    next_cursor: str | None = None


class ClientDesk(Protocol):
    """Registers, approves and ends clients; stands at `app.state.client_desk`. Refusals are taxonomy errors.

    NotFound for a client of another tenant or, to those who are no administrators, of somebody else; RuleViolated,
    Conflict or InvalidRequest with findings for the rest.
    """

    async def list_clients(
        self, asker: Asker, *, state: ClientState | None = None, after: str | None = None, limit: int = 50
    ) -> ClientPage:
        """The asker's own clients; of the whole tenant for an administrator."""
        ...

    async def get_client(self, asker: Asker, client_id: str) -> Client:
        """One client. Raises: NotFound."""
        ...

    async def create_client(self, asker: Asker, wish: ClientWish, *, idempotency_key: str) -> ClientWithSecret:
        """Register a client in state `requested`, with its secret shown here and never again.

        Repeat: the same key and wish name the same client; its secret is not shown a second time (`secret` is None,
        rotate it). The same key with another wish is refused with KeyReusedDifferently.
        """
        ...

    async def approve_client(
        self,
        asker: Asker,
        client_id: str,
        *,
        plan: str,
        scopes: frozenset[str],
        expires_at: datetime | None = None,
        customers: frozenset[str] | None = None,
    ) -> Client:
        """Let a requested client in with this plan and these scopes (which may be fewer than wished).

        With `customers` it sees the records of these only, else those of the whole tenant.

        Raises: NotPermitted unless the asker is an administrator; SameRequester when they registered it themselves;
        Conflict when it was decided otherwise. Repeat: no effect.
        """
        ...

    async def reject_client(self, asker: Asker, client_id: str, *, reason: str) -> Client:
        """Turn a requested client down. Repeat: no effect."""
        ...

    async def rotate_secret(
        self, asker: Asker, client_id: str, *, overlap_hours: int = 24, idempotency_key: str
    ) -> ClientWithSecret:
        """Make a new secret; those before it end after `overlap_hours`. 0: at once, for a secret that leaked.

        With 0 every token the client holds is revoked too. Repeat: the same key makes no second secret and shows none.
        """
        ...

    async def disable_client(self, asker: Asker, client_id: str, *, reason: str) -> Client:
        """End a client: no new tokens at once, and those it holds stop counting in every tier. Repeat: no effect."""
        ...
