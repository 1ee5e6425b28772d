"""Idempotency keys in PostgreSQL: claims that every replica sees and that outlive no dead process."""

from __future__ import annotations

from datetime import timedelta
from secrets import token_hex
from typing import Any, Final

import orjson
from sqlalchemy import text

from shared.persistence.database import Database
from shared.persistence.kept_answers import Claim, KeptAnswer, RequestKey

_CLAIM: Final = text(
    "INSERT INTO idempotency_keys (tenant, client_id, operation, key, fingerprint, ticket, valid_until) "
    "VALUES (:tenant, :client_id, :operation, :key, :fingerprint, :ticket, now() + make_interval(secs => :seconds)) "
    "ON CONFLICT (tenant, client_id, operation, key) DO UPDATE "
    "SET fingerprint = excluded.fingerprint, ticket = excluded.ticket, valid_until = excluded.valid_until, "
    "    status = NULL, headers = NULL, body = NULL "
    "WHERE idempotency_keys.valid_until <= now() RETURNING ticket"
)
_SAME: Final = "tenant = :tenant AND client_id = :client_id AND operation = :operation AND key = :key"
_READ: Final = text(f"SELECT fingerprint, status, headers, body FROM idempotency_keys WHERE {_SAME}")
_COMPLETE: Final = text(
    "UPDATE idempotency_keys SET status = :status, headers = CAST(:headers AS jsonb), body = :body, "
    f"valid_until = now() + make_interval(secs => :seconds) WHERE {_SAME} AND ticket = :ticket"
)
_RENEW: Final = text(
    "UPDATE idempotency_keys SET valid_until = now() + make_interval(secs => :seconds) "
    f"WHERE {_SAME} AND ticket = :ticket AND status IS NULL"
)
_RELEASE: Final = text(f"DELETE FROM idempotency_keys WHERE {_SAME} AND ticket = :ticket AND status IS NULL")
_FORGET: Final = text("DELETE FROM idempotency_keys WHERE valid_until < now()")
_FORGET_EVERY: Final = 500


class PostgresIdempotencyStore:
    """The store of one tier's database; its table comes with the shared migrations."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._claims = 0

    async def claim(self, key: RequestKey, fingerprint: bytes, *, claim: timedelta) -> Claim:
        """Take the key for this request unless it is taken.

        Repeat: one of any number of concurrent calls gets the ticket; a claim older than `claim` without an answer
        is void.
        """
        self._claims += 1
        if self._claims % _FORGET_EVERY == 0:
            await self.forget_expired()
        ticket = token_hex(16)
        facts = {**_same(key), "fingerprint": fingerprint, "ticket": ticket, "seconds": claim.total_seconds()}
        async with self._database.transaction() as connection:
            if (await connection.execute(_CLAIM, facts)).first() is not None:
                return Claim(ticket=ticket)
            row = (await connection.execute(_READ, _same(key))).first()
        if row is None:
            return Claim()  # given back between the two statements; the caller may ask again
        if bytes(row.fingerprint) != fingerprint:
            return Claim(fingerprint_differs=True)
        if row.status is None:
            return Claim()
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in row.headers]
        return Claim(answer=KeptAnswer(row.status, headers, bytes(row.body)))

    async def renew(self, key: RequestKey, ticket: str, *, claim: timedelta) -> None:
        """The work still goes on: the claim holds for another `claim`."""
        async with self._database.transaction() as connection:
            await connection.execute(_RENEW, {**_same(key), "ticket": ticket, "seconds": claim.total_seconds()})

    async def complete(self, key: RequestKey, ticket: str, answer: KeptAnswer, *, keep: timedelta) -> None:
        """Keep the answer for `keep`, provided the ticket is still the valid one."""
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
        facts = {
            **_same(key),
            "ticket": ticket,
            "status": answer.status,
            "headers": orjson.dumps(headers).decode(),
            "body": answer.body,
            "seconds": keep.total_seconds(),
        }
        async with self._database.transaction() as connection:
            await connection.execute(_COMPLETE, facts)

    async def release(self, key: RequestKey, ticket: str) -> None:
        """Give the key back: nothing was done, the next request may try."""
        async with self._database.transaction() as connection:
            await connection.execute(_RELEASE, {**_same(key), "ticket": ticket})

    async def forget_expired(self) -> int:
        """Remove what is no longer valid; how many rows."""
        async with self._database.transaction() as connection:
            return (await connection.execute(_FORGET)).rowcount


def _same(key: RequestKey) -> dict[str, Any]:
    return {"tenant": key.tenant, "client_id": key.client_id, "operation": key.operation, "key": key.key}
