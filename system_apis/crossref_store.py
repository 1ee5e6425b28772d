"""Rows of the cross-reference registry: canonical id ↔ each system's id, unique both ways; and the write turnstile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

import psycopg
from psycopg import AsyncConnection as Session
from psycopg import conninfo
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.errors.taxonomy import Conflict, NotFound, VendorThrottled, VendorUnavailable
from shared.persistence.database import Database, psycopg_url

_PATIENCE_SECONDS: Final = 40.0
_SESSION: Final[dict[str, str | int]] = {
    "application_name": "throughline turnstile",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
_TOLD = (
    " FROM unnest(CAST(:entities AS text[]), CAST(:ids AS text[]), CAST(:systems AS text[]), CAST(:refs AS text[]))"
    " AS told(entity, canonical_id, system, ref)"
)
_RECORD = text(
    "INSERT INTO cross_references (tenant, entity, canonical_id, system, ref)"
    f" SELECT :tenant, told.* {_TOLD} ON CONFLICT DO NOTHING"
)
_AMISS = text(
    "SELECT told.entity, told.canonical_id, told.system, told.ref, known.canonical_id, known.ref"
    f" {_TOLD} JOIN cross_references known ON known.tenant = :tenant AND known.entity = told.entity"
    " AND known.system = told.system AND ((known.ref = told.ref) <> (known.canonical_id = told.canonical_id))"
    " ORDER BY 1, 2, 3"
)
_MOVE = text(
    "UPDATE cross_references SET ref = :ref, recorded_at = now() WHERE tenant = :tenant AND entity = :entity"
    " AND canonical_id = :id AND system = :system"
)


@dataclass(frozen=True, slots=True)
class CrossReference:
    """One record of one system under our id.

    `entity` names the kind of record there: a suite that plays several roles has more than one kind for one of ours
    (an invoice and its billing mark).
    """

    entity: str
    canonical_id: str
    system: str
    ref: str


class CrossReferences:
    """The registry of one tier database; every call is within one tenant."""

    def __init__(self, database: Database) -> None:
        """Uses the tier's database."""
        self._database = database
        self._turnstile = Turnstile(database.url)

    async def aclose(self) -> None:
        """Let go of the turnstile."""
        await self._turnstile.aclose()

    async def record(self, tenant: str, references: Iterable[CrossReference]) -> None:
        """Remember where records stand. Repeat: nothing more. Raises Conflict as `record_within`."""
        told = list(references)
        if told:
            async with self._database.transaction() as connection:
                await self.record_within(connection, tenant, told)

    @staticmethod
    async def record_within(connection: AsyncConnection, tenant: str, references: Iterable[CrossReference]) -> None:
        """The same inside a caller's transaction.

        A record of ours that stands elsewhere now (made anew in the system) is followed there. Raises Conflict when
        a system's record is already known under another id of ours: two of ours never share one of theirs.
        """
        told = sorted(set(references), key=lambda one: (one.entity, one.canonical_id, one.system, one.ref))
        if not told:
            return
        values = {
            "tenant": tenant,
            "entities": [one.entity for one in told],
            "ids": [one.canonical_id for one in told],
            "systems": [one.system for one in told],
            "refs": [one.ref for one in told],
        }
        if (await connection.execute(_RECORD, values)).rowcount == len(told):
            return
        for entity, number, system, ref, known_id, _ in await connection.execute(_AMISS, values):
            if known_id != number:
                raise _claimed(entity, system, ref, known_id, number)
            try:
                await connection.execute(
                    _MOVE, {"tenant": tenant, "entity": entity, "id": number, "system": system, "ref": ref}
                )
            except IntegrityError as error:
                raise _claimed(entity, system, ref, "another id", number) from error

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

    @asynccontextmanager
    async def one_at_a_time(self, tenant: str, entity: str, canonical_id: str) -> AsyncGenerator[None]:
        """Writes of one record never overlap, in any replica: a repeat after a lost answer sees what the first did.

        Raises VendorThrottled when the write before it takes too long; nothing was changed then.
        """
        async with self._turnstile.passing(f"{tenant}/{entity}/{canonical_id}"):
            yield


class Turnstile:
    """One at a time per key, in all replicas, on a single database session however many wait or write.

    A process that dies loses its session and with it all its places at once.
    """

    def __init__(self, database_url: str, *, patience: float = _PATIENCE_SECONDS) -> None:
        """`patience` is how long somebody waits at most."""
        self._url = database_url
        self._patience = patience
        self._session: Session | None = None
        self._opening = asyncio.Lock()
        self._inside: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def passing(self, key: str) -> AsyncGenerator[None]:
        """Inside the block nobody else is inside for that key."""
        until = time.monotonic() + self._patience
        own = self._inside.setdefault(key, asyncio.Lock())
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + self._patience):
                await own.acquire()
        except TimeoutError as error:
            raise _busy() from error
        try:
            session = await self._entered(key, until)
            try:
                yield
            finally:
                with suppress(psycopg.Error):  # a session that broke off has let go of everything already
                    await session.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (key,))
        finally:
            own.release()

    async def aclose(self) -> None:
        """End the session."""
        if self._session is not None:
            await self._session.close()

    async def _entered(self, key: str, until: float) -> Session:
        pause = 0.02
        while True:
            try:
                session = await self._opened()
                asked = await session.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (key,))
                row = await asked.fetchone()
            except (psycopg.Error, OSError) as error:
                raise VendorUnavailable("The database is unavailable.", detail=type(error).__name__) from error
            if row and row[0]:
                return session
            if time.monotonic() + pause >= until:
                raise _busy()
            await asyncio.sleep(pause)
            pause = min(0.5, pause * 1.5)

    async def _opened(self) -> Session:
        async with self._opening:
            if self._session is None or self._session.closed:
                self._session = await Session.connect(
                    conninfo.make_conninfo(psycopg_url(self._url), **_SESSION), autocommit=True
                )
            return self._session


def _busy() -> VendorThrottled:
    return VendorThrottled("Another write of this record is still under way; nothing was changed.", retry_after=2)


def _claimed(entity: str, system: str, ref: str, known_id: str, claiming_id: str) -> Conflict:
    return Conflict(
        f"{entity} {ref} of {system} is known as {known_id}; it cannot be {claiming_id} too.",
        extra={"entity": entity, "system": system, "ref": ref, "known_id": known_id, "claimed_by": claiming_id},
    )
