"""The database: transactions, loss of connections, bounds, addresses; and migrations that only go forward."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shared.errors.taxonomy import Misconfigured, VendorUnavailable
from shared.persistence import Database, upgrade
from shared.persistence.database import psycopg_url, sqlalchemy_url
from tests.unit.foundation.facts import count


async def test_a_block_that_fails_leaves_nothing_behind(db: Database) -> None:
    async def fails() -> None:
        async with db.transaction() as conn:
            await conn.execute(text("INSERT INTO inbox (consumer, event_id) VALUES ('a', '1')"))
            raise KeyError

    with pytest.raises(KeyError):
        await fails()
    assert await count(db, "SELECT count(*) FROM inbox") == 0


async def test_connections_killed_by_a_restart_are_replaced(db: Database) -> None:
    await db.ping()
    async with db.transaction() as conn:
        await asyncio.gather(*(db.ping() for _ in range(3)))
        ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        await conn.execute(text(f"{ours} AND pid <> pg_backend_pid()"))
    for _ in range(2):  # a connection used a moment ago is trusted once: that call fails as unavailable, none after it
        told = await asyncio.gather(*(db.ping() for _ in range(4)), return_exceptions=True)
        assert all(one is None or isinstance(one, VendorUnavailable) for one in told)
    await asyncio.gather(*(db.ping() for _ in range(4)))


async def test_a_connection_that_lay_idle_is_tried_before_it_is_used(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.persistence.database._TRUSTED_SECONDS", 0.0)
    await db.ping()
    async with db.transaction() as conn:
        await asyncio.gather(*(db.ping() for _ in range(3)))
        ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        await conn.execute(text(f"{ours} AND pid <> pg_backend_pid()"))
    await asyncio.gather(*(db.ping() for _ in range(4)))


async def test_a_database_that_is_not_there_is_unavailable() -> None:
    away = Database("postgresql://nobody:secret@127.0.0.1:1/none")
    with pytest.raises(VendorUnavailable) as caught:
        await away.ping()
    assert "secret" not in f"{caught.value.message}{caught.value.detail}"
    await away.aclose()
    with pytest.raises(VendorUnavailable):
        await asyncio.to_thread(upgrade, "postgresql://nobody@127.0.0.1:1/none", "tests.unit.foundation")


async def test_a_pool_that_is_used_up_is_waited_for_only_so_long(postgres_url: str) -> None:
    small = Database(postgres_url, pool=1, wait=0.2)
    async with small.transaction():
        with pytest.raises(VendorUnavailable):
            await small.ping()
    await small.ping()
    await small.aclose()


async def test_a_statement_that_takes_too_long_is_ended(postgres_url: str) -> None:
    hasty = Database(postgres_url, statement_timeout=0.2)
    started = time.monotonic()
    with pytest.raises(DBAPIError):
        async with hasty.transaction() as conn:
            await conn.execute(text("SELECT pg_sleep(10)"))
    assert time.monotonic() - started < 5
    await hasty.aclose()


def test_only_postgresql_addresses_are_taken() -> None:
    for url in ("postgresql://u:p@h:5/d", "postgres://u:p@h:5/d", "postgresql+psycopg://u:p@h:5/d"):
        assert sqlalchemy_url(url).drivername == "postgresql+psycopg"
        assert psycopg_url(url) == "postgresql://u:p@h:5/d"
    for url in ("sqlite:///x", "nothing at all", ""):
        with pytest.raises(Misconfigured):
            sqlalchemy_url(url)


@pytest.fixture
def tier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The migrations folder of a package `made_up_tier`."""
    folder = tmp_path / "made_up_tier" / "migrations"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "made_up_tier", raising=False)
    return folder


async def test_each_file_is_applied_once_even_one_added_in_between(postgres_url: str, tier: Path) -> None:
    (tier / "0001_first.sql").write_text("CREATE TABLE t (n int); INSERT INTO t VALUES (1); -- 100 % :safe")
    (tier / "0003_third.sql").write_text("INSERT INTO t VALUES (3);")
    upgrade(postgres_url, "made_up_tier")
    (tier / "0002_second.sql").write_text("INSERT INTO t VALUES (2);")
    upgrade(postgres_url, "made_up_tier")
    upgrade(postgres_url, "made_up_tier")
    db = Database(postgres_url)
    assert await count(db, "SELECT string_agg(n::text, ',' ORDER BY n) FROM t") == "1,2,3"
    assert await count(db, "SELECT count(*) FROM schema_revisions WHERE version_num LIKE 'made_up_tier.%'") == 3
    await db.aclose()


async def test_replicas_that_start_together_upgrade_once(postgres_url: str, tier: Path) -> None:
    (tier / "0001_first.sql").write_text("CREATE TABLE t (n int); INSERT INTO t VALUES (1);")
    await asyncio.gather(*(asyncio.to_thread(upgrade, postgres_url, "made_up_tier") for _ in range(4)))
    db = Database(postgres_url)
    assert await count(db, "SELECT count(*) FROM t") == 1
    await db.aclose()


async def test_a_file_that_fails_leaves_the_schema_as_it_was(postgres_url: str, tier: Path) -> None:
    (tier / "0001_first.sql").write_text("CREATE TABLE t (n int);")
    (tier / "0002_wrong.sql").write_text("CREATE TABLE u (n int); SELECT 1/0;")
    with pytest.raises(Misconfigured, match=r"made_up_tier\.0002_wrong"):
        upgrade(postgres_url, "made_up_tier")
    db = Database(postgres_url)
    assert await count(db, "SELECT count(*) FROM pg_tables WHERE tablename IN ('t', 'u', 'event_log')") == 0
    await db.aclose()


def test_a_file_named_otherwise_is_refused(postgres_url: str, tier: Path) -> None:
    (tier / "first.sql").write_text("SELECT 1")
    with pytest.raises(Misconfigured, match=r"first\.sql"):
        upgrade(postgres_url, "made_up_tier")
