"""Rows of endpoints and their secrets; whoever owns them sees them, nobody else does."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from experience_apis.desk.sealing import TextSeal
from experience_apis.webhooks.records import Endpoint, EndpointState, Owner, Secret
from experience_apis.webhooks.rules import new_secret
from shared.errors.taxonomy import Conflict, NotFound, StaleVersion
from shared.persistence import Database

_MOST_PER_OWNER = 20
_MOST_SECRETS = 5
_COLUMNS = """endpoint_id, url, description, event_types, state, disabled_because, failing_since, version, created_at,
    changed_at"""
_MINE = "tenant = :tenant AND owner = :owner"
_LOCK_OWNER = text("SELECT pg_advisory_xact_lock(hashtextextended('webhooks|' || :tenant || '|' || :owner, 7))")
_COUNT = text(f"SELECT count(*) FROM webhook_endpoints WHERE {_MINE}")
_INSERT = text(f"""
    INSERT INTO webhook_endpoints (endpoint_id, tenant, owner, client_id, url, description, event_types, customers)
    VALUES (:endpoint_id, :tenant, :owner, :client_id, :url, :description, :event_types, :customers)
    RETURNING {_COLUMNS}
""")
_LIST = text(f"""
    SELECT {_COLUMNS} FROM webhook_endpoints
    WHERE {_MINE} AND (CAST(:after AS text) IS NULL OR endpoint_id > :after) ORDER BY endpoint_id LIMIT :limit
""")
_GET = text(f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE {_MINE} AND endpoint_id = :id")
_LOCK = text(f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE {_MINE} AND endpoint_id = :id FOR UPDATE")
_UPDATE = text(f"""
    UPDATE webhook_endpoints SET url = :url, description = :description, event_types = :event_types, state = :state,
        customers = :customers, client_id = :client_id,
        disabled_because = CASE WHEN :state = 'active' THEN NULL ELSE disabled_because END,
        failing_since = CASE WHEN :state = 'active' THEN NULL ELSE failing_since END,
        version = version + 1, changed_at = now()
    WHERE endpoint_id = :id RETURNING {_COLUMNS}
""")
_DELETE = text(f"DELETE FROM webhook_endpoints WHERE {_MINE} AND endpoint_id = :id RETURNING endpoint_id")
_SECRETS = text("""
    SELECT sealed, created_at, expires_at FROM webhook_secrets
    WHERE endpoint_id = :id AND (expires_at IS NULL OR expires_at > now()) ORDER BY created_at DESC, secret_id
""")
_ADD_SECRET = text(
    "INSERT INTO webhook_secrets (secret_id, endpoint_id, sealed) VALUES (:secret_id, :endpoint_id, :sealed)"
)
_END_SECRETS = text("""
    UPDATE webhook_secrets SET expires_at = :until
    WHERE endpoint_id = :id AND (expires_at IS NULL OR expires_at > :until)
""")
_FORGET_ENDED = text("DELETE FROM webhook_secrets WHERE endpoint_id = :id AND expires_at <= now()")


class EndpointStore:
    """Endpoints of the tier's database."""

    def __init__(self, database: Database, seal: TextSeal) -> None:
        """`seal` keeps the secrets unreadable at rest."""
        self._database = database
        self._seal = seal

    async def add(self, owner: Owner, *, url: str, description: str | None, event_types: Sequence[str]) -> Endpoint:
        """A new endpoint with its first secret. Raises RuleViolated when the owner has too many."""
        async with self._database.transaction() as conn:
            scope = {"tenant": owner.tenant, "owner": owner.subject}
            await conn.execute(_LOCK_OWNER, scope)
            if (await conn.execute(_COUNT, scope)).scalar_one() >= _MOST_PER_OWNER:
                raise Conflict(f"There are {_MOST_PER_OWNER} endpoints already; delete one first.")
            endpoint_id = f"wep_{uuid.uuid4().hex[:24]}"
            facts = {
                **scope,
                "endpoint_id": endpoint_id,
                "client_id": owner.client_id,
                "url": url,
                "description": description,
                "event_types": list(event_types),
                "customers": None if owner.customers is None else sorted(owner.customers),
            }
            row = (await conn.execute(_INSERT, facts)).mappings().one()
            await self._add_secret(conn, endpoint_id)
            return _endpoint(row)

    async def list_page(self, owner: Owner, *, after: str | None, limit: int) -> tuple[Sequence[Endpoint], str | None]:
        """Endpoints by id, and where to read on."""
        bound = {"tenant": owner.tenant, "owner": owner.subject, "after": after, "limit": limit + 1}
        async with self._database.transaction() as conn:
            rows = (await conn.execute(_LIST, bound)).mappings().all()
        found = [_endpoint(row) for row in rows[:limit]]
        return found, found[-1].endpoint_id if len(rows) > limit else None

    async def get(self, owner: Owner, endpoint_id: str) -> Endpoint:
        """One endpoint. Raises NotFound."""
        async with self._database.transaction() as conn:
            return await self._found(conn, owner, endpoint_id)

    async def change(
        self,
        owner: Owner,
        endpoint_id: str,
        *,
        url: str,
        description: str | None,
        event_types: Sequence[str],
        state: EndpointState,
        version: int | None,
    ) -> Endpoint:
        """The endpoint as wanted; from now on bounded as its owner is now. Raises NotFound, StaleVersion.

        Repeat: the same endpoint, one version further.
        """
        async with self._database.transaction() as conn:
            now = await self._found(conn, owner, endpoint_id, lock=True)
            if version is not None and version != now.version:
                raise StaleVersion(f"The endpoint has changed since: it is version {now.version}.")
            facts = {
                "id": endpoint_id,
                "url": url,
                "description": description,
                "event_types": list(event_types),
                "state": state.value,
                "client_id": owner.client_id,
                "customers": None if owner.customers is None else sorted(owner.customers),
            }
            return _endpoint((await conn.execute(_UPDATE, facts)).mappings().one())

    async def remove(self, owner: Owner, endpoint_id: str) -> None:
        """Forget the endpoint, its secrets and its deliveries. Raises NotFound."""
        async with self._database.transaction() as conn:
            bound = {"tenant": owner.tenant, "owner": owner.subject, "id": endpoint_id}
            if (await conn.execute(_DELETE, bound)).first() is None:
                raise NotFound(f"There is no endpoint {endpoint_id}.")

    async def secrets(self, owner: Owner, endpoint_id: str) -> Sequence[Secret]:
        """The secrets that sign now, newest first. Raises NotFound."""
        async with self._database.transaction() as conn:
            await self._found(conn, owner, endpoint_id)
            return await self._secrets(conn, endpoint_id)

    async def rotate(self, owner: Owner, endpoint_id: str, overlap: timedelta) -> Sequence[Secret]:
        """A new secret; the ones before it sign along until the overlap ends. Raises NotFound, Conflict."""
        async with self._database.transaction() as conn:
            await self._found(conn, owner, endpoint_id, lock=True)
            await conn.execute(_FORGET_ENDED, {"id": endpoint_id})
            if len(await self._secrets(conn, endpoint_id)) >= _MOST_SECRETS:
                raise Conflict(f"{_MOST_SECRETS} secrets sign already; wait until one has ended.")
            await conn.execute(_END_SECRETS, {"id": endpoint_id, "until": datetime.now(UTC) + overlap})
            await self._add_secret(conn, endpoint_id)
            return await self._secrets(conn, endpoint_id)

    async def _found(self, conn: AsyncConnection, owner: Owner, endpoint_id: str, *, lock: bool = False) -> Endpoint:
        bound = {"tenant": owner.tenant, "owner": owner.subject, "id": endpoint_id}
        row = (await conn.execute(_LOCK if lock else _GET, bound)).mappings().one_or_none()
        if row is None:
            raise NotFound(f"There is no endpoint {endpoint_id}.")
        return _endpoint(row)

    async def _add_secret(self, conn: AsyncConnection, endpoint_id: str) -> None:
        facts = {
            "secret_id": f"wsk_{uuid.uuid4().hex[:24]}",
            "endpoint_id": endpoint_id,
            "sealed": self._seal.closed(new_secret()),
        }
        await conn.execute(_ADD_SECRET, facts)

    async def _secrets(self, conn: AsyncConnection, endpoint_id: str) -> Sequence[Secret]:
        rows = (await conn.execute(_SECRETS, {"id": endpoint_id})).mappings().all()
        return [Secret(self._seal.opened(row["sealed"]), row["created_at"], row["expires_at"]) for row in rows]


def _endpoint(row: RowMapping) -> Endpoint:
    facts: dict[str, Any] = dict(row)
    facts["event_types"] = tuple(facts["event_types"])
    facts["state"] = EndpointState(facts["state"])
    return Endpoint(**facts)
