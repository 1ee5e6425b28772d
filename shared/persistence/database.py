"""Database: one bounded pool to one PostgreSQL; transactions come out, rows never leave the stores that use them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from math import inf
from time import monotonic
from typing import Final

from sqlalchemy import Engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from shared.errors.taxonomy import Misconfigured, OutcomeUnknown, VendorUnavailable

_DRIVER: Final = "postgresql+psycopg"
_CONNECT_SECONDS: Final = 5
_RECYCLE_SECONDS: Final = 1800
_TRUSTED_SECONDS: Final = 1.0


def sqlalchemy_url(url: str) -> URL:
    """The URL for SQLAlchemy on psycopg 3; plain `postgresql://` and `postgres://` are taken too."""
    try:
        made = make_url(url)
    except ArgumentError as error:
        raise Misconfigured("The database URL cannot be read; expected postgresql://…") from error
    if made.drivername not in {"postgresql", "postgres", _DRIVER}:
        raise Misconfigured(f"The database URL names {made.drivername}; only postgresql:// is spoken here.")
    return made.set(drivername=_DRIVER)


def psycopg_url(url: str) -> str:
    """The same URL for psycopg itself."""
    return sqlalchemy_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _watch_idleness(engine: Engine) -> None:
    """Try a connection before use only when it lay idle for a while: a ping costs as much as a small transaction."""

    def returned(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = monotonic()

    def taken(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        if monotonic() - record.info.get("idle_since", inf) < _TRUSTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error

    event.listen(engine, "checkin", returned)
    event.listen(engine, "checkout", taken)


Transaction = AsyncConnection
"""What `Database.transaction` gives; whoever only hands it on names it so and needs no driver."""


class Database:
    """One tier's database: at most `pool` connections, `statement_timeout` seconds for each statement."""

    def __init__(
        self,
        url: str,
        *,
        pool: int = 10,
        statement_timeout: float = 60.0,
        wait: float = 30.0,
        application: str = "throughline",
    ) -> None:
        self.url = url
        options = f"-c statement_timeout={int(statement_timeout * 1000)} -c timezone=UTC"
        self._engine: AsyncEngine = create_async_engine(
            sqlalchemy_url(url),
            pool_size=pool,
            max_overflow=0,
            pool_timeout=wait,
            pool_recycle=_RECYCLE_SECONDS,
            connect_args={
                "application_name": application,
                "connect_timeout": _CONNECT_SECONDS,
                "options": options,
            },
        )
        _watch_idleness(self._engine.sync_engine)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncConnection]:
        """A connection in a transaction: committed at the end of the block, rolled back when an error leaves it.

        Raises VendorUnavailable when the database cannot be reached or the connection breaks before the commit:
        nothing has happened then. Raises OutcomeUnknown when it breaks during the commit.
        """
        try:
            connection = await self._engine.connect()
        except (OperationalError, InterfaceError, PoolExhausted) as error:
            raise VendorUnavailable("The database is unavailable.", detail=type(error).__name__) from error
        leaving = False
        try:
            async with connection.begin():
                yield connection
                leaving = True
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            if leaving:
                raise OutcomeUnknown("The database broke off during the commit.") from error
            raise VendorUnavailable("The database is unavailable.", detail=type(error).__name__) from error
        finally:
            await connection.close()

    async def ping(self) -> None:
        """One round trip. Raises VendorUnavailable when there is none."""
        async with self.transaction() as connection:
            await connection.execute(text("SELECT 1"))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._engine.dispose()
