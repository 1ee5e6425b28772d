"""Grants, refresh tokens and consents in PostgreSQL; rows stay in here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, text

from experience_apis.identity.codes.records import Grant, Issued, RefreshToken
from experience_apis.identity.people.store import COLUMNS, person_of
from shared.persistence.database import Database

_GRANT = f"""
g.id AS grant_id, g.client_id, g.session_id, g.redirect_uri, g.challenge, g.nonce, g.scopes, g.auth_time,
g.key_thumbprint, g.code_ends_at, g.code_used_at IS NOT NULL AS is_code_used, g.ends_at AS grant_ends_at,
g.ended_at IS NULL AND g.ends_at > now() AND s.ended_at IS NULL AND s.ends_at > now()
AND p.is_enabled AND p.is_listed AND NOT p.must_change_password AS is_alive, {COLUMNS}
"""
_TABLES = """
oauth_grants g JOIN person_sessions s ON s.id = g.session_id JOIN people p ON p.name = g.person
"""
_KEEP = text("""
INSERT INTO oauth_grants (id, code_digest, client_id, person, session_id, redirect_uri, challenge, nonce, scopes,
                          auth_time, key_thumbprint, code_ends_at, ends_at)
VALUES (:id, :code_digest, :client_id, :person, :session_id, :redirect_uri, :challenge, :nonce, :scopes,
        :auth_time, :key_thumbprint, :code_ends_at, :ends_at)
""")
_OF_CODE = text(f"SELECT {_GRANT} FROM {_TABLES} WHERE g.code_digest = :digest")
_OF_REFRESH = text(f"""
SELECT {_GRANT}, r.issued_at, r.ends_at AS refresh_ends_at, r.used_at IS NOT NULL AS is_used
FROM oauth_refresh_tokens r JOIN {_TABLES.replace("oauth_grants g", "oauth_grants g ON g.id = r.grant_id", 1)}
WHERE r.digest = :digest
""")
_USE_CODE = text("""
UPDATE oauth_grants SET code_used_at = now(), key_thumbprint = coalesce(:key_thumbprint, key_thumbprint)
WHERE id = :id AND code_used_at IS NULL AND ended_at IS NULL AND code_ends_at > now()
""")
# The grant's row is locked, so that a refresh and the end of its grant never pass each other by.
_USE_REFRESH = text("""
WITH grant_alive AS (
    SELECT g.id FROM oauth_grants g JOIN oauth_refresh_tokens r ON r.grant_id = g.id
    WHERE r.digest = :digest AND g.ended_at IS NULL FOR UPDATE OF g
)
UPDATE oauth_refresh_tokens SET used_at = now()
WHERE digest = :digest AND used_at IS NULL AND ends_at > now() AND grant_id IN (SELECT id FROM grant_alive)
""")
_STILL = text("SELECT 1 FROM oauth_grants WHERE id = :id AND ended_at IS NULL FOR UPDATE")
_ISSUED = text("INSERT INTO oauth_grant_tokens (jti, grant_id, expires_at) VALUES (:jti, :id, :expires_at)")
_REFRESH = text("INSERT INTO oauth_refresh_tokens (digest, grant_id, ends_at) VALUES (:digest, :id, :ends_at)")
_END = text("""
UPDATE oauth_grants SET ended_at = now(), end_reason = :reason WHERE id = :id AND ended_at IS NULL
""")
_ALIVE_OF_GRANT = text("""
SELECT t.jti, t.expires_at, g.client_id, p.tenant
FROM oauth_grant_tokens t JOIN oauth_grants g ON g.id = t.grant_id JOIN people p ON p.name = g.person
WHERE t.grant_id = :id AND t.expires_at > now()
""")
_FORGET_TOKENS = text("DELETE FROM oauth_grant_tokens WHERE expires_at < now() - interval '1 hour'")
_FORGET_GRANTS = text("""
DELETE FROM oauth_grants WHERE ends_at < now() - interval '7 days'
   OR (code_used_at IS NULL AND code_ends_at < now() - interval '1 day')
""")
_CONSENTED = text("SELECT scopes FROM oauth_consents WHERE person = :person AND client_id = :client_id")
_CONSENT = text("""
INSERT INTO oauth_consents AS c (person, client_id, scopes) VALUES (:person, :client_id, :scopes)
ON CONFLICT (person, client_id) DO UPDATE
SET scopes = array(SELECT DISTINCT unnest(c.scopes || excluded.scopes) ORDER BY 1), given_at = now()
""")


class GrantStore:
    """All grants."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database

    async def keep(self, grant: Grant, code_digest: bytes) -> None:
        """Keep what a fresh code stands for; what ended long ago is forgotten."""
        facts = {
            "id": grant.id,
            "code_digest": code_digest,
            "client_id": grant.client_id,
            "person": grant.person.name,
            "session_id": grant.session_id,
            "redirect_uri": grant.redirect_uri,
            "challenge": grant.challenge,
            "nonce": grant.nonce,
            "scopes": sorted(grant.scopes),
            "auth_time": grant.auth_time,
            "key_thumbprint": grant.key_thumbprint,
            "code_ends_at": grant.code_ends_at,
            "ends_at": grant.ends_at,
        }
        async with self._database.transaction() as connection:
            await connection.execute(_FORGET_GRANTS)
            await connection.execute(_KEEP, facts)

    async def of_code(self, code_digest: bytes) -> Grant | None:
        """What the code stands for, used or not."""
        async with self._database.transaction() as connection:
            row = (await connection.execute(_OF_CODE, {"digest": code_digest})).mappings().first()
        return None if row is None else _grant(row)

    async def of_refresh(self, digest: bytes) -> RefreshToken | None:
        """The refresh token, used or not."""
        async with self._database.transaction() as connection:
            row = (await connection.execute(_OF_REFRESH, {"digest": digest})).mappings().first()
        if row is None:
            return None
        return RefreshToken(
            grant=_grant(row), issued_at=row["issued_at"], ends_at=row["refresh_ends_at"], is_used=row["is_used"]
        )

    async def use_code(self, grant_id: str, key_thumbprint: str | None) -> bool:
        """Mark the code used and bind its grant to a key; False when somebody was faster or the grant has ended."""
        async with self._database.transaction() as connection:
            facts = {"id": grant_id, "key_thumbprint": key_thumbprint}
            return (await connection.execute(_USE_CODE, facts)).rowcount == 1

    async def use_refresh(self, digest: bytes) -> bool:
        """Mark the refresh token used; False when somebody was faster or its grant has ended."""
        async with self._database.transaction() as connection:
            return (await connection.execute(_USE_REFRESH, {"digest": digest})).rowcount == 1

    async def issued(
        self, grant_id: str, jti: str, expires_at: datetime, refresh: tuple[bytes, datetime] | None
    ) -> bool:
        """Remember an access token and its refresh token; False when the grant has ended meanwhile."""
        async with self._database.transaction() as connection:
            if (await connection.execute(_STILL, {"id": grant_id})).first() is None:
                return False
            await connection.execute(_FORGET_TOKENS)
            await connection.execute(_ISSUED, {"id": grant_id, "jti": jti, "expires_at": expires_at})
            if refresh is not None:
                digest, ends_at = refresh
                await connection.execute(_REFRESH, {"id": grant_id, "digest": digest, "ends_at": ends_at})
        return True

    async def end(self, grant_id: str, reason: str) -> Sequence[Issued]:
        """End the grant for good; answers its access tokens that are still alive. Repeat: the same tokens again."""
        async with self._database.transaction() as connection:
            await connection.execute(_END, {"id": grant_id, "reason": reason})
            rows = (await connection.execute(_ALIVE_OF_GRANT, {"id": grant_id})).mappings().all()
        return tuple(Issued(row["jti"], row["client_id"], row["tenant"], row["expires_at"]) for row in rows)

    async def consented(self, person: str, client_id: str) -> frozenset[str]:
        """The scopes the person has agreed to for good."""
        async with self._database.transaction() as connection:
            facts = {"person": person, "client_id": client_id}
            return frozenset((await connection.execute(_CONSENTED, facts)).scalar() or ())

    async def consent(self, person: str, client_id: str, scopes: frozenset[str]) -> None:
        """Remember that the person agrees to these as well."""
        async with self._database.transaction() as connection:
            facts = {"person": person, "client_id": client_id, "scopes": sorted(scopes)}
            await connection.execute(_CONSENT, facts)


def _grant(row: RowMapping) -> Grant:
    return Grant(
        id=row["grant_id"],
        client_id=row["client_id"],
        person=person_of(row),
        session_id=row["session_id"],
        redirect_uri=row["redirect_uri"],
        challenge=row["challenge"],
        nonce=row["nonce"],
        scopes=frozenset(row["scopes"]),
        auth_time=row["auth_time"],
        key_thumbprint=row["key_thumbprint"],
        code_ends_at=row["code_ends_at"],
        is_code_used=row["is_code_used"],
        ends_at=row["grant_ends_at"],
        is_alive=row["is_alive"],
    )
