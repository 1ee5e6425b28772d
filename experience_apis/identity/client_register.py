"""The desk for clients: who may register, approve, rotate and end them; decides, and leaves rows to the store."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from experience_apis.desk.clients import (
    Asker,
    AuthMethod,
    Client,
    ClientPage,
    ClientState,
    ClientWish,
    ClientWithSecret,
)
from experience_apis.identity import client_store as store
from experience_apis.identity.assertions import client_keys
from experience_apis.identity.credentials import SecretKeeper
from experience_apis.identity.revocation_store import Revocations
from experience_apis.identity.roles import RoleBook
from experience_apis.identity.seeds import EXPERIENCE_AUDIENCE
from shared.errors.taxonomy import (
    Conflict,
    FieldFinding,
    InvalidRequest,
    KeyReusedDifferently,
    NotFound,
    NotPermitted,
    PlatformError,
    SameRequester,
)
from shared.identity.revocations import Withdrawn
from shared.outbound.guarded import AddressRules, admitted
from shared.persistence.database import Database, Transaction

OFFERED_PLANS: Final = ("trial", "standard", "partner")
_ROLES_OF_TIERS: Final = frozenset({"administrator", "experience_tier", "process_tier", "system_tier"})
_ONLY_FOR_PEOPLE: Final = frozenset({"customer.read"})
_AT_MOST_SECRETS: Final = 5
_LONGEST_OVERLAP: Final = 168
_AT_MOST_CUSTOMERS: Final = 100  # a token is refused beyond 8 KiB; so many ids of any length we make fit
_AT_MOST_TOLD: Final = 20
_CUSTOMER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,119}")
_LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class ClientRegister:
    """Implements `ClientDesk`."""

    def __init__(
        self,
        database: Database,
        revocations: Revocations,
        keeper: SecretKeeper,
        book: RoleBook,
        *,
        plans: Collection[str],
        rules: AddressRules,
    ) -> None:
        """`plans` are those the gateway knows, `rules` bound the addresses where clients publish keys."""
        self._database = database
        self._revocations = revocations
        self._keeper = keeper
        self._plans = frozenset(plans) & frozenset(OFFERED_PLANS)
        self._scopes = book.scopes_of(role for role in book.roles if role not in _ROLES_OF_TIERS)
        self._rules = rules

    async def list_clients(
        self, asker: Asker, *, state: ClientState | None = None, after: str | None = None, limit: int = 50
    ) -> ClientPage:
        """The asker's own clients; of the whole tenant for an administrator."""
        asked = {
            "tenant": asker.tenant,
            "registered_by": None if asker.may_see_all else asker.subject,
            "state": None if state is None else str(state),
            "after": after or "",
            "most": limit + 1,
        }
        async with self._database.transaction() as connection:
            rows = await store.listed(connection, asked)
        return ClientPage(rows[:limit], rows[limit - 1].client_id if len(rows) > limit else None)

    async def get_client(self, asker: Asker, client_id: str) -> Client:
        """One client."""
        async with self._database.transaction() as connection:
            return await self._seen(connection, asker, client_id)

    async def create_client(self, asker: Asker, wish: ClientWish, *, idempotency_key: str) -> ClientWithSecret:
        """Register a client in state `requested`, with its secret shown here and never again."""
        digest = _digest(wish)
        async with self._database.transaction() as connection:
            before = await store.registered(connection, asker.tenant, asker.subject, idempotency_key)
        if before is None:
            await self._refuse_bad(wish)
            client_id = f"{_slug(wish.name)}-{secrets.token_hex(4)}"
            secret = _new_secret() if wish.auth_method is AuthMethod.SECRET else None
            hashed = None if secret is None else await self._keeper.hashed(secret)
            row = _row(asker, wish, client_id) | {"key": idempotency_key, "digest": digest}
            async with self._database.transaction() as connection:
                if await store.add(connection, row, wish.jwks):
                    if hashed is not None:
                        await store.add_secret(connection, client_id, hashed, None)
                    return ClientWithSecret(await self._seen(connection, asker, client_id), secret)
                before = await store.registered(connection, asker.tenant, asker.subject, idempotency_key)
        if before is None or before[1] != digest:
            raise KeyReusedDifferently
        return ClientWithSecret(before[0], None)

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
        """Let a requested client in with this plan and these scopes, for these customers or the whole tenant."""
        grant = store.Grant(plan, scopes, expires_at, customers)
        async with self._database.transaction() as connection:
            client = await self._to_decide(connection, asker, client_id, ClientState.ACTIVE)
            if client.state is ClientState.ACTIVE:
                if store.Grant(client.plan, client.scopes, client.expires_at, client.customers) != grant:
                    raise Conflict(
                        "This client was approved with another plan, other scopes, other customers or another end."
                    )
                return client
            self._refuse_bad_grant(client, grant)
            await store.decide(connection, client_id, ClientState.ACTIVE, decided_by=asker.subject, grant=grant)
            return await self._seen(connection, asker, client_id)

    async def reject_client(self, asker: Asker, client_id: str, *, reason: str) -> Client:
        """Turn a requested client down."""
        async with self._database.transaction() as connection:
            client = await self._to_decide(connection, asker, client_id, ClientState.REJECTED)
            if client.state is ClientState.REQUESTED:
                await store.decide(connection, client_id, ClientState.REJECTED, decided_by=asker.subject, reason=reason)
            return await self._seen(connection, asker, client_id)

    async def rotate_secret(
        self, asker: Asker, client_id: str, *, overlap_hours: int = 24, idempotency_key: str
    ) -> ClientWithSecret:
        """Make a new secret; those before it end after `overlap_hours`."""
        if not 0 <= overlap_hours <= _LONGEST_OVERLAP:
            raise InvalidRequest(findings=[FieldFinding("overlap_hours", f"between 0 and {_LONGEST_OVERLAP}")])
        secret = _new_secret()
        hashed = await self._keeper.hashed(secret)
        async with self._database.transaction() as connection:
            client = await self._seen(connection, asker, client_id, locked=True)
            if client.is_from_file:
                raise Conflict("The secret of this client stands in the clients file; change it there.")
            if client.auth_method is not AuthMethod.SECRET or client.state is not ClientState.ACTIVE:
                raise Conflict("Only an active client with a secret can have it rotated.")
            if await store.has_rotated(connection, client_id, idempotency_key):
                return ClientWithSecret(client, None)
            if overlap_hours and len(client.secrets) >= _AT_MOST_SECRETS:
                raise Conflict(
                    f"The client has {_AT_MOST_SECRETS} secrets that still count; wait, or overlap by 0 hours."
                )
            await store.end_secrets(connection, client_id, datetime.now(UTC) + timedelta(hours=overlap_hours))
            await store.add_secret(connection, client_id, hashed, idempotency_key)
            if overlap_hours == 0:
                await self._revocations.withdraw(
                    Withdrawn.CLIENT, client_id, reason="secret rotated at once", keeps_later=True, within=connection
                )
            return ClientWithSecret(await self._seen(connection, asker, client_id), secret)

    async def disable_client(self, asker: Asker, client_id: str, *, reason: str) -> Client:
        """End a client: no new tokens, and those it holds stop counting in every tier."""
        async with self._database.transaction() as connection:
            client = await self._seen(connection, asker, client_id, locked=True)
            if client.state is not ClientState.DISABLED or client.decided_by is None:
                await store.decide(connection, client_id, ClientState.DISABLED, decided_by=asker.subject, reason=reason)
                await self._revocations.withdraw(
                    Withdrawn.CLIENT, client_id, reason="client disabled", within=connection
                )
            return await self._seen(connection, asker, client_id)

    async def left_the_file(self, client_id: str) -> None:
        """The tokens of a client that is no longer in the clients file end too."""
        await self._revocations.withdraw(Withdrawn.CLIENT, client_id, reason="left the clients file")

    async def _seen(self, connection: Transaction, asker: Asker, client_id: str, *, locked: bool = False) -> Client:
        client = await store.found(connection, asker.tenant, client_id, locked=locked)
        if client is None or not (asker.may_see_all or client.registered_by == asker.subject):
            raise NotFound("There is no such client.")
        return client

    async def _to_decide(self, connection: Transaction, asker: Asker, client_id: str, wanted: ClientState) -> Client:
        client = await self._seen(connection, asker, client_id, locked=True)
        if not asker.may_see_all:
            raise NotPermitted("Only an administrator decides on clients.")
        if client.registered_by == asker.subject:
            raise SameRequester("Whoever registered a client may not decide on it.")
        if client.state not in {ClientState.REQUESTED, wanted}:
            raise Conflict(f"This client is {client.state} already.")
        return client

    async def _refuse_bad(self, wish: ClientWish) -> None:
        findings: list[FieldFinding] = []
        if wish.plan not in self._plans:
            findings.append(FieldFinding("plan", f"offered are {', '.join(sorted(self._plans))}"))
        findings += self._strange_scopes(wish.scopes, has_people=bool(wish.redirect_uris))
        findings += [
            FieldFinding(f"redirect_uris.{place}", "an https address, or http on this machine, without fragment")
            for place, address in enumerate(wish.redirect_uris)
            if not _is_redirect(address)
        ]
        try:
            _refuse_bad_keys(wish)
            if wish.jwks_uri is not None:
                await admitted(wish.jwks_uri, self._rules)
        except ValueError as error:
            findings.append(FieldFinding("jwks", str(error)))
        except PlatformError as error:
            findings.append(FieldFinding("jwks_uri", error.message))
        if findings:
            raise InvalidRequest(findings=findings)

    def _refuse_bad_grant(self, client: Client, grant: store.Grant) -> None:
        findings = self._strange_scopes(grant.scopes, has_people=bool(client.redirect_uris))
        if not grant.scopes:
            findings.append(FieldFinding("scopes", "a client needs at least one"))
        if not grant.scopes <= client.scopes_wished:
            more = ", ".join(sorted(grant.scopes - client.scopes_wished))
            findings.append(FieldFinding("scopes", f"were not asked for: {more}"))
        if grant.plan not in self._plans:
            findings.append(FieldFinding("plan", f"offered are {', '.join(sorted(self._plans))}"))
        if grant.expires_at is not None and grant.expires_at <= datetime.now(UTC):
            findings.append(FieldFinding("expires_at", "lies in the past"))
        if grant.customers is not None:
            findings += _strange_customers(grant.customers)
        if findings:
            raise InvalidRequest(findings=findings)

    def _strange_scopes(self, scopes: frozenset[str], *, has_people: bool) -> list[FieldFinding]:
        offered = self._scopes if has_people else self._scopes - _ONLY_FOR_PEOPLE
        return [FieldFinding("scopes", f"{scope} is not offered to clients") for scope in sorted(scopes - offered)]


def _strange_customers(customers: frozenset[str]) -> list[FieldFinding]:
    if not 1 <= len(customers) <= _AT_MOST_CUSTOMERS:
        return [FieldFinding("customers", f"between 1 and {_AT_MOST_CUSTOMERS}, or none named for the whole firm")]
    return [
        FieldFinding("customers", f"no id of a customer: {one[:120]}")
        for one in sorted(customers)
        if not _CUSTOMER.fullmatch(one)
    ][:_AT_MOST_TOLD]


def _refuse_bad_keys(wish: ClientWish) -> None:
    given = (wish.jwks is not None) + (wish.jwks_uri is not None)
    if given != (1 if wish.auth_method is AuthMethod.PRIVATE_KEY_JWT else 0):
        raise ValueError("private_key_jwt needs either jwks or jwks_uri; others need neither")
    if wish.auth_method is AuthMethod.NONE and not wish.redirect_uris:
        raise ValueError("a client without secret and keys lets people log in: it names its redirect_uris")
    if wish.jwks is not None:
        client_keys(wish.jwks)


def _is_redirect(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    if parts.fragment or "#" in address or "@" in parts.netloc or not parts.hostname:
        return False
    if any(odd in address for odd in "*\\"):  # a pattern, or an address that browsers read in another way than we do
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)


def _row(asker: Asker, wish: ClientWish, client_id: str) -> dict[str, object]:
    has_people = bool(wish.redirect_uris)
    return {
        "client_id": client_id,
        "name": wish.name,
        "tenant": asker.tenant,
        "plan": wish.plan,
        "audiences": [EXPERIENCE_AUDIENCE],
        "grant_types": ["authorization_code", "refresh_token"] if has_people else ["client_credentials"],
        "contact": wish.contact,
        "purpose": wish.purpose,
        "scopes": sorted(wish.scopes),
        "auth_method": str(wish.auth_method),
        "jwks_uri": wish.jwks_uri,
        "redirect_uris": list(wish.redirect_uris),
        "requires_dpop": wish.requires_dpop,
        "registered_by": asker.subject,
    }


def _digest(wish: ClientWish) -> str:
    said = asdict(wish) | {"scopes": sorted(wish.scopes)}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "client"


def _new_secret() -> str:
    """The prefix lets scanners of repositories and logs recognise a secret of ours."""
    return f"tlcs_{secrets.token_urlsafe(32)}"
