"""The clients file: reads and checks it, and turns it into clients with hashed secrets."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError, model_validator

from experience_apis.identity.assertions import client_keys
from experience_apis.identity.credentials import SecretKeeper
from experience_apis.identity.records import GrantType, OAuthClient, Register
from experience_apis.identity.roles import RoleBook, Scope
from shared.canonical.references import Identifier
from shared.documents import read_yaml

EXPERIENCE_AUDIENCE = "throughline-experience"
_LEAST_SECRET = 16
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]

# https, or plain http to this very machine; a scheme of a device's own (com.example.app:/done); never with a fragment
ReturnAddress = Annotated[
    str,
    StringConstraints(
        pattern=r"^(https://[^/\s#?]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?|[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:)(/[^\s#]*)?$",
        max_length=500,
    ),
]


class ClientSeed(BaseModel):
    """One client of the file; its secret stands there in plain or, better, in the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    client_id: Word
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    tenant: Word
    subject: Word | None = None
    plan: Word = "standard"
    roles: tuple[str, ...] = ()
    scopes: frozenset[Scope] = frozenset()
    audiences: tuple[Word, ...] = Field(
        default=(EXPERIENCE_AUDIENCE,), min_length=1, description="The first is meant where none is asked for."
    )
    grant_types: frozenset[GrantType] = Field(default=frozenset({GrantType.CLIENT_CREDENTIALS}), min_length=1)
    acts_at: Word | None = None
    secret: SecretStr | None = None
    secret_env: str | None = None
    jwks: dict[str, Any] | None = Field(default=None, description="Public keys of a client that signs assertions.")
    jwks_uri: Annotated[str, StringConstraints(pattern=r"^https?://", max_length=500)] | None = None
    requires_dpop: bool = False
    is_public: bool = Field(default=False, description="Runs where no secret can be kept: a browser, a device.")
    is_first_party: bool = Field(default=False, description="A portal of ours: people are not asked for consent.")
    redirect_uris: tuple[ReturnAddress, ...] = Field(default=(), description="Where codes may be sent, to the letter.")
    logout_uris: tuple[ReturnAddress, ...] = Field(default=(), description="Where people may be sent after logout.")
    customers: tuple[Identifier, ...] | None = Field(
        default=None, min_length=1, max_length=100, description="Whose records exist for it; none named: everybody's."
    )

    @model_validator(mode="after")
    def _has_one_secret(self) -> Self:
        given = [self.secret, self.secret_env, self.jwks, self.jwks_uri]
        if sum(one is not None for one in given) != int(not self.is_public):
            message = "give one of secret, secret_env, jwks and jwks_uri; none of them with is_public"
            raise ValueError(message)
        if self.is_public and not self.grant_types <= {GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN}:
            message = "a client without secret may only use authorization_code and refresh_token"
            raise ValueError(message)
        if bool(self.redirect_uris) != (GrantType.AUTHORIZATION_CODE in self.grant_types):
            message = "authorization_code and redirect_uris belong together"
            raise ValueError(message)
        if self.jwks is not None:
            client_keys(self.jwks)
        if GrantType.TOKEN_EXCHANGE in self.grant_types and self.acts_at is None:
            message = "a client that exchanges tokens names in acts_at the audience it serves"
            raise ValueError(message)
        return self

    @property
    def auth_method(self) -> str:
        """How the client proves who it is."""
        if self.is_public:
            return "none"
        return "private_key_jwt" if self.has_keys else "client_secret"

    @property
    def has_keys(self) -> bool:
        """Whether the client signs assertions instead of knowing a secret."""
        return self.jwks is not None or self.jwks_uri is not None

    def plain_secret(self, environment: Mapping[str, str]) -> str:
        """The secret in plain; ValueError if it is missing or too short to be one."""
        text = self.secret.get_secret_value() if self.secret else environment.get(self.secret_env or "", "")
        if len(text) < _LEAST_SECRET:
            where = "secret" if self.secret else f"environment variable {self.secret_env}"
            raise ValueError(f"client {self.client_id}: {where} needs at least {_LEAST_SECRET} characters")
        return text


class ClientsFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clients: tuple[ClientSeed, ...]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [seed.client_id for seed in self.clients]
        doubles = sorted({name for name in ids if ids.count(name) > 1})
        if doubles:
            raise ValueError(f"client_id used twice: {', '.join(doubles)}")
        return self


def read_clients_file(path: Path, book: RoleBook) -> ClientsFile:
    """The file's seeds, checked; ValueError names file, place and reason, never a secret."""
    try:
        content: Any = read_yaml(path.read_text("utf-8"))
        seeds = ClientsFile.model_validate(content)
    except OSError as error:
        raise ValueError(f"clients_file {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise ValueError(f"clients_file {path}{line}: not YAML") from None
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise ValueError(f"clients_file {path}: {reasons}") from None
    for place, seed in enumerate(seeds.clients):
        strangers = sorted(set(seed.roles) - set(book.roles))
        if strangers:
            raise ValueError(f"clients_file {path}: clients.{place}.roles: no such role: {', '.join(strangers)}")
    return seeds


async def enrol(
    path: Path,
    *,
    register: Register,
    keeper: SecretKeeper,
    book: RoleBook,
    environment: Mapping[str, str] | None = None,
    withdraw: Callable[[str], Awaitable[None]] | None = None,
) -> Sequence[OAuthClient]:
    """Make the register hold the file's clients; an unchanged secret keeps its stored hash. Repeat: same clients.

    `withdraw` is told of each client that left the file: its tokens end too.
    """
    seeds = read_clients_file(path, book)
    surroundings = os.environ if environment is None else environment
    clients: list[OAuthClient] = []
    for seed in seeds.clients:
        hashes = () if seed.has_keys or seed.is_public else await _hashes(seed, surroundings, register, keeper)
        clients.append(
            OAuthClient(
                client_id=seed.client_id,
                name=seed.name or seed.client_id,
                tenant=seed.tenant,
                subject=seed.subject or seed.client_id,
                plan=seed.plan,
                scopes=book.scopes_of(seed.roles) | seed.scopes,
                audiences=seed.audiences,
                grant_types=frozenset(str(grant) for grant in seed.grant_types),
                acts_at=seed.acts_at,
                secret_hashes=hashes,
                auth_method=seed.auth_method,
                jwks=seed.jwks,
                jwks_uri=seed.jwks_uri,
                requires_dpop=seed.requires_dpop,
                redirect_uris=seed.redirect_uris,
                logout_uris=seed.logout_uris,
                is_first_party=seed.is_first_party,
                customers=None if seed.customers is None else frozenset(seed.customers),
            )
        )
    for ended in await register.enrol(clients):
        if withdraw is not None:
            await withdraw(ended)
    return clients


async def _hashes(
    seed: ClientSeed, surroundings: Mapping[str, str], register: Register, keeper: SecretKeeper
) -> tuple[str, ...]:
    secret = seed.plain_secret(surroundings)
    known = await register.client(seed.client_id)
    held = known.secret_hashes if known else ()
    matching = [one for one in held if await keeper.matches(seed.client_id, secret, (one,))]
    return tuple(matching[:1]) or (await keeper.hashed(secret),)
