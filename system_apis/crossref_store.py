"""Rows of the cross-reference registry: canonical id ↔ each system's id, unique both ways; and the write turnstile."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.errors.taxonomy import NotFound
from shared.persistence.database import Database


@dataclass(frozen=True, slots=True)
class CrossReference:
    """One record of one system under our id."""

    entity: str
    canonical_id: str
    system: str
    ref: str


class CrossReferences:
    """The registry of one tier database; every call is within one tenant."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database

    async def record(self, tenant: str, references: Iterable[CrossReference]) -> None:
        """Remember where records stand. Repeat: nothing more."""
        async with self._database.transaction() as connection:
            await self.record_within(connection, tenant, references)

    @staticmethod
    async def record_within(connection: AsyncConnection, tenant: str, references: Iterable[CrossReference]) -> None:
        """The same inside a caller's transaction."""
        rows = [
            {"tenant": tenant, "entity": r.entity, "id": r.canonical_id, "system": r.system, "ref": r.ref}
            for r in references
        ]
        if not rows:
            return
        await connection.execute(
            text(
                "INSERT INTO cross_references (tenant, entity, canonical_id, system, ref)"
                " SELECT :tenant, :entity, :id, :system, :ref"
                " ON CONFLICT DO NOTHING"
            ),
            rows,
        )

    async def find_ref(self, tenant: str, entity: str, canonical_id: str, system: str) -> str | None:
        """The record's id in that system, or None while it is not known there."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                text(
                    "SELECT ref FROM cross_references WHERE tenant = :tenant AND entity = :entity"
                    " AND canonical_id = :id AND system = :system"
                ),
                {"tenant": tenant, "entity": entity, "id": canonical_id, "system": system},
            )
            return found.scalar_one_or_none()

    async def get_ref(self, tenant: str, entity: str, canonical_id: str, system: str) -> str:
        """The record's id in that system. Raises NotFound."""
        ref = await self.find_ref(tenant, entity, canonical_id, system)
        if ref is None:
            raise NotFound(f"There is no {entity} {canonical_id}.")
        return ref

    async def find_id(self, tenant: str, entity: str, system: str, ref: str) -> str | None:
        """Our id of a system's record, or None."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                text(
                    "SELECT canonical_id FROM cross_references WHERE tenant = :tenant AND entity = :entity"
                    " AND system = :system AND ref = :ref"
                ),
                {"tenant": tenant, "entity": entity, "system": system, "ref": ref},
            )
            return found.scalar_one_or_none()

    @asynccontextmanager
    async def one_at_a_time(self, tenant: str, entity: str, canonical_id: str) -> AsyncGenerator[None]:
        """Writes of one record never overlap, in any replica: a repeat after a lost answer sees what the first did."""
        async with self._database.transaction() as connection:
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"),
                {"key": f"{tenant}/{entity}/{canonical_id}"},
            )
            yield
