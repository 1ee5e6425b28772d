"""Fixtures of the foundation's tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.persistence import Bus, Database, DeadLetters, upgrade
from tests.unit.foundation.scripted import Server


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A scripted server."""
    opened = Server()
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def db(postgres_url: str) -> AsyncIterator[Database]:
    """A database with the shared tables."""
    await asyncio.to_thread(upgrade, postgres_url, "tests.unit.foundation")
    database = Database(postgres_url)
    yield database
    await database.aclose()


@pytest.fixture
async def bus(nats_url: str, db: Database) -> AsyncIterator[Bus]:
    """A connected bus that buries dead letters in the database."""
    connected = await Bus(dead_letters=DeadLetters(db)).connect(nats_url)
    yield connected
    await connected.aclose()
