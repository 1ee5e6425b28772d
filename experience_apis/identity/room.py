"""The room of identity, put together once: issuer, register of clients, people, keys; settings enter, routes leave."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from fastapi import APIRouter

from experience_apis.identity import client_routes
from experience_apis.identity.assertions import Assertions
from experience_apis.identity.client_register import ClientRegister
from experience_apis.identity.credentials import FailureThrottle, SecretKeeper
from experience_apis.identity.issuer import Issuer, issuer_proofs
from experience_apis.identity.keys import KeyRing, Seal, rotating, sealing_secret
from experience_apis.identity.openid_routes import openid_routes
from experience_apis.identity.people.seeds import read_users_file
from experience_apis.identity.people.sessions import SessionLimits
from experience_apis.identity.providers import Providers, read_providers
from experience_apis.identity.reception import Reception, ReceptionFacts
from experience_apis.identity.revocation_store import Revocations
from experience_apis.identity.roles import role_book
from experience_apis.identity.routes import issuer_routes
from experience_apis.identity.seeds import enrol, read_clients_file
from experience_apis.identity.store import IdentityStore
from experience_apis.identity.tokens import TokenPress
from experience_apis.settings import ExperienceSettings
from shared.gateway.policies.audit.trail import AuditTrail
from shared.outbound.guarded import AddressRules
from shared.persistence import Database
from shared.persistence.once import Once, once
from shared.serving.settings import stop

_PREFIX = "THROUGHLINE_EXPERIENCE_"


@dataclass(frozen=True, slots=True)
class IdentityRoom:
    """Everything about who is who; wrong configuration ends the process with a line that names its key."""

    settings: ExperienceSettings
    register: IdentityStore
    keeper: SecretKeeper
    keys: KeyRing
    revocations: Revocations
    used: Once
    providers: Providers
    reception: Reception
    issuer: Issuer
    clients: ClientRegister

    @classmethod
    def over(
        cls,
        settings: ExperienceSettings,
        database: Database,
        *,
        rules: AddressRules,
        plans: Collection[str],
        audit: AuditTrail,
    ) -> Self:
        """The room over the tier's database; `rules` bound the addresses clients name, `plans` are the gateway's."""
        _refuse_bad_files(settings)
        book, own = role_book(), settings.issuer_url.rstrip("/")
        register, keeper = IdentityStore(database), SecretKeeper()
        keys = KeyRing(register, Seal(sealed_with(settings)))
        revocations, used, providers = Revocations(database), once(settings.counters_url), _providers(settings)
        reception = Reception(
            ReceptionFacts(
                issuer=own,
                users_file=settings.users_file,
                limits=SessionLimits(idle=settings.session_idle_seconds, absolute=settings.session_seconds),
                refresh_seconds=settings.refresh_seconds,
            ),
            database=database,
            book=book,
            client=register.client,
            keys=keys,
            withdrawals=revocations,
            audit=audit,
        )
        issuer = Issuer(
            press=TokenPress(own, lifetime=settings.access_token_seconds),
            register=register,
            keys=keys,
            keeper=keeper,
            throttle=FailureThrottle(settings.counters_url, failures_per_minute=settings.failed_secrets_per_minute),
            book=book,
            revocations=revocations,
            assertions=Assertions(used, rules, audiences=(own, f"{own}/oauth/token")),
            proofs=issuer_proofs(used),
            providers=providers,
            grants=reception.grants,
        )
        clients = ClientRegister(database, revocations, keeper, book, plans=plans, rules=rules)
        return cls(settings, register, keeper, keys, revocations, used, providers, reception, issuer, clients)

    def routers(self) -> Sequence[APIRouter]:
        """All routes of the room."""
        return (
            issuer_routes(self.issuer),
            openid_routes(self.issuer, self.reception.people),
            client_routes.router,
            *self.reception.routers(),
        )

    async def open(self) -> asyncio.Task[None]:
        """Read keys, clients and people; the task that rotates keys by age, for `aclose`."""
        try:
            await self.keys.open()
            await enrol(
                self.settings.clients_file,
                register=self.register,
                keeper=self.keeper,
                book=role_book(),
                withdraw=self.clients.left_the_file,
            )
            await self.reception.open()
        except ValueError as error:
            stop([f"{_PREFIX}{error}"])
        return asyncio.create_task(rotating(self.keys, timedelta(days=self.settings.signing_key_days)))

    async def aclose(self, rotation: asyncio.Task[None]) -> None:
        """End what `open` began."""
        rotation.cancel()
        await self.used.aclose()


def sealed_with(settings: ExperienceSettings) -> str:
    """The secret that seals what must be read again from the database."""
    configured = settings.sealing_key.get_secret_value() if settings.sealing_key else None
    try:
        return sealing_secret(configured, settings.sealing_key_file)
    except OSError as error:
        stop([f"{_PREFIX}SEALING_KEY_FILE: {settings.sealing_key_file}: {error.strerror}"])


def _providers(settings: ExperienceSettings) -> Providers:
    book = role_book()
    try:
        named = read_providers(settings.trusted_issuers_file, book, own=settings.issuer_url.rstrip("/"))
    except ValueError as error:
        stop([f"{_PREFIX}{str(error).replace('trusted_issuers_file', 'TRUSTED_ISSUERS_FILE:', 1)}"])
    return Providers(named, book, audience=settings.audience)


def _refuse_bad_files(settings: ExperienceSettings) -> None:
    try:
        read_clients_file(settings.clients_file, role_book())
        if settings.users_file is not None:
            read_users_file(settings.users_file, role_book())
    except ValueError as error:
        key, _, told = str(error).partition(" ")
        stop([f"{_PREFIX}{key.upper()}: {told}"])
