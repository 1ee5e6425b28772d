"""The issuer's memory in PostgreSQL; rows stay in here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, text

from experience_apis.identity.records import OAuthClient, SealedKey
from shared.persistence.database import Database

_CLIENT = text("""
SELECT c.client_id, c.name, c.tenant, c.subject, c.plan, c.scopes, c.audiences, c.grant_types, c.acts_at,
       c.auth_method, c.jwks, c.jwks_uri, c.requires_dpop, c.redirect_uris, c.logout_uris, c.is_first_party,
       c.customers,
       array(SELECT s.secret_hash FROM oauth_client_secrets s
             WHERE s.client_id = c.client_id AND (s.expires_at IS NULL OR s.expires_at > now())
             ORDER BY s.created_at DESC) AS secret_hashes
FROM oauth_clients c
WHERE c.client_id = :client_id AND c.is_enabled AND c.state = 'active'
  AND (c.expires_at IS NULL OR c.expires_at > now())
""")
_DISABLE = text("""
UPDATE oauth_clients SET is_enabled = false, state = 'disabled', reason = 'left the clients file', changed_at = now()
WHERE is_from_file AND is_enabled AND NOT client_id = ANY (:kept)
RETURNING client_id
""")
_PUT_CLIENT = text("""
INSERT INTO oauth_clients AS c
       (client_id, name, tenant, subject, plan, scopes, audiences, grant_types, acts_at, is_enabled, is_from_file,
        auth_method, jwks, jwks_uri, requires_dpop, redirect_uris, logout_uris, is_first_party, customers)
VALUES (:client_id, :name, :tenant, :subject, :plan, :scopes, :audiences, :grant_types, :acts_at, true, true,
        :auth_method, CAST(:jwks AS jsonb), :jwks_uri, :requires_dpop, :redirect_uris, :logout_uris, :is_first_party,
        :customers)
ON CONFLICT (client_id) DO UPDATE
SET name = excluded.name, tenant = excluded.tenant, subject = excluded.subject, plan = excluded.plan,
    scopes = excluded.scopes, audiences = excluded.audiences, grant_types = excluded.grant_types,
    acts_at = excluded.acts_at, auth_method = excluded.auth_method, jwks = excluded.jwks, jwks_uri = excluded.jwks_uri,
    requires_dpop = excluded.requires_dpop, redirect_uris = excluded.redirect_uris,
    logout_uris = excluded.logout_uris, is_first_party = excluded.is_first_party, customers = excluded.customers,
    is_from_file = true, changed_at = now(),
    -- whom an administrator ended stays ended, whatever the file says
    is_enabled = c.state <> 'disabled' OR c.decided_by IS NULL,
    state = CASE WHEN c.state = 'disabled' AND c.decided_by IS NOT NULL THEN 'disabled' ELSE 'active' END
""")
_DROP_SECRETS = text("DELETE FROM oauth_client_secrets WHERE client_id = :client_id AND NOT secret_hash = ANY (:kept)")
_PUT_SECRET = text("""
INSERT INTO oauth_client_secrets (client_id, secret_hash) VALUES (:client_id, :secret_hash) ON CONFLICT DO NOTHING
""")
_KEYS = text("""
SELECT kid, algorithm, public_key, sealed_key, signs_from, retires_at FROM oauth_signing_keys
WHERE retires_at IS NULL OR retires_at > now()
ORDER BY signs_from, kid
""")
_PUT_KEY = text("""
INSERT INTO oauth_signing_keys (kid, algorithm, public_key, sealed_key, signs_from)
VALUES (:kid, :algorithm, CAST(:public_key AS jsonb), :sealed_key, :signs_from)
""")
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtext('throughline.oauth_signing_keys'))")
_RETIRE = text("UPDATE oauth_signing_keys SET retires_at = :at WHERE retires_at IS NULL")
_ALL_KEYS = text("""
SELECT kid, algorithm, public_key, sealed_key, signs_from, retires_at FROM oauth_signing_keys
WHERE retires_at IS NULL OR retires_at > now() - interval '90 days'
ORDER BY signs_from, kid
""")
_RETIRE_ONE = text("""
UPDATE oauth_signing_keys SET retires_at = now(), reason = :reason
WHERE kid = :kid AND (retires_at IS NULL OR retires_at > now())
RETURNING kid
""")


class IdentityStore:
    """Register of clients, keys and withdrawn tokens in the tier's database."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database

    async def client(self, client_id: str) -> OAuthClient | None:
        """The enabled client of that id with the secrets that still count, if there is one."""
        if "\x00" in client_id:
            return None
        async with self._database.transaction() as connection:
            row = (await connection.execute(_CLIENT, {"client_id": client_id})).mappings().first()
        return None if row is None else _client(row)

    async def enrol(self, clients: Sequence[OAuthClient]) -> Sequence[str]:
        """Make the file's clients exactly these: new ones added, changed ones replaced, missing ones disabled."""
        async with self._database.transaction() as connection:
            kept = [client.client_id for client in clients]
            ended = (await connection.execute(_DISABLE, {"kept": kept})).scalars().all()
            for client in clients:
                hashes = list(client.secret_hashes)
                await connection.execute(_PUT_CLIENT, _row(client))
                await connection.execute(_DROP_SECRETS, {"client_id": client.client_id, "kept": hashes})
                for secret_hash in hashes:
                    await connection.execute(_PUT_SECRET, {"client_id": client.client_id, "secret_hash": secret_hash})
        return ended

    async def keys(self) -> Sequence[SealedKey]:
        """All keys that are not yet retired, newest last."""
        async with self._database.transaction() as connection:
            rows = (await connection.execute(_KEYS)).mappings().all()
        return tuple(_key(row) for row in rows)

    async def add_first_key(self, key: SealedKey) -> None:
        """Keep the key if there is none yet: replicas that start together end with one key."""
        async with self._database.transaction() as connection:
            await connection.execute(_ONE_AT_A_TIME)
            if (await connection.execute(_KEYS)).first() is None:
                await connection.execute(_PUT_KEY, _key_row(key))

    async def succeed_with(
        self, key: SealedKey, *, others_retire_at: datetime, unless_newer_than: datetime | None = None
    ) -> bool:
        """Keep a further key; those before it count until then. Whether it was kept."""
        async with self._database.transaction() as connection:
            await connection.execute(_ONE_AT_A_TIME)
            if unless_newer_than is not None:
                newest = max(row["signs_from"] for row in (await connection.execute(_KEYS)).mappings())
                if newest > unless_newer_than:
                    return False
            await connection.execute(_RETIRE, {"at": others_retire_at})
            await connection.execute(_PUT_KEY, _key_row(key))
        return True

    async def all_keys(self) -> Sequence[SealedKey]:
        """All keys, those retired lately too, newest last."""
        async with self._database.transaction() as connection:
            rows = (await connection.execute(_ALL_KEYS)).mappings().all()
        return tuple(_key(row) for row in rows)

    async def retire(self, kid: str, *, reason: str) -> bool:
        """The key no longer counts, from now on; whether it did until now."""
        async with self._database.transaction() as connection:
            await connection.execute(_ONE_AT_A_TIME)
            return (await connection.execute(_RETIRE_ONE, {"kid": kid, "reason": reason})).first() is not None


def _client(row: RowMapping) -> OAuthClient:
    return OAuthClient(
        client_id=row["client_id"],
        name=row["name"],
        tenant=row["tenant"],
        subject=row["subject"],
        plan=row["plan"],
        scopes=frozenset(row["scopes"]),
        audiences=tuple(row["audiences"]),
        grant_types=frozenset(row["grant_types"]),
        acts_at=row["acts_at"],
        secret_hashes=tuple(row["secret_hashes"]),
        auth_method=row["auth_method"],
        jwks=row["jwks"],
        jwks_uri=row["jwks_uri"],
        requires_dpop=row["requires_dpop"],
        redirect_uris=tuple(row["redirect_uris"]),
        logout_uris=tuple(row["logout_uris"]),
        is_first_party=row["is_first_party"],
        customers=None if row["customers"] is None else frozenset(row["customers"]),
    )


def _row(client: OAuthClient) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "name": client.name,
        "tenant": client.tenant,
        "subject": client.subject,
        "plan": client.plan,
        "scopes": sorted(client.scopes),
        "audiences": list(client.audiences),
        "grant_types": sorted(client.grant_types),
        "acts_at": client.acts_at,
        "auth_method": client.auth_method,
        "jwks": None if client.jwks is None else json.dumps(dict(client.jwks)),
        "jwks_uri": client.jwks_uri,
        "requires_dpop": client.requires_dpop,
        "redirect_uris": list(client.redirect_uris),
        "logout_uris": list(client.logout_uris),
        "is_first_party": client.is_first_party,
        "customers": None if client.customers is None else sorted(client.customers),
    }


def _key(row: RowMapping) -> SealedKey:
    return SealedKey(
        kid=row["kid"],
        algorithm=row["algorithm"],
        public=row["public_key"],
        sealed=row["sealed_key"],
        signs_from=row["signs_from"],
        retires_at=row["retires_at"],
    )


def _key_row(key: SealedKey) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "algorithm": key.algorithm,
        "public_key": json.dumps(dict(key.public)),
        "sealed_key": key.sealed,
        "signs_from": key.signs_from,
    }
