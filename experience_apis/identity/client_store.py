"""Clients at rest, as the desk shows and changes them: set-based SQL; hashes stay in here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, text

from experience_apis.desk.clients import AuthMethod, Client, ClientState, SecretFacts
from shared.persistence.database import Transaction

_COLUMNS = """
SELECT c.client_id, c.name, c.tenant, c.state, c.contact, c.purpose, c.plan, coalesce(c.plan_wished, c.plan) AS wished,
       c.scopes, c.scopes_wished, c.auth_method, c.jwks_uri, c.redirect_uris, c.requires_dpop, c.registered_by,
       c.created_at, c.decided_by, c.decided_at, c.reason, c.expires_at, c.is_from_file, c.version,
       c.registration_digest, c.customers,
       coalesce((SELECT jsonb_agg(jsonb_build_array(s.secret_id, s.created_at, s.expires_at) ORDER BY s.created_at DESC)
                 FROM oauth_client_secrets s
                 WHERE s.client_id = c.client_id AND (s.expires_at IS NULL OR s.expires_at > now())), '[]') AS secrets
FROM oauth_clients c
"""
_LIST = text(
    _COLUMNS
    + """
WHERE c.tenant = :tenant AND c.acts_at IS NULL
  AND (CAST(:registered_by AS text) IS NULL OR c.registered_by = :registered_by)
  AND (CAST(:state AS text) IS NULL OR c.state = :state)
  AND c.client_id > :after
ORDER BY c.client_id LIMIT :most
"""
)
_ONE = text(_COLUMNS + " WHERE c.tenant = :tenant AND c.client_id = :client_id AND c.acts_at IS NULL")
_LOCK = text("SELECT 1 FROM oauth_clients WHERE tenant = :tenant AND client_id = :client_id FOR UPDATE")
_BY_KEY = text(
    _COLUMNS + " WHERE c.tenant = :tenant AND c.registered_by = :registered_by AND c.registration_key = :key"
)
_ADD = text("""
INSERT INTO oauth_clients
       (client_id, name, tenant, subject, plan, scopes, audiences, grant_types, is_enabled, state, contact, purpose,
        plan_wished, scopes_wished, auth_method, jwks, jwks_uri, redirect_uris, requires_dpop, registered_by,
        registration_key, registration_digest)
VALUES (:client_id, :name, :tenant, :client_id, :plan, '{}', :audiences, :grant_types, false, 'requested', :contact,
        :purpose, :plan, :scopes, :auth_method, CAST(:jwks AS jsonb), :jwks_uri, :redirect_uris, :requires_dpop,
        :registered_by, :key, :digest)
ON CONFLICT DO NOTHING
RETURNING client_id
""")
_DECIDE = text("""
UPDATE oauth_clients
SET state = :state, is_enabled = :state = 'active', plan = coalesce(:plan, plan),
    scopes = coalesce(CAST(:scopes AS text[]), scopes), expires_at = coalesce(:expires_at, expires_at),
    customers = coalesce(CAST(:customers AS text[]), customers),
    reason = :reason, decided_by = :decided_by, decided_at = now(), changed_at = now(), version = version + 1
WHERE client_id = :client_id
""")
_END_SECRETS = text("""
UPDATE oauth_client_secrets SET expires_at = least(coalesce(expires_at, 'infinity'), :ends_at)
WHERE client_id = :client_id AND (expires_at IS NULL OR expires_at > now())
""")
_ADD_SECRET = text("""
INSERT INTO oauth_client_secrets (client_id, secret_hash, rotation_key)
VALUES (:client_id, :secret_hash, :key)
""")
_HAS_ROTATED = text("SELECT 1 FROM oauth_client_secrets WHERE client_id = :client_id AND rotation_key = :key")
_FORGET_SECRETS = text("""
DELETE FROM oauth_client_secrets WHERE client_id = :client_id AND expires_at < now() - interval '30 days'
""")
_TOUCH = text("UPDATE oauth_clients SET version = version + 1, changed_at = now() WHERE client_id = :client_id")


@dataclass(frozen=True, slots=True)
class Grant:
    """What an administrator lets a client have; `customers` None: the whole tenant."""

    plan: str
    scopes: frozenset[str]
    expires_at: datetime | None
    customers: frozenset[str] | None


async def listed(connection: Transaction, asked: Mapping[str, Any]) -> list[Client]:
    """Clients of a tenant, perhaps of one registrant and state, after an id."""
    return [_client(row) for row in (await connection.execute(_LIST, dict(asked))).mappings()]


async def found(connection: Transaction, tenant: str, client_id: str, *, locked: bool = False) -> Client | None:
    """One client of the tenant; `locked` until the transaction ends."""
    asked = {"tenant": tenant, "client_id": client_id}
    if locked:
        await connection.execute(_LOCK, asked)
    row = (await connection.execute(_ONE, asked)).mappings().first()
    return None if row is None else _client(row)


async def registered(connection: Transaction, tenant: str, registrant: str, key: str) -> tuple[Client, str] | None:
    """The client a registrant made with this key, and the digest of what was wished."""
    asked = {"tenant": tenant, "registered_by": registrant, "key": key}
    row = (await connection.execute(_BY_KEY, asked)).mappings().first()
    return None if row is None else (_client(row), row["registration_digest"])


async def add(connection: Transaction, row: Mapping[str, Any], jwks: Mapping[str, Any] | None) -> bool:
    """Keep a new client; False when its key was used meanwhile."""
    values = {**row, "jwks": None if jwks is None else json.dumps(dict(jwks))}
    return (await connection.execute(_ADD, values)).first() is not None


async def decide(
    connection: Transaction,
    client_id: str,
    state: ClientState,
    *,
    decided_by: str,
    reason: str | None = None,
    grant: Grant | None = None,
) -> None:
    """Bring a client into another state; without a grant it keeps the one it had."""
    customers = None if grant is None else grant.customers
    await connection.execute(
        _DECIDE,
        {
            "client_id": client_id,
            "state": str(state),
            "decided_by": decided_by,
            "reason": reason,
            "plan": None if grant is None else grant.plan,
            "scopes": None if grant is None else sorted(grant.scopes),
            "expires_at": None if grant is None else grant.expires_at,
            "customers": None if customers is None else sorted(customers),
        },
    )


async def has_rotated(connection: Transaction, client_id: str, key: str) -> bool:
    """Whether a secret was made with this key before."""
    return (await connection.execute(_HAS_ROTATED, {"client_id": client_id, "key": key})).first() is not None


async def add_secret(connection: Transaction, client_id: str, secret_hash: str, key: str | None) -> None:
    """Keep a further secret."""
    await connection.execute(_ADD_SECRET, {"client_id": client_id, "secret_hash": secret_hash, "key": key})
    await connection.execute(_TOUCH, {"client_id": client_id})


async def end_secrets(connection: Transaction, client_id: str, ends_at: datetime) -> None:
    """The secrets there are end then, or when they would have anyway."""
    await connection.execute(_FORGET_SECRETS, {"client_id": client_id})
    await connection.execute(_END_SECRETS, {"client_id": client_id, "ends_at": ends_at})


def _client(row: RowMapping) -> Client:
    return Client(
        client_id=row["client_id"],
        name=row["name"],
        tenant=row["tenant"],
        state=ClientState(row["state"]),
        contact=row["contact"],
        purpose=row["purpose"],
        plan=row["plan"],
        plan_wished=row["wished"],
        scopes=frozenset(row["scopes"]),
        scopes_wished=frozenset(row["scopes_wished"]),
        auth_method=AuthMethod(row["auth_method"]),
        jwks_uri=row["jwks_uri"],
        redirect_uris=tuple(row["redirect_uris"]),
        requires_dpop=row["requires_dpop"],
        registered_by=row["registered_by"],
        created_at=row["created_at"],
        decided_by=row["decided_by"],
        decided_at=row["decided_at"],
        reason=row["reason"],
        expires_at=row["expires_at"],
        secrets=tuple(
            SecretFacts(one[0], datetime.fromisoformat(one[1]), one[2] and datetime.fromisoformat(one[2]))
            for one in row["secrets"]
        ),
        is_from_file=row["is_from_file"],
        customers=None if row["customers"] is None else frozenset(row["customers"]),
        version=row["version"],
    )
